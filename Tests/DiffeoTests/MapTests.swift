import Glibc
import KernelInterface
import Testing

@testable import Diffeo

/// The maps of one number that layers share.
@Suite struct MapTests {
  // MARK: The list

  @Test func everyMapIsInTheSuite() throws {
    let layers: [String: [Record]] = try Dictionary(
      grouping: Case.layers.flatMap { try $0.spec(.f64).layerRecords }, by: \.kind)
    for kind in ElementMapSpec.kinds {
      for layer in [AutoregressiveSpec.kind, CouplingSpec.kind, ElementwiseSpec.kind] {
        for inverted in [false, true] where layer != CouplingSpec.kind {
          #expect(
            try #require(layers[layer]).contains {
              $0["transformer"] == .string(kind.name) && $0["inverse"] == .bool(inverted)
            }, "\(kind.name) in \(inverted ? "inverse " : "")\(layer)")
        }
      }
    }
  }

  @Test func mapsAreFoundByNumberAndByName() throws {
    #expect(Set(ElementMapSpec.kinds.map { $0.name }).count == ElementMapSpec.kinds.count)
    for kind in ElementMapSpec.kinds {
      let spec = try ElementMapSpec(MapOptions(number: kind.number))
      #expect(type(of: spec.rule) == kind)
      var record = Record(kind: "layer")
      spec.describe(&record)
      #expect(try ElementMapSpec(record) == spec)
    }
    for number in [Int32.min, -1, 0, Int32(ElementMapSpec.kinds.count + 1), .max] {
      #expect(throws: DiffeoError.self) { try MapOptions(number: number) }
    }
  }

  @Test func optionsOfOtherMapsAreRefused() throws {
    for kind in ElementMapSpec.kinds {
      var options = MapOptions(kind)
      options.spline = .standard
      if kind == SplineRule.self || kind == LinearSplineRule.self {
        _ = try ElementMapSpec(options)
      } else {
        #expect(throws: DiffeoError.self) { try ElementMapSpec(options) }
      }
      options = MapOptions(kind)
      options.mixture = .standard
      if kind == MixtureRule.self {
        _ = try ElementMapSpec(options)
      } else {
        #expect(throws: DiffeoError.self) { try ElementMapSpec(options) }
      }
    }
  }

  // MARK: Linear splines

  @Test func refusedOptionsOfLinearSplines() throws {
    var record = Record(kind: "layer")
    try LinearSplineRule(MapOptions(LinearSplineRule.self)).describe(&record)
    _ = try LinearSplineRule(record)
    for value in [Record.Value.double(0), .double(-1), .double(0.5), .double(.nan), .string("3")] {
      record["min_lambda"] = value
      #expect(throws: DiffeoError.self) { try LinearSplineRule(record) }
    }
    record["min_lambda"] = nil
    #expect(throws: DiffeoError.self) { try LinearSplineRule(record) }
  }

  // MARK: Sinh-arcsinh

  private func sinhArcsinh(_ bound: Double = 3) throws -> SinhArcsinhRule {
    var options = MapOptions(SinhArcsinhRule.self)
    options.scale.bound = bound
    return try SinhArcsinhRule(options)
  }

  #if arch(x86_64)
    /// Against its definition in extended precision.
    @Test func sinhArcsinhIsItsFormula() throws {
      let map = try sinhArcsinh()
      var random = Philox(seed: 4, stream: 81)
      for _ in 0..<2000 {
        let x = sinh(8 * (2 * random.uniform() - 1))
        let p = SIMD2(5 * (2 * random.uniform() - 1), 3 * (2 * random.uniform() - 1))
        let delta = exp(Float80(p[0]) / (1 + abs(Float80(p[0])) / 3))
        let wide = Float80(x)
        let u = delta * asinh(wide) - Float80(p[1])
        let logSlope = log(delta) + log(cosh(u)) - 0.5 * log1p(wide * wide)
        let (y, logs) = map.forward(x, p)
        let tolerance = 1e-15 * (1 + Double(abs(u)) + Double(delta) * abs(asinh(x)))
        #expect(abs(Float80(y) - sinh(u)) <= Float80(tolerance) * cosh(u))
        #expect(abs(Float80(logs) - logSlope) <= Float80(tolerance))
        let back = map.inverse(y, p)
        #expect(abs(back.x - x) <= 4 * tolerance / Double(delta) * cosh(asinh(x)))
        #expect(abs(back.logSlope - logs) <= 40 * tolerance / Double(delta))
      }
      for x in [0, 1e-300, -0.3, 1, -7.5, 1e10] {
        let (y, logs) = map.forward(x, SIMD2(0, 0))
        #expect(abs(y - x) <= 1e-14 * abs(x) && logs == 0)
      }
    }
  #endif

  /// Against differences of the map and its inverse.
  @Test func partialsOfSinhArcsinhAreItsDerivatives() throws {
    let map = try sinhArcsinh()
    var random = Philox(seed: 5, stream: 82)
    let h = 1e-5
    for _ in 0..<500 {
      let x = 4 * (2 * random.uniform() - 1)
      let p = SIMD2(3 * (2 * random.uniform() - 1), 2 * (2 * random.uniform() - 1))
      let partials = map.partials(x, p)
      #expect(partials.logSlope == map.forward(x, p).logSlope)
      let differences = { (dx: Double, dp: SIMD2<Double>) in
        let (up, down) = (map.forward(x + dx, p + dp), map.forward(x - dx, p - dp))
        return (y: (up.y - down.y) / (2 * h), logs: (up.logSlope - down.logSlope) / (2 * h))
      }
      let scale = 1 + abs(map.forward(x, p).y)
      func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-7 * scale * (1 + abs(b)) }
      let inX = differences(h, SIMD2())
      #expect(close(exp(partials.logSlope), inX.y) && close(partials.logSlopeInX, inX.logs))
      for j in 0..<2 {
        var step = SIMD2<Double>()
        step[j] = h
        let inP = differences(0, step)
        #expect(close(partials.y[j], inP.y) && close(partials.logSlopeInP[j], inP.logs))
      }
    }
  }

  /// Far out there are limits, and no NaN but from NaN.
  @Test func sinhArcsinhIsTotal() throws {
    let far = Double.greatestFiniteMagnitude
    for bound in [1e-300, 3, 80] {
      let map = try sinhArcsinh(bound)
      for a in [0, 0.7, -2, 1e5, -1e300, far] {
        for epsilon in [0, -1.3, 40, 1e300] {
          let p = SIMD2(a, epsilon)
          for x in [0, 5e-324, -1e-200, 3, -1e30, 1e200, far, -far, .infinity, -.infinity] {
            let (y, logs) = map.forward(x, p)
            #expect(!y.isNaN && !logs.isNaN, "\(bound) \(p) \(x)")
            let back = map.inverse(x, p)
            #expect(!back.x.isNaN && !back.logSlope.isNaN, "\(bound) \(p) \(x)")
            let partials = map.partials(x, p)
            #expect(!partials.logSlope.isNaN && !partials.logSlopeInX.isNaN)
          }
          #expect(map.forward(.nan, p).y.isNaN && map.inverse(.nan, p).x.isNaN)
        }
      }
      // Slopes in the parameters, wherever the map itself is finite.
      for x in [0, -1e-200, 3, -1e30, 1e200, far] {
        let partials = map.partials(x, SIMD2(-0.9, 0.4))
        #expect((0..<2).allSatisfy { partials.y[$0].isFinite && partials.logSlopeInP[$0].isFinite }, "\(x)")
      }
    }
  }

  @Test func refusedBoundsOfSinhArcsinh() throws {
    var record = Record(kind: "layer")
    try sinhArcsinh().describe(&record)
    for value in [Record.Value.double(0), .double(-1), .double(81), .double(.nan), .double(.infinity), .string("3")] {
      record["scale_bound"] = value
      #expect(throws: DiffeoError.self) { try SinhArcsinhRule(record) }
    }
    record["scale_bound"] = nil
    #expect(throws: DiffeoError.self) { try SinhArcsinhRule(record) }
  }
}
