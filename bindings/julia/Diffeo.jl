# What diffeo.h declares, which says what it means: written by scripts/generate-interface. Not tried: there was no Julia
# at hand when it was written.
#
# A batch of n rows is an array of dim x n. Structs are given by Ref: options = Ref{diffeo_train_options}(), then
# diffeo_train_options_init(options, sizeof(options[])). The library is that of ENV["DIFFEO_LIBRARY"], else that of the
# system.
module Diffeo

const library = get(ENV, "DIFFEO_LIBRARY", "libdiffeo.so.0.2")

"""The sentence of the library, thrown by check(status)."""
struct DiffeoError <: Exception
    status::Int32
    message::String
end
Base.showerror(io::IO, error::DiffeoError) = print(io, error.message)
check(status) = status == DIFFEO_OK || throw(DiffeoError(status, unsafe_string(diffeo_last_error())))

const DIFFEO_VERSION_MAJOR = Int32(0)
const DIFFEO_VERSION_MINOR = Int32(2)
const DIFFEO_VERSION_PATCH = Int32(0)
const DIFFEO_VERSION_NUMBER = Int32(200)
const DIFFEO_VERSION_STRING = "0.2.0"
const DIFFEO_BATCH_NORM_ROWS = Int32(512)

const DIFFEO_OK = Int32(0)
const DIFFEO_EINVAL = Int32(-1)
const DIFFEO_ENOMEM = Int32(-2)
const DIFFEO_ESHAPE = Int32(-3)
const DIFFEO_EDTYPE = Int32(-4)
const DIFFEO_EIO = Int32(-5)
const DIFFEO_EFORMAT = Int32(-6)
const DIFFEO_EVERSION = Int32(-7)
const DIFFEO_ENUMERIC = Int32(-8)
const DIFFEO_ECANCELLED = Int32(-9)
const DIFFEO_ESTATE = Int32(-10)
const DIFFEO_EUNSUPPORTED = Int32(-11)
const DIFFEO_EINTERNAL = Int32(-127)

const DIFFEO_F32 = Int32(1)
const DIFFEO_F64 = Int32(2)

const DIFFEO_RELU = Int32(1)
const DIFFEO_TANH = Int32(2)
const DIFFEO_ELU = Int32(3)
const DIFFEO_SILU = Int32(4)
const DIFFEO_LEAKY_RELU = Int32(5)
const DIFFEO_SOFTPLUS = Int32(6)
const DIFFEO_SIGMOID = Int32(7)
const DIFFEO_GELU = Int32(8)
const DIFFEO_GELU_ERF = Int32(9)
const DIFFEO_MISH = Int32(10)
const DIFFEO_HARD_SILU = Int32(11)

const DIFFEO_SCALE_SOFT_CLIP = Int32(1)
const DIFFEO_SCALE_EXP = Int32(2)
const DIFFEO_SCALE_TANH = Int32(3)
const DIFFEO_SCALE_SOFTPLUS = Int32(4)
const DIFFEO_SCALE_SIGMOID = Int32(5)
const DIFFEO_SCALE_ADDITIVE = Int32(6)
const DIFFEO_SCALE_GATED = Int32(7)
const DIFFEO_SCALE_CLAMPED_SOFTPLUS = Int32(8)
const DIFFEO_SCALE_CLAMPED_EXP = Int32(9)
const DIFFEO_SCALE_RECIPROCAL_SIGMOID = Int32(10)
const DIFFEO_SCALE_ATAN = Int32(11)
const DIFFEO_SCALE_SKEWED_CLIP = Int32(12)
const DIFFEO_SCALE_CLIPPED_SOFTPLUS = Int32(13)
const DIFFEO_SCALE_SOFTPLUS_ARSINH = Int32(14)

const DIFFEO_ORDER_NATURAL = Int32(1)
const DIFFEO_ORDER_REVERSED = Int32(2)
const DIFFEO_ORDER_RANDOM = Int32(3)
const DIFFEO_ORDER_GIVEN = Int32(4)

const DIFFEO_DEGREES_SEQUENTIAL = Int32(1)
const DIFFEO_DEGREES_RANDOM = Int32(2)

const DIFFEO_MASK_EVEN = Int32(1)
const DIFFEO_MASK_ODD = Int32(2)
const DIFFEO_MASK_FIRST = Int32(3)
const DIFFEO_MASK_LAST = Int32(4)
const DIFFEO_MASK_RANDOM = Int32(5)
const DIFFEO_MASK_GIVEN = Int32(6)

const DIFFEO_BLOCKS_PLAIN = Int32(1)
const DIFFEO_BLOCKS_RESIDUAL = Int32(2)
const DIFFEO_BLOCKS_PREACTIVATION = Int32(3)

const DIFFEO_CONTEXT_INPUT = Int32(1)
const DIFFEO_CONTEXT_GATE = Int32(2)
const DIFFEO_CONTEXT_SHIFT = Int32(3)
const DIFFEO_CONTEXT_ADD = Int32(4)

const DIFFEO_BOUNDARY_LINEAR = Int32(1)
const DIFFEO_BOUNDARY_PERIODIC = Int32(2)
const DIFFEO_BOUNDARY_INTERVAL = Int32(3)
const DIFFEO_BOUNDARY_FREE = Int32(4)
const DIFFEO_BOUNDARY_EXTENDED = Int32(5)
const DIFFEO_BOUNDARY_HALF_TURN = Int32(6)

const DIFFEO_DERIVATIVE_SOFTPLUS = Int32(1)
const DIFFEO_DERIVATIVE_EXP = Int32(2)

const DIFFEO_ENCODING_CIRCLE = Int32(1)
const DIFFEO_ENCODING_NUMBERS = Int32(2)

const DIFFEO_FAMILY_NORMAL = Int32(1)
const DIFFEO_FAMILY_LOGISTIC = Int32(2)

const DIFFEO_TARGET_UNIFORM = Int32(1)
const DIFFEO_TARGET_LOGISTIC = Int32(2)

const DIFFEO_MAP_AFFINE = Int32(1)
const DIFFEO_MAP_SPLINE = Int32(2)
const DIFFEO_MAP_MIXTURE = Int32(3)
const DIFFEO_MAP_SINH_ARCSINH = Int32(4)
const DIFFEO_MAP_LINEAR_SPLINE = Int32(5)

const DIFFEO_BASE_STANDARD_NORMAL = Int32(1)
const DIFFEO_BASE_NORMAL = Int32(2)
const DIFFEO_BASE_LOGISTIC = Int32(3)
const DIFFEO_BASE_UNIFORM = Int32(4)
const DIFFEO_BASE_STUDENT_T = Int32(5)
const DIFFEO_BASE_MIXTURE = Int32(6)
const DIFFEO_BASE_BETA = Int32(7)

