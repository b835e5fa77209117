/// The log-likelihoods of rows, one after the other: their mean, and what one row cannot rule.
struct RowScores {
  private(set) var worst = Double.infinity
  /// What the caller knows the worst row by; -1 before there is one.
  private(set) var worstRow = -1
  private var sum = 0.0
  private var weights = 0.0
  /// The worst rows so far, which the robust mean leaves out: a heap, the best of them first.
  private var left: [(value: Double, weight: Double)] = []
  private let leftCount: Int
  private var kept = 0.0
  private var keptWeights = 0.0

  /// rows: how many will come; a thousandth of them, rounded up, is left out.
  init(rows: Int) {
    leftCount = (rows + 999) / 1000
    left.reserveCapacity(leftCount)
  }

  var mean: Double { sum / weights }

  /// Without the worst rows; as the mean where there are no others.
  var robustMean: Double { keptWeights == 0 ? mean : kept / keptWeights }

  func value(_ judge: TrainOptions.Judge) -> Double {
    switch judge {
    case .mean: mean
    case .robust: robustMean
    }
  }

  /// NaN counts as worst of all.
  mutating func add(_ value: Double, weight: Double, row: @autoclosure () -> Int) {
    sum += weight * value
    weights += weight
    let rank = value.isNaN ? -Double.infinity : value
    if rank < worst || worstRow < 0 {
      worst = rank
      worstRow = row()
    }
    if left.count < leftCount {
      left.append((rank, weight))
      rise(left.count - 1)
    } else if let best = left.first, rank < best.value {
      keep(best.value, best.weight)
      left[0] = (rank, weight)
      sink()
    } else {
      keep(rank, weight)
    }
  }

  private mutating func keep(_ value: Double, _ weight: Double) {
    kept += weight * value
    keptWeights += weight
  }

  private mutating func rise(_ from: Int) {
    var i = from
    while i > 0, left[i].value > left[(i - 1) / 2].value {
      left.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  private mutating func sink() {
    var i = 0
    while 2 * i + 1 < left.count {
      var child = 2 * i + 1
      if child + 1 < left.count, left[child + 1].value > left[child].value { child += 1 }
      if left[i].value >= left[child].value { return }
      left.swapAt(i, child)
      i = child
    }
  }
}
