/// The contract between the mathematics (Diffeo) and the kernels, which are compiled once per instruction set.
///
/// Layout. A *tile* holds some rows of a batch feature by feature: element (feature i, row r) is at `i * stride + r`,
/// `stride` being the number of rows of the tile. A stride is either a multiple of `lanes` (padding rows hold finite
/// numbers that nobody reads) or smaller than 16. Elementwise kernels take a whole tile as `count` contiguous values
/// and take any count; no pointer need be aligned.
///
/// Bits. Per element, every kernel does the same operations in the same order whatever the stride, the count or the
/// place in the tile, and so do the two builds that have FMA (AVX2, AVX-512). The baseline build has no FMA and rounds
/// products by themselves.
///
/// NaN in an element gives NaN in what depends on it. Nothing here allocates, traps or keeps state.
public struct KernelTable<S>: Sendable {
  public typealias In = UnsafePointer<S>
  public typealias Out = UnsafeMutablePointer<S>

  /// Rows a vector holds.
  public var lanes: Int
  /// Rows of a tile that fill the registers of `dense` best. Any number is right.
  public var tileRows: Int

  // Matrices

  /// For panels first..<last of a packed matrix (see Panel), the 8 outputs o of panel p and every row r:
  ///     y[(8p + o) * stride + r] = start + sum over kBegin <= k < kEnd, panel.begin <= k < panel.end
  ///                                 of weight(p, k, o) * x[k * stride + r]
  /// where start is the bias of (p, o) if `fromBias`, else the value y has; a sum below `lower` becomes `lower`
  /// (-infinity: none; 0: ReLU). Sums run over ascending k, one fused
  /// multiply-add a term, so that a sum may be cut into pieces at any k and give the same bits.
  public var dense:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In, _ first: Int, _ last: Int,
      _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ lower: Double, _ x: In, _ y: Out, _ stride: Int
    ) -> Void

  /// The product with the transposed matrix, for a stride of whole vectors: for k < columns and every row r
  ///     y[k * stride + r] = start + sum over panels p with end > k and their outputs o
  ///                                 of weight(p, k, o) * g[(8p + o) * stride + r]
  /// where start is 0, or the value y has if `adds`. Sums run over ascending 8p + o, one fused multiply-add a term. The
  /// panels begin at 0, their ends ascend, and behind an end there are zeros for weights up to a multiple of 8. y has rows
  /// up to a multiple of 8, too: those behind the columns may be anything afterwards.
  public var denseTransposed:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In, _ panelCount: Int, _ columns: Int, _ g: In, _ y: Out,
      _ stride: Int, _ adds: Bool
    ) -> Void

  /// Gradient of a weight matrix: for o < outputs, k < inputs, k < limits[o]
  ///     g[o * gStride + k] (+)= sum over r < rows, ascending, of d[o * outerStride + r] * x(r, k)
  /// `adds` adds the sum to g, else g is overwritten. Limits ascend; what g has behind them, up to a whole vector, may be
  /// anything afterwards. x is in blocks of `outerColumns` inputs, row-major and one after the other: x(r, k) is at
  /// (k / outerColumns * rows + r) * outerColumns + k % outerColumns. The last block is whole, too; nothing depends on
  /// what it has behind the inputs.
  public var outer:
    @Sendable (
      _ rows: Int, _ d: In, _ outputs: Int, _ limits: UnsafePointer<Int32>, _ x: In, _ inputs: Int, _ g: Out,
      _ gStride: Int, _ adds: Bool
    ) -> Void
  public var outerColumns: Int

  /// g[i] (+)= sum over j < columns of d[i * dStride + j], i < rows; the sum in double precision and in an order that
  /// depends on the number of columns alone.
  public var rowSums: @Sendable (_ rows: Int, _ d: In, _ dStride: Int, _ columns: Int, _ g: Out, _ adds: Bool) -> Void

  /// Solves (D + W) y = b in place, row by row: y holds b before and the solution after. W, n x n and packed, is 0 but
  /// strictly below the diagonal (upper: above it); D has `diagonal`, or ones where there is none. The sum of an
  /// equation runs over the unknowns outside of its panel, then over those inside, each in ascending order.
  public var triangularSolve:
    @Sendable (
      _ panels: UnsafePointer<Panel>, _ weights: In, _ n: Int, _ upper: Bool, _ diagonal: In?, _ y: Out, _ stride: Int
    ) -> Void
  /// x -= 2 u (u . x) for each row; u has length 1.
  public var reflect: @Sendable (_ features: Int, _ stride: Int, _ u: In, _ x: Out) -> Void

  /// A tile to row-major: out[r * outStride + i] = x[i * stride + r], i < features, r < rows <= stride.
  public var transpose:
    @Sendable (
      _ x: In, _ features: Int, _ stride: Int, _ rows: Int, _ out: Out, _ outStride: Int
    ) -> Void

  // Elementwise, count values

  /// h = f(a). h may be a.
  public var activate: @Sendable (_ f: Activation, _ count: Int, _ a: In, _ h: Out) -> Void
  /// g *= f'(a), from the input a and the output h of f. Uses a only where `f.needsInput`.
  public var activatePullback: @Sendable (_ f: Activation, _ count: Int, _ a: In, _ h: In, _ g: Out) -> Void

  /// y = x * s(a) + t, gated: (x - t) * s(a) + t; logs = log s(a). y may be x, logs may be a.
  public var affine:
    @Sendable (
      _ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ t: In, _ y: Out, _ logs: Out
    ) -> Void
  /// x = (y - t) / s(a), gated: (y - t) / s(a) + t; logs = log s(a) (the caller subtracts). x may be y, logs may be a.
  public var affineInverse:
    @Sendable (
      _ rule: ScaleRule, _ count: Int, _ y: In, _ a: In, _ t: In, _ x: Out, _ logs: Out
    ) -> Void
  /// Pullback of affine, but not gated. g: dL/dy in, dL/dx out. gLogs: dL/dlogs in, dL/da out. dL/dt is dL/dy: the caller copies.
  public var affinePullback:
    @Sendable (
      _ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ logs: In, _ g: Out, _ gLogs: Out
    ) -> Void
  /// Pullback of affineInverse, but not gated. x: its result. g: dL/dx in, dL/dy out (dL/dt is minus that). gLogs: dL/dlogs in (of
  /// the logs as returned), dL/da out.
  public var affineInversePullback:
    @Sendable (
      _ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ logs: In, _ g: Out, _ gLogs: Out
    ) -> Void

  /// y and logs = log dy/dx of rational-quadratic splines (see SplineRule), with raw parameter j of number i at
  /// p[j * count + i]. Replaces those of widths and heights by what the pullbacks want of them. y may be x.
  public var spline: @Sendable (_ rule: SplineRule, _ count: Int, _ x: In, _ p: Out, _ y: Out, _ logs: Out) -> Void
  /// x, and logs = log dy/dx (the caller subtracts). Changes p in the same way. x may be y.
  public var splineInverse:
    @Sendable (_ rule: SplineRule, _ count: Int, _ y: In, _ p: Out, _ x: Out, _ logs: Out) -> Void
  /// Pullback of spline. p: as left by it. g: dL/dy in, dL/dx out. gp: its first count values dL/dlogs in, all of them
  /// the gradient of the raw parameters out.
  public var splinePullback: @Sendable (_ rule: SplineRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out) -> Void
  /// Pullback of splineInverse. x: its result. g: dL/dx in, dL/dy out. gp: as above, logs as returned.
  public var splineInversePullback:
    @Sendable (_ rule: SplineRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out) -> Void
  /// cosines = cos a, sines = sin a for the angle a = 2 pi (x - low) / (high - low).
  public var angles:
    @Sendable (_ low: Double, _ high: Double, _ count: Int, _ x: In, _ cosines: Out, _ sines: Out) -> Void
  /// y = F(x) or log F(x) - log(1 - F(x)), F being the CDF of a mixture (see MixtureRule), logs = log dy/dx. Parameter j
  /// of number i is p[j * count + i]. At infinite x y has its limit, and logs is minus infinity for F itself.
  /// y may be x.
  public var mixture: @Sendable (_ rule: MixtureRule, _ count: Int, _ x: In, _ p: In, _ y: Out, _ logs: Out) -> Void
  /// The x to y, logs = log dy/dx at x (the caller subtracts). 0 and 1 of the uniform target give infinities, numbers
  /// outside NaN. x may be y.
  public var mixtureInverse:
    @Sendable (_ rule: MixtureRule, _ count: Int, _ y: In, _ p: In, _ x: Out, _ logs: Out) -> Void
  /// Pullback of mixture. g: dL/dy in, dL/dx out. gp: its first count values dL/dlogs in, all of them dL/dp out.
  public var mixturePullback:
    @Sendable (_ rule: MixtureRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out) -> Void
  /// Pullback of mixtureInverse. x: its result. g: dL/dx in, dL/dy out. gp as above.
  public var mixtureInversePullback:
    @Sendable (_ rule: MixtureRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out) -> Void

  /// y += x
  public var add: @Sendable (_ count: Int, _ x: In, _ y: Out) -> Void

  // By feature, over a tile

  /// y = x * scale[i] + shift[i] (one fused multiply-add) for feature i. y may be x.
  public var scaleShift:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In, _ scale: In, _ shift: In, _ y: Out
    ) -> Void
  /// y = (x - shift[i]) / scale[i] (a true division) for feature i. y may be x.
  public var unshiftScale:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In, _ scale: In, _ shift: In, _ y: Out
    ) -> Void
  /// total[r] += sign * sum over i ascending of x[i * stride + r]; sums in double precision.
  public var addRows:
    @Sendable (
      _ features: Int, _ stride: Int, _ x: In, _ sign: Double, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// total[r] += sum over i ascending of -z^2/2 - log(2 pi)/2; in double precision.
  public var normalLogDensity:
    @Sendable (
      _ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// total[r] += sum over i ascending of -|z| - 2 log(1 + e^-|z|), the standard logistic density; in double precision.
  public var logisticLogDensity:
    @Sendable (
      _ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>
    ) -> Void
  /// Standard normal numbers: element (i, r) depends on seed, row number firstRow + r (wrapping) and i only.
  /// Philox4x32-10 with key = seed (low word, high word) and counter = (row low, row high, i / 2, 0) gives four words
  /// w0...w3; u1 = ((w0 + 2^32 w1) >> 11 + 0.5) 2^-53, u2 = ((w2 + 2^32 w3) >> 11 + 0.5) 2^-53; for even i the number
  /// is sqrt(-2 log u1) cos(2 pi u2), for odd i the same with sin (Box and Muller 1958), in double precision, then
  /// rounded to S.
  public var normals:
    @Sendable (
      _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ z: Out
    ) -> Void
  /// Uniform numbers in (0, 1), ends excluded, in double precision for either S (rounded to Float, some would be 1).
  /// Element (i, r) is made as for `normals`, with 1 in the last word of the counter, so that the two share no bits: u1
  /// for even i, u2 for odd i, and 1 - 2^-53 where rounding makes that 1.
  public var uniforms:
    @Sendable (
      _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ u: UnsafeMutablePointer<Double>
    ) -> Void

  // Optimisation

  /// The sum of squares of count values, in double precision, in an order fixed by count.
  public var sumOfSquares: @Sendable (_ count: Int, _ x: In) -> Double
  /// One step of Adam with decoupled weight decay on count parameters, moments m and v:
  ///     g' = g * step.gradientScale;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2
  ///     p = p - step.rate * m / (sqrt(v) * step.vScale + epsilon) - step.decay * p
  public var adam: @Sendable (_ step: AdamStep, _ count: Int, _ g: In, _ p: Out, _ m: Out, _ v: Out) -> Void

  public init(
    lanes: Int, tileRows: Int,
    dense:
      @escaping @Sendable (
        UnsafePointer<Panel>, In, Int, Int, Int, Int, Bool, Double, In, Out, Int
      ) -> Void,
    denseTransposed: @escaping @Sendable (UnsafePointer<Panel>, In, Int, Int, In, Out, Int, Bool) -> Void,
    outer: @escaping @Sendable (Int, In, Int, UnsafePointer<Int32>, In, Int, Out, Int, Bool) -> Void, outerColumns: Int,
    rowSums: @escaping @Sendable (Int, In, Int, Int, Out, Bool) -> Void,
    triangularSolve: @escaping @Sendable (UnsafePointer<Panel>, In, Int, Bool, In?, Out, Int) -> Void,
    reflect: @escaping @Sendable (Int, Int, In, Out) -> Void,
    transpose: @escaping @Sendable (In, Int, Int, Int, Out, Int) -> Void,
    activate: @escaping @Sendable (Activation, Int, In, Out) -> Void,
    activatePullback: @escaping @Sendable (Activation, Int, In, In, Out) -> Void,
    affine: @escaping @Sendable (ScaleRule, Int, In, In, In, Out, Out) -> Void,
    affineInverse: @escaping @Sendable (ScaleRule, Int, In, In, In, Out, Out) -> Void,
    affinePullback: @escaping @Sendable (ScaleRule, Int, In, In, In, Out, Out) -> Void,
    affineInversePullback: @escaping @Sendable (ScaleRule, Int, In, In, In, Out, Out) -> Void,
    spline: @escaping @Sendable (SplineRule, Int, In, Out, Out, Out) -> Void,
    splineInverse: @escaping @Sendable (SplineRule, Int, In, Out, Out, Out) -> Void,
    splinePullback: @escaping @Sendable (SplineRule, Int, In, In, Out, Out) -> Void,
    splineInversePullback: @escaping @Sendable (SplineRule, Int, In, In, Out, Out) -> Void,
    angles: @escaping @Sendable (Double, Double, Int, In, Out, Out) -> Void,
    mixture: @escaping @Sendable (MixtureRule, Int, In, In, Out, Out) -> Void,
    mixtureInverse: @escaping @Sendable (MixtureRule, Int, In, In, Out, Out) -> Void,
    mixturePullback: @escaping @Sendable (MixtureRule, Int, In, In, Out, Out) -> Void,
    mixtureInversePullback: @escaping @Sendable (MixtureRule, Int, In, In, Out, Out) -> Void,
    add: @escaping @Sendable (Int, In, Out) -> Void,
    scaleShift: @escaping @Sendable (Int, Int, In, In, In, Out) -> Void,
    unshiftScale: @escaping @Sendable (Int, Int, In, In, In, Out) -> Void,
    addRows: @escaping @Sendable (Int, Int, In, Double, UnsafeMutablePointer<Double>) -> Void,
    normalLogDensity: @escaping @Sendable (Int, Int, In, UnsafeMutablePointer<Double>) -> Void,
    logisticLogDensity: @escaping @Sendable (Int, Int, In, UnsafeMutablePointer<Double>) -> Void,
    normals: @escaping @Sendable (UInt64, UInt64, Int, Int, Out) -> Void,
    uniforms: @escaping @Sendable (UInt64, UInt64, Int, Int, UnsafeMutablePointer<Double>) -> Void,
    sumOfSquares: @escaping @Sendable (Int, In) -> Double,
    adam: @escaping @Sendable (AdamStep, Int, In, Out, Out, Out) -> Void
  ) {
    self.lanes = lanes
    self.tileRows = tileRows
    self.dense = dense
    self.denseTransposed = denseTransposed
    self.outer = outer
    self.outerColumns = outerColumns
    self.rowSums = rowSums
    self.triangularSolve = triangularSolve
    self.reflect = reflect
    self.transpose = transpose
    self.activate = activate
    self.activatePullback = activatePullback
    self.affine = affine
    self.affineInverse = affineInverse
    self.affinePullback = affinePullback
    self.affineInversePullback = affineInversePullback
    self.spline = spline
    self.splineInverse = splineInverse
    self.splinePullback = splinePullback
    self.splineInversePullback = splineInversePullback
    self.angles = angles
    self.mixture = mixture
    self.mixtureInverse = mixtureInverse
    self.mixturePullback = mixturePullback
    self.mixtureInversePullback = mixtureInversePullback
    self.add = add
    self.scaleShift = scaleShift
    self.unshiftScale = unshiftScale
    self.addRows = addRows
    self.normalLogDensity = normalLogDensity
    self.logisticLogDensity = logisticLogDensity
    self.normals = normals
    self.uniforms = uniforms
    self.sumOfSquares = sumOfSquares
    self.adam = adam
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
  case tanh, elu, silu, leakyReLU, softplus, sigmoid, gelu, geluErf

  /// Whether the derivative needs the input, not just the output.
  public var needsInput: Bool { self == .silu || self == .gelu || self == .geluErf }
}

/// s(a) of an affine map; kinds are those of the C header, formulas too. `bound` is c, `epsilon` is e, `low` and `high`
/// are of log s for clampedExp.
public struct ScaleRule: Equatable, Sendable, BitwiseCopyable {
  public enum Kind: Int32, Sendable, BitwiseCopyable {
    case softClip = 1
    case exp, tanh, softplus, sigmoid, additive, gated, clampedSoftplus, clampedExp, reciprocalSigmoid, atan
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

/// Monotone rational-quadratic splines over the box [low, high], of x and of y. Raw parameters of a number: `bins` widths,
/// `bins` heights, then derivatives. widths = (high - low) (minWidth + (1 - bins minWidth) softmax(raw)), heights in the
/// same way; zeros make the identity. Other conventions: see `logitBound` and `halfEnds`.
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
  public var parameterCount: Int { 2 * bins + derivativeCount }
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
  public static let maxComponents = 64

  public var components: Int
  public var family: Family
  public var target: Target
  public var bound: Double
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

/// From one output to the next in the d of `KernelTable.outer`, which takes as many rows at most.
public let outerStride = 64