const DIFFEO_COVARIANCE_DIAGONAL = Int32(1)
const DIFFEO_COVARIANCE_FULL = Int32(2)
const DIFFEO_COVARIANCE_PRECISION = Int32(3)

const DIFFEO_DIAGONAL_EXP = Int32(1)
const DIFFEO_DIAGONAL_SOFTPLUS = Int32(2)

const DIFFEO_MADE_GAUSSIAN = Int32(1)
const DIFFEO_MADE_MIXTURE = Int32(2)
const DIFFEO_MADE_BERNOULLI = Int32(3)

const DIFFEO_SQUEEZE_CHANNELS = Int32(1)
const DIFFEO_SQUEEZE_PLACES = Int32(2)
const DIFFEO_SQUEEZE_DIAGONALS = Int32(3)

const DIFFEO_IMAGE_MASK_FIRST = Int32(1)
const DIFFEO_IMAGE_MASK_LAST = Int32(2)
const DIFFEO_IMAGE_MASK_EVEN = Int32(3)
const DIFFEO_IMAGE_MASK_ODD = Int32(4)
const DIFFEO_IMAGE_MASK_NONE = Int32(5)
const DIFFEO_IMAGE_MASK_GIVEN = Int32(6)

const DIFFEO_STANDARDIZE_DEVIATION = Int32(1)
const DIFFEO_STANDARDIZE_ROBUST = Int32(2)

const DIFFEO_DOMAIN_LOGIT = Int32(1)
const DIFFEO_DOMAIN_LOG = Int32(2)
const DIFFEO_DOMAIN_SOFTPLUS = Int32(3)
const DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL = Int32(4)
const DIFFEO_DOMAIN_LEAKY_TANH = Int32(5)
const DIFFEO_DOMAIN_LEAKY_RELU = Int32(6)
const DIFFEO_DOMAIN_LOG_TANH = Int32(7)
const DIFFEO_DOMAIN_PROBIT = Int32(8)

const DIFFEO_OPTIMIZER_ADAM = Int32(1)
const DIFFEO_OPTIMIZER_SGD = Int32(2)

const DIFFEO_SCHEDULE_CONSTANT = Int32(1)
const DIFFEO_SCHEDULE_COSINE = Int32(2)
const DIFFEO_SCHEDULE_EXPONENTIAL = Int32(3)
const DIFFEO_SCHEDULE_PLATEAU = Int32(4)

const DIFFEO_JUDGE_MEAN = Int32(1)
const DIFFEO_JUDGE_ROBUST = Int32(2)

const DIFFEO_TRAIN_RUNNING = Int32(0)
const DIFFEO_TRAIN_EPOCH_END = Int32(1)
const DIFFEO_TRAIN_MAX_EPOCHS = Int32(2)
const DIFFEO_TRAIN_PATIENCE = Int32(3)
const DIFFEO_TRAIN_CANCELLED = Int32(4)

const DIFFEO_ESTIMATOR_REVERSE_KL = Int32(1)
const DIFFEO_ESTIMATOR_PATH = Int32(2)
const DIFFEO_ESTIMATOR_IMPORTANCE = Int32(3)
const DIFFEO_ESTIMATOR_MASS_COVERING = Int32(4)

struct diffeo_network_options
    struct_size::Csize_t
    hidden::Ptr{Int64}
    hidden_count::Int64
    activation::Int32
    blocks::Int32
    context_mode::Int32
    normalized::Int32
    dropout::Cdouble
    layer_norm_epsilon::Cdouble
    diffeo_network_options() = new()
end

struct diffeo_spline_options
    struct_size::Csize_t
    bins::Int64
    low::Cdouble
    high::Cdouble
    min_width::Cdouble
    min_height::Cdouble
    min_derivative::Cdouble
    boundary::Int32
    derivative::Int32
    logit_bound::Cdouble
    derivative_bound::Cdouble
    boundary_derivative::Cdouble
    half_ends::Int32
    encoding::Int32
    min_lambda::Cdouble
    diffeo_spline_options() = new()
end

struct diffeo_mixture_options
    struct_size::Csize_t
    components::Int64
    family::Int32
    target::Int32
    scale_bound::Cdouble
    scale::Int32
    reserved::Int32
    scale_epsilon::Cdouble
    diffeo_mixture_options() = new()
end

struct diffeo_map_options
    struct_size::Csize_t
    map::Int32
    scale::Int32
    scale_bound::Cdouble
    scale_epsilon::Cdouble
    log_scale_low::Cdouble
    log_scale_high::Cdouble
    spline::Ptr{diffeo_spline_options}
    mixture::Ptr{diffeo_mixture_options}
    diffeo_map_options() = new()
end

struct diffeo_autoregressive_options
    struct_size::Csize_t
    order::Int32
    degrees::Int32
    order_given::Ptr{Int64}
    direct::Int32
    inverse_map::Int32
    seed::UInt64
    network::Ptr{diffeo_network_options}
    map::Ptr{diffeo_map_options}
    diffeo_autoregressive_options() = new()
end

struct diffeo_coupling_options
    struct_size::Csize_t
    mask::Int32
    scale_activation::Int32
    mask_given::Ptr{UInt8}
    seed::UInt64
    network::Ptr{diffeo_network_options}
    map::Ptr{diffeo_map_options}
    diffeo_coupling_options() = new()
end

struct diffeo_elementwise_options
    struct_size::Csize_t
    columns::Ptr{Int64}
    column_count::Int64
    network::Ptr{diffeo_network_options}
    map::Ptr{diffeo_map_options}
    diffeo_elementwise_options() = new()
end

struct diffeo_base_options
    struct_size::Csize_t
    base::Int32
    reserved::Int32
    low::Cdouble
    high::Cdouble
    df::Cdouble
    components::Int64
    network::Ptr{diffeo_network_options}
    alpha::Cdouble
    beta::Cdouble
    covariance::Int32
    diagonal::Int32
    epsilon::Cdouble
    diffeo_base_options() = new()
end

struct diffeo_made_options
    struct_size::Csize_t
    conditional::Int32
    order::Int32
    order_given::Ptr{Int64}
    degrees::Int32
    direct::Int32
    components::Int64
    masks::Int64
    seed::UInt64
    network::Ptr{diffeo_network_options}
    diffeo_made_options() = new()
end

struct diffeo_architecture_options
    struct_size::Csize_t
    dim::Int64
    context_dim::Int64
    transforms::Int64
    seed::UInt64
    dtype::Int32
    scale::Int32
    random_order::Int32
    standardize::Int32
    actnorm::Int32
    batch_norm::Int32
    periodic::Int32
    conditional::Int32
    components::Int64
    masks::Int64
    bins::Int64
    bound::Cdouble
    network::Ptr{diffeo_network_options}
    base::Ptr{diffeo_base_options}
    features::Int64
    embedding::Ptr{diffeo_network_options}
    diffeo_architecture_options() = new()
