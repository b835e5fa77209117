/// What a training without data has in the place of rows: so many draws an epoch, which the objective makes itself.
final class Draws<S: Scalar>: RowSource {
  let count: Int

  init(count: Int) { self.count = count }

  var judged: Int { 0 }
  var effectiveCount: Double { Double(count) }
  var fingerprint: UInt64 { 0 }

  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?) { (self, nil) }
  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S> { self }
  func begin(epoch: Int) {}

  func load(_ range: Range<Int>, _ pass: inout Pass<S>) throws(DiffeoError) {
    throw DiffeoError(.internal, "draws are made by the objective")
  }

  func number(of row: Int) -> Int { row }
  func name(of row: Int) -> String { "draw \(row)" }
}
