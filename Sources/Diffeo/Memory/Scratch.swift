import Glibc

/// One thread's working memory: a stack that grows when it must and is never given back before the end, so that a warm
/// call allocates nothing. Values taken are not zeroed.
final class Scratch {
  struct Mark {
    fileprivate var chunk: Int
    fileprivate var used: Int
  }

  private var chunks: [(base: UnsafeMutableRawPointer, size: Int)] = []
  private var top = Mark(chunk: 0, used: 0)

  /// Everything taken since is released by `release(to:)`.
  var mark: Mark { top }
  func release(to mark: Mark) { top = mark }
  func releaseAll() { top = Mark(chunk: 0, used: 0) }

  func take<T: BitwiseCopyable>(_ count: Int, of type: T.Type = T.self) throws(DiffeoError)
    -> UnsafeMutablePointer<T>
  {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    guard count >= 0, !overflow, bytes < Int.max / 4 else {
      throw DiffeoError(.memory, "no memory for \(count) values of \(MemoryLayout<T>.stride) bytes")
    }
    return try takeBytes((bytes + 63) & ~63).bindMemory(to: T.self, capacity: count)
  }

  private func takeBytes(_ bytes: Int) throws(DiffeoError) -> UnsafeMutableRawPointer {
    while top.chunk < chunks.count {
      let (base, size) = chunks[top.chunk]
      if top.used + bytes <= size {
        let block = base + top.used
        top.used += bytes
        return block
      }
      top = Mark(chunk: top.chunk + 1, used: 0)
    }
    let size = max(
      bytes, 1 << 18, 2 * (chunks.last?.size ?? 0) < 1 << 26 ? 2 * (chunks.last?.size ?? 0) : 0)
    chunks.append((try allocateBytes(size, 1), size))
    top = Mark(chunk: chunks.count - 1, used: bytes)
    return chunks[top.chunk].base
  }

  deinit { for chunk in chunks { free(chunk.base) } }
}
