/// What training adds to whole numbers (see Dequantize): uniform numbers, of each row and column their own in each epoch.
struct DequantizationNoise {
  private let random: RowRandom

  init(seed: UInt64) { random = RowRandom(seed: seed, stream: RandomStream.dequantization) }

  /// Fills pass.noise for the rows that `order` names.
  func fill<S: Scalar>(_ pass: inout Pass<S>, _ order: UnsafePointer<Int32>, _ count: Int, epoch: Int)
    throws(DiffeoError)
  {
    let (dim, stride) = (pass.dim, pass.stride)
    let noise = try pass.scratch.take(dim * stride, of: S.self)
    noise.update(repeating: 0, count: dim * stride)
    for r in 0..<count {
      for i in Swift.stride(from: 0, to: dim, by: 2) {
        let (u, v) = random.pair(row: order[r], epoch: epoch, number: i / 2)
        noise[i * stride + r] = below1(u)
        if i + 1 < dim { noise[(i + 1) * stride + r] = below1(v) }
      }
    }
    pass.noise = UnsafePointer(noise)
  }

  /// Rounding to S must not leave (0, 1).
  private func below1<S: Scalar>(_ value: Double) -> S { min(S(value), S(1).nextDown) }
}
