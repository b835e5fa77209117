/// How the memory for rows is shared out: to a block, and to windows, each with room for a block more than it needs.
struct BlockMemory {
  let blockRows: Int
  /// For windows.
  private let bytes: Int
  /// Of a row in a window.
  private let rowBytes: Int

  /// However little memory there is.
  private static let leastBlockRows = 32
  private static var number: Int { MemoryLayout<Int32>.stride }

  init<S: Scalar>(_ reader: any RowReader, _: S.Type, bytes: Int) {
    rowBytes = reader.width * MemoryLayout<S>.stride + Self.number
    // A window takes many blocks from all over the data, each of whole chunks of the file if they are small enough.
    let rows = bytes / (3 * rowBytes)
    let (least, together) = (max(Self.leastBlockRows, rows / 32), reader.rowsTogether)
    blockRows = min(together <= rows / 8 ? (least + together - 1) / together * together : least, max(reader.rows, 1))
    self.bytes = max(0, bytes - blockRows * rowBytes)
  }

  private init(bytes: Int, of other: BlockMemory) {
    (blockRows, rowBytes, self.bytes) = (other.blockRows, other.rowBytes, bytes)
  }

  /// Whether memory has room for all rows of a reader, so that no blocks are needed.
  static func holds<S: Scalar>(_ reader: any RowReader, _: S.Type, bytes: Int) -> Bool {
    reader.rows <= bytes / (reader.width * MemoryLayout<S>.stride + number)
  }

  /// For rows that train, and for those held out.
  func split() -> (most: BlockMemory, least: BlockMemory) {
    (BlockMemory(bytes: bytes - bytes / 4, of: self), BlockMemory(bytes: bytes / 4, of: self))
  }

  /// All rows are one window, which stays, where there is room for them.
  private func isKept(_ count: Int) -> Bool { count <= bytes / (rowBytes + Self.number) }

  func windows(of count: Int) -> Int { isKept(count) ? 1 : 3 }

  /// That a window has room for; the places of the rows of one take memory, too.
  func windowRows(of count: Int) -> Int { isKept(count) ? count : leastWindowRows(of: count) + blockRows }

  /// A window ends with the block that brings it to so many.
  func leastWindowRows(of count: Int) -> Int {
    isKept(count) ? count : max(bytes / (3 * rowBytes + Self.number) - blockRows, Tiling.minibatchRows)
  }
}
