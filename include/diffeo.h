/* diffeo.h - normalizing flows behind a C ABI.
 *
 * A flow is an invertible map between data x and noise z whose Jacobian determinant is known exactly, so that it
 * has a density (log_prob), a sampler (sample) and gradients. See docs/ for the mathematics and its sources.
 *
 *     diffeo_flow *flow;
 *     if (diffeo_flow_load("flow.h5", &flow) != DIFFEO_OK) die(diffeo_last_error());
 *     diffeo_flow_log_prob_f32(flow, x, n, NULL, 0, NULL, log_prob);
 *     diffeo_flow_destroy(flow);
 *
 * Threads   A function whose handle is const may run on many threads at once with that handle. A non-const handle
 *           is used by one thread at a time. diffeo_trainer_cancel and diffeo_vi_cancel
 *           are the exceptions.
 *           The library starts no thread unless a workspace or a trainer is told to use more than one, or rows are
 *           read ahead (see Rows that are read); those are at rest when no call runs.
 * Memory    Buffers are yours, both ways; the library keeps no pointer to them after a call returns.
 *           A handle made by *_create, *_load or an output argument is yours: end it with its *_destroy. A call that
 *           makes none writes NULL in its place.
 * Errors    0 is success, negative is failure; diffeo_last_error() has words for the latest failure of this thread.
 *           A failed call writes no output but NULL for a handle, except where it says so. Nothing prints, aborts or
 *           exits.
 * Shapes    Batches are dense row-major [n, d]. An output may be the same buffer as an input of the same shape and
 *           type, or must not overlap it.
 * Types     _f32 and _f64 name the type of the buffers. The type in which a flow computes is its own (its dtype);
 *           buffers of the other type are converted on the way in and out. A float32 flow rounds x before anything
 *           else: columns whose mean is beyond 1e4 standard deviations want float64, or an offset taken off.
 * Bits      A row's result depends on nothing but the flow, the row, its context and (for samples) its seed and
 *           number: not on the batch size, its place in the batch, or the number of threads. Machines with AVX2 and
 *           with AVX-512 agree; without either, the last bits differ.
 * Arithmetic  Each call, and each thread of the library, computes in the default floating-point environment, and that of
 *           the caller is as it was afterwards: rounding, traps, flags, flushing of denormal numbers. Functions of yours
 *           run in yours.
 * fork      waits for a call that has a file open in HDF5. A child may use flows and files; not workspaces and trainers of
 *           its parent, but end them.
 * Stack     64 KiB are enough.
 * Platforms Linux on x86-64 with glibc 2.34 or newer. 64-bit ARM is prepared and untested; others were not tried.
 */
#ifndef DIFFEO_H
#define DIFFEO_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DIFFEO_API __attribute__((visibility("default")))
#else
#define DIFFEO_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------- 1. Version */

#define DIFFEO_VERSION_MAJOR 0
#define DIFFEO_VERSION_MINOR 2
#define DIFFEO_VERSION_PATCH 0
/* major * 10000 + minor * 100 + patch */
#define DIFFEO_VERSION_NUMBER 200
#define DIFFEO_VERSION_STRING "0.2.0"

/* The same of the library that was loaded: compare them when you dlopen. Static string. Since: 0.1 */
DIFFEO_API int32_t diffeo_version_number(void);
DIFFEO_API const char *diffeo_version_string(void);

/* ----------------------------------------------------------------------------------------------- 2. Status */

typedef int32_t diffeo_status;
enum {
  DIFFEO_OK = 0,
  DIFFEO_EINVAL = -1,        /* an argument is NULL, negative, out of range or contradicts another */
  DIFFEO_ENOMEM = -2,        /* memory could not be had */
  DIFFEO_ESHAPE = -3,        /* a count of rows or columns does not fit the flow */
  DIFFEO_EDTYPE = -4,        /* an unknown dtype */
  DIFFEO_EIO = -5,           /* a file could not be opened, read or written */
  DIFFEO_EFORMAT = -6,       /* a file is not a valid weight file */
  DIFFEO_EVERSION = -7,      /* a file was written by a newer, incompatible version */
  DIFFEO_ENUMERIC = -8,      /* numbers went wrong: training diverged, data has NaN, a column is constant */
  DIFFEO_ECANCELLED = -9,    /* stopped because the caller asked for it */
  DIFFEO_ESTATE = -10,       /* the call does not fit the state of the handle */
  DIFFEO_EUNSUPPORTED = -11, /* valid, but this version cannot do it */
  DIFFEO_EINTERNAL = -127    /* a bug in the library: please report it */
};

/* "DIFFEO_EINVAL" for -1 and so on; "unknown status" for the rest. Static string, never NULL. Since: 0.1 */
DIFFEO_API const char *diffeo_status_name(diffeo_status status);

/* What was wrong in the latest failed call of this thread, as a sentence with the numbers; "" before any failure.
 * UTF-8, never NULL, valid until this thread's next failing call. The status is the contract, the text is for
 * people. Since: 0.1 */
DIFFEO_API const char *diffeo_last_error(void);

/* ------------------------------------------------------------------------------------------ 3. Workspace */

/* Scratch memory and, if asked, a team of threads. Pass one to many calls: after the first, a call allocates
 * nothing. NULL in place of a workspace means one thread and memory for the duration of the call. One workspace
 * serves one call at a time; any number of flows may use it in turn. Do not use it in a child after fork(). */
typedef struct diffeo_workspace diffeo_workspace;

/* threads: 0 to 256, 0 for as many as the process may run on. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_workspace_create(int32_t threads, diffeo_workspace **workspace);
/* With threads of the host's (a pool of its own, OpenMP, TBB) in place of a team: parallel is to call job(jobs, i) for each
 * i of 0 to count - 1, in any threads, at once or one after the other, and to return when all have returned. count is
 * threads at most, 1 to 256, 0 for as many as the process may run on. It is called on the thread of the call that the
 * workspace is passed to. Results have the bits that they have with a team. Since: 0.2 */
typedef void (*diffeo_job)(void *jobs, int32_t index);
typedef void (*diffeo_parallel)(void *user, diffeo_job job, void *jobs, int32_t count);
DIFFEO_API diffeo_status diffeo_workspace_create_hosted(int32_t threads, diffeo_parallel parallel, void *user,
    diffeo_workspace **workspace);
/* Keeps each thread of the team (they are called "diffeo 1", "diffeo 2", ...) on one processor: the first one on
 * processors[0], and so on, from the beginning again where there are fewer, 1 to 4096. The thread that calls, which works
 * as well, stays as it is. DIFFEO_EINVAL, and some threads moved, if the process may not run on one of them; Linux only,
 * else DIFFEO_EUNSUPPORTED. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_workspace_pin(diffeo_workspace *workspace, const int64_t *processors, int64_t count);
DIFFEO_API void diffeo_workspace_destroy(diffeo_workspace *workspace); /* NULL is a no-op */
DIFFEO_API int32_t diffeo_workspace_threads(const diffeo_workspace *workspace); /* 0 for NULL */

/* --------------------------------------------------------------------------- 4. Building: specs and options */

/* The architecture of a flow: an ordered list of layers, applied from data to noise, over a base distribution. */
typedef struct diffeo_spec diffeo_spec;
/* A specification with its weights: immutable, and so shared freely between threads. */
typedef struct diffeo_flow diffeo_flow;

/* What a flow computes in. */
enum { DIFFEO_F32 = 1, DIFFEO_F64 = 2 };

/* Nonlinearity of a network's hidden layers. */
enum {
  DIFFEO_RELU = 1,       /* max(a, 0) */
  DIFFEO_TANH = 2,
  DIFFEO_ELU = 3,        /* a, exp(a) - 1 below 0 */
  DIFFEO_SILU = 4,       /* a sigmoid(a) */
  DIFFEO_LEAKY_RELU = 5, /* a, 0.01 a below 0 */
  DIFFEO_SOFTPLUS = 6,   /* log(1 + exp(a)) */
  DIFFEO_SIGMOID = 7,
  DIFFEO_GELU = 8,       /* a Phi(a), with the tanh approximation of Hendrycks and Gimpel 2016 */
  DIFFEO_GELU_ERF = 9,   /* a Phi(a) as it is, PyTorch's default. Phi: standard normal distribution function */
  DIFFEO_MISH = 10,      /* a tanh(log(1 + exp(a))): Misra 2019 */
  DIFFEO_HARD_SILU = 11  /* a (a + 3) / 6 with that factor held to 0 to 1: Howard et al. 2019, "hard swish" */
};

/* How an affine map z = s(a) x + t makes its scale s from a network output a; c and e are scale_bound and
 * scale_epsilon of the options. */
enum {
  DIFFEO_SCALE_SOFT_CLIP = 1, /* s = exp(a / (1 + |a| / c)), between exp(-c) and exp(c); default, c = 3 */
  DIFFEO_SCALE_EXP = 2,       /* s = exp(a): MAF (Papamakarios et al. 2017) */
  DIFFEO_SCALE_TANH = 3,      /* s = exp(c tanh(a / c)): RealNVP (Dinh et al. 2017) */
  DIFFEO_SCALE_SOFTPLUS = 4,  /* s = log(1 + exp(a + log(exp(1 - e) - 1))) + e: 1 at a = 0 */
  DIFFEO_SCALE_SIGMOID = 5,   /* s = sigmoid(a + 2) + e: Glow */
  DIFFEO_SCALE_ADDITIVE = 6,  /* s = 1, no output a: NICE (Dinh et al. 2015) */
  DIFFEO_SCALE_GATED = 7,     /* s = sigmoid(a + 2), and z = s x + (1 - s) t: IAF (Kingma et al. 2016, eq. 12) */
  /* Of other libraries' flows: nflows, Pyro and TensorFlow Probability, normflows and Glow (inverted), FrEIA */
  DIFFEO_SCALE_CLAMPED_SOFTPLUS = 8,   /* s = min(log(1 + exp(a)) + e, c) */
  DIFFEO_SCALE_CLAMPED_EXP = 9,        /* s = exp(a), a held to log_scale_low to log_scale_high */
  DIFFEO_SCALE_RECIPROCAL_SIGMOID = 10, /* s = 1 / sigmoid(a) */
  DIFFEO_SCALE_ATAN = 11,              /* s = exp(c atan(a)) */
  DIFFEO_SCALE_SKEWED_CLIP = 12,       /* as soft clip, with c / 3 where a < 0: between exp(-c / 3) and exp(c).
                                          For layers whose samples are divided by s: they stay near the data */
  DIFFEO_SCALE_CLIPPED_SOFTPLUS = 13,  /* s = log(1 + exp(a)), log s held to log_scale_low to log_scale_high */
  DIFFEO_SCALE_SOFTPLUS_ARSINH = 14    /* s = log(1 + exp(arsinh(a) + log(exp(1) - 1))): 1 at a = 0. BayesFlow */
};

/* In which order an autoregressive layer takes the columns. */
enum { DIFFEO_ORDER_NATURAL = 1, DIFFEO_ORDER_REVERSED = 2, DIFFEO_ORDER_RANDOM = 3, DIFFEO_ORDER_GIVEN = 4 };

/* How degrees are dealt to the hidden units of a MADE (Germain et al. 2015). */
enum { DIFFEO_DEGREES_SEQUENTIAL = 1, DIFFEO_DEGREES_RANDOM = 2 };

