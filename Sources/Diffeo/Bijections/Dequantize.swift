import CLibrary
import KernelInterface

/// z = x / levels: counts 0 to levels - 1, to which training adds uniform noise, to [0, 1); or z = x, of counts without
/// end. Of all columns, with the same levels, or of some, each with its own; the others pass unchanged. Uniform
/// dequantisation, Theis, van den Oord and Bethge 2016.
struct DequantizeSpec: ColumnwiseSpec {
  static let kind = "dequantize"
  typealias F32 = Dequantize<Float>
  typealias F64 = Dequantize<Double>

  let dim: Int
  /// Those that are counts, ascending.
  let columns: [Int]
  /// Of each of them; 0 without end.
  let levels: [Int]
  /// Whether it is of all columns, and its record has no list of them.
  private let whole: Bool

  /// Up to so many levels, all are numbers of float32.
  static let maxLevels = 1 << 24

  /// Whether a number is one that the layer is for.
  static func isCount<T: Scalar>(_ value: T, levels: Int) -> Bool {
    value >= 0 && value < (levels == 0 ? T.infinity : T(levels)) && value == value.rounded(.down)
  }

  /// In words.
  static func counts(levels: Int) -> String { levels == 0 ? "integers from 0 on" : "integers 0 to \(levels - 1)" }

  /// All columns.
  init(dim: Int, levels: Int) throws(DiffeoError) {
    try Limit.check("dequantize.levels", levels)
    self.dim = dim
    columns = Array(0..<dim)
    self.levels = columns.map { _ in levels }
    whole = true
  }

  /// levels: one for each of the columns.
  init(dim: Int, columns: [Int], levels: [Int]) throws(DiffeoError) {
    try DequantizeSpec.check(columns, dim: dim)
    guard levels.count == columns.count else {
      throw DiffeoError(.invalid, "\(columns.count) columns have \(levels.count) values of levels: they need one each")
    }
    for (column, levels) in zip(columns, levels) {
      try Limit.check("dequantize.levels", levels, name: "levels of column \(column)")
    }
    self.dim = dim
    self.columns = columns
    self.levels = levels
    whole = false
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    if record["columns"] == nil {
      try self.init(dim: dim, levels: record.int("levels"))
    } else {
      try self.init(dim: dim, columns: record.ints("columns"), levels: record.ints("levels"))
    }
  }

  var record: Record {
    var record = Record(kind: DequantizeSpec.kind)
    if whole {
      record["levels"] = .int(levels[0])
    } else {
      record["columns"] = .ints(columns)
      record["levels"] = .ints(levels)
    }
    return record
  }

  var slots: [ParameterSlot] { [] }

  func preimages(of z: [Interval]) -> [Interval?] { z.replacing(columns) { _ in .line } }
  func images(of x: [Interval]) -> [Interval?] { preimages(of: x) }

  var summary: String {
    let known = Set(levels)
    let text = known.count > 1 ? "by column" : levels[0] == 0 ? "without end" : "\(levels[0]) levels"
    return whole ? text : "\(text), of \(columnsInWords)"
  }
}

struct Dequantize<S: Scalar>: Bijection {
  private let columns: UnsafePointer<Int32>
  private let columnCount: Int
  /// What each of them is divided by.
  private let levels: UnsafePointer<S>
  private let hasEnd: UnsafePointer<Bool>
  private let logDet: Double

  init(_ spec: DequantizeSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    columns = try pool.copy(spec.columns.map { Int32($0) })
    columnCount = spec.columns.count
    let divisors = spec.levels.map { max($0, 1) }
    levels = try pool.copy(divisors.map { S($0) })
    hasEnd = try pool.copy(spec.levels.map { $0 > 0 })
    logDet = -divisors.reduce(0) { $0 + log(Double($1)) }
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let noise = pass.noise
    try replace(&pass, logDet) { x, z, i, places in
      if let noise {
        // Below the next count, where rounding would not leave it so, or the end of all; what is beyond stays there.
        let (levels, end) = (levels[i], hasEnd[i])
        for p in places {
          let limit = max(x[p] / levels, end ? S(1).nextDown : (x[p] + 1).nextDown)
          z[p] = min((x[p] + noise[p]) / levels, limit)
        }
      } else {
        for p in places { z[p] = x[p] / levels[i] }
      }
    }
    return Tape()
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try replace(&pass, -logDet) { z, x, i, places in
      for p in places { x[p] = z[p] * levels[i] }
    }
    return Tape()
  }

  /// Calls body with each of the columns, by its number, and its places in the tile.
  @inline(__always)
  private func replace(
    _ pass: inout Pass<S>, _ logDet: Double,
    _ body: (_ x: UnsafeMutablePointer<S>, _ y: UnsafeMutablePointer<S>, _ i: Int, _ places: Range<Int>) -> Void
  ) throws(DiffeoError) {
    let (count, stride) = (pass.count, pass.stride)
    try pass.replace { x, y in
      if columnCount * stride < count { y.update(from: x, count: count) }
      for i in 0..<columnCount {
        let first = Int(columns[i]) * stride
        body(x, y, i, first..<first + stride)
      }
    }
    for r in 0..<stride { pass.logDet[r] += logDet }
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<columnCount {
      let row = Int(columns[i]) * adjoint.stride
      for r in row..<row + adjoint.stride { adjoint.g[r] /= levels[i] }
    }
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<columnCount {
      let row = Int(columns[i]) * adjoint.stride
      for r in row..<row + adjoint.stride { adjoint.g[r] *= levels[i] }
    }
  }
}
