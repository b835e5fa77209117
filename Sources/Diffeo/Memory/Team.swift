import CLibrary
import CShims
import Synchronization

/// Some threads that wait for work. Member 0 is the caller; the others live until `end`, which whoever has the team calls
/// before letting it go: members hold it while they look for work, and the last to let go must be none of them.
package final class Team: @unchecked Sendable {
  let size: Int
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private let idle: UnsafeMutablePointer<pthread_cond_t>
  private var threads: [pthread_t] = []
  /// A child that was forked has the team, but not its threads.
  private let process = getpid()
  /// What to do in the present round; nil: to end. Written when all have done that of the round before.
  private var job: Job?
  /// Of the host, whose functions members may call.
  private var environment = cshims_environment_of_host()
  private let round = Atomic<Int>(0)
  private let busy = Atomic<Int>(0)
  // Who has spun in vain sleeps, and says so before it looks a last time; who changes what it waits for does that before it
  // looks whether somebody sleeps. Nobody takes the lock, nor is woken by the system, while all are quick.
  private let sleepers = Atomic<Int>(0)
  private let callerSleeps = Atomic<Bool>(false)

  /// What a new thread is told: which team, which member.
  private final class Start {
    let team: Unmanaged<Team>
    let member: Int
    init(_ team: Unmanaged<Team>, _ member: Int) {
      self.team = team
      self.member = member
    }
  }

  init(size: Int) throws(DiffeoError) {
    self.size = size
    lock = .allocate(capacity: 1)
    wake = .allocate(capacity: 1)
    idle = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(wake, nil)
    pthread_cond_init(idle, nil)
    for member in 1..<max(size, 1) {
      // The threads are given the team unretained: they end before it goes.
      let start = Unmanaged.passRetained(Start(Unmanaged.passUnretained(self), member))
      var thread = pthread_t()
      let failed = pthread_create(
        &thread, nil,
        { argument in
          if let argument {
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            start.team._withUnsafeGuaranteedRef { $0.work(start.member) }
          }
          return nil
        }, start.toOpaque())
      if failed != 0 {
        start.release()
        end()
        throw DiffeoError(.memory, "could not start thread \(member + 1) of \(size)")
      }
      threads.append(thread)
      cshims_name_thread(thread, "diffeo \(member)")
    }
  }

  /// Keeps the threads, but for the caller's, on these processors.
  func pin(_ processors: [Int]) throws(DiffeoError) {
    for (i, thread) in threads.enumerated() {
      let processor = processors[i % processors.count]
      switch cshims_pin_thread(thread, Int32(clamping: processor)) {
      case 0: break
      case 1: throw DiffeoError(.invalid, "this process may not run on processor \(processor)")
      default: throw DiffeoError(.unsupported, "this system keeps no thread on a processor")
      }
    }
  }

  /// What to run, as a pointer to the data of the caller and a function that captures nothing: a closure that captures
  /// would be allocated, and one that must not escape may not be handed to other threads.
  package struct Job {
    let data: UnsafeRawPointer
    let run: (_ data: UnsafeRawPointer, _ member: Int) -> Void

    package func callAsFunction(_ member: Int) { run(data, member) }
  }

  /// Runs the job on every member at once and returns when all are done.
  func run(_ job: Job) {
    busy.store(size - 1, ordering: .relaxed)
    begin(job)
    job.run(job.data, 0)
    if spin(until: { busy.load(ordering: .acquiring) == 0 }) { return }
    pthread_mutex_lock(lock)
    callerSleeps.store(true, ordering: .sequentiallyConsistent)
    while busy.load(ordering: .sequentiallyConsistent) > 0 { pthread_cond_wait(idle, lock) }
    callerSleeps.store(false, ordering: .relaxed)
    pthread_mutex_unlock(lock)
  }

  private func begin(_ job: Job?) {
    self.job = job
    environment = cshims_environment_of_host()
    round.wrappingAdd(1, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) == 0 { return }
    pthread_mutex_lock(lock)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(lock)
  }

  private func work(_ member: Int) {
    var seen = 0
    while true {
      if !spin(until: { round.load(ordering: .acquiring) != seen }) { sleep(seen) }
      seen += 1
      guard let job else { return }
      cshims_environment_adopt(environment)
      job.run(job.data, member)
      if busy.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0,
        callerSleeps.load(ordering: .sequentiallyConsistent)
      {
        pthread_mutex_lock(lock)
        pthread_cond_signal(idle)
        pthread_mutex_unlock(lock)
      }
    }
  }

  /// Until the round is another one.
  private func sleep(_ seen: Int) {
    pthread_mutex_lock(lock)
    sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
    while round.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(wake, lock) }
    sleepers.wrappingSubtract(1, ordering: .relaxed)
    pthread_mutex_unlock(lock)
  }

  /// Once, when no job runs.
  func end() {
    if getpid() != process { return }
    begin(nil)
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  deinit {
    if getpid() != process { return }
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(wake)
    pthread_cond_destroy(idle)
    lock.deallocate()
    wake.deallocate()
    idle.deallocate()
  }
}
