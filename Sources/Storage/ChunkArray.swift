import Diffeo

/// Of chunks, of which HDF5 looks at as many as it claims. (Fixed and extensible arrays: VII.C, VII.D)
struct ChunkArray<Bytes: FileBytes>: FileIndex {
  let file: Bytes
  let damaged: DiffeoError

  /// "FAHD", version, what it is of, size of an element (1 each), log2 of a page's elements (1), their number (8), and
  /// where they are (8), all of them behind each other.
  func lookFixed(at address: UInt64, atLeast count: UInt64) throws(DiffeoError) {
    if address == Self.nowhere { return }
    let head = try find("FAHD", at: address)
    if try number(head + 16, 8) == Self.nowhere { return }
    let elements = try number(head + 8, 8)
    guard elements >= count else { throw damaged }
    try fits(elements, of: number(head + 6, 1))
  }

  /// "EAHD", version, what it is of, size of an element (1 each), log2 of the most elements (1), elements in its first
  /// block and in the smallest block of data, the fewest blocks of data that one leads to, log2 of a page's elements (1
  /// each), counts and sizes of blocks (8 each), and how many elements were set, from the first to the last (8).
  func lookExtensible(at address: UInt64) throws(DiffeoError) {
    if address == Self.nowhere { return }
    let head = try find("EAHD", at: address)
    let (mostBits, smallest, fewest) = (
      try number(head + 7, 1), try number(head + 9, 1), try number(head + 10, 1)
    )
    guard mostBits <= 64, smallest.nonzeroBitCount == 1, fewest.nonzeroBitCount == 1,
      smallest.trailingZeroBitCount <= Int(mostBits)
    else { throw damaged }
    try fits(number(head + 44, 8), of: number(head + 6, 1))
  }

  private func fits(_ elements: UInt64, of size: UInt64) throws(DiffeoError) {
    guard size > 0, elements <= UInt64(file.count) / size else { throw damaged }
  }
}
