import CStorage
import Diffeo

/// Bytes of a file, by their place in it: those in memory, or those on disk.
package protocol FileBytes {
  var count: Int { get }
  /// Of 1 to 8 bytes, the lowest first; nil where there are not as many.
  func number(_ at: Int, width: Int) -> UInt64?
}

extension UnsafeRawBufferPointer: FileBytes {
  package func number(_ at: Int, width: Int) -> UInt64? {
    guard at >= 0, at <= count - width else { return nil }
    return (0..<width).reversed().reduce(0) { $0 << 8 | UInt64(self[at + $1]) }
  }
}

extension [UInt8] {
  fileprivate func number(_ at: Int, width: Int) -> UInt64? { withUnsafeBytes { $0.number(at, width: width) } }
}

/// What HDF5 has of a file that need not fit into memory, a few kilobytes at a time. In front of it there may be bytes of
/// others, as MATLAB puts them there.
package final class FileOnDisk: FileBytes {
  package let count: Int
  private let descriptor: Descriptor
  private let base: Int
  private var block: [UInt8] = []
  private var blockStart = 0

  private static let blockSize = 4096

  package init(path: String) throws(DiffeoError) {
    let descriptor = try Descriptor(reading: path)
    let size = try descriptor.regularSize(path)
    var base = 0
    // HDF5 looks for its signature at 0, 512, 1024 and so on.
    while base < size, FileOnDisk.read(descriptor, base, 8).number(0, width: 8) != Superblock.signature {
      base = base == 0 ? 512 : base * 2
    }
    guard base < size else { throw DiffeoError(.format, "'\(path)' is not an HDF5 file") }
    self.base = base
    count = size - base
    self.descriptor = descriptor
  }

  /// What H5Fopen reads it by, which must not outlive this.
  package func access() throws(DiffeoError) -> Handle {
    try Handle(cstorage_descriptor_access(descriptor.number, base + count))
  }

  package func number(_ at: Int, width: Int) -> UInt64? {
    guard at >= 0, at <= count - width else { return nil }
    if at < blockStart || at + width > blockStart + block.count {
      block = FileOnDisk.read(descriptor, base + at, min(FileOnDisk.blockSize, count - at))
      blockStart = at
    }
    return block.number(at - blockStart, width: width)
  }

  /// Fewer where the file has become shorter, or cannot be read.
  private static func read(_ descriptor: borrowing Descriptor, _ at: Int, _ count: Int) -> [UInt8] {
    let descriptor = descriptor.number
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      done = cstorage_read(descriptor, buffer.baseAddress, count, UInt64(at))
    }
  }
}
