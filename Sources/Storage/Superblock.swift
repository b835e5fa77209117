import Diffeo

/// The first bytes of an HDF5 file, judged before the library sees them.
package enum Superblock {
  /// As much as is needed of the file.
  package static let size = 96
  /// Its first 8 bytes: 0x89, "HDF", line ends.
  static let signature: UInt64 = 0x0A1A_0A0D_4644_4889

  /// How many bytes of the file are HDF5's: bytes that may follow are none of ours.
  package static func extent(of head: UnsafeRawBufferPointer, fileSize: Int) throws(DiffeoError) -> Int {
    guard fileSize > 0 else { throw DiffeoError(.format, "the file is empty") }
    guard head.number(0, width: 8) == signature else { throw DiffeoError(.format, "this is not an HDF5 file") }
    guard head.count >= min(fileSize, size), head.count > 8 else { throw truncated(fileSize) }

    // Version; offsets of the two widths, of the base address, of the end of the file, and of an address that leads
    // to what no weight file has: a driver information block, or a superblock extension.
    let layout: (widths: Int, base: Int, end: Int, unused: Int)
    switch head[8] {
    case 0: layout = (widths: 13, base: 24, end: 40, unused: 48)
    case 1: layout = (widths: 13, base: 28, end: 44, unused: 52)
    case 2, 3: layout = (widths: 9, base: 12, end: 28, unused: 20)
    default: throw DiffeoError(.format, "the file has an HDF5 superblock of the unknown version \(head[8])")
    }
    guard head.count >= max(layout.end, layout.unused) + 8 else { throw truncated(fileSize) }
    func address(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: head.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard head[layout.widths] == 8, head[layout.widths + 1] == 8 else {
      throw DiffeoError(.format, "the file has HDF5 addresses of other than 8 bytes")
    }
    guard address(layout.base) == 0, address(layout.unused) == UInt64.max else {
      throw DiffeoError(.format, "the file has an HDF5 user block, driver block or superblock extension")
    }
    guard let end = Int(exactly: address(layout.end)), end <= fileSize else { throw truncated(fileSize) }
    guard end >= size / 2 else { throw DiffeoError(.format, "the HDF5 superblock is damaged") }
    return end
  }

  // The group in which all others are, which HDF5 opens with the file.
  package static func checkRoot(_ file: UnsafeRawBufferPointer) throws(DiffeoError) {
    try ObjectHeader.check(file, at: root(of: file), "/")
  }
  package static func checkRoot(_ file: FileOnDisk) throws(DiffeoError) {
    try ObjectHeader.check(file, at: root(of: file), "/")
  }

  private static func root(of file: some FileBytes) throws(DiffeoError) -> UInt64 {
    guard let version = file.number(8, width: 1), let width = file.number(version < 2 ? 13 : 9, width: 1) else {
      throw truncated(file.count)
    }
    guard width == 8 else { throw DiffeoError(.unsupported, "the file has HDF5 addresses of \(width) bytes, not 8") }
    let place = version < 2 ? 64 + 4 * Int(version) : 36
    guard let root = file.number(place, width: 8) else { throw truncated(file.count) }
    // In the oldest versions there is a second way to the tree of its links and the heap of their names, where kind 1
    // says so.
    if version < 2, file.number(place + 8, width: 4) == 1, let tree = file.number(place + 16, width: 8),
      let heap = file.number(place + 24, width: 8)
    {
      let damaged = DiffeoError(.format, LocalHeap.damaged)
      try FirstTree.links(file, damaged).look(at: tree)
      guard !LocalHeap.isCircular(file, at: heap) else { throw damaged }
    }
    return root
  }

  private static func truncated(_ fileSize: Int) -> DiffeoError {
    DiffeoError(.format, "the file ends early, after \(fileSize) bytes")
  }
}
