import CLibrary
import KernelInterface

/// Angles: z = low + ((x + shift - low) mod (high - low)), which takes every x into [low, high) and turns each column by
/// a trained angle. The inverse turns back and wraps likewise. The log-determinant is 0. Of all columns, with one turn, or
/// of some, each with its own; the others pass unchanged.
struct WrapSpec: ColumnwiseSpec {
  static let kind = "wrap"
  typealias F32 = Wrap<Float>
  typealias F64 = Wrap<Double>

  let dim: Int
  /// Those that are wrapped, ascending.
  let columns: [Int]
  /// The turn of all; nil where each has its own, which are parameters as those of a domain.
  let turn: Interval?
  /// What a new flow begins with, one a column: the turns, and what it turns by.
  private let low: [Double]
  private let high: [Double]
  private let shift: [Double]

  /// All columns.
  init(dim: Int, low: Double, high: Double, shift: [Double]? = nil) throws(DiffeoError) {
    try WrapSpec.check(low, high)
    let all = Array(0..<dim)
    self.init(
      dim: dim, columns: all, turn: Interval(low, high), low: all.map { _ in low }, high: all.map { _ in high },
      shift: shift)
  }

  /// low, high and shift: one for each of the columns.
  init(dim: Int, columns: [Int], low: [Double], high: [Double], shift: [Double]? = nil) throws(DiffeoError) {
    try WrapSpec.check(columns, dim: dim)
    for (i, column) in columns.enumerated() { try WrapSpec.check(low[i], high[i], column) }
    self.init(dim: dim, columns: columns, turn: nil, low: low, high: high, shift: shift)
  }

  private init(dim: Int, columns: [Int], turn: Interval?, low: [Double], high: [Double], shift: [Double]? = nil) {
    self.dim = dim
    self.columns = columns
    self.turn = turn
    self.low = low
    self.high = high
    self.shift = shift ?? columns.map { _ in 0 }
  }

  private static func check(_ low: Double, _ high: Double, _ column: Int? = nil) throws(DiffeoError) {
    guard low < high, (high - low).isFinite else {
      let which = column.map { " of column \($0)" } ?? ""
      throw DiffeoError(
        .invalid, "low and high\(which) are \(low) and \(high): high must be above low, by a finite number")
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    if record["columns"] == nil {
      try self.init(dim: dim, low: record.double("low"), high: record.double("high"))
    } else {
      // Their turns are not known yet.
      let columns = try record.ints("columns")
      try WrapSpec.check(columns, dim: dim)
      self.init(
        dim: dim, columns: columns, turn: nil, low: columns.map { _ in -.infinity },
        high: columns.map { _ in .infinity })
    }
  }

  var record: Record {
    var record = Record(kind: WrapSpec.kind)
    if let turn {
      record["low"] = .double(turn.low)
      record["high"] = .double(turn.high)
    } else {
      record["columns"] = .ints(columns)
    }
    return record
  }

  var slots: [ParameterSlot] {
    let ends = turn == nil ? ["low", "high"] : []
    return ends.map { ParameterSlot($0, [columns.count], .constant) } + [
      ParameterSlot("shift", [columns.count], .vector)
    ]
  }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    let ends = turn == nil ? low + high : []
    for (i, value) in (ends + shift).enumerated() { parameters[i] = S(value) }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    for (i, column) in columns.enumerated() {
      let (low, high) = turn.map { (S($0.low), S($0.high)) } ?? (parameters[i], parameters[columns.count + i])
      guard low < high, (high - low).isFinite else {
        let (given, which) =
          turn.map { ("\($0.low) and \($0.high)", "") } ?? ("\(low) and \(high)", " of column \(column)")
        throw DiffeoError(
          .invalid, "low and high\(which) are \(given): \(S.dtype.name), the dtype of this flow, cannot tell them apart"
        )
      }
    }
  }

  func preimages(of z: [Interval]) -> [Interval?] {
    var x = [Interval?](z)
    for (i, column) in columns.enumerated() {
      let turn = Interval(low[i], high[i])
      x[column] = turn.contains(z[column]) ? turn : nil
    }
    return x
  }
  func images(of x: [Interval]) -> [Interval?] { preimages(of: x) }

  var summary: String { turn.map { "to [\($0.low), \($0.high))" } ?? "of \(columnsInWords)" }
}

struct Wrap<S: Scalar>: Bijection {
  private let offset: Int
  private let slot: Int
  private let columns: UnsafePointer<Int32>
  private let columnCount: Int
  /// Whether the turns are parameters.
  private let hasTurns: Bool
  /// One a column.
  private let low: UnsafeMutablePointer<Double>
  private let high: UnsafeMutablePointer<Double>
  private let shift: UnsafeMutablePointer<S>

  init(_ spec: WrapSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    self.offset = offset
    columns = try pool.copy(spec.columns.map { Int32($0) })
    columnCount = spec.columns.count
    hasTurns = spec.turn == nil
    self.slot = slot + (hasTurns ? 2 : 0)
    low = try pool.take(columnCount)
    high = try pool.take(columnCount)
    shift = try pool.take(columnCount)
    if let turn = spec.turn {
      low.update(repeating: turn.low, count: columnCount)
      high.update(repeating: turn.high, count: columnCount)
    }
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    let own = parameters + offset
    for i in 0..<columnCount where hasTurns {
      low[i] = Double(own[i])
      high[i] = Double(own[columnCount + i])
    }
    shift.update(from: own + (hasTurns ? 2 * columnCount : 0), count: columnCount)
  }

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, sign: 1) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, sign: -1) }

  private func run(_ pass: inout Pass<S>, sign: Double) throws(DiffeoError) -> Tape {
    let (count, stride) = (pass.count, pass.stride)
    try pass.replace { x, y in
      if columnCount * stride < count { y.update(from: x, count: count) }
      for i in 0..<columnCount {
        let (low, high, turn, row) = (low[i], high[i], sign * Double(shift[i]), Int(columns[i]) * stride)
        for r in row..<row + stride { y[r] = Wrap.wrapped(Double(x[r]) + turn, low, high) }
      }
    }
    return Tape()
  }

  @inline(__always)
  private static func wrapped(_ x: Double, _ low: Double, _ high: Double) -> S {
    let period = high - low
    // fmod is exact: only the sums round.
    var rest = fmod(x - low, period)
    if rest < 0 { rest += period }
    let z = S(low + rest)
    // Rounding may have led to the end, which is the beginning.
    return z >= S(high) ? S(low) : z
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, sign: 1)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, sign: -1)
  }

  /// The gradient in x is that in z.
  private func pullback(_ adjoint: inout Adjoint<S>, sign: S) throws(DiffeoError) {
    guard let sink = adjoint.sink else { return }
    let (mark, stride) = (adjoint.scratch.mark, adjoint.stride)
    let gShift = try adjoint.scratch.take(columnCount * stride, of: S.self)
    for i in 0..<columnCount {
      let g = adjoint.g + Int(columns[i]) * stride
      for r in 0..<stride { gShift[i * stride + r] = sign * g[r] }
    }
    sink.sum(slot, gShift, columnCount, stride)
    adjoint.scratch.release(to: mark)
  }
}
