import Glibc
import KernelInterface
import Testing

@testable import Diffeo

@Suite struct MixtureLayerTests {
  private static let families = [MixtureRule.Family.normal, .logistic]

  /// A flow of one column whose parameters are the biases of its network.
  private func flow(_ transformer: MapOptions, seed: UInt64 = 0) throws -> Flow<Double> {
    var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: .f64)
    try builder.addAutoregressive(
      .small(hidden: [], transformer: transformer), order: .natural, randomDegrees: false,
      inverted: false, seed: 0)
    return try Flow(spec: builder.spec, seed: seed)
  }

  @Test func oneNormalComponentIsTheNormalDistribution() throws {
    let flow = try flow(.mixture(components: 1, family: .normal, target: .uniform))
    let (logit, mean, a) = (3.7, -0.45, 0.8)
    let slot = try #require(flow.spec.slots.flatMap(\.slots).last { $0.role == .vector })
    for (i, value) in [logit, mean, a].enumerated() { flow.parameters.pointer[slot.offset + i] = value }
    let scale = exp(a / (1 + a / 7))
    let x = [-30.25, -7.5, -2.125, -0.45, 0.3, 1.75, 6.5]
    let again = try Flow(spec: flow.spec, parameters: flow.parameters)
    let (y, logs) = try again.run(.toNoise, Rows(x: x, context: [], count: x.count))
    for i in x.indices {
      let t = (x[i] - mean) / scale
      let cdf = 0.5 * erfc(-t / 2.0.squareRoot())
      #expect(abs(y[i] - cdf) <= 1e-13 * (1 + t * t) * cdf)
      let density = -0.5 * t * t - 0.5 * log(2 * Double.pi) - log(scale)
      #expect(abs(logs[i] - density) <= 1e-14 * (1 + abs(density)))
    }
  }

  /// Components differ, and make a distribution of mean 0 and variance 1.
  @Test(arguments: families, [1, 2, 3, 8, 64]) func initialParameters(
    _ family: MixtureRule.Family, _ components: Int
  ) throws {
    let map = try MixtureRule(components: components, family: family, target: .logistic, bound: 7).checked()
    let p = map.initialParameters
    #expect(p.count == 3 * components && map.parameterCount == p.count)
    let means = Array(p[components..<2 * components])
    #expect(zip(means, means.dropFirst()).allSatisfy { $0 < $1 })
    #expect(p.prefix(components).allSatisfy { $0 == 0 })
    let factor = family == .normal ? 1 : Double.pi * Double.pi / 3
    let variance = (0..<components).reduce(0) { total, k in
      let a = p[2 * components + k]
      return total + means[k] * means[k] + factor * exp(2 * a / (1 + abs(a) / 7))
    }
    #expect(abs(means.reduce(0, +)) < 1e-9)
    #expect(abs(variance / Double(components) - 1) < 1e-9)
  }

  /// A new layer is near that, whatever the seed; in every column, and in couplings too.
  @Test(arguments: families) func newLayersAreNearUnitVariance(_ family: MixtureRule.Family) throws {
    let transformer = MapOptions.mixture(components: 6, family: family, target: .uniform)
    for coupling in [false, true] {
      var builder = try SpecBuilder(dim: 3, contextDim: 1, dtype: .f64)
      if coupling {
        try builder.addCoupling(.small(transformer: transformer), mask: .even, seed: 0)
      } else {
        try builder.addAutoregressive(
          .small(transformer: transformer), order: .reversed, randomDegrees: false, inverted: false, seed: 0)
      }
      let flow = try Flow<Double>(spec: builder.spec, seed: 9)
      let (y, _) = try flow.run(.toNoise, Rows(x: [0.6, 0.7, -0.7], context: [0.3], count: 1))
      #expect(abs(y[1] - 0.76) < 0.04)
      if !coupling { #expect(abs(y[0] - 0.73) < 0.04 && abs(y[2] - 0.24) < 0.04) }
    }
  }

  private func record(_ change: (inout Record) -> Void) throws -> Record {
    var record = try flow(.mixture(components: 3, family: .normal, target: .uniform)).spec.layerRecords[0]
    change(&record)
    return record
  }

  @Test func refusedRecords() throws {
    let changes: [(inout Record) -> Void] = [
      { $0["components"] = .int(0) }, { $0["components"] = .int(65) }, { $0["components"] = .int(.min) },
      { $0["components"] = .int(.max) }, { $0["components"] = nil }, { $0["components"] = .double(3) },
      { $0["family"] = .string("cauchy") }, { $0["family"] = nil }, { $0["target"] = .string("normal") },
      { $0["scale_bound"] = .double(0) }, { $0["scale_bound"] = .double(.nan) },
      { $0["scale_bound"] = .double(.infinity) }, { $0["scale_bound"] = .double(21) }, { $0["scale_bound"] = nil },
      { $0["transformer"] = .string("mixture") }, { $0["transformer"] = .int(1) },
      // An affine layer has other attributes.
      { $0["transformer"] = nil }, { $0["transformer"] = .string("affine") },
    ]
    for change in changes {
      let record = try record(change)
      #expect(throws: DiffeoError.self) { try LayerSpec(record, dim: 1, contextDim: 0) }
    }
    _ = try LayerSpec(record { _ in }, dim: 1, contextDim: 0)
  }

  /// Half of the rows near -2, half near 2: one mixture learns them, because its components begin apart.
  @Test func learnsTwoModes() throws {
    let flow = try flow(.mixture(components: 4, family: .normal, target: .logistic))
    let n = 4000
    var random = Philox(seed: 3, stream: 80)
    let x = (0..<n).map { i in
      (i % 2 == 0 ? 2.0 : -2) + 0.3 * (random.uniform() + random.uniform() + random.uniform() - 1.5)
    }
    var options = TrainOptions()
    options.batchSize = 500
    options.maxEpochs = 60
    options.learningRate = 0.05
    options.validationFraction = 0
    let trained = try x.withUnsafeBufferPointer { x in
      let trainer = try Trainer(flow, options, Batch(rows: n, x: x.baseAddress, context: nil, contextIsShared: false))
      for _ in 0..<options.maxEpochs { try trainer.step(0) { false } }
      return try trainer.currentFlow()
    }
    let rows = Rows(x: [0.0, 2, -2, 1.6], context: [], count: 4)
    let z = try trained.run(.toNoise, rows).values
    // The base is normal, so the map to logistic numbers cannot be exact; the middle and the order are.
    #expect(abs(z[0]) < 0.3 && z[1] > 0.3 && z[2] < -0.3 && z[3] > z[0])
    let logProb = try trained.run(.logProb, rows).logs
    #expect(logProb[1] > logProb[0] + 4 && logProb[2] > logProb[0] + 4, "\(z) \(logProb)")
  }
}
