import Diffeo

/// Where many links or attributes are. HDF5 1.10 takes the place of one in it for right, finds the block by the sizes that
/// the heap claims, and goes from block to block without an end. (HDF5 File Format Specification 3.0, III.G)
struct FractalHeap<Bytes: FileBytes>: Index {
  let file: Bytes
  let damaged: DiffeoError

  /// "FRHP", version 0, sizes of an identifier and of filters (2 each) and so on; at 22 the tree of objects too large for
  /// blocks, at 46 the size of all blocks; at 110 the blocks of a row (2), at 112 the sizes of the first and of the largest
  /// block (8 each), at 132 the root (8), at 140 the rows of blocks that it leads to, or 0 where it is a block itself (2).
  func look(at address: UInt64) throws(DiffeoError) {
    if address == Self.nowhere { return }
    let heap = try find("FRHP", at: address)
    guard try number(heap + 7, 2) == 0 else { throw damaged }
    try SecondTree(file: file, damaged: damaged).look(at: number(heap + 22, 8), .large, .largeInPlace)
    let (columns, rows) = (try number(heap + 110, 2), try number(heap + 140, 2))
    let (first, largest) = (try number(heap + 112, 8), try number(heap + 120, 8))
    guard [columns, first, largest].allSatisfy({ $0.nonzeroBitCount == 1 }), first <= largest, largest <= 1 << 32 else {
      throw damaged
    }
    // Blocks of the first two rows have the first size, and of each one after these twice as much. What is larger than the
    // largest are tables of blocks in turn.
    guard rows <= largest.trailingZeroBitCount - first.trailingZeroBitCount + 2 else {
      throw DiffeoError(.unsupported, "\(damaged.message), or has more links or attributes than are read here")
    }
    let room = rows == 0 ? first : columns * first << (rows - 1)
    guard try number(heap + 46, 8) <= room else { throw damaged }
  }
}
