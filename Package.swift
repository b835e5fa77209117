// swift-tools-version:6.3
import PackageDescription

#if arch(x86_64)
  // DIFFEO_KERNELS=portable: the package as it is on every other machine, for its tests (make test-portable).
  let isPortable = Context.environment["DIFFEO_KERNELS"] == "portable"
#else
  let isPortable = true
#endif
// The kernels are one source, Sources/Kernels, compiled once per instruction set and scalar type: Sources/KernelBuilds
// holds links to it. Swift has no function multiversioning; Diffeo/Numerics/InstructionSet.swift picks by CPUID.
let instructionSets: [(name: String, flags: [String], define: String)] =
  isPortable
  ? [("Portable", [], "PORTABLE")]
  : [
    ("Baseline", [], "BASELINE"),
    ("AVX2", ["-Xcc", "-march=x86-64-v3"], "AVX2"),
    ("AVX512", ["-Xcc", "-march=x86-64-v4"], "AVX512"),
  ]
// Without this a square root of a vector is one libm call a lane.
let vectorRoots = ["-Xcc", "-fno-math-errno"]
let kernels: [Target] = instructionSets.flatMap { isa in
  ["F32", "F64"].map { scalar in
    .target(
      name: "Kernels\(isa.name)\(scalar)", dependencies: ["KernelInterface", "CShims"],
      path: "Sources/KernelBuilds/\(isa.name)\(scalar)",
      swiftSettings: [.define(isa.define), .define(scalar), .unsafeFlags(isa.flags + vectorRoots)])
  }
}
// In release builds, too, so that one build serves the library and the tests: it costs 0.1 MB and no speed.
let testable: [SwiftSetting] = [.unsafeFlags(["-enable-testing"])]
let chosen: [SwiftSetting] = isPortable ? [.define("PORTABLE")] : []

// DIFFEO_STATIC: where scripts/dist puts what goes into the library there: HDF5, libstdc++, and Swift's own so that it
// can be cut (scripts/swift-core).
let staticParts = Context.environment["DIFFEO_STATIC"]
let hdf5Headers: [SwiftSetting] = staticParts.map { [.unsafeFlags(["-Xcc", "-I\($0)/include"])] } ?? []
let hdf5Flags: [CSetting] = staticParts.map { [.define("CHDF5_STATIC"), .unsafeFlags(["-I\($0)/include"])] } ?? []
let staticLibraries = staticParts.map {
  [
    // The folder has no other libstdc++ than a static one.
    "\($0)/lib/Swift.o", "-L\($0)/lib", "-Xlinker", "\($0)/lib/libhdf5.a", "-Xlinker", "\($0)/lib/libz.a", "-Xlinker",
    "--exclude-libs=ALL",
  ]
}
// Memory of the library and of the Swift runtime in it, and what of that nothing here needs: CMemory says why.
let wrapped =
  ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "free", "malloc_usable_size", "strdup"]
  + (staticParts == nil ? ["_Znwm", "_ZdlPv", "_ZdlPvm"] : ["_swift_stdlib_getScalarName"])
let memoryFlags: [CSetting] = staticParts == nil ? [] : [.define("CMEMORY_STATIC")]

let package = Package(
  name: "Diffeo",
  products: [.library(name: "diffeo", type: .dynamic, targets: ["DiffeoABI"])],
  targets: kernels + [
    .systemLibrary(name: "CDiffeo", path: "include"),
    .systemLibrary(name: "CHDF5", providers: [.apt(["libhdf5-dev"])]),
    .target(name: "CShims"),
    .target(name: "CStorage", dependencies: ["CHDF5"], cSettings: hdf5Flags),
    .target(name: "CMemory", cSettings: memoryFlags),
    .target(name: "CLibrary"),
    .target(name: "KernelInterface", swiftSettings: testable),
    .target(
      name: "Diffeo", dependencies: ["KernelInterface", "CLibrary", "CShims"] + kernels.map { .byName(name: $0.name) },
      swiftSettings: testable + chosen),
    .target(
      name: "Storage", dependencies: ["Diffeo", "CHDF5", "CStorage", "CLibrary", "CShims"],
      swiftSettings: testable + hdf5Headers),
    .target(
      name: "WeightFile", dependencies: ["Diffeo", "Storage", "CHDF5", "CStorage", "CLibrary", "CShims"],
      swiftSettings: testable + hdf5Headers),
    .target(
      name: "DataFile", dependencies: ["Diffeo", "Storage", "CHDF5", "CLibrary", "CShims"],
      swiftSettings: testable + hdf5Headers),
    .target(
      name: "DiffeoABI",
      dependencies: ["CDiffeo", "CLibrary", "CMemory", "CShims", "CStorage", "Diffeo", "WeightFile", "DataFile"],
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-stdlib", "-use-ld=lld",
            // Never unloaded: libhdf5 and the Swift runtime leave thread-local destructors behind.
            "-Xlinker", "-z", "-Xlinker", "nodelete", "-Xlinker", "--version-script=abi/diffeo.map", "-Xlinker",
            "-soname=libdiffeo.so.0.2",
            // Functions that come to the same code, as those of Float and Double that only move memory do, are one: 2 %.
            "-Xlinker", "--icf=all",
          ] + wrapped.flatMap { ["-Xlinker", "--wrap=\($0)"] } + (staticLibraries ?? []))
      ]),
    .testTarget(
      name: "KernelTests", dependencies: ["CShims", "KernelInterface"] + kernels.map { .byName(name: $0.name) },
      swiftSettings: chosen),
    .testTarget(
      name: "DiffeoTests", dependencies: ["CDiffeo", "Diffeo", "Storage", "WeightFile", "DataFile"],
      swiftSettings: hdf5Headers),
  ])
