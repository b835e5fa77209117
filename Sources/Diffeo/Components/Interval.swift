/// Numbers from low to high, infinite where there is no end. Whether the ends are among them makes no difference here.
struct Interval: Equatable, Sendable, CustomStringConvertible {
  let low: Double
  let high: Double

  init(_ low: Double, _ high: Double) {
    self.low = low
    self.high = high
  }

  static let line = Interval(-.infinity, .infinity)

  func contains(_ other: Interval) -> Bool { low <= other.low && other.high <= high }

  var description: String {
    switch (low.isFinite, high.isFinite) {
    case (true, true): "\(low) to \(high)"
    case (true, false): "\(low) to infinity"
    case (false, true): "minus infinity to \(high)"
    case (false, false): "the whole line"
    }
  }
}

extension [Interval] {
  /// With other intervals for some columns.
  func replacing(_ columns: some Sequence<Int>, _ other: (Interval) -> Interval?) -> [Interval?] {
    var result = [Interval?](self)
    for i in columns { result[i] = other(self[i]) }
    return result
  }
}
