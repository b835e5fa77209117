import CLibrary

/// One thread's working memory: a stack that grows when it must and is never given back before the end, so that a warm
/// call allocates nothing. Values taken are not zeroed, so that a first call touches no more pages than it needs.
///
/// A handle without an owner, which whoever made it destroys: counting references to an object would take a tenth of the
/// time of a call with one row.
struct Scratch: BitwiseCopyable {
  struct Mark: BitwiseCopyable {
    fileprivate var chunk: Int
    fileprivate var used: Int
  }

  private struct Chunk: BitwiseCopyable {
    let base: UnsafeMutableRawPointer
    let size: Int
  }

  private struct Stack {
    var chunks: [Chunk] = []
    var top = Mark(chunk: 0, used: 0)
  }

  private let stack: UnsafeMutablePointer<Stack>

  init() {
    stack = .allocate(capacity: 1)
    stack.initialize(to: Stack())
  }

  func destroy() {
    for chunk in stack.pointee.chunks { free(chunk.base) }
    stack.deinitialize(count: 1)
    stack.deallocate()
  }

  /// Everything taken since is released by `release(to:)`.
  var mark: Mark { stack.pointee.top }
  func release(to mark: Mark) { stack.pointee.top = mark }
  /// With what was left over behind it.
  var bytesInUse: Int {
    let (chunks, top) = (stack.pointee.chunks, stack.pointee.top)
    var bytes = top.used
    for i in 0..<min(top.chunk, chunks.count) { bytes += chunks[i].size }
    return bytes
  }
  func releaseAll() { release(to: Mark(chunk: 0, used: 0)) }

  @inline(__always)
  func take<T: BitwiseCopyable>(_ count: Int, of type: T.Type = T.self) throws(DiffeoError)
    -> UnsafeMutablePointer<T>
  {
    // Sizes beyond all memory are refused before they could overflow.
    guard count >= 0, count < 1 << 48 else {
      throw DiffeoError(.memory, "no memory for \(count) values of \(MemoryLayout<T>.stride) bytes")
    }
    return try takeBytes((count * MemoryLayout<T>.stride + 63) & ~63).bindMemory(to: T.self, capacity: count)
  }

  private func takeBytes(_ bytes: Int) throws(DiffeoError) -> UnsafeMutableRawPointer {
    while stack.pointee.top.chunk < stack.pointee.chunks.count {
      let top = stack.pointee.top
      let chunk = stack.pointee.chunks[top.chunk]
      if top.used + bytes <= chunk.size {
        stack.pointee.top.used = top.used + bytes
        return chunk.base + top.used
      }
      stack.pointee.top = Mark(chunk: top.chunk + 1, used: 0)
    }
    let size = max(bytes, 1 << 18, min(2 * (stack.pointee.chunks.last?.size ?? 0), 1 << 26))
    let chunk = Chunk(base: try allocateBytes(size, 1), size: size)
    stack.pointee.chunks.append(chunk)
    stack.pointee.top = Mark(chunk: stack.pointee.chunks.count - 1, used: bytes)
    return chunk.base
  }
}
