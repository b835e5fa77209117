import CLibrary
import Synchronization

/// Some threads that wait for work. Member 0 is the caller; the others live as long as the team.
final class Team: @unchecked Sendable {
  let size: Int
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private let idle: UnsafeMutablePointer<pthread_cond_t>
  private var threads: [pthread_t] = []
  // Under the lock. `round` is also read without it by a member that spins for a moment before it sleeps.
  private let round = Atomic<Int>(0)
  private let busy = Atomic<Int>(0)
  private var quit = false
  private var job: Job?

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
      // The threads hold the team unretained: deinit ends them before it goes.
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
        throw DiffeoError(.memory, "could not start thread \(member + 1) of \(size)")
      }
      threads.append(thread)
    }
  }

  /// What to run, as a pointer to the data of the caller and a function that captures nothing: a closure that captures
  /// would be allocated, and one that must not escape may not be handed to other threads.
  struct Job {
    let data: UnsafeRawPointer
    let run: (_ data: UnsafeRawPointer, _ member: Int) -> Void
  }

  /// Runs the job on every member at once and returns when all are done.
  func run(_ job: Job) {
    pthread_mutex_lock(lock)
    self.job = job
    busy.store(size - 1, ordering: .relaxed)
    round.wrappingAdd(1, ordering: .releasing)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(lock)
    job.run(job.data, 0)
    var spins = 0
    while busy.load(ordering: .acquiring) > 0, spins < Team.spins { spins += 1 }
    pthread_mutex_lock(lock)
    while busy.load(ordering: .acquiring) > 0 { pthread_cond_wait(idle, lock) }
    self.job = nil
    pthread_mutex_unlock(lock)
  }

  /// About 20 microseconds: the pause between the phases of a training step is shorter than waking a thread.
  private static let spins = 20_000

  private func work(_ member: Int) {
    var seen = 0
    while true {
      var spins = 0
      while round.load(ordering: .acquiring) == seen, spins < Team.spins { spins += 1 }
      pthread_mutex_lock(lock)
      while round.load(ordering: .relaxed) == seen, !quit { pthread_cond_wait(wake, lock) }
      let (job, quit) = (self.job, self.quit)
      seen = round.load(ordering: .relaxed)
      pthread_mutex_unlock(lock)
      if quit { return }
      if let job { job.run(job.data, member) }
      pthread_mutex_lock(lock)
      if busy.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
        pthread_cond_signal(idle)
      }
      pthread_mutex_unlock(lock)
    }
  }

  deinit {
    pthread_mutex_lock(lock)
    quit = true
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(lock)
    for thread in threads { pthread_join(thread, nil) }
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(wake)
    pthread_cond_destroy(idle)
    lock.deallocate()
    wake.deallocate()
    idle.deallocate()
  }
}