/* Which columns a coupling layer passes unchanged and conditions on. */
enum {
  DIFFEO_MASK_EVEN = 1,   /* columns 0, 2, 4, ... */
  DIFFEO_MASK_ODD = 2,    /* columns 1, 3, 5, ... */
  DIFFEO_MASK_FIRST = 3,  /* the first half, floor(dim / 2) columns */
  DIFFEO_MASK_LAST = 4,   /* the others */
  DIFFEO_MASK_RANDOM = 5, /* floor(dim / 2) columns drawn with the seed */
  DIFFEO_MASK_GIVEN = 6   /* as in mask */
};

/* What a network is made of. Residual blocks: the first matrix leads into hidden layer 0 as it is, then each hidden layer
 * h has a block, and where its width is not that of the one before there is a matrix between. */
enum {
  DIFFEO_BLOCKS_PLAIN = 1,        /* an activation f after every hidden layer */
  DIFFEO_BLOCKS_RESIDUAL = 2,     /* h + W_outer f(W_inner h + b) + b */
  DIFFEO_BLOCKS_PREACTIVATION = 3 /* h + W_outer f(W_inner f(h) + b) + b (He, Zhang, Ren and Sun 2016) */
};

/* How the network of a coupling or autoregressive layer learns of the context c. */
enum {
  DIFFEO_CONTEXT_INPUT = 1, /* its first matrix reads the columns and c */
  DIFFEO_CONTEXT_GATE = 2,  /* so, and what a block adds to h is multiplied by sigmoid(W c + b); for residual blocks */
  DIFFEO_CONTEXT_SHIFT = 3, /* its first matrix reads the columns, and f(W c + b) is added to its result; and in each
                             * block W c to what the inner matrix gives */
  DIFFEO_CONTEXT_ADD = 4    /* its first matrix reads the columns and c, and in each block W c is added to what the
                             * inner matrix gives; for residual blocks */
};

/* Every options struct begins with its size, is filled with defaults by its *_init(&options, sizeof options), and
 * only ever grows at its end. What it points to is read during the call that takes it. Comments give the range of a
 * number and then its default; diffeo_option_bounds tells the range. */

/* A dense or masked network, wherever there is one; those that read nothing but the context have no context_mode. */
typedef struct diffeo_network_options {
  size_t struct_size;
  const int64_t *hidden; /* widths, each 1 to 65536. NULL: said where the network is; not NULL with hidden_count 0: none */
  int64_t hidden_count;  /* 0 to 16 */
  int32_t activation;    /* DIFFEO_RELU */
  int32_t blocks;        /* DIFFEO_BLOCKS_PLAIN */
  int32_t context_mode;  /* DIFFEO_CONTEXT_INPUT */
  int32_t normalized;    /* 0. 1: with preactivation, s h + t is activated in place of h; s and t are trained */
  double dropout;        /* in training each hidden unit is left out with this probability, 0 or more, below 1: 0 */
  /* What is to be activated is normalised over the units of its layer first, this added to their variance, and each unit
   * then scaled and shifted, trained (Ba, Kiros and Hinton 2016; usually 1e-5). Not in networks with masks, nor with
   * normalized. Since: 0.2 */
  double layer_norm_epsilon; /* 1e-12 to 1. 0, none: 0 */
} diffeo_network_options;

/* A monotone rational-quadratic spline (Durkan et al. 2019) through bins + 1 knots in the box [low, high] x [low, high],
 * in place of the affine map. */
enum {
  DIFFEO_BOUNDARY_LINEAR = 1,   /* outside of the box: the identity */
  DIFFEO_BOUNDARY_PERIODIC = 2, /* x is an angle of period high - low (Rezende et al. 2020) */
  DIFFEO_BOUNDARY_INTERVAL = 3, /* outside of the box there is no density: for a base that is uniform on it */
  DIFFEO_BOUNDARY_FREE = 4,     /* outside: the identity, with any derivative at the ends of the box (flowjax) */
  DIFFEO_BOUNDARY_EXTENDED = 5, /* outside: straight lines, with the derivatives at the ends of the box (distrax) */
  DIFFEO_BOUNDARY_HALF_TURN = 6 /* x is an angle, turned by half before the spline, whose slope is 1 at the ends (zuko) */
};
/* Derivatives at knots from network outputs a. */
enum {
  DIFFEO_DERIVATIVE_SOFTPLUS = 1, /* min_derivative + log(1 + exp(a + log(exp(1 - min_derivative) - 1))) */
  DIFFEO_DERIVATIVE_EXP = 2       /* exp(a / (1 + |a| / derivative_bound)): zuko */
};
/* What networks see of the columns of a periodic spline. */
enum {
  DIFFEO_ENCODING_CIRCLE = 1, /* cosine and sine of the angle */
  DIFFEO_ENCODING_NUMBERS = 2 /* the number, which has a cut where the angle has none */
};
typedef struct diffeo_spline_options {
  size_t struct_size;
  int64_t bins;          /* 2 to 64: 8 */
  double low, high;      /* -1e6 to 1e6: -4, 4 */
  /* Of the minima, without logit_bound, less than 2^-30 (DIFFEO_F64: 2^-200) is taken as that */
  double min_width;      /* of a bin, as a part of the box, from 0 up to 1 / bins: 1e-3 */
  double min_height;     /* the same: 1e-3 */
  double min_derivative; /* at a knot, 0 or more, below 1: 1e-3 */
  int32_t boundary;      /* DIFFEO_BOUNDARY_LINEAR */
  int32_t derivative;    /* DIFFEO_DERIVATIVE_SOFTPLUS */
  double logit_bound;    /* c, 1e-3 to 10: a / (1 + |a| / c) goes into the softmax of widths and heights. 0, none: 0 */
  double derivative_bound;    /* 1e-3 to 80: log(1000) */
  double boundary_derivative; /* at the ends of the box, linear only, 1e-6 to 1e6: 1 */
  int32_t half_ends;     /* 0. 1: the first and the last bin have half of min_width and min_height */
  int32_t encoding;      /* periodic only: DIFFEO_ENCODING_CIRCLE */
  double min_lambda;     /* DIFFEO_MAP_LINEAR_SPLINE, 1e-3 to 0.499: 0.025 */
} diffeo_spline_options;

/* The CDF F of a mixture of normal or logistic distributions, in place of the affine map: z = F(x), or log(F / (1 - F)),
 * which takes the mixture to the logistic distribution and is exact in both tails. Inverted by safeguarded Newton
 * steps to machine precision. */
enum { DIFFEO_FAMILY_NORMAL = 1, DIFFEO_FAMILY_LOGISTIC = 2 };
enum { DIFFEO_TARGET_UNIFORM = 1, DIFFEO_TARGET_LOGISTIC = 2 };
typedef struct diffeo_mixture_options {
  size_t struct_size;
  int64_t components;  /* 1 to 64: 8 */
  int32_t family;      /* DIFFEO_FAMILY_NORMAL */
  int32_t target;      /* DIFFEO_TARGET_LOGISTIC, for a logistic base; the other for a uniform one */
  double scale_bound;  /* c of DIFFEO_SCALE_SOFT_CLIP, 1e-3 to 20: 7 */
  int32_t scale;       /* of a component, DIFFEO_SCALE_SOFT_CLIP or DIFFEO_SCALE_SOFTPLUS: DIFFEO_SCALE_SOFT_CLIP */
  int32_t reserved;    /* 0 */
  double scale_epsilon; /* e of DIFFEO_SCALE_SOFTPLUS, 1e-9 or more, below 1: 1e-3 */
} diffeo_mixture_options;

/* The map of one number that couplings, autoregressive and elementwise layers share. */
enum {
  DIFFEO_MAP_AFFINE = 1, /* z = s x + t */
  DIFFEO_MAP_SPLINE = 2,
  DIFFEO_MAP_MIXTURE = 3,
  DIFFEO_MAP_SINH_ARCSINH = 4, /* z = sinh(d arsinh(x) - e), d = exp(a / (1 + |a| / scale_bound)): skew and tails */
  /* The spline with two linear rational pieces in a bin in place of a quadratic one (Dolatabadi, Erfani and Leckie 2020;
   * Pyro): they meet at the part min_lambda + (1 - 2 min_lambda) sigmoid(a) of its width. Options: spline */
  DIFFEO_MAP_LINEAR_SPLINE = 5
};
typedef struct diffeo_map_options {
  size_t struct_size;
  int32_t map;           /* DIFFEO_MAP_AFFINE */
  int32_t scale;         /* affine: DIFFEO_SCALE_SOFT_CLIP */
  double scale_bound;    /* of affine and sinh-arcsinh, above 0, at most 80: 3 */
  double scale_epsilon;  /* 0 or more, below 1: 1e-3 */
  double log_scale_low, log_scale_high;  /* of CLAMPED_EXP, CLIPPED_SOFTPLUS, -80 to 80: -5, 3 */
  const diffeo_spline_options *spline;   /* NULL: the defaults. With another map than it is for: DIFFEO_EINVAL */
  const diffeo_mixture_options *mixture; /* the same */
} diffeo_map_options;

/* An autoregressive layer: a MADE gives the parameters of z_i = map(x_i) from x_1..x_{i-1} and the context.
 * Density in one pass. Sampling computes each hidden unit once: about the cost of one density pass. */
typedef struct diffeo_autoregressive_options {
  size_t struct_size;
  int32_t order;         /* DIFFEO_ORDER_NATURAL */
  int32_t degrees;       /* DIFFEO_DEGREES_SEQUENTIAL */
  const int64_t *order_given; /* dim columns, first to last, with DIFFEO_ORDER_GIVEN */
  int32_t direct;        /* 0. 1: the MADE has connections from inputs to outputs, too */
  int32_t inverse_map;   /* 0. 1: z_i = map^-1(x_i), from the same columns; affine: z_i = (x_i - t_i) / s_i */
  uint64_t seed;         /* for a random order and random degrees; 0, as below (diffeo_spec_create): 0 */
  const diffeo_network_options *network; /* NULL: the defaults, hidden two of 128 */
  const diffeo_map_options *map;         /* NULL: the defaults */
} diffeo_autoregressive_options;

/* A coupling layer (Dinh et al. 2017): the masked columns pass unchanged and, with the context, give the parameters of
 * the map of the others through a dense network. One pass in both directions. Needs dim >= 2, or a context. */
typedef struct diffeo_coupling_options {
  size_t struct_size;
  int32_t mask;          /* DIFFEO_MASK_EVEN */
  int32_t scale_activation; /* 0: one network gives s and t. Else one of its own gives s, with this activation */
  const uint8_t *mask_given; /* dim values, 1 passes unchanged, 0 is transformed, with DIFFEO_MASK_GIVEN */
  uint64_t seed;         /* for a random mask; 0, as below (diffeo_spec_create): 0 */
  const diffeo_network_options *network; /* NULL: the defaults, hidden two of 128 */
  const diffeo_map_options *map;         /* NULL: the defaults */
} diffeo_coupling_options;

/* The same map of each column, with parameters of its own that are trained, or functions of the context. */
typedef struct diffeo_elementwise_options {
  size_t struct_size;
  const int64_t *columns; /* ascending, all others pass unchanged; NULL with column_count 0: all */
  int64_t column_count;
  const diffeo_network_options *network; /* NULL: trained vectors. Else of the context, hidden one of 64 */
  const diffeo_map_options *map;         /* NULL: the defaults */
} diffeo_elementwise_options;

