/// A network of the context, which is trained with the rest: layers and the base read its outputs, the features, in place
/// of the context (an "embedding net" of simulation-based inference).
struct EmbeddingSpec: Equatable, Sendable {
  let network: NetworkSpec

  init(contextDim: Int, features: Int, conventions: NetworkConventions) throws(DiffeoError) {
    guard contextDim > 0 else { throw DiffeoError(.invalid, "this flow has no context that could be embedded") }
    try Limit.check("spec_set_embedding.features", features)
    network = try NetworkSpec(inputs: contextDim, outputs: features, conventions: conventions)
  }

  var features: Int { network.outputs }
}

extension EmbeddingSpec: ComponentSpec {
  static let kind = "network"

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(
      contextDim: contextDim, features: record.int("features"), conventions: NetworkConventions(record))
  }

  var record: Record {
    var record = Record(kind: Self.kind)
    record["features"] = .int(features)
    network.conventions.describe(&record)
    record["hidden"] = .ints(network.hidden)
    return record
  }

  var slots: [ParameterSlot] { network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    network.initialise(parameters, outputs: nil, &random)
  }

  var summary: String { "\(network.inputs) to \(features) features, \(network.summary)" }
}
