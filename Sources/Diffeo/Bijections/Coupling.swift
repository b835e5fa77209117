import KernelInterface

/// The kept columns pass unchanged and, with the context, give the parameters of a map of the others through a dense
/// network: one pass in both directions. RealNVP, Dinh, Sohl-Dickstein and Bengio 2017; NICE with the additive map.
struct CouplingSpec: BijectionSpec {
  static let kind = "coupling"
  typealias F32 = Coupling<Float>
  typealias F64 = Coupling<Double>

  let dim: Int
  let contextDim: Int
  let kept: [Int]
  let moved: [Int]
  let map: ElementMapSpec
  /// Gives all parameters; with a network for the scales only the shifts.
  let network: NetworkSpec
  /// Of an affine map, as published for RealNVP.
  let scaleNetwork: NetworkSpec?

  /// mask[i] true: column i is kept. scaleActivation: for scales from a network of their own.
  init(
    dim: Int, contextDim: Int, mask: [Bool], map: ElementMapSpec, conditioner: NetworkConventions,
    scaleActivation: Activation? = nil
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
    let inputs = kept.count * map.encoding.inputsPerColumn + contextDim
    if let scaleActivation {
      guard let rule = map.rule as? ScaleRule, rule.kind != .additive else {
        throw DiffeoError(
          .invalid, "a network for the scales needs an affine map with scales, this one is: \(map.summary)")
      }
      network = try NetworkSpec(
        inputs: inputs, contextInputs: contextDim, outputs: moved.count, conventions: conditioner)
      var other = conditioner
      other.activation = scaleActivation
      scaleNetwork = try NetworkSpec(
        inputs: inputs, contextInputs: contextDim, outputs: moved.count, conventions: other)
    } else {
      network = try NetworkSpec(
        inputs: inputs, contextInputs: contextDim, outputs: moved.count * map.parameterCount,
        conventions: conditioner)
      scaleNetwork = nil
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let mask = try record.ints("mask")
    guard mask.allSatisfy({ $0 == 0 || $0 == 1 }) else {
      throw DiffeoError(.format, "a mask holds other values than 0 and 1")
    }
    try self.init(
      dim: dim, contextDim: contextDim, mask: mask.map { $0 == 1 }, map: ElementMapSpec(record),
      conditioner: NetworkConventions(record),
      scaleActivation: record["scale_activation"] == nil
        ? nil : Activation.names.choice(record, "scale_activation"))
  }

  var record: Record {
    var record = Record(kind: CouplingSpec.kind)
    map.describe(&record)
    network.conventions.describe(&record)
    if let scaleNetwork { record["scale_activation"] = .string(scaleNetwork.activation.name) }
    record["hidden"] = .ints(network.hidden)
    var mask = [Int](repeating: 0, count: dim)
    for i in kept { mask[i] = 1 }
    record["mask"] = .ints(mask)
    return record
  }

  var slots: [ParameterSlot] {
    network.slots
      + (scaleNetwork?.slots ?? []).map { ParameterSlot("scale_\($0.name)", $0.shape, $0.role) }
  }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    network.initialise(parameters, outputs: scaleNetwork == nil ? map.initialParameters : [], &random)
    scaleNetwork?.initialise(
      parameters + network.slots.reduce(0) { $0 + $1.count }, outputs: Array(map.initialParameters.prefix(1)), &random)
  }

  var limitsSupport: Bool { map.limitsSupport }

  func preimages(of z: [Interval]) -> [Interval?] { z.replacing(moved, map.preimage) }
  func images(of x: [Interval]) -> [Interval?] { x.replacing(moved, map.image) }

  var summary: String {
    "\(map.summary), \(kept.count) kept, \(moved.count) transformed, \(network.summary)"
      + (scaleNetwork.map { ", of the scales \($0.activation.name)" } ?? "")
  }
}

struct Coupling<S: Scalar>: Bijection {
  private let contextDim: Int
  private let map: ElementMap<S>
  private let network: Network<S>
  private let scaleNetwork: Network<S>?
  private let kept: UnsafePointer<Int32>
  private let keptCount: Int
  private let moved: UnsafePointer<Int32>
  private let movedCount: Int

