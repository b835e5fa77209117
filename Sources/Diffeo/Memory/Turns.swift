import CLibrary
import Synchronization

/// Things that are each done to by 0, 1, 2, ... in this order, by threads that get there at any time: who is early waits.
struct Turns: BitwiseCopyable {
  private let count: Int
  /// Of each thing, whose turn it is; behind them, whether somebody has failed, for whom nobody is to wait.
  private let next: UnsafeMutablePointer<Atomic<Int>>

  init(_ count: Int, pool: Pool) throws(DiffeoError) {
    self.count = count
    let memory = UnsafeMutableRawPointer(try pool.take(count + 1, of: Int.self))
    next = memory.bindMemory(to: Atomic<Int>.self, capacity: count + 1)
    for i in 0...count { (next + i).initialize(to: Atomic(0)) }
  }

  /// From 0 again.
  func begin() {
    for i in 0...count { next[i].store(0, ordering: .relaxed) }
  }

  /// From now on all may go ahead: what they do is void.
  func fail() { next[count].store(1, ordering: .relaxed) }

  /// Does it as number `turn`.
  @inline(__always)
  func take(_ thing: Int, turn: Int, _ body: () -> Void) {
    if next[thing].load(ordering: .acquiring) != turn { wait(thing, turn) }
    body()
    next[thing].store(turn + 1, ordering: .releasing)
  }

  /// The others are at work and soon there, unless they have no core: then they may want this one.
  @inline(never)
  private func wait(_ thing: Int, _ turn: Int) {
    while !spin(until: {
      next[thing].load(ordering: .acquiring) == turn || next[count].load(ordering: .relaxed) != 0
    }) { sched_yield() }
  }
}

/// Looks again and again, for as long as it takes to wake a thread, some 20 microseconds. False: in vain.
@inline(__always)
func spin(until isDone: () -> Bool) -> Bool {
  for _ in 0..<20_000 where isDone() { return true }
  return false
}
