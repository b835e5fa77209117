import CLibrary
import Synchronization

/// What a reader has, a block of rows at a time, in the type of the flow: found fit when it is first read, and from then on
/// held to what it was then.
final class BlockFile<S: Scalar>: @unchecked Sendable {
  let role: RowsRole
  let rows: Int
  let dim: Int
  let contextDim: Int
  let isWeighted: Bool
  /// Of a block; the last one may have fewer.
  let blockRows: Int
  /// Of all values.
  private(set) var fingerprint: UInt64 = 0
  /// The standard deviation of each column of x.
  private(set) var deviations: [Double]
  private let reader: any RowReader
  private let fingerprints: UnsafeMutablePointer<UInt64>
  private let turn = Mutex<Void>(())
  private let pool = Pool()
  // The present block.
  private let x: UnsafeMutablePointer<S>
  private let context: UnsafeMutablePointer<S>
  private let weights: UnsafeMutablePointer<S>?

  /// A block in memory, row-major.
  struct Block {
    let x: UnsafePointer<S>
    let context: UnsafePointer<S>
    let weights: UnsafePointer<S>?
    let rows: Range<Int>
  }

  /// Reads all rows once.
  init(_ reader: any RowReader, _ role: RowsRole, blockRows: Int, negativeWeights: Bool) throws(DiffeoError) {
    self.reader = reader
    self.role = role
    self.blockRows = blockRows
    (rows, dim, contextDim, isWeighted) = (reader.rows, reader.dim, reader.contextDim, reader.isWeighted)
    x = try pool.take(blockRows * dim)
    context = try pool.take(blockRows * contextDim)
    weights = isWeighted ? try pool.take(blockRows) : nil
    fingerprints = try pool.take((rows + blockRows - 1) / blockRows)
    deviations = [Double](repeating: 0, count: dim)
    var all = Fingerprint()
    var moments = (0..<dim).map { _ in Moments() }
    for block in 0..<blocks {
      try fill(block)
      try check(range(block), negativeWeights: negativeWeights)
      for i in 0..<dim { moments[i].add(x + i, stride: dim, count: range(block).count) }
      fingerprints[block] = fingerprintOfBlock(range(block).count)
      all.add(fingerprints[block])
    }
    fingerprint = all.value
    deviations = moments.map(\.deviation)
  }

  var blocks: Int { (rows + blockRows - 1) / blockRows }

  func range(_ block: Int) -> Range<Int> { block * blockRows..<min((block + 1) * blockRows, rows) }

  /// Calls body with a block; one at a time.
  func read(_ block: Int, _ body: (Block) throws(DiffeoError) -> Void) throws(DiffeoError) {
    try turn.withLock { (_: inout Void) throws(DiffeoError) in
      try fill(block)
      let range = range(block)
      guard fingerprintOfBlock(range.count) == fingerprints[block] else {
        throw DiffeoError(
          .io,
          "rows \(range.lowerBound) to \(range.upperBound - 1) of \(role.name("x")) are not what they were when the training "
            + "began"
        )
      }
      try body(Block(x: x, context: context, weights: weights.map { UnsafePointer($0) }, rows: range))
    }
  }

  private func fill(_ block: Int) throws(DiffeoError) {
    try reader.read(range(block), into: RowBuffers(x, context, weights))
  }

  private func check(_ range: Range<Int>, negativeWeights: Bool) throws(DiffeoError) {
    try DataSet<S>.checkFinite(x, role.name("x"), range, dim)
    try DataSet<S>.checkFinite(context, role.name("context"), range, contextDim)
    if let weights { try DataSet<S>.checkWeights(weights, role, range, negative: negativeWeights) }
  }

  private func fingerprintOfBlock(_ count: Int) -> UInt64 {
    var fingerprint = Fingerprint()
    fingerprint.add(x, count: count * dim)
    fingerprint.add(context, count: count * contextDim)
    if let weights { fingerprint.add(weights, count: count) }
    return fingerprint.value
  }
}

/// Mean and squared distances from it, of numbers that come in pieces (Chan, Golub and LeVeque 1983).
private struct Moments {
  private var count = 0.0
  private var mean = 0.0
  private var squares = 0.0

  var deviation: Double { count > 0 ? (squares / count).squareRoot() : 0 }

  mutating func add<S: Scalar>(_ values: UnsafePointer<S>, stride: Int, count: Int) {
    var (sum, squares) = (0.0, 0.0)
    for r in 0..<count { sum += Double(values[r * stride]) }
    let mean = sum / Double(count)
    for r in 0..<count { squares += (Double(values[r * stride]) - mean) * (Double(values[r * stride]) - mean) }
    let all = self.count + Double(count)
    let distance = mean - self.mean
    self.squares += squares + distance * distance * self.count * Double(count) / all
    self.mean += distance * Double(count) / all
    self.count = all
  }
}