end

struct diffeo_convolution_options
    struct_size::Csize_t
    hidden::Ptr{Int64}
    hidden_count::Int64
    activation::Int32
    blocks::Int32
    kernel_first::Int64
    kernel_hidden::Int64
    kernel_last::Int64
    gain::Int32
    ones_outside::Int32
    diffeo_convolution_options() = new()
end

struct diffeo_image_coupling_options
    struct_size::Csize_t
    mask::Int32
    reserved::Int32
    mask_given::Ptr{UInt8}
    network::Ptr{diffeo_convolution_options}
    map::Ptr{diffeo_map_options}
    diffeo_image_coupling_options() = new()
end

struct diffeo_split_options
    struct_size::Csize_t
    keep::Int32
    prior::Int32
    network::Ptr{diffeo_convolution_options}
    diffeo_split_options() = new()
end

struct diffeo_image_options
    struct_size::Csize_t
    channels::Int64
    height::Int64
    width::Int64
    context_dim::Int64
    levels::Int64
    steps::Int64
    quantization::Int64
    alpha::Cdouble
    seed::UInt64
    dtype::Int32
    scale::Int32
    split::Int32
    learned_prior::Int32
    learned_top::Int32
    lu::Int32
    network::Ptr{diffeo_convolution_options}
    map::Ptr{diffeo_map_options}
    diffeo_image_options() = new()
end

struct diffeo_train_options
    struct_size::Csize_t
    batch_size::Int64
    max_epochs::Int64
    patience::Int64
    validation_fraction::Cdouble
    seed::UInt64
    threads::Int32
    judge::Int32
    optimizer::Int32
    schedule::Int32
    learning_rate::Cdouble
    warmup_steps::Int64
    rate_decay::Cdouble
    plateau_patience::Int64
    beta1::Cdouble
    beta2::Cdouble
    epsilon::Cdouble
    momentum::Cdouble
    weight_decay::Cdouble
    l2::Cdouble
    clip_norm::Cdouble
    clip_quantile::Cdouble
    ema_decay::Cdouble
    x_noise::Cdouble
    negative_weights::Int32
    reserved::Int32
    rows_memory::Int64
    image_shift::Int64
    image_flip::Int32
    reserved2::Int32
    diffeo_train_options() = new()
end

struct diffeo_train_report
    struct_size::Csize_t
    epoch::Int64
    batch::Int64
    batches_per_epoch::Int64
    train_rows::Int64
    validation_rows::Int64
    effective_rows::Cdouble
    train_log_prob::Cdouble
    train_robust_log_prob::Cdouble
    validation_log_prob::Cdouble
    validation_robust_log_prob::Cdouble
    worst_log_prob::Cdouble
    worst_row::Int64
    best_log_prob::Cdouble
    best_epoch::Int64
    gradient_norm::Cdouble
    learning_rate::Cdouble
    base_learning_rate::Cdouble
    rows_per_second::Cdouble
    seconds::Cdouble
    seconds_left::Cdouble
    steps::Int64
    skipped_steps::Int64
    cut_steps::Int64
    averaged::Int32
    state::Int32
    diffeo_train_report() = new()
end

struct diffeo_vi_options
    struct_size::Csize_t
    steps::Int64
    batch_size::Int64
    window::Int64
    patience::Int64
    estimator::Int32
    draws::Int32
    tempering::Cdouble
    tempering_steps::Int64
    train::Ptr{diffeo_train_options}
    diffeo_vi_options() = new()
end

struct diffeo_variational_report
    struct_size::Csize_t
    steps::Int64
    total_steps::Int64
    windows::Int64
    elbo::Cdouble
    elbo_error::Cdouble
    bound::Cdouble
    best_bound::Cdouble
    best_window::Int64
    log_evidence::Cdouble
    effective_samples::Cdouble
    pareto_k::Cdouble
    inverse_temperature::Cdouble
    gradient_norm::Cdouble
    learning_rate::Cdouble
    base_learning_rate::Cdouble
    samples_per_second::Cdouble
    seconds::Cdouble
    seconds_left::Cdouble
    skipped_steps::Int64
    cut_steps::Int64
    averaged::Int32
    state::Int32
    diffeo_variational_report() = new()
end

