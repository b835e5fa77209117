/// A component of a flow (a layer, the base, the context map) as plain data: its kind, every convention by name, and
/// the index lists it is made with. The weight file stores records and `describe` prints them; parameters are not in
/// them but in the flow's vector, found by `ParameterSlot`.
package struct Record: Equatable, Sendable {
  package enum Value: Equatable, Sendable {
    case int(Int)
    case double(Double)
    case string(String)
    case bool(Bool)
    case ints([Int])
  }

  package var kind: String
  /// In the order in which they were set.
  package private(set) var fields: [(name: String, value: Value)] = []

  package init(kind: String) { self.kind = kind }

  package subscript(name: String) -> Value? {
    get { fields.first { $0.name == name }?.value }
    set {
      fields.removeAll { $0.name == name }
      if let newValue { fields.append((name, newValue)) }
    }
  }

  package static func == (a: Record, b: Record) -> Bool {
    a.kind == b.kind && a.fields.count == b.fields.count
      && a.fields.allSatisfy { b[$0.name] == $0.value }
  }
}

extension Record {
  private func missing(_ name: String, _ type: String) -> DiffeoError {
    DiffeoError(.format, "a component of kind '\(kind)' needs the \(type) '\(name)'")
  }
  package func int(_ name: String) throws(DiffeoError) -> Int {
    guard case .int(let value)? = self[name] else { throw missing(name, "integer") }
    return value
  }
  package func double(_ name: String) throws(DiffeoError) -> Double {
    switch self[name] {
    case .double(let value)?: return value
    case .int(let value)?: return Double(value)
    default: throw missing(name, "number")
    }
  }
  package func string(_ name: String) throws(DiffeoError) -> String {
    guard case .string(let value)? = self[name] else { throw missing(name, "string") }
    return value
  }
  package func bool(_ name: String) throws(DiffeoError) -> Bool {
    switch self[name] {
    case .bool(let value)?: return value
    case .int(let value)? where value == 0 || value == 1: return value == 1
    default: throw missing(name, "truth value")
    }
  }
  package func ints(_ name: String) throws(DiffeoError) -> [Int] {
    guard case .ints(let value)? = self[name] else { throw missing(name, "list of integers") }
    return value
  }
}
