// For the initialiser of KernelTable, which is internal as all that the compiler writes.
@testable import KernelInterface

#if F32
  /// The kernels of this build.
  public func kernels() -> KernelTable<Float> { table() }
#else
  /// The kernels of this build.
  public func kernels() -> KernelTable<Double> { table() }
#endif

@inline(always) func table() -> KernelTable<S> {
  KernelTable<S>(
    lanes: lanes, tileRows: tileRows,
    dense: dense, denseTransposed: denseTransposed, outer: outer, outerColumns: outerColumns, rowSums: rowSums,
    triangularSolve: triangularSolve, reflect: reflect, transpose: transpose,
    activate: activate, activatePullback: activatePullback,
    affine: MapKernels(
      forward: affine, inverse: affineInverse, pullback: affinePullback, inversePullback: affineInversePullback),
    spline: MapKernels(
      forward: spline, inverse: splineInverse, pullback: splinePullback, inversePullback: splineInversePullback),
    mixture: MapKernels(
      forward: mixture, inverse: mixtureInverse, pullback: mixturePullback, inversePullback: mixtureInversePullback),
    locationScale: locationScale, locationScaleInverse: locationScaleInverse,
    locationScaleInversePullback: locationScaleInversePullback, angles: angles, add: add,
    scaleShift: scaleShift, unshiftScale: unshiftScale, addRows: addRows, normalLogDensity: normalLogDensity,
    logisticLogDensity: logisticLogDensity, normals: normals, uniforms: uniforms, dropout: dropout,
    sumOfSquares: sumOfSquares, adam: adam
  )
}
