import CLibrary
import CShims

/// Numbered things that are made before somebody needs them, by a thread of its own. Number n is in slot n modulo their
/// count, so that making the next one ends only what lies that many numbers back.
///
/// The thread works while `goesOn`, between two calls of `isWanted` of what it runs, and else only if somebody waits: so
/// whoever reads on its behalf is left alone when no call of the library runs. Whoever has this calls `end` before letting
/// it go: the thread holds it while it works, and must not be the last to let go.
final class ReadAhead<Slot, Job>: @unchecked Sendable {
  typealias Make = (_ job: Job, _ slot: Slot, _ isWanted: () -> Bool) throws(DiffeoError) -> Void

  private enum State {
    case nothing
    case waiting(Job)
    case made
    case failed(DiffeoError)
  }

  private let slots: [Slot]
  private let make: Make
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private var thread: pthread_t?
  /// A child that was forked has no such thread, and perhaps a lock that nobody will open.
  private let process = getpid()
  // Under the lock, by slot.
  private var numbers: [Int]
  private var states: [State]
  /// The number that the thread has been asked for, or makes.
  private var asked: Int?
  private var isBusy = false
  private var isMadeByCaller = false
  private var isOpen = false
  private var waiters = 0
  private var quit = false
  /// In which the host's functions run that it calls: that of who has asked last.
  private var environment = cshims_environment_of_host()

  /// make fills a slot. It calls isWanted between pieces of its work, which may take its time; false: it is to give up.
  init(slots: [Slot], make: @escaping Make) {
    self.slots = slots
    self.make = make
    numbers = slots.map { _ in -1 }
    states = slots.map { _ in .nothing }
    lock = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(changed, nil)
  }

  /// Whether the thread may work ahead. When it has been set to false, the thread is at rest.
  var goesOn: Bool {
    get { locked { isOpen } }
    set {
      locked {
        isOpen = newValue
        pthread_cond_broadcast(changed)
        while !isOpen, isBusy { pthread_cond_wait(changed, lock) }
      }
    }
  }

  /// The slot with number n, when it is made; the following one is begun.
  func take(_ n: Int, _ job: Job, following: @autoclosure () -> (number: Int, job: Job)?) throws(DiffeoError) -> Slot {
    let i = n % slots.count
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    environment = cshims_environment_of_host()
    while true {
      if numbers[i] == n, case .made = states[i] { break }
      if numbers[i] == n, case .failed(let error) = states[i] {
        // Whoever asks again has it tried again.
        numbers[i] = -1
        throw error
      }
      if asked == nil {
        (numbers[i], states[i], asked) = (n, .waiting(job), n)
        if isOpen { try start() } else { makeHere(i) }
      } else {
        waiters += 1
        pthread_cond_broadcast(changed)
        pthread_cond_wait(changed, lock)
        waiters -= 1
      }
    }
    if isOpen, asked == nil, let next = following() {
      let i = next.number % slots.count
      if numbers[i] != next.number {
        (numbers[i], states[i], asked) = (next.number, .waiting(next.job), next.number)
        try start()
      }
    }
    return slots[i]
  }

  /// The slot with number n if it is made.
  func made(_ n: Int) -> Slot? {
    locked {
      let i = n % slots.count
      if numbers[i] == n, case .made = states[i] { return slots[i] }
      return nil
    }
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }

  /// In the thread of the caller: nobody may work ahead. Under the lock, which it leaves for a while.
  private func makeHere(_ i: Int) {
    guard case .waiting(let job) = states[i] else { return }
    isMadeByCaller = true
    pthread_mutex_unlock(lock)
    var state = State.made
    do throws(DiffeoError) { try make(job, slots[i], { true }) } catch { state = .failed(error) }
    pthread_mutex_lock(lock)
    (states[i], asked, isMadeByCaller) = (state, nil, false)
    pthread_cond_broadcast(changed)
  }

  private func start() throws(DiffeoError) {
    pthread_cond_broadcast(changed)
    if thread != nil { return }
    var made = pthread_t()
    // It is given this unretained: it ends before this goes.
    let failed = pthread_create(
      &made, nil,
      { argument in
        if let argument {
          Unmanaged<AnyObject>.fromOpaque(argument)._withUnsafeGuaranteedRef { ($0 as? any Working)?.work() }
        }
        return nil
      }, Unmanaged<AnyObject>.passUnretained(self).toOpaque())
    guard failed == 0 else {
      if let asked { numbers[asked % slots.count] = -1 }
      asked = nil
      throw DiffeoError(.memory, "could not start the thread that reads ahead")
    }
    thread = made
  }

  private var mayWork: Bool { isOpen || waiters > 0 }

  fileprivate func work() {
    pthread_mutex_lock(lock)
    while true {
      while !quit, asked == nil || isMadeByCaller || !mayWork { pthread_cond_wait(changed, lock) }
      guard !quit, let number = asked else { break }
      let i = number % slots.count
      guard case .waiting(let job) = states[i] else { break }
      isBusy = true
      cshims_environment_adopt(environment)
      pthread_mutex_unlock(lock)
      var state = State.made
      do throws(DiffeoError) { try make(job, slots[i], { self.rest() }) } catch { state = .failed(error) }
      pthread_mutex_lock(lock)
      (states[i], asked, isBusy) = (state, nil, false)
      pthread_cond_broadcast(changed)
    }
    pthread_mutex_unlock(lock)
  }

  /// Between two pieces of work; false if there is to be no other.
  private func rest() -> Bool {
    locked {
      while !quit, !mayWork {
        isBusy = false
        pthread_cond_broadcast(changed)
        pthread_cond_wait(changed, lock)
      }
      isBusy = true
      return !quit
    }
  }

  /// Once, when nobody waits.
  func end() {
    if getpid() != process { return }
    locked {
      quit = true
      pthread_cond_broadcast(changed)
    }
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }

  deinit {
    if getpid() != process { return }
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(changed)
    lock.deallocate()
    changed.deallocate()
  }
}

/// For the function of a thread, which knows no generic types.
private protocol Working: AnyObject { func work() }
extension ReadAhead: Working {}
