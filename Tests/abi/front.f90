! diffeo.f90: what it declares works, with floating-point traps on: front FOLDER
module functions
  use diffeo
  implicit none
  integer :: epochs = 0
  real(c_double), target :: data(2, 300)
contains
  integer(c_int) function progress(report, user) bind(c)
    type(diffeo_train_report), intent(in), optional :: report
    type(c_ptr), value :: user
    integer, pointer :: limit
    call c_f_pointer(user, limit)
    epochs = epochs + 1
    if (report%epoch /= epochs) error stop 'epoch'
    progress = merge(1, 0, epochs >= limit)
  end function

  integer(c_int) function read_rows(user, first, count, x, context, weights) bind(c)
    type(c_ptr), value :: user
    integer(c_int64_t), value :: first, count
    real(c_double), intent(inout), optional :: x(*), context(*), weights(*)
    if (c_associated(user) .or. present(context) .or. present(weights)) error stop 'not asked for'
    x(1:2*count) = reshape(data(:, first + 1:first + count), [2*count])
    read_rows = 0
  end function

  subroutine check(status)
    integer(c_int32_t), intent(in) :: status
    if (status == DIFFEO_OK) return
    print '(a, ": ", a)', diffeo_text(diffeo_status_name(status)), diffeo_message()
    error stop 1
  end subroutine
end module

