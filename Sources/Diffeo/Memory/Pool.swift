import CLibrary

/// Memory that lives as long as its owner: aligned to cache lines, zeroed, and refused with an error rather than a trap
/// when there is none.
final class Pool {
  private var blocks: [UnsafeMutableRawPointer] = []
  private var ends: [() -> Void] = []

  func take<T: BitwiseCopyable>(_ count: Int, of type: T.Type = T.self) throws(DiffeoError)
    -> UnsafeMutablePointer<T>
  {
    let block = try allocateZeros(count, MemoryLayout<T>.stride)
    blocks.append(block)
    return block.bindMemory(to: T.self, capacity: count)
  }

  func place<T: BitwiseCopyable>(_ value: T) throws(DiffeoError) -> UnsafeMutablePointer<T> {
    let place = try take(1, of: T.self)
    place.pointee = value
    return place
  }

  func copy<T: BitwiseCopyable>(_ values: [T]) throws(DiffeoError) -> UnsafePointer<T> {
    let copy = try take(values.count, of: T.self)
    for (i, value) in values.enumerated() { copy[i] = value }
    return UnsafePointer(copy)
  }

  /// Functions may have memory of their own: where they are not specialised, they carry the types that they are for.
  func place<T>(functions: T) throws(DiffeoError) -> UnsafePointer<T> {
    let place = UnsafeMutableRawPointer(try take(MemoryLayout<T>.size, of: UInt8.self))
      .initializeMemory(as: T.self, to: functions)
    ends.append { place.deinitialize(count: 1) }
    return UnsafePointer(place)
  }

  deinit {
    for end in ends { end() }
    for block in blocks { free(block) }
  }
}

/// Aligned to a cache line, with whatever is in it; give it back with free().
func allocateBytes(_ count: Int, _ size: Int) throws(DiffeoError) -> UnsafeMutableRawPointer {
  let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
  var block: UnsafeMutableRawPointer?
  guard count >= 0, !overflow, posix_memalign(&block, 64, max(bytes, 64)) == 0, let block else {
    throw DiffeoError(.memory, "no memory for \(count) values of \(size) bytes")
  }
  return block
}

/// The same, zeroed.
func allocateZeros(_ count: Int, _ size: Int) throws(DiffeoError) -> UnsafeMutableRawPointer {
  let block = try allocateBytes(count, size)
  memset(block, 0, max(count * size, 64))
  return block
}

/// The parameters of a flow: one flat vector, found by the slots of its spec.
package final class ParameterVector<S: Scalar>: @unchecked Sendable {
  package let count: Int
  package let pointer: UnsafeMutablePointer<S>

  /// Zeros.
  package init(count: Int) throws(DiffeoError) {
    self.count = count
    pointer = try allocateZeros(count, MemoryLayout<S>.stride).bindMemory(
      to: S.self, capacity: count)
  }

  package convenience init(copy other: ParameterVector<S>) throws(DiffeoError) {
    try self.init(count: other.count)
    pointer.update(from: other.pointer, count: count)
  }

  deinit { free(pointer) }
}
