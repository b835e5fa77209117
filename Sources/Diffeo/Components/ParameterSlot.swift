/// A named array inside a flow's flat parameter vector, row-major.
package struct ParameterSlot: Equatable, Sendable {
  package enum Role: Equatable, Sendable {
    /// Trained, with weight decay.
    case weight
    /// Trained, without weight decay.
    case vector
    /// Stored with the flow, not trained.
    case constant
  }
  /// Within its component, as in the weight file: "network/0/weight".
  package let name: String
  package let shape: [Int]
  package let role: Role
  /// Of its first value in the vector of the flow.
  package var offset = 0

  package var count: Int { shape.reduce(1, *) }

  package init(_ name: String, _ shape: [Int], _ role: Role) {
    self.name = name
    self.shape = shape
    self.role = role
  }
}
