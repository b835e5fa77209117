! Log-densities from Fortran, through iso_c_binding: density [FILE], which training writes.
! Declare the functions that you use, in this way. A Fortran array x(dim, n) is the C batch of n rows of dim values.
module diffeo
  use iso_c_binding
  implicit none
  interface
    integer(c_int32_t) function diffeo_flow_load(path, flow) bind(c)
      import
      character(kind=c_char), intent(in) :: path(*)
      type(c_ptr), intent(out) :: flow
    end function
    integer(c_int32_t) function diffeo_flow_log_prob_f64(flow, x, n, context, n_context, workspace, log_prob) bind(c)
      import
      type(c_ptr), value :: flow, context, workspace
      integer(c_int64_t), value :: n, n_context
      real(c_double), intent(in) :: x(*)
      real(c_double), intent(out) :: log_prob(*)
    end function
    subroutine diffeo_flow_destroy(flow) bind(c)
      import
      type(c_ptr), value :: flow
    end subroutine
    type(c_ptr) function diffeo_last_error() bind(c)
      import
    end function
    integer(c_size_t) function strlen(text) bind(c)
      import
      type(c_ptr), value :: text
    end function
  end interface
contains
  subroutine check(status)
    integer(c_int32_t), intent(in) :: status
    character(kind=c_char), pointer :: text(:)
    type(c_ptr) :: error
    if (status == 0) return
    error = diffeo_last_error()
    call c_f_pointer(error, text, [strlen(error)])
    print '(*(a))', text
    error stop 1
  end subroutine
end module

program density
  use diffeo
  implicit none
  character(len=1000) :: path = 'moons.h5'
  type(c_ptr) :: flow
  real(c_double) :: x(2, 3) = reshape([0d0, 1d0, 1d0, -0.5d0, 0.5d0, 0.25d0], [2, 3]), log_prob(3)
  integer :: i

  if (command_argument_count() > 0) call get_command_argument(1, path)
  call check(diffeo_flow_load(trim(path)//c_null_char, flow))
  call check(diffeo_flow_log_prob_f64(flow, x, 3_c_int64_t, c_null_ptr, 0_c_int64_t, c_null_ptr, log_prob))
  do i = 1, 3
    print '("log p(", f5.2, ", ", f5.2, ") = ", f7.3)', x(:, i), log_prob(i)
  end do
  call diffeo_flow_destroy(flow)
end program
