import CLibrary
import Diffeo

/// Where the oldest file format keeps the names of a group's links. HDF5 1.10 follows the list of a heap's free blocks
/// to its end, takes memory at every step, and does not see that a list goes in circles.
enum LocalHeap {
  /// Looks at every heap that there is, wherever it is; what only looks like one is in nobody's way.
  static func check(_ image: UnsafeRawBufferPointer) throws(DiffeoError) {
    guard let start = image.baseAddress else { return }
    var at = 0
    while at < image.count, let found = memchr(start + at, 0x48, image.count - at) {
      at = start.distance(to: found)
      if isCircular(image, at: at) { throw DiffeoError(.format, "the HDF5 heap of a group is damaged") }
      at += 1
    }
  }

  /// At 0 there is "HEAP" and version 0, at 8 the size of the heap's data, at 16 the place in them of the first free block, at 24 their address. A free
  /// block has at least 16 bytes: the place of the next, or 1, and its size.
  private static func isCircular(_ image: UnsafeRawBufferPointer, at heap: Int) -> Bool {
    guard let signature = number(image, at: heap), signature & 0xFF_FFFF_FFFF == 0x5041_4548,
      let size = number(image, at: heap + 8), var block = number(image, at: heap + 16),
      let data = number(image, at: heap + 24), data <= image.count
    else { return false }
    for _ in 0...min(size, UInt64(image.count)) / 16 {
      guard block != 1, block <= image.count, let next = number(image, at: Int(data + block)) else { return false }
      block = next
    }
    return true
  }

  private static func number(_ image: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
    guard offset <= image.count - 8 else { return nil }
    return UInt64(littleEndian: image.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
