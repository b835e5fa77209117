package diffeo;

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Map;

/**
 * What diffeo.h declares, which says what it means, by JNA: written by scripts/generate-interface.
 *
 * Handles are Pointers, and are ended by their destroy. Arrays are copied in and out by JNA; null is NULL. Numbers
 * without a sign have the bits of Java's. The library is that of the property diffeo.library, a path, else that of the
 * system.
 */
public final class Diffeo {
  private Diffeo() {}

  static {
    String library = System.getProperty("diffeo.library", "libdiffeo.so.0.2");
    Native.register(Diffeo.class, NativeLibrary.getInstance(library, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8")));
  }

  /** The sentence of the library with its status. */
  public static final class Error extends RuntimeException {
    private static final long serialVersionUID = 1;
    public final int status;

    Error(int status, String message) {
      super(message);
      this.status = status;
    }
  }

  /** Throws what the latest failed call of this thread said, if this is a failure. */
  public static void check(int status) {
    if (status != DIFFEO_OK) throw new Error(status, diffeo_last_error());
  }

  public static final int DIFFEO_VERSION_MAJOR = 0;
  public static final int DIFFEO_VERSION_MINOR = 2;
  public static final int DIFFEO_VERSION_PATCH = 0;
  public static final int DIFFEO_VERSION_NUMBER = 200;
  public static final String DIFFEO_VERSION_STRING = "0.2.0";
  public static final int DIFFEO_BATCH_NORM_ROWS = 512;

  public static final int DIFFEO_OK = 0;
  public static final int DIFFEO_EINVAL = -1;
  public static final int DIFFEO_ENOMEM = -2;
  public static final int DIFFEO_ESHAPE = -3;
  public static final int DIFFEO_EDTYPE = -4;
  public static final int DIFFEO_EIO = -5;
  public static final int DIFFEO_EFORMAT = -6;
  public static final int DIFFEO_EVERSION = -7;
  public static final int DIFFEO_ENUMERIC = -8;
  public static final int DIFFEO_ECANCELLED = -9;
  public static final int DIFFEO_ESTATE = -10;
  public static final int DIFFEO_EUNSUPPORTED = -11;
  public static final int DIFFEO_EINTERNAL = -127;

  public static final int DIFFEO_F32 = 1;
  public static final int DIFFEO_F64 = 2;

  public static final int DIFFEO_RELU = 1;
  public static final int DIFFEO_TANH = 2;
  public static final int DIFFEO_ELU = 3;
  public static final int DIFFEO_SILU = 4;
  public static final int DIFFEO_LEAKY_RELU = 5;
  public static final int DIFFEO_SOFTPLUS = 6;
  public static final int DIFFEO_SIGMOID = 7;
  public static final int DIFFEO_GELU = 8;
  public static final int DIFFEO_GELU_ERF = 9;
  public static final int DIFFEO_MISH = 10;
  public static final int DIFFEO_HARD_SILU = 11;

  public static final int DIFFEO_SCALE_SOFT_CLIP = 1;
  public static final int DIFFEO_SCALE_EXP = 2;
  public static final int DIFFEO_SCALE_TANH = 3;
  public static final int DIFFEO_SCALE_SOFTPLUS = 4;
  public static final int DIFFEO_SCALE_SIGMOID = 5;
  public static final int DIFFEO_SCALE_ADDITIVE = 6;
  public static final int DIFFEO_SCALE_GATED = 7;
  public static final int DIFFEO_SCALE_CLAMPED_SOFTPLUS = 8;
  public static final int DIFFEO_SCALE_CLAMPED_EXP = 9;
  public static final int DIFFEO_SCALE_RECIPROCAL_SIGMOID = 10;
  public static final int DIFFEO_SCALE_ATAN = 11;
  public static final int DIFFEO_SCALE_SKEWED_CLIP = 12;
  public static final int DIFFEO_SCALE_CLIPPED_SOFTPLUS = 13;
  public static final int DIFFEO_SCALE_SOFTPLUS_ARSINH = 14;

  public static final int DIFFEO_ORDER_NATURAL = 1;
  public static final int DIFFEO_ORDER_REVERSED = 2;
  public static final int DIFFEO_ORDER_RANDOM = 3;
  public static final int DIFFEO_ORDER_GIVEN = 4;

  public static final int DIFFEO_DEGREES_SEQUENTIAL = 1;
  public static final int DIFFEO_DEGREES_RANDOM = 2;

  public static final int DIFFEO_MASK_EVEN = 1;
  public static final int DIFFEO_MASK_ODD = 2;
  public static final int DIFFEO_MASK_FIRST = 3;
  public static final int DIFFEO_MASK_LAST = 4;
  public static final int DIFFEO_MASK_RANDOM = 5;
  public static final int DIFFEO_MASK_GIVEN = 6;

  public static final int DIFFEO_BLOCKS_PLAIN = 1;
  public static final int DIFFEO_BLOCKS_RESIDUAL = 2;
  public static final int DIFFEO_BLOCKS_PREACTIVATION = 3;

  public static final int DIFFEO_CONTEXT_INPUT = 1;
  public static final int DIFFEO_CONTEXT_GATE = 2;
  public static final int DIFFEO_CONTEXT_SHIFT = 3;
  public static final int DIFFEO_CONTEXT_ADD = 4;

  public static final int DIFFEO_BOUNDARY_LINEAR = 1;
  public static final int DIFFEO_BOUNDARY_PERIODIC = 2;
  public static final int DIFFEO_BOUNDARY_INTERVAL = 3;
  public static final int DIFFEO_BOUNDARY_FREE = 4;
  public static final int DIFFEO_BOUNDARY_EXTENDED = 5;
  public static final int DIFFEO_BOUNDARY_HALF_TURN = 6;

  public static final int DIFFEO_DERIVATIVE_SOFTPLUS = 1;
  public static final int DIFFEO_DERIVATIVE_EXP = 2;

  public static final int DIFFEO_ENCODING_CIRCLE = 1;
  public static final int DIFFEO_ENCODING_NUMBERS = 2;

  public static final int DIFFEO_FAMILY_NORMAL = 1;
  public static final int DIFFEO_FAMILY_LOGISTIC = 2;

  public static final int DIFFEO_TARGET_UNIFORM = 1;
  public static final int DIFFEO_TARGET_LOGISTIC = 2;

  public static final int DIFFEO_MAP_AFFINE = 1;
  public static final int DIFFEO_MAP_SPLINE = 2;
  public static final int DIFFEO_MAP_MIXTURE = 3;
  public static final int DIFFEO_MAP_SINH_ARCSINH = 4;
  public static final int DIFFEO_MAP_LINEAR_SPLINE = 5;

  public static final int DIFFEO_BASE_STANDARD_NORMAL = 1;
  public static final int DIFFEO_BASE_NORMAL = 2;
  public static final int DIFFEO_BASE_LOGISTIC = 3;
  public static final int DIFFEO_BASE_UNIFORM = 4;
  public static final int DIFFEO_BASE_STUDENT_T = 5;
  public static final int DIFFEO_BASE_MIXTURE = 6;
  public static final int DIFFEO_BASE_BETA = 7;

  public static final int DIFFEO_COVARIANCE_DIAGONAL = 1;
  public static final int DIFFEO_COVARIANCE_FULL = 2;
  public static final int DIFFEO_COVARIANCE_PRECISION = 3;

  public static final int DIFFEO_DIAGONAL_EXP = 1;
  public static final int DIFFEO_DIAGONAL_SOFTPLUS = 2;

  public static final int DIFFEO_MADE_GAUSSIAN = 1;
  public static final int DIFFEO_MADE_MIXTURE = 2;
  public static final int DIFFEO_MADE_BERNOULLI = 3;

  public static final int DIFFEO_SQUEEZE_CHANNELS = 1;
  public static final int DIFFEO_SQUEEZE_PLACES = 2;
  public static final int DIFFEO_SQUEEZE_DIAGONALS = 3;

  public static final int DIFFEO_IMAGE_MASK_FIRST = 1;
  public static final int DIFFEO_IMAGE_MASK_LAST = 2;
  public static final int DIFFEO_IMAGE_MASK_EVEN = 3;
  public static final int DIFFEO_IMAGE_MASK_ODD = 4;
  public static final int DIFFEO_IMAGE_MASK_NONE = 5;
  public static final int DIFFEO_IMAGE_MASK_GIVEN = 6;

  public static final int DIFFEO_STANDARDIZE_DEVIATION = 1;
  public static final int DIFFEO_STANDARDIZE_ROBUST = 2;

  public static final int DIFFEO_DOMAIN_LOGIT = 1;
  public static final int DIFFEO_DOMAIN_LOG = 2;
  public static final int DIFFEO_DOMAIN_SOFTPLUS = 3;
  public static final int DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL = 4;
  public static final int DIFFEO_DOMAIN_LEAKY_TANH = 5;
  public static final int DIFFEO_DOMAIN_LEAKY_RELU = 6;
  public static final int DIFFEO_DOMAIN_LOG_TANH = 7;
  public static final int DIFFEO_DOMAIN_PROBIT = 8;

  public static final int DIFFEO_OPTIMIZER_ADAM = 1;
  public static final int DIFFEO_OPTIMIZER_SGD = 2;

  public static final int DIFFEO_SCHEDULE_CONSTANT = 1;
  public static final int DIFFEO_SCHEDULE_COSINE = 2;
  public static final int DIFFEO_SCHEDULE_EXPONENTIAL = 3;
  public static final int DIFFEO_SCHEDULE_PLATEAU = 4;

  public static final int DIFFEO_JUDGE_MEAN = 1;
  public static final int DIFFEO_JUDGE_ROBUST = 2;

  public static final int DIFFEO_TRAIN_RUNNING = 0;
  public static final int DIFFEO_TRAIN_EPOCH_END = 1;
  public static final int DIFFEO_TRAIN_MAX_EPOCHS = 2;
  public static final int DIFFEO_TRAIN_PATIENCE = 3;
  public static final int DIFFEO_TRAIN_CANCELLED = 4;

  public static final int DIFFEO_ESTIMATOR_REVERSE_KL = 1;
  public static final int DIFFEO_ESTIMATOR_PATH = 2;
  public static final int DIFFEO_ESTIMATOR_IMPORTANCE = 3;
  public static final int DIFFEO_ESTIMATOR_MASS_COVERING = 4;

  @Structure.FieldOrder({"struct_size", "hidden", "hidden_count", "activation", "blocks", "context_mode", "normalized", "dropout", "layer_norm_epsilon"})
  public static class diffeo_network_options extends Structure {
    public long struct_size;
    public Pointer hidden;
    public long hidden_count;
    public int activation;
    public int blocks;
    public int context_mode;
    public int normalized;
    public double dropout;
    public double layer_norm_epsilon;

    /** With the defaults of the library. */
    public diffeo_network_options() {
      check(diffeo_network_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "bins", "low", "high", "min_width", "min_height", "min_derivative", "boundary", "derivative", "logit_bound", "derivative_bound", "boundary_derivative", "half_ends", "encoding", "min_lambda"})
  public static class diffeo_spline_options extends Structure {
    public long struct_size;
    public long bins;
    public double low;
    public double high;
    public double min_width;
    public double min_height;
    public double min_derivative;
    public int boundary;
    public int derivative;
    public double logit_bound;
    public double derivative_bound;
    public double boundary_derivative;
    public int half_ends;
    public int encoding;
    public double min_lambda;

    /** With the defaults of the library. */
    public diffeo_spline_options() {
      check(diffeo_spline_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "components", "family", "target", "scale_bound", "scale", "reserved", "scale_epsilon"})
  public static class diffeo_mixture_options extends Structure {
    public long struct_size;
    public long components;
    public int family;
    public int target;
    public double scale_bound;
    public int scale;
    public int reserved;
    public double scale_epsilon;

    /** With the defaults of the library. */
    public diffeo_mixture_options() {
      check(diffeo_mixture_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "map", "scale", "scale_bound", "scale_epsilon", "log_scale_low", "log_scale_high", "spline", "mixture"})
  public static class diffeo_map_options extends Structure {
    public long struct_size;
    public int map;
    public int scale;
    public double scale_bound;
    public double scale_epsilon;
    public double log_scale_low;
    public double log_scale_high;
    public Pointer spline;
    public Pointer mixture;

    /** With the defaults of the library. */
    public diffeo_map_options() {
      check(diffeo_map_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "order", "degrees", "order_given", "direct", "inverse_map", "seed", "network", "map"})
  public static class diffeo_autoregressive_options extends Structure {
    public long struct_size;
    public int order;
    public int degrees;
    public Pointer order_given;
    public int direct;
    public int inverse_map;
    public long seed;
    public Pointer network;
    public Pointer map;

    /** With the defaults of the library. */
    public diffeo_autoregressive_options() {
      check(diffeo_autoregressive_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "mask", "scale_activation", "mask_given", "seed", "network", "map"})
  public static class diffeo_coupling_options extends Structure {
    public long struct_size;
    public int mask;
    public int scale_activation;
    public Pointer mask_given;
    public long seed;
    public Pointer network;
    public Pointer map;

    /** With the defaults of the library. */
    public diffeo_coupling_options() {
      check(diffeo_coupling_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "columns", "column_count", "network", "map"})
  public static class diffeo_elementwise_options extends Structure {
    public long struct_size;
    public Pointer columns;
    public long column_count;
    public Pointer network;
    public Pointer map;

    /** With the defaults of the library. */
    public diffeo_elementwise_options() {
      check(diffeo_elementwise_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "base", "reserved", "low", "high", "df", "components", "network", "alpha", "beta", "covariance", "diagonal", "epsilon"})
  public static class diffeo_base_options extends Structure {
    public long struct_size;
    public int base;
    public int reserved;
    public double low;
    public double high;
    public double df;
    public long components;
    public Pointer network;
    public double alpha;
    public double beta;
    public int covariance;
    public int diagonal;
    public double epsilon;

    /** With the defaults of the library. */
    public diffeo_base_options() {
      check(diffeo_base_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "conditional", "order", "order_given", "degrees", "direct", "components", "masks", "seed", "network"})
  public static class diffeo_made_options extends Structure {
    public long struct_size;
    public int conditional;
    public int order;
    public Pointer order_given;
    public int degrees;
    public int direct;
    public long components;
    public long masks;
    public long seed;
    public Pointer network;

    /** With the defaults of the library. */
    public diffeo_made_options() {
      check(diffeo_made_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "dim", "context_dim", "transforms", "seed", "dtype", "scale", "random_order", "standardize", "actnorm", "batch_norm", "periodic", "conditional", "components", "masks", "bins", "bound", "network", "base", "features", "embedding"})
  public static class diffeo_architecture_options extends Structure {
    public long struct_size;
    public long dim;
    public long context_dim;
    public long transforms;
    public long seed;
    public int dtype;
    public int scale;
    public int random_order;
    public int standardize;
    public int actnorm;
    public int batch_norm;
    public int periodic;
    public int conditional;
    public long components;
    public long masks;
    public long bins;
    public double bound;
    public Pointer network;
    public Pointer base;
    public long features;
    public Pointer embedding;

    /** With the defaults of the library. */
    public diffeo_architecture_options() {
      check(diffeo_architecture_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "hidden", "hidden_count", "activation", "blocks", "kernel_first", "kernel_hidden", "kernel_last", "gain", "ones_outside"})
  public static class diffeo_convolution_options extends Structure {
    public long struct_size;
    public Pointer hidden;
    public long hidden_count;
    public int activation;
    public int blocks;
    public long kernel_first;
    public long kernel_hidden;
    public long kernel_last;
    public int gain;
    public int ones_outside;

    /** With the defaults of the library. */
    public diffeo_convolution_options() {
      check(diffeo_convolution_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "mask", "reserved", "mask_given", "network", "map"})
  public static class diffeo_image_coupling_options extends Structure {
    public long struct_size;
    public int mask;
    public int reserved;
    public Pointer mask_given;
    public Pointer network;
    public Pointer map;

    /** With the defaults of the library. */
    public diffeo_image_coupling_options() {
      check(diffeo_image_coupling_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "keep", "prior", "network"})
  public static class diffeo_split_options extends Structure {
    public long struct_size;
    public int keep;
    public int prior;
    public Pointer network;

    /** With the defaults of the library. */
    public diffeo_split_options() {
      check(diffeo_split_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "channels", "height", "width", "context_dim", "levels", "steps", "quantization", "alpha", "seed", "dtype", "scale", "split", "learned_prior", "learned_top", "lu", "network", "map"})
  public static class diffeo_image_options extends Structure {
    public long struct_size;
    public long channels;
    public long height;
    public long width;
    public long context_dim;
    public long levels;
    public long steps;
    public long quantization;
    public double alpha;
    public long seed;
    public int dtype;
    public int scale;
    public int split;
    public int learned_prior;
    public int learned_top;
    public int lu;
    public Pointer network;
    public Pointer map;

    /** With the defaults of the library. */
    public diffeo_image_options() {
      check(diffeo_image_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "batch_size", "max_epochs", "patience", "validation_fraction", "seed", "threads", "judge", "optimizer", "schedule", "learning_rate", "warmup_steps", "rate_decay", "plateau_patience", "beta1", "beta2", "epsilon", "momentum", "weight_decay", "l2", "clip_norm", "clip_quantile", "ema_decay", "x_noise", "negative_weights", "reserved", "rows_memory", "image_shift", "image_flip", "reserved2"})
  public static class diffeo_train_options extends Structure {
    public long struct_size;
    public long batch_size;
    public long max_epochs;
    public long patience;
    public double validation_fraction;
    public long seed;
    public int threads;
    public int judge;
    public int optimizer;
    public int schedule;
    public double learning_rate;
    public long warmup_steps;
    public double rate_decay;
    public long plateau_patience;
    public double beta1;
    public double beta2;
    public double epsilon;
    public double momentum;
    public double weight_decay;
    public double l2;
    public double clip_norm;
    public double clip_quantile;
    public double ema_decay;
    public double x_noise;
    public int negative_weights;
    public int reserved;
    public long rows_memory;
    public long image_shift;
    public int image_flip;
    public int reserved2;

    /** With the defaults of the library. */
    public diffeo_train_options() {
      check(diffeo_train_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "epoch", "batch", "batches_per_epoch", "train_rows", "validation_rows", "effective_rows", "train_log_prob", "train_robust_log_prob", "validation_log_prob", "validation_robust_log_prob", "worst_log_prob", "worst_row", "best_log_prob", "best_epoch", "gradient_norm", "learning_rate", "base_learning_rate", "rows_per_second", "seconds", "seconds_left", "steps", "skipped_steps", "cut_steps", "averaged", "state"})
  public static class diffeo_train_report extends Structure {
    public long struct_size;
    public long epoch;
    public long batch;
    public long batches_per_epoch;
    public long train_rows;
    public long validation_rows;
    public double effective_rows;
    public double train_log_prob;
    public double train_robust_log_prob;
    public double validation_log_prob;
    public double validation_robust_log_prob;
    public double worst_log_prob;
    public long worst_row;
    public double best_log_prob;
    public long best_epoch;
    public double gradient_norm;
    public double learning_rate;
    public double base_learning_rate;
    public double rows_per_second;
    public double seconds;
    public double seconds_left;
    public long steps;
    public long skipped_steps;
    public long cut_steps;
    public int averaged;
    public int state;

    public diffeo_train_report() {
      struct_size = size();
    }
  }

  @Structure.FieldOrder({"struct_size", "steps", "batch_size", "window", "patience", "estimator", "draws", "tempering", "tempering_steps", "train"})
  public static class diffeo_vi_options extends Structure {
    public long struct_size;
    public long steps;
    public long batch_size;
    public long window;
    public long patience;
    public int estimator;
    public int draws;
    public double tempering;
    public long tempering_steps;
    public Pointer train;

    /** With the defaults of the library. */
    public diffeo_vi_options() {
      check(diffeo_vi_options_init(this, size()));
    }
  }

  @Structure.FieldOrder({"struct_size", "steps", "total_steps", "windows", "elbo", "elbo_error", "bound", "best_bound", "best_window", "log_evidence", "effective_samples", "pareto_k", "inverse_temperature", "gradient_norm", "learning_rate", "base_learning_rate", "samples_per_second", "seconds", "seconds_left", "skipped_steps", "cut_steps", "averaged", "state"})
  public static class diffeo_variational_report extends Structure {
    public long struct_size;
    public long steps;
    public long total_steps;
    public long windows;
    public double elbo;
    public double elbo_error;
    public double bound;
    public double best_bound;
    public long best_window;
    public double log_evidence;
    public double effective_samples;
    public double pareto_k;
    public double inverse_temperature;
    public double gradient_norm;
    public double learning_rate;
    public double base_learning_rate;
    public double samples_per_second;
    public double seconds;
    public double seconds_left;
    public long skipped_steps;
    public long cut_steps;
    public int averaged;
    public int state;

    public diffeo_variational_report() {
      struct_size = size();
    }
  }

  public interface diffeo_job extends Callback {
    void invoke(Pointer jobs, int index);
  }

  public interface diffeo_parallel extends Callback {
    void invoke(Pointer user, diffeo_job job, Pointer jobs, int count);
  }

  public interface diffeo_read_rows_f32 extends Callback {
    int invoke(Pointer user, long first, long count, Pointer x, Pointer context, Pointer weights);
  }

  public interface diffeo_read_rows_f64 extends Callback {
    int invoke(Pointer user, long first, long count, Pointer x, Pointer context, Pointer weights);
  }

  public interface diffeo_progress extends Callback {
    int invoke(Pointer report, Pointer user);
  }

  public interface diffeo_target_f32 extends Callback {
    int invoke(Pointer user, long n, Pointer x, Pointer context, Pointer log_density, Pointer gradient);
  }

  public interface diffeo_target_f64 extends Callback {
    int invoke(Pointer user, long n, Pointer x, Pointer context, Pointer log_density, Pointer gradient);
  }

  public static native int diffeo_version_number();
  public static native String diffeo_version_string();
  public static native String diffeo_status_name(int status);
  public static native String diffeo_last_error();
  public static native int diffeo_workspace_create(int threads, PointerByReference workspace);
  public static native int diffeo_workspace_create_hosted(int threads, diffeo_parallel parallel, Pointer user, PointerByReference workspace);
  public static native int diffeo_workspace_pin(Pointer workspace, long[] processors, long count);
  public static native void diffeo_workspace_destroy(Pointer workspace);
  public static native int diffeo_workspace_threads(Pointer workspace);
  public static native int diffeo_convolution_options_init(diffeo_convolution_options options, long struct_size);
  public static native int diffeo_image_coupling_options_init(diffeo_image_coupling_options options, long struct_size);
  public static native int diffeo_split_options_init(diffeo_split_options options, long struct_size);
  public static native int diffeo_image_options_init(diffeo_image_options options, long struct_size);
  public static native int diffeo_network_options_init(diffeo_network_options options, long struct_size);
  public static native int diffeo_spline_options_init(diffeo_spline_options options, long struct_size);
  public static native int diffeo_mixture_options_init(diffeo_mixture_options options, long struct_size);
  public static native int diffeo_map_options_init(diffeo_map_options options, long struct_size);
  public static native int diffeo_autoregressive_options_init(diffeo_autoregressive_options options, long struct_size);
  public static native int diffeo_coupling_options_init(diffeo_coupling_options options, long struct_size);
  public static native int diffeo_elementwise_options_init(diffeo_elementwise_options options, long struct_size);
  public static native int diffeo_base_options_init(diffeo_base_options options, long struct_size);
  public static native int diffeo_made_options_init(diffeo_made_options options, long struct_size);
  public static native int diffeo_architecture_options_init(diffeo_architecture_options options, long struct_size);
  public static native int diffeo_option_bounds(String option, double[] low, double[] high);
  public static native int diffeo_nice_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_realnvp_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_glow_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_made_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_maf_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_iaf_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_planar_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_radial_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_cdf_flow_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_spline_coupling_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_spline_autoregressive_create(diffeo_architecture_options options, PointerByReference flow);
  public static native int diffeo_glow_image_create(diffeo_image_options options, PointerByReference flow);
  public static native int diffeo_realnvp_image_create(diffeo_image_options options, PointerByReference flow);
  public static native int diffeo_spec_create(long dim, long context_dim, int dtype, PointerByReference spec);
  public static native int diffeo_spec_create_image(long channels, long height, long width, long context_dim, int dtype, PointerByReference spec);
  public static native void diffeo_spec_destroy(Pointer spec);
  public static native int diffeo_spec_set_dtype(Pointer spec, int dtype);
  public static native int diffeo_spec_invert(Pointer spec);
  public static native int diffeo_spec_add_autoregressive(Pointer spec, diffeo_autoregressive_options options);
  public static native int diffeo_spec_add_coupling(Pointer spec, diffeo_coupling_options options);
  public static native int diffeo_spec_add_permutation(Pointer spec, long[] permutation);
  public static native int diffeo_spec_add_reverse(Pointer spec);
  public static native int diffeo_spec_add_random_permutation(Pointer spec, long seed);
  public static native int diffeo_spec_add_lu(Pointer spec, int permuted, long seed);
  public static native int diffeo_spec_add_linear(Pointer spec);
  public static native int diffeo_spec_add_householder(Pointer spec, long reflections);
  public static native int diffeo_spec_add_actnorm(Pointer spec);
  public static native int diffeo_spec_add_elementwise_affine(Pointer spec, int shift);
  public static native int diffeo_spec_add_batch_norm(Pointer spec, double epsilon, double momentum);
  public static native int diffeo_spec_add_planar(Pointer spec, diffeo_network_options network);
  public static native int diffeo_spec_add_radial(Pointer spec, diffeo_network_options network);
  public static native int diffeo_spec_add_elementwise(Pointer spec, diffeo_elementwise_options options);
  public static native int diffeo_spec_add_squeeze(Pointer spec, int order);
  public static native int diffeo_spec_add_unsqueeze(Pointer spec, int order);
  public static native int diffeo_spec_add_image_coupling(Pointer spec, diffeo_image_coupling_options options);
  public static native int diffeo_spec_add_split(Pointer spec, diffeo_split_options options);
  public static native int diffeo_spec_map(Pointer spec, long[] map);
  public static native int diffeo_spec_set_standardization(Pointer spec, int standardization);
  public static native int diffeo_spec_add_standardize(Pointer spec, double[] mean, double[] std);
  public static native int diffeo_spec_standardize_context(Pointer spec, double[] mean, double[] std);
  public static native int diffeo_spec_set_embedding(Pointer spec, long features, diffeo_network_options network);
  public static native int diffeo_spec_add_domain(Pointer spec, int domain, long[] columns, long count, double[] low, double[] high);
  public static native int diffeo_spec_add_wrap(Pointer spec, double low, double high, int random_shift, long seed);
  public static native int diffeo_spec_add_wrap_columns(Pointer spec, long[] columns, long count, double[] low, double[] high, int random_shift, long seed);
  public static native int diffeo_spec_add_dequantize(Pointer spec, long levels);
  public static native int diffeo_spec_add_dequantize_columns(Pointer spec, long[] columns, long count, long[] levels);
  public static native int diffeo_spec_set_base(Pointer spec, diffeo_base_options options);
  public static native int diffeo_spec_set_base_made(Pointer spec, diffeo_made_options options);
  public static native int diffeo_flow_create(Pointer spec, long seed, PointerByReference flow);
  public static native void diffeo_flow_destroy(Pointer flow);
  public static native int diffeo_flow_compose(Pointer first, Pointer then, PointerByReference flow);
  public static native int diffeo_flow_load(String path, PointerByReference flow);
  public static native int diffeo_flow_save(Pointer flow, String path);
  public static native int diffeo_flow_load_memory(Pointer bytes, long size, PointerByReference flow);
  public static native int diffeo_flow_save_memory(Pointer flow, Pointer bytes, long capacity, long[] size);
  public static native long diffeo_flow_dim(Pointer flow);
  public static native long diffeo_flow_context_dim(Pointer flow);
  public static native long diffeo_flow_shape(Pointer flow, long[] shape, long capacity);
  public static native int diffeo_flow_dtype(Pointer flow);
  public static native long diffeo_flow_layer_count(Pointer flow);
  public static native int diffeo_flow_levels(Pointer flow, long[] levels);
  public static native long diffeo_flow_parameter_count(Pointer flow);
  public static native int diffeo_flow_describe(Pointer flow, byte[] text, long capacity, long[] length);
  public static native int diffeo_flow_set_metadata(Pointer flow, String key, String value);
  public static native int diffeo_flow_metadata(Pointer flow, String key, byte[] text, long capacity, long[] length);
  public static native long diffeo_flow_metadata_count(Pointer flow);
  public static native int diffeo_flow_metadata_key(Pointer flow, long index, byte[] text, long capacity, long[] length);
  public static native int diffeo_flow_parameters_f32(Pointer flow, float[] parameters);
  public static native int diffeo_flow_parameters_f64(Pointer flow, double[] parameters);
  public static native int diffeo_flow_with_parameters_f32(Pointer flow, float[] parameters, PointerByReference changed);
  public static native int diffeo_flow_with_parameters_f64(Pointer flow, double[] parameters, PointerByReference changed);
  public static native int diffeo_flow_trained_parameters(Pointer flow, byte[] trained);
  public static native int diffeo_flow_log_prob_f32(Pointer flow, float[] x, long n, float[] context, long n_context, Pointer workspace, float[] log_prob);
  public static native int diffeo_flow_log_prob_f64(Pointer flow, double[] x, long n, double[] context, long n_context, Pointer workspace, double[] log_prob);
  public static native int diffeo_flow_log_prob_gradient_f32(Pointer flow, float[] x, long n, float[] context, long n_context, Pointer workspace, float[] log_prob, float[] grad_x, float[] grad_context);
  public static native int diffeo_flow_log_prob_gradient_f64(Pointer flow, double[] x, long n, double[] context, long n_context, Pointer workspace, double[] log_prob, double[] grad_x, double[] grad_context);
  public static native int diffeo_flow_to_noise_f32(Pointer flow, float[] x, long n, float[] context, long n_context, Pointer workspace, float[] z, float[] log_det);
  public static native int diffeo_flow_to_noise_f64(Pointer flow, double[] x, long n, double[] context, long n_context, Pointer workspace, double[] z, double[] log_det);
  public static native int diffeo_flow_from_noise_f32(Pointer flow, float[] z, long n, float[] context, long n_context, Pointer workspace, float[] x, float[] log_det);
  public static native int diffeo_flow_from_noise_f64(Pointer flow, double[] z, long n, double[] context, long n_context, Pointer workspace, double[] x, double[] log_det);
  public static native int diffeo_flow_sample_f32(Pointer flow, long seed, long first_row, long n, float[] context, long n_context, Pointer workspace, float[] x, float[] log_prob);
  public static native int diffeo_flow_sample_f64(Pointer flow, long seed, long first_row, long n, double[] context, long n_context, Pointer workspace, double[] x, double[] log_prob);
  public static native int diffeo_flow_sample_tempered_f32(Pointer flow, double temperature, long seed, long first_row, long n, float[] context, long n_context, Pointer workspace, float[] x, float[] log_prob);
  public static native int diffeo_flow_sample_tempered_f64(Pointer flow, double temperature, long seed, long first_row, long n, double[] context, long n_context, Pointer workspace, double[] x, double[] log_prob);
  public static native int diffeo_flow_bits_per_dim_f32(Pointer flow, float[] x, long n, float[] context, long n_context, long seed, long draws, Pointer workspace, float[] bits);
  public static native int diffeo_flow_bits_per_dim_f64(Pointer flow, double[] x, long n, double[] context, long n_context, long seed, long draws, Pointer workspace, double[] bits);
  public static native int diffeo_flow_log_prob_vjp_f32(Pointer flow, float[] x, long n, float[] context, long n_context, float[] g_log_prob, Pointer workspace, float[] log_prob, float[] grad_x, float[] grad_context, float[] grad_parameters);
  public static native int diffeo_flow_log_prob_vjp_f64(Pointer flow, double[] x, long n, double[] context, long n_context, double[] g_log_prob, Pointer workspace, double[] log_prob, double[] grad_x, double[] grad_context, double[] grad_parameters);
  public static native int diffeo_flow_to_noise_vjp_f32(Pointer flow, float[] x, long n, float[] context, long n_context, float[] g_z, float[] g_log_det, Pointer workspace, float[] z, float[] log_det, float[] grad_x, float[] grad_context, float[] grad_parameters);
  public static native int diffeo_flow_to_noise_vjp_f64(Pointer flow, double[] x, long n, double[] context, long n_context, double[] g_z, double[] g_log_det, Pointer workspace, double[] z, double[] log_det, double[] grad_x, double[] grad_context, double[] grad_parameters);
  public static native int diffeo_flow_from_noise_vjp_f32(Pointer flow, float[] z, long n, float[] context, long n_context, float[] g_x, float[] g_log_det, Pointer workspace, float[] x, float[] log_det, float[] grad_z, float[] grad_context, float[] grad_parameters);
  public static native int diffeo_flow_from_noise_vjp_f64(Pointer flow, double[] z, long n, double[] context, long n_context, double[] g_x, double[] g_log_det, Pointer workspace, double[] x, double[] log_det, double[] grad_z, double[] grad_context, double[] grad_parameters);
  public static native int diffeo_flow_sample_vjp_f32(Pointer flow, long seed, long first_row, long n, float[] context, long n_context, float[] g_x, float[] g_log_prob, Pointer workspace, float[] x, float[] log_prob, float[] grad_context, float[] grad_parameters);
  public static native int diffeo_flow_sample_vjp_f64(Pointer flow, long seed, long first_row, long n, double[] context, long n_context, double[] g_x, double[] g_log_prob, Pointer workspace, double[] x, double[] log_prob, double[] grad_context, double[] grad_parameters);
  public static native int diffeo_rows_create_f32(long n, long dim, long context_dim, int weighted, diffeo_read_rows_f32 read, Pointer user, PointerByReference rows);
  public static native int diffeo_rows_create_f64(long n, long dim, long context_dim, int weighted, diffeo_read_rows_f64 read, Pointer user, PointerByReference rows);
  public static native int diffeo_rows_open(String path, String x, String context, String weights, PointerByReference rows);
  public static native void diffeo_rows_destroy(Pointer rows);
  public static native long diffeo_rows_count(Pointer rows);
  public static native long diffeo_rows_dim(Pointer rows);
  public static native long diffeo_rows_context_dim(Pointer rows);
  public static native int diffeo_flow_log_prob_file(Pointer flow, Pointer rows, Pointer workspace, String path);
  public static native int diffeo_flow_sample_file(Pointer flow, long seed, long first_row, long n, Pointer context, Pointer workspace, String path);
  public static native int diffeo_train_options_init(diffeo_train_options options, long struct_size);
  public static native int diffeo_trainer_create_f32(Pointer flow, diffeo_train_options options, float[] x, long n, float[] context, long n_context, float[] weights, PointerByReference trainer);
  public static native int diffeo_trainer_create_f64(Pointer flow, diffeo_train_options options, double[] x, long n, double[] context, long n_context, double[] weights, PointerByReference trainer);
  public static native void diffeo_trainer_destroy(Pointer trainer);
  public static native int diffeo_trainer_set_validation_f32(Pointer trainer, float[] x, long n, float[] context, long n_context, float[] weights);
  public static native int diffeo_trainer_set_validation_f64(Pointer trainer, double[] x, long n, double[] context, long n_context, double[] weights);
  public static native int diffeo_trainer_create_rows(Pointer flow, diffeo_train_options options, Pointer rows, PointerByReference trainer);
  public static native int diffeo_trainer_set_validation_rows(Pointer trainer, Pointer rows);
  public static native int diffeo_trainer_step(Pointer trainer, long batches, diffeo_train_report report);
  public static native int diffeo_trainer_report(Pointer trainer, diffeo_train_report report);
  public static native int diffeo_trainer_set_learning_rate(Pointer trainer, double rate);
  public static native int diffeo_trainer_set_workspace(Pointer trainer, Pointer workspace);
  public static native int diffeo_trainer_finished(Pointer trainer);
  public static native int diffeo_trainer_best(Pointer trainer, PointerByReference flow);
  public static native int diffeo_trainer_current(Pointer trainer, PointerByReference flow);
  public static native int diffeo_trainer_save(Pointer trainer, String path);
  public static native int diffeo_trainer_load(Pointer trainer, String path);
  public static native void diffeo_trainer_cancel(Pointer trainer);
  public static native int diffeo_fit_f32(Pointer flow, diffeo_train_options options, float[] x, long n, float[] context, long n_context, float[] weights, diffeo_progress on_progress, Pointer user, PointerByReference trained, diffeo_train_report report);
  public static native int diffeo_fit_f64(Pointer flow, diffeo_train_options options, double[] x, long n, double[] context, long n_context, double[] weights, diffeo_progress on_progress, Pointer user, PointerByReference trained, diffeo_train_report report);
  public static native int diffeo_vi_options_init(diffeo_vi_options options, long struct_size);
  public static native int diffeo_vi_create_f32(Pointer flow, diffeo_vi_options options, diffeo_target_f32 target, Pointer user, float[] context, long n_context, PointerByReference vi);
  public static native int diffeo_vi_create_f64(Pointer flow, diffeo_vi_options options, diffeo_target_f64 target, Pointer user, double[] context, long n_context, PointerByReference vi);
  public static native void diffeo_vi_destroy(Pointer vi);
  public static native int diffeo_vi_step(Pointer vi, long steps, diffeo_variational_report report);
  public static native int diffeo_vi_step_given_f32(Pointer vi, float[] context, float[] grad_context, diffeo_variational_report report);
  public static native int diffeo_vi_step_given_f64(Pointer vi, double[] context, double[] grad_context, diffeo_variational_report report);
  public static native int diffeo_vi_report(Pointer vi, diffeo_variational_report report);
  public static native int diffeo_vi_set_learning_rate(Pointer vi, double rate);
  public static native int diffeo_vi_set_workspace(Pointer vi, Pointer workspace);
  public static native int diffeo_vi_finished(Pointer vi);
  public static native int diffeo_vi_best(Pointer vi, PointerByReference flow);
  public static native int diffeo_vi_current(Pointer vi, PointerByReference flow);
  public static native int diffeo_vi_save(Pointer vi, String path);
  public static native int diffeo_vi_load(Pointer vi, String path);
  public static native void diffeo_vi_cancel(Pointer vi);
  public static native int diffeo_optimizer_create(Pointer flow, diffeo_train_options options, long total_steps, PointerByReference optimizer);
  public static native void diffeo_optimizer_destroy(Pointer optimizer);
  public static native int diffeo_optimizer_step_f32(Pointer optimizer, float[] gradient, diffeo_train_report report);
  public static native int diffeo_optimizer_step_f64(Pointer optimizer, double[] gradient, diffeo_train_report report);
  public static native int diffeo_optimizer_report(Pointer optimizer, diffeo_train_report report);
  public static native int diffeo_optimizer_set_learning_rate(Pointer optimizer, double rate);
  public static native int diffeo_optimizer_set_workspace(Pointer optimizer, Pointer workspace);
  public static native int diffeo_optimizer_current(Pointer optimizer, PointerByReference flow);
  public static native int diffeo_optimizer_average(Pointer optimizer, PointerByReference flow);
  public static native int diffeo_optimizer_save(Pointer optimizer, String path);
  public static native int diffeo_optimizer_load(Pointer optimizer, String path);
}
