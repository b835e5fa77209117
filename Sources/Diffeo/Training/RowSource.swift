/// Where a training has its rows from: so many of them, in an order that may be another in each epoch. Used by one thread
/// at a time, but for `load`.
protocol RowSource<S>: AnyObject {
  associatedtype S: Scalar

  var count: Int { get }

  /// (sum of weights)^2 / sum of their squares (Kish 1965).
  var effectiveCount: Double { get }

  /// The rows to train on, in no epoch yet, and some that are held out.
  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?)

  /// Each step-th row.
  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S>

  /// The order of an epoch, which depends on its number and on nothing before it.
  func begin(epoch: Int)

  /// Fills in a tile, x and context, and weights where there are any, whose mean over all rows is 1, with rows of the
  /// present order.
  func load(_ range: Range<Int>, _ pass: inout Pass<S>) throws(DiffeoError)

  /// What the caller knows a row of the present order by, and in words.
  func number(of row: Int) -> Int
  func name(of row: Int) -> String
}
