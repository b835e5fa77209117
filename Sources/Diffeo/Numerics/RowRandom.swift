/// Uniform numbers that depend on the seed, the epoch, a row of the data and a number, and on nothing else.
struct RowRandom {
  private let key: (UInt32, UInt32)
  private let stream: UInt32

  /// stream: of RandomStream.
  init(seed: UInt64, stream: UInt64) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.stream = UInt32(truncatingIfNeeded: stream >> 32)
  }

  /// For everything that is not an epoch of training: statistics and validation, which so can be compared over epochs.
  static let noEpoch = Int(UInt32.max)

  /// Both in (0, 1).
  @inline(__always)
  func pair(row: Int32, epoch: Int, number: Int) -> (Double, Double) {
    let words = Philox.block(
      (
        UInt32(bitPattern: row), UInt32(truncatingIfNeeded: epoch), UInt32(truncatingIfNeeded: number), stream
      ), key)
    return (uniform(words.0), uniform(words.1))
  }

  private func uniform(_ word: UInt32) -> Double { Double(word) * 0x1p-32 + 0x1p-33 }
}
