import KernelInterface

/// What training does to images: moves them by some places, with their borders behind them, and mirrors half of them. By the
/// seed, the epoch and the row of the data, and nothing else.
struct ImageMoves {
  private let random: RowRandom
  private let map: FeatureMap
  private let shift: Int
  private let flips: Bool

  /// nil where nothing is to be done.
  init?(_ map: FeatureMap, shift: Int, flips: Bool, seed: UInt64) {
    if shift == 0, !flips { return nil }
    random = RowRandom(seed: seed, stream: RandomStream.imageMoves)
    self.map = map
    self.shift = shift
    self.flips = flips
  }

  func apply<S: Scalar>(
    to pass: inout Pass<S>, _ order: UnsafePointer<Int32>, _ count: Int, epoch: Int
  ) throws(DiffeoError) {
    let (scratch, stride) = (pass.scratch, pass.stride)
    let mark = scratch.mark
    let (height, width, places) = (map.height, map.width, map.places)
    let image = try scratch.take(places, of: S.self)
    for r in 0..<count {
      let (u, v) = random.pair(row: order[r], epoch: epoch, number: 0)
      let (w, _) = random.pair(row: order[r], epoch: epoch, number: 1)
      let (down, right) = (distance(u), distance(v))
      let mirrored = flips && w < 0.5
      for c in 0..<map.channels {
        let at = pass.x + c * places * stride + r
        for p in 0..<places { image[p] = at[p * stride] }
        for y in 0..<height {
          let line = min(max(y - down, 0), height - 1) * width
          for x in 0..<width {
            let from = min(max(x - right, 0), width - 1)
            at[(y * width + x) * stride] = image[line + (mirrored ? width - 1 - from : from)]
          }
        }
      }
    }
    scratch.release(to: mark)
  }

  /// Of -shift...shift, each as likely.
  private func distance(_ u: Double) -> Int { min(Int(u * Double(2 * shift + 1)), 2 * shift) - shift }
}
