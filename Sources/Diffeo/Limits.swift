import KernelInterface

/// The range of a number that a caller may choose: said once, for checks, their sentences and `diffeo_option_bounds`.
package struct Limit: Sendable {
  /// The least and the greatest value that are allowed; infinite where there is no end.
  package let low: Double
  package let high: Double
  /// What 0 means where it lies outside and is allowed all the same.
  private let zero: String?

  private init(_ low: Double, _ high: Double, zero: String? = nil) {
    self.low = low
    self.high = high
    self.zero = zero
  }
  private static func to(_ low: Double, _ high: Double, zero: String? = nil) -> Limit { Limit(low, high, zero: zero) }
  private static func to(_ low: Int, _ high: Int) -> Limit { Limit(Double(low), Double(high)) }
  private static func orMore(_ low: Double) -> Limit { Limit(low, .infinity) }

  private static let above0 = 0.0.nextUp
  private static let below1 = 1.0.nextDown

  /// By the options of the C header, its structs without `diffeo_` and `_options`, or by a function's last word and its
  /// argument.
  private static let all: [String: Limit] = [
    "spec.dim": .to(1, FlowSpec.maxDim),
    "bits_per_dim.draws": .orMore(1),
    "sample_tempered.temperature": .to(above0, 1e6),
    "image.channels": .to(1, FlowSpec.maxDim),
    "image.height": .to(1, FlowSpec.maxDim),
    "image.width": .to(1, FlowSpec.maxDim),
    "image.context_dim": .to(0, FlowSpec.maxDim),
    "image.levels": .to(0, 16),
    "image.steps": .to(0, FlowSpec.maxLayers / 64),
    "image.quantization": Limit(2, Double(DequantizeSpec.maxLevels), zero: "none"),
    "image.alpha": .to(0, 0.499),
    "convolution.hidden": .to(1, NetworkSpec.maxWidth),
    "convolution.hidden_count": .to(0, NetworkSpec.maxHiddenLayers),
    "convolution.kernel_first": .to(1, ConvolutionConventions.maxKernel),
    "spec.context_dim": .to(0, FlowSpec.maxDim),
    "spec_set_embedding.features": .to(1, FlowSpec.maxDim),
    "workspace.threads": .to(0, Workspace.maxThreads),
    "network.hidden": .to(1, NetworkSpec.maxWidth),
    "network.hidden_count": .to(0, NetworkSpec.maxHiddenLayers),
    "network.dropout": .to(0, below1),
    "network.layer_norm_epsilon": Limit(1e-12, 1, zero: "none"),
    "map.scale_bound": .to(above0, 80),
    "map.scale_epsilon": .to(0, below1),
    "map.log_scale_low": .to(-80, 80),
    "map.log_scale_high": .to(-80, 80),
    "spline.bins": .to(2, SplineRule.maxBins),
    "spline.low": .to(-1e6, 1e6),
    "spline.high": .to(-1e6, 1e6),
    "spline.min_derivative": .to(0, below1),
    "spline.min_lambda": .to(1e-3, 0.499),
    "spline.logit_bound": .to(1e-3, 10, zero: "none"),
    "spline.derivative_bound": .to(1e-3, 80),
    "spline.boundary_derivative": .to(1e-6, 1e6),
    "mixture.components": .to(1, MixtureRule.maxComponents),
    // The lower end so that its reciprocal is finite in single precision.
    "mixture.scale_bound": .to(1e-3, 20),
    // So that no scale is 0.
    "mixture.scale_epsilon": .to(1e-9, below1),
    "base.df": .to(StudentTSpec.degreesOfFreedom.lowerBound, StudentTSpec.degreesOfFreedom.upperBound),
    "base.alpha": .to(0.1, 1e4),
    "base.beta": .to(0.1, 1e4),
    "base.epsilon": .to(0, below1),
    "base.components": .to(1, MixtureSpec.maxComponents),
    "made.components": .to(1, MixtureRule.maxComponents),
    "made.masks": .to(1, MADESpec.maxMasks),
    "batch_norm.epsilon": .to(above0, 1),
    "batch_norm.momentum": .to(above0, 1),
    "dequantize.levels": Limit(2, Double(DequantizeSpec.maxLevels), zero: "without end"),
    "domain.constant": .to(1e-3, 15),
    "architecture.dim": .to(1, FlowSpec.maxDim),
    "architecture.context_dim": .to(0, FlowSpec.maxDim),
    "architecture.transforms": .to(0, FlowSpec.maxLayers / 4),
    "architecture.components": .to(0, MixtureRule.maxComponents),
    "architecture.masks": .to(1, MADESpec.maxMasks),
    "architecture.bins": .to(2, SplineRule.maxBins),
    "architecture.bound": .to(0, 1e6),
    "architecture.features": .to(0, FlowSpec.maxDim),
    "train.batch_size": .orMore(1),
    "train.max_epochs": .orMore(0),
    "train.patience": .orMore(0),
    "train.learning_rate": .to(above0, .greatestFiniteMagnitude),
    "train.warmup_steps": .orMore(0),
    "train.rate_decay": .to(above0, 1),
    "train.plateau_patience": .orMore(1),
    "train.momentum": .to(0, below1),
    "train.l2": .to(0, .greatestFiniteMagnitude),
    "train.clip_quantile": .to(0, below1),
    "train.ema_decay": .to(0, below1),
    "train.x_noise": .to(0, .greatestFiniteMagnitude),
    "train.beta1": .to(0, below1),
    "train.beta2": .to(0, below1),
    "train.epsilon": .to(above0, .greatestFiniteMagnitude),
    "train.weight_decay": .to(0, .greatestFiniteMagnitude),
    "train.clip_norm": .orMore(0),
    "train.validation_fraction": .to(0, below1),
    "train.rows_memory": .orMore(0),
    "train.image_shift": .to(0, FlowSpec.maxDim),
    "train.threads": .to(0, Workspace.maxThreads),
    "vi.steps": .to(0, VariationalOptions.maxSteps),
    "vi.batch_size": .to(1, VariationalOptions.maxBatch),
    "vi.window": .to(1, VariationalOptions.maxWindow),
    "vi.patience": .orMore(0),
    "vi.draws": .orMore(1),
    "vi.tempering": .to(above0, 1),
    "vi.tempering_steps": .orMore(0),
    "optimizer.total_steps": .orMore(0),
  ]

  package static func of(_ option: String) throws(DiffeoError) -> Limit {
    guard let limit = all[option] else { throw DiffeoError(.invalid, "there is no option '\(option)' with a range") }
    return limit
  }

  /// Throws a sentence with the value and the range. name: in place of the option's.
  package static func check(_ option: String, _ value: Int, name: String? = nil) throws(DiffeoError) {
    let limit = try of(option)
    if !limit.allows(Double(value)) { throw limit.error(name ?? option, "\(value)") }
  }
  package static func check(_ option: String, _ value: Double, name: String? = nil) throws(DiffeoError) {
    let limit = try of(option)
    if !limit.allows(value) { throw limit.error(name ?? option, "\(value)") }
  }

  private func allows(_ value: Double) -> Bool { value >= low && value <= high || value == 0 && zero != nil }

  private func error(_ option: String, _ value: String) -> DiffeoError {
    let name = option.split(separator: ".").last.map(String.init) ?? option
    return DiffeoError(.invalid, "\(name) is \(value), it must be \(words)")
  }

  /// "2 to 64", "above 0, at most 1" and so on.
  private var words: String {
    var words: String
    let from = low == Limit.above0 ? "above 0" : Limit.text(low)
    if high >= .greatestFiniteMagnitude {
      words = low == Limit.above0 ? from : "\(from) or more"
      if high.isFinite { words += ", and finite" }
    } else if low == Limit.above0 {
      words = "\(from), at most \(Limit.text(high))"
    } else if high == Limit.below1 {
      words = "\(from) or more, below 1"
    } else {
      words = "\(from) to \(Limit.text(high))"
    }
    if let zero { words += ", or 0 for \(zero)" }
    return words
  }

  private static func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
  }
}
