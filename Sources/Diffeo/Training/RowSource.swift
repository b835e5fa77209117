/// Where a training has its rows from: so many of them, in an order that may be another in each epoch. Used by one thread
/// at a time, but for `load`.
protocol RowSource<S>: AnyObject {
  associatedtype S: Scalar

  var count: Int { get }

  /// Of how many rows the worst thousandth is told apart.
  var judged: Int { get }

  /// Whether the order of an epoch depends on the memory that there is for rows.
  var hasWindows: Bool { get }

  /// (sum of weights)^2 / sum of their squares (Kish 1965).
  var effectiveCount: Double { get }

  /// Of all values, in their own order.
  var fingerprint: UInt64 { get }

  /// The rows to train on, in no epoch yet, and some that are held out.
  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?)

  /// Each step-th row.
  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S>

  /// The order of an epoch, which depends on its number and on nothing before it.
  func begin(epoch: Int)

  /// The rows of the present order, cut so that those of a piece may be loaded in any order; pieces follow one another. Rows
  /// of a minibatch are loaded `Tiling.minibatchRows` at a time, wherever these cuts are.
  var stretches: [Range<Int>] { get }

  /// Rows may be fetched before they are loaded, until they may no longer.
  func readAhead(_ goesOn: Bool)

  /// Fills in a tile, x and context, and weights where there are any, whose mean over all rows is 1, with rows of the
  /// present order.
  func load(_ range: Range<Int>, _ pass: inout Pass<S>) throws(DiffeoError)

  /// What the caller knows a row of the present order by, and in words.
  func number(of row: Int) -> Int
  func name(of row: Int) -> String
}

/// As it is for rows in memory.
extension RowSource {
  var judged: Int { count }
  var hasWindows: Bool { false }
  var stretches: [Range<Int>] { [0..<count] }
  func readAhead(_ goesOn: Bool) {}
}

/// What a training does with its rows.
struct RowSettings {
  /// Of the split, the orders and the noise.
  let seed: UInt64
  /// Whether whole numbers have noise.
  let dequantizes: Bool
  /// Added in training, in standard deviations of each column.
  let noise: Double
  let moves: ImageMoves?
  let negativeWeights: Bool
}
