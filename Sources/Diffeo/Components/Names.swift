/// Choices by the names that they have in records.
struct Names<Choice: Equatable & Sendable>: Sendable {
  private let list: [(choice: Choice, name: String)]
  init(_ list: [(choice: Choice, name: String)]) { self.list = list }

  func name(_ choice: Choice) -> String { list.first { $0.choice == choice }?.name ?? "?" }

  func choice(_ record: Record, _ field: String) throws(DiffeoError) -> Choice {
    let name = try record.string(field)
    guard let match = list.first(where: { $0.name == name }) else { throw DiffeoError.unknown(field, name) }
    return match.choice
  }
}
