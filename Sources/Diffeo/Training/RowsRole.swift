/// What rows are for, in messages.
enum RowsRole {
  case training
  case validation

  /// Of x, the context or the weights.
  func name(_ part: String) -> String {
    switch self {
    case .training: part
    case .validation: "the validation's \(part)"
    }
  }
}
