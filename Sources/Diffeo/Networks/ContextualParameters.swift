import KernelInterface

/// Parameters of a layer or a distribution, as named vectors, that are either trained themselves, or functions of the
/// context: then a dense network gives all of them, one vector after the other.
struct ContextualParametersSpec: Equatable, Sendable {
  struct Vector: Equatable, Sendable {
    let name: String
    let count: Int
    init(_ name: String, _ count: Int) {
      self.name = name
      self.count = count
    }
  }

  let vectors: [Vector]
  /// nil: they do not depend on the context.
  let network: NetworkSpec?

  /// A network if there is a context.
  init(_ vectors: [Vector], contextDim: Int, hidden: [Int], activation: Activation) throws(DiffeoError) {
    self.vectors = vectors
    let count = vectors.reduce(0) { $0 + $1.count }
    network =
      contextDim == 0
      ? nil : try NetworkSpec(inputs: contextDim, hidden: hidden, outputs: count, activation: activation)
  }

  /// A network if the record has its conventions: a flow with a context may have parts that do not look at it.
  init(_ vectors: [Vector], _ record: Record, contextDim: Int) throws(DiffeoError) {
    if contextDim == 0 || (record["hidden"] == nil && record["activation"] == nil) {
      try self.init(vectors, contextDim: 0, hidden: [], activation: .relu)
    } else {
      try self.init(
        vectors, contextDim: contextDim, hidden: record.ints("hidden"),
        activation: Activation(name: record.string("activation")))
    }
  }

  func describe(_ record: inout Record) {
    guard let network else { return }
    record["activation"] = .string(network.activation.name)
    record["hidden"] = .ints(network.hidden)
  }

  var count: Int { vectors.reduce(0) { $0 + $1.count } }

  var slots: [ParameterSlot] {
    network?.slots ?? vectors.map { ParameterSlot($0.name, [$0.count], .vector) }
  }

  /// The vectors begin with `initial`; from a network up to the small weights of its outputs.
  func initialise<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, initial: [Double], _ random: inout Philox
  ) {
    var target = parameters
    if let network {
      network.initialise(parameters, &random)
      target += network.slots.reduce(0) { $0 + $1.count } - network.outputs
    }
    for (i, value) in initial.prefix(count).enumerated() { target[i] = S(value) }
  }

  var summary: String { network.map { "of the context, \($0.summary)" } ?? "" }
}

/// The same prepared for the kernels.
struct ContextualParameters<S: Scalar>: BitwiseCopyable {
  let count: Int
  private let network: Network<S>?
  private let offset: Int
  private let slot: Int
  /// Where there is no network: the sizes of the vectors, and their values.
  private let sizes: UnsafePointer<Int>
  private let vectorCount: Int
  private let values: UnsafeMutablePointer<S>

  init(_ spec: ContextualParametersSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    count = spec.count
    self.offset = offset
    self.slot = slot
    if let spec = spec.network {
      network = try Network(spec, offset: offset, slot: slot, pool: pool)
    } else {
      network = nil
    }
    sizes = try pool.copy(spec.vectors.map(\.count))
    vectorCount = spec.vectors.count
    values = try pool.take(spec.count)
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    if let network {
      network.prepare(parameters)
    } else {
      values.update(from: parameters + offset, count: count)
    }
  }

  var denseLayers: [DenseLayer<S>] { network?.denseLayers ?? [] }

  struct Tape: BitwiseCopyable {
    /// [count][stride], a row of the tile for each parameter.
    let values: UnsafeMutablePointer<S>
    fileprivate let network: Network<S>.Tape?
  }

  /// The parameters for each row of a tile, in scratch memory.
  func evaluate(_ pass: Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    if let network {
      let (output, tape) = try network.forward(pass.context, stride, scratch, recording: pass.recording)
      return Tape(values: output, network: tape)
    }
    let tile = try scratch.take(count * stride, of: S.self)
    for i in 0..<count { (tile + i * stride).update(repeating: values[i], count: stride) }
    return Tape(values: tile, network: nil)
  }

  /// g: [count][stride], dL/dparameters. Adds to the gradient in the context.
  func pullback(_ adjoint: Adjoint<S>, _ tape: Tape, _ g: UnsafePointer<S>) throws(DiffeoError) {
    if let network, let tape = tape.network {
      let mark = adjoint.scratch.mark
      adjoint.addContext(try network.pullback(tape, g, adjoint.stride, adjoint.scratch, adjoint.sink))
      adjoint.scratch.release(to: mark)
      return
    }
    guard let sink = adjoint.sink else { return }
    var g = g
    for i in 0..<vectorCount {
      sink.sum(slot + i, g, sizes[i], adjoint.stride)
      g += sizes[i] * adjoint.stride
    }
  }
}
