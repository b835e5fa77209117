/// What training adds to whole numbers (see Dequantize): uniform numbers that depend on the seed, the epoch, the row of
/// the data and the column, and on nothing else.
struct DequantizationNoise {
  private let key: (UInt32, UInt32)

  init(seed: UInt64) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  }

  /// For everything that is not an epoch of training: statistics and validation, which so can be compared over epochs.
  static let noEpoch = Int(UInt32.max)

  /// Fills pass.noise for the rows that `order` names.
  func fill<S: Scalar>(_ pass: inout Pass<S>, _ order: UnsafePointer<Int32>, _ count: Int, epoch: Int)
    throws(DiffeoError)
  {
    let (dim, stride) = (pass.dim, pass.stride)
    let noise = try pass.scratch.take(dim * stride, of: S.self)
    noise.update(repeating: 0, count: dim * stride)
    for r in 0..<count {
      for i in Swift.stride(from: 0, to: dim, by: 2) {
        let words = Philox.block(
          (
            UInt32(bitPattern: order[r]), UInt32(truncatingIfNeeded: epoch), UInt32(truncatingIfNeeded: i / 2),
            UInt32(truncatingIfNeeded: RandomStream.dequantization >> 32)
          ), key)
        noise[i * stride + r] = uniform(words.0)
        if i + 1 < dim { noise[(i + 1) * stride + r] = uniform(words.1) }
      }
    }
    pass.noise = UnsafePointer(noise)
  }

  /// In (0, 1), which rounding to S must not leave.
  private func uniform<S: Scalar>(_ word: UInt32) -> S {
    min(S(Double(word) * 0x1p-32 + 0x1p-33), S(1).nextDown)
  }
}
