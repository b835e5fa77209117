import KernelInterface

/// How a batch is cut into tiles.
enum Tiling {
  /// Rows of a full tile of vectors where sums over its rows show in the results: the same for all kernels. A tile's
  /// activations stay in the second-level cache.
  static let vectorRows = 64
  /// Of images, in all cases: their places are lanes as well. A whole vector of single precision everywhere.
  static let imageRows = 16
  /// Rows of a minibatch that are worked on at once: a longer one is taken in pieces. Batch normalisation goes by a piece,
  /// so the header has the number, too (DIFFEO_BATCH_NORM_ROWS).
  static let minibatchRows = 512

  static func count(_ rows: Int, tileRows: Int) -> Int { (rows + tileRows - 1) / tileRows }

  static func range(_ tile: Int, _ rows: Int, tileRows: Int) -> Range<Int> {
    tile * tileRows..<min((tile + 1) * tileRows, rows)
  }

  /// With few rows the kernels take outputs as lanes, with more they take rows as lanes, and want whole vectors: one that
  /// is filled by a third is faster already, two of which the second is nearly empty are not.
  static func stride<S: Scalar>(_ rows: Int, _: S.Type) -> Int {
    let lanes = S.kernels.lanes
    return rows < 5 || (rows < 12 && rows > lanes) ? rows : (rows + lanes - 1) / lanes * lanes
  }

  /// So many numbers that the kernels, which have a slower way for what is left over, find nothing left over.
  @inline(__always)
  static func wholeVectors<S: Scalar>(_ count: Int, _: S.Type) -> Int {
    let lanes = S.kernels.lanes
    return (count + lanes - 1) / lanes * lanes
  }

  /// Row-major to tile, converting; padding rows are zeros.
  @inline(__always)
  static func load<T: Scalar, S: Scalar>(
    _ source: UnsafePointer<T>, _ rows: Int, _ features: Int, _ tile: UnsafeMutablePointer<S>,
    _ stride: Int
  ) {
    for i in 0..<features {
      let target = tile + i * stride
      for r in 0..<rows { target[r] = S(source[r * features + i]) }
      for r in rows..<stride { target[r] = 0 }
    }
  }

  /// One row for all.
  @inline(__always)
  static func spread<T: Scalar, S: Scalar>(
    _ source: UnsafePointer<T>, _ features: Int, _ tile: UnsafeMutablePointer<S>, _ stride: Int
  ) {
    for i in 0..<features { (tile + i * stride).update(repeating: S(source[i]), count: stride) }
  }

  /// One feature of a tile. A single number without the call that a block of memory takes.
  @inline(__always)
  static func copy<S: Scalar>(_ stride: Int, _ from: UnsafePointer<S>, _ to: UnsafeMutablePointer<S>) {
    if stride == 1 { to.pointee = from.pointee } else { to.update(from: from, count: stride) }
  }

  /// Tile to row-major, converting.
  @inline(__always)
  static func store<S: Scalar, T: Scalar>(
    _ tile: UnsafePointer<S>, _ stride: Int, _ target: UnsafeMutablePointer<T>, _ rows: Int,
    _ features: Int
  ) {
    for r in 0..<rows {
      for i in 0..<features { target[r * features + i] = T(tile[i * stride + r]) }
    }
  }
}
