import Diffeo

/// The first bytes of an HDF5 file, judged before the library sees them.
enum Superblock {
  /// As much as is needed of the file.
  static let size = 96

  /// How many bytes of the file are HDF5's: bytes that may follow are none of ours.
  static func extent(of head: UnsafeRawBufferPointer, fileSize: Int) throws(DiffeoError) -> Int {
    let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    guard fileSize > 0 else { throw DiffeoError(.format, "the file is empty") }
    guard head.prefix(8).elementsEqual(signature) else { throw DiffeoError(.format, "this is not an HDF5 file") }
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

  private static func truncated(_ fileSize: Int) -> DiffeoError {
    DiffeoError(.format, "the file ends early, after \(fileSize) bytes")
  }
}
