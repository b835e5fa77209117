import KernelInterface

/// What a flow computes in: Float or Double.
package protocol Scalar: BinaryFloatingPoint, SIMDScalar, BitwiseCopyable, Sendable {
  static var dtype: DType { get }
  /// The kernels of this machine.
  static var kernels: KernelTable<Self> { get }
}

/// Raw values are those of the C header.
package enum DType: Int32, Sendable {
  case f32 = 1
  case f64 = 2

  package var name: String { self == .f32 ? "float32" : "float64" }
}

extension Float: Scalar {
  package static var dtype: DType { .f32 }
  package static let kernels = InstructionSet.chosen.kernelsF32
}

extension Double: Scalar {
  package static var dtype: DType { .f64 }
  package static let kernels = InstructionSet.chosen.kernelsF64
}
