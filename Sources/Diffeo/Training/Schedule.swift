import CLibrary

/// The learning rate over a training.
protocol RateSchedule {
  /// In step number `step` (0 is the first) of `total`.
  func rate(step: Int, of total: Double) -> Double
}

struct ConstantRate: RateSchedule {
  let rate: Double

  func rate(step: Int, of total: Double) -> Double { rate }
}

/// To 0 in the last step.
struct CosineRate: RateSchedule {
  let first: Double

  func rate(step: Int, of total: Double) -> Double {
    first * 0.5 * (1 + cos(Double.pi * Double(step) / max(total, 1)))
  }
}

extension TrainOptions {
  var rates: any RateSchedule {
    switch schedule {
    case .constant: ConstantRate(rate: learningRate)
    case .cosine: CosineRate(first: learningRate)
    }
  }
}
