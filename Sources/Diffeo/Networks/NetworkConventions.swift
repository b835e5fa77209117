import KernelInterface

/// What is to be said of a network but for its sizes at both ends.
package struct NetworkConventions: Equatable, Sendable {
  package var hidden: [Int]
  package var activation: Activation
  package var blocks = NetworkBlocks.plain
  package var contextMode = ContextMode.input
  /// Blocks with preactivation scale and shift each unit before the first activation: batch normalisation as it is once
  /// training is over.
  package var normalized = false
  /// Above 0: what is activated is normalised over the units of its layer first, with this added to their variance, and
  /// then scaled and shifted unit by unit (Ba, Kiros and Hinton 2016).
  package var layerNormEpsilon = 0.0
  /// In training, the probability with which a hidden unit is left out; in blocks those between the two matrices are.
  package var dropout = 0.0

  package init(hidden: [Int], activation: Activation) {
    self.hidden = hidden
    self.activation = activation
  }

  init(_ record: Record) throws(DiffeoError) {
    hidden = try record.ints("hidden")
    activation = try Activation.names.choice(record, "activation")
    if record["blocks"] != nil { blocks = try NetworkBlocks.names.choice(record, "blocks") }
    if record["context_mode"] != nil { contextMode = try ContextMode.names.choice(record, "context_mode") }
    if record["normalized"] != nil { normalized = try record.bool("normalized") }
    if record["layer_norm_epsilon"] != nil { layerNormEpsilon = try record.double("layer_norm_epsilon") }
    if record["dropout"] != nil { dropout = try record.double("dropout") }
  }

  /// Without the list `hidden`.
  func describe(_ record: inout Record) {
    record["activation"] = .string(activation.name)
    if blocks != .plain { record["blocks"] = .string(blocks.name) }
    if contextMode != .input { record["context_mode"] = .string(contextMode.name) }
    if normalized { record["normalized"] = .bool(true) }
    if layerNormEpsilon > 0 { record["layer_norm_epsilon"] = .double(layerNormEpsilon) }
    if dropout > 0 { record["dropout"] = .double(dropout) }
  }

  /// columns, context: what the network has to read of each.
  func check(columns: Int, context: Int) throws(DiffeoError) {
    guard blocks == .plain || !hidden.isEmpty else {
      throw DiffeoError(.invalid, "blocks is '\(blocks.name)', which needs a hidden layer, and there is none")
    }
    guard !normalized || blocks == .preactivation else {
      throw DiffeoError(.invalid, "normalized is for the blocks 'preactivation', these are '\(blocks.name)'")
    }
    guard !normalized || layerNormEpsilon == 0 else {
      throw DiffeoError(
        .invalid, "layer_norm_epsilon is \(layerNormEpsilon), and normalized is set: one of them, at most")
    }
    try Limit.check("network.layer_norm_epsilon", layerNormEpsilon)
    try Limit.check("network.dropout", dropout)
    if contextMode == .input { return }
    guard context > 0 else {
      throw DiffeoError(
        .invalid, "context_mode is '\(contextMode.name)', but this network reads no context beside other inputs")
    }
    guard contextMode == .shift || blocks != .plain else {
      throw DiffeoError(
        .invalid, "context_mode is '\(contextMode.name)', which is for residual blocks, and the blocks are 'plain'")
    }
    guard contextMode != .shift || !hidden.isEmpty else {
      throw DiffeoError(.invalid, "context_mode is 'shift', which needs a hidden layer, and there is none")
    }
    guard contextMode != .shift || columns > 0 else {
      throw DiffeoError(.invalid, "context_mode is 'shift', but there are no columns that the first layer could read")
    }
  }

  /// Whether hidden layer i is the units of the one before, which go on without a matrix between them.
  func continues(_ i: Int) -> Bool { blocks != .plain && i > 0 && hidden[i] == hidden[i - 1] }

  var summary: String {
    var words =
      hidden.isEmpty ? "linear" : "hidden \(hidden.map(String.init).joined(separator: " x ")) \(activation.name)"
    switch blocks {
    case .plain: break
    case .residual: words += ", residual blocks"
    case .preactivation: words += ", residual blocks with \(normalized ? "normalized " : "")preactivation"
    }
    if layerNormEpsilon > 0 { words += ", layer normalization" }
    switch contextMode {
    case .input: break
    case .gate: words += ", gated by the context"
    case .shift: words += ", shifted by the context"
    case .add: words += ", with the context in each block"
    }
    if dropout > 0 { words += ", dropout \(dropout)" }
    return words
  }
}

/// What a network is made of; raw values are those of the C header.
package enum NetworkBlocks: Int32, Sendable {
  /// An activation after every hidden layer.
  case plain = 1
  /// A linear map into each hidden layer, h += W_outer act(W_inner h + b) + b in it, and nothing but this is activated.
  case residual
  /// Likewise, h += W_outer act(W_inner act(h) + b) + b (He, Zhang, Ren and Sun 2016, "Identity mappings").
  case preactivation

  static let names = Names<NetworkBlocks>([
    (.plain, "plain"), (.residual, "residual"), (.preactivation, "preactivation"),
  ])
  var name: String { NetworkBlocks.names.name(self) }
}

/// How a network learns of the context; raw values are those of the C header.
package enum ContextMode: Int32, Sendable {
  /// Among its inputs.
  case input = 1
  /// So, and what a block adds is multiplied by the sigmoid of a linear map of the context.
  case gate
  /// Not so: act(W c + b) is added to hidden layer 0 before anything else, and W c within each block, before the
  /// activation between its two matrices.
  case shift
  /// Among its inputs, and W c is added within each block in the same way.
  case add

  static let names = Names<ContextMode>([(.input, "input"), (.gate, "gate"), (.shift, "shift"), (.add, "add")])
  var shiftsBlocks: Bool { self == .shift || self == .add }
  var name: String { ContextMode.names.name(self) }
}
