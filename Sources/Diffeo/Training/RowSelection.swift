/// Which of the rows 0..<total somebody has: all, those held out, or those that are not, and of these each step-th. Found
/// from the numbers alone, whatever the blocks are that the rows are read in.
///
/// Of every 64 rows in turn as many are held out as keep their share, drawn with the seed: so each part of the data, which
/// may be sorted, has its share.
struct RowSelection {
  private enum Part { case all, train, held }
  private let total: Int
  private let held: Int
  private let seed: UInt64
  private let part: Part
  private let step: Int

  init(total: Int) { self.init(total, held: 0, seed: 0, .all, step: 1) }

  private init(_ total: Int, held: Int, seed: UInt64, _ part: Part, step: Int) {
    (self.total, self.held, self.seed, self.part, self.step) = (total, held, seed, part, step)
  }

  /// Of all.
  func split(held: Int, seed: UInt64) -> (train: RowSelection, held: RowSelection) {
    (
      RowSelection(total, held: held, seed: seed, .train, step: 1),
      RowSelection(total, held: held, seed: seed, .held, step: 1)
    )
  }

  func every(_ step: Int) -> RowSelection { RowSelection(total, held: held, seed: seed, part, step: self.step * step) }

  var count: Int { count(before: total) }

  /// Selected rows among 0..<row.
  func count(before row: Int) -> Int { (countOfPart(before: row) + step - 1) / step }

  /// Calls body with each selected row of a range.
  func forEach(in range: Range<Int>, _ body: (Int) -> Void) {
    var rank = countOfPart(before: range.lowerBound)
    var mask: UInt64 = part == .all ? .max : 0
    for row in range {
      if part != .all, row == range.lowerBound || row % 64 == 0 { mask = self.mask(row / 64) }
      guard mask >> UInt64(row % 64) & 1 == 1 else { continue }
      if rank % step == 0 { body(row) }
      rank += 1
    }
  }

  private func countOfPart(before row: Int) -> Int {
    if part == .all { return row }
    let (full, rest) = (row / 64 * 64, row % 64)
    var count = heldCount(before: full)
    if part == .train { count = full - count }
    return rest == 0 ? count : count + (mask(row / 64) & (1 << UInt64(rest) - 1)).nonzeroBitCount
  }

  /// At a multiple of 64, and at the end.
  private func heldCount(before row: Int) -> Int { row * held / total }

  /// The selected ones of 64 rows.
  private func mask(_ number: Int) -> UInt64 {
    let first = number * 64
    let count = min(64, total - first)
    var random = Philox(seed: seed, stream: RandomStream.split + UInt64(number))
    var mask: UInt64 = 0
    // Floyd's algorithm (Bentley 1987).
    for last in count - (heldCount(before: first + count) - heldCount(before: first))..<count {
      let drawn = UInt64(1) << UInt64(random.integer(below: last + 1))
      mask |= mask & drawn == 0 ? drawn : 1 << UInt64(last)
    }
    return part == .held ? mask : ~mask & (count == 64 ? .max : 1 << UInt64(count) - 1)
  }
}
