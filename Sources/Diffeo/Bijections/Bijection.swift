import KernelInterface

// Words. Data x, noise z. `forward` runs from data to noise, the direction in which maximum likelihood trains; `inverse`
// from noise to data. A log-determinant is always that of the direction just run. The public interfaces say to_noise and
// from_noise, because the field uses "forward" in both senses.

/// The architecture of a layer.
///
/// To add a layer, copy a file of this folder and write its spec into the list of Flows/Kinds.swift; CONTRIBUTING.md has
/// what else there is to do, and tests ask for it.
protocol BijectionSpec: ComponentSpec {
  /// Prepared for the kernels, in either type.
  associatedtype F32: Bijection where F32.S == Float, F32.Spec == Self
  associatedtype F64: Bijection where F64.S == Double, F64.Spec == Self
  /// Where its columns have to be so that it takes them to these intervals, or more than that; nil where it does not reach
  /// all of one.
  func preimages(of z: [Interval]) -> [Interval?]
  /// The same of its inverse.
  func images(of x: [Interval]) -> [Interval?]
  // Requirements, so that each is compiled for its layer.
  func layer32(inverted: Bool, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Layer<Float>
  func layer64(inverted: Bool, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Layer<Double>
}

extension BijectionSpec {
  func preimages(of z: [Interval]) -> [Interval?] { z.map { _ in .line } }
  func images(of x: [Interval]) -> [Interval?] { x.map { _ in .line } }

  func layer32(inverted: Bool, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Layer<Float> {
    try Layer(F32(self, offset: offset, slot: slot, pool: pool), inverted: inverted, pool: pool)
  }
  func layer64(inverted: Bool, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Layer<Double> {
    try Layer(F64(self, offset: offset, slot: slot, pool: pool), inverted: inverted, pool: pool)
  }
}

/// A layer that maps some columns, each by itself; the others pass unchanged.
protocol ColumnwiseSpec: BijectionSpec {
  var dim: Int { get }
  /// Those that are mapped, ascending.
  var columns: [Int] { get }
}

extension ColumnwiseSpec {
  static func check(_ columns: [Int], dim: Int) throws(DiffeoError) {
    if columns.isEmpty {
      throw DiffeoError(.invalid, "columns has no entries: it must name one or more of 0 to \(dim - 1)")
    }
    for (i, column) in columns.enumerated() {
      guard 0..<dim ~= column else {
        throw DiffeoError(.invalid, "columns[\(i)] is \(column), it must be 0 to \(dim - 1)")
      }
      guard i == 0 || columns[i - 1] < column else {
        throw DiffeoError(.invalid, "columns[\(i)] is \(column), after \(columns[i - 1]): columns must ascend")
      }
    }
  }

  var columnsInWords: String {
    "\(columns.count == dim && dim > 1 ? "all" : String(columns.count)) column\(dim == 1 ? "" : "s")"
  }
}

/// A layer prepared for the kernels. Maps of whole tiles.
protocol Bijection: Prepared {
  /// Replaces pass.x and adds to pass.logDet.
  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape

  /// From dL/d(result) and dL/d(log-determinant) to dL/d(argument), of `forward` or `inverse`. The tape is of a recording
  /// pass in either direction, and stays as it is. Adds to the gradient in the context; gradients of parameters go to
  /// the sink.
  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError)
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError)
}

/// A tile of rows on its way through the layers.
struct Pass<S: Scalar>: BitwiseCopyable {
  let dim: Int
  /// Columns of the context, or once it is embedded its features.
  private(set) var contextDim: Int
  let stride: Int
  /// [dim][stride], the present values.
  var x: UnsafeMutablePointer<S>
  /// Where a layer may write its result; then the two change places.
  private var spare: UnsafeMutablePointer<S>
  /// [contextDim][stride]
  private(set) var context: UnsafeMutablePointer<S>
  /// Whether all rows have the same.
  var contextIsShared = false
  private(set) var embedding: Network<S>.Tape?
  /// Of each row, so far.
  let logDet: UnsafeMutablePointer<Double>
  let scratch: Scratch
  /// Whether layers leave in scratch memory, and untouched, what their pullbacks need.
  let recording: Bool
  /// In training, the number of the minibatch: batch normalisation goes by its rows, masks of a MADE take turns.
  var minibatch: Int?
  /// In training: which hidden units are left out.
  var dropout: Dropout?
  /// In training: what is added to whole numbers, [dim][stride].
  var noise: UnsafePointer<S>?
  /// In training, where rows have weights: [stride]
  var weights: UnsafePointer<S>?

  var count: Int { dim * stride }

  init(dim: Int, contextDim: Int, stride: Int, recording: Bool, scratch: Scratch)
    throws(DiffeoError)
  {
    self.dim = dim
    self.contextDim = contextDim
    self.stride = stride
    self.scratch = scratch
    self.recording = recording
    x = try scratch.take(dim * stride)
    spare = try scratch.take(dim * stride)
    context = try scratch.take(contextDim * stride)
    logDet = try scratch.take(stride)
    logDet.update(repeating: 0, count: stride)
  }

  /// Calls body(x, y) to make the new values y from x.
  @inline(__always)
  mutating func replace<Result>(
    _ body: (_ x: UnsafeMutablePointer<S>, _ y: UnsafeMutablePointer<S>) throws(DiffeoError) -> Result
  ) throws(DiffeoError) -> Result {
    let old = x
    let result = try body(old, spare)
    x = spare
    spare = recording ? try scratch.take(count) : old
    return result
  }

  /// The features of the context from now on. One row of all that are the same is enough, where nothing is pulled back.
  mutating func embed(_ network: Network<S>) throws(DiffeoError) {
    if contextIsShared, !recording, stride > 1 {
      let row = try scratch.take(contextDim, of: S.self)
      for i in 0..<contextDim { row[i] = context[i * stride] }
      let (features, _) = try network.forward(UnsafePointer(row), 1, scratch, recording: false, nil)
      context = try scratch.take(network.outputs * stride)
      Tiling.spread(UnsafePointer(features), network.outputs, context, stride)
    } else {
      (context, embedding) = try network.forward(
        UnsafePointer(context), stride, scratch, recording: recording, dropout)
    }
    contextDim = network.outputs
  }

  func negateLogDet() {
    for r in 0..<stride { logDet[r] = -logDet[r] }
  }

  @inline(__always)
  func row(_ p: UnsafeMutablePointer<S>, _ i: Int) -> UnsafeMutablePointer<S> { p + i * stride }
}

/// Gradients on their way back through the layers.
struct Adjoint<S: Scalar> {
  let dim: Int
  var contextDim: Int
  let stride: Int
  /// [dim][stride], dL/d(present values).
  var g: UnsafeMutablePointer<S>
  /// [contextDim][stride], summed over the layers so far.
  var gContext: UnsafeMutablePointer<S>
  /// [stride], dL/d(log-determinant of the pass).
  let gLogDet: UnsafePointer<S>
  let sink: GradientSink<S>?
  let scratch: Scratch

  var count: Int { dim * stride }

  /// dL/dlog-determinant, times sign, for each of `features` rows of a tile.
  @inline(__always)
  func spreadLogDet(_ features: Int, negated: Bool, _ target: UnsafeMutablePointer<S>) {
    for r in 0..<stride { target[r] = negated ? -gLogDet[r] : gLogDet[r] }
    for i in 1..<max(features, 1) { (target + i * stride).update(from: target, count: stride) }
  }

  /// g: that part of a network's input gradient which belongs to the context, [contextDim][stride].
  @inline(__always)
  func addContext(_ g: UnsafePointer<S>) {
    if contextDim > 0 { S.kernels.add(contextDim * stride, g, gContext) }
  }
}
