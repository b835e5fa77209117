import KernelInterface

/// z_i = map(x_i; parameters of x_1...x_{i-1} and the context), all parameters from one masked network (MADE).
///
/// Masked autoregressive flow, Papamakarios, Pavlakou and Murray 2017. Run the other way round (`Inverse`), the inverse
/// autoregressive flow of Kingma et al. 2016. `forward` is one pass of the network; `inverse` computes each hidden unit
/// once, as soon as the coordinates it depends on are known, and costs about as much.
struct AutoregressiveSpec: BijectionSpec {
  static let kind = "autoregressive"

  let dim: Int
  let contextDim: Int
  /// Columns from first to last.
  let order: [Int]
  let map: ElementMap
  let network: NetworkSpec

  /// hiddenDegrees: for each hidden layer one degree a unit, 0 (or, without context, 1) to dim - 1.
  init(
    dim: Int, contextDim: Int, order: [Int], map: ElementMap, hidden: [Int], hiddenDegrees: [[Int]],
    activation: Activation
  ) throws(DiffeoError) {
    guard isPermutation(order, dim) else {
      throw DiffeoError(.invalid, "order must name each of the columns 0 to \(dim - 1) once")
    }
    for (i, degrees) in hiddenDegrees.enumerated() {
      guard i < hidden.count, degrees.count == hidden[i],
        degrees.allSatisfy({ $0 >= 0 && $0 < max(dim, 1) })
      else {
        throw DiffeoError(
          .format,
          "hidden layer \(i) needs \(i < hidden.count ? hidden[i] : 0) degrees of 0 to \(dim - 1)")
      }
    }
    guard hiddenDegrees.count == hidden.count else {
      throw DiffeoError(
        .format, "\(hidden.count) hidden layers have \(hiddenDegrees.count) lists of degrees")
    }
    var place = [Int](repeating: 0, count: dim)
    for (i, column) in order.enumerated() { place[column] = i + 1 }
    self.dim = dim
    self.contextDim = contextDim
    self.order = order
    self.map = map
    network = try NetworkSpec(
      inputs: dim * map.inputsPerColumn + contextDim, hidden: hidden, outputs: dim * map.parameterCount,
      activation: activation,
      degrees: NetworkSpec.Degrees(
        inputs: place.flatMap { [Int](repeating: $0, count: map.inputsPerColumn) }
          + [Int](repeating: 0, count: contextDim),
        hidden: hiddenDegrees,
        outputs: place.flatMap { [Int](repeating: $0, count: map.parameterCount) }))
  }

  /// Degrees dealt evenly in ascending order, or drawn; from 1, or from 0 when there is a context (so that the first
  /// column can depend on it) or nothing else to see.
  static func degrees(
    _ hidden: [Int], dim: Int, contextDim: Int, random: inout Philox, drawn: Bool
  ) throws(DiffeoError) -> [[Int]] {
    try NetworkSpec.check(hidden)
    let lowest = contextDim > 0 || dim == 1 ? 0 : 1
    let choices = dim - lowest
    return hidden.map { width in
      (0..<width).map { lowest + (drawn ? random.integer(below: choices) : $0 * choices / width) }
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let hidden = try record.ints("hidden")
    var degrees: [[Int]] = []
    for i in hidden.indices { degrees.append(try record.ints("degrees_\(i)")) }
    try self.init(
      dim: dim, contextDim: contextDim, order: record.ints("order"), map: ElementMap(record),
      hidden: hidden,
      hiddenDegrees: degrees, activation: Activation(name: record.string("activation")))
  }

  var record: Record {
    var record = Record(kind: AutoregressiveSpec.kind)
    map.describe(&record)
    record["activation"] = .string(network.activation.name)
    record["hidden"] = .ints(network.hidden)
    record["order"] = .ints(order)
    for (i, degrees) in (network.degrees?.hidden ?? []).enumerated() {
      record["degrees_\(i)"] = .ints(degrees)
    }
    return record
  }

  var slots: [ParameterSlot] { network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    network.initialise(parameters, outputs: map.initialParameters, &random)
  }

  var summary: String {
    let named =
      order == Array(0..<dim)
      ? "natural" : order == Array((0..<dim).reversed()) ? "reversed" : "given"
    return "\(map.summary), \(named) order, \(network.summary)"
  }
}

struct Autoregressive<S: Scalar>: Bijection {
  private let dim: Int
  private let contextDim: Int
  private let map: ElementMap
  let network: Network<S>
  /// Sorted position -> column.
  private let order: UnsafePointer<Int32>
  /// cuts[i * hiddenLayers + l]: units of hidden layer l that are known when the first i columns are.
  private let cuts: UnsafePointer<Int32>

  private var hiddenLayers: Int { network.layerCount - 1 }