/* The base: the distribution of the noise, the columns independent but for the mixture. */
enum {
  DIFFEO_BASE_STANDARD_NORMAL = 1,
  DIFFEO_BASE_NORMAL = 2,    /* mean and standard deviation by column, trained or from the context */
  DIFFEO_BASE_LOGISTIC = 3,  /* density e^-z / (1 + e^-z)^2 */
  DIFFEO_BASE_UNIFORM = 4,   /* on [low, high] */
  DIFFEO_BASE_STUDENT_T = 5, /* degrees of freedom by column, trained or from the context */
  DIFFEO_BASE_MIXTURE = 6,   /* of normal distributions, trained or from the context; see covariance */
  DIFFEO_BASE_BETA = 7       /* the beta distribution scaled to [low, high]: density ~ (z - low)^(alpha - 1) (high - z)^(beta - 1) */
};
/* Covariances of the components of a mixture, by a triangular matrix of each; e is standard normal. */
enum {
  DIFFEO_COVARIANCE_DIAGONAL = 1, /* z = mean + s e */
  DIFFEO_COVARIANCE_FULL = 2,     /* z = mean + L e, L lower triangular with the diagonal s: L L^T is the covariance */
  DIFFEO_COVARIANCE_PRECISION = 3 /* U (z - mean) = e, U upper triangular with the diagonal s: U^T U is the precision */
};
/* The diagonal s from a parameter a. */
enum {
  DIFFEO_DIAGONAL_EXP = 1,     /* exp(a) + epsilon */
  DIFFEO_DIAGONAL_SOFTPLUS = 2 /* log(1 + exp(a)) + epsilon */
};
typedef struct diffeo_base_options {
  size_t struct_size;
  int32_t base;       /* DIFFEO_BASE_STANDARD_NORMAL */
  int32_t reserved;   /* 0 */
  double low, high;   /* uniform and beta: 0, 1 */
  double df;          /* student_t, where it begins, 0.1 to 1e8: 5 */
  int64_t components; /* mixture, 1 to 1024, times the numbers of a diagonal or a triangle at most 65536: 8 */
  const diffeo_network_options *network; /* NULL: trained vectors. Else of the context, hidden one of 64, for normal,
                                          * student_t and mixture */
  double alpha, beta; /* beta, of all columns and not trained, 0.1 to 1e4: 13, 13 */
  int32_t covariance; /* mixture: DIFFEO_COVARIANCE_DIAGONAL */
  int32_t diagonal;   /* mixture: DIFFEO_DIAGONAL_EXP */
  double epsilon;     /* mixture, 0 or more, below 1: 0 */
} diffeo_base_options;

/* MADE as a base, or with no layers as the whole flow (Germain et al. 2015): p(x) = prod_i p(x_i | x_1..x_{i-1}, context).
 * With several masks the density is the mean of that of each, which all share their weights; a step of the training
 * uses one of them, the next step the next one. */
enum {
  DIFFEO_MADE_GAUSSIAN = 1,
  DIFFEO_MADE_MIXTURE = 2,  /* of Gaussians: MADE MoG */
  DIFFEO_MADE_BERNOULLI = 3 /* columns are 0 or 1; log_prob is that of the probability, and of other numbers -inf */
};
typedef struct diffeo_made_options {
  size_t struct_size;
  int32_t conditional;   /* DIFFEO_MADE_GAUSSIAN */
  int32_t order;         /* DIFFEO_ORDER_NATURAL */
  const int64_t *order_given; /* dim columns, first to last, with DIFFEO_ORDER_GIVEN */
  int32_t degrees;       /* DIFFEO_DEGREES_SEQUENTIAL */
  int32_t direct;        /* 0. 1: connections from inputs to outputs, too */
  int64_t components;    /* of the mixture, 1 to 64: 8 */
  int64_t masks;         /* 1 to 256, each with its own order and degrees if those are random: 1 */
  uint64_t seed;         /* of random orders and degrees; 0, as below (diffeo_spec_create): 0 */
  const diffeo_network_options *network; /* NULL: the defaults, hidden two of 128 */
} diffeo_made_options;

/* A whole flow in one call. What a flow has no use for is ignored. */
typedef struct diffeo_architecture_options {
  size_t struct_size;
  int64_t dim;           /* columns of the data: no default, 1 to 65536 */
  int64_t context_dim;   /* columns of the context, 0 to 65536: 0 */
  int64_t transforms;    /* autoregressive, coupling, planar or radial layers, 0 to 1024; 0: the flow's own */
  uint64_t seed;         /* of the initial weights, orders and masks: 0 */
  int32_t dtype;         /* DIFFEO_F32 */
  int32_t scale;         /* 0: the flow's own default: skewed clip of realnvp, glow, made and maf, soft clip of iaf */
  int32_t random_order;  /* 0: orders alternate natural and reversed, masks even and odd. 1: random, from the seed */
  /* DIFFEO_STANDARDIZE_*: first a layer that standardises the data, and the context, set when training begins; 0: none.
   * DIFFEO_STANDARDIZE_DEVIATION */
  int32_t standardize;
  int32_t actnorm;       /* 0. 1: an actnorm layer before each transform (glow has them anyway) */
  int32_t batch_norm;    /* 0. 1: batch normalisation after each transform */
  int32_t periodic;      /* splines: 0. 1: all columns are angles of period 2 bound */
  int32_t conditional;   /* made: DIFFEO_MADE_GAUSSIAN */
  int64_t components;    /* 0 to 64. cdf_flow and made with mixtures: 0, for 8. maf: 0; more: a base of MADE MoG (MAF MoG) */
  int64_t masks;         /* of made, and of the base of maf with components, 1 to 256: 1 */
  int64_t bins;          /* splines, 2 to 64: 8 */
  double bound;          /* splines, 0 to 1e6, the box is [-bound, bound]; 0 for 4, or pi for angles: 0 */
  const diffeo_network_options *network; /* of each layer, NULL: the defaults, hidden two of 128 */
  /* NULL: the flow's own. Where columns are angles the uniform one, whose ends are theirs; else any but the uniform one,
   * as layers end on the whole line. made, and maf with components, have a MADE for a base and take no other. */
  const diffeo_base_options *base;
  /* An embedding of the context, as of diffeo_spec_set_embedding. Since: 0.2 */
  int64_t features; /* of it, 0 to 65536, 0 for none: 0 */
  const diffeo_network_options *embedding; /* NULL: the defaults, hidden two of 128 */
} diffeo_architecture_options;

/* Images of channels x height x width numbers (diffeo_spec_create_image): rows of channels * height * width columns, in
 * the order [channel][line][place], as in PyTorch. Layers that go by channel do so on the *map*: the whole image at
 * first; a squeeze gives it four times the channels and a quarter of the places, a split leaves half of the channels
 * behind. All other layers work on whole rows, by column. */

/* Order of the channels that a squeeze makes of the 2 x 2 places k = 0..3 of channel c of C. */
enum {
  DIFFEO_SQUEEZE_CHANNELS = 1, /* 4 c + k: openai/glow, nflows, normflows */
  DIFFEO_SQUEEZE_PLACES = 2,   /* k C + c: TensorFlow's space_to_depth */
  DIFFEO_SQUEEZE_DIAGONALS = 3 /* k C + c with the places in the order (0, 0), (1, 1), (0, 1), (1, 0): RealNVP */
};

/* What a coupling of images passes unchanged and conditions on. */
enum {
  DIFFEO_IMAGE_MASK_FIRST = 1, /* the first floor(channels / 2) channels of the map, which must be two at least */
  DIFFEO_IMAGE_MASK_LAST = 2,  /* the last floor(channels / 2) */
  DIFFEO_IMAGE_MASK_EVEN = 3,  /* a checkerboard: places where line + place is even */
  DIFFEO_IMAGE_MASK_ODD = 4,   /* ... or odd */
  DIFFEO_IMAGE_MASK_NONE = 5,  /* nothing: the context alone gives the parameters */
  DIFFEO_IMAGE_MASK_GIVEN = 6  /* the channels in mask */
};

/* A convolutional network. Maps keep their height and width, zeros around them. plain: convolutions with an activation
 * after each but the last. Residual blocks: a convolution, blocks of two (h + outer(f(inner(h))), or with preactivation
 * inner(f(h))), a convolution. The context c, if there is one, adds W c at every place to what the first one gives. */
typedef struct diffeo_convolution_options {
  size_t struct_size;
  const int64_t *hidden; /* channels of the hidden maps, each 1 to 65536, of residual blocks all the same. NULL: said
                            where the network is; not NULL with hidden_count 0: none, one convolution of kernel_last */
  int64_t hidden_count;  /* 0 to 16 */
  int32_t activation;    /* DIFFEO_RELU */
  int32_t blocks;        /* DIFFEO_BLOCKS_PLAIN */
  int64_t kernel_first;  /* sides of the kernels, odd, 1 to 15, of the first convolution: 0, for 3 */
  int64_t kernel_hidden; /* ... those between: 0, for 1, or 3 of residual blocks */
  int64_t kernel_last;   /* ... the last one: 0, for 3, or 1 of residual blocks */
  int32_t gain;          /* 0. 1: outputs are multiplied by exp(3 l) with trained l (Kingma and Dhariwal 2018, app. B) */
  int32_t ones_outside;  /* 0. 1: the last convolution sees ones around its map in place of zeros (rosinality/glow-pytorch) */
} diffeo_convolution_options;

/* A coupling of images: RealNVP (Dinh et al. 2017) and Glow (Kingma and Dhariwal 2018). Inverted, with the scale exp,
 * it is the conditional normal prior N(t, s) of what it does not keep. */
typedef struct diffeo_image_coupling_options {
  size_t struct_size;
  int32_t mask;              /* DIFFEO_IMAGE_MASK_FIRST */
  int32_t reserved;          /* 0 */
  const uint8_t *mask_given; /* a value for each channel of the map, 1 passes unchanged, with DIFFEO_IMAGE_MASK_GIVEN */
  const diffeo_convolution_options *network; /* NULL: the defaults, hidden two of 128 */
  const diffeo_map_options *map;             /* NULL: the defaults. No periodic splines */
} diffeo_image_coupling_options;

/* A split: half of the channels, ceil(channels / 2), stay in the map; the others are left behind. */
typedef struct diffeo_split_options {
  size_t struct_size;
  int32_t keep; /* DIFFEO_IMAGE_MASK_FIRST: the first ones stay. DIFFEO_IMAGE_MASK_LAST: the last ones */
  int32_t prior; /* 1: what is left behind goes to noise by N(mean, std) that a network makes of what stays. 0: as it is */
  const diffeo_convolution_options *network; /* of the prior. NULL: one convolution of 3 x 3 with a gain, as Glow */
} diffeo_split_options;

/* A whole flow of images in one call. What a flow has no use for is ignored. */
typedef struct diffeo_image_options {
  size_t struct_size;
  int64_t channels, height, width; /* no default, 1 to 65536 each and together */
  int64_t context_dim;   /* columns of the context, such as a label, one-hot, 0 to 65536: 0 */
  int64_t levels;        /* scales, each of half the height and width of the one before, 0 to 16; 0: the flow's own */
  int64_t steps;         /* of each level, 0 to 64; 0: the flow's own. glow: steps of flow, 8. realnvp: couplings with
                            checkerboards and as many by channel, 3 */
  int64_t quantization;  /* images are counts 0 to quantization - 1, 2 to 16777216; 0: real numbers: 256 */
  double alpha;          /* of counts: logit(alpha + (1 - 2 alpha) x / quantization), 0 to 0.499; 0: x / quantization
                            - 1/2 instead: 1e-6 */
  uint64_t seed;         /* of the initial weights and permutations: 0 */
  int32_t dtype;         /* DIFFEO_F32 */
  int32_t scale;         /* 0: DIFFEO_SCALE_SIGMOID */
  int32_t split;         /* 1: half of the channels leave at each level but the last. 0: none do */
  int32_t learned_prior; /* 1: of what leaves, a prior that depends on what stays. 0: standard normal */
  int32_t learned_top;   /* 1: of what is left in the end, mean and deviation by channel, given the context. 0: no */
  int32_t lu;            /* glow: 1: 1x1 convolutions by their factors P L U. 0: as one matrix */
  const diffeo_convolution_options *network; /* of each coupling. NULL: glow: hidden two of 128. realnvp: two residual
                                                blocks of 64 with preactivation */
  const diffeo_map_options *map; /* of each coupling, such as splines (Durkan et al. 2019). NULL: affine, by scale; not
                                    with a scale */
} diffeo_image_options;

