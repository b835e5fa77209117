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
      inputs: kept.count + contextDim, hidden: hidden, outputs: moved.count * map.parameterCount,
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
    /// Of the transformed columns: values on the data side, raw parameters by parameter, log-derivatives.
    let x: UnsafeMutablePointer<S>
    let parameters: UnsafeMutablePointer<S>
    let logs: UnsafeMutablePointer<S>
    let network: Network<S>.Tape
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  @inline(__always)
  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, scratch, perColumn) = (pass.stride, pass.scratch, map.parameterCount)
    let count = movedCount * stride
    let mark = scratch.mark
    let input = try scratch.take(network.inputs * stride, of: S.self)
    gather(pass.x, kept, keptCount, input, stride)
    (input + keptCount * stride).update(from: pass.context, count: contextDim * stride)
    let (output, tape) = try network.forward(input, stride, scratch, recording: pass.recording)
    let parameters = try scratch.take(perColumn * count, of: S.self)
    for j in 0..<perColumn {
      for i in 0..<movedCount {
        (parameters + (j * movedCount + i) * stride).update(
          from: output + (i * perColumn + j) * stride, count: stride)
      }
    }
    let logs = try scratch.take(count, of: S.self)
    let before = try scratch.take(count, of: S.self)
    let after = try scratch.take(count, of: S.self)
    gather(pass.x, moved, movedCount, before, stride)
    if inverse {
      map.inverse(count, before, parameters, after, logs)
    } else {
      map.forward(count, before, parameters, after, logs)
    }
    S.kernels.addRows(movedCount, stride, logs, inverse ? -1 : 1, pass.logDet)
    try pass.replace { x, y in
      for i in 0..<keptCount {
        (y + Int(kept[i]) * stride).update(from: x + Int(kept[i]) * stride, count: stride)
      }
      for i in 0..<movedCount {
        (y + Int(moved[i]) * stride).update(from: after + i * stride, count: stride)
      }
    }
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: inverse ? after : before, parameters: parameters, logs: logs, network: tape)
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
    let (stride, scratch, perColumn) = (adjoint.stride, adjoint.scratch, map.parameterCount)
    let count = movedCount * stride
    let mark = scratch.mark
    let g = try scratch.take(count, of: S.self)
    gather(adjoint.g, moved, movedCount, g, stride)
    let gParameters = try scratch.take(perColumn * count, of: S.self)
    adjoint.spreadLogDet(movedCount, negated: inverse, gParameters)
    if inverse {
      map.inversePullback(count, tape.x, tape.parameters, tape.logs, g, gParameters)
    } else {
      map.pullback(count, tape.x, tape.parameters, tape.logs, g, gParameters)
    }
    for i in 0..<movedCount {
      (adjoint.g + Int(moved[i]) * stride).update(from: g + i * stride, count: stride)
    }
    let gOutput = try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride, of: S.self)
    for i in 0..<movedCount {
      for j in 0..<perColumn {
        (gOutput + (i * perColumn + j) * stride).update(
          from: gParameters + (j * movedCount + i) * stride, count: stride)
      }
    }
    let gInput = try network.pullback(tape.network, gOutput, stride, scratch, adjoint.sink)
    for i in 0..<keptCount {
      S.kernels.add(stride, gInput + i * stride, adjoint.g + Int(kept[i]) * stride)
    }
    adjoint.addContext(gInput + keptCount * stride)
    scratch.release(to: mark)
  }

  @inline(__always)
  private func gather(
    _ from: UnsafeMutablePointer<S>, _ columns: UnsafePointer<Int32>, _ count: Int,
    _ to: UnsafeMutablePointer<S>,
    _ stride: Int
  ) {
    for i in 0..<count {
      (to + i * stride).update(from: from + Int(columns[i]) * stride, count: stride)
    }
  }
}
