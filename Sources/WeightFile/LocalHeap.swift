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
    guard let signature = image.number(heap, width: 8), signature & 0xFF_FFFF_FFFF == 0x5041_4548,
      let size = image.number(heap + 8, width: 8), var block = image.number(heap + 16, width: 8),
      let data = image.number(heap + 24, width: 8), data <= image.count
    else { return false }
    for _ in 0...min(size, UInt64(image.count)) / 16 {
      guard block != 1, block <= image.count, let next = image.number(Int(data + block), width: 8) else { return false }
      block = next
    }
    return true
  }
}
