/// What a training is continued from, beside the flow, the options and the rows that it was made with.
package struct TrainingState<S: Scalar> {
  /// What must be the same for the training to be the same one: options by their names in C, and fingerprints.
  package let identity: Record
  package let numbers: NumberTable
  /// Weights, best weights, the optimizer's: as many numbers each as the flow has parameters.
  package let vectors: [String: ParameterVector<S>]

  package init(identity: Record, numbers: NumberTable, vectors: [String: ParameterVector<S>]) {
    self.identity = identity
    self.numbers = numbers
    self.vectors = vectors
  }
}

extension TrainingState {
  /// Refuses a state of another training than the one with this identity.
  func check(_ own: Record, _ ownSpec: FlowSpec, storedWith spec: FlowSpec) throws(DiffeoError) {
    func refuse(_ sentence: String) -> DiffeoError {
      DiffeoError(.invalid, "the checkpoint is of another training: \(sentence)")
    }
    guard identity.kind == own.kind else { throw refuse("its kind is '\(identity.kind)'") }
    guard spec == ownSpec else { throw refuse("its flow has other layers, another base or another dtype") }
    for (name, value) in own.fields {
      guard let other = identity[name] else { throw DiffeoError(.format, "the checkpoint has no '\(name)'") }
      if other.isEqual(to: value) { continue }
      switch name {
      case "rows_fingerprint": throw refuse("the values of x, context or weights differ")
      case "validation_fingerprint": throw refuse("the values of the validation rows differ")
      case "flow_fingerprint": throw refuse("it began with other weights of the flow")
      default: throw refuse("\(name) is \(other.text) there and \(value.text) here")
      }
    }
  }

  /// All of them, or throws before the first.
  func copyVectors(to targets: [String: ParameterVector<S>]) throws(DiffeoError) {
    for (name, target) in targets where vectors[name]?.count != target.count {
      throw DiffeoError(.format, "the checkpoint has no '\(name)' of \(target.count) numbers")
    }
    for (name, target) in targets {
      if let stored = vectors[name] { target.pointer.update(from: stored.pointer, count: target.count) }
    }
  }
}

extension Record.Value {
  /// As a file gives them back: truth values as integers.
  fileprivate func isEqual(to other: Record.Value) -> Bool { text == other.text }

  fileprivate var text: String {
    switch self {
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .string(let value): value
    case .bool(let value): value ? "1" : "0"
    case .ints(let values): "\(values)"
    }
  }
}

package enum AnyTrainingState {
  case f32(TrainingState<Float>)
  case f64(TrainingState<Double>)

  static func of<S: Scalar>(_ state: TrainingState<S>) throws(DiffeoError) -> AnyTrainingState {
    if let state = state as? TrainingState<Float> { return .f32(state) }
    if let state = state as? TrainingState<Double> { return .f64(state) }
    throw DiffeoError(.internal, "a training of \(S.dtype.name)")
  }

  /// In the type of a flow that is to go on with it.
  func of<S: Scalar>(_: S.Type) throws(DiffeoError) -> TrainingState<S> {
    let (state, name): (Any, String) =
      switch self {
      case .f32(let state): (state, "float32")
      case .f64(let state): (state, "float64")
      }
    guard let state = state as? TrainingState<S> else {
      throw DiffeoError(.invalid, "the checkpoint is of a \(name) flow, this one is \(S.dtype.name)")
    }
    return state
  }
}

/// A part of a training that changes in it.
protocol Resumable {
  func save(to table: inout NumberTable)
  /// From numbers that are suspect.
  mutating func restore(from table: NumberTable) throws(DiffeoError)
}

/// Lists of numbers by name.
package struct NumberTable {
  package private(set) var lists: [String: [Double]]

  package init(_ lists: [String: [Double]] = [:]) { self.lists = lists }

  mutating func set(_ name: String, _ list: [Double]) { lists[name] = list }
  mutating func set(_ name: String, _ number: Double) { lists[name] = [number] }
  /// Exact up to 2^53.
  mutating func set(_ name: String, _ count: Int) { lists[name] = [Double(count)] }

  func list(_ name: String) throws(DiffeoError) -> [Double] {
    guard let list = lists[name] else { throw DiffeoError(.format, "the checkpoint has no numbers '\(name)'") }
    return list
  }

  func number(_ name: String) throws(DiffeoError) -> Double {
    let list = try list(name)
    guard list.count == 1 else {
      throw DiffeoError(.format, "'\(name)' of the checkpoint has \(list.count) numbers, it must have 1")
    }
    return list[0]
  }

  /// From 0 on.
  func count(_ name: String) throws(DiffeoError) -> Int {
    let number = try number(name)
    guard number >= 0, number <= 0x1p53, let count = Int(exactly: number) else {
      throw DiffeoError(.format, "'\(name)' of the checkpoint is \(number), it must be a count")
    }
    return count
  }
}
