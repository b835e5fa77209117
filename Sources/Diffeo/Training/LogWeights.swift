import CLibrary

/// log p(x) - log q(x) of draws from q, as weights of importance sampling.
struct LogWeights: Resumable {
  /// The latest, at most so many.
  static let most = 1 << 16
  private(set) var values: [Double] = []
  private var next = 0
  /// As they were when `summarise` was called.
  private(set) var summary = Summary(logEvidence: .nan, effectiveSize: .nan, paretoK: .nan)

  struct Summary {
    var logEvidence, effectiveSize, paretoK: Double
  }

  mutating func summarise() {
    summary = Summary(logEvidence: logEvidence, effectiveSize: effectiveSize, paretoK: paretoK)
  }

  mutating func removeAll() {
    values.removeAll(keepingCapacity: true)
    next = 0
  }

  mutating func add(_ value: Double) {
    if values.count < Self.most {
      values.append(value)
    } else {
      values[next] = value
      next = (next + 1) % Self.most
    }
  }

  func save(to table: inout NumberTable) {
    table.set("log_weights", values)
    table.set("log_weights_next", next)
    table.set("log_weights_summary", [summary.logEvidence, summary.effectiveSize, summary.paretoK])
  }

  mutating func restore(from table: NumberTable) throws(DiffeoError) {
    let (list, place) = (try table.list("log_weights"), try table.count("log_weights_next"))
    let three = try table.list("log_weights_summary")
    guard list.count <= Self.most, place < Self.most, three.count == 3 else {
      throw DiffeoError(.format, "'log_weights' of the checkpoint has \(list.count) numbers, \(Self.most) are possible")
    }
    (values, next) = (list, place)
    summary = Summary(logEvidence: three[0], effectiveSize: three[1], paretoK: three[2])
  }

  // MARK: - What they come to. NaN counts as weight 0.

  private var top: Double { values.reduce(-.infinity) { $1 > $0 ? $1 : $0 } }

  /// Their mean, the evidence lower bound, and its standard error.
  var mean: (value: Double, error: Double) {
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (mean, (squares / (n - 1) / n).squareRoot())
  }

  /// log of the mean weight.
  private var logEvidence: Double {
    let top = top
    if !top.isFinite { return top }
    return top + log(values.reduce(0) { $0 + ($1.isNaN ? 0 : exp($1 - top)) } / Double(values.count))
  }

  /// (sum of weights)^2 / sum of their squares (Kong 1992).
  private var effectiveSize: Double {
    let top = top
    if !top.isFinite { return .nan }
    let weights = values.map { $0.isNaN ? 0 : exp($0 - top) }
    let sum = weights.reduce(0, +)
    return sum * sum / weights.reduce(0) { $0 + $1 * $1 }
  }

  /// k-hat: the shape of a generalised Pareto distribution that fits the largest weights (Vehtari, Simpson, Gelman, Yao and
  /// Gabry 2024), by the estimator of Zhang and Stephens (2009) with the prior of the former.
  private var paretoK: Double {
    let top = top
    let n = values.count
    let size = Int(min(Double(n) / 5, 3 * Double(n).squareRoot()).rounded(.up))
    if n < 25 || !top.isFinite { return .nan }
    let weights = values.map { $0.isNaN ? 0 : exp($0 - top) }.sorted()
    let cut = weights[n - size - 1]
    let excesses = weights.suffix(size).map { $0 - cut }.filter { $0 > 0 }
    if excesses.count < 5 { return -.infinity }
    // A weak prior that k is 0.5, worth ten draws.
    let count = Double(excesses.count)
    return (count * Self.paretoShape(excesses) + 10 * 0.5) / (count + 10)
  }

  /// Of ascending numbers above 0, by a mean over a grid, weighted by profile likelihood.
  private static func paretoShape(_ x: [Double]) -> Double {
    let n = Double(x.count)
    let points = 30 + Int(n.squareRoot())
    let quartile = x[Int(n / 4 + 0.5) - 1]
    // Of theta, minus the shape over the scale.
    var grid: [Double] = []
    for j in 1...points {
      let step = (Double(points) / (Double(j) - 0.5)).squareRoot()
      grid.append(1 / x[x.count - 1] + (1 - step) / (3 * quartile))
    }
    func shape(_ theta: Double) -> Double {
      var sum = 0.0
      for value in x { sum += log1p(-theta * value) }
      return sum / n
    }
    let likelihoods: [Double] = grid.map { theta in
      let k = shape(theta)
      return n * (log(-theta / k) - k - 1)
    }
    let top = likelihoods.max() ?? 0
    var (sum, total) = (0.0, 0.0)
    for (theta, likelihood) in zip(grid, likelihoods) {
      let weight = exp(likelihood - top)
      sum += theta * weight
      total += weight
    }
    return shape(sum / total)
  }
}
