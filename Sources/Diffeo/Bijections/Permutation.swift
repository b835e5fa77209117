import KernelInterface

/// z_i = x_{permutation[i]}, by channel.
struct PermutationSpec: BijectionSpec {
  static let kind = "permutation"
  typealias F32 = Permutation<Float>
  typealias F64 = Permutation<Double>

  private let dim: Int
  let map: FeatureMap
  let permutation: [Int]

  init(_ permutation: [Int], _ map: FeatureMap, dim: Int) throws(DiffeoError) {
    try PermutationSpec.check(permutation, map)
    self.dim = dim
    self.map = map
    self.permutation = permutation
  }

  static func check(_ permutation: [Int], _ map: FeatureMap) throws(DiffeoError) {
    guard isPermutation(permutation, map.channels) else {
      throw DiffeoError(
        .invalid,
        "a permutation must name each of the \(map.places == 1 ? "columns" : "channels") 0 to \(map.channels - 1) once")
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(record.ints("permutation"), FeatureMap(record, dim: dim), dim: dim)
  }

  var record: Record {
    var record = Record(kind: PermutationSpec.kind)
    map.describe(&record, dim: dim)
    record["permutation"] = .ints(permutation)
    return record
  }

  var slots: [ParameterSlot] { [] }

  var summary: String {
    (permutation == Array(permutation.indices.reversed())
      ? "reversed"
      : permutation.count <= 12 ? permutation.map(String.init).joined(separator: " ") : "given") + map.summary
  }

  /// z_i = x_{sources[i]}, all columns of a row.
  var sources: [Int32] {
    var sources = Array(0..<Int32(dim))
    for (c, from) in permutation.enumerated() {
      for p in 0..<map.places { sources[map.start + c * map.places + p] = Int32(map.start + from * map.places + p) }
    }
    return sources
  }
}

struct Permutation<S: Scalar>: Bijection {
  private let columns: ColumnMove<S>

  init(_ spec: PermutationSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    columns = try ColumnMove(spec.sources, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try columns.forward(&pass)
    return Tape()
  }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try columns.inverse(&pass)
    return Tape()
  }
  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) { try columns.inverse(&adjoint) }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) { try columns.forward(&adjoint) }
}

/// Columns change places: what layers without numbers are made of. Neighbours that stay together move together.
struct ColumnMove<S: Scalar>: BitwiseCopyable {
  private struct Run: BitwiseCopyable {
    let from: Int
    let to: Int
    let count: Int
  }
  private let runs: UnsafePointer<Run>
  private let runCount: Int

  /// z_i = x_{sources[i]}
  init(_ sources: [Int32], pool: Pool) throws(DiffeoError) {
    var runs: [Run] = []
    for (to, from) in sources.enumerated() {
      if let last = runs.last, last.from + last.count == Int(from) {
        runs[runs.count - 1] = Run(from: last.from, to: last.to, count: last.count + 1)
      } else {
        runs.append(Run(from: Int(from), to: to, count: 1))
      }
    }
    self.runs = try pool.copy(runs)
    runCount = runs.count
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) {
    let stride = pass.stride
    try pass.replace { x, z in
      for i in 0..<runCount {
        Tiling.copy(runs[i].count * stride, x + runs[i].from * stride, z + runs[i].to * stride)
      }
    }
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) {
    let stride = pass.stride
    try pass.replace { z, x in
      for i in 0..<runCount {
        Tiling.copy(runs[i].count * stride, z + runs[i].to * stride, x + runs[i].from * stride)
      }
    }
  }

  func forward(_ adjoint: inout Adjoint<S>) throws(DiffeoError) {
    try move(adjoint) { copy, g, run, stride in
      (g + run.to * stride).update(from: copy + run.from * stride, count: run.count * stride)
    }
  }

  func inverse(_ adjoint: inout Adjoint<S>) throws(DiffeoError) {
    try move(adjoint) { copy, g, run, stride in
      (g + run.from * stride).update(from: copy + run.to * stride, count: run.count * stride)
    }
  }

  @inline(__always)
  private func move(
    _ adjoint: Adjoint<S>, _ body: (UnsafePointer<S>, UnsafeMutablePointer<S>, Run, Int) -> Void
  ) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let copy = try scratch.take(adjoint.count, of: S.self)
    copy.update(from: adjoint.g, count: adjoint.count)
    for i in 0..<runCount { body(copy, adjoint.g, runs[i], adjoint.stride) }
    scratch.release(to: mark)
  }
}
