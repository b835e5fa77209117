import KernelInterface

/// A layer in which columns change places, and nothing else: z_i = x_{sources[i]}.
protocol ColumnMoveSpec: BijectionSpec {
  /// All columns of a row.
  var sources: [Int32] { get }
}

extension ColumnMoveSpec {
  var slots: [ParameterSlot] { [] }

  func preimages(of z: [Interval]) -> [Interval?] {
    var x = [Interval?](z)
    for (i, source) in sources.enumerated() { x[Int(source)] = z[i] }
    return x
  }
  func images(of x: [Interval]) -> [Interval?] { sources.map { x[Int($0)] } }
}

/// Such a layer prepared: neighbours that stay together move together.
struct ColumnMove<Spec: ColumnMoveSpec, S: Scalar>: Bijection {
  private struct Run: BitwiseCopyable {
    let from: Int
    let to: Int
    let count: Int
  }
  private let runs: UnsafePointer<Run>
  private let runCount: Int

  init(_ spec: Spec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    var runs: [Run] = []
    for (to, from) in spec.sources.enumerated() {
      if let last = runs.last, last.from + last.count == Int(from) {
        runs[runs.count - 1] = Run(from: last.from, to: last.to, count: last.count + 1)
      } else {
        runs.append(Run(from: Int(from), to: to, count: 1))
      }
    }
    self.runs = try pool.copy(runs)
    runCount = runs.count
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { x, z in move(x, z, stride) }
    return Tape()
  }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { z, x in moveBack(z, x, stride) }
    return Tape()
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try replace(adjoint) { z, x in moveBack(z, x, adjoint.stride) }
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try replace(adjoint) { x, z in move(x, z, adjoint.stride) }
  }

  private func move(_ x: UnsafePointer<S>, _ z: UnsafeMutablePointer<S>, _ stride: Int) {
    for i in 0..<runCount { Tiling.copy(runs[i].count * stride, x + runs[i].from * stride, z + runs[i].to * stride) }
  }
  private func moveBack(_ z: UnsafePointer<S>, _ x: UnsafeMutablePointer<S>, _ stride: Int) {
    for i in 0..<runCount { Tiling.copy(runs[i].count * stride, z + runs[i].to * stride, x + runs[i].from * stride) }
  }

  @inline(__always)
  private func replace(
    _ adjoint: Adjoint<S>, _ body: (UnsafePointer<S>, UnsafeMutablePointer<S>) -> Void
  ) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let copy = try scratch.take(adjoint.count, of: S.self)
    copy.update(from: adjoint.g, count: adjoint.count)
    body(copy, adjoint.g)
    scratch.release(to: mark)
  }
}
