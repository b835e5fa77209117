import CLibrary
import Diffeo

/// Where the oldest file format keeps the names of a group's links. HDF5 1.10 follows the list of a heap's free blocks
/// to its end, takes memory at every step, and does not see that a list goes in circles.
package enum LocalHeap {
  static let damaged = "the HDF5 links of a group are damaged"

  /// Looks at every heap that there is, wherever it is; what only looks like one is in nobody's way.
  package static func check(_ image: UnsafeRawBufferPointer) throws(DiffeoError) {
    guard let start = image.baseAddress else { return }
    var at = 0
    while at < image.count, let found = memchr(start + at, 0x48, image.count - at) {
      at = start.distance(to: found)
      if isCircular(image, at: UInt64(at)) { throw DiffeoError(.format, damaged) }
      at += 1
    }
  }

  /// At 0 there is "HEAP" and version 0, at 8 the size of the heap's data, at 16 the place in them of the first free
  /// block, at 24 their address. A free block has at least 16 bytes: the place of the next, or 1, and its size.
  static func isCircular(_ file: some FileBytes, at address: UInt64) -> Bool {
    guard let heap = Int(exactly: address), heap < file.count,
      let signature = file.number(heap, width: 8), signature & 0xFF_FFFF_FFFF == 0x5041_4548,
      let size = file.number(heap + 8, width: 8), var block = file.number(heap + 16, width: 8),
      let data = file.number(heap + 24, width: 8), data <= file.count
    else { return false }
    for _ in 0...min(size, UInt64(file.count)) / 16 {
      guard block != 1, block <= file.count, let next = file.number(Int(data + block), width: 8) else { return false }
      block = next
    }
    return true
  }
}
