import CLibrary
import CShims
import KernelInterface

#if PORTABLE
  import KernelsPortableF32
  import KernelsPortableF64
#else
  import KernelsAVX2F32
  import KernelsAVX2F64
  import KernelsAVX512F32
  import KernelsAVX512F64
  import KernelsBaselineF32
  import KernelsBaselineF64
#endif

/// The instruction sets that the kernels are compiled for, each with all of the ones before it.
package enum InstructionSet: String, CaseIterable, Sendable {
  #if PORTABLE
    /// What the compiler takes for the machine, with vectors of 128 bits and fused multiply-add.
    case portable
  #else
    case baseline, avx2, avx512
  #endif

  /// The best that the machine has, capped by the environment variable DIFFEO_MAX_ISA, one of the names above: looked
  /// at once.
  package static let chosen: InstructionSet = {
    let available = allCases.prefix(Int(cshims_instruction_set()) + 1)
    let cap = getenv("DIFFEO_MAX_ISA").flatMap { InstructionSet(rawValue: String(cString: $0)) }
    return available.first { $0 == cap } ?? available[available.endIndex - 1]
  }()

  package var kernelsF32: KernelTable<Float> {
    switch self {
    #if PORTABLE
      case .portable: KernelsPortableF32.kernels()
    #else
      case .baseline: KernelsBaselineF32.kernels()
      case .avx2: KernelsAVX2F32.kernels()
      case .avx512: KernelsAVX512F32.kernels()
    #endif
    }
  }

  package var kernelsF64: KernelTable<Double> {
    switch self {
    #if PORTABLE
      case .portable: KernelsPortableF64.kernels()
    #else
      case .baseline: KernelsBaselineF64.kernels()
      case .avx2: KernelsAVX2F64.kernels()
      case .avx512: KernelsAVX512F64.kernels()
    #endif
    }
  }
}
