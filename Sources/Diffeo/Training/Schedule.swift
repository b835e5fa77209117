import CLibrary

/// What the learning rate is multiplied by over a training.
protocol RateSchedule: Resumable {
  /// In step number `step` (0 is the first) of `total`, in epoch number `epoch`.
  func factor(step: Int, of total: Double, epoch: Int) -> Double

  /// better: the best weights so far are of this epoch.
  mutating func endEpoch(better: Bool)
}

extension RateSchedule {
  mutating func endEpoch(better: Bool) {}

  // Of most, the step and the epoch are all there is.
  func save(to table: inout NumberTable) {}
  mutating func restore(from table: NumberTable) throws(DiffeoError) {}
}

struct ConstantRate: RateSchedule {
  func factor(step: Int, of total: Double, epoch: Int) -> Double { 1 }
}

/// To 0 in the last step, and no further.
struct CosineRate: RateSchedule {
  func factor(step: Int, of total: Double, epoch: Int) -> Double {
    0.5 * (1 + cos(Double.pi * min(Double(step) / max(total, 1), 1)))
  }
}

/// Falls by the same factor after each epoch.
struct ExponentialRate: RateSchedule {
  let decay: Double

  func factor(step: Int, of total: Double, epoch: Int) -> Double { pow(decay, Double(epoch)) }
}

/// Falls when there was nothing better for some epochs, which are then counted anew.
struct PlateauRate: RateSchedule {
  let decay: Double
  let patience: Int
  private var present = 1.0
  private var waited = 0

  init(decay: Double, patience: Int) {
    self.decay = decay
    self.patience = patience
  }

  func factor(step: Int, of total: Double, epoch: Int) -> Double { present }

  mutating func endEpoch(better: Bool) {
    waited = better ? 0 : waited + 1
    if waited < patience { return }
    present *= decay
    waited = 0
  }

  func save(to table: inout NumberTable) {
    table.set("plateau_factor", present)
    table.set("plateau_waited", waited)
  }

  mutating func restore(from table: NumberTable) throws(DiffeoError) {
    present = try table.number("plateau_factor")
    waited = try table.count("plateau_waited")
  }
}

/// Rises in a line, and goes on as another schedule does.
struct WarmUp: RateSchedule {
  let steps: Int
  var schedule: any RateSchedule

  func factor(step: Int, of total: Double, epoch: Int) -> Double {
    min(1, Double(step + 1) / Double(steps)) * schedule.factor(step: step, of: total, epoch: epoch)
  }

  mutating func endEpoch(better: Bool) { schedule.endEpoch(better: better) }

  func save(to table: inout NumberTable) { schedule.save(to: &table) }
  mutating func restore(from table: NumberTable) throws(DiffeoError) { try schedule.restore(from: table) }
}

extension TrainOptions {
  var rates: any RateSchedule {
    let rates: any RateSchedule =
      switch schedule {
      case .constant: ConstantRate()
      case .cosine: CosineRate()
      case .exponential: ExponentialRate(decay: rateDecay)
      case .plateau: PlateauRate(decay: rateDecay, patience: plateauPatience)
      }
    return warmupSteps > 0 ? WarmUp(steps: warmupSteps, schedule: rates) : rates
  }
}
