import KernelInterface

#if F32
  /// The kernels of this build.
  public func kernels() -> KernelTable<Float> { table() }
#else
  /// The kernels of this build.
  public func kernels() -> KernelTable<Double> { table() }
#endif

@inline(always) func table() -> KernelTable<S> {
  KernelTable<S>(
    lanes: lanes, tileRows: tileRows, dense: dense, denseTransposed: denseTransposed, outer: outer,
    outerColumns: outerColumns, rowSums: rowSums,
    triangularSolve: triangularSolve, reflect: reflect, transpose: transpose, activate: activate,
    activatePullback: activatePullback, affine: affine, affineInverse: affineInverse, affinePullback: affinePullback,
    affineInversePullback: affineInversePullback, spline: spline, splineInverse: splineInverse,
    splinePullback: splinePullback, splineInversePullback: splineInversePullback,
    angles: angles, mixture: mixture, mixtureInverse: mixtureInverse, mixturePullback: mixturePullback,
    mixtureInversePullback: mixtureInversePullback, add: add,
    scaleShift: scaleShift, unshiftScale: unshiftScale, addRows: addRows, normalLogDensity: normalLogDensity,
    logisticLogDensity: logisticLogDensity, normals: normals, uniforms: uniforms, sumOfSquares: sumOfSquares, adam: adam
  )
}
