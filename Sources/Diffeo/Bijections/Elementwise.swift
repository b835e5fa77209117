import KernelInterface

/// z_i = map(x_i) for some columns, each with parameters of its own that are trained, or functions of the context; the
/// others pass unchanged. What a coupling does to the columns that it transforms, without the columns that it keeps.
struct ElementwiseSpec: ColumnwiseSpec {
  static let kind = "elementwise"
  typealias F32 = Elementwise<Float>
  typealias F64 = Elementwise<Double>

  let dim: Int
  /// Those that are mapped, ascending.
  let columns: [Int]
  let map: ElementMapSpec
  let parameters: ContextualParametersSpec

  init(
    dim: Int, contextDim: Int, columns: [Int], map: ElementMapSpec, conditioner: NetworkConventions?
  ) throws(DiffeoError) {
    try ElementwiseSpec.check(columns, dim: dim)
    self.dim = dim
    self.columns = columns
    self.map = map
    parameters = try ContextualParametersSpec(
      [.init(name: "parameters", shape: [columns.count, map.parameterCount])], contextDim: contextDim,
      conditioner: conditioner)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(
      dim: dim, contextDim: contextDim, columns: record.ints("columns"), map: ElementMapSpec(record),
      conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: ElementwiseSpec.kind)
    map.describe(&record)
    record["columns"] = .ints(columns)
    parameters.describe(&record)
    return record
  }

  var slots: [ParameterSlot] { parameters.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    let one =
      map.initialParameters.isEmpty ? [Double](repeating: 0, count: map.parameterCount) : map.initialParameters
    self.parameters.initialise(parameters, &random, values: columns.flatMap { _ in one })
  }

  var limitsSupport: Bool { map.limitsSupport }

  func preimages(of z: [Interval]) -> [Interval?] { z.replacing(columns, map.preimage) }
  func images(of x: [Interval]) -> [Interval?] { x.replacing(columns, map.image) }

  var summary: String {
    "\(map.summary), of \(columnsInWords)" + (parameters.network == nil ? "" : ", " + parameters.summary)
  }
}

struct Elementwise<S: Scalar>: Bijection {
  private let map: ElementMap<S>
  private let columns: UnsafePointer<Int32>
  private let columnCount: Int
  private let parameters: ContextualParameters<S>

  init(_ spec: ElementwiseSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = try ElementMap(spec.map, pool: pool)
    columns = try pool.copy(spec.columns.map { Int32($0) })
    columnCount = spec.columns.count
    parameters = try ContextualParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.denseLayers }

  struct Tape: BitwiseCopyable {
    /// On the data side; log-derivatives of the mapped columns.
    let x: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
    let logs: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  @inline(__always)
  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let tape = try parameters.evaluate(pass)
    let logs = try scratch.take(columnCount * stride, of: S.self)
    let before = pass.x
    let count = pass.count
    try pass.replace { x, y in y.update(from: x, count: count) }
    try map.run(
      inverse: inverse, columns(stride), before, tape.values, pass.x, logs, scratch, recording: pass.recording)
    S.kernels.addRows(columnCount, stride, logs, inverse ? -1 : 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: inverse ? pass.x : before, parameters: tape, logs: logs)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  @inline(__always)
  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) throws(DiffeoError) {
    let mark = adjoint.scratch.mark
    let gParameters = try parameters.newGradient(adjoint)
    try map.runPullback(
      inverse: inverse, columns(adjoint.stride), tape.x, tape.parameters.values, tape.logs, adjoint, gParameters)
    try parameters.pullback(adjoint, tape.parameters, gParameters)
    adjoint.scratch.release(to: mark)
  }

  private func columns(_ stride: Int) -> TileColumns {
    TileColumns(indices: columns, count: columnCount, stride: stride)
  }
}
