import CShims

// What a build computes with. The sources are compiled once per instruction set and scalar type (see Package.swift),
// so nothing here is generic: generic code and protocol conformances leave weak symbols behind, and the linker may then
// give the AVX-512 copy of one to the baseline build. Private functions that are not inlined leave weak symbols too,
// so those are internal. And everything small is @inline(always): the older @inline(__always) gives up in large
// functions, and a call passes wide vectors in pieces.

#if F32
  typealias S = Float
  #if AVX512
    typealias V = SIMD16<Float>
    typealias Bits = SIMD16<UInt32>
    typealias Half = SIMD8<Float>
  #elseif AVX2
    typealias V = SIMD8<Float>
    typealias Bits = SIMD8<UInt32>
    typealias Half = SIMD4<Float>
  #else
    typealias V = SIMD4<Float>
    typealias Bits = SIMD4<UInt32>
    typealias Half = SIMD2<Float>
  #endif
#else
  typealias S = Double
  typealias V = D
  typealias Bits = DBits
  typealias Half = V
#endif

/// Vectors that compute in double precision for either scalar; as many lanes of S are a Half.
#if AVX512
  typealias D = SIMD8<Double>
  typealias DBits = SIMD8<UInt64>
#elseif AVX2
  typealias D = SIMD4<Double>
  typealias DBits = SIMD4<UInt64>
#else
  typealias D = SIMD2<Double>
  typealias DBits = SIMD2<UInt64>
#endif

/// One value for each output of a panel, in one or more registers.
typealias W = SIMD8<S>

typealias In = UnsafePointer<S>
typealias Out = UnsafeMutablePointer<S>

/// Rows a vector holds.
@inline(always) var lanes: Int { MemoryLayout<V>.size / MemoryLayout<S>.size }
@inline(always) func larger(_ a: Int, _ b: Int) -> Int { a > b ? a : b }
@inline(always) func smaller(_ a: Int, _ b: Int) -> Int { a < b ? a : b }
@inline(always) var doubleLanes: Int { MemoryLayout<D>.size / MemoryLayout<Double>.size }

// MARK: Loads and stores, unaligned

@inline(always) func load(_ p: In, _ i: Int) -> V { UnsafeRawPointer(p + i).loadUnaligned(as: V.self) }
@inline(always) func loadPanel(_ p: In, _ i: Int) -> W { UnsafeRawPointer(p + i).loadUnaligned(as: W.self) }

@inline(always) func store(_ v: V, _ p: Out, _ i: Int) {
  UnsafeMutableRawPointer(p + i).storeBytes(of: v, as: V.self)
}
@inline(always) func storePanel(_ v: W, _ p: Out, _ i: Int) {
  UnsafeMutableRawPointer(p + i).storeBytes(of: v, as: W.self)
}

/// Has so many numbers fetched into the first cache, which may be beyond the end of something.
@inline(always) func prefetch(_ p: In, _ count: Int) {
  var i = 0
  while i < count {
    cshims_prefetch(p + i)
    i &+= 64 / MemoryLayout<S>.size
  }
}

// MARK: a b + c

// With FMA in the instruction set one rounding, else two: there `addingProduct` would be a call of libm for each lane.
// One overload a type; which of the aliases above coincide depends on the build.
#if !BASELINE
  @inline(always) func fma(_ a: Float, _ b: Float, _ c: Float) -> Float { c.addingProduct(a, b) }
  @inline(always) func fma(_ a: Double, _ b: Double, _ c: Double) -> Double { c.addingProduct(a, b) }
  @inline(always) func fma(_ a: SIMD4<Float>, _ b: SIMD4<Float>, _ c: SIMD4<Float>) -> SIMD4<Float> {
    c.addingProduct(a, b)
  }
  @inline(always) func fma(_ a: SIMD8<Float>, _ b: SIMD8<Float>, _ c: SIMD8<Float>) -> SIMD8<Float> {
    c.addingProduct(a, b)
  }
  @inline(always) func fma(_ a: SIMD16<Float>, _ b: SIMD16<Float>, _ c: SIMD16<Float>) -> SIMD16<Float> {
    c.addingProduct(a, b)
  }
  @inline(always) func fma(_ a: SIMD2<Double>, _ b: SIMD2<Double>, _ c: SIMD2<Double>) -> SIMD2<Double> {
    c.addingProduct(a, b)
  }
  @inline(always) func fma(_ a: SIMD4<Double>, _ b: SIMD4<Double>, _ c: SIMD4<Double>) -> SIMD4<Double> {
    c.addingProduct(a, b)
  }
  @inline(always) func fma(_ a: SIMD8<Double>, _ b: SIMD8<Double>, _ c: SIMD8<Double>) -> SIMD8<Double> {
    c.addingProduct(a, b)
  }
#else
  @inline(always) func fma(_ a: Float, _ b: Float, _ c: Float) -> Float { a * b + c }
  @inline(always) func fma(_ a: Double, _ b: Double, _ c: Double) -> Double { a * b + c }
  @inline(always) func fma(_ a: SIMD4<Float>, _ b: SIMD4<Float>, _ c: SIMD4<Float>) -> SIMD4<Float> { a * b + c }
  @inline(always) func fma(_ a: SIMD8<Float>, _ b: SIMD8<Float>, _ c: SIMD8<Float>) -> SIMD8<Float> { a * b + c }
  @inline(always) func fma(_ a: SIMD2<Double>, _ b: SIMD2<Double>, _ c: SIMD2<Double>) -> SIMD2<Double> {
    a * b + c
  }
  @inline(always) func fma(_ a: SIMD8<Double>, _ b: SIMD8<Double>, _ c: SIMD8<Double>) -> SIMD8<Double> {
    a * b + c
  }
#endif
