! Log-densities from Fortran: density [FILE], which training writes.
! diffeo.f90 of the installation declares everything. An array x(dim, n) is a batch of n rows of dim values.
program density
  use diffeo
  implicit none
  character(len=1000) :: path = 'moons.h5'
  type(c_ptr) :: flow
  real(c_double) :: x(2, 3) = reshape([0d0, 1d0, 1d0, -0.5d0, 0.5d0, 0.25d0], [2, 3]), log_prob(3)
  integer :: i

  if (command_argument_count() > 0) call get_command_argument(1, path)
  call check(diffeo_flow_load(trim(path)//c_null_char, flow))
  ! Without a context, which is left out.
  call check(diffeo_flow_log_prob_f64(flow, x, 3_c_int64_t, n_context=0_c_int64_t, workspace=c_null_ptr, &
      log_prob=log_prob))
  do i = 1, 3
    print '("log p(", f5.2, ", ", f5.2, ") = ", f7.3)', x(:, i), log_prob(i)
  end do
  call diffeo_flow_destroy(flow)
contains
  subroutine check(status)
    integer(c_int32_t), intent(in) :: status
    if (status == DIFFEO_OK) return
    print '(a)', diffeo_message()
    error stop 1
  end subroutine
end program
