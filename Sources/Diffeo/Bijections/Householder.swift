import CLibrary
import KernelInterface

/// A rotation or reflection as a product of reflections: z = H_1 H_2 ... H_K x with H_k = 1 - 2 v_k v_k^T / |v_k|^2 for
/// row k of `vectors`, so that H_K is applied first. Tomczak and Welling 2016.
struct HouseholderSpec: BijectionSpec {
  static let kind = "householder"
  typealias F32 = Householder<Float>
  typealias F64 = Householder<Double>

  let dim: Int
  let reflections: Int

  /// A training keeps as many numbers for each row that it works on. (More reflections than columns say nothing new.)
  static let maxValues = 1 << 20

  init(dim: Int, reflections: Int) throws(DiffeoError) {
    guard reflections >= 1, reflections <= HouseholderSpec.maxValues / dim else {
      throw DiffeoError(
        .invalid,
        "\(reflections) reflections of \(dim) columns were asked for, 1 to \(HouseholderSpec.maxValues / dim) are possible"
      )
    }
    self.dim = dim
    self.reflections = reflections
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, reflections: record.int("reflections"))
  }

  var record: Record {
    var record = Record(kind: HouseholderSpec.kind)
    record["reflections"] = .int(reflections)
    return record
  }

  /// Their length has no effect, so weight decay has no business with them.
  var slots: [ParameterSlot] { [ParameterSlot("vectors", [reflections, dim], .vector)] }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for i in 0..<reflections * dim { parameters[i] = S(random.normal()) }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    for k in 0..<reflections where (0..<dim).allSatisfy({ parameters[k * dim + $0] == 0 }) {
      throw DiffeoError(.invalid, "vector \(k) is zero: it must have a direction")
    }
  }

  var summary: String { "\(reflections) reflection\(reflections == 1 ? "" : "s")" }
}

struct Householder<S: Scalar>: Bijection {
  private let dim: Int
  private let reflections: Int
  private let offset: Int
  private let slot: Int
  /// [reflections][dim], of length 1.
  private let directions: UnsafeMutablePointer<S>
  private let lengths: UnsafeMutablePointer<Double>

  init(_ spec: HouseholderSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    reflections = spec.reflections
    self.offset = offset
    self.slot = slot
    directions = try pool.take(reflections * dim)
    lengths = try pool.take(reflections)
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    for k in 0..<reflections {
      let v = parameters + offset + k * dim
      // Against the largest entry, so that no square overflows or vanishes.
      var largest = 0.0
      for i in 0..<dim { largest = max(largest, abs(Double(v[i]))) }
      var squares = 0.0
      for i in 0..<dim {
        let part = Double(v[i]) / largest
        squares += part * part
      }
      let root = squares.squareRoot()
      lengths[k] = root * largest
      for i in 0..<dim { directions[k * dim + i] = S(Double(v[i]) / largest / root) }
    }
  }

  struct Tape: BitwiseCopyable {
    /// On either side. The values between are found again from a result, since a reflection undoes itself.
    let x: UnsafeMutablePointer<S>
    let z: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (x, z) = try run(&pass, Swift.stride(from: reflections - 1, through: 0, by: -1))
    return Tape(x: x, z: z)
  }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (z, x) = try run(&pass, Swift.stride(from: 0, through: reflections - 1, by: 1))
    return Tape(x: x, z: z)
  }

  /// Gives the values before and after.
  private func run(
    _ pass: inout Pass<S>, _ order: StrideThrough<Int>
  ) throws(DiffeoError) -> (UnsafeMutablePointer<S>, UnsafeMutablePointer<S>) {
    let (before, stride) = (pass.x, pass.stride)
    try pass.replace { x, y in
      y.update(from: x, count: dim * stride)
      for k in order { S.kernels.reflect(dim, stride, directions + k * dim, y) }
    }
    return (before, pass.x)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape.z, Swift.stride(from: 0, through: reflections - 1, by: 1))
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape.x, Swift.stride(from: reflections - 1, through: 0, by: -1))
  }

  /// For x - 2 u (u.x), with a = u.x, b = u.g and the part along u taken out, which the length of v takes no notice of:
  /// dL/dv = -2 (a (g - b u) + b (x - a u)) / |v|.
  private func pullback(
    _ adjoint: inout Adjoint<S>, _ result: UnsafePointer<S>, _ order: StrideThrough<Int>
  ) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    guard let sink = adjoint.sink else {
      for k in order { S.kernels.reflect(dim, stride, directions + k * dim, adjoint.g) }
      return
    }
    let mark = scratch.mark
    let x = try scratch.take(adjoint.count, of: S.self)
    x.update(from: result, count: adjoint.count)
    let gVectors = try scratch.take(reflections * adjoint.count, of: S.self)
    let a = try scratch.take(stride, of: S.self)
    let b = try scratch.take(stride, of: S.self)
    for k in order {
      let u = directions + k * dim
      S.kernels.reflect(dim, stride, u, x)
      a.update(repeating: 0, count: stride)
      b.update(repeating: 0, count: stride)
      for i in 0..<dim {
        for r in 0..<stride {
          a[r] += u[i] * x[i * stride + r]
          b[r] += u[i] * adjoint.g[i * stride + r]
        }
      }
      let factor = S(-2 / lengths[k])
      for i in 0..<dim {
        for r in 0..<stride {
          let at = i * stride + r
          gVectors[k * adjoint.count + at] =
            factor * (a[r] * (adjoint.g[at] - b[r] * u[i]) + b[r] * (x[at] - a[r] * u[i]))
        }
      }
      S.kernels.reflect(dim, stride, u, adjoint.g)
    }
    sink.sum(slot, gVectors, reflections * dim, stride)
    scratch.release(to: mark)
  }
}
