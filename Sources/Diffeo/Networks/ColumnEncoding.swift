import KernelInterface

/// What a network sees of a column.
enum ColumnEncoding: Equatable, Sendable, BitwiseCopyable {
  /// Its numbers.
  case numbers
  /// On a circle, where numbers have a cut that the angles have not: the cosines and then the sines of these.
  case circle(low: Double, high: Double)

  var inputsPerColumn: Int {
    switch self {
    case .numbers: 1
    case .circle: 2
    }
  }

  /// input[j * stride + r], j < inputsPerColumn
  @inline(__always)
  func encode<S: Scalar>(_ stride: Int, _ x: UnsafePointer<S>, _ input: UnsafeMutablePointer<S>) {
    switch self {
    case .numbers: Tiling.copy(stride, x, input)
    case .circle(let low, let high): S.kernels.angles(low, high, stride, x, input, input + stride)
    }
  }

  /// Adds to dL/dx.
  @inline(__always)
  func addPullback<S: Scalar>(
    _ stride: Int, _ input: UnsafePointer<S>, _ gInput: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .numbers: S.kernels.add(stride, gInput, g)
    case .circle(let low, let high):
      let speed = S(2 * Double.pi / (high - low))
      for r in 0..<stride {
        g[r] += speed * (gInput[stride + r] * input[r] - gInput[r] * input[stride + r])
      }
    }
  }
}
