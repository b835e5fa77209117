import Diffeo

/// Where many links or attributes are. HDF5 1.10 takes the place of one in it for right, finds the block by the sizes that
/// the heap claims, and goes from table to table of blocks by the places that they claim. (HDF5 File Format Specification
/// 3.0, III.G)
struct FractalHeap<Bytes: FileBytes>: FileIndex {
  let file: Bytes
  let damaged: DiffeoError

  /// "FRHP", version 0, sizes of an identifier and of filters (2 each) and so on; at 22 the tree of objects too large for
  /// blocks, at 46 the size of all blocks; at 110 the blocks of a row (2), at 112 the sizes of the first and of the largest
  /// block (8 each), at 128 the bits of a place (2), at 132 the root (8), at 140 the rows of blocks that it leads to, or 0
  /// where it is a block itself (2).
  func look(at address: UInt64) throws(DiffeoError) {
    if address == Self.nowhere { return }
    let heap = try find("FRHP", at: address)
    guard try number(heap + 7, 2) == 0 else { throw damaged }
    try SecondTree(file: file, damaged: damaged).look(at: number(heap + 22, 8), .large, .largeInPlace)
    let shape = try Shape(
      columns: number(heap + 110, 2), first: number(heap + 112, 8), largest: number(heap + 120, 8),
      bits: Int(number(heap + 128, 2)), damaged)
    let rows = Int(try number(heap + 140, 2))
    guard rows <= shape.mostRows, try number(heap + 46, 8) <= (rows == 0 ? shape.first : shape.place(of: rows)) else {
      throw damaged
    }
    var left = file.count / FractalHeap.tableFrame
    if rows > 0 { try follow(number(heap + 132, 8), of: address, shape, rows: rows, at: 0, &left) }
  }

  /// Blocks of the first two rows have the size of the first one, and of each row after these twice as much as before.
  /// What would be larger than the largest is a table of blocks in turn.
  private struct Shape {
    let columns: Int
    let first: UInt64
    let rowsOfBlocks: Int
    let mostRows: Int
    let placeWidth: Int

    init(columns: UInt64, first: UInt64, largest: UInt64, bits: Int, _ damaged: DiffeoError) throws(DiffeoError) {
      guard [columns, first, largest].allSatisfy({ $0.nonzeroBitCount == 1 }), first <= largest, bits < 64 else {
        throw damaged
      }
      (self.columns, self.first) = (Int(columns), first)
      rowsOfBlocks = largest.trailingZeroBitCount - first.trailingZeroBitCount + 2
      mostRows = bits - first.trailingZeroBitCount - columns.trailingZeroBitCount + 1
      placeWidth = (bits + 7) / 8
    }

    func size(of row: Int) -> UInt64 { first << max(row - 1, 0) }
    /// Of a row's first block, in a table: behind those before it.
    func place(of row: Int) -> UInt64 { row == 0 ? 0 : UInt64(columns) * size(of: row) }
    func rows(ofTableIn row: Int) -> Int { row - columns.trailingZeroBitCount }
  }

  /// Signature, version, address of the heap, and the checksum of a table.
  private static var tableFrame: Int { 17 }

  /// A table: "FHIB", version 0, the heap (8), its own place, and the addresses of blocks and tables, row by row (8 each).
  private func follow(
    _ address: UInt64, of heap: UInt64, _ shape: Shape, rows: Int, at place: UInt64, _ left: inout Int
  ) throws(DiffeoError) {
    let table = try find("FHIB", at: address)
    left -= 1
    guard left >= 0, try number(table + 5, 8) == heap, try number(table + 13, shape.placeWidth) == place else {
      throw damaged
    }
    for row in min(shape.rowsOfBlocks, rows)..<rows {
      for column in 0..<shape.columns {
        let child = try number(table + 13 + shape.placeWidth + (row * shape.columns + column) * 8, 8)
        if child == Self.nowhere { continue }
        try follow(
          child, of: heap, shape, rows: shape.rows(ofTableIn: row),
          at: place + shape.place(of: row) + UInt64(column) * shape.size(of: row), &left)
      }
    }
  }
}
