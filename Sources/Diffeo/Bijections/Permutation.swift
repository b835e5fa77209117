import KernelInterface

/// z_i = x_{permutation[i]}
struct PermutationSpec: BijectionSpec {
  static let kind = "permutation"
  typealias F32 = Permutation<Float>
  typealias F64 = Permutation<Double>

  let permutation: [Int]

  init(_ permutation: [Int], dim: Int) throws(DiffeoError) {
    guard isPermutation(permutation, dim) else {
      throw DiffeoError(
        .invalid, "a permutation must name each of the columns 0 to \(dim - 1) once")
    }
    self.permutation = permutation
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(record.ints("permutation"), dim: dim)
  }

  var record: Record {
    var record = Record(kind: PermutationSpec.kind)
    record["permutation"] = .ints(permutation)
    return record
  }

  var slots: [ParameterSlot] { [] }

  var summary: String {
    permutation == Array(permutation.indices.reversed())
      ? "reversed"
      : permutation.count <= 12 ? permutation.map(String.init).joined(separator: " ") : "given"
  }
}

struct Permutation<S: Scalar>: Bijection {
  private let dim: Int
  private let source: UnsafePointer<Int32>
  private let target: UnsafePointer<Int32>

  init(_ spec: PermutationSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.permutation.count
    var inverse = [Int32](repeating: 0, count: dim)
    for (i, column) in spec.permutation.enumerated() { inverse[column] = Int32(i) }
    source = try pool.copy(spec.permutation.map { Int32($0) })
    target = try pool.copy(inverse)
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try move(&pass, source) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try move(&pass, target) }

  private func move(_ pass: inout Pass<S>, _ source: UnsafePointer<Int32>) throws(DiffeoError)
    -> Tape
  {
    let stride = pass.stride
    try pass.replace { x, y in
      for i in 0..<dim { (y + i * stride).update(from: x + Int(source[i]) * stride, count: stride) }
    }
    return Tape()
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try move(&adjoint, target)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try move(&adjoint, source)
  }

  private func move(_ adjoint: inout Adjoint<S>, _ source: UnsafePointer<Int32>) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let copy = try scratch.take(adjoint.count, of: S.self)
    copy.update(from: adjoint.g, count: adjoint.count)
    for i in 0..<dim {
      (adjoint.g + i * stride).update(from: copy + Int(source[i]) * stride, count: stride)
    }
    scratch.release(to: mark)
  }
}
