import KernelInterface

/// How a layer that mixes the channels of a map, place by place, goes through a tile: the lanes in pieces, each as
/// [channels][width] with room for whole panels.
struct ChannelWalk<S: Scalar>: BitwiseCopyable {
  let tile: MapTile
  let chunks: LaneChunks
  /// Numbers of a piece's buffer.
  let size: Int
  /// Of a tile that is one piece: the layer reads and writes the tile itself.
  private let isWhole: Bool
  private let before: UnsafeMutablePointer<S>
  private let after: UnsafeMutablePointer<S>

  init(_ map: FeatureMap, _ stride: Int, _ scratch: Scratch) throws(DiffeoError) {
    tile = MapTile(map, stride)
    chunks = LaneChunks(places: map.places, stride: stride, S.self)
    size = PackedMatrix<S>.padded(map.channels) * chunks.width
    isWhole = map.places == 1
    before = try scratch.take(isWhole ? 0 : size)
    after = try scratch.take(isWhole ? 0 : size)
  }

  /// Calls body(piece, x, y) for each piece, to make the new values y from x.
  @inline(__always)
  func replace(
    _ pass: inout Pass<S>, _ body: (Int, UnsafePointer<S>, UnsafeMutablePointer<S>) -> Void
  ) throws(DiffeoError) {
    let count = pass.count
    try pass.replace { x, y in
      tile.copyOthers(x, y, of: count)
      if isWhole { return body(0, x + tile.offset, y + tile.offset) }
      for i in 0..<chunks.count {
        chunks.load(i, tile.channels, x + tile.offset, before)
        body(i, before, after)
        chunks.store(i, tile.channels, after, y + tile.offset)
      }
    }
  }

  /// The same with gradients, in place. In a tile that is one piece x and y are the same.
  @inline(__always)
  func replace(
    _ adjoint: Adjoint<S>, _ body: (Int, UnsafePointer<S>, UnsafeMutablePointer<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let g = adjoint.g + tile.offset
    if isWhole { return try body(0, g, g) }
    for i in 0..<chunks.count {
      chunks.load(i, tile.channels, g, before)
      try body(i, before, after)
      chunks.store(i, tile.channels, after, g)
    }
  }
}
