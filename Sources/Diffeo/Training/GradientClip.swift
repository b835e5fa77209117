/// How far a gradient is cut: to a norm of the caller's, and to a quantile of the latest norms (AutoClip, Seetharaman et
/// al. 2020), which goes with the flow and the data: a norm that suits one cuts every step of another.
struct GradientClip {
  private static var window: Int { 256 }
  /// Of fewer norms no quantile is taken.
  private static var least: Int { 8 }

  private let norm: Double
  private let quantile: Double
  /// Uncut, in the order in which they came, and sorted.
  private var latest: [Double] = []
  private var sorted: [Double] = []

  /// 0 for either: not.
  init(norm: Double, quantile: Double) {
    self.norm = norm
    self.quantile = quantile
  }

  /// What a gradient of this norm, the next one, is multiplied by.
  mutating func factor(_ next: Double) -> Double {
    var limit = norm > 0 ? norm : .infinity
    if quantile > 0 {
      if sorted.count >= Self.least { limit = min(limit, sorted[Int(quantile * Double(sorted.count))]) }
      remember(next)
    }
    return next > limit ? limit / next : 1
  }

  private mutating func remember(_ next: Double) {
    if latest.count == Self.window { sorted.remove(at: place(of: latest.removeFirst())) }
    latest.append(next)
    sorted.insert(next, at: place(of: next))
  }

  /// The first that is not below.
  private func place(of value: Double) -> Int {
    var (low, high) = (0, sorted.count)
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