DIFFEO_API diffeo_status diffeo_convolution_options_init(diffeo_convolution_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_image_coupling_options_init(diffeo_image_coupling_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_split_options_init(diffeo_split_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_image_options_init(diffeo_image_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_network_options_init(diffeo_network_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_spline_options_init(diffeo_spline_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_mixture_options_init(diffeo_mixture_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_map_options_init(diffeo_map_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_autoregressive_options_init(diffeo_autoregressive_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_coupling_options_init(diffeo_coupling_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_elementwise_options_init(diffeo_elementwise_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_base_options_init(diffeo_base_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_made_options_init(diffeo_made_options *options, size_t struct_size);
DIFFEO_API diffeo_status diffeo_architecture_options_init(diffeo_architecture_options *options, size_t struct_size);

/* The least and the greatest value that an option may have. option: "spline.bins" for bins of diffeo_spline_options,
 * "batch_norm.epsilon" for epsilon of diffeo_spec_add_batch_norm, "spec.dim" for dim of diffeo_spec_create, and so on.
 * An end that is itself excluded is told by the number next to it ("below 1": 1 - 2^-53); where there is none, by an
 * infinity. A 0 that means "none" or "the default" may be outside. What one option allows for another is not told
 * (low below high). DIFFEO_EINVAL for an option that is unknown or has no range. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_option_bounds(const char *option, double *low, double *high);

/* Flows of the literature, each with its page in docs/flows.md: formula, source, cost, when to choose it.
 *   nice     additive couplings, diagonal scaling, logistic base (Dinh, Krueger and Bengio 2015); dim >= 2, or a context
 *   realnvp  affine couplings with alternating masks (Dinh, Sohl-Dickstein and Bengio 2017); the same
 *   glow     actnorm, invertible linear layer, affine coupling (Kingma and Dhariwal 2018); the same
 *   made     one masked network as a density (Germain et al. 2015)
 *   maf      masked autoregressive flow (Papamakarios, Pavlakou and Murray 2017): fast density and, here, fast samples
 *   iaf      inverse autoregressive flow (Kingma et al. 2016): maf with the roles of data and noise exchanged
 *   planar, radial   one unit a layer (Rezende and Mohamed 2015), after a linear layer; here exact in both directions
 *   cdf_flow         triangular map by the CDFs of mixtures; one layer is a universal density model
 *   spline_coupling, spline_autoregressive   neural spline flows (Durkan et al. 2019), on the line or on the torus
 * The new flow has random weights near the identity: train it, or load one. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_nice_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_realnvp_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_glow_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_made_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_maf_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_iaf_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_planar_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_radial_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_cdf_flow_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_spline_coupling_create(const diffeo_architecture_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_spline_autoregressive_create(const diffeo_architecture_options *options, diffeo_flow **flow);

/* Multi-scale flows of images, counts or real numbers, which they take and give as they are:
 *   glow_image     levels of squeeze, steps (actnorm, invertible 1x1 convolution, coupling) and split (Kingma and Dhariwal
 *                  2018). levels: as many as leave 2 places a side, at most 3
 *   realnvp_image  couplings with checkerboards, a squeeze, couplings by channel and a split, again and again (Dinh,
 *                  Sohl-Dickstein and Bengio 2017), with actnorm. levels: as many as leave 4 places a side, at most 4
 * DIFFEO_EINVAL where height or width is odd before a squeeze, or channels do not split. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_glow_image_create(const diffeo_image_options *options, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_realnvp_image_create(const diffeo_image_options *options, diffeo_flow **flow);

/* Or layer by layer. dim: 1 to 65536, context_dim: 0 to 65536, dtype: DIFFEO_F32 or DIFFEO_F64.
 * An add appends a layer on the noise side; a failed one leaves the spec as it was.
 * Random choices (masks, orders, degrees, permutations, shifts) are drawn with the seed of their layer or base, or,
 * where it is 0, from the seed of diffeo_flow_create and the number of the layer, so that layers differ. A spec made
 * twice with one seed is the same flow; a file has what was drawn. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_create(int64_t dim, int64_t context_dim, int32_t dtype, diffeo_spec **spec);
/* Of images: 1 to 65536 channels, lines and places of a line, and numbers together. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_create_image(int64_t channels, int64_t height, int64_t width, int64_t context_dim,
    int32_t dtype, diffeo_spec **spec);
DIFFEO_API void diffeo_spec_destroy(diffeo_spec *spec); /* NULL is a no-op */
/* What flows of the spec that are made from now on compute in. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_set_dtype(diffeo_spec *spec, int32_t dtype);
/* Turns the layer that was added last the other way round: any layer can be. An inverted autoregressive layer is that
 * of IAF, x = s(z) z + t(z). DIFFEO_ESTATE if there is none. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_invert(diffeo_spec *spec);

/* Layers with networks. options may be NULL for the defaults */
DIFFEO_API diffeo_status diffeo_spec_add_autoregressive(diffeo_spec *spec, const diffeo_autoregressive_options *options);
DIFFEO_API diffeo_status diffeo_spec_add_coupling(diffeo_spec *spec, const diffeo_coupling_options *options);

/* Permutations, of images by channel of the map. z_i = x_{permutation[i]}; an entry for each column or channel, each
 * number once. A random one of two exchanges them */
DIFFEO_API diffeo_status diffeo_spec_add_permutation(diffeo_spec *spec, const int64_t *permutation);
DIFFEO_API diffeo_status diffeo_spec_add_reverse(diffeo_spec *spec);
DIFFEO_API diffeo_status diffeo_spec_add_random_permutation(diffeo_spec *spec, uint64_t seed);

/* Linear layers, of dim 8192 at most; of images at each place on the channels of the map, the invertible 1x1 convolution.
 * z = P L (U + diag(s)) x + bias with L unit lower and U strictly upper triangular,
 * trained, at the cost of one matrix in both directions (Kingma and Dhariwal 2018). It begins as the permutation P:
 * drawn with the seed if permuted is 1 (of two columns their exchange), none if 0. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_lu(diffeo_spec *spec, int32_t permuted, uint64_t seed);
/* z = W x + bias with one matrix W of at most 4096 x 4096, trained, which begins as a random rotation. Its inverse and its
 * determinant cost the cube of its size, once for each change of the weights. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_add_linear(diffeo_spec *spec);
/* A product of 1 or more Householder reflections I - 2 v v^T / |v|^2, trained: an orthogonal matrix of determinant
 * (-1)^reflections, and any such matrix if there are dim of them; at most 2^20 / dim. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_householder(diffeo_spec *spec, int64_t reflections);
/* z = exp(log_scale) x + shift with trained vectors (Kingma and Dhariwal 2018), of images by channel of the map, set when
 * training begins so that the layer's outputs have mean 0 and standard deviation 1 */
DIFFEO_API diffeo_status diffeo_spec_add_actnorm(diffeo_spec *spec);
/* The same, beginning as the identity; shift 0: z = exp(log_scale) x, the diagonal scaling of NICE. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_elementwise_affine(diffeo_spec *spec, int32_t shift);
/* z = exp(log_gamma) (x - mean) / sqrt(variance + epsilon) + beta: a minibatch in training goes by its own mean and
 * variance (by pieces of at most DIFFEO_BATCH_NORM_ROWS rows), all else by running averages, of which each piece makes
 * the part momentum.
 * epsilon: above 0, at most 1, commonly 1e-5; momentum: above 0, at most 1, commonly 0.1. Since: 0.1 */
#define DIFFEO_BATCH_NORM_ROWS 512
DIFFEO_API diffeo_status diffeo_spec_add_batch_norm(diffeo_spec *spec, double epsilon, double momentum);

/* Planar flow x + u tanh(w x + b) and radial flow x + beta (x - x0) / (alpha + |x - x0|), kept invertible by their
 * parameters (Rezende and Mohamed 2015, appendix A). Usually inverted, so that sampling is the explicit direction; the
 * other is exact, too. network: NULL for trained vectors, else of the context, hidden one of 64. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_planar(diffeo_spec *spec, const diffeo_network_options *network);
DIFFEO_API diffeo_status diffeo_spec_add_radial(diffeo_spec *spec, const diffeo_network_options *network);

/* The map of a coupling or an autoregressive layer by itself. options may be NULL for the defaults. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_elementwise(diffeo_spec *spec, const diffeo_elementwise_options *options);

/* Layers of images, on the map. Squares of 2 x 2 places become channels, and back; height and width must be even before
 * a squeeze, the channels a multiple of 4 before an unsqueeze. order: DIFFEO_SQUEEZE_*. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_add_squeeze(diffeo_spec *spec, int32_t order);
DIFFEO_API diffeo_status diffeo_spec_add_unsqueeze(diffeo_spec *spec, int32_t order);
/* options may be NULL for the defaults. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_add_image_coupling(diffeo_spec *spec, const diffeo_image_coupling_options *options);
DIFFEO_API diffeo_status diffeo_spec_add_split(diffeo_spec *spec, const diffeo_split_options *options);
/* Channels, height and width of the map, three values; of a spec that is no image dim, 1 and 1. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_map(const diffeo_spec *spec, int64_t *map);

/* How standardize takes mean and std from the data: layers, and the context's, that are added from now on. At first
 * DIFFEO_STANDARDIZE_DEVIATION. Since: 0.2 */
enum {
  DIFFEO_STANDARDIZE_DEVIATION = 1, /* mean and standard deviation */
  DIFFEO_STANDARDIZE_ROBUST = 2,    /* the median, and half the distance between the quantiles 0.1587 and 0.8413, which
                                     * a few wild values do not move, and which are the same of a normal distribution;
                                     * where these are equal the standard deviation. Of at most 65536 rows, evenly, and
                                     * 2^24 numbers */
};
DIFFEO_API diffeo_status diffeo_spec_set_standardization(diffeo_spec *spec, int32_t standardization);

/* Layers that know the data. z = (x - mean) / std, not trained. mean and std have dim values, std > 0; both NULL: from
 * the data when training begins */
DIFFEO_API diffeo_status diffeo_spec_add_standardize(diffeo_spec *spec, const double *mean, const double *std);
/* The same for the context, before any layer sees it; at most once. context_dim values, or both NULL */
DIFFEO_API diffeo_status diffeo_spec_standardize_context(diffeo_spec *spec, const double *mean, const double *std);
/* An embedding network of the context (standardised, if it is), trained with the rest: all layers and the base read its
 * outputs in place of the context. features: 1 to 65536, so many outputs. network: NULL for the defaults, hidden two of
 * 128; it has no context_mode. Where one context is given for all rows it is embedded once a tile. At most once, and
 * before layers and the base, which are made for the features: DIFFEO_ESTATE where they are there already. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_set_embedding(diffeo_spec *spec, int64_t features, const diffeo_network_options *network);
/* From the domain of some columns to the whole line; beyond its ends log_prob is -inf. columns: count of them, ascending,
 * all others pass unchanged; NULL with count 0: all. low, high: one value for each of these columns, or NULL where not used.
 * Since: 0.1 */
enum {
  DIFFEO_DOMAIN_LOGIT = 1,              /* low < x < high: z = log((x - low) / (high - x)) */
  DIFFEO_DOMAIN_LOG = 2,                /* x > low: z = log(x - low) */
  DIFFEO_DOMAIN_SOFTPLUS = 3,           /* x > low: z = log(exp(x - low) - 1), about x - low where that is large */
  DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL = 4, /* any x: z = Phi^-1(sigmoid(x)) */
  /* Any x, with a constant in place of low, 1e-3 to 15: */
  DIFFEO_DOMAIN_LEAKY_TANH = 5,         /* z = tanh(x), and beyond +-low its tangents there (flowjax) */
  DIFFEO_DOMAIN_LEAKY_RELU = 6,         /* z = x, below 0 low x */
  DIFFEO_DOMAIN_LOG_TANH = 7,           /* z = tanh(x), beyond +-low +-(tanh(low) + k log(|x| / low)) with
                                         * k = (1 - tanh(tanh(low))) / low (nflows) */
  DIFFEO_DOMAIN_PROBIT = 8              /* low < x < high: z = Phi^-1((x - low) / (high - low)) */
};
DIFFEO_API diffeo_status diffeo_spec_add_domain(diffeo_spec *spec, int32_t domain, const int64_t *columns, int64_t count,
    const double *low, const double *high);
/* z = low + (x + shift - low) mod (high - low): angles, turned by a trained shift that begins at 0, or at random from
 * the seed. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_add_wrap(diffeo_spec *spec, double low, double high, int32_t random_shift, uint64_t seed);
/* The same of some columns, as of diffeo_spec_add_domain: low and high have one value for each of these. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_add_wrap_columns(diffeo_spec *spec, const int64_t *columns, int64_t count,
    const double *low, const double *high, int32_t random_shift, uint64_t seed);
/* z = x / levels, and in training (x + u) / levels with u uniform in [0, 1), new in each epoch: integers 0..levels-1
 * become numbers in [0, 1). Rows held out in a training have noise, too, the same in each epoch: give both as integers.
 * log_prob is per unit of x, so that bits per dimension are -log_prob / (dim log 2) (Theis et al. 2016). Everywhere else
 * x is taken as it is: add the noise yourself. levels: 2 to 16777216; or 0, of counts 0, 1, 2, ... without an end: z = x,
 * and in training x + u. Since: 0.1 (levels 0: 0.2) */
DIFFEO_API diffeo_status diffeo_spec_add_dequantize(diffeo_spec *spec, int64_t levels);
/* The same of some columns, as of diffeo_spec_add_domain: levels has one value for each of these. So a table has counts and
 * categories beside other columns (examples/table.c). Since: 0.2 */
DIFFEO_API diffeo_status diffeo_spec_add_dequantize_columns(diffeo_spec *spec, const int64_t *columns, int64_t count,
    const int64_t *levels);

/* The base; a standard normal if nothing is said, and the last one said counts. NULL for the defaults. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_spec_set_base(diffeo_spec *spec, const diffeo_base_options *options);
DIFFEO_API diffeo_status diffeo_spec_set_base_made(diffeo_spec *spec, const diffeo_made_options *options);

/* ----------------------------------------------------------------------------------------------- 5. Flows */

/* The spec with random initial weights near the identity: seed decides them, and what has no seed in the spec. The spec
 * stays yours. DIFFEO_EINVAL if a layer does not reach all of where what follows it has a density, as a mixture CDF to
 * [0, 1] under a base on the whole line. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_create(const diffeo_spec *spec, uint64_t seed, diffeo_flow **flow);
DIFFEO_API void diffeo_flow_destroy(diffeo_flow *flow); /* NULL is a no-op */
/* Two flows as one: data goes through the layers of first, then through those of then, and ends at the base of then. So a
 * standardisation, a domain or a permutation, as a spec of its own, is put before a flow, or a base behind it. Both stay
 * yours. They have the same dim and dtype; where both have a context, the same one, standardised and embedded alike; where
 * one has none, it ignores that of the other. Events have the shape of first; metadata are those of both, of first where
 * both have a key. DIFFEO_ESHAPE or DIFFEO_EDTYPE if these differ, DIFFEO_EINVAL for contexts that are read otherwise, and as
 * of diffeo_flow_create. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_compose(const diffeo_flow *first, const diffeo_flow *then, diffeo_flow **flow);

/* One HDF5 file (docs/weight-file.md). Loading checks it against the self-test stored inside; saving is atomic:
 * after a crash the path holds the old file or the new one. Paths are UTF-8.
 * Errors: DIFFEO_EIO, DIFFEO_EFORMAT, DIFFEO_EVERSION, DIFFEO_ENOMEM. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_load(const char *path, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_flow_save(const diffeo_flow *flow, const char *path);
/* The same as bytes. Saving writes the size of the file to *size and, when it fits into capacity, the file to bytes;
 * bytes may be NULL with capacity 0 to ask for the size; too small a capacity is DIFFEO_EINVAL, with *size written.
 * Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_load_memory(const void *bytes, size_t size, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_flow_save_memory(const diffeo_flow *flow, void *bytes, size_t capacity, size_t *size);

/* Facts about a flow; 0 for NULL. Since: 0.1 */
DIFFEO_API int64_t diffeo_flow_dim(const diffeo_flow *flow);
DIFFEO_API int64_t diffeo_flow_context_dim(const diffeo_flow *flow);
/* The shape of an event: writes as many of its numbers as there is room for (capacity; shape may be NULL with 0), and
 * gives their count: 1 (dim), or 3 of an image (channels, height, width); 0 for NULL. Since: 0.2 */
DIFFEO_API int64_t diffeo_flow_shape(const diffeo_flow *flow, int64_t *shape, int64_t capacity);
DIFFEO_API int32_t diffeo_flow_dtype(const diffeo_flow *flow);
DIFFEO_API int64_t diffeo_flow_layer_count(const diffeo_flow *flow);
/* Which columns of x are counts: of each the levels with which it is dequantised before any other layer takes it, 0 for
 * counts without an end, -1 for a column that is none. dim values. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_levels(const diffeo_flow *flow, int64_t *levels);
/* Length of the flat parameter vector, weights masked to zero and untrained constants included. */
DIFFEO_API int64_t diffeo_flow_parameter_count(const diffeo_flow *flow);

/* A readable summary, one line a layer, UTF-8 with a final 0, as snprintf: at most capacity bytes are written (text
 * may be NULL with capacity 0) and *length, if not NULL, is the length of the whole text without the 0. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_describe(const diffeo_flow *flow, char *text, size_t capacity, size_t *length);

/* Your own words, saved with the flow: key = value, UTF-8; value NULL removes the key. Keys 1 to 255 bytes, values up
 * to 65535, at most 4096 keys; keys that differ only in how their accents are encoded are one. Reading works as in
 * describe; an unknown key is DIFFEO_EINVAL. Keys are ordered; an index at or past the count is DIFFEO_EINVAL.
 * Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_set_metadata(diffeo_flow *flow, const char *key, const char *value);
DIFFEO_API diffeo_status diffeo_flow_metadata(const diffeo_flow *flow, const char *key, char *text, size_t capacity, size_t *length);
DIFFEO_API int64_t diffeo_flow_metadata_count(const diffeo_flow *flow);
DIFFEO_API diffeo_status diffeo_flow_metadata_key(const diffeo_flow *flow, int64_t index, char *text, size_t capacity, size_t *length);

/* All parameters as one vector of diffeo_flow_parameter_count() values, in the order of the weight file; and the same
 * flow with other values (a new handle; NaN and infinities are DIFFEO_ENUMERIC). Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_parameters_f32(const diffeo_flow *flow, float *parameters);
DIFFEO_API diffeo_status diffeo_flow_parameters_f64(const diffeo_flow *flow, double *parameters);
DIFFEO_API diffeo_status diffeo_flow_with_parameters_f32(const diffeo_flow *flow, const float *parameters, diffeo_flow **changed);
DIFFEO_API diffeo_status diffeo_flow_with_parameters_f64(const diffeo_flow *flow, const double *parameters, diffeo_flow **changed);

/* Of each of them, 1 if a training moves it; 0 for constants (means, widths, running averages, flags) and for weights that
 * masks hide, which are 0 and have gradient 0. diffeo_flow_parameter_count() values. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_trained_parameters(const diffeo_flow *flow, uint8_t *trained);

/* ----------------------------------------------------------------------------- 6. Densities and samples
 *
 * In all of them
 *   x, z       n rows of diffeo_flow_dim() values; n >= 0
 *   context    rows of diffeo_flow_context_dim() values: NULL with n_context 0 for a flow without context, else one
 *              row for all (n_context 1) or n rows (n_context n)
 *   workspace  scratch and threads, or NULL
 * Errors: DIFFEO_EINVAL, DIFFEO_ESHAPE, DIFFEO_ENOMEM. A row with NaN gives NaN in that row only. A row with an
 * infinity, or so far out that the arithmetic overflows, has log_prob -inf; its gradient may be NaN. */

/* log p(x | context), in nats, n values. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_log_prob_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *log_prob);
DIFFEO_API diffeo_status diffeo_flow_log_prob_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *log_prob);

/* Its gradient. Any output may be NULL.
 *   log_prob      n values
 *   grad_x        d log p / d x (the score), n rows of dim
 *   grad_context  d log p / d context, n rows of context_dim, also when one context row serves all. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_log_prob_gradient_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace,
    float *log_prob, float *grad_x, float *grad_context);
DIFFEO_API diffeo_status diffeo_flow_log_prob_gradient_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace,
    double *log_prob, double *grad_x, double *grad_context);

/* Data to noise, with log|det dz/dx|. log_det may be NULL. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_to_noise_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *z, float *log_det);
DIFFEO_API diffeo_status diffeo_flow_to_noise_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *z, double *log_det);

/* Noise to data, with log|det dx/dz|. log_det may be NULL. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_from_noise_f32(const diffeo_flow *flow, const float *z, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *x, float *log_det);
DIFFEO_API diffeo_status diffeo_flow_from_noise_f64(const diffeo_flow *flow, const double *z, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *x, double *log_det);

/* Samples number first_row .. first_row + n - 1 of the seed: each depends on the seed and its own number only
 * (Philox4x32-10, Salmon et al. 2011), so that a long run may be cut into pieces, over threads or machines, and give
 * the same rows. Numbers beyond 2^64 - 1 are DIFFEO_EINVAL. x: n rows of dim; log_prob: their n log-densities, or NULL.
 * Since: 0.1 */
DIFFEO_API diffeo_status diffeo_flow_sample_f32(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *x, float *log_prob);
DIFFEO_API diffeo_status diffeo_flow_sample_f64(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *x, double *log_prob);

/* The same with the noise drawn in to a temperature T: z = m + T (e - m) for a draw e of the base, whose mean is m.
 * temperature: above 0, at most 1e6
 * log_prob is then the log-density of these samples, log p_base(e) - dim log T - log|det dx/dz|, and not that of the flow.
 * For a standard normal, normal or logistic base, others: DIFFEO_EUNSUPPORTED. Images: Kingma and Dhariwal 2018, section
 * 6. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_sample_tempered_f32(const diffeo_flow *flow, double temperature, uint64_t seed,
    uint64_t first_row, int64_t n, const float *context, int64_t n_context, diffeo_workspace *workspace, float *x,
    float *log_prob);
DIFFEO_API diffeo_status diffeo_flow_sample_tempered_f64(const diffeo_flow *flow, double temperature, uint64_t seed,
    uint64_t first_row, int64_t n, const double *context, int64_t n_context, diffeo_workspace *workspace, double *x,
    double *log_prob);

/* Bits per dimension of counts, n values: the mean over draws of -log p(x + u) / (dim log 2), u uniform noise in [0, 1) by
 * the seed, the number of the row and of the draw; a bound of -log2 P(x) / dim of the discrete distribution P (Theis, van
 * den Oord and Bethge 2016). draws: 1 or more. For flows that dequantise columns of x (diffeo_flow_levels), of which the
 * others are taken as they are; DIFFEO_EINVAL for other flows, and for an x that is no count of its column. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_bits_per_dim_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, uint64_t seed, int64_t draws, diffeo_workspace *workspace, float *bits);
DIFFEO_API diffeo_status diffeo_flow_bits_per_dim_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, uint64_t seed, int64_t draws, diffeo_workspace *workspace, double *bits);

/* Gradients for hosts: vector-Jacobian products (reverse mode) of the four functions above, with which a flow is a part of
 * a larger derivative. Of a loss L the caller has dL/d(what the function gives), and gets dL/d(what it is given):
 *   g_log_prob, g_z, g_x, g_log_det   dL/d(the output of that name), in its shape, or NULL for zeros. Weights of rows, the
 *                                     1 / n of a mean and the sign are in them
 *   log_prob, z, x, log_det           the outputs themselves, made on the way, or NULL
 *   grad_x, grad_z    dL/d(the rows given), n rows of dim, or NULL
 *   grad_context      dL/d(context), n rows of context_dim, also when one context row serves all, or NULL
 *   grad_parameters   dL/d(parameters), diffeo_flow_parameter_count() values in the order of diffeo_flow_parameters, or
 *                     NULL. It is ADDED to what is there. Constants, and weights that a mask hides, get 0. Rows are summed
 *                     in their order, 512 at a time: the same bits for any number of threads
 * The flow is the one that is evaluated: dropout leaves nothing out, batch_norm goes by its running averages, all masks of a
 * MADE count. Memory grows with the layers, the threads and the parameters, not with n.
 * Errors: those of the functions; DIFFEO_EUNSUPPORTED, see sample. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_log_prob_vjp_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *g_log_prob, diffeo_workspace *workspace,
    float *log_prob, float *grad_x, float *grad_context, float *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_log_prob_vjp_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *g_log_prob, diffeo_workspace *workspace,
    double *log_prob, double *grad_x, double *grad_context, double *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_to_noise_vjp_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *g_z, const float *g_log_det, diffeo_workspace *workspace,
    float *z, float *log_det, float *grad_x, float *grad_context, float *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_to_noise_vjp_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *g_z, const double *g_log_det, diffeo_workspace *workspace,
    double *z, double *log_det, double *grad_x, double *grad_context, double *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_from_noise_vjp_f32(const diffeo_flow *flow, const float *z, int64_t n,
    const float *context, int64_t n_context, const float *g_x, const float *g_log_det, diffeo_workspace *workspace,
    float *x, float *log_det, float *grad_z, float *grad_context, float *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_from_noise_vjp_f64(const diffeo_flow *flow, const double *z, int64_t n,
    const double *context, int64_t n_context, const double *g_x, const double *g_log_det, diffeo_workspace *workspace,
    double *x, double *log_det, double *grad_z, double *grad_context, double *grad_parameters);
/* Of samples as functions of the parameters and the context, the seed held fixed (reparameterisation: Kingma and Welling
 * 2014). A mixture base moves its samples with the distribution, though the component that each is from is not a smooth
 * function (implicit reparameterisation: Figurnov, Mohamed and Mnih 2018): right in the mean over seeds.
 * DIFFEO_EUNSUPPORTED: the base is a MADE whose samples are 0 or 1, or that has several masks. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_sample_vjp_f32(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const float *context, int64_t n_context, const float *g_x, const float *g_log_prob, diffeo_workspace *workspace,
    float *x, float *log_prob, float *grad_context, float *grad_parameters);
DIFFEO_API diffeo_status diffeo_flow_sample_vjp_f64(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const double *context, int64_t n_context, const double *g_x, const double *g_log_prob, diffeo_workspace *workspace,
    double *x, double *log_prob, double *grad_context, double *grad_parameters);

/* --------------------------------------------------------------------------------- 7. Rows that are read
 *
 * Data that does not fit into memory: rows are read when they are needed, and not all at once. */

/* Where rows are: x, the context and weights of so many rows. It may serve several calls at once. */
typedef struct diffeo_rows diffeo_rows;

/* Fills in rows first .. first + count - 1, of n: x [count, dim], context [count, context_dim] and weights [count], each
 * NULL where there is none. 0: done; anything else fails the call that wants them, with DIFFEO_EIO. The same rows each
 * time. Called by one thread at a time, which may be one of the library, and only while a call of the library runs that
 * was given the rows, or a trainer of them. It must not call the library with that trainer. */
typedef int (*diffeo_read_rows_f32)(void *user, int64_t first, int64_t count, float *x, float *context, float *weights);
typedef int (*diffeo_read_rows_f64)(void *user, int64_t first, int64_t count, double *x, double *context, double *weights);

/* Rows that a function of yours gives. n >= 0; dim and context_dim, one of them above 0: 0 to 65536. weighted 1: they
 * have weights, else 0. Trainers keep what they need of rows that are destroyed, so the function and user must last
 * as long as those do.
 * Errors: DIFFEO_EINVAL, DIFFEO_ENOMEM. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_rows_create_f32(int64_t n, int64_t dim, int64_t context_dim, int32_t weighted,
    diffeo_read_rows_f32 read, void *user, diffeo_rows **rows);
DIFFEO_API diffeo_status diffeo_rows_create_f64(int64_t n, int64_t dim, int64_t context_dim, int32_t weighted,
    diffeo_read_rows_f64 read, void *user, diffeo_rows **rows);
/* Rows of an HDF5 file. x, context and weights are names of data sets, NULL for none, but not all of x and context: [n]
 * or [n, columns], or [n, channels, height, width] of images, of floating-point numbers or integers of any width, chunked
 * and compressed or not, or [n] of records of them (a compound type), each field of which is a column. Several with commas
 * between them, such as "ra,dec,flux", have their columns side by side. Numbers are converted to the type of the flow. The file is open, and must not change, until
 * the rows and all trainers of them are destroyed. Soft and external links are not followed, nor data stored in other
 * files; chunks of at most 268435456 bytes; filters that this HDF5 has, plugins included.
 * Errors: DIFFEO_EIO, DIFFEO_EFORMAT for what is no HDF5 file, or a data set that was not all written, DIFFEO_EINVAL for
 * a name that is not there, DIFFEO_EDTYPE, DIFFEO_ESHAPE, DIFFEO_EUNSUPPORTED for a filter that is missing,
 * DIFFEO_ENOMEM. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_rows_open(const char *path, const char *x, const char *context, const char *weights,
    diffeo_rows **rows);
DIFFEO_API void diffeo_rows_destroy(diffeo_rows *rows); /* NULL is a no-op */

/* 0 for NULL. Since: 0.2 */
DIFFEO_API int64_t diffeo_rows_count(const diffeo_rows *rows);
DIFFEO_API int64_t diffeo_rows_dim(const diffeo_rows *rows);
DIFFEO_API int64_t diffeo_rows_context_dim(const diffeo_rows *rows);

/* Log-densities of rows, and samples, to a new HDF5 file, some megabytes at a time: "log_prob" [n] and, of samples, "x"
 * [n, dim], in the type of the flow and with the bits of diffeo_flow_log_prob and diffeo_flow_sample. The file has its
 * name when all is in it; until then, and for ever after a failure, there is what there was before. Weights of rows
 * do not matter. context: rows with context columns, 1 or n of them; NULL for a flow without. x of them is read and left.
 * Errors: those of diffeo_flow_log_prob, DIFFEO_EIO. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_flow_log_prob_file(const diffeo_flow *flow, const diffeo_rows *rows,
    diffeo_workspace *workspace, const char *path);
DIFFEO_API diffeo_status diffeo_flow_sample_file(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const diffeo_rows *context, diffeo_workspace *workspace, const char *path);

/* -------------------------------------------------------------------------------------------- 8. Training
 *
 * Maximum likelihood over shuffled minibatches, keeping the weights that are best on rows held out. The same data,
 * options and seed give the same weights, bit for bit, for any number of threads. The memory of a step does not grow
 * with batch_size: a large one is worked on in pieces and is what other libraries call accumulated gradients. */

enum {
  DIFFEO_OPTIMIZER_ADAM = 1, /* Kingma and Ba 2015; with weight_decay AdamW (Loshchilov and Hutter 2019) */
  DIFFEO_OPTIMIZER_SGD = 2   /* v = momentum v + gradient, parameters += rate v */
};

enum { /* what the learning rate is multiplied by */
  DIFFEO_SCHEDULE_CONSTANT = 1,
  DIFFEO_SCHEDULE_COSINE = 2,      /* from 1 to 0 at max_epochs */
  DIFFEO_SCHEDULE_EXPONENTIAL = 3, /* rate_decay after every epoch */
  DIFFEO_SCHEDULE_PLATEAU = 4      /* rate_decay after plateau_patience epochs without a better best_log_prob */
};

enum {
  DIFFEO_JUDGE_MEAN = 1,  /* by the mean log-likelihood of the rows */
  DIFFEO_JUDGE_ROBUST = 2 /* by the mean without the worst thousandth of the rows, one at least */
};

typedef struct diffeo_train_options {
  size_t struct_size;
  int64_t batch_size;         /* rows a step, 1 or more: 512; more than the rows there are means all of them */
  int64_t max_epochs;         /* 0 or more: 100 */
  int64_t patience;           /* stop after so many epochs without a better best_log_prob, 0 or more; 0 for never: 10 */
  double validation_fraction; /* of the rows, rounded down, 0 or more, below 1; with 0 best is best on training: 0.1 */
  uint64_t seed;              /* of the split, the shuffling and the noise: 0 */
  int32_t threads;            /* 0 to 256, 0 for as many as the process may run on: 1 */
  int32_t judge;              /* what best means, for early stopping too: DIFFEO_JUDGE_MEAN */
  int32_t optimizer;          /* DIFFEO_OPTIMIZER_ADAM */
  int32_t schedule;           /* of the learning rate: DIFFEO_SCHEDULE_CONSTANT */
  double learning_rate;       /* above 0: 1e-3 */
  int64_t warmup_steps;       /* in which the rate rises in a line to the schedule's, 0 or more: 0 */
  double rate_decay;          /* of two schedules, above 0, at most 1: 0.5 */
  int64_t plateau_patience;   /* 1 or more: 5 */
  double beta1, beta2;        /* of Adam, 0 or more, below 1: 0.9, 0.999 */
  double epsilon;             /* of Adam, above 0: 1e-8 */
  double momentum;            /* of SGD, 0 or more, below 1: 0.9 */
  double weight_decay;        /* decoupled, on weight matrices: they lose rate weight_decay times themselves; 0 or more: 0 */
  double l2;                  /* a penalty of l2 |w|^2 / 2 on weight matrices, as a part of the gradient, 0 or more: 0 */
  double clip_norm;           /* the gradient's norm is cut to this, 0 or more; 0 for not: 0 */
  double clip_quantile;       /* ... and to this quantile of its latest 256 values (Seetharaman et al. 2020),
                                 0 or more, below 1; 0 for not: 0.9 */
  double ema_decay;           /* of an exponential moving average of the weights, judged beside them after each epoch:
                                 the better of the two is the epoch's. 0 or more, below 1; 0 for none: 0. At step t it is
                                 (1 + t) / (10 + t) at most. Without validation the average is always the epoch's, but
                                 for flows with batch_norm */
  double x_noise;             /* normal noise added to x, new in each epoch, in standard deviations of the column,
                                 0 or more; not where the flow lives on a part of the numbers: 0 */
  int32_t negative_weights;   /* 1: rows may have weights below 0, whose likelihood is made small; 0: refused: 0 */
  int32_t reserved;
  int64_t rows_memory;        /* bytes that diffeo_rows may take in memory, 0 or more: 268435456. See there */
  int64_t image_shift;        /* images are moved by up to so many places up, down, left and right, new in each epoch,
                                 with the numbers of their borders behind them, 0 to 65536: 0 */
  int32_t image_flip;         /* 1: half of the images, new in each epoch, are mirrored, left to right: 0 */
  int32_t reserved2;          /* 0 */
} diffeo_train_options;

enum {
  DIFFEO_TRAIN_RUNNING = 0,    /* in the middle of an epoch */
  DIFFEO_TRAIN_EPOCH_END = 1,  /* an epoch has just ended, and more are to come */
  DIFFEO_TRAIN_MAX_EPOCHS = 2, /* finished */
  DIFFEO_TRAIN_PATIENCE = 3,   /* finished */
  DIFFEO_TRAIN_CANCELLED = 4   /* finished */
};

typedef struct diffeo_train_report {
  size_t struct_size;                 /* set it to sizeof(diffeo_train_report) before the call */
  int64_t epoch;                      /* complete epochs */
  int64_t batch;                      /* steps done in the present epoch */
  int64_t batches_per_epoch;
  int64_t train_rows, validation_rows;
  double effective_rows;              /* (sum of weights)^2 / sum of their squares, of the rows that train (Kish 1965) */
  double train_log_prob;              /* mean over the rows of this epoch so far, as seen while training; nats */
  double train_robust_log_prob;       /* without the worst thousandth of the rows, rounded up */
  double validation_log_prob;         /* mean after the latest complete epoch, of the weights or, where that is better (see
                                         judge), of their average; NaN before and without validation */
  double validation_robust_log_prob;  /* without the worst thousandth of the rows, rounded up */
  double worst_log_prob;              /* of this epoch's rows so far, as seen while training */
  int64_t worst_row;                  /* its row of x; -1 before there is one */
  /* Best validation value so far, see judge. Without validation: of training, in the steps of the epoch; with batch_norm
   * after them, of all rows and as the flow is used, as rows of a minibatch see one another. */
  double best_log_prob;
  int64_t best_epoch;                 /* the epoch it was reached in; 0: the weights it began with */
  double gradient_norm;               /* of the latest step, before clipping */
  double learning_rate;               /* of the latest step */
  double base_learning_rate;          /* which the schedule multiplies */
  double rows_per_second;             /* in the latest epoch, validation included */
  double seconds;                     /* spent in diffeo_trainer_step so far */
  double seconds_left;                /* to max_epochs at this speed */
  int64_t steps;                      /* in all */
  int64_t skipped_steps;              /* of them left out because the gradient was not finite */
  int64_t cut_steps;                  /* of them whose gradient was cut, see clip_norm and clip_quantile */
  int32_t averaged;                   /* 1: the best weights are a moving average, see ema_decay */
  int32_t state;                      /* DIFFEO_TRAIN_* */
} diffeo_train_report;

DIFFEO_API diffeo_status diffeo_train_options_init(diffeo_train_options *options, size_t struct_size);

/* Optimizer state, its own copy of the data, and the weights: used by one thread at a time. */
typedef struct diffeo_trainer diffeo_trainer;

/* Begins with the weights of flow, which is not changed. Copies the rows. options may be NULL for the defaults.
 * weights: one for each row, such as importance weights; NULL for 1 each. Likelihoods, here and in the validation, are
 * then weighted means, and so are the statistics of layers that are set from the data; batch_norm goes by the rows of
 * a minibatch, unweighted. Only the ratios of weights matter.
 * Layers that are set from the data (standardize, actnorm, batch_norm) and are not yet, are set here
 * (from the rows that train, not those held out; a flow that was trained before keeps what it has). A constant column
 * of the context is only centred.
 * Errors: DIFFEO_ENUMERIC for a NaN or an infinity (with its row and column), for a row outside of the support of the
 * flow, for a column of x that is constant, or too far from 0 for its spread, where it would be standardised, and for
 * weights that are negative (see negative_weights) or have no sum above 0;
 * DIFFEO_ESHAPE, DIFFEO_EINVAL, DIFFEO_ENOMEM.
 * Since: 0.1 */
DIFFEO_API diffeo_status diffeo_trainer_create_f32(const diffeo_flow *flow, const diffeo_train_options *options,
    const float *x, int64_t n, const float *context, int64_t n_context, const float *weights, diffeo_trainer **trainer);
DIFFEO_API diffeo_status diffeo_trainer_create_f64(const diffeo_flow *flow, const diffeo_train_options *options,
    const double *x, int64_t n, const double *context, int64_t n_context, const double *weights, diffeo_trainer **trainer);
DIFFEO_API void diffeo_trainer_destroy(diffeo_trainer *trainer); /* NULL is a no-op */

/* Use these rows for validation in place of a fraction; before the first step (else DIFFEO_ESTATE). All rows given at
 * the creation then train. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_trainer_set_validation_f32(diffeo_trainer *trainer, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *weights);
DIFFEO_API diffeo_status diffeo_trainer_set_validation_f64(diffeo_trainer *trainer, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *weights);

/* Both with rows that are read when they are needed (see Rows that are read), and need not fit into memory.
 * Where rows_memory bytes hold all rows (the numbers of a row in the type of the flow, and 4 bytes), they are read once
 * and kept, and the training is that with arrays, bit for bit. Else they take rows_memory bytes at most, but 2048 rows at
 * least, for validation rows that are set a quarter more, beside the chunks of a file and what reading it takes; and
 *   - all are read once before the first step, and the rows that train once for each sum over them: weights, standardize;
 *   - an epoch takes blocks of consecutive rows in a random order. Three windows are in memory, each of as many blocks as
 *     there is room for, about 32 of small rows: one that is used, one that may be used with it, and the next, which a
 *     thread reads meanwhile. The rows of a window are shuffled. The order depends on the seed, the number of the
 *     epoch and rows_memory, and on nothing else;
 *   - of each 64 consecutive rows as many are held out as validation_fraction says, drawn with the seed. Rows held out
 *     stay in memory if a quarter of rows_memory holds them, else all rows are read once more for each validation.
 * When reading fails, or a block is not what it was at first (by its fingerprint), the step that wants it fails with
 * DIFFEO_EIO, and the best weights so far are kept; a later step tries again. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_create_rows(const diffeo_flow *flow, const diffeo_train_options *options,
    const diffeo_rows *rows, diffeo_trainer **trainer);
DIFFEO_API diffeo_status diffeo_trainer_set_validation_rows(diffeo_trainer *trainer, const diffeo_rows *rows);

/* At most so many minibatches, never past the end of an epoch (batches <= 0: to the end of the epoch), where the
 * validation is computed. report may be NULL. Once the state is finished, further steps do nothing and report.
 * Errors: DIFFEO_ECANCELLED after a cancel; DIFFEO_ENUMERIC when no step of a whole epoch was finite. Both keep the
 * best weights, and write the report all the same. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_trainer_step(diffeo_trainer *trainer, int64_t batches, diffeo_train_report *report);

/* How it stands, without a step. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_report(const diffeo_trainer *trainer, diffeo_train_report *report);

/* From the next step on, above 0; the schedule multiplies it. Between two steps: a schedule of your own. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_set_learning_rate(diffeo_trainer *trainer, double rate);

/* Steps work in the threads of this workspace from now on, in place of the trainer's own (`threads` of the options): in
 * those of the host, if it is hosted. A step is a call that the workspace serves. The trainer keeps it: its handle may be
 * destroyed, but `user` of a hosted one has to stay. NULL: in its own again. The bits are the same.
 * Errors: DIFFEO_ENOMEM, which leaves the trainer as it was, where so many threads of images would take more memory than
 * there is. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_set_workspace(diffeo_trainer *trainer, diffeo_workspace *workspace);

/* 1 when the training has finished, by itself or by a cancel, else 0; 1 for NULL. Since: 0.1 */
DIFFEO_API int32_t diffeo_trainer_finished(const diffeo_trainer *trainer);

/* A new flow with the best weights so far, or with the present ones. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_trainer_best(const diffeo_trainer *trainer, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_trainer_current(const diffeo_trainer *trainer, diffeo_flow **flow);

/* Writes the training as it stands, between any two steps, to a checkpoint: a weight file of the best flow so far, which
 * diffeo_flow_load reads, with all that the training needs to go on in its group /training, and fingerprints of the rows
 * in place of the rows. After a crash at any moment path leads to the old file or to the new one.
 * Errors: DIFFEO_EIO, DIFFEO_ENOMEM, DIFFEO_EINVAL. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_save(const diffeo_trainer *trainer, const char *path);

/* Goes on from a checkpoint: for a trainer without a step that was made, and given its validation rows, as the one that
 * wrote it, from the same flow, rows and options. From there on it has the bits of a training that never stopped, with any
 * number of threads; a cancelled training goes on, too. max_epochs, patience and threads may be others (a cosine schedule
 * goes by the new max_epochs).
 * Errors, which leave the trainer as it was: DIFFEO_EINVAL with what differs from the training of the checkpoint,
 * DIFFEO_ESTATE after a step, DIFFEO_EFORMAT, DIFFEO_EVERSION, DIFFEO_EIO, DIFFEO_ENOMEM. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_trainer_load(diffeo_trainer *trainer, const char *path);

/* Makes the running and every later step return DIFFEO_ECANCELLED within a minibatch. From any thread; NULL is a
 * no-op, and so is a training that has finished by itself. Since: 0.1 */
DIFFEO_API void diffeo_trainer_cancel(diffeo_trainer *trainer);

/* Called after every epoch: 0 continues, anything else stops. */
typedef int (*diffeo_progress)(const diffeo_train_report *report, void *user);

/* All of the above in one call: trains to the end and gives the best flow. on_progress and report may be NULL.
 * Stopped by on_progress it returns DIFFEO_ECANCELLED and still writes *trained, the best so far, and *report: the
 * one failure that gives a result. Since: 0.1 */
DIFFEO_API diffeo_status diffeo_fit_f32(const diffeo_flow *flow, const diffeo_train_options *options,
    const float *x, int64_t n, const float *context, int64_t n_context, const float *weights,
    diffeo_progress on_progress, void *user, diffeo_flow **trained, diffeo_train_report *report);
DIFFEO_API diffeo_status diffeo_fit_f64(const diffeo_flow *flow, const diffeo_train_options *options,
    const double *x, int64_t n, const double *context, int64_t n_context, const double *weights,
    diffeo_progress on_progress, void *user, diffeo_flow **trained, diffeo_train_report *report);

/* -------------------------------------------------------------------------------- 9. Variational inference
 *
 * Trains a flow q to a density p that can be evaluated, up to a constant, in place of data: samples of the flow are
 * moved to where p is, by the gradient of p (Rezende and Mohamed 2015). The same options and seed, and a target that
 * gives the same numbers, give the same weights, bit for bit, for any number of threads. */

/* The target: log p of n rows of dim values, up to a constant, and, where gradient is not NULL, d log p / dx, n rows of
 * dim. context: what the rows were drawn given, n rows of context_dim; NULL for a flow without. 0: done; anything else
 * ends the training. Called by the thread that calls diffeo_vi_step, once a step, with all samples of it; it may use as
 * many threads as it likes, and must not call the library with that diffeo_vi. Where it has no finite value (-inf for
 * what is outside of p, NaN), or no finite gradient, the step is left out; mass covering takes -inf for a weight of 0. */
typedef int (*diffeo_target_f32)(void *user, int64_t n, const float *x, const float *context, float *log_density,
    float *gradient);
typedef int (*diffeo_target_f64)(void *user, int64_t n, const double *x, const double *context, double *log_density,
    double *gradient);

enum { /* of samples x from q, with w = p(x) / q(x) */
  DIFFEO_ESTIMATOR_REVERSE_KL = 1, /* E log w, the evidence lower bound, by reparameterisation: prefers one mode to the
                                      gap between two */
  DIFFEO_ESTIMATOR_PATH = 2,       /* the same, its gradient without a part whose mean is 0: no noise where q is p
                                      (Roeder, Wu and Duvenaud 2017) */
  DIFFEO_ESTIMATOR_IMPORTANCE = 3, /* E log of the mean w of `draws` samples (Burda, Grosse and Salakhutdinov 2016) */
  DIFFEO_ESTIMATOR_MASS_COVERING = 4 /* the mean of log q under p, by samples with weights w that sum to 1: covers all
                                        modes that samples reach (Bornschein and Bengio 2015); asks for no gradient of p */
};

typedef struct diffeo_vi_options {
  size_t struct_size;
  int64_t steps;              /* rounded up to whole windows, 0 to 281474976710656: 2000 */
  int64_t batch_size;         /* samples a step, 1 to 4194304: 256 */
  int64_t window;             /* steps whose mean bound tells which weights are best, 1 to 262144: 100 */
  int64_t patience;           /* stop after so many windows without a better best_bound, 0 or more; 0 for never: 0 */
  int32_t estimator;          /* DIFFEO_ESTIMATOR_PATH */
  int32_t draws;              /* of DIFFEO_ESTIMATOR_IMPORTANCE; batch_size is a multiple of it; 1 or more: 8 */
  double tempering;           /* the target is p^b, where b rises from this to 1; above 0, at most 1: 1 */
  int64_t tempering_steps;    /* in which it does, by the same factor in each; 0 or more: 0 */
  const diffeo_train_options *train; /* of it count seed, threads, the optimizer, its learning rate and schedule, clipping,
                                        decay and ema_decay; the epochs of a schedule are windows. NULL for the defaults,
                                        but learning_rate 5e-3 and DIFFEO_SCHEDULE_COSINE */
} diffeo_vi_options;

typedef struct diffeo_variational_report {
  size_t struct_size;         /* set it to sizeof(diffeo_variational_report) before the call */
  int64_t steps, total_steps; /* done, and in all */
  int64_t windows;            /* complete ones */
  double elbo, elbo_error;    /* mean log w of the samples of this window so far, at most the latest 65536, and its standard
                                 error; nats */
  double bound;               /* what this window's steps have made as large as they can: the mean over batches of the log of
                                 the mean w of 1 sample, of draws, or, of mass covering, of a batch */
  double best_bound;          /* of the best window so far */
  int64_t best_window;        /* 0: the weights it began with */
  double log_evidence;        /* of the latest complete window: log of the mean w */
  double effective_samples;   /* ... (sum w)^2 / sum w^2 (Kong 1992) */
  double pareto_k;            /* ... the shape of the tail of w (Vehtari et al. 2024): above 0.7 log_evidence is not to be
                                 trusted */
  double inverse_temperature; /* of the latest step */
  double gradient_norm;       /* of the latest step, before clipping */
  double learning_rate;       /* of the latest step */
  double base_learning_rate;  /* which the schedule multiplies */
  double samples_per_second;  /* in the latest window */
  double seconds;             /* spent in diffeo_vi_step so far, the target included */
  double seconds_left;        /* to the last step at this speed */
  int64_t skipped_steps;      /* left out because the target or the gradient was not finite */
  int64_t cut_steps;          /* whose gradient was cut, see clip_norm and clip_quantile */
  int32_t averaged;           /* 1: the best weights are a moving average, see ema_decay */
  int32_t state;              /* DIFFEO_TRAIN_*; an epoch is a window */
} diffeo_variational_report;

DIFFEO_API diffeo_status diffeo_vi_options_init(diffeo_vi_options *options, size_t struct_size);

/* Optimizer state and the weights: used by one thread at a time. */
typedef struct diffeo_vi diffeo_vi;

/* Begins with the weights of flow, which is not changed. Layers that are set from data and are not yet become the
 * identity. context: rows that samples are drawn given, in turns, for a flow with a context, n_context of them, 1 or
 * more; copied. options may be NULL for the defaults.
 * Errors: DIFFEO_EUNSUPPORTED for a flow with batch_norm, or without derivatives of its samples (see
 * diffeo_flow_sample_vjp); DIFFEO_ESHAPE, DIFFEO_EINVAL, DIFFEO_ENOMEM. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_vi_create_f32(const diffeo_flow *flow, const diffeo_vi_options *options,
    diffeo_target_f32 target, void *user, const float *context, int64_t n_context, diffeo_vi **vi);
DIFFEO_API diffeo_status diffeo_vi_create_f64(const diffeo_flow *flow, const diffeo_vi_options *options,
    diffeo_target_f64 target, void *user, const double *context, int64_t n_context, diffeo_vi **vi);
DIFFEO_API void diffeo_vi_destroy(diffeo_vi *vi); /* NULL is a no-op */

/* At most so many steps, never past the end of a window (steps <= 0: to the end of the window). report may be NULL. Once
 * the state is finished, further steps do nothing and report.
 * Errors: DIFFEO_ECANCELLED after a cancel, or when the target returned something else than 0; DIFFEO_ENUMERIC when no
 * step of a whole window was finite. All keep the best weights, and write the report all the same. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_vi_step(diffeo_vi *vi, int64_t steps, diffeo_variational_report *report);

/* One step with contexts of its own, batch_size rows of context_dim, in place of those of diffeo_vi_create: where an encoder
 * of the host's makes them, and learns with the flow (amortised inference; Kingma and Welling 2014). grad_context: the
 * derivative in them, in their shape, of the mean bound that the step makes larger, through the flow (what the target
 * makes of them is its own affair), without the part whose mean is 0 (DIFFEO_ESTIMATOR_PATH); NULL for none. Zeros when
 * the step is left out, or the state is finished.
 * Errors: those of diffeo_vi_step; DIFFEO_EINVAL for a vi of the other type, or a flow without a context. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_vi_step_given_f32(diffeo_vi *vi, const float *context, float *grad_context,
    diffeo_variational_report *report);
DIFFEO_API diffeo_status diffeo_vi_step_given_f64(diffeo_vi *vi, const double *context, double *grad_context,
    diffeo_variational_report *report);

/* As diffeo_trainer_report and so on. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_vi_report(const diffeo_vi *vi, diffeo_variational_report *report);
DIFFEO_API diffeo_status diffeo_vi_set_learning_rate(diffeo_vi *vi, double rate);
DIFFEO_API diffeo_status diffeo_vi_set_workspace(diffeo_vi *vi, diffeo_workspace *workspace);
DIFFEO_API int32_t diffeo_vi_finished(const diffeo_vi *vi);
DIFFEO_API diffeo_status diffeo_vi_best(const diffeo_vi *vi, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_vi_current(const diffeo_vi *vi, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_vi_save(const diffeo_vi *vi, const char *path);
/* The target is not in the checkpoint: it must be the same. steps, patience and threads may be others. */
DIFFEO_API diffeo_status diffeo_vi_load(diffeo_vi *vi, const char *path);
DIFFEO_API void diffeo_vi_cancel(diffeo_vi *vi);

/* -------------------------------------------------------------------------------- 10. An optimizer for your gradients
 *
 * The steps of the trainings above, for gradients of a loss of the caller's own: from diffeo_flow_*_vjp, from anything
 * behind it, summed over processes. The same gradients give the same weights, bit for bit, for any number of threads. */

/* Optimizer state and the weights: used by one thread at a time. */
typedef struct diffeo_optimizer diffeo_optimizer;

/* Begins with the weights of flow, which is not changed. Layers that are set from data and are not yet become the
 * identity; to have them set from rows, take the flow that diffeo_trainer_current gives before the first step. Of options
 * count optimizer, learning rate, schedule, warmup_steps, clipping, decay, ema_decay and threads; NULL for the defaults.
 * total_steps: 0 or more; DIFFEO_SCHEDULE_COSINE falls to 0 over them, 1 or more, and stays there; others do not ask for
 * them.
 * Schedules by epochs (exponential, plateau) are refused.
 * Errors: DIFFEO_EUNSUPPORTED for a flow with batch_norm; DIFFEO_EINVAL, DIFFEO_ENOMEM. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_create(const diffeo_flow *flow, const diffeo_train_options *options,
    int64_t total_steps, diffeo_optimizer **optimizer);
DIFFEO_API void diffeo_optimizer_destroy(diffeo_optimizer *optimizer); /* NULL is a no-op */

/* One step to a smaller loss L. gradient: dL/d(parameters), as many numbers as diffeo_flow_parameter_count says; what no
 * training moves (diffeo_flow_trained_parameters) is not looked at. When the rest is not finite the step is left out, and
 * counted in skipped_steps. report may be NULL; it tells steps, skipped_steps, cut_steps, gradient_norm, learning_rate,
 * base_learning_rate and seconds, and has nothing else.
 * Errors: DIFFEO_EINVAL. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_step_f32(diffeo_optimizer *optimizer, const float *gradient,
    diffeo_train_report *report);
DIFFEO_API diffeo_status diffeo_optimizer_step_f64(diffeo_optimizer *optimizer, const double *gradient,
    diffeo_train_report *report);
DIFFEO_API diffeo_status diffeo_optimizer_report(const diffeo_optimizer *optimizer, diffeo_train_report *report);

/* From the next step on, above 0; the schedule multiplies it. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_set_learning_rate(diffeo_optimizer *optimizer, double rate);
/* As diffeo_trainer_set_workspace. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_set_workspace(diffeo_optimizer *optimizer, diffeo_workspace *workspace);

/* A new flow with the weights as they are now: what the next gradient is taken of. And one with their moving average
 * (DIFFEO_ESTATE with ema_decay 0). Errors: DIFFEO_ENUMERIC for weights that are not finite. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_current(const diffeo_optimizer *optimizer, diffeo_flow **flow);
DIFFEO_API diffeo_status diffeo_optimizer_average(const diffeo_optimizer *optimizer, diffeo_flow **flow);

/* As diffeo_trainer_save and diffeo_trainer_load: a weight file of the current flow, from which an optimizer that was
 * made with the same flow, options and total_steps goes on with the same bits. Since: 0.2 */
DIFFEO_API diffeo_status diffeo_optimizer_save(const diffeo_optimizer *optimizer, const char *path);
DIFFEO_API diffeo_status diffeo_optimizer_load(diffeo_optimizer *optimizer, const char *path);

#ifdef __cplusplus
}
#endif
#endif
