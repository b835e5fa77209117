/// The contract between the mathematics (Diffeo) and the kernels, which are compiled once per instruction set.
///
/// Layout. A *tile* holds some rows of a batch feature by feature: element (feature i, row r) is at `i * stride + r`,
/// `stride` being the number of rows of the tile. A stride is either a multiple of `lanes` (padding rows hold finite
/// numbers that nobody reads) or smaller than 16. Elementwise kernels take a whole tile as `count` contiguous values
/// and take any count; no pointer need be aligned.
///
/// Bits. Per element, every kernel does the same operations in the same order whatever the stride, the count or the
/// place in the tile, and so do all builds that have FMA. The baseline build has none and rounds products by themselves.
///
/// NaN in an element gives NaN in what depends on it. Nothing here allocates, traps or keeps state.
///
/// Its initialiser is the compiler's, so that each kernel and its type stand here alone; Kernels/Table.swift may use it.
public struct KernelTable<S>: Sendable {
  /// Rows a vector holds.
  public let lanes: Int
  /// Rows of a tile that fill the registers of `dense` best. Any number is right.
  public let tileRows: Int

  // Matrices

  /// For panels first..<last of a packed matrix (see Panel), the 8 outputs o of panel p and every row r:
  ///     y[(8p + o) * stride + r] = start + sum over kBegin <= k < kEnd, panel.begin <= k < panel.end
  ///                                 of weight(p, k, o) * x[k * stride + r]
  /// where start is the bias of (p, o) if `fromBias`, else the value y has; a sum below `lower` becomes `lower`
  /// (-infinity: none; 0: ReLU). Sums run over ascending k, one fused
  /// multiply-add a term, so that a sum may be cut into pieces at any k and give the same bits.
  public let dense:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In<S>, _ first: Int, _ last: Int,
      _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ lower: Double, _ x: In<S>, _ y: Out<S>, _ stride: Int
    ) -> Void

  /// The product with the transposed matrix, for a stride of whole vectors: for k < columns and every row r
  ///     y[k * stride + r] = start + sum over panels p with end > k and their outputs o
  ///                                 of weight(p, k, o) * g[(8p + o) * stride + r]
  /// where start is 0, or the value y has if `adds`. Sums run over ascending 8p + o, one fused multiply-add a term. The
  /// panels begin at 0, their ends ascend, and behind an end there are zeros for weights up to a multiple of 8. y has rows
  /// up to a multiple of 8, too: those behind the columns may be anything afterwards.
  public let denseTransposed:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In<S>, _ panelCount: Int, _ columns: Int, _ g: In<S>, _ y: Out<S>,
      _ stride: Int, _ adds: Bool
    ) -> Void

  /// Gradient of a weight matrix: for o < outputs, k < inputs, k < limits[o]
  ///     g[o * gStride + k] (+)= sum over r < rows, ascending, of d[o * dStride + r] * x(r, k)
  /// `adds` adds the sum to g, else g is overwritten. Limits ascend; what g has behind them, up to a whole vector, may be
  /// anything afterwards. x is in blocks of `outerColumns` inputs, row-major and one after the other: x(r, k) is at
  /// (k / outerColumns * rows + r) * outerColumns + k % outerColumns. The last block is whole, too; nothing depends on
  /// what it has behind the inputs.
  public let outer:
    @Sendable (
      _ rows: Int, _ d: In<S>, _ dStride: Int, _ outputs: Int, _ limits: UnsafePointer<Int32>, _ x: In<S>,
      _ inputs: Int, _ g: Out<S>, _ gStride: Int, _ adds: Bool
    ) -> Void
  public let outerColumns: Int

  /// g[i] (+)= sum over j < columns of d[i * dStride + j], i < rows; the sum in double precision and in an order that
  /// depends on the number of columns alone.
  public let rowSums:
    @Sendable (_ rows: Int, _ d: In<S>, _ dStride: Int, _ columns: Int, _ g: Out<S>, _ adds: Bool) -> Void

  /// Solves (D + W) y = b in place, row by row: y holds b before and the solution after. W, n x n and packed, is 0 but
  /// strictly below the diagonal (upper: above it); D has `diagonal`, or ones where there is none. The sum of an
  /// equation runs over the unknowns outside of its panel, then over those inside, each in ascending order.
  public let triangularSolve:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In<S>, _ n: Int, _ upper: Bool, _ diagonal: In<S>?, _ y: Out<S>,
      _ stride: Int
    ) -> Void
  /// x -= 2 u (u . x) for each row; u has length 1.
  public let reflect: @Sendable (_ features: Int, _ stride: Int, _ u: In<S>, _ x: Out<S>) -> Void

  /// A tile to row-major: out[r * outStride + i] = x[i * stride + r], i < features, r < rows <= stride.
  public let transpose:
    @Sendable (
      _ x: In<S>, _ features: Int, _ stride: Int, _ rows: Int, _ out: Out<S>, _ outStride: Int
    ) -> Void

  // Elementwise, count values

  /// h = f(a). h may be a.
  public let activate: @Sendable (_ f: Activation, _ count: Int, _ a: In<S>, _ h: Out<S>) -> Void
  /// g *= f'(a), from the input a and the output h of f. Uses a only where `f.needsInput`.
  public let activatePullback: @Sendable (_ f: Activation, _ count: Int, _ a: In<S>, _ h: In<S>, _ g: Out<S>) -> Void

  // Maps of one number, each with its rule: see MapKernels

  /// Of a ScaleRule: y = x s(a) + t; gated: y = (x - t) s(a) + t. Parameters a, t; additive: t. logs may be p. The
  /// pullbacks are not for gated.
  public let affine: MapKernels<S>
  /// Of a SplineRule. What the maps leave of the raw widths and heights is what the pullbacks want of them.
  public let spline: MapKernels<S>
  /// Of a MixtureRule. At infinite x y has its limit, and logs is minus infinity for F itself. The inverse of 0 and 1 of
  /// the uniform target is infinite, that of numbers outside NaN.
  public let mixture: MapKernels<S>

  /// x = e exp(logScale) + mean. x may be e.
  public let locationScale: @Sendable (_ count: Int, _ e: In<S>, _ mean: In<S>, _ logScale: In<S>, _ x: Out<S>) -> Void
  /// e = (x - mean) exp(-logScale). e may be x.
  public let locationScaleInverse:
    @Sendable (_ count: Int, _ x: In<S>, _ mean: In<S>, _ logScale: In<S>, _ e: Out<S>) -> Void
  /// Pullback of the inverse. g: dL/de in, dL/dx out, which is -dL/dmean. Adds to gLogScale.
  public let locationScaleInversePullback:
    @Sendable (_ count: Int, _ e: In<S>, _ logScale: In<S>, _ g: Out<S>, _ gLogScale: Out<S>) -> Void
  /// cosines = cos a, sines = sin a for the angle a = 2 pi (x - low) / (high - low).
  public let angles:
    @Sendable (_ low: Double, _ high: Double, _ count: Int, _ x: In<S>, _ cosines: Out<S>, _ sines: Out<S>) -> Void
  /// y += x
  public let add: @Sendable (_ count: Int, _ x: In<S>, _ y: Out<S>) -> Void

  // By feature, over a tile

  /// y = x * scale[i] + shift[i] (one fused multiply-add) for feature i. y may be x.
  public let scaleShift:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In<S>, _ scale: In<S>, _ shift: In<S>, _ y: Out<S>
    ) -> Void
  /// y = (x - shift[i]) / scale[i] (a true division) for feature i. y may be x.
  public let unshiftScale:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In<S>, _ scale: In<S>, _ shift: In<S>, _ y: Out<S>
    ) -> Void
  /// total[r] += sign * sum over i ascending of x[i * stride + r]; sums in double precision.
  public let addRows:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In<S>, _ sign: Double, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// total[r] += sum over i ascending of -z^2/2 - log(2 pi)/2; in double precision.
  public let normalLogDensity:
    @Sendable (
      _ features: Int, _ stride: Int, _ z: In<S>, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// total[r] += sum over i ascending of -|z| - 2 log(1 + e^-|z|), the standard logistic density; in double precision.
  public let logisticLogDensity:
    @Sendable (
      _ features: Int, _ stride: Int, _ z: In<S>, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// Standard normal numbers: element (i, r) depends on seed, row number firstRow + r (wrapping) and i only.
  /// Philox4x32-10 with key = seed (low word, high word) and counter = (row low, row high, i / 2, 0) gives four words
  /// w0...w3; u1 = ((w0 + 2^32 w1) >> 11 + 0.5) 2^-53, u2 = ((w2 + 2^32 w3) >> 11 + 0.5) 2^-53; for even i the number
  /// is sqrt(-2 log u1) cos(2 pi u2), for odd i the same with sin (Box and Muller 1958), in double precision, then
  /// rounded to S.
  public let normals:
    @Sendable (
      _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ z: Out<S>
    ) -> Void
  /// Uniform numbers in (0, 1), ends excluded, in double precision for either S (rounded to Float, some would be 1).
  /// Element (i, r) is made as for `normals`, with 1 in the last word of the counter, so that the two share no bits: u1
  /// for even i, u2 for odd i, and 1 - 2^-53 where rounding makes that 1.
  public let uniforms:
    @Sendable (
      _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ u: UnsafeMutablePointer<Double>
    ) -> Void
  /// What training multiplies hidden units by, for a stride of whole vectors: element (i, r) is 0 in `dropped` of 65536
  /// cases, else 65536 / (65536 - dropped), so that its mean is 1 (all 0 for 65536). It is 0 where the 16-bit draw of unit
  /// i and row number firstRow + r is below `dropped`: of the words that `normals` describes, with i / 8 and 2 in the last
  /// two of the counter, word i % 8 / 2 has that of even i in its lower and that of odd i in its upper half. The tile has
  /// units up to a multiple of 8: those behind `units` may be anything afterwards.
  public let dropout:
    @Sendable (
      _ seed: UInt64, _ firstRow: UInt64, _ units: Int, _ stride: Int, _ dropped: Int, _ multipliers: Out<S>
    ) -> Void

  // Optimisation

  /// The sum of squares of count values, in double precision, in an order fixed by count.
  public let sumOfSquares: @Sendable (_ count: Int, _ x: In<S>) -> Double
  /// One step of Adam with decoupled weight decay on count parameters, moments m and v:
  ///     g' = g * step.gradientScale;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2
  ///     p = p - step.rate * m / (sqrt(v) * step.vScale + epsilon) - step.decay * p
  public let adam: @Sendable (_ step: AdamStep, _ count: Int, _ g: In<S>, _ p: Out<S>, _ m: Out<S>, _ v: Out<S>) -> Void
}

public typealias In<S> = UnsafePointer<S>
public typealias Out<S> = UnsafeMutablePointer<S>

/// An invertible map of one number with raw parameters, of `count` numbers at once: parameter j of number i is at
/// p[j * count + i]. `rule` is where the rule of the map is, of the type that the kernels are made for.
public struct MapKernels<S>: Sendable {
  /// y, and logs = log dy/dx. Leaves in p what the pullback wants there. The result may be the argument.
  public typealias Map =
    @Sendable (
      _ rule: UnsafeRawPointer, _ count: Int, _ x: In<S>, _ p: Out<S>, _ y: Out<S>, _ logs: Out<S>
    ) -> Void
  /// x: the argument of `forward`, or the result of `inverse`. p and logs: as left by the map. g: the gradient in its
  /// result in, in its argument out. gp: its first count values dL/dlogs in, all of them dL/dp out.
  public typealias Pullback =
    @Sendable (
      _ rule: UnsafeRawPointer, _ count: Int, _ x: In<S>, _ p: In<S>, _ logs: In<S>, _ g: Out<S>, _ gp: Out<S>
    ) -> Void

  public var forward: Map
  /// x from y, and logs = log dy/dx nevertheless: the caller subtracts.
  public var inverse: Map
  public var pullback: Pullback
  public var inversePullback: Pullback

  public init(
    forward: @escaping Map, inverse: @escaping Map, pullback: @escaping Pullback, inversePullback: @escaping Pullback
  ) {
    self.forward = forward
    self.inverse = inverse
    self.pullback = pullback
    self.inversePullback = inversePullback
  }
}

/// Eight outputs of a packed matrix: at `offset` in its weights 8 biases, then for each k of begin..<end 8 weights.
/// `outputs` of them are there, 1 to 8. Those past the last one are padded with zeros; their rows of y exist, and may be
/// anything afterwards.
public struct Panel: Sendable, BitwiseCopyable {
  public var offset: Int
  public var begin: Int
  public var end: Int
  public var outputs: Int
  public init(offset: Int, begin: Int, end: Int, outputs: Int = 8) {
    self.offset = offset
    self.begin = begin
    self.end = end
    self.outputs = outputs
  }
}

/// Nonlinearities; raw values are those of the C header.
public enum Activation: Int32, Sendable, BitwiseCopyable {
  case relu = 1
  case tanh, elu, silu, leakyReLU, softplus, sigmoid, gelu, geluErf, mish, hardSilu

  /// Whether the derivative needs the input, not just the output.
  public var needsInput: Bool {
    switch self {
    case .silu, .gelu, .geluErf, .mish, .hardSilu: true
    default: false
    }
  }
}

/// s(a) of an affine map; kinds are those of the C header, formulas too. `bound` is c, `epsilon` is e, `low` and `high`
/// are of log s for clampedExp and clippedSoftplus.
public struct ScaleRule: Equatable, Sendable, BitwiseCopyable {
  public enum Kind: Int32, Sendable, BitwiseCopyable {
    case softClip = 1
    case exp, tanh, softplus, sigmoid, additive, gated, clampedSoftplus, clampedExp, reciprocalSigmoid, atan
    case skewedClip, clippedSoftplus, softplusArsinh
  }
  public var kind: Kind
  public var bound: Double
  public var epsilon: Double
  public var low: Double
  public var high: Double
  /// log(exp(1 - epsilon) - 1), for softplus
  public var offset: Double
  public init(kind: Kind, bound: Double, epsilon: Double, offset: Double, low: Double = -5, high: Double = 3) {
    self.kind = kind
    self.bound = bound
    self.epsilon = epsilon
    self.low = low
    self.high = high
    self.offset = offset
  }
}

/// Monotone rational splines over the box [low, high], of x and of y. Raw parameters of a number: `bins` widths, `bins`
/// heights, then derivatives, then, of linear pieces, `bins` places where two of them meet.
/// widths = (high - low) (minWidth + (1 - bins minWidth) softmax(raw)), heights in the same way; zeros make the identity.
/// Other conventions: see `logitBound` and `halfEnds`. Minima that are less than 2^-30 (Double: 2^-200), 0 too, are taken
/// as that: softmax and softplus may underflow, and no size or slope is 0.
public struct SplineRule: Equatable, Sendable, BitwiseCopyable {
  public enum Boundary: Int32, Sendable, BitwiseCopyable {
    /// The identity outside of the box; derivatives at the interior knots, those at its ends are 1.
    case linear = 1
    /// A circle: x is brought into the box by whole turns. Derivatives at all knots but the last, which is the first.
    case periodic
    /// NaN outside of the box; derivatives at all knots.
    case interval
    /// The identity outside of the box; derivatives at all knots, so that at its ends the slope may jump.
    case free
    /// Straight lines outside of the box, with the derivatives at its ends; derivatives at all knots.
    case extended
    /// A circle that is turned by half before: of x + (high - low) / 2. Derivatives at the interior knots, those at the
    /// ends of the box are 1.
    case halfTurn
  }
  /// The curve in a bin.
  public enum Pieces: Int32, Sendable, BitwiseCopyable {
    /// One quotient of two quadratic polynomials.
    case quadratic = 1
    /// Two quotients of linear ones, which meet at the part lambda = minLambda + (1 - 2 minLambda) sigmoid(raw) of its
    /// width.
    case linear
  }
  public enum Derivative: Int32, Sendable, BitwiseCopyable {
    /// minDerivative + softplus(raw + offset)
    case softplus = 1
    /// exp(raw / (1 + |raw| / derivativeBound))
    case exp
  }
  public var bins: Int
  public var low, high: Double
  public var boundary: Boundary
  public var minWidth, minHeight, minDerivative: Double
  /// log(exp(1 - minDerivative) - 1)
  public var offset: Double
  /// c > 0: of widths and heights raw / (1 + |raw| / c) goes into the softmax. 0: raw.
  public var logitBound = 0.0
  public var derivative = Derivative.softplus
  public var derivativeBound = 1.0
  /// At the ends of the box, for `linear`.
  public var boundaryDerivative = 1.0
  /// Whether the first and the last bin have half of the minima, and softmax(raw) the factor 1 - (bins - 1) minWidth.
  public var halfEnds = false
  /// Of `periodic`: whether networks see angles by cosine and sine. Not for the kernels.
  public var encodesAngles = true
  public var pieces = Pieces.quadratic
  public var minLambda = 0.025
  public init(
    bins: Int, low: Double, high: Double, boundary: Boundary, minWidth: Double, minHeight: Double,
    minDerivative: Double, offset: Double
  ) {
    self.bins = bins
    self.low = low
    self.high = high
    self.boundary = boundary
    self.minWidth = minWidth
    self.minHeight = minHeight
    self.minDerivative = minDerivative
    self.offset = offset
  }

  public var derivativeCount: Int {
    switch boundary {
    case .linear, .halfTurn: bins - 1
    case .periodic: bins
    case .interval, .free, .extended: bins + 1
    }
  }
  public var parameterCount: Int { 2 * bins + derivativeCount + (pieces == .linear ? bins : 0) }
  /// Of a size: how many minima all bins have together.
  public var minimumCount: Int { halfEnds ? bins - 1 : bins }
}

/// A mixture of `components` C densities of one family, and where its CDF F leads. Raw parameters of a number: C logits,
/// C means m, C raw log-scales a; weights are softmax(logits), log s = a / (1 + |a| / bound), and
///     F(x) = sum of weight CDF((x - m) / s)
public struct MixtureRule: Equatable, Sendable, BitwiseCopyable {
  public enum Family: Int32, Sendable, BitwiseCopyable {
    case normal = 1
    case logistic
  }
  /// y = F in (0, 1), or its logit log F - log(1 - F).
  public enum Target: Int32, Sendable, BitwiseCopyable {
    case uniform = 1
    case logistic
  }
  /// Of a component's scale s from a parameter a, as those of ScaleRule.
  public enum Scale: Int32, Sendable, BitwiseCopyable {
    /// exp(a / (1 + |a| / bound))
    case softClip = 1
    /// log(1 + exp(a + offset)) + epsilon, offset = log(exp(1 - epsilon) - 1)
    case softplus = 4
  }
  public static let maxComponents = 64

  public var components: Int
  public var family: Family
  public var target: Target
  public var bound: Double
  public var scale = Scale.softClip
  public var epsilon = 1e-3
  public var offset = 0.0
  /// components: 1 to maxComponents
  public init(components: Int, family: Family, target: Target, bound: Double) {
    self.components = components
    self.family = family
    self.target = target
    self.bound = bound
  }
}

/// The numbers of one step of Adam (see KernelTable.adam).
public struct AdamStep: Sendable, BitwiseCopyable {
  public var beta1, beta2, epsilon, rate, vScale, decay, gradientScale: Double
  public init(
    beta1: Double, beta2: Double, epsilon: Double, rate: Double, vScale: Double, decay: Double, gradientScale: Double
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.rate = rate
    self.vScale = vScale
    self.decay = decay
    self.gradientScale = gradientScale
  }
}
