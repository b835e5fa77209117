import CLibrary
import KernelInterface

/// A map of one number as formulas in double precision. All that layers want of it follows: loops over tiles in either
/// type, in both directions, and back. (Where such a loop costs too much time a map has kernels of its own instead.)
protocol ScalarMap: MapRule {
  /// The raw parameters of one number. Those from `parameterCount` on are zeros that nobody reads.
  associatedtype Parameters: SIMD where Parameters.Scalar == Double

  func forward(_ x: Double, _ p: Parameters) -> (y: Double, logSlope: Double)
  /// The log-slope is log dy/dx here, too.
  func inverse(_ y: Double, _ p: Parameters) -> (x: Double, logSlope: Double)
  func partials(_ x: Double, _ p: Parameters) -> Partials<Parameters>
}

/// Derivatives of a map at a number.
struct Partials<Parameters: SIMD> where Parameters.Scalar == Double {
  /// log dy/dx
  let logSlope: Double
  /// dy/dp
  let y: Parameters
  /// dlog(dy/dx)/dx
  let logSlopeInX: Double
  /// dlog(dy/dx)/dp
  let logSlopeInP: Parameters
}

extension ScalarMap {
  var parameterCount: Int { Parameters.scalarCount }

  var kernels32: MapKernels<Float> { MapKernels(of: Self.self) }
  var kernels64: MapKernels<Double> { MapKernels(of: Self.self) }

  @inline(__always)
  fileprivate func read<S: Scalar>(_ p: UnsafePointer<S>, _ i: Int, _ count: Int) -> Parameters {
    var values = Parameters()
    for j in 0..<parameterCount { values[j] = Double(p[j * count + i]) }
    return values
  }

  @inline(__always)
  fileprivate func write<S: Scalar>(_ values: Parameters, _ p: UnsafeMutablePointer<S>, _ i: Int, _ count: Int) {
    for j in 0..<parameterCount { p[j * count + i] = S(values[j]) }
  }
}

extension MapKernels where S: Scalar {
  fileprivate init<Map: ScalarMap>(of _: Map.Type) {
    self.init(
      forward: { rule, count, x, p, y, logs in
        let map = rule.assumingMemoryBound(to: Map.self).pointee
        for i in 0..<count {
          let (value, logSlope) = map.forward(Double(x[i]), map.read(p, i, count))
          y[i] = S(value)
          logs[i] = S(logSlope)
        }
      },
      inverse: { rule, count, y, p, x, logs in
        let map = rule.assumingMemoryBound(to: Map.self).pointee
        for i in 0..<count {
          let (value, logSlope) = map.inverse(Double(y[i]), map.read(p, i, count))
          x[i] = S(value)
          logs[i] = S(logSlope)
        }
      },
      pullback: { rule, count, x, p, _, g, gp in
        let map = rule.assumingMemoryBound(to: Map.self).pointee
        for i in 0..<count {
          let partials = map.partials(Double(x[i]), map.read(p, i, count))
          let (gY, gLogs) = (Double(g[i]), Double(gp[i]))
          g[i] = S(gY * exp(partials.logSlope) + gLogs * partials.logSlopeInX)
          map.write(gY * partials.y + gLogs * partials.logSlopeInP, gp, i, count)
        }
      },
      // y(x, p) is given: dx/dy = 1 / (dy/dx), dx/dp = -(dy/dp) / (dy/dx), and log dy/dx moves with x.
      inversePullback: { rule, count, x, p, _, g, gp in
        let map = rule.assumingMemoryBound(to: Map.self).pointee
        for i in 0..<count {
          let partials = map.partials(Double(x[i]), map.read(p, i, count))
          let gLogs = Double(gp[i])
          let gY = (Double(g[i]) + gLogs * partials.logSlopeInX) * exp(-partials.logSlope)
          g[i] = S(gY)
          map.write(gLogs * partials.logSlopeInP - gY * partials.y, gp, i, count)
        }
      })
  }
}
