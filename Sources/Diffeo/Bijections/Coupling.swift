import KernelInterface

/// The kept columns pass unchanged and, with the context, give the parameters of a map of the others through a dense
/// network: one pass in both directions. RealNVP, Dinh, Sohl-Dickstein and Bengio 2017; NICE with the additive map.
struct CouplingSpec: BijectionSpec {
  static let kind = "coupling"

  let dim: Int
  let contextDim: Int
  let kept: [Int]
  let moved: [Int]
  let map: ElementMap
  let network: NetworkSpec

  /// mask[i] true: column i is kept.
  init(
    dim: Int, contextDim: Int, mask: [Bool], map: ElementMap, hidden: [Int], activation: Activation
  ) throws(DiffeoError) {
    guard mask.count == dim else {
      throw DiffeoError(.invalid, "the mask has \(mask.count) values, this flow has dim \(dim)")
    }
    kept = mask.indices.filter { mask[$0] }
    moved = mask.indices.filter { !mask[$0] }
    guard !moved.isEmpty else {
      throw DiffeoError(
        .invalid, "the mask keeps all \(dim) columns: a coupling layer must transform one at least")
    }
    guard !kept.isEmpty || contextDim > 0 else {
      throw DiffeoError(
        .invalid,
        "the mask keeps none of the \(dim) columns and there is no context: nothing is left to condition on"
      )
    }
    self.dim = dim
    self.contextDim = contextDim
    self.map = map
    network = try NetworkSpec(
      inputs: kept.count * map.encoding.inputsPerColumn + contextDim, hidden: hidden, outputs: moved.count * map.parameterCount,
      activation: activation)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let mask = try record.ints("mask")
    guard mask.allSatisfy({ $0 == 0 || $0 == 1 }) else {
      throw DiffeoError(.format, "a mask holds other values than 0 and 1")
    }
    try self.init(
      dim: dim, contextDim: contextDim, mask: mask.map { $0 == 1 }, map: ElementMap(record),
      hidden: record.ints("hidden"), activation: Activation(name: record.string("activation")))
  }

  var record: Record {
    var record = Record(kind: CouplingSpec.kind)
    map.describe(&record)
    record["activation"] = .string(network.activation.name)
    record["hidden"] = .ints(network.hidden)
    var mask = [Int](repeating: 0, count: dim)
    for i in kept { mask[i] = 1 }
    record["mask"] = .ints(mask)
    return record
  }

  var slots: [ParameterSlot] { network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    network.initialise(parameters, outputs: map.initialParameters, &random)
  }

  var summary: String {
    "\(map.summary), \(kept.count) kept, \(moved.count) transformed, \(network.summary)"
  }
}

struct Coupling<S: Scalar>: Bijection {
  private let contextDim: Int
  private let map: ElementMap
  let network: Network<S>
  private let kept: UnsafePointer<Int32>
  private let keptCount: Int
  private let moved: UnsafePointer<Int32>
  private let movedCount: Int

  init(_ spec: CouplingSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    contextDim = spec.contextDim
    map = spec.map
    network = try Network(spec.network, offset: offset, slot: slot, pool: pool)
    kept = try pool.copy(spec.kept.map { Int32($0) })
    keptCount = spec.kept.count
    moved = try pool.copy(spec.moved.map { Int32($0) })
    movedCount = spec.moved.count
  }

  func prepare(_ parameters: UnsafePointer<S>) { network.prepare(parameters) }

  struct Tape: BitwiseCopyable {
    /// On the data side; raw parameters in the order of the network; log-derivatives of the transformed columns.
    let x: UnsafeMutablePointer<S>
    let parameters: UnsafeMutablePointer<S>
    let logs: UnsafeMutablePointer<S>
    let network: Network<S>.Tape
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  @inline(__always)
  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, scratch, perColumn) = (pass.stride, pass.scratch, map.encoding.inputsPerColumn)
    let mark = scratch.mark
    let input = try scratch.take(network.inputs * stride, of: S.self)
    for i in 0..<keptCount {
      map.encoding.encode(stride, pass.x + Int(kept[i]) * stride, input + i * perColumn * stride)
    }
    (input + keptCount * perColumn * stride).update(from: pass.context, count: contextDim * stride)
    let (output, tape) = try network.forward(input, stride, scratch, recording: pass.recording)
    let logs = try scratch.take(movedCount * stride, of: S.self)
    let before = pass.x
    try pass.replace { x, y in
      for i in 0..<keptCount {
        (y + Int(kept[i]) * stride).update(from: x + Int(kept[i]) * stride, count: stride)
      }
    }
    try map.run(inverse: inverse, columns(stride), before, output, pass.x, logs, scratch)
    S.kernels.addRows(movedCount, stride, logs, inverse ? -1 : 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: inverse ? pass.x : before, parameters: output, logs: logs, network: tape)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  @inline(__always)
  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool)
    throws(DiffeoError)
  {
    let (stride, scratch, perColumn) = (adjoint.stride, adjoint.scratch, map.encoding.inputsPerColumn)
    let mark = scratch.mark
    let gOutput = try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride, of: S.self)
    try map.runPullback(
      inverse: inverse, columns(stride), tape.x, tape.parameters, tape.logs, adjoint, gOutput)
    let gInput = try network.pullback(tape.network, gOutput, stride, scratch, adjoint.sink)
    for i in 0..<keptCount {
      let first = i * perColumn * stride
      map.encoding.addPullback(
        stride, tape.network.input + first, gInput + first, adjoint.g + Int(kept[i]) * stride)
    }
    adjoint.addContext(gInput + keptCount * perColumn * stride)
    scratch.release(to: mark)
  }

  private func columns(_ stride: Int) -> TileColumns {
    TileColumns(indices: moved, count: movedCount, stride: stride)
  }
}
