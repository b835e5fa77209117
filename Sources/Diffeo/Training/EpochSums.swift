import CLibrary

/// What an epoch has come to so far.
struct EpochSums {
  /// As seen while training.
  var scores: RowScores
  private(set) var rows = 0
  private(set) var finiteSteps = 0
  var seconds = 0.0

  /// rows: of the whole epoch.
  init(rows: Int) { scores = RowScores(rows: rows) }

  mutating func add(rows: Int) { self.rows += rows }

  mutating func addFiniteStep() { finiteSteps += 1 }
}

/// Of a clock that never goes back.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}