  init(_ spec: CouplingSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    contextDim = spec.contextDim
    map = try ElementMap(spec.map, pool: pool)
    network = try Network(spec.network, offset: offset, slot: slot, pool: pool)
    if let scale = spec.scaleNetwork {
      scaleNetwork = try Network(
        scale, offset: offset + spec.network.slots.reduce(0) { $0 + $1.count },
        slot: slot + spec.network.slots.count, pool: pool)
    } else {
      scaleNetwork = nil
    }
    kept = try pool.copy(spec.kept.map { Int32($0) })
    keptCount = spec.kept.count
    moved = try pool.copy(spec.moved.map { Int32($0) })
    movedCount = spec.moved.count
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    network.prepare(parameters)
    scaleNetwork?.prepare(parameters)
  }

  var denseLayers: [DenseLayer<S>] { network.denseLayers + (scaleNetwork?.denseLayers ?? []) }

  struct Tape: BitwiseCopyable {
    /// On the data side; raw parameters in the order of the network; log-derivatives of the transformed columns.
    let x: UnsafeMutablePointer<S>
    let parameters: UnsafeMutablePointer<S>
    let logs: UnsafeMutablePointer<S>
    let network: Network<S>.Tape
    let scaleNetwork: Network<S>.Tape?
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
    var (output, tape) = try network.forward(input, stride, scratch, recording: pass.recording, pass.dropout)
    var scaleTape: Network<S>.Tape?
    if let scaleNetwork {
      let (scales, record) = try scaleNetwork.forward(input, stride, scratch, recording: pass.recording, pass.dropout)
      let shifts = output
      output = try scratch.take(2 * movedCount * stride)
      for i in 0..<movedCount {
        (output + 2 * i * stride).update(from: scales + i * stride, count: stride)
        (output + (2 * i + 1) * stride).update(from: shifts + i * stride, count: stride)
      }
      scaleTape = record
    }
    let logs = try scratch.take(movedCount * stride, of: S.self)
    let before = pass.x
    try pass.replace { x, y in
      for i in 0..<keptCount {
        Tiling.copy(stride, x + Int(kept[i]) * stride, y + Int(kept[i]) * stride)
      }
    }
    try map.run(inverse: inverse, columns(stride), before, output, pass.x, logs, scratch, recording: pass.recording)
    S.kernels.addRows(movedCount, stride, logs, inverse ? -1 : 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(
      x: inverse ? pass.x : before, parameters: output, logs: logs, network: tape, scaleNetwork: scaleTape)
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
    let gOutput = try scratch.take(
      PackedMatrix<S>.padded(movedCount * map.parameterCount) * stride, of: S.self)
    try map.runPullback(
      inverse: inverse, columns(stride), tape.x, tape.parameters, tape.logs, adjoint, gOutput)
    let gInput: UnsafeMutablePointer<S>
    if let scaleNetwork {
      guard let scaleTape = tape.scaleNetwork else {
        throw DiffeoError(.internal, "the network of the scales has left no tape")
      }
      let gScales = try scratch.take(PackedMatrix<S>.padded(movedCount) * stride, of: S.self)
      let gShifts = try scratch.take(PackedMatrix<S>.padded(movedCount) * stride, of: S.self)
      for i in 0..<movedCount {
        (gScales + i * stride).update(from: gOutput + 2 * i * stride, count: stride)
        (gShifts + i * stride).update(from: gOutput + (2 * i + 1) * stride, count: stride)
      }
      gInput = try network.pullback(tape.network, gShifts, stride, scratch, adjoint.sink)
      let gOther = try scaleNetwork.pullback(scaleTape, gScales, stride, scratch, adjoint.sink)
      S.kernels.add(network.inputs * stride, gOther, gInput)
    } else {
      gInput = try network.pullback(tape.network, gOutput, stride, scratch, adjoint.sink)
    }
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
