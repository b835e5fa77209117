import CShims
import Synchronization

/// Working memory for some threads, and the threads. Serves one call at a time.
package final class Workspace: @unchecked Sendable {
  package let threads: Int
  private let scratches: [Scratch]
  private let team: Team?
  private let loop: Loop?
  private let next = Atomic<Int>(0)
  private let members = Atomic<Int>(0)
  private let failure = Mutex<(index: Int, error: DiffeoError)?>(nil)

  package static let maxThreads = 256

  /// Runs a job so many times, by numbers from 0 on, in threads of the host's: at once or one after the other.
  package typealias Loop = @Sendable (_ count: Int, Team.Job) -> Void

  /// threads 0: as many as the process may run on. loop: in place of threads of the workspace's own.
  package init(threads: Int, loop: Loop? = nil) throws(DiffeoError) {
    try Limit.check("workspace.threads", threads)
    self.threads = threads == 0 ? Workspace.availableProcessors : threads
    scratches = (0..<self.threads).map { _ in Scratch() }
    team = self.threads > 1 && loop == nil ? try Team(size: self.threads) : nil
    self.loop = self.threads > 1 ? loop : nil
  }

  /// Whether its jobs run in threads of the host's, perhaps one after the other: none may wait for a later one.
  var isHosted: Bool { loop != nil }

  package func pin(_ processors: [Int]) throws(DiffeoError) { try team?.pin(processors) }

  deinit {
    team?.end()
    for scratch in scratches { scratch.destroy() }
  }

  private static var availableProcessors: Int {
    min(max(Int(cshims_processors()), 1), maxThreads)
  }

  /// Runs the task for every i of 0..<count, each once, in any order and on any thread; an error is thrown when all are
  /// done or given up (of several, that of the lowest i).
  func forEach<Task: IndexedTask>(_ count: Int, _ task: Task) throws(DiffeoError) {
    guard threads > 1, count > 1 else {
      for i in 0..<count { try run(task, i, scratches[0]) }
      return
    }
    try share(count, task)
  }

  /// By itself: where it is not compiled for the task, its types are made when it is called, and not for one thread.
  @inline(never)
  private func share<Task: IndexedTask>(_ count: Int, _ task: Task) throws(DiffeoError) {
    next.store(0, ordering: .relaxed)
    withUnsafePointer(to: Share(workspace: Unmanaged.passUnretained(self), task: task, count: count)) { share in
      let job = Team.Job(data: share) { share, member in
        let share = share.assumingMemoryBound(to: Share<Task>.self)
        share.pointee.workspace._withUnsafeGuaranteedRef {
          $0.work(share.pointee.task, share.pointee.count, $0.scratches[member])
        }
      }
      if let loop { run(job, min(threads, count), on: loop) } else { team?.run(job) }
    }
    if let failure = failure.withLock({ $0.take() }) { throw failure.error }
  }

  /// Numbers that the host gives are not looked at: each call is the next member. What it leaves undone is done here.
  private func run(_ job: Team.Job, _ count: Int, on loop: Loop) {
    members.store(0, ordering: .relaxed)
    withUnsafePointer(to: Ticket(workspace: Unmanaged.passUnretained(self), job: job)) { ticket in
      let next = Team.Job(data: ticket) { ticket, _ in
        let ticket = ticket.assumingMemoryBound(to: Ticket.self).pointee
        ticket.workspace._withUnsafeGuaranteedRef {
          let member = $0.members.wrappingAdd(1, ordering: .relaxed).oldValue
          if member < $0.threads { ticket.job(member) }
        }
      }
      loop(count, next)
      next(0)
    }
  }

  /// What threads of the host's are told.
  private struct Ticket {
    let workspace: Unmanaged<Workspace>
    let job: Team.Job
  }

  /// What the members of the team are told.
  private struct Share<Task> {
    let workspace: Unmanaged<Workspace>
    let task: Task
    let count: Int
  }

  private func work<Task: IndexedTask>(_ task: Task, _ count: Int, _ scratch: Scratch) {
    while true {
      let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if i >= count { return }
      do throws(DiffeoError) { try run(task, i, scratch) } catch {
        failure.withLock { if $0.map({ i < $0.index }) ?? true { $0 = (i, error) } }
        next.store(count, ordering: .relaxed)
      }
    }
  }

  @inline(__always)
  private func run<Task: IndexedTask>(_ task: Task, _ i: Int, _ scratch: Scratch) throws(DiffeoError) {
    let mark = scratch.mark
    defer { scratch.release(to: mark) }
    try task.run(i, scratch)
  }

  /// With a closure, which costs an allocation. Members hold it only while they run it, inside Team.Job.run: Swift traps
  /// if a closure that must not escape is still held by somebody when its scope ends.
  func forEach(_ count: Int, _ body: (Int, Scratch) throws(DiffeoError) -> Void) throws(DiffeoError) {
    try withoutActuallyEscaping(body) { body throws(DiffeoError) in try forEach(count, ClosureTask(body: body)) }
  }

  private struct ClosureTask: IndexedTask {
    let body: (Int, Scratch) throws(DiffeoError) -> Void
    func run(_ index: Int, _ scratch: Scratch) throws(DiffeoError) { try body(index, scratch) }
  }
}

/// Work that falls into numbered pieces.
protocol IndexedTask {
  func run(_ index: Int, _ scratch: Scratch) throws(DiffeoError)
}