  init(_ spec: AutoregressiveSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    contextDim = spec.contextDim
    map = spec.map
    network = try Network(spec.network, offset: offset, slot: slot, pool: pool)
    order = try pool.copy(spec.order.map { Int32($0) })
    let hidden = (spec.network.degrees?.hidden ?? []).map { $0.sorted() }
    cuts = try pool.copy(
      (0...dim).flatMap { i in hidden.map { degrees in Int32(degrees.partitionPoint { $0 > i }) } })
  }

  func prepare(_ parameters: UnsafePointer<S>) { network.prepare(parameters) }

  struct Tape: BitwiseCopyable {
    let x: UnsafeMutablePointer<S>
    /// Raw parameters and log-derivatives in sorted order.
    let parameters: UnsafeMutablePointer<S>
    let logs: UnsafeMutablePointer<S>
    let network: Network<S>.Tape
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let input = try scratch.take(network.inputs * stride, of: S.self)
    input.update(from: pass.context, count: contextDim * stride)
    for i in 0..<dim {
      map.encode(stride, pass.row(pass.x, Int(order[i])), input + inputs(i) * stride)
    }
    let (output, tape) = try network.forward(input, stride, scratch, recording: pass.recording)
    let logs = try scratch.take(pass.count, of: S.self)
    let x = pass.x
    try pass.replace { _, _ in }
    try map.run(inverse: false, columns(stride), x, output, pass.x, logs, scratch)
    S.kernels.addRows(dim, stride, logs, 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: x, parameters: output, logs: logs, network: tape)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch, perColumn) = (pass.stride, pass.scratch, map.parameterCount)
    let mark = scratch.mark
    let logs = try scratch.take(pass.count, of: S.self)
    let net = try IncrementalForward(network, stride, scratch)
    net.input.update(from: pass.context, count: contextDim * stride)
    try pass.replace { z, x in
      for i in 0..<dim {
        net.advance(known: inputs(i)) { Int(cuts[i * hiddenLayers + $0]) }
        net.finishOutputs(i * perColumn, (i + 1) * perColumn, known: inputs(i))
        let column = Int(order[i]) * stride
        map.inverse(
          stride, z + column, net.output + i * perColumn * stride, x + column, logs + i * stride)
        map.encode(stride, x + column, net.input + inputs(i) * stride)
      }
    }
    S.kernels.addRows(dim, stride, logs, -1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: pass.x, parameters: net.output, logs: logs, network: net.tape)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let gOutput = try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride, of: S.self)
    try map.runPullback(
      inverse: false, columns(stride), tape.x, tape.parameters, tape.logs, adjoint, gOutput)
    let gInput = try network.pullback(tape.network, gOutput, stride, scratch, adjoint.sink)
    adjoint.addContext(gInput)
    for i in 0..<dim { addInputPullback(i, tape, gInput, adjoint) }
    scratch.release(to: mark)
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (stride, scratch, perColumn) = (adjoint.stride, adjoint.scratch, map.parameterCount)
    let mark = scratch.mark
    let net = try IncrementalPullback(network, tape.network, stride, scratch)
    for i in Swift.stride(from: dim - 1, through: 0, by: -1) {
      // dL/dx_i is complete once all hidden units that see x_i, those after cut i, are.
      net.advance(known: (i + 1) * perColumn) { Int(cuts[i * hiddenLayers + $0]) }
      net.finishInputs(inputs(i), inputs(i + 1), known: (i + 1) * perColumn)
      addInputPullback(i, tape, net.gInput, adjoint)
      let column = Int(order[i]) * stride
      let gOutput = net.gOutput + i * perColumn * stride
      adjoint.spreadLogDet(1, negated: true, gOutput)
      map.inversePullback(
        stride, tape.x + column, tape.parameters + i * perColumn * stride, tape.logs + i * stride,
        adjoint.g + column, gOutput)
    }
    net.advance(known: 0) { _ in 0 }
    net.finishInputs(0, contextDim, known: 0)
    adjoint.addContext(net.gInput)
    net.gradients(adjoint.sink)
    scratch.release(to: mark)
  }

  /// The context and the first i columns, as inputs of the network.
  private func inputs(_ i: Int) -> Int { contextDim + i * map.inputsPerColumn }

  private func columns(_ stride: Int) -> TileColumns {
    TileColumns(indices: order, count: dim, stride: stride)
  }

  @inline(__always)
  private func addInputPullback(
    _ i: Int, _ tape: Tape, _ gInput: UnsafeMutablePointer<S>, _ adjoint: Adjoint<S>
  ) {
    let first = inputs(i) * adjoint.stride
    map.addEncodePullback(
      adjoint.stride, tape.network.input + first, gInput + first,
      adjoint.g + Int(order[i]) * adjoint.stride)
  }
}
