import KernelInterface

/// The parameters of a component that has no other inputs than the context: vectors that are trained, or, amortised, the
/// outputs of a dense network of the context, row by row (Rezende and Mohamed 2015, section 4.2).
package struct ContextualParametersSpec: Equatable, Sendable {
  struct Vector: Equatable, Sendable {
    let name: String
    let shape: [Int]
    var count: Int { shape.reduce(1, *) }
  }

  let vectors: [Vector]
  /// nil: the vectors themselves are trained.
  let network: NetworkSpec?

  /// conditioner: of the network; nil for vectors, which a flow with a context may have, too.
  init(_ vectors: [Vector], contextDim: Int, conditioner: NetworkConventions?) throws(DiffeoError) {
    self.vectors = vectors
    guard let conditioner else {
      network = nil
      return
    }
    guard contextDim > 0 else {
      throw DiffeoError(.invalid, "this flow has no context for parameters to depend on")
    }
    network = try NetworkSpec(
      inputs: contextDim, outputs: vectors.reduce(0) { $0 + $1.count }, conventions: conditioner)
  }

  /// A record with a list `hidden` speaks of a network.
  static func conditioner(_ record: Record) throws(DiffeoError) -> NetworkConventions? {
    record["hidden"] == nil ? nil : try NetworkConventions(record)
  }

  func describe(_ record: inout Record) {
    guard let network else { return }
    network.conventions.describe(&record)
    record["hidden"] = .ints(network.hidden)
  }

  var count: Int { vectors.reduce(0) { $0 + $1.count } }

  var slots: [ParameterSlot] {
    network?.slots ?? vectors.map { ParameterSlot($0.name, $0.shape, .vector) }
  }

  /// `values`, one vector after the other: what the parameters begin with, for every context nearly so.
  func initialise<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, _ random: inout Philox, values: [Double]
  ) {
    if let network {
      network.initialise(parameters, outputs: values, &random)
    } else {
      for (i, value) in values.prefix(count).enumerated() { parameters[i] = S(value) }
    }
  }

  /// "", or for the summary of a component.
  var summary: String { network.map { "of the context, \($0.summary)" } ?? "" }
}

struct ContextualParameters<S: Scalar>: BitwiseCopyable {
  let count: Int
  private let network: Network<S>?
  /// Where the network's tile has to end.
  private let padded: Int
  private let contextDim: Int
  // Without a network: the vectors, in the flow's parameters and as prepared, and their places among the slots.
  private let offset: Int
  private let slot: Int
  private let values: UnsafeMutablePointer<S>
  private let vectorCount: Int
  private let sizes: UnsafePointer<Int32>

  init(_ spec: ContextualParametersSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    count = spec.count
    padded = PackedMatrix<S>.padded(spec.count)
    self.offset = offset
    self.slot = slot
    contextDim = spec.network?.inputs ?? 0
    values = try pool.take(spec.network == nil ? count : 0)
    vectorCount = spec.vectors.count
    sizes = try pool.copy(spec.vectors.map { Int32($0.count) })
    if let networkSpec = spec.network {
      network = try Network(networkSpec, offset: offset, slot: slot, pool: pool)
    } else {
      network = nil
    }
  }

  var denseLayers: [DenseLayer<S>] { network?.denseLayers ?? [] }

  /// Whether they are the same for all rows.
  var areShared: Bool { network == nil }

  /// Whether anything would come of their pullback.
  func wantGradient(_ adjoint: Adjoint<S>) -> Bool { network != nil || adjoint.sink != nil }

  func prepare(_ parameters: UnsafePointer<S>) {
    if let network {
      network.prepare(parameters)
    } else {
      values.update(from: parameters + offset, count: count)
    }
  }

  struct Tape: BitwiseCopyable {
    /// [count][stride]
    let values: UnsafeMutablePointer<S>
    fileprivate let network: Network<S>.Tape?
  }

  /// The parameters of each row of a pass, [count][stride], in scratch memory.
  func evaluate(_ pass: Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    if let network {
      let (output, tape) = try network.forward(
        UnsafePointer(pass.context), stride, scratch, recording: pass.recording, pass.dropout)
      return Tape(values: output, network: tape)
    }
    let tile = try scratch.take(count * stride, of: S.self)
    for i in 0..<count { (tile + i * stride).update(repeating: values[i], count: stride) }
    return Tape(values: tile, network: nil)
  }

  /// For the gradient in the parameters, row by row: [count][stride] and what the kernels want behind it.
  func newGradient(_ adjoint: Adjoint<S>) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    try adjoint.scratch.take(padded * adjoint.stride)
  }

  /// g: dL/dparameters. Adds to the gradient in the context.
  func pullback(_ adjoint: Adjoint<S>, _ tape: Tape, _ g: UnsafePointer<S>) throws(DiffeoError) {
    let stride = adjoint.stride
    if let network {
      guard let tape = tape.network else { throw DiffeoError(.internal, "a network has left no tape") }
      adjoint.addContext(try network.pullback(tape, g, stride, adjoint.scratch, adjoint.sink))
    } else if let sink = adjoint.sink {
      var first = 0
      for i in 0..<vectorCount {
        let size = Int(sizes[i])
        sink.sum(slot + i, g + first * stride, size, stride)
        first += size
      }
    }
  }
}
