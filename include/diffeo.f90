! diffeo.f90 - diffeo.h for Fortran 2018: every function, struct and constant. Written by scripts/generate-interface.
!
! diffeo.h says what they mean. Of Fortran:
!   - A batch of n rows of dim values is an array x(dim, n).
!   - What may be NULL in C may be left out: all arrays, structs and strings are optional. Arguments after one that is
!     left out have their keywords. (Where C writes one number, as low of diffeo_option_bounds, it is an array of one.)
!   - Handles are type(c_ptr). Functions of yours are passed as c_funloc(...); their types are abstract interfaces.
!   - Strings end with a 0: trim(path)//c_null_char. diffeo_text makes one of C's a Fortran string.
!   - A status that is not DIFFEO_OK is an error, and diffeo_message() is what was wrong, in words.
!   - Fortran has no unsigned integers: seeds beyond 2^63 - 1 are the negative numbers with their bits.
!   - DIFFEO_VERSION_NUMBER and DIFFEO_VERSION_STRING are DIFFEO_HEADER_VERSION_NUMBER and so on: letters have no case.
!   - struct_size is c_sizeof(options), which is what the _init functions take; reports have it set before the call.
module diffeo
  use, intrinsic :: iso_c_binding
  implicit none
  public

  integer(c_int32_t), parameter :: DIFFEO_VERSION_MAJOR = 0_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_VERSION_MINOR = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_VERSION_PATCH = 0_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_HEADER_VERSION_NUMBER = 200_c_int32_t
  character(len=*), parameter :: DIFFEO_HEADER_VERSION_STRING = '0.2.0'
  integer(c_int32_t), parameter :: DIFFEO_BATCH_NORM_ROWS = 512_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_OK = 0_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EINVAL = -1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ENOMEM = -2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ESHAPE = -3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EDTYPE = -4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EIO = -5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EFORMAT = -6_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EVERSION = -7_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ENUMERIC = -8_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ECANCELLED = -9_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ESTATE = -10_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EUNSUPPORTED = -11_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_EINTERNAL = -127_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_F32 = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_F64 = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_RELU = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TANH = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ELU = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SILU = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_LEAKY_RELU = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SOFTPLUS = 6_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SIGMOID = 7_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_GELU = 8_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_GELU_ERF = 9_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MISH = 10_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_HARD_SILU = 11_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_SCALE_SOFT_CLIP = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_EXP = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_TANH = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_SOFTPLUS = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_SIGMOID = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_ADDITIVE = 6_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_GATED = 7_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_CLAMPED_SOFTPLUS = 8_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_CLAMPED_EXP = 9_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_RECIPROCAL_SIGMOID = 10_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_ATAN = 11_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_SKEWED_CLIP = 12_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_CLIPPED_SOFTPLUS = 13_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCALE_SOFTPLUS_ARSINH = 14_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_ORDER_NATURAL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ORDER_REVERSED = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ORDER_RANDOM = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ORDER_GIVEN = 4_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_DEGREES_SEQUENTIAL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DEGREES_RANDOM = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_MASK_EVEN = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MASK_ODD = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MASK_FIRST = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MASK_LAST = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MASK_RANDOM = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MASK_GIVEN = 6_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_BLOCKS_PLAIN = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BLOCKS_RESIDUAL = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BLOCKS_PREACTIVATION = 3_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_CONTEXT_INPUT = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_CONTEXT_GATE = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_CONTEXT_SHIFT = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_CONTEXT_ADD = 4_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_LINEAR = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_PERIODIC = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_INTERVAL = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_FREE = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_EXTENDED = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BOUNDARY_HALF_TURN = 6_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_DERIVATIVE_SOFTPLUS = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DERIVATIVE_EXP = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_ENCODING_CIRCLE = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ENCODING_NUMBERS = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_FAMILY_NORMAL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_FAMILY_LOGISTIC = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_TARGET_UNIFORM = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TARGET_LOGISTIC = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_MAP_AFFINE = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MAP_SPLINE = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MAP_MIXTURE = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MAP_SINH_ARCSINH = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MAP_LINEAR_SPLINE = 5_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_BASE_STANDARD_NORMAL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_NORMAL = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_LOGISTIC = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_UNIFORM = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_STUDENT_T = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_MIXTURE = 6_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_BASE_BETA = 7_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_COVARIANCE_DIAGONAL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_COVARIANCE_FULL = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_COVARIANCE_PRECISION = 3_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_DIAGONAL_EXP = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DIAGONAL_SOFTPLUS = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_MADE_GAUSSIAN = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MADE_MIXTURE = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_MADE_BERNOULLI = 3_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_SQUEEZE_CHANNELS = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SQUEEZE_PLACES = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SQUEEZE_DIAGONALS = 3_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_FIRST = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_LAST = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_EVEN = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_ODD = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_NONE = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_IMAGE_MASK_GIVEN = 6_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_STANDARDIZE_DEVIATION = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_STANDARDIZE_ROBUST = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LOGIT = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LOG = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_SOFTPLUS = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL = 4_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LEAKY_TANH = 5_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LEAKY_RELU = 6_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_LOG_TANH = 7_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_DOMAIN_PROBIT = 8_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_OPTIMIZER_ADAM = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_OPTIMIZER_SGD = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_SCHEDULE_CONSTANT = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCHEDULE_COSINE = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCHEDULE_EXPONENTIAL = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_SCHEDULE_PLATEAU = 4_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_JUDGE_MEAN = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_JUDGE_ROBUST = 2_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_TRAIN_RUNNING = 0_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TRAIN_EPOCH_END = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TRAIN_MAX_EPOCHS = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TRAIN_PATIENCE = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_TRAIN_CANCELLED = 4_c_int32_t

  integer(c_int32_t), parameter :: DIFFEO_ESTIMATOR_REVERSE_KL = 1_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ESTIMATOR_PATH = 2_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ESTIMATOR_IMPORTANCE = 3_c_int32_t
  integer(c_int32_t), parameter :: DIFFEO_ESTIMATOR_MASS_COVERING = 4_c_int32_t

  type, bind(c) :: diffeo_network_options
    integer(c_size_t) :: struct_size
    type(c_ptr) :: hidden
    integer(c_int64_t) :: hidden_count
    integer(c_int32_t) :: activation
    integer(c_int32_t) :: blocks
    integer(c_int32_t) :: context_mode
    integer(c_int32_t) :: normalized
    real(c_double) :: dropout
    real(c_double) :: layer_norm_epsilon
  end type

  type, bind(c) :: diffeo_spline_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: bins
    real(c_double) :: low
    real(c_double) :: high
    real(c_double) :: min_width
    real(c_double) :: min_height
    real(c_double) :: min_derivative
    integer(c_int32_t) :: boundary
    integer(c_int32_t) :: derivative
    real(c_double) :: logit_bound
    real(c_double) :: derivative_bound
    real(c_double) :: boundary_derivative
    integer(c_int32_t) :: half_ends
    integer(c_int32_t) :: encoding
    real(c_double) :: min_lambda
  end type

  type, bind(c) :: diffeo_mixture_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: components
    integer(c_int32_t) :: family
    integer(c_int32_t) :: target
    real(c_double) :: scale_bound
    integer(c_int32_t) :: scale
    integer(c_int32_t) :: reserved
    real(c_double) :: scale_epsilon
  end type

  type, bind(c) :: diffeo_map_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: map
    integer(c_int32_t) :: scale
    real(c_double) :: scale_bound
    real(c_double) :: scale_epsilon
    real(c_double) :: log_scale_low
    real(c_double) :: log_scale_high
    type(c_ptr) :: spline
    type(c_ptr) :: mixture
  end type

  type, bind(c) :: diffeo_autoregressive_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: order
    integer(c_int32_t) :: degrees
    type(c_ptr) :: order_given
    integer(c_int32_t) :: direct
    integer(c_int32_t) :: inverse_map
    integer(c_int64_t) :: seed
    type(c_ptr) :: network
    type(c_ptr) :: map
  end type

  type, bind(c) :: diffeo_coupling_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: mask
    integer(c_int32_t) :: scale_activation
    type(c_ptr) :: mask_given
    integer(c_int64_t) :: seed
    type(c_ptr) :: network
    type(c_ptr) :: map
  end type

  type, bind(c) :: diffeo_elementwise_options
    integer(c_size_t) :: struct_size
    type(c_ptr) :: columns
    integer(c_int64_t) :: column_count
    type(c_ptr) :: network
    type(c_ptr) :: map
  end type

  type, bind(c) :: diffeo_base_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: base
    integer(c_int32_t) :: reserved
    real(c_double) :: low
    real(c_double) :: high
    real(c_double) :: df
    integer(c_int64_t) :: components
    type(c_ptr) :: network
    real(c_double) :: alpha
    real(c_double) :: beta
    integer(c_int32_t) :: covariance
    integer(c_int32_t) :: diagonal
    real(c_double) :: epsilon
  end type

  type, bind(c) :: diffeo_made_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: conditional
    integer(c_int32_t) :: order
    type(c_ptr) :: order_given
    integer(c_int32_t) :: degrees
    integer(c_int32_t) :: direct
    integer(c_int64_t) :: components
    integer(c_int64_t) :: masks
    integer(c_int64_t) :: seed
    type(c_ptr) :: network
  end type

  type, bind(c) :: diffeo_architecture_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: dim
    integer(c_int64_t) :: context_dim
    integer(c_int64_t) :: transforms
    integer(c_int64_t) :: seed
    integer(c_int32_t) :: dtype
    integer(c_int32_t) :: scale
    integer(c_int32_t) :: random_order
    integer(c_int32_t) :: standardize
    integer(c_int32_t) :: actnorm
    integer(c_int32_t) :: batch_norm
    integer(c_int32_t) :: periodic
    integer(c_int32_t) :: conditional
    integer(c_int64_t) :: components
    integer(c_int64_t) :: masks
    integer(c_int64_t) :: bins
    real(c_double) :: bound
    type(c_ptr) :: network
    type(c_ptr) :: base
    integer(c_int64_t) :: features
    type(c_ptr) :: embedding
  end type

  type, bind(c) :: diffeo_convolution_options
    integer(c_size_t) :: struct_size
    type(c_ptr) :: hidden
    integer(c_int64_t) :: hidden_count
    integer(c_int32_t) :: activation
    integer(c_int32_t) :: blocks
    integer(c_int64_t) :: kernel_first
    integer(c_int64_t) :: kernel_hidden
    integer(c_int64_t) :: kernel_last
    integer(c_int32_t) :: gain
    integer(c_int32_t) :: ones_outside
  end type

  type, bind(c) :: diffeo_image_coupling_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: mask
    integer(c_int32_t) :: reserved
    type(c_ptr) :: mask_given
    type(c_ptr) :: network
    type(c_ptr) :: map
  end type

  type, bind(c) :: diffeo_split_options
    integer(c_size_t) :: struct_size
    integer(c_int32_t) :: keep
    integer(c_int32_t) :: prior
    type(c_ptr) :: network
  end type

  type, bind(c) :: diffeo_image_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: channels
    integer(c_int64_t) :: height
    integer(c_int64_t) :: width
    integer(c_int64_t) :: context_dim
    integer(c_int64_t) :: levels
    integer(c_int64_t) :: steps
    integer(c_int64_t) :: quantization
    real(c_double) :: alpha
    integer(c_int64_t) :: seed
    integer(c_int32_t) :: dtype
    integer(c_int32_t) :: scale
    integer(c_int32_t) :: split
    integer(c_int32_t) :: learned_prior
    integer(c_int32_t) :: learned_top
    integer(c_int32_t) :: lu
    type(c_ptr) :: network
    type(c_ptr) :: map
  end type

  type, bind(c) :: diffeo_train_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: batch_size
    integer(c_int64_t) :: max_epochs
    integer(c_int64_t) :: patience
    real(c_double) :: validation_fraction
    integer(c_int64_t) :: seed
    integer(c_int32_t) :: threads
    integer(c_int32_t) :: judge
    integer(c_int32_t) :: optimizer
    integer(c_int32_t) :: schedule
    real(c_double) :: learning_rate
    integer(c_int64_t) :: warmup_steps
    real(c_double) :: rate_decay
    integer(c_int64_t) :: plateau_patience
    real(c_double) :: beta1
    real(c_double) :: beta2
    real(c_double) :: epsilon
    real(c_double) :: momentum
    real(c_double) :: weight_decay
    real(c_double) :: l2
    real(c_double) :: clip_norm
    real(c_double) :: clip_quantile
    real(c_double) :: ema_decay
    real(c_double) :: x_noise
    integer(c_int32_t) :: negative_weights
    integer(c_int32_t) :: reserved
    integer(c_int64_t) :: rows_memory
    integer(c_int64_t) :: image_shift
    integer(c_int32_t) :: image_flip
    integer(c_int32_t) :: reserved2
  end type

  type, bind(c) :: diffeo_train_report
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: epoch
    integer(c_int64_t) :: batch
    integer(c_int64_t) :: batches_per_epoch
    integer(c_int64_t) :: train_rows
    integer(c_int64_t) :: validation_rows
    real(c_double) :: effective_rows
    real(c_double) :: train_log_prob
    real(c_double) :: train_robust_log_prob
    real(c_double) :: validation_log_prob
    real(c_double) :: validation_robust_log_prob
    real(c_double) :: worst_log_prob
    integer(c_int64_t) :: worst_row
    real(c_double) :: best_log_prob
    integer(c_int64_t) :: best_epoch
    real(c_double) :: gradient_norm
    real(c_double) :: learning_rate
    real(c_double) :: base_learning_rate
    real(c_double) :: rows_per_second
    real(c_double) :: seconds
    real(c_double) :: seconds_left
    integer(c_int64_t) :: steps
    integer(c_int64_t) :: skipped_steps
    integer(c_int64_t) :: cut_steps
    integer(c_int32_t) :: averaged
    integer(c_int32_t) :: state
  end type

  type, bind(c) :: diffeo_vi_options
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: steps
    integer(c_int64_t) :: batch_size
    integer(c_int64_t) :: window
    integer(c_int64_t) :: patience
    integer(c_int32_t) :: estimator
    integer(c_int32_t) :: draws
    real(c_double) :: tempering
    integer(c_int64_t) :: tempering_steps
    type(c_ptr) :: train
  end type

  type, bind(c) :: diffeo_variational_report
    integer(c_size_t) :: struct_size
    integer(c_int64_t) :: steps
    integer(c_int64_t) :: total_steps
    integer(c_int64_t) :: windows
    real(c_double) :: elbo
    real(c_double) :: elbo_error
    real(c_double) :: bound
    real(c_double) :: best_bound
    integer(c_int64_t) :: best_window
    real(c_double) :: log_evidence
    real(c_double) :: effective_samples
    real(c_double) :: pareto_k
    real(c_double) :: inverse_temperature
    real(c_double) :: gradient_norm
    real(c_double) :: learning_rate
    real(c_double) :: base_learning_rate
    real(c_double) :: samples_per_second
    real(c_double) :: seconds
    real(c_double) :: seconds_left
    integer(c_int64_t) :: skipped_steps
    integer(c_int64_t) :: cut_steps
    integer(c_int32_t) :: averaged
    integer(c_int32_t) :: state
  end type

  ! Functions of yours.
  abstract interface
    subroutine diffeo_job(jobs, index) bind(c)
      import
      type(c_ptr), value :: jobs
      integer(c_int32_t), value :: index
    end subroutine
    subroutine diffeo_parallel(user, job, jobs, count) bind(c)
      import
      type(c_ptr), value :: user
      type(c_funptr), value :: job
      type(c_ptr), value :: jobs
      integer(c_int32_t), value :: count
    end subroutine
    function diffeo_read_rows_f32(user, first, count, x, context, weights) bind(c)
      import
      type(c_ptr), value :: user
      integer(c_int64_t), value :: first
      integer(c_int64_t), value :: count
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: context(*)
      real(c_float), intent(inout), optional :: weights(*)
      integer(c_int) :: diffeo_read_rows_f32
    end function
    function diffeo_read_rows_f64(user, first, count, x, context, weights) bind(c)
      import
      type(c_ptr), value :: user
      integer(c_int64_t), value :: first
      integer(c_int64_t), value :: count
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: context(*)
      real(c_double), intent(inout), optional :: weights(*)
      integer(c_int) :: diffeo_read_rows_f64
    end function
    function diffeo_progress(report, user) bind(c)
      import
      type(diffeo_train_report), intent(in), optional :: report
      type(c_ptr), value :: user
      integer(c_int) :: diffeo_progress
    end function
    function diffeo_target_f32(user, n, x, context, log_density, gradient) bind(c)
      import
      type(c_ptr), value :: user
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: x(*)
      real(c_float), intent(in), optional :: context(*)
      real(c_float), intent(inout), optional :: log_density(*)
      real(c_float), intent(inout), optional :: gradient(*)
      integer(c_int) :: diffeo_target_f32
    end function
    function diffeo_target_f64(user, n, x, context, log_density, gradient) bind(c)
      import
      type(c_ptr), value :: user
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: x(*)
      real(c_double), intent(in), optional :: context(*)
      real(c_double), intent(inout), optional :: log_density(*)
      real(c_double), intent(inout), optional :: gradient(*)
      integer(c_int) :: diffeo_target_f64
    end function
  end interface

  interface
    function diffeo_version_number() bind(c, name='diffeo_version_number')
      import
      integer(c_int32_t) :: diffeo_version_number
    end function
    function diffeo_version_string() bind(c, name='diffeo_version_string')
      import
      type(c_ptr) :: diffeo_version_string
    end function
    function diffeo_status_name(status) bind(c, name='diffeo_status_name')
      import
      integer(c_int32_t), value :: status
      type(c_ptr) :: diffeo_status_name
    end function
    function diffeo_last_error() bind(c, name='diffeo_last_error')
      import
      type(c_ptr) :: diffeo_last_error
    end function
    function diffeo_workspace_create(threads, workspace) bind(c, name='diffeo_workspace_create')
      import
      integer(c_int32_t), value :: threads
      type(c_ptr), intent(out) :: workspace
      integer(c_int32_t) :: diffeo_workspace_create
    end function
    function diffeo_workspace_create_hosted(threads, parallel, user, workspace) bind(c, &
        name='diffeo_workspace_create_hosted')
      import
      integer(c_int32_t), value :: threads
      type(c_funptr), value :: parallel
      type(c_ptr), value :: user
      type(c_ptr), intent(out) :: workspace
      integer(c_int32_t) :: diffeo_workspace_create_hosted
    end function
    function diffeo_workspace_pin(workspace, processors, count) bind(c, name='diffeo_workspace_pin')
      import
      type(c_ptr), value :: workspace
      integer(c_int64_t), intent(in), optional :: processors(*)
      integer(c_int64_t), value :: count
      integer(c_int32_t) :: diffeo_workspace_pin
    end function
    subroutine diffeo_workspace_destroy(workspace) bind(c, name='diffeo_workspace_destroy')
      import
      type(c_ptr), value :: workspace
    end subroutine
    function diffeo_workspace_threads(workspace) bind(c, name='diffeo_workspace_threads')
      import
      type(c_ptr), value :: workspace
      integer(c_int32_t) :: diffeo_workspace_threads
    end function
    function diffeo_convolution_options_init(options, struct_size) bind(c, &
        name='diffeo_convolution_options_init')
      import
      type(diffeo_convolution_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_convolution_options_init
    end function
    function diffeo_image_coupling_options_init(options, struct_size) bind(c, &
        name='diffeo_image_coupling_options_init')
      import
      type(diffeo_image_coupling_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_image_coupling_options_init
    end function
    function diffeo_split_options_init(options, struct_size) bind(c, &
        name='diffeo_split_options_init')
      import
      type(diffeo_split_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_split_options_init
    end function
    function diffeo_image_options_init(options, struct_size) bind(c, &
        name='diffeo_image_options_init')
      import
      type(diffeo_image_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_image_options_init
    end function
    function diffeo_network_options_init(options, struct_size) bind(c, &
        name='diffeo_network_options_init')
      import
      type(diffeo_network_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_network_options_init
    end function
    function diffeo_spline_options_init(options, struct_size) bind(c, &
        name='diffeo_spline_options_init')
      import
      type(diffeo_spline_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_spline_options_init
    end function
    function diffeo_mixture_options_init(options, struct_size) bind(c, &
        name='diffeo_mixture_options_init')
      import
      type(diffeo_mixture_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_mixture_options_init
    end function
    function diffeo_map_options_init(options, struct_size) bind(c, name='diffeo_map_options_init')
      import
      type(diffeo_map_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_map_options_init
    end function
    function diffeo_autoregressive_options_init(options, struct_size) bind(c, &
        name='diffeo_autoregressive_options_init')
      import
      type(diffeo_autoregressive_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_autoregressive_options_init
    end function
    function diffeo_coupling_options_init(options, struct_size) bind(c, &
        name='diffeo_coupling_options_init')
      import
      type(diffeo_coupling_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_coupling_options_init
    end function
    function diffeo_elementwise_options_init(options, struct_size) bind(c, &
        name='diffeo_elementwise_options_init')
      import
      type(diffeo_elementwise_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_elementwise_options_init
    end function
    function diffeo_base_options_init(options, struct_size) bind(c, name='diffeo_base_options_init')
      import
      type(diffeo_base_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_base_options_init
    end function
    function diffeo_made_options_init(options, struct_size) bind(c, name='diffeo_made_options_init')
      import
      type(diffeo_made_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_made_options_init
    end function
    function diffeo_architecture_options_init(options, struct_size) bind(c, &
        name='diffeo_architecture_options_init')
      import
      type(diffeo_architecture_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_architecture_options_init
    end function
    function diffeo_option_bounds(option, low, high) bind(c, name='diffeo_option_bounds')
      import
      character(kind=c_char), intent(in), optional :: option(*)
      real(c_double), intent(inout), optional :: low(*)
      real(c_double), intent(inout), optional :: high(*)
      integer(c_int32_t) :: diffeo_option_bounds
    end function
    function diffeo_nice_create(options, flow) bind(c, name='diffeo_nice_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_nice_create
    end function
    function diffeo_realnvp_create(options, flow) bind(c, name='diffeo_realnvp_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_realnvp_create
    end function
    function diffeo_glow_create(options, flow) bind(c, name='diffeo_glow_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_glow_create
    end function
    function diffeo_made_create(options, flow) bind(c, name='diffeo_made_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_made_create
    end function
    function diffeo_maf_create(options, flow) bind(c, name='diffeo_maf_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_maf_create
    end function
    function diffeo_iaf_create(options, flow) bind(c, name='diffeo_iaf_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_iaf_create
    end function
    function diffeo_planar_create(options, flow) bind(c, name='diffeo_planar_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_planar_create
    end function
    function diffeo_radial_create(options, flow) bind(c, name='diffeo_radial_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_radial_create
    end function
    function diffeo_cdf_flow_create(options, flow) bind(c, name='diffeo_cdf_flow_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_cdf_flow_create
    end function
    function diffeo_spline_coupling_create(options, flow) bind(c, &
        name='diffeo_spline_coupling_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_spline_coupling_create
    end function
    function diffeo_spline_autoregressive_create(options, flow) bind(c, &
        name='diffeo_spline_autoregressive_create')
      import
      type(diffeo_architecture_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_spline_autoregressive_create
    end function
    function diffeo_glow_image_create(options, flow) bind(c, name='diffeo_glow_image_create')
      import
      type(diffeo_image_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_glow_image_create
    end function
    function diffeo_realnvp_image_create(options, flow) bind(c, name='diffeo_realnvp_image_create')
      import
      type(diffeo_image_options), intent(in), optional :: options
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_realnvp_image_create
    end function
    function diffeo_spec_create(dim, context_dim, dtype, spec) bind(c, name='diffeo_spec_create')
      import
      integer(c_int64_t), value :: dim
      integer(c_int64_t), value :: context_dim
      integer(c_int32_t), value :: dtype
      type(c_ptr), intent(out) :: spec
      integer(c_int32_t) :: diffeo_spec_create
    end function
    function diffeo_spec_create_image(channels, height, width, context_dim, dtype, spec) bind(c, &
        name='diffeo_spec_create_image')
      import
      integer(c_int64_t), value :: channels
      integer(c_int64_t), value :: height
      integer(c_int64_t), value :: width
      integer(c_int64_t), value :: context_dim
      integer(c_int32_t), value :: dtype
      type(c_ptr), intent(out) :: spec
      integer(c_int32_t) :: diffeo_spec_create_image
    end function
    subroutine diffeo_spec_destroy(spec) bind(c, name='diffeo_spec_destroy')
      import
      type(c_ptr), value :: spec
    end subroutine
    function diffeo_spec_set_dtype(spec, dtype) bind(c, name='diffeo_spec_set_dtype')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: dtype
      integer(c_int32_t) :: diffeo_spec_set_dtype
    end function
    function diffeo_spec_invert(spec) bind(c, name='diffeo_spec_invert')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t) :: diffeo_spec_invert
    end function
    function diffeo_spec_add_autoregressive(spec, options) bind(c, &
        name='diffeo_spec_add_autoregressive')
      import
      type(c_ptr), value :: spec
      type(diffeo_autoregressive_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_add_autoregressive
    end function
    function diffeo_spec_add_coupling(spec, options) bind(c, name='diffeo_spec_add_coupling')
      import
      type(c_ptr), value :: spec
      type(diffeo_coupling_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_add_coupling
    end function
    function diffeo_spec_add_permutation(spec, permutation) bind(c, &
        name='diffeo_spec_add_permutation')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), intent(in), optional :: permutation(*)
      integer(c_int32_t) :: diffeo_spec_add_permutation
    end function
    function diffeo_spec_add_reverse(spec) bind(c, name='diffeo_spec_add_reverse')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t) :: diffeo_spec_add_reverse
    end function
    function diffeo_spec_add_random_permutation(spec, seed) bind(c, &
        name='diffeo_spec_add_random_permutation')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), value :: seed
      integer(c_int32_t) :: diffeo_spec_add_random_permutation
    end function
    function diffeo_spec_add_lu(spec, permuted, seed) bind(c, name='diffeo_spec_add_lu')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: permuted
      integer(c_int64_t), value :: seed
      integer(c_int32_t) :: diffeo_spec_add_lu
    end function
    function diffeo_spec_add_linear(spec) bind(c, name='diffeo_spec_add_linear')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t) :: diffeo_spec_add_linear
    end function
    function diffeo_spec_add_householder(spec, reflections) bind(c, &
        name='diffeo_spec_add_householder')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), value :: reflections
      integer(c_int32_t) :: diffeo_spec_add_householder
    end function
    function diffeo_spec_add_actnorm(spec) bind(c, name='diffeo_spec_add_actnorm')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t) :: diffeo_spec_add_actnorm
    end function
    function diffeo_spec_add_elementwise_affine(spec, shift) bind(c, &
        name='diffeo_spec_add_elementwise_affine')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: shift
      integer(c_int32_t) :: diffeo_spec_add_elementwise_affine
    end function
    function diffeo_spec_add_batch_norm(spec, epsilon, momentum) bind(c, &
        name='diffeo_spec_add_batch_norm')
      import
      type(c_ptr), value :: spec
      real(c_double), value :: epsilon
      real(c_double), value :: momentum
      integer(c_int32_t) :: diffeo_spec_add_batch_norm
    end function
    function diffeo_spec_add_planar(spec, network) bind(c, name='diffeo_spec_add_planar')
      import
      type(c_ptr), value :: spec
      type(diffeo_network_options), intent(in), optional :: network
      integer(c_int32_t) :: diffeo_spec_add_planar
    end function
    function diffeo_spec_add_radial(spec, network) bind(c, name='diffeo_spec_add_radial')
      import
      type(c_ptr), value :: spec
      type(diffeo_network_options), intent(in), optional :: network
      integer(c_int32_t) :: diffeo_spec_add_radial
    end function
    function diffeo_spec_add_elementwise(spec, options) bind(c, name='diffeo_spec_add_elementwise')
      import
      type(c_ptr), value :: spec
      type(diffeo_elementwise_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_add_elementwise
    end function
    function diffeo_spec_add_squeeze(spec, order) bind(c, name='diffeo_spec_add_squeeze')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: order
      integer(c_int32_t) :: diffeo_spec_add_squeeze
    end function
    function diffeo_spec_add_unsqueeze(spec, order) bind(c, name='diffeo_spec_add_unsqueeze')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: order
      integer(c_int32_t) :: diffeo_spec_add_unsqueeze
    end function
    function diffeo_spec_add_image_coupling(spec, options) bind(c, &
        name='diffeo_spec_add_image_coupling')
      import
      type(c_ptr), value :: spec
      type(diffeo_image_coupling_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_add_image_coupling
    end function
    function diffeo_spec_add_split(spec, options) bind(c, name='diffeo_spec_add_split')
      import
      type(c_ptr), value :: spec
      type(diffeo_split_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_add_split
    end function
    function diffeo_spec_map(spec, map) bind(c, name='diffeo_spec_map')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), intent(inout), optional :: map(*)
      integer(c_int32_t) :: diffeo_spec_map
    end function
    function diffeo_spec_set_standardization(spec, standardization) bind(c, &
        name='diffeo_spec_set_standardization')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: standardization
      integer(c_int32_t) :: diffeo_spec_set_standardization
    end function
    function diffeo_spec_add_standardize(spec, mean, std) bind(c, &
        name='diffeo_spec_add_standardize')
      import
      type(c_ptr), value :: spec
      real(c_double), intent(in), optional :: mean(*)
      real(c_double), intent(in), optional :: std(*)
      integer(c_int32_t) :: diffeo_spec_add_standardize
    end function
    function diffeo_spec_standardize_context(spec, mean, std) bind(c, &
        name='diffeo_spec_standardize_context')
      import
      type(c_ptr), value :: spec
      real(c_double), intent(in), optional :: mean(*)
      real(c_double), intent(in), optional :: std(*)
      integer(c_int32_t) :: diffeo_spec_standardize_context
    end function
    function diffeo_spec_set_embedding(spec, features, network) bind(c, &
        name='diffeo_spec_set_embedding')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), value :: features
      type(diffeo_network_options), intent(in), optional :: network
      integer(c_int32_t) :: diffeo_spec_set_embedding
    end function
    function diffeo_spec_add_domain(spec, domain, columns, count, low, high) bind(c, &
        name='diffeo_spec_add_domain')
      import
      type(c_ptr), value :: spec
      integer(c_int32_t), value :: domain
      integer(c_int64_t), intent(in), optional :: columns(*)
      integer(c_int64_t), value :: count
      real(c_double), intent(in), optional :: low(*)
      real(c_double), intent(in), optional :: high(*)
      integer(c_int32_t) :: diffeo_spec_add_domain
    end function
    function diffeo_spec_add_wrap(spec, low, high, random_shift, seed) bind(c, &
        name='diffeo_spec_add_wrap')
      import
      type(c_ptr), value :: spec
      real(c_double), value :: low
      real(c_double), value :: high
      integer(c_int32_t), value :: random_shift
      integer(c_int64_t), value :: seed
      integer(c_int32_t) :: diffeo_spec_add_wrap
    end function
    function diffeo_spec_add_wrap_columns(spec, columns, count, low, high, random_shift, &
        seed) bind(c, name='diffeo_spec_add_wrap_columns')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), intent(in), optional :: columns(*)
      integer(c_int64_t), value :: count
      real(c_double), intent(in), optional :: low(*)
      real(c_double), intent(in), optional :: high(*)
      integer(c_int32_t), value :: random_shift
      integer(c_int64_t), value :: seed
      integer(c_int32_t) :: diffeo_spec_add_wrap_columns
    end function
    function diffeo_spec_add_dequantize(spec, levels) bind(c, name='diffeo_spec_add_dequantize')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), value :: levels
      integer(c_int32_t) :: diffeo_spec_add_dequantize
    end function
    function diffeo_spec_add_dequantize_columns(spec, columns, count, levels) bind(c, &
        name='diffeo_spec_add_dequantize_columns')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), intent(in), optional :: columns(*)
      integer(c_int64_t), value :: count
      integer(c_int64_t), intent(in), optional :: levels(*)
      integer(c_int32_t) :: diffeo_spec_add_dequantize_columns
    end function
    function diffeo_spec_set_base(spec, options) bind(c, name='diffeo_spec_set_base')
      import
      type(c_ptr), value :: spec
      type(diffeo_base_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_set_base
    end function
    function diffeo_spec_set_base_made(spec, options) bind(c, name='diffeo_spec_set_base_made')
      import
      type(c_ptr), value :: spec
      type(diffeo_made_options), intent(in), optional :: options
      integer(c_int32_t) :: diffeo_spec_set_base_made
    end function
    function diffeo_flow_create(spec, seed, flow) bind(c, name='diffeo_flow_create')
      import
      type(c_ptr), value :: spec
      integer(c_int64_t), value :: seed
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_flow_create
    end function
    subroutine diffeo_flow_destroy(flow) bind(c, name='diffeo_flow_destroy')
      import
      type(c_ptr), value :: flow
    end subroutine
    function diffeo_flow_compose(first, then, flow) bind(c, name='diffeo_flow_compose')
      import
      type(c_ptr), value :: first
      type(c_ptr), value :: then
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_flow_compose
    end function
    function diffeo_flow_load(path, flow) bind(c, name='diffeo_flow_load')
      import
      character(kind=c_char), intent(in), optional :: path(*)
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_flow_load
    end function
    function diffeo_flow_save(flow, path) bind(c, name='diffeo_flow_save')
      import
      type(c_ptr), value :: flow
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_flow_save
    end function
    function diffeo_flow_load_memory(bytes, size, flow) bind(c, name='diffeo_flow_load_memory')
      import
      type(c_ptr), value :: bytes
      integer(c_size_t), value :: size
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_flow_load_memory
    end function
    function diffeo_flow_save_memory(flow, bytes, capacity, size) bind(c, &
        name='diffeo_flow_save_memory')
      import
      type(c_ptr), value :: flow
      type(c_ptr), value :: bytes
      integer(c_size_t), value :: capacity
      integer(c_size_t), intent(inout), optional :: size
      integer(c_int32_t) :: diffeo_flow_save_memory
    end function
    function diffeo_flow_dim(flow) bind(c, name='diffeo_flow_dim')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t) :: diffeo_flow_dim
    end function
    function diffeo_flow_context_dim(flow) bind(c, name='diffeo_flow_context_dim')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t) :: diffeo_flow_context_dim
    end function
    function diffeo_flow_shape(flow, shape, capacity) bind(c, name='diffeo_flow_shape')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), intent(inout), optional :: shape(*)
      integer(c_int64_t), value :: capacity
      integer(c_int64_t) :: diffeo_flow_shape
    end function
    function diffeo_flow_dtype(flow) bind(c, name='diffeo_flow_dtype')
      import
      type(c_ptr), value :: flow
      integer(c_int32_t) :: diffeo_flow_dtype
    end function
    function diffeo_flow_layer_count(flow) bind(c, name='diffeo_flow_layer_count')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t) :: diffeo_flow_layer_count
    end function
    function diffeo_flow_levels(flow, levels) bind(c, name='diffeo_flow_levels')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), intent(inout), optional :: levels(*)
      integer(c_int32_t) :: diffeo_flow_levels
    end function
    function diffeo_flow_parameter_count(flow) bind(c, name='diffeo_flow_parameter_count')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t) :: diffeo_flow_parameter_count
    end function
    function diffeo_flow_describe(flow, text, capacity, length) bind(c, name='diffeo_flow_describe')
      import
      type(c_ptr), value :: flow
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), value :: capacity
      integer(c_size_t), intent(inout), optional :: length
      integer(c_int32_t) :: diffeo_flow_describe
    end function
    function diffeo_flow_set_metadata(flow, key, value) bind(c, name='diffeo_flow_set_metadata')
      import
      type(c_ptr), value :: flow
      character(kind=c_char), intent(in), optional :: key(*)
      character(kind=c_char), intent(in), optional :: value(*)
      integer(c_int32_t) :: diffeo_flow_set_metadata
    end function
    function diffeo_flow_metadata(flow, key, text, capacity, length) bind(c, &
        name='diffeo_flow_metadata')
      import
      type(c_ptr), value :: flow
      character(kind=c_char), intent(in), optional :: key(*)
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), value :: capacity
      integer(c_size_t), intent(inout), optional :: length
      integer(c_int32_t) :: diffeo_flow_metadata
    end function
    function diffeo_flow_metadata_count(flow) bind(c, name='diffeo_flow_metadata_count')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t) :: diffeo_flow_metadata_count
    end function
    function diffeo_flow_metadata_key(flow, index, text, capacity, length) bind(c, &
        name='diffeo_flow_metadata_key')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: index
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), value :: capacity
      integer(c_size_t), intent(inout), optional :: length
      integer(c_int32_t) :: diffeo_flow_metadata_key
    end function
    function diffeo_flow_parameters_f32(flow, parameters) bind(c, name='diffeo_flow_parameters_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(inout), optional :: parameters(*)
      integer(c_int32_t) :: diffeo_flow_parameters_f32
    end function
    function diffeo_flow_parameters_f64(flow, parameters) bind(c, name='diffeo_flow_parameters_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(inout), optional :: parameters(*)
      integer(c_int32_t) :: diffeo_flow_parameters_f64
    end function
    function diffeo_flow_with_parameters_f32(flow, parameters, changed) bind(c, &
        name='diffeo_flow_with_parameters_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: parameters(*)
      type(c_ptr), intent(out) :: changed
      integer(c_int32_t) :: diffeo_flow_with_parameters_f32
    end function
    function diffeo_flow_with_parameters_f64(flow, parameters, changed) bind(c, &
        name='diffeo_flow_with_parameters_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: parameters(*)
      type(c_ptr), intent(out) :: changed
      integer(c_int32_t) :: diffeo_flow_with_parameters_f64
    end function
    function diffeo_flow_trained_parameters(flow, trained) bind(c, &
        name='diffeo_flow_trained_parameters')
      import
      type(c_ptr), value :: flow
      integer(c_int8_t), intent(inout), optional :: trained(*)
      integer(c_int32_t) :: diffeo_flow_trained_parameters
    end function
    function diffeo_flow_log_prob_f32(flow, x, n, context, n_context, workspace, log_prob) bind(c, &
        name='diffeo_flow_log_prob_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_f32
    end function
    function diffeo_flow_log_prob_f64(flow, x, n, context, n_context, workspace, log_prob) bind(c, &
        name='diffeo_flow_log_prob_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_f64
    end function
    function diffeo_flow_log_prob_gradient_f32(flow, x, n, context, n_context, workspace, log_prob, &
        grad_x, grad_context) bind(c, name='diffeo_flow_log_prob_gradient_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: log_prob(*)
      real(c_float), intent(inout), optional :: grad_x(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_gradient_f32
    end function
    function diffeo_flow_log_prob_gradient_f64(flow, x, n, context, n_context, workspace, log_prob, &
        grad_x, grad_context) bind(c, name='diffeo_flow_log_prob_gradient_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: log_prob(*)
      real(c_double), intent(inout), optional :: grad_x(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_gradient_f64
    end function
    function diffeo_flow_to_noise_f32(flow, x, n, context, n_context, workspace, z, &
        log_det) bind(c, name='diffeo_flow_to_noise_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: z(*)
      real(c_float), intent(inout), optional :: log_det(*)
      integer(c_int32_t) :: diffeo_flow_to_noise_f32
    end function
    function diffeo_flow_to_noise_f64(flow, x, n, context, n_context, workspace, z, &
        log_det) bind(c, name='diffeo_flow_to_noise_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: z(*)
      real(c_double), intent(inout), optional :: log_det(*)
      integer(c_int32_t) :: diffeo_flow_to_noise_f64
    end function
    function diffeo_flow_from_noise_f32(flow, z, n, context, n_context, workspace, x, &
        log_det) bind(c, name='diffeo_flow_from_noise_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: z(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: log_det(*)
      integer(c_int32_t) :: diffeo_flow_from_noise_f32
    end function
    function diffeo_flow_from_noise_f64(flow, z, n, context, n_context, workspace, x, &
        log_det) bind(c, name='diffeo_flow_from_noise_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: z(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: log_det(*)
      integer(c_int32_t) :: diffeo_flow_from_noise_f64
    end function
    function diffeo_flow_sample_f32(flow, seed, first_row, n, context, n_context, workspace, x, &
        log_prob) bind(c, name='diffeo_flow_sample_f32')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_sample_f32
    end function
    function diffeo_flow_sample_f64(flow, seed, first_row, n, context, n_context, workspace, x, &
        log_prob) bind(c, name='diffeo_flow_sample_f64')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_sample_f64
    end function
    function diffeo_flow_sample_tempered_f32(flow, temperature, seed, first_row, n, context, &
        n_context, workspace, x, log_prob) bind(c, name='diffeo_flow_sample_tempered_f32')
      import
      type(c_ptr), value :: flow
      real(c_double), value :: temperature
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_sample_tempered_f32
    end function
    function diffeo_flow_sample_tempered_f64(flow, temperature, seed, first_row, n, context, &
        n_context, workspace, x, log_prob) bind(c, name='diffeo_flow_sample_tempered_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), value :: temperature
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: log_prob(*)
      integer(c_int32_t) :: diffeo_flow_sample_tempered_f64
    end function
    function diffeo_flow_bits_per_dim_f32(flow, x, n, context, n_context, seed, draws, workspace, &
        bits) bind(c, name='diffeo_flow_bits_per_dim_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: draws
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: bits(*)
      integer(c_int32_t) :: diffeo_flow_bits_per_dim_f32
    end function
    function diffeo_flow_bits_per_dim_f64(flow, x, n, context, n_context, seed, draws, workspace, &
        bits) bind(c, name='diffeo_flow_bits_per_dim_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: draws
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: bits(*)
      integer(c_int32_t) :: diffeo_flow_bits_per_dim_f64
    end function
    function diffeo_flow_log_prob_vjp_f32(flow, x, n, context, n_context, g_log_prob, workspace, &
        log_prob, grad_x, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_log_prob_vjp_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: g_log_prob(*)
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: log_prob(*)
      real(c_float), intent(inout), optional :: grad_x(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      real(c_float), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_vjp_f32
    end function
    function diffeo_flow_log_prob_vjp_f64(flow, x, n, context, n_context, g_log_prob, workspace, &
        log_prob, grad_x, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_log_prob_vjp_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: g_log_prob(*)
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: log_prob(*)
      real(c_double), intent(inout), optional :: grad_x(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      real(c_double), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_vjp_f64
    end function
    function diffeo_flow_to_noise_vjp_f32(flow, x, n, context, n_context, g_z, g_log_det, &
        workspace, z, log_det, grad_x, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_to_noise_vjp_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: g_z(*)
      real(c_float), intent(in), optional :: g_log_det(*)
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: z(*)
      real(c_float), intent(inout), optional :: log_det(*)
      real(c_float), intent(inout), optional :: grad_x(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      real(c_float), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_to_noise_vjp_f32
    end function
    function diffeo_flow_to_noise_vjp_f64(flow, x, n, context, n_context, g_z, g_log_det, &
        workspace, z, log_det, grad_x, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_to_noise_vjp_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: g_z(*)
      real(c_double), intent(in), optional :: g_log_det(*)
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: z(*)
      real(c_double), intent(inout), optional :: log_det(*)
      real(c_double), intent(inout), optional :: grad_x(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      real(c_double), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_to_noise_vjp_f64
    end function
    function diffeo_flow_from_noise_vjp_f32(flow, z, n, context, n_context, g_x, g_log_det, &
        workspace, x, log_det, grad_z, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_from_noise_vjp_f32')
      import
      type(c_ptr), value :: flow
      real(c_float), intent(in), optional :: z(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: g_x(*)
      real(c_float), intent(in), optional :: g_log_det(*)
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: log_det(*)
      real(c_float), intent(inout), optional :: grad_z(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      real(c_float), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_from_noise_vjp_f32
    end function
    function diffeo_flow_from_noise_vjp_f64(flow, z, n, context, n_context, g_x, g_log_det, &
        workspace, x, log_det, grad_z, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_from_noise_vjp_f64')
      import
      type(c_ptr), value :: flow
      real(c_double), intent(in), optional :: z(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: g_x(*)
      real(c_double), intent(in), optional :: g_log_det(*)
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: log_det(*)
      real(c_double), intent(inout), optional :: grad_z(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      real(c_double), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_from_noise_vjp_f64
    end function
    function diffeo_flow_sample_vjp_f32(flow, seed, first_row, n, context, n_context, g_x, &
        g_log_prob, workspace, x, log_prob, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_sample_vjp_f32')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: g_x(*)
      real(c_float), intent(in), optional :: g_log_prob(*)
      type(c_ptr), value :: workspace
      real(c_float), intent(inout), optional :: x(*)
      real(c_float), intent(inout), optional :: log_prob(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      real(c_float), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_sample_vjp_f32
    end function
    function diffeo_flow_sample_vjp_f64(flow, seed, first_row, n, context, n_context, g_x, &
        g_log_prob, workspace, x, log_prob, grad_context, grad_parameters) bind(c, &
        name='diffeo_flow_sample_vjp_f64')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: g_x(*)
      real(c_double), intent(in), optional :: g_log_prob(*)
      type(c_ptr), value :: workspace
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(inout), optional :: log_prob(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      real(c_double), intent(inout), optional :: grad_parameters(*)
      integer(c_int32_t) :: diffeo_flow_sample_vjp_f64
    end function
    function diffeo_rows_create_f32(n, dim, context_dim, weighted, read, user, rows) bind(c, &
        name='diffeo_rows_create_f32')
      import
      integer(c_int64_t), value :: n
      integer(c_int64_t), value :: dim
      integer(c_int64_t), value :: context_dim
      integer(c_int32_t), value :: weighted
      type(c_funptr), value :: read
      type(c_ptr), value :: user
      type(c_ptr), intent(out) :: rows
      integer(c_int32_t) :: diffeo_rows_create_f32
    end function
    function diffeo_rows_create_f64(n, dim, context_dim, weighted, read, user, rows) bind(c, &
        name='diffeo_rows_create_f64')
      import
      integer(c_int64_t), value :: n
      integer(c_int64_t), value :: dim
      integer(c_int64_t), value :: context_dim
      integer(c_int32_t), value :: weighted
      type(c_funptr), value :: read
      type(c_ptr), value :: user
      type(c_ptr), intent(out) :: rows
      integer(c_int32_t) :: diffeo_rows_create_f64
    end function
    function diffeo_rows_open(path, x, context, weights, rows) bind(c, name='diffeo_rows_open')
      import
      character(kind=c_char), intent(in), optional :: path(*)
      character(kind=c_char), intent(in), optional :: x(*)
      character(kind=c_char), intent(in), optional :: context(*)
      character(kind=c_char), intent(in), optional :: weights(*)
      type(c_ptr), intent(out) :: rows
      integer(c_int32_t) :: diffeo_rows_open
    end function
    subroutine diffeo_rows_destroy(rows) bind(c, name='diffeo_rows_destroy')
      import
      type(c_ptr), value :: rows
    end subroutine
    function diffeo_rows_count(rows) bind(c, name='diffeo_rows_count')
      import
      type(c_ptr), value :: rows
      integer(c_int64_t) :: diffeo_rows_count
    end function
    function diffeo_rows_dim(rows) bind(c, name='diffeo_rows_dim')
      import
      type(c_ptr), value :: rows
      integer(c_int64_t) :: diffeo_rows_dim
    end function
    function diffeo_rows_context_dim(rows) bind(c, name='diffeo_rows_context_dim')
      import
      type(c_ptr), value :: rows
      integer(c_int64_t) :: diffeo_rows_context_dim
    end function
    function diffeo_flow_log_prob_file(flow, rows, workspace, path) bind(c, &
        name='diffeo_flow_log_prob_file')
      import
      type(c_ptr), value :: flow
      type(c_ptr), value :: rows
      type(c_ptr), value :: workspace
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_flow_log_prob_file
    end function
    function diffeo_flow_sample_file(flow, seed, first_row, n, context, workspace, path) bind(c, &
        name='diffeo_flow_sample_file')
      import
      type(c_ptr), value :: flow
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: first_row
      integer(c_int64_t), value :: n
      type(c_ptr), value :: context
      type(c_ptr), value :: workspace
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_flow_sample_file
    end function
    function diffeo_train_options_init(options, struct_size) bind(c, &
        name='diffeo_train_options_init')
      import
      type(diffeo_train_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_train_options_init
    end function
    function diffeo_trainer_create_f32(flow, options, x, n, context, n_context, weights, &
        trainer) bind(c, name='diffeo_trainer_create_f32')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: weights(*)
      type(c_ptr), intent(out) :: trainer
      integer(c_int32_t) :: diffeo_trainer_create_f32
    end function
    function diffeo_trainer_create_f64(flow, options, x, n, context, n_context, weights, &
        trainer) bind(c, name='diffeo_trainer_create_f64')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: weights(*)
      type(c_ptr), intent(out) :: trainer
      integer(c_int32_t) :: diffeo_trainer_create_f64
    end function
    subroutine diffeo_trainer_destroy(trainer) bind(c, name='diffeo_trainer_destroy')
      import
      type(c_ptr), value :: trainer
    end subroutine
    function diffeo_trainer_set_validation_f32(trainer, x, n, context, n_context, weights) bind(c, &
        name='diffeo_trainer_set_validation_f32')
      import
      type(c_ptr), value :: trainer
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: weights(*)
      integer(c_int32_t) :: diffeo_trainer_set_validation_f32
    end function
    function diffeo_trainer_set_validation_f64(trainer, x, n, context, n_context, weights) bind(c, &
        name='diffeo_trainer_set_validation_f64')
      import
      type(c_ptr), value :: trainer
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: weights(*)
      integer(c_int32_t) :: diffeo_trainer_set_validation_f64
    end function
    function diffeo_trainer_create_rows(flow, options, rows, trainer) bind(c, &
        name='diffeo_trainer_create_rows')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      type(c_ptr), value :: rows
      type(c_ptr), intent(out) :: trainer
      integer(c_int32_t) :: diffeo_trainer_create_rows
    end function
    function diffeo_trainer_set_validation_rows(trainer, rows) bind(c, &
        name='diffeo_trainer_set_validation_rows')
      import
      type(c_ptr), value :: trainer
      type(c_ptr), value :: rows
      integer(c_int32_t) :: diffeo_trainer_set_validation_rows
    end function
    function diffeo_trainer_step(trainer, batches, report) bind(c, name='diffeo_trainer_step')
      import
      type(c_ptr), value :: trainer
      integer(c_int64_t), value :: batches
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_trainer_step
    end function
    function diffeo_trainer_report(trainer, report) bind(c, name='diffeo_trainer_report')
      import
      type(c_ptr), value :: trainer
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_trainer_report
    end function
    function diffeo_trainer_set_learning_rate(trainer, rate) bind(c, &
        name='diffeo_trainer_set_learning_rate')
      import
      type(c_ptr), value :: trainer
      real(c_double), value :: rate
      integer(c_int32_t) :: diffeo_trainer_set_learning_rate
    end function
    function diffeo_trainer_set_workspace(trainer, workspace) bind(c, &
        name='diffeo_trainer_set_workspace')
      import
      type(c_ptr), value :: trainer
      type(c_ptr), value :: workspace
      integer(c_int32_t) :: diffeo_trainer_set_workspace
    end function
    function diffeo_trainer_finished(trainer) bind(c, name='diffeo_trainer_finished')
      import
      type(c_ptr), value :: trainer
      integer(c_int32_t) :: diffeo_trainer_finished
    end function
    function diffeo_trainer_best(trainer, flow) bind(c, name='diffeo_trainer_best')
      import
      type(c_ptr), value :: trainer
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_trainer_best
    end function
    function diffeo_trainer_current(trainer, flow) bind(c, name='diffeo_trainer_current')
      import
      type(c_ptr), value :: trainer
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_trainer_current
    end function
    function diffeo_trainer_save(trainer, path) bind(c, name='diffeo_trainer_save')
      import
      type(c_ptr), value :: trainer
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_trainer_save
    end function
    function diffeo_trainer_load(trainer, path) bind(c, name='diffeo_trainer_load')
      import
      type(c_ptr), value :: trainer
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_trainer_load
    end function
    subroutine diffeo_trainer_cancel(trainer) bind(c, name='diffeo_trainer_cancel')
      import
      type(c_ptr), value :: trainer
    end subroutine
    function diffeo_fit_f32(flow, options, x, n, context, n_context, weights, on_progress, user, &
        trained, report) bind(c, name='diffeo_fit_f32')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      real(c_float), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_float), intent(in), optional :: weights(*)
      type(c_funptr), value :: on_progress
      type(c_ptr), value :: user
      type(c_ptr), intent(out) :: trained
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_fit_f32
    end function
    function diffeo_fit_f64(flow, options, x, n, context, n_context, weights, on_progress, user, &
        trained, report) bind(c, name='diffeo_fit_f64')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      real(c_double), intent(in), optional :: x(*)
      integer(c_int64_t), value :: n
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      real(c_double), intent(in), optional :: weights(*)
      type(c_funptr), value :: on_progress
      type(c_ptr), value :: user
      type(c_ptr), intent(out) :: trained
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_fit_f64
    end function
    function diffeo_vi_options_init(options, struct_size) bind(c, name='diffeo_vi_options_init')
      import
      type(diffeo_vi_options), intent(inout), optional :: options
      integer(c_size_t), value :: struct_size
      integer(c_int32_t) :: diffeo_vi_options_init
    end function
    function diffeo_vi_create_f32(flow, options, target, user, context, n_context, vi) bind(c, &
        name='diffeo_vi_create_f32')
      import
      type(c_ptr), value :: flow
      type(diffeo_vi_options), intent(in), optional :: options
      type(c_funptr), value :: target
      type(c_ptr), value :: user
      real(c_float), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), intent(out) :: vi
      integer(c_int32_t) :: diffeo_vi_create_f32
    end function
    function diffeo_vi_create_f64(flow, options, target, user, context, n_context, vi) bind(c, &
        name='diffeo_vi_create_f64')
      import
      type(c_ptr), value :: flow
      type(diffeo_vi_options), intent(in), optional :: options
      type(c_funptr), value :: target
      type(c_ptr), value :: user
      real(c_double), intent(in), optional :: context(*)
      integer(c_int64_t), value :: n_context
      type(c_ptr), intent(out) :: vi
      integer(c_int32_t) :: diffeo_vi_create_f64
    end function
    subroutine diffeo_vi_destroy(vi) bind(c, name='diffeo_vi_destroy')
      import
      type(c_ptr), value :: vi
    end subroutine
    function diffeo_vi_step(vi, steps, report) bind(c, name='diffeo_vi_step')
      import
      type(c_ptr), value :: vi
      integer(c_int64_t), value :: steps
      type(diffeo_variational_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_vi_step
    end function
    function diffeo_vi_step_given_f32(vi, context, grad_context, report) bind(c, &
        name='diffeo_vi_step_given_f32')
      import
      type(c_ptr), value :: vi
      real(c_float), intent(in), optional :: context(*)
      real(c_float), intent(inout), optional :: grad_context(*)
      type(diffeo_variational_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_vi_step_given_f32
    end function
    function diffeo_vi_step_given_f64(vi, context, grad_context, report) bind(c, &
        name='diffeo_vi_step_given_f64')
      import
      type(c_ptr), value :: vi
      real(c_double), intent(in), optional :: context(*)
      real(c_double), intent(inout), optional :: grad_context(*)
      type(diffeo_variational_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_vi_step_given_f64
    end function
    function diffeo_vi_report(vi, report) bind(c, name='diffeo_vi_report')
      import
      type(c_ptr), value :: vi
      type(diffeo_variational_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_vi_report
    end function
    function diffeo_vi_set_learning_rate(vi, rate) bind(c, name='diffeo_vi_set_learning_rate')
      import
      type(c_ptr), value :: vi
      real(c_double), value :: rate
      integer(c_int32_t) :: diffeo_vi_set_learning_rate
    end function
    function diffeo_vi_set_workspace(vi, workspace) bind(c, name='diffeo_vi_set_workspace')
      import
      type(c_ptr), value :: vi
      type(c_ptr), value :: workspace
      integer(c_int32_t) :: diffeo_vi_set_workspace
    end function
    function diffeo_vi_finished(vi) bind(c, name='diffeo_vi_finished')
      import
      type(c_ptr), value :: vi
      integer(c_int32_t) :: diffeo_vi_finished
    end function
    function diffeo_vi_best(vi, flow) bind(c, name='diffeo_vi_best')
      import
      type(c_ptr), value :: vi
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_vi_best
    end function
    function diffeo_vi_current(vi, flow) bind(c, name='diffeo_vi_current')
      import
      type(c_ptr), value :: vi
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_vi_current
    end function
    function diffeo_vi_save(vi, path) bind(c, name='diffeo_vi_save')
      import
      type(c_ptr), value :: vi
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_vi_save
    end function
    function diffeo_vi_load(vi, path) bind(c, name='diffeo_vi_load')
      import
      type(c_ptr), value :: vi
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_vi_load
    end function
    subroutine diffeo_vi_cancel(vi) bind(c, name='diffeo_vi_cancel')
      import
      type(c_ptr), value :: vi
    end subroutine
    function diffeo_optimizer_create(flow, options, total_steps, optimizer) bind(c, &
        name='diffeo_optimizer_create')
      import
      type(c_ptr), value :: flow
      type(diffeo_train_options), intent(in), optional :: options
      integer(c_int64_t), value :: total_steps
      type(c_ptr), intent(out) :: optimizer
      integer(c_int32_t) :: diffeo_optimizer_create
    end function
    subroutine diffeo_optimizer_destroy(optimizer) bind(c, name='diffeo_optimizer_destroy')
      import
      type(c_ptr), value :: optimizer
    end subroutine
    function diffeo_optimizer_step_f32(optimizer, gradient, report) bind(c, &
        name='diffeo_optimizer_step_f32')
      import
      type(c_ptr), value :: optimizer
      real(c_float), intent(in), optional :: gradient(*)
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_optimizer_step_f32
    end function
    function diffeo_optimizer_step_f64(optimizer, gradient, report) bind(c, &
        name='diffeo_optimizer_step_f64')
      import
      type(c_ptr), value :: optimizer
      real(c_double), intent(in), optional :: gradient(*)
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_optimizer_step_f64
    end function
    function diffeo_optimizer_report(optimizer, report) bind(c, name='diffeo_optimizer_report')
      import
      type(c_ptr), value :: optimizer
      type(diffeo_train_report), intent(inout), optional :: report
      integer(c_int32_t) :: diffeo_optimizer_report
    end function
    function diffeo_optimizer_set_learning_rate(optimizer, rate) bind(c, &
        name='diffeo_optimizer_set_learning_rate')
      import
      type(c_ptr), value :: optimizer
      real(c_double), value :: rate
      integer(c_int32_t) :: diffeo_optimizer_set_learning_rate
    end function
    function diffeo_optimizer_set_workspace(optimizer, workspace) bind(c, &
        name='diffeo_optimizer_set_workspace')
      import
      type(c_ptr), value :: optimizer
      type(c_ptr), value :: workspace
      integer(c_int32_t) :: diffeo_optimizer_set_workspace
    end function
    function diffeo_optimizer_current(optimizer, flow) bind(c, name='diffeo_optimizer_current')
      import
      type(c_ptr), value :: optimizer
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_optimizer_current
    end function
    function diffeo_optimizer_average(optimizer, flow) bind(c, name='diffeo_optimizer_average')
      import
      type(c_ptr), value :: optimizer
      type(c_ptr), intent(out) :: flow
      integer(c_int32_t) :: diffeo_optimizer_average
    end function
    function diffeo_optimizer_save(optimizer, path) bind(c, name='diffeo_optimizer_save')
      import
      type(c_ptr), value :: optimizer
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_optimizer_save
    end function
    function diffeo_optimizer_load(optimizer, path) bind(c, name='diffeo_optimizer_load')
      import
      type(c_ptr), value :: optimizer
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int32_t) :: diffeo_optimizer_load
    end function
  end interface

contains

  !> What was wrong in the latest failed call of this thread; '' before any failure.
  function diffeo_message() result(message)
    character(len=:), allocatable :: message
    message = diffeo_text(diffeo_last_error())
  end function

  !> A string of C, such as those of diffeo_version_string and diffeo_status_name.
  function diffeo_text(text) result(string)
    type(c_ptr), intent(in), value :: text
    character(len=:), allocatable :: string
    character(kind=c_char), pointer :: characters(:)
    integer :: i
    interface
      integer(c_size_t) function strlen(text) bind(c)
        import :: c_size_t, c_ptr
        type(c_ptr), value :: text
      end function
    end interface
    string = ''
    if (.not. c_associated(text)) return
    call c_f_pointer(text, characters, [strlen(text)])
    string = repeat(' ', size(characters))
    do i = 1, size(characters)
      string(i:i) = characters(i)
    end do
  end function

end module