program front
  use functions
  implicit none
  character(len=1000) :: folder
  character(len=:), allocatable :: path, message
  character(len=4000) :: text
  type(diffeo_architecture_options) :: architecture
  type(diffeo_network_options), target :: network
  type(diffeo_train_options) :: options
  type(diffeo_train_report) :: report
  type(c_ptr) :: start, flow, again, rows, trainer, spec, workspace
  integer(c_int64_t), target :: hidden(2) = [16, 16]
  integer, target :: limit = 3
  real(c_double) :: log_prob(300), other(300), samples(2, 10), gradient(2, 300), low, high
  real(c_float) :: single(2, 5)
  integer(c_size_t) :: length, known
  integer(c_int32_t) :: status
  integer :: i

  call get_command_argument(1, folder)
  path = trim(folder)//'/front-fortran.h5'//c_null_char
  do i = 1, 300
    data(:, i) = [sin(0.37d0*i), cos(1.1d0*i) + 0.1d0*i/300]
  end do
  if (diffeo_version_number() /= DIFFEO_HEADER_VERSION_NUMBER) error stop 'version'
  if (diffeo_text(diffeo_version_string()) /= DIFFEO_HEADER_VERSION_STRING) error stop 'version'
  message = diffeo_message()//diffeo_text(c_null_ptr)
  if (message /= '') error stop 'message'

  call check(diffeo_architecture_options_init(architecture, c_sizeof(architecture)))
  call check(diffeo_network_options_init(network, c_sizeof(network)))
  network%hidden = c_loc(hidden)
  network%hidden_count = size(hidden)
  architecture%dim = 2
  architecture%transforms = 2
  architecture%dtype = DIFFEO_F64
  architecture%network = c_loc(network)
  call check(diffeo_maf_create(architecture, start))

  call check(diffeo_train_options_init(options, c_sizeof(options)))
  options%batch_size = 64
  report%struct_size = c_sizeof(report)
  status = diffeo_fit_f64(start, options, data, 300_c_int64_t, n_context=0_c_int64_t, &
      on_progress=c_funloc(progress), user=c_loc(limit), trained=flow, report=report)
  if (status /= DIFFEO_ECANCELLED .or. report%epoch /= 3 .or. epochs /= 3) error stop 'fit'

  ! Rows that a function gives are the same training.
  options%max_epochs = 3
  call check(diffeo_rows_create_f64(300_c_int64_t, 2_c_int64_t, 0_c_int64_t, 0_c_int32_t, c_funloc(read_rows), &
      c_null_ptr, rows))
  call check(diffeo_trainer_create_rows(start, options, rows, trainer))
  do while (diffeo_trainer_finished(trainer) == 0)
    call check(diffeo_trainer_step(trainer, 0_c_int64_t))
  end do
  call check(diffeo_trainer_best(trainer, again))
  call check(diffeo_workspace_create(2_c_int32_t, workspace))
  call check(diffeo_flow_log_prob_f64(flow, data, 300_c_int64_t, n_context=0_c_int64_t, workspace=workspace, &
      log_prob=log_prob))
  call check(diffeo_flow_log_prob_f64(again, data, 300_c_int64_t, n_context=0_c_int64_t, workspace=c_null_ptr, &
      log_prob=other))
  if (any(log_prob /= other) .or. any(log_prob < -20) .or. any(log_prob > 5)) error stop 'log_prob'
  call check(diffeo_flow_log_prob_gradient_f64(flow, data, 300_c_int64_t, n_context=0_c_int64_t, &
      workspace=workspace, grad_x=gradient))
  if (all(abs(gradient) < 1d-6)) error stop 'gradient'

  call check(diffeo_flow_save(flow, path))
  call diffeo_flow_destroy(again)
  call check(diffeo_flow_load(path, again))
  call check(diffeo_flow_log_prob_f64(again, data, 300_c_int64_t, n_context=0_c_int64_t, workspace=c_null_ptr, &
      log_prob=other))
  if (any(log_prob /= other)) error stop 'loaded'
  call check(diffeo_flow_sample_f64(flow, 1_c_int64_t, 0_c_int64_t, 10_c_int64_t, n_context=0_c_int64_t, &
      workspace=workspace, x=samples))
  call check(diffeo_flow_sample_f32(flow, 1_c_int64_t, 5_c_int64_t, 5_c_int64_t, n_context=0_c_int64_t, &
      workspace=workspace, x=single))
  if (any(single /= real(samples(:, 6:10), c_float))) error stop 'samples are by their number'
  call check(diffeo_flow_describe(flow, text, len(text, c_size_t), length))
  if (index(text(1:length), 'autoregressive') == 0) error stop 'describe'
  call check(diffeo_flow_describe(flow, capacity=0_c_size_t, length=known))
  if (known /= length) error stop 'describe, for the length'
  call bounds('spline.bins', low, high)
  if (low /= 2 .or. high /= 64) error stop 'bounds'

  ! Errors: an integer and a message.
  status = diffeo_flow_load(trim(folder)//'/nothing.h5'//c_null_char, rows)
  message = diffeo_message()
  if (status /= DIFFEO_EIO .or. index(message, 'nothing.h5') == 0 .or. c_associated(rows)) error stop 'load'
  status = diffeo_flow_log_prob_f64(flow, n=3_c_int64_t, n_context=0_c_int64_t, workspace=c_null_ptr)
  message = diffeo_message()
  if (status /= DIFFEO_EINVAL .or. index(message, 'NULL') == 0) error stop 'NULL'
  call check(diffeo_spec_create(2_c_int64_t, 0_c_int64_t, DIFFEO_F32, spec))
  call check(diffeo_spec_add_coupling(spec))
  call check(diffeo_spec_add_permutation(spec, [1_c_int64_t, 0_c_int64_t]))
  if (diffeo_spec_add_permutation(spec, [1_c_int64_t, 1_c_int64_t]) /= DIFFEO_EINVAL) error stop 'permutation'

  call diffeo_spec_destroy(spec)
  call diffeo_trainer_destroy(trainer)
  call diffeo_workspace_destroy(workspace)
  call diffeo_flow_destroy(start)
  call diffeo_flow_destroy(flow)
  call diffeo_flow_destroy(again)
  print '(a)', 'ok'
contains
  subroutine bounds(option, low, high)
    character(len=*), intent(in) :: option
    real(c_double), intent(out) :: low, high
    real(c_double) :: ends(2)
    call check(diffeo_option_bounds(option//c_null_char, ends(1:1), ends(2:2)))
    low = ends(1)
    high = ends(2)
  end subroutine
end program
