import CShims
import Glibc
import KernelInterface
import Testing

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

/// A build of the kernels that this processor runs.
struct Build<S>: Sendable, CustomTestStringConvertible {
  let name: String
  /// Whether the build has fused multiply-add.
  let fused: Bool
  let table: KernelTable<S>
  var testDescription: String { name }
}

#if PORTABLE
  let builds32 = [Build(name: "portable", fused: true, table: KernelsPortableF32.kernels())]
  let builds64 = [Build(name: "portable", fused: true, table: KernelsPortableF64.kernels())]
#else
  let builds32: [Build<Float>] = [
    Build(name: "baseline", fused: false, table: KernelsBaselineF32.kernels()),
    Build(name: "AVX2", fused: true, table: KernelsAVX2F32.kernels()),
    Build(name: "AVX-512", fused: true, table: KernelsAVX512F32.kernels()),
  ].prefix(Int(cshims_instruction_set()) + 1).map { $0 }

  let builds64: [Build<Double>] = [
    Build(name: "baseline", fused: false, table: KernelsBaselineF64.kernels()),
    Build(name: "AVX2", fused: true, table: KernelsAVX2F64.kernels()),
    Build(name: "AVX-512", fused: true, table: KernelsAVX512F64.kernels()),
  ].prefix(Int(cshims_instruction_set()) + 1).map { $0 }
#endif

/// What results are compared with. Where there is no wider type than Double, as on 64-bit ARM, the tests that need one
/// are skipped.
#if arch(x86_64)
  typealias Exact = Float80
#else
  typealias Exact = Double
#endif

extension Trait where Self == ConditionTrait {
  static var widerThanDouble: Self {
    .enabled(if: MemoryLayout<Exact>.size > MemoryLayout<Double>.size, "there is no type wider than Double here")
  }
}

/// What tests need of Float and Double beyond the standard library.
protocol TestScalar: BinaryFloatingPoint, Sendable {
  var bits: UInt64 { get }
  /// Multiplication and addition as a build does them.
  static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self, fused: Bool) -> Self
  static var builds: [Build<Self>] { get }
  init(_ x: Exact)
}
extension Float: TestScalar {
  var bits: UInt64 { UInt64(bitPattern) }
  static func multiplyAdd(_ a: Float, _ b: Float, _ c: Float, fused: Bool) -> Float {
    fused ? c.addingProduct(a, b) : a * b + c
  }
  static var builds: [Build<Float>] { builds32 }
}
extension Double: TestScalar {
  var bits: UInt64 { bitPattern }
  static func multiplyAdd(_ a: Double, _ b: Double, _ c: Double, fused: Bool) -> Double {
    fused ? c.addingProduct(a, b) : a * b + c
  }
  static var builds: [Build<Double>] { builds64 }
}

func bits<S: TestScalar>(_ x: [S]) -> [UInt64] { x.map(\.bits) }

/// The error of x against the exact value, in units of the last place of x's type there.
func ulps<S: TestScalar>(_ x: S, _ exact: Exact) -> Double {
  if exact.isNaN { return x.isNaN ? 0 : .infinity }
  let rounded = S(exact)
  if rounded.isInfinite || x.isInfinite || x.isNaN { return x == rounded ? 0 : .infinity }
  return Double(abs(Exact(x) - exact) / Exact(max(rounded.magnitude, S.leastNormalMagnitude).ulp))
}

/// Random numbers with all bits of the mantissa in use.
struct Random {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func integer(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(word() % UInt64(range.count))
  }
  mutating func number<S: TestScalar>(_ low: Double, _ high: Double) -> S {
    S(low + (high - low) * (Double(word() >> 11) + 0.5) * 0x1p-53)
  }
  mutating func numbers<S: TestScalar>(_ count: Int, _ low: Double = -2, _ high: Double = 2) -> [S] {
    (0..<count).map { _ in number(low, high) }
  }
}

/// Memory that ends, or begins, at a page nobody may touch: a kernel that reads or writes past it crashes. Bytes on
/// the other side are checked for writes.
final class Fenced<S: TestScalar> {
  let count: Int
  let pointer: UnsafeMutablePointer<S>
  private let base: UnsafeMutableRawPointer
  private let mapped: Int
  private let slack: UnsafeMutableRawBufferPointer
  static var page: Int { sysconf(Int32(_SC_PAGESIZE)) }

  init(_ values: [S], atStart: Bool) {
    count = values.count
    let bytes = count * MemoryLayout<S>.stride
    let usable = (bytes + Self.page - 1) / Self.page * Self.page + Self.page
    mapped = usable + 2 * Self.page
    base = mmap(nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    mprotect(base, Self.page, PROT_NONE)
    mprotect(base + Self.page + usable, Self.page, PROT_NONE)
    let start = atStart ? base + Self.page : base + Self.page + usable - bytes
    slack = UnsafeMutableRawBufferPointer(
      start: atStart ? start + bytes : base + Self.page, count: usable - bytes)
    for i in slack.indices { slack[i] = 0xA5 }
    pointer = start.bindMemory(to: S.self, capacity: max(count, 1))
    for i in 0..<count { pointer[i] = values[i] }
  }
  deinit { munmap(base, mapped) }

  var values: [S] { (0..<count).map { pointer[$0] } }
  var input: UnsafePointer<S> { UnsafePointer(pointer) }
  var intact: Bool { slack.allSatisfy { $0 == 0xA5 } }
}

/// A kernel of a map of one number with this rule.
func apply<S, Rule>(
  _ kernel: MapKernels<S>.Map, _ rule: Rule, _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>,
  _ y: UnsafeMutablePointer<S>, _ logs: UnsafeMutablePointer<S>
) {
  withUnsafePointer(to: rule) { kernel($0, count, x, p, y, logs) }
}

func apply<S, Rule>(
  _ pullback: MapKernels<S>.Pullback, _ rule: Rule, _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>,
  _ logs: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>, _ gp: UnsafeMutablePointer<S>
) {
  withUnsafePointer(to: rule) { pullback($0, count, x, p, logs, g, gp) }
}

/// Runs a kernel on fenced copies of the inputs and of the arrays it changes, which it returns.
func fenced<S: TestScalar>(
  _ inputs: [[S]], _ outputs: [[S]], atStart: Bool = false,
  _ kernel: ([UnsafePointer<S>], [UnsafeMutablePointer<S>]) -> Void
) -> [[S]] {
  let fencedInputs = inputs.map { Fenced($0, atStart: atStart) }
  let fencedOutputs = outputs.map { Fenced($0, atStart: atStart) }
  kernel(fencedInputs.map(\.input), fencedOutputs.map(\.pointer))
  for (memory, values) in zip(fencedInputs, inputs) {
    #expect(memory.intact && bits(memory.values) == bits(values), "an input was written")
  }
  for memory in fencedOutputs { #expect(memory.intact, "memory past an output was written") }
  return fencedOutputs.map(\.values)
}
