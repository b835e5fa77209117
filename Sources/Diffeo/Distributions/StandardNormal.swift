import KernelInterface

/// N(0, I)
struct StandardNormalSpec: Equatable, Sendable {
  static let kind = "standard_normal"

  init() {}

  init(_ record: Record) throws(DiffeoError) {
    guard record.kind == StandardNormalSpec.kind else {
      throw DiffeoError(.format, "the base '\(record.kind)' is not known")
    }
  }

  var record: Record { Record(kind: StandardNormalSpec.kind) }
  var slots: [ParameterSlot] { [] }
}

struct StandardNormal<S: Scalar>: BitwiseCopyable {
  let dim: Int

  /// total[r] += log density of row r.
  func addLogDensity(_ z: UnsafePointer<S>, _ stride: Int, _ total: UnsafeMutablePointer<Double>) {
    S.kernels.normalLogDensity(dim, stride, z, total)
  }

  /// g = weight[r] * d log density / dz
  func gradient(
    _ z: UnsafePointer<S>, _ stride: Int, _ weight: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>
  ) {
    for i in 0..<dim {
      for r in 0..<stride { g[i * stride + r] = -z[i * stride + r] * weight[r] }
    }
  }

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ stride: Int, _ z: UnsafeMutablePointer<S>) {
    S.kernels.normals(seed, firstRow, dim, stride, z)
  }
}
