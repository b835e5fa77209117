import CLibrary
import CShims
import KernelInterface
import KernelsAVX2F32
import KernelsAVX2F64
import KernelsAVX512F32
import KernelsAVX512F64
import KernelsBaselineF32
import KernelsBaselineF64

/// The instruction sets that the kernels are compiled for.
package enum InstructionSet: Int32, CaseIterable, Sendable {
  case baseline = 0
  case avx2, avx512

  /// The best that the machine has, capped by the environment variable DIFFEO_MAX_ISA (baseline, avx2, avx512): looked
  /// at once.
  package static let chosen: InstructionSet = {
    let available = InstructionSet(rawValue: cshims_instruction_set()) ?? .baseline
    guard let text = getenv("DIFFEO_MAX_ISA"), let cap = InstructionSet(name: String(cString: text))
    else {
      return available
    }
    return cap.rawValue < available.rawValue ? cap : available
  }()

  package init?(name: String) {
    guard let match = InstructionSet.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  package var name: String { ["baseline", "avx2", "avx512"][Int(rawValue)] }

  package var kernelsF32: KernelTable<Float> {
    switch self {
    case .baseline: KernelsBaselineF32.kernels()
    case .avx2: KernelsAVX2F32.kernels()
    case .avx512: KernelsAVX512F32.kernels()
    }
  }

  package var kernelsF64: KernelTable<Double> {
    switch self {
    case .baseline: KernelsBaselineF64.kernels()
    case .avx2: KernelsAVX2F64.kernels()
    case .avx512: KernelsAVX512F64.kernels()
    }
  }
}