diffeo_version_number() = @ccall library.diffeo_version_number()::Int32
diffeo_version_string() = @ccall library.diffeo_version_string()::Cstring
diffeo_status_name(status) = @ccall library.diffeo_status_name(status::Int32)::Cstring
diffeo_last_error() = @ccall library.diffeo_last_error()::Cstring
diffeo_workspace_create(threads, workspace) = @ccall library.diffeo_workspace_create(threads::Int32, workspace::Ref{Ptr{Cvoid}})::Int32
diffeo_workspace_create_hosted(threads, parallel, user, workspace) = @ccall library.diffeo_workspace_create_hosted(threads::Int32, parallel::Ptr{Cvoid}, user::Ptr{Cvoid}, workspace::Ref{Ptr{Cvoid}})::Int32
diffeo_workspace_pin(workspace, processors, count) = @ccall library.diffeo_workspace_pin(workspace::Ptr{Cvoid}, processors::Ptr{Int64}, count::Int64)::Int32
diffeo_workspace_destroy(workspace) = @ccall library.diffeo_workspace_destroy(workspace::Ptr{Cvoid})::Cvoid
diffeo_workspace_threads(workspace) = @ccall library.diffeo_workspace_threads(workspace::Ptr{Cvoid})::Int32
diffeo_convolution_options_init(options, struct_size) = @ccall library.diffeo_convolution_options_init(options::Ptr{diffeo_convolution_options}, struct_size::Csize_t)::Int32
diffeo_image_coupling_options_init(options, struct_size) = @ccall library.diffeo_image_coupling_options_init(options::Ptr{diffeo_image_coupling_options}, struct_size::Csize_t)::Int32
diffeo_split_options_init(options, struct_size) = @ccall library.diffeo_split_options_init(options::Ptr{diffeo_split_options}, struct_size::Csize_t)::Int32
diffeo_image_options_init(options, struct_size) = @ccall library.diffeo_image_options_init(options::Ptr{diffeo_image_options}, struct_size::Csize_t)::Int32
diffeo_network_options_init(options, struct_size) = @ccall library.diffeo_network_options_init(options::Ptr{diffeo_network_options}, struct_size::Csize_t)::Int32
diffeo_spline_options_init(options, struct_size) = @ccall library.diffeo_spline_options_init(options::Ptr{diffeo_spline_options}, struct_size::Csize_t)::Int32
diffeo_mixture_options_init(options, struct_size) = @ccall library.diffeo_mixture_options_init(options::Ptr{diffeo_mixture_options}, struct_size::Csize_t)::Int32
diffeo_map_options_init(options, struct_size) = @ccall library.diffeo_map_options_init(options::Ptr{diffeo_map_options}, struct_size::Csize_t)::Int32
diffeo_autoregressive_options_init(options, struct_size) = @ccall library.diffeo_autoregressive_options_init(options::Ptr{diffeo_autoregressive_options}, struct_size::Csize_t)::Int32
diffeo_coupling_options_init(options, struct_size) = @ccall library.diffeo_coupling_options_init(options::Ptr{diffeo_coupling_options}, struct_size::Csize_t)::Int32
diffeo_elementwise_options_init(options, struct_size) = @ccall library.diffeo_elementwise_options_init(options::Ptr{diffeo_elementwise_options}, struct_size::Csize_t)::Int32
diffeo_base_options_init(options, struct_size) = @ccall library.diffeo_base_options_init(options::Ptr{diffeo_base_options}, struct_size::Csize_t)::Int32
diffeo_made_options_init(options, struct_size) = @ccall library.diffeo_made_options_init(options::Ptr{diffeo_made_options}, struct_size::Csize_t)::Int32
diffeo_architecture_options_init(options, struct_size) = @ccall library.diffeo_architecture_options_init(options::Ptr{diffeo_architecture_options}, struct_size::Csize_t)::Int32
diffeo_option_bounds(option, low, high) = @ccall library.diffeo_option_bounds(option::Cstring, low::Ptr{Cdouble}, high::Ptr{Cdouble})::Int32
diffeo_nice_create(options, flow) = @ccall library.diffeo_nice_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_realnvp_create(options, flow) = @ccall library.diffeo_realnvp_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_glow_create(options, flow) = @ccall library.diffeo_glow_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_made_create(options, flow) = @ccall library.diffeo_made_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_maf_create(options, flow) = @ccall library.diffeo_maf_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_iaf_create(options, flow) = @ccall library.diffeo_iaf_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_planar_create(options, flow) = @ccall library.diffeo_planar_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_radial_create(options, flow) = @ccall library.diffeo_radial_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_cdf_flow_create(options, flow) = @ccall library.diffeo_cdf_flow_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_spline_coupling_create(options, flow) = @ccall library.diffeo_spline_coupling_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_spline_autoregressive_create(options, flow) = @ccall library.diffeo_spline_autoregressive_create(options::Ptr{diffeo_architecture_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_glow_image_create(options, flow) = @ccall library.diffeo_glow_image_create(options::Ptr{diffeo_image_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_realnvp_image_create(options, flow) = @ccall library.diffeo_realnvp_image_create(options::Ptr{diffeo_image_options}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_spec_create(dim, context_dim, dtype, spec) = @ccall library.diffeo_spec_create(dim::Int64, context_dim::Int64, dtype::Int32, spec::Ref{Ptr{Cvoid}})::Int32
diffeo_spec_create_image(channels, height, width, context_dim, dtype, spec) = @ccall library.diffeo_spec_create_image(channels::Int64, height::Int64, width::Int64, context_dim::Int64, dtype::Int32, spec::Ref{Ptr{Cvoid}})::Int32
diffeo_spec_destroy(spec) = @ccall library.diffeo_spec_destroy(spec::Ptr{Cvoid})::Cvoid
diffeo_spec_set_dtype(spec, dtype) = @ccall library.diffeo_spec_set_dtype(spec::Ptr{Cvoid}, dtype::Int32)::Int32
diffeo_spec_invert(spec) = @ccall library.diffeo_spec_invert(spec::Ptr{Cvoid})::Int32
diffeo_spec_add_autoregressive(spec, options) = @ccall library.diffeo_spec_add_autoregressive(spec::Ptr{Cvoid}, options::Ptr{diffeo_autoregressive_options})::Int32
diffeo_spec_add_coupling(spec, options) = @ccall library.diffeo_spec_add_coupling(spec::Ptr{Cvoid}, options::Ptr{diffeo_coupling_options})::Int32
diffeo_spec_add_permutation(spec, permutation) = @ccall library.diffeo_spec_add_permutation(spec::Ptr{Cvoid}, permutation::Ptr{Int64})::Int32
diffeo_spec_add_reverse(spec) = @ccall library.diffeo_spec_add_reverse(spec::Ptr{Cvoid})::Int32
diffeo_spec_add_random_permutation(spec, seed) = @ccall library.diffeo_spec_add_random_permutation(spec::Ptr{Cvoid}, seed::UInt64)::Int32
diffeo_spec_add_lu(spec, permuted, seed) = @ccall library.diffeo_spec_add_lu(spec::Ptr{Cvoid}, permuted::Int32, seed::UInt64)::Int32
diffeo_spec_add_linear(spec) = @ccall library.diffeo_spec_add_linear(spec::Ptr{Cvoid})::Int32
diffeo_spec_add_householder(spec, reflections) = @ccall library.diffeo_spec_add_householder(spec::Ptr{Cvoid}, reflections::Int64)::Int32
diffeo_spec_add_actnorm(spec) = @ccall library.diffeo_spec_add_actnorm(spec::Ptr{Cvoid})::Int32
diffeo_spec_add_elementwise_affine(spec, shift) = @ccall library.diffeo_spec_add_elementwise_affine(spec::Ptr{Cvoid}, shift::Int32)::Int32
diffeo_spec_add_batch_norm(spec, epsilon, momentum) = @ccall library.diffeo_spec_add_batch_norm(spec::Ptr{Cvoid}, epsilon::Cdouble, momentum::Cdouble)::Int32
diffeo_spec_add_planar(spec, network) = @ccall library.diffeo_spec_add_planar(spec::Ptr{Cvoid}, network::Ptr{diffeo_network_options})::Int32
diffeo_spec_add_radial(spec, network) = @ccall library.diffeo_spec_add_radial(spec::Ptr{Cvoid}, network::Ptr{diffeo_network_options})::Int32
diffeo_spec_add_elementwise(spec, options) = @ccall library.diffeo_spec_add_elementwise(spec::Ptr{Cvoid}, options::Ptr{diffeo_elementwise_options})::Int32
diffeo_spec_add_squeeze(spec, order) = @ccall library.diffeo_spec_add_squeeze(spec::Ptr{Cvoid}, order::Int32)::Int32
diffeo_spec_add_unsqueeze(spec, order) = @ccall library.diffeo_spec_add_unsqueeze(spec::Ptr{Cvoid}, order::Int32)::Int32
diffeo_spec_add_image_coupling(spec, options) = @ccall library.diffeo_spec_add_image_coupling(spec::Ptr{Cvoid}, options::Ptr{diffeo_image_coupling_options})::Int32
diffeo_spec_add_split(spec, options) = @ccall library.diffeo_spec_add_split(spec::Ptr{Cvoid}, options::Ptr{diffeo_split_options})::Int32
diffeo_spec_map(spec, map) = @ccall library.diffeo_spec_map(spec::Ptr{Cvoid}, map::Ptr{Int64})::Int32
diffeo_spec_set_standardization(spec, standardization) = @ccall library.diffeo_spec_set_standardization(spec::Ptr{Cvoid}, standardization::Int32)::Int32
diffeo_spec_add_standardize(spec, mean, std) = @ccall library.diffeo_spec_add_standardize(spec::Ptr{Cvoid}, mean::Ptr{Cdouble}, std::Ptr{Cdouble})::Int32
diffeo_spec_standardize_context(spec, mean, std) = @ccall library.diffeo_spec_standardize_context(spec::Ptr{Cvoid}, mean::Ptr{Cdouble}, std::Ptr{Cdouble})::Int32
diffeo_spec_set_embedding(spec, features, network) = @ccall library.diffeo_spec_set_embedding(spec::Ptr{Cvoid}, features::Int64, network::Ptr{diffeo_network_options})::Int32
diffeo_spec_add_domain(spec, domain, columns, count, low, high) = @ccall library.diffeo_spec_add_domain(spec::Ptr{Cvoid}, domain::Int32, columns::Ptr{Int64}, count::Int64, low::Ptr{Cdouble}, high::Ptr{Cdouble})::Int32
diffeo_spec_add_wrap(spec, low, high, random_shift, seed) = @ccall library.diffeo_spec_add_wrap(spec::Ptr{Cvoid}, low::Cdouble, high::Cdouble, random_shift::Int32, seed::UInt64)::Int32
diffeo_spec_add_wrap_columns(spec, columns, count, low, high, random_shift, seed) = @ccall library.diffeo_spec_add_wrap_columns(spec::Ptr{Cvoid}, columns::Ptr{Int64}, count::Int64, low::Ptr{Cdouble}, high::Ptr{Cdouble}, random_shift::Int32, seed::UInt64)::Int32
diffeo_spec_add_dequantize(spec, levels) = @ccall library.diffeo_spec_add_dequantize(spec::Ptr{Cvoid}, levels::Int64)::Int32
diffeo_spec_add_dequantize_columns(spec, columns, count, levels) = @ccall library.diffeo_spec_add_dequantize_columns(spec::Ptr{Cvoid}, columns::Ptr{Int64}, count::Int64, levels::Ptr{Int64})::Int32
diffeo_spec_set_base(spec, options) = @ccall library.diffeo_spec_set_base(spec::Ptr{Cvoid}, options::Ptr{diffeo_base_options})::Int32
diffeo_spec_set_base_made(spec, options) = @ccall library.diffeo_spec_set_base_made(spec::Ptr{Cvoid}, options::Ptr{diffeo_made_options})::Int32
diffeo_flow_create(spec, seed, flow) = @ccall library.diffeo_flow_create(spec::Ptr{Cvoid}, seed::UInt64, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_destroy(flow) = @ccall library.diffeo_flow_destroy(flow::Ptr{Cvoid})::Cvoid
diffeo_flow_compose(first, then, flow) = @ccall library.diffeo_flow_compose(first::Ptr{Cvoid}, then::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_load(path, flow) = @ccall library.diffeo_flow_load(path::Cstring, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_save(flow, path) = @ccall library.diffeo_flow_save(flow::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_flow_load_memory(bytes, size, flow) = @ccall library.diffeo_flow_load_memory(bytes::Ptr{Cvoid}, size::Csize_t, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_save_memory(flow, bytes, capacity, size) = @ccall library.diffeo_flow_save_memory(flow::Ptr{Cvoid}, bytes::Ptr{Cvoid}, capacity::Csize_t, size::Ptr{Csize_t})::Int32
diffeo_flow_dim(flow) = @ccall library.diffeo_flow_dim(flow::Ptr{Cvoid})::Int64
diffeo_flow_context_dim(flow) = @ccall library.diffeo_flow_context_dim(flow::Ptr{Cvoid})::Int64
diffeo_flow_shape(flow, shape, capacity) = @ccall library.diffeo_flow_shape(flow::Ptr{Cvoid}, shape::Ptr{Int64}, capacity::Int64)::Int64
diffeo_flow_dtype(flow) = @ccall library.diffeo_flow_dtype(flow::Ptr{Cvoid})::Int32
diffeo_flow_layer_count(flow) = @ccall library.diffeo_flow_layer_count(flow::Ptr{Cvoid})::Int64
diffeo_flow_levels(flow, levels) = @ccall library.diffeo_flow_levels(flow::Ptr{Cvoid}, levels::Ptr{Int64})::Int32
diffeo_flow_parameter_count(flow) = @ccall library.diffeo_flow_parameter_count(flow::Ptr{Cvoid})::Int64
diffeo_flow_describe(flow, text, capacity, length) = @ccall library.diffeo_flow_describe(flow::Ptr{Cvoid}, text::Ptr{Cchar}, capacity::Csize_t, length::Ptr{Csize_t})::Int32
diffeo_flow_set_metadata(flow, key, value) = @ccall library.diffeo_flow_set_metadata(flow::Ptr{Cvoid}, key::Cstring, value::Cstring)::Int32
diffeo_flow_metadata(flow, key, text, capacity, length) = @ccall library.diffeo_flow_metadata(flow::Ptr{Cvoid}, key::Cstring, text::Ptr{Cchar}, capacity::Csize_t, length::Ptr{Csize_t})::Int32
diffeo_flow_metadata_count(flow) = @ccall library.diffeo_flow_metadata_count(flow::Ptr{Cvoid})::Int64
diffeo_flow_metadata_key(flow, index, text, capacity, length) = @ccall library.diffeo_flow_metadata_key(flow::Ptr{Cvoid}, index::Int64, text::Ptr{Cchar}, capacity::Csize_t, length::Ptr{Csize_t})::Int32
diffeo_flow_parameters_f32(flow, parameters) = @ccall library.diffeo_flow_parameters_f32(flow::Ptr{Cvoid}, parameters::Ptr{Cfloat})::Int32
diffeo_flow_parameters_f64(flow, parameters) = @ccall library.diffeo_flow_parameters_f64(flow::Ptr{Cvoid}, parameters::Ptr{Cdouble})::Int32
diffeo_flow_with_parameters_f32(flow, parameters, changed) = @ccall library.diffeo_flow_with_parameters_f32(flow::Ptr{Cvoid}, parameters::Ptr{Cfloat}, changed::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_with_parameters_f64(flow, parameters, changed) = @ccall library.diffeo_flow_with_parameters_f64(flow::Ptr{Cvoid}, parameters::Ptr{Cdouble}, changed::Ref{Ptr{Cvoid}})::Int32
diffeo_flow_trained_parameters(flow, trained) = @ccall library.diffeo_flow_trained_parameters(flow::Ptr{Cvoid}, trained::Ptr{UInt8})::Int32
diffeo_flow_log_prob_f32(flow, x, n, context, n_context, workspace, log_prob) = @ccall library.diffeo_flow_log_prob_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, log_prob::Ptr{Cfloat})::Int32
diffeo_flow_log_prob_f64(flow, x, n, context, n_context, workspace, log_prob) = @ccall library.diffeo_flow_log_prob_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, log_prob::Ptr{Cdouble})::Int32
diffeo_flow_log_prob_gradient_f32(flow, x, n, context, n_context, workspace, log_prob, grad_x, grad_context) = @ccall library.diffeo_flow_log_prob_gradient_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, log_prob::Ptr{Cfloat}, grad_x::Ptr{Cfloat}, grad_context::Ptr{Cfloat})::Int32
diffeo_flow_log_prob_gradient_f64(flow, x, n, context, n_context, workspace, log_prob, grad_x, grad_context) = @ccall library.diffeo_flow_log_prob_gradient_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, log_prob::Ptr{Cdouble}, grad_x::Ptr{Cdouble}, grad_context::Ptr{Cdouble})::Int32
diffeo_flow_to_noise_f32(flow, x, n, context, n_context, workspace, z, log_det) = @ccall library.diffeo_flow_to_noise_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, z::Ptr{Cfloat}, log_det::Ptr{Cfloat})::Int32
diffeo_flow_to_noise_f64(flow, x, n, context, n_context, workspace, z, log_det) = @ccall library.diffeo_flow_to_noise_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, z::Ptr{Cdouble}, log_det::Ptr{Cdouble})::Int32
diffeo_flow_from_noise_f32(flow, z, n, context, n_context, workspace, x, log_det) = @ccall library.diffeo_flow_from_noise_f32(flow::Ptr{Cvoid}, z::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cfloat}, log_det::Ptr{Cfloat})::Int32
diffeo_flow_from_noise_f64(flow, z, n, context, n_context, workspace, x, log_det) = @ccall library.diffeo_flow_from_noise_f64(flow::Ptr{Cvoid}, z::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cdouble}, log_det::Ptr{Cdouble})::Int32
diffeo_flow_sample_f32(flow, seed, first_row, n, context, n_context, workspace, x, log_prob) = @ccall library.diffeo_flow_sample_f32(flow::Ptr{Cvoid}, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cfloat}, log_prob::Ptr{Cfloat})::Int32
diffeo_flow_sample_f64(flow, seed, first_row, n, context, n_context, workspace, x, log_prob) = @ccall library.diffeo_flow_sample_f64(flow::Ptr{Cvoid}, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cdouble}, log_prob::Ptr{Cdouble})::Int32
diffeo_flow_sample_tempered_f32(flow, temperature, seed, first_row, n, context, n_context, workspace, x, log_prob) = @ccall library.diffeo_flow_sample_tempered_f32(flow::Ptr{Cvoid}, temperature::Cdouble, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cfloat}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cfloat}, log_prob::Ptr{Cfloat})::Int32
diffeo_flow_sample_tempered_f64(flow, temperature, seed, first_row, n, context, n_context, workspace, x, log_prob) = @ccall library.diffeo_flow_sample_tempered_f64(flow::Ptr{Cvoid}, temperature::Cdouble, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cdouble}, n_context::Int64, workspace::Ptr{Cvoid}, x::Ptr{Cdouble}, log_prob::Ptr{Cdouble})::Int32
diffeo_flow_bits_per_dim_f32(flow, x, n, context, n_context, seed, draws, workspace, bits) = @ccall library.diffeo_flow_bits_per_dim_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, seed::UInt64, draws::Int64, workspace::Ptr{Cvoid}, bits::Ptr{Cfloat})::Int32
diffeo_flow_bits_per_dim_f64(flow, x, n, context, n_context, seed, draws, workspace, bits) = @ccall library.diffeo_flow_bits_per_dim_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, seed::UInt64, draws::Int64, workspace::Ptr{Cvoid}, bits::Ptr{Cdouble})::Int32
diffeo_flow_log_prob_vjp_f32(flow, x, n, context, n_context, g_log_prob, workspace, log_prob, grad_x, grad_context, grad_parameters) = @ccall library.diffeo_flow_log_prob_vjp_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, g_log_prob::Ptr{Cfloat}, workspace::Ptr{Cvoid}, log_prob::Ptr{Cfloat}, grad_x::Ptr{Cfloat}, grad_context::Ptr{Cfloat}, grad_parameters::Ptr{Cfloat})::Int32
diffeo_flow_log_prob_vjp_f64(flow, x, n, context, n_context, g_log_prob, workspace, log_prob, grad_x, grad_context, grad_parameters) = @ccall library.diffeo_flow_log_prob_vjp_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, g_log_prob::Ptr{Cdouble}, workspace::Ptr{Cvoid}, log_prob::Ptr{Cdouble}, grad_x::Ptr{Cdouble}, grad_context::Ptr{Cdouble}, grad_parameters::Ptr{Cdouble})::Int32
diffeo_flow_to_noise_vjp_f32(flow, x, n, context, n_context, g_z, g_log_det, workspace, z, log_det, grad_x, grad_context, grad_parameters) = @ccall library.diffeo_flow_to_noise_vjp_f32(flow::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, g_z::Ptr{Cfloat}, g_log_det::Ptr{Cfloat}, workspace::Ptr{Cvoid}, z::Ptr{Cfloat}, log_det::Ptr{Cfloat}, grad_x::Ptr{Cfloat}, grad_context::Ptr{Cfloat}, grad_parameters::Ptr{Cfloat})::Int32
diffeo_flow_to_noise_vjp_f64(flow, x, n, context, n_context, g_z, g_log_det, workspace, z, log_det, grad_x, grad_context, grad_parameters) = @ccall library.diffeo_flow_to_noise_vjp_f64(flow::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, g_z::Ptr{Cdouble}, g_log_det::Ptr{Cdouble}, workspace::Ptr{Cvoid}, z::Ptr{Cdouble}, log_det::Ptr{Cdouble}, grad_x::Ptr{Cdouble}, grad_context::Ptr{Cdouble}, grad_parameters::Ptr{Cdouble})::Int32
diffeo_flow_from_noise_vjp_f32(flow, z, n, context, n_context, g_x, g_log_det, workspace, x, log_det, grad_z, grad_context, grad_parameters) = @ccall library.diffeo_flow_from_noise_vjp_f32(flow::Ptr{Cvoid}, z::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, g_x::Ptr{Cfloat}, g_log_det::Ptr{Cfloat}, workspace::Ptr{Cvoid}, x::Ptr{Cfloat}, log_det::Ptr{Cfloat}, grad_z::Ptr{Cfloat}, grad_context::Ptr{Cfloat}, grad_parameters::Ptr{Cfloat})::Int32
diffeo_flow_from_noise_vjp_f64(flow, z, n, context, n_context, g_x, g_log_det, workspace, x, log_det, grad_z, grad_context, grad_parameters) = @ccall library.diffeo_flow_from_noise_vjp_f64(flow::Ptr{Cvoid}, z::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, g_x::Ptr{Cdouble}, g_log_det::Ptr{Cdouble}, workspace::Ptr{Cvoid}, x::Ptr{Cdouble}, log_det::Ptr{Cdouble}, grad_z::Ptr{Cdouble}, grad_context::Ptr{Cdouble}, grad_parameters::Ptr{Cdouble})::Int32
diffeo_flow_sample_vjp_f32(flow, seed, first_row, n, context, n_context, g_x, g_log_prob, workspace, x, log_prob, grad_context, grad_parameters) = @ccall library.diffeo_flow_sample_vjp_f32(flow::Ptr{Cvoid}, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cfloat}, n_context::Int64, g_x::Ptr{Cfloat}, g_log_prob::Ptr{Cfloat}, workspace::Ptr{Cvoid}, x::Ptr{Cfloat}, log_prob::Ptr{Cfloat}, grad_context::Ptr{Cfloat}, grad_parameters::Ptr{Cfloat})::Int32
diffeo_flow_sample_vjp_f64(flow, seed, first_row, n, context, n_context, g_x, g_log_prob, workspace, x, log_prob, grad_context, grad_parameters) = @ccall library.diffeo_flow_sample_vjp_f64(flow::Ptr{Cvoid}, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cdouble}, n_context::Int64, g_x::Ptr{Cdouble}, g_log_prob::Ptr{Cdouble}, workspace::Ptr{Cvoid}, x::Ptr{Cdouble}, log_prob::Ptr{Cdouble}, grad_context::Ptr{Cdouble}, grad_parameters::Ptr{Cdouble})::Int32
diffeo_rows_create_f32(n, dim, context_dim, weighted, read, user, rows) = @ccall library.diffeo_rows_create_f32(n::Int64, dim::Int64, context_dim::Int64, weighted::Int32, read::Ptr{Cvoid}, user::Ptr{Cvoid}, rows::Ref{Ptr{Cvoid}})::Int32
diffeo_rows_create_f64(n, dim, context_dim, weighted, read, user, rows) = @ccall library.diffeo_rows_create_f64(n::Int64, dim::Int64, context_dim::Int64, weighted::Int32, read::Ptr{Cvoid}, user::Ptr{Cvoid}, rows::Ref{Ptr{Cvoid}})::Int32
diffeo_rows_open(path, x, context, weights, rows) = @ccall library.diffeo_rows_open(path::Cstring, x::Cstring, context::Cstring, weights::Cstring, rows::Ref{Ptr{Cvoid}})::Int32
diffeo_rows_destroy(rows) = @ccall library.diffeo_rows_destroy(rows::Ptr{Cvoid})::Cvoid
diffeo_rows_count(rows) = @ccall library.diffeo_rows_count(rows::Ptr{Cvoid})::Int64
diffeo_rows_dim(rows) = @ccall library.diffeo_rows_dim(rows::Ptr{Cvoid})::Int64
diffeo_rows_context_dim(rows) = @ccall library.diffeo_rows_context_dim(rows::Ptr{Cvoid})::Int64
diffeo_flow_log_prob_file(flow, rows, workspace, path) = @ccall library.diffeo_flow_log_prob_file(flow::Ptr{Cvoid}, rows::Ptr{Cvoid}, workspace::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_flow_sample_file(flow, seed, first_row, n, context, workspace, path) = @ccall library.diffeo_flow_sample_file(flow::Ptr{Cvoid}, seed::UInt64, first_row::UInt64, n::Int64, context::Ptr{Cvoid}, workspace::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_train_options_init(options, struct_size) = @ccall library.diffeo_train_options_init(options::Ptr{diffeo_train_options}, struct_size::Csize_t)::Int32
diffeo_trainer_create_f32(flow, options, x, n, context, n_context, weights, trainer) = @ccall library.diffeo_trainer_create_f32(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, weights::Ptr{Cfloat}, trainer::Ref{Ptr{Cvoid}})::Int32
diffeo_trainer_create_f64(flow, options, x, n, context, n_context, weights, trainer) = @ccall library.diffeo_trainer_create_f64(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, weights::Ptr{Cdouble}, trainer::Ref{Ptr{Cvoid}})::Int32
diffeo_trainer_destroy(trainer) = @ccall library.diffeo_trainer_destroy(trainer::Ptr{Cvoid})::Cvoid
diffeo_trainer_set_validation_f32(trainer, x, n, context, n_context, weights) = @ccall library.diffeo_trainer_set_validation_f32(trainer::Ptr{Cvoid}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, weights::Ptr{Cfloat})::Int32
diffeo_trainer_set_validation_f64(trainer, x, n, context, n_context, weights) = @ccall library.diffeo_trainer_set_validation_f64(trainer::Ptr{Cvoid}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, weights::Ptr{Cdouble})::Int32
diffeo_trainer_create_rows(flow, options, rows, trainer) = @ccall library.diffeo_trainer_create_rows(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, rows::Ptr{Cvoid}, trainer::Ref{Ptr{Cvoid}})::Int32
diffeo_trainer_set_validation_rows(trainer, rows) = @ccall library.diffeo_trainer_set_validation_rows(trainer::Ptr{Cvoid}, rows::Ptr{Cvoid})::Int32
diffeo_trainer_step(trainer, batches, report) = @ccall library.diffeo_trainer_step(trainer::Ptr{Cvoid}, batches::Int64, report::Ptr{diffeo_train_report})::Int32
diffeo_trainer_report(trainer, report) = @ccall library.diffeo_trainer_report(trainer::Ptr{Cvoid}, report::Ptr{diffeo_train_report})::Int32
diffeo_trainer_set_learning_rate(trainer, rate) = @ccall library.diffeo_trainer_set_learning_rate(trainer::Ptr{Cvoid}, rate::Cdouble)::Int32
diffeo_trainer_set_workspace(trainer, workspace) = @ccall library.diffeo_trainer_set_workspace(trainer::Ptr{Cvoid}, workspace::Ptr{Cvoid})::Int32
diffeo_trainer_finished(trainer) = @ccall library.diffeo_trainer_finished(trainer::Ptr{Cvoid})::Int32
diffeo_trainer_best(trainer, flow) = @ccall library.diffeo_trainer_best(trainer::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_trainer_current(trainer, flow) = @ccall library.diffeo_trainer_current(trainer::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_trainer_save(trainer, path) = @ccall library.diffeo_trainer_save(trainer::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_trainer_load(trainer, path) = @ccall library.diffeo_trainer_load(trainer::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_trainer_cancel(trainer) = @ccall library.diffeo_trainer_cancel(trainer::Ptr{Cvoid})::Cvoid
diffeo_fit_f32(flow, options, x, n, context, n_context, weights, on_progress, user, trained, report) = @ccall library.diffeo_fit_f32(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, x::Ptr{Cfloat}, n::Int64, context::Ptr{Cfloat}, n_context::Int64, weights::Ptr{Cfloat}, on_progress::Ptr{Cvoid}, user::Ptr{Cvoid}, trained::Ref{Ptr{Cvoid}}, report::Ptr{diffeo_train_report})::Int32
diffeo_fit_f64(flow, options, x, n, context, n_context, weights, on_progress, user, trained, report) = @ccall library.diffeo_fit_f64(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, x::Ptr{Cdouble}, n::Int64, context::Ptr{Cdouble}, n_context::Int64, weights::Ptr{Cdouble}, on_progress::Ptr{Cvoid}, user::Ptr{Cvoid}, trained::Ref{Ptr{Cvoid}}, report::Ptr{diffeo_train_report})::Int32
diffeo_vi_options_init(options, struct_size) = @ccall library.diffeo_vi_options_init(options::Ptr{diffeo_vi_options}, struct_size::Csize_t)::Int32
diffeo_vi_create_f32(flow, options, target, user, context, n_context, vi) = @ccall library.diffeo_vi_create_f32(flow::Ptr{Cvoid}, options::Ptr{diffeo_vi_options}, target::Ptr{Cvoid}, user::Ptr{Cvoid}, context::Ptr{Cfloat}, n_context::Int64, vi::Ref{Ptr{Cvoid}})::Int32
diffeo_vi_create_f64(flow, options, target, user, context, n_context, vi) = @ccall library.diffeo_vi_create_f64(flow::Ptr{Cvoid}, options::Ptr{diffeo_vi_options}, target::Ptr{Cvoid}, user::Ptr{Cvoid}, context::Ptr{Cdouble}, n_context::Int64, vi::Ref{Ptr{Cvoid}})::Int32
diffeo_vi_destroy(vi) = @ccall library.diffeo_vi_destroy(vi::Ptr{Cvoid})::Cvoid
diffeo_vi_step(vi, steps, report) = @ccall library.diffeo_vi_step(vi::Ptr{Cvoid}, steps::Int64, report::Ptr{diffeo_variational_report})::Int32
diffeo_vi_step_given_f32(vi, context, grad_context, report) = @ccall library.diffeo_vi_step_given_f32(vi::Ptr{Cvoid}, context::Ptr{Cfloat}, grad_context::Ptr{Cfloat}, report::Ptr{diffeo_variational_report})::Int32
diffeo_vi_step_given_f64(vi, context, grad_context, report) = @ccall library.diffeo_vi_step_given_f64(vi::Ptr{Cvoid}, context::Ptr{Cdouble}, grad_context::Ptr{Cdouble}, report::Ptr{diffeo_variational_report})::Int32
diffeo_vi_report(vi, report) = @ccall library.diffeo_vi_report(vi::Ptr{Cvoid}, report::Ptr{diffeo_variational_report})::Int32
diffeo_vi_set_learning_rate(vi, rate) = @ccall library.diffeo_vi_set_learning_rate(vi::Ptr{Cvoid}, rate::Cdouble)::Int32
diffeo_vi_set_workspace(vi, workspace) = @ccall library.diffeo_vi_set_workspace(vi::Ptr{Cvoid}, workspace::Ptr{Cvoid})::Int32
diffeo_vi_finished(vi) = @ccall library.diffeo_vi_finished(vi::Ptr{Cvoid})::Int32
diffeo_vi_best(vi, flow) = @ccall library.diffeo_vi_best(vi::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_vi_current(vi, flow) = @ccall library.diffeo_vi_current(vi::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_vi_save(vi, path) = @ccall library.diffeo_vi_save(vi::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_vi_load(vi, path) = @ccall library.diffeo_vi_load(vi::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_vi_cancel(vi) = @ccall library.diffeo_vi_cancel(vi::Ptr{Cvoid})::Cvoid
diffeo_optimizer_create(flow, options, total_steps, optimizer) = @ccall library.diffeo_optimizer_create(flow::Ptr{Cvoid}, options::Ptr{diffeo_train_options}, total_steps::Int64, optimizer::Ref{Ptr{Cvoid}})::Int32
diffeo_optimizer_destroy(optimizer) = @ccall library.diffeo_optimizer_destroy(optimizer::Ptr{Cvoid})::Cvoid
diffeo_optimizer_step_f32(optimizer, gradient, report) = @ccall library.diffeo_optimizer_step_f32(optimizer::Ptr{Cvoid}, gradient::Ptr{Cfloat}, report::Ptr{diffeo_train_report})::Int32
diffeo_optimizer_step_f64(optimizer, gradient, report) = @ccall library.diffeo_optimizer_step_f64(optimizer::Ptr{Cvoid}, gradient::Ptr{Cdouble}, report::Ptr{diffeo_train_report})::Int32
diffeo_optimizer_report(optimizer, report) = @ccall library.diffeo_optimizer_report(optimizer::Ptr{Cvoid}, report::Ptr{diffeo_train_report})::Int32
diffeo_optimizer_set_learning_rate(optimizer, rate) = @ccall library.diffeo_optimizer_set_learning_rate(optimizer::Ptr{Cvoid}, rate::Cdouble)::Int32
diffeo_optimizer_set_workspace(optimizer, workspace) = @ccall library.diffeo_optimizer_set_workspace(optimizer::Ptr{Cvoid}, workspace::Ptr{Cvoid})::Int32
diffeo_optimizer_current(optimizer, flow) = @ccall library.diffeo_optimizer_current(optimizer::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_optimizer_average(optimizer, flow) = @ccall library.diffeo_optimizer_average(optimizer::Ptr{Cvoid}, flow::Ref{Ptr{Cvoid}})::Int32
diffeo_optimizer_save(optimizer, path) = @ccall library.diffeo_optimizer_save(optimizer::Ptr{Cvoid}, path::Cstring)::Int32
diffeo_optimizer_load(optimizer, path) = @ccall library.diffeo_optimizer_load(optimizer::Ptr{Cvoid}, path::Cstring)::Int32

end
