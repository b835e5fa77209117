import KernelInterface

/// The parameters of what happens to each column, given the columns before it and the context: all from one masked
/// network (MADE, Germain, Gregor, Murray and Larochelle 2015).
struct AutoregressiveParametersSpec: Equatable, Sendable {
  let dim: Int
  let contextDim: Int
  /// Columns from first to last.
  let order: [Int]
  let perColumn: Int
  let encoding: ColumnEncoding
  let network: NetworkSpec

  /// The conventions of the network but for its sizes at both ends and its degrees.
  struct Conditioner: Equatable, Sendable {
    var network: NetworkConventions
    var direct = false
  }

  /// hiddenDegrees: for each hidden layer one degree a unit, 0 (or, without context, 1) to dim - 1.
  init(
    dim: Int, contextDim: Int, perColumn: Int, encoding: ColumnEncoding = .numbers, order: [Int],
    hiddenDegrees: [[Int]], conditioner: Conditioner
  ) throws(DiffeoError) {
    let hidden = conditioner.network.hidden
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
    // Sizes first: the lists of degrees are as long as they say.
    _ = try NetworkSpec(
      inputs: dim * encoding.inputsPerColumn + contextDim, contextInputs: contextDim, outputs: dim * perColumn,
      conventions: conditioner.network, direct: conditioner.direct)
    var place = [Int](repeating: 0, count: dim)
    for (i, column) in order.enumerated() { place[column] = i + 1 }
    self.dim = dim
    self.contextDim = contextDim
    self.order = order
    self.perColumn = perColumn
    self.encoding = encoding
    network = try NetworkSpec(
      inputs: dim * encoding.inputsPerColumn + contextDim, contextInputs: contextDim, outputs: dim * perColumn,
      conventions: conditioner.network,
      degrees: NetworkSpec.Degrees(
        inputs: place.flatMap { [Int](repeating: $0, count: encoding.inputsPerColumn) }
          + [Int](repeating: 0, count: contextDim),
        hidden: hiddenDegrees,
        outputs: place.flatMap { [Int](repeating: $0, count: perColumn) }),
      direct: conditioner.direct)
  }

  /// Degrees dealt evenly in ascending order, or drawn; from 1, or from 0 when there is a context (so that the first
  /// column can depend on it) or nothing else to see. Hidden layers that are the same units have the same.
  static func degrees(
    _ network: NetworkConventions, dim: Int, contextDim: Int, random: inout Philox, drawn: Bool
  ) throws(DiffeoError) -> [[Int]] {
    try NetworkSpec.check(network.hidden)
    let lowest = contextDim > 0 || dim == 1 ? 0 : 1
    let choices = dim - lowest
    var degrees: [[Int]] = []
    for (i, width) in network.hidden.enumerated() {
      if let last = degrees.last, network.continues(i) {
        degrees.append(last)
      } else {
        degrees.append((0..<width).map { lowest + (drawn ? random.integer(below: choices) : $0 * choices / width) })
      }
    }
    return degrees
  }

  static func conditioner(_ record: Record) throws(DiffeoError) -> Conditioner {
    Conditioner(
      network: try NetworkConventions(record),
      direct: record["direct"] == nil ? false : try record.bool("direct"))
  }

  /// For one or more that share their weights: the lists of the first, then those of the second...
  static func describe(_ masks: [AutoregressiveParametersSpec], _ record: inout Record) {
    let network = masks[0].network
    network.conventions.describe(&record)
    if network.direct { record["direct"] = .bool(true) }
    record["hidden"] = .ints(network.hidden)
    record["order"] = .ints(masks.flatMap(\.order))
    for i in network.hidden.indices {
      record["degrees_\(i)"] = .ints(masks.flatMap { $0.network.degrees?.hidden[i] ?? [] })
    }
  }

  var summary: String {
    let named =
      order == Array(0..<dim)
      ? "natural" : order == Array((0..<dim).reversed()) ? "reversed" : "given"
    return "\(named) order, \(network.summary)"
  }
}

/// All at once where the columns are known, or column by column where each is found from its parameters; the slow way
/// costs about as much as the fast one (see IncrementalForward). Sorted: in the order of the columns.
struct AutoregressiveParameters<S: Scalar>: BitwiseCopyable {
  private let dim: Int
  private let contextDim: Int
  private let perColumn: Int
  private let encoding: ColumnEncoding
  let network: Network<S>
  /// Sorted position -> column.
  private let order: UnsafePointer<Int32>
  /// cuts[i * hiddenLayers + l]: units that are known when the first i columns are, of what layer l of the network gives.
  private let cuts: UnsafePointer<Int32>

  private var hiddenLayers: Int { network.layerCount - 1 }

