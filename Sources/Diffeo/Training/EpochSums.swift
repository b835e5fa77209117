import CLibrary

/// What an epoch has come to so far.
struct EpochSums {
  private(set) var rows = 0
  private(set) var finiteSteps = 0
  var seconds = 0.0
  private var objective = 0.0

  /// Over the rows, as seen while training.
  var mean: Double { objective / Double(rows) }

  mutating func add(rows: Int, objective: Double) {
    self.rows += rows
    self.objective += objective
  }

  mutating func addFiniteStep() { finiteSteps += 1 }
}

/// Of a clock that never goes back.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}
