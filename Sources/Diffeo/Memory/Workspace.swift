import CShims
import Synchronization

/// Working memory for some threads, and the threads. Serves one call at a time.
package final class Workspace: @unchecked Sendable {
  package let threads: Int
  private let scratches: [Scratch]
  private let team: Team?

  package static let maxThreads = 256

  /// threads 0: as many as the process may run on.
  package init(threads: Int) throws(DiffeoError) {
    guard threads >= 0, threads <= Workspace.maxThreads else {
      throw DiffeoError(.invalid, "threads is \(threads), it must be 0 to \(Workspace.maxThreads)")
    }
    self.threads = threads == 0 ? Workspace.availableProcessors : threads
    scratches = (0..<self.threads).map { _ in Scratch() }
    team = self.threads > 1 ? try Team(size: self.threads) : nil
  }

  private static var availableProcessors: Int {
    min(max(Int(cshims_processors()), 1), maxThreads)
  }

  /// Runs task(i, scratch) for every i of 0..<count, each once, in any order and on any thread; an error is thrown when
  /// all are done or given up (of several, that of the lowest i).
  func forEach(_ count: Int, _ task: (Int, Scratch) throws(DiffeoError) -> Void) throws(DiffeoError) {
    guard let team, count > 1 else {
      for i in 0..<count {
        let mark = scratches[0].mark
        defer { scratches[0].release(to: mark) }
        try task(i, scratches[0])
      }
      return
    }
    let next = Atomic<Int>(0)
    let failure = Mutex<(index: Int, error: DiffeoError)?>(nil)
    team.run { member in
      let scratch = scratches[member]
      while true {
        let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if i >= count { return }
        let mark = scratch.mark
        defer { scratch.release(to: mark) }
        do throws(DiffeoError) { try task(i, scratch) } catch {
          failure.withLock { if $0.map({ i < $0.index }) ?? true { $0 = (i, error) } }
          next.store(count, ordering: .relaxed)
        }
      }
    }
    if let failure = failure.withLock({ $0 }) { throw failure.error }
  }
}