  init(_ spec: AutoregressiveParametersSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    contextDim = spec.contextDim
    perColumn = spec.perColumn
    encoding = spec.encoding
    network = try Network(spec.network, offset: offset, slot: slot, pool: pool)
    order = try pool.copy(spec.order.map { Int32($0) })
    let hidden = spec.network.parts.filter(\.isLink).dropLast().map { part in
      (spec.network.degrees(part)?.outputs ?? []).sorted()
    }
    cuts = try pool.copy(
      (0...dim).flatMap { i in hidden.map { degrees in Int32(degrees.partitionPoint { $0 > i }) } })
  }

  func prepare(_ parameters: UnsafePointer<S>) { network.prepare(parameters) }

  func columns(_ stride: Int) -> TileColumns { TileColumns(indices: order, count: dim, stride: stride) }

  /// The context and the first i columns, as inputs of the network.
  private func inputs(_ i: Int) -> Int { contextDim + i * encoding.inputsPerColumn }

  struct Tape: BitwiseCopyable {
    /// Parameter j of the sorted column i at (i * perColumn + j) * stride.
    let values: UnsafeMutablePointer<S>
    fileprivate let network: Network<S>.Tape
  }

  /// In scratch memory. Without `recording` no pullback is possible.
  func evaluate(
    _ x: UnsafePointer<S>, _ context: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch, recording: Bool,
    _ draws: Dropout?
  ) throws(DiffeoError) -> Tape {
    let input = try scratch.take(network.inputs * stride, of: S.self)
    input.update(from: context, count: contextDim * stride)
    for i in 0..<dim {
      encoding.encode(stride, x + Int(order[i]) * stride, input + inputs(i) * stride)
    }
    let (output, tape) = try network.forward(input, stride, scratch, recording: recording, draws)
    return Tape(values: output, network: tape)
  }

  /// `find` sets the sorted column i, which begins at the number `at` of x, from its parameters.
  @inline(__always)
  func evaluate(
    finding x: UnsafePointer<S>, _ context: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch, _ draws: Dropout?,
    _ find: (_ i: Int, _ at: Int, _ parameters: UnsafeMutablePointer<S>) -> Void
  ) throws(DiffeoError) -> Tape {
    let net = try IncrementalForward(network, context: context, stride, scratch, draws)
    for i in 0..<dim {
      net.advance(known: inputs(i)) { Int(cuts[i * hiddenLayers + $0]) }
      net.finishOutputs(i * perColumn, (i + 1) * perColumn, known: inputs(i))
      let at = Int(order[i]) * stride
      find(i, at, net.output + i * perColumn * stride)
      encoding.encode(stride, x + at, net.input + inputs(i) * stride)
    }
    return Tape(values: net.output, network: net.tape)
  }

  /// For dL/dvalues: as they are, and what the kernels want behind it.
  func newGradient(_ adjoint: Adjoint<S>) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    try adjoint.scratch.take(PackedMatrix<S>.padded(network.outputs) * adjoint.stride)
  }

  /// Adds to dL/dx in adjoint.g and to dL/dcontext.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, _ gValues: UnsafePointer<S>) throws(DiffeoError) {
    let gInput = try network.pullback(tape.network, gValues, adjoint.stride, adjoint.scratch, adjoint.sink)
    adjoint.addContext(gInput)
    for i in 0..<dim { addInputs(i, tape, gInput, adjoint) }
  }

  /// Of what was made column by column: `find` takes dL/dx of the sorted column i at adjoint.g + at, by then complete, to
  /// the gradient in what the column was found from, and sets that in the parameters.
  @inline(__always)
  func pullback(
    _ adjoint: inout Adjoint<S>, finding tape: Tape,
    _ find: (
      _ adjoint: Adjoint<S>, _ i: Int, _ at: Int, _ parameters: UnsafePointer<S>,
      _ gParameters: UnsafeMutablePointer<S>
    ) -> Void
  ) throws(DiffeoError) {
    let stride = adjoint.stride
    let net = try IncrementalPullback(network, tape.network, stride, adjoint.scratch)
    for i in Swift.stride(from: dim - 1, through: 0, by: -1) {
      // dL/dx_i is complete once all hidden units that see x_i, those after cut i, are.
      net.advance(known: (i + 1) * perColumn) { Int(cuts[i * hiddenLayers + $0]) }
      net.finishInputs(inputs(i), inputs(i + 1), known: (i + 1) * perColumn)
      addInputs(i, tape, net.gInput, adjoint)
      let first = i * perColumn * stride
      find(adjoint, i, Int(order[i]) * stride, tape.values + first, net.gOutput + first)
    }
    net.advance(known: 0) { _ in 0 }
    try net.finishContext(adjoint.scratch, adjoint.sink)
    adjoint.addContext(net.gInput)
  }

  @inline(__always)
  private func addInputs(_ i: Int, _ tape: Tape, _ gInput: UnsafePointer<S>, _ adjoint: Adjoint<S>) {
    let first = inputs(i) * adjoint.stride
    encoding.addPullback(
      adjoint.stride, tape.network.input + first, gInput + first, adjoint.g + Int(order[i]) * adjoint.stride)
  }
}
