import KernelInterface

/// Some columns of a row, read as a stack of images: channel c, line y and place x is column
/// start + (c * height + y) * width + x. A row that is no image is a map of one place, whose channels are its columns: so
/// layers that work by channel work by column there.
package struct FeatureMap: Equatable, Sendable, BitwiseCopyable {
  let start: Int
  package let channels: Int
  package let height: Int
  package let width: Int

  /// Of a channel.
  var places: Int { height * width }
  /// Columns.
  var count: Int { channels * places }
  var columns: Range<Int> { start..<start + count }
  package var shape: [Int] { [channels, height, width] }

  /// All columns of a row that is no image.
  init(columns: Int) { self.init(start: 0, channels: columns, height: 1, width: 1) }

  init(start: Int = 0, channels: Int, height: Int, width: Int) {
    self.start = start
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// Of a layer, every value of whose record is suspect; the whole row where it does not say.
  init(_ record: Record, dim: Int) throws(DiffeoError) {
    guard record["shape"] != nil else {
      self.init(columns: dim)
      return
    }
    let shape = try record.ints("shape")
    let start = try record["start"] == nil ? 0 : record.int("start")
    guard shape.count == 3, shape.allSatisfy({ 1...dim ~= $0 }), shape[0] * shape[1] <= dim,
      start >= 0, start <= dim - shape[0] * shape[1] * shape[2]
    else {
      throw DiffeoError(
        .format, "a map of shape \(shape) from column \(start) on is not within the \(dim) columns of the flow")
    }
    self.init(start: start, channels: shape[0], height: shape[1], width: shape[2])
  }

  func describe(_ record: inout Record, dim: Int) {
    if self == FeatureMap(columns: dim) { return }
    record["shape"] = .ints(shape)
    if start > 0 { record["start"] = .int(start) }
  }

  /// ", by channel of 12 x 8 x 8", or nothing for a row that is no image.
  var summary: String {
    places == 1 && start == 0
      ? "" : ", of \(channels) x \(height) x \(width)" + (start > 0 ? " from column \(start)" : "")
  }
}

/// A map in tiles: [channels][places][stride], from `offset` on. Its *lanes* are its places times the rows of the tile.
struct MapTile: BitwiseCopyable {
  let channels: Int
  let places: Int
  let stride: Int
  /// Of the first number in a tile of whole rows.
  let offset: Int

  init(_ map: FeatureMap, _ stride: Int) {
    channels = map.channels
    places = map.places
    self.stride = stride
    offset = map.start * stride
  }

  var lanes: Int { places * stride }
  var count: Int { channels * lanes }

  /// What is outside of the map passes unchanged.
  @inline(__always)
  func copyOthers<S: Scalar>(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, of total: Int) {
    if count == total { return }
    y.update(from: x, count: offset)
    (y + offset + count).update(from: x + offset + count, count: total - offset - count)
  }
}

/// The lanes of a map in pieces, which matrices work on one after the other: what is made on the way stays in the cache.
/// A tile of a row that is no image is one piece, as it is.
struct LaneChunks: BitwiseCopyable {
  /// Lanes of a piece that is not the last one, places of it, and lanes that its buffers have.
  let lanes: Int
  let places: Int
  let width: Int
  private let total: Int

  /// Of pieces whose sums over lanes show in the results: the same for all kernels, in threes of vectors of any.
  static let summedLanes = 96

  /// lanes: of a piece, about. wholeVectors: even where the tile is one piece.
  init<S: Scalar>(places: Int, stride: Int, lanes target: Int = summedLanes, wholeVectors: Bool = false, _: S.Type) {
    total = places * stride
    self.places = places == 1 ? 1 : min(places, max(1, target / stride))
    lanes = self.places * stride
    width = places == 1 && !wholeVectors ? stride : Tiling.wholeVectors(lanes, S.self)
  }

  var count: Int { (total + lanes - 1) / lanes }

  func range(_ i: Int) -> Range<Int> { i * lanes..<min((i + 1) * lanes, total) }

  /// From [channels][total], or back. The buffer is [channels][width], with zeros behind the lanes of the piece.
  @inline(__always)
  func load<S: Scalar>(_ i: Int, _ channels: Int, _ map: UnsafePointer<S>, _ buffer: UnsafeMutablePointer<S>) {
    let range = range(i)
    for c in 0..<channels {
      let to = buffer + c * width
      Tiling.copy(range.count, map + c * total + range.lowerBound, to)
      for l in range.count..<max(width, range.count) { to[l] = 0 }
    }
  }

  @inline(__always)
  func store<S: Scalar>(_ i: Int, _ channels: Int, _ buffer: UnsafePointer<S>, _ map: UnsafeMutablePointer<S>) {
    let range = range(i)
    for c in 0..<channels { Tiling.copy(range.count, buffer + c * width, map + c * total + range.lowerBound) }
  }
}
