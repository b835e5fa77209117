import Glibc
import Testing

@testable import Diffeo
@testable import WeightFile

/// MADE as a base: what the contract suite does not ask, which knows densities only, and Bernoulli conditionals.
@Suite struct MADETests {
  private typealias Build = (inout SpecBuilder) throws -> Void

  private func spec(_ dim: Int, _ contextDim: Int = 0, _ dtype: DType = .f64, _ build: Build) throws -> FlowSpec {
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: dtype)
    try build(&builder)
    return builder.spec
  }

  /// Random orders and degrees, direct connections.
  private func made(
    _ dim: Int, _ contextDim: Int = 0, _ conditional: SpecBuilder.MADEConditional, masks: Int = 1,
    hidden: [Int] = [13, 21], _ dtype: DType = .f64, seed: UInt64 = 4
  ) throws -> FlowSpec {
    try spec(dim, contextDim, dtype) {
      try $0.setBaseMADE(
        .small(hidden: hidden, .tanh), conditional: conditional, order: .random, randomDegrees: true, masks: masks,
        direct: true, seed: seed)
    }
  }

  /// The spec with one of the masks, whose parameters are the same.
  private func one(_ mask: Int, of spec: FlowSpec) throws -> FlowSpec {
    let base = try #require(spec.base.spec as? MADESpec)
    let parameters = base.masks[mask]
    var one = try FlowSpec(dtype: spec.dtype, shape: spec.shape, contextDim: spec.contextDim)
    try one.setBase(
      BaseSpec(
        MADESpec(
          dim: spec.dim, contextDim: spec.contextDim, conditional: base.conditional,
          masks: [.init(order: parameters.order, hiddenDegrees: parameters.network.degrees?.hidden ?? [])],
          conditioner: .init(network: parameters.network.conventions, direct: parameters.network.direct))))
    return one
  }

  /// All of {0, 1}^dim, the first column changing fastest, with the context of each.
  private func vectors<S: Scalar>(_ dim: Int, context: [S] = []) -> Rows<S> {
    Rows(
      x: (0..<1 << dim).flatMap { v in (0..<dim).map { S(v >> $0 & 1) } },
      context: (0..<1 << dim).flatMap { _ in context }, count: 1 << dim)
  }

  private func binary<S: Scalar>(_ count: Int, _ spec: FlowSpec, seed: UInt64) -> Rows<S> {
    var rows = Rows<S>.random(count, spec, seed: seed)
    for i in rows.x.indices { rows.x[i] = rows.x[i] > 0 ? 1 : 0 }
    return rows
  }

  // MARK: - Gaussian conditionals

  @Test(arguments: [(1, 0), (1, 2), (4, 0), (4, 3)])
  func gaussianConditionalsAreAnAutoregressiveLayer(_ dim: Int, _ contextDim: Int) throws {
    let conditioner = SpecBuilder.Conditioner.small(hidden: [12, 19], .tanh)
    let base = try spec(dim, contextDim) {
      try $0.setBaseMADE(
        conditioner, conditional: .gaussian, order: .random, randomDegrees: true, direct: true, seed: 3)
    }
    let layer = try spec(dim, contextDim) {
      try $0.addAutoregressive(
        conditioner, order: .random, randomDegrees: true, direct: true, inverted: false, seed: 3)
    }
    let (a, b) = (try Flow<Double>.random(base, seed: 7), try Flow<Double>.random(layer, seed: 7))
    let rows = Rows<Double>.random(100, base, seed: 2)
    let (ga, gb) = (try a.gradient(rows), try b.gradient(rows))
    for (x, y) in zip(ga.logProb, gb.logProb) { #expect(abs(x - y) <= 1e-13 * (1 + abs(y))) }
    #expect(ga.x == gb.x && ga.context == gb.context)
    #expect(try trainingObjective(a, rows).gradient == trainingObjective(b, rows).gradient)
    let (sa, sb) = (
      try a.samples(100, seed: 5, context: rows.context), try b.samples(100, seed: 5, context: rows.context)
    )
    #expect(sa.x == sb.x)
  }

  @Test(arguments: [(1, 0), (1, 2), (4, 0), (4, 3)])
  func mixturesAreAnAutoregressiveLayerOverTheUniformDistribution(_ dim: Int, _ contextDim: Int) throws {
    let conditioner = SpecBuilder.Conditioner.small(
      hidden: [12, 19], .tanh, transformer: .mixture(components: 4, family: .normal, target: .uniform))
    let base = try spec(dim, contextDim) {
      try $0.setBaseMADE(
        conditioner, conditional: .mixture(components: 4), order: .random, randomDegrees: true, direct: true, seed: 3)
    }
    let layer = try spec(dim, contextDim) {
      try $0.addAutoregressive(
        conditioner, order: .random, randomDegrees: true, direct: true, inverted: false, seed: 3)
      try $0.setBase(.uniform(low: 0, high: 1))
    }
    let (a, b) = (try Flow<Double>.random(base, seed: 7), try Flow<Double>.random(layer, seed: 7))
    let rows = Rows<Double>.random(100, base, seed: 2)
    let (ga, gb) = (try a.gradient(rows), try b.gradient(rows))
    #expect(ga.logProb == gb.logProb && ga.x == gb.x && ga.context == gb.context)
    #expect(try trainingObjective(a, rows).gradient == trainingObjective(b, rows).gradient)
    let (sa, sb) = (
      try a.samples(100, seed: 5, context: rows.context), try b.samples(100, seed: 5, context: rows.context)
    )
    for (x, y) in zip(sa.x, sb.x) { #expect(abs(x - y) < 1e-9 * (1 + abs(y))) }
  }

  // MARK: - Bernoulli conditionals

  private static let bernoulli = [(1, 0, 1), (1, 2, 1), (3, 1, 1), (6, 0, 1), (4, 0, 5), (5, 2, 4), (1, 0, 2)]

  @Test(arguments: bernoulli)
  func probabilitiesSumToOne(_ dim: Int, _ contextDim: Int, _ masks: Int) throws {
    let spec = try made(dim, contextDim, .bernoulli, masks: masks)
    let flow = try Flow<Double>.random(spec, seed: 3, strength: 2)
    for seed: UInt64 in 0..<3 {
      let context = Rows<Double>.random(1, spec, seed: seed).context
      let total = try flow.run(.logProb, vectors(dim, context: context)).logs.reduce(0) { $0 + exp($1) }
      #expect(abs(total - 1) < 1e-13)
    }
  }

  /// Pearson's statistic of 2^dim - 1 degrees of freedom, far into its tail.
  @Test(arguments: bernoulli)
  func samplesHaveTheProbabilities(_ dim: Int, _ contextDim: Int, _ masks: Int) throws {
    let spec = try made(dim, contextDim, .bernoulli, masks: masks)
    let flow = try Flow<Double>.random(spec, seed: 4, strength: 1)
    let context = Rows<Double>.random(1, spec, seed: 1).context
    let n = 40_000
    let (x, logProb) = try flow.samples(n, seed: 6, context: (0..<n).flatMap { _ in context })
    var counts = [Double](repeating: 0, count: 1 << dim)
    let logs = try flow.run(.logProb, vectors(dim, context: context)).logs
    for r in 0..<n {
      let vector = (0..<dim).reduce(0) { $0 + (x[r * dim + $1] == 1 ? 1 << $1 : 0) }
      counts[vector] += 1
      #expect(logProb[r] == logs[vector])
    }
    var (statistic, freedom, rare, rarely) = (0.0, -1.0, 0.0, 0.0)
    for (count, log) in zip(counts, logs) {
      let expected = Double(n) * exp(log)
      if expected < 10 {
        rare += count
        rarely += expected
      } else {
        statistic += (count - expected) * (count - expected) / expected
        freedom += 1
      }
    }
    if rarely > 1 {
      statistic += (rare - rarely) * (rare - rarely) / rarely
      freedom += 1
    }
    // Wilson and Hilferty: the cube root is nearly normal.
    let z = (pow(statistic / freedom, 1.0 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)).squareRoot()
    #expect(z < 3.3, "\(statistic) with \(freedom) degrees of freedom")
  }

  /// The same vectors come with the same weights in single precision, but where a uniform number is near an edge.
  @Test func samplesAgreeBetweenTypes() throws {
    let flow = try Flow<Double>.random(made(6, 0, .bernoulli, masks: 3), seed: 4)
    let single = try Flow<Float>.random(made(6, 0, .bernoulli, masks: 3, .f32), seed: 4)
    let (a, b) = (try flow.samples(5000, seed: 1).x, try single.samples(5000, seed: 1).x)
    #expect(zip(a, b).reduce(0) { $0 + ($1.0 == Double($1.1) ? 0 : 1) } < 10)
  }

  @Test func onlyZeroAndOneHaveADensity() throws {
    let spec = try made(3, 2, .bernoulli)
    let flow = try Flow<Double>.random(spec, seed: 3)
    var rows: Rows<Double> = binary(40, spec, seed: 3)
    let clean = try flow.gradient(rows)
    rows.x[3 * 3] = 0.5
    rows.x[7 * 3 + 1] = .infinity
    rows.x[9 * 3 + 2] = -1e-300
    rows.x[11 * 3 + 2] = .nan
    rows.x[20 * 3] = -0.0
    let (logs, gx, gc) = try flow.gradient(rows)
    for r in 0..<40 where ![3, 7, 9, 11, 20].contains(r) {
      #expect(logs[r] == clean.logProb[r])
      #expect(gc[2 * r..<2 * r + 2] == clean.context[2 * r..<2 * r + 2])
    }
    for r in [3, 7, 9] { #expect(logs[r] == -.infinity) }
    #expect(logs[11].isNaN && logs[20].isFinite)
    #expect(gx.allSatisfy { $0 == 0 } && clean.x.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [1, 4]) func bernoulliGradients(_ masks: Int) throws {
    let spec = try made(4, 3, .bernoulli, masks: masks)
    let flow = try Flow<Double>.random(spec, seed: 6)
    let rows: Rows<Double> = binary(600, spec, seed: 8)
    let h = 1e-6
    // In the context.
    let direction = Rows<Double>.random(600, spec, seed: 9).context
    let slope = zip(try flow.gradient(rows).context, direction).reduce(0) { $0 + $1.0 * $1.1 }
    let along = { (h: Double) in
      var moved = rows
      for i in moved.context.indices { moved.context[i] += h * direction[i] }
      return try flow.run(.logProb, moved).logs.reduce(0, +)
    }
    #expect(abs((try along(h) - along(-h)) / (2 * h) - slope) < 1e-6 * (1 + abs(slope)))
    // In the parameters, as a training sees it.
    let gradient = try trainingObjective(flow, rows).gradient
    var random = Philox(seed: 5, stream: 79)
    let turn = gradient.map { _ in 2 * random.uniform() - 1 }
    let mean = { (h: Double) in
      let parameters = try ParameterVector(copy: flow.parameters)
      for i in 0..<parameters.count { parameters.pointer[i] += h * turn[i] }
      return try trainingObjective(Flow(spec: spec, parameters: parameters), rows).mean
    }
    let expected = zip(gradient, turn).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs((try mean(h) - mean(-h)) / (2 * h) - expected) < 1e-6 * (1 + abs(expected)))
  }

  private func bits<S: Scalar>(_ masks: Int, _: S.Type) throws {
    let spec = try made(5, 2, .bernoulli, masks: masks, S.dtype)
    let flow = try Flow<S>.random(spec, seed: 18)
    let all: Rows<S> = binary(500, spec, seed: 10)
    let part = { (first: Int, size: Int) in
      Rows(
        x: Array(all.x[first * 5..<(first + size) * 5]), context: Array(all.context[first * 2..<(first + size) * 2]),
        count: size)
    }
    let whole = try flow.run(.logProb, all).logs
    let gradient = try flow.gradient(all).context
    let samples = try flow.samples(500, seed: 21, context: all.context)
    for threads in [2, 3] { #expect(try flow.run(.logProb, all, threads: threads).logs == whole) }
    for (first, size) in [(0, 1), (5, 3), (17, 11), (80, 12), (3, 64), (101, 77), (499, 1)] {
      let piece = part(first, size)
      #expect(try flow.run(.logProb, piece).logs == Array(whole[first..<first + size]))
      #expect(try flow.gradient(piece).context == Array(gradient[first * 2..<(first + size) * 2]))
      let own = try flow.samples(size, seed: 21, firstRow: UInt64(first), context: piece.context, threads: 2)
      #expect(own.x == Array(samples.x[first * 5..<(first + size) * 5]))
      #expect(own.logProb == Array(samples.logProb[first..<first + size]))
    }
  }

  @Test(arguments: [1, 6]) func aRowHasTheSameBitsAnywhere(_ masks: Int) throws {
    try bits(masks, Double.self)
    try bits(masks, Float.self)
  }

  // MARK: - Masks

  private static let ensembles: [SpecBuilder.MADEConditional] = [.gaussian, .mixture(components: 3), .bernoulli]

  private func rows(_ count: Int, _ conditional: SpecBuilder.MADEConditional, _ spec: FlowSpec) -> Rows<Double> {
    conditional.isBernoulli ? binary(count, spec, seed: 3) : .random(count, spec, seed: 3)
  }

  @Test(arguments: ensembles) func theDensityIsTheMeanOfTheMasks(_ conditional: SpecBuilder.MADEConditional) throws {
    let spec = try made(4, 1, conditional, masks: 5)
    let flow = try Flow<Double>.random(spec, seed: 3)
    let rows = rows(50, conditional, spec)
    let logs = try flow.run(.logProb, rows).logs
    var mean = [Double](repeating: 0, count: 50)
    for m in 0..<5 {
      let single = try Flow(spec: one(m, of: spec), parameters: flow.parameters)
      for (r, log) in try single.run(.logProb, rows).logs.enumerated() { mean[r] += exp(log) / 5 }
    }
    for r in 0..<50 { #expect(abs(logs[r] - log(mean[r])) < 1e-12 * (1 + abs(logs[r]))) }
  }

  /// A column's parameters depend on those before it in the mask's order, and with direct connections on all of them.
  @Test func everyMaskIsAutoregressive() throws {
    let spec = try made(5, 0, .bernoulli, masks: 4)
    let flow = try Flow<Double>.random(spec, seed: 3)
    let base = try #require(spec.base.spec as? MADESpec)
    #expect(Set(base.masks.map(\.order)).count > 1)
    let (pool, scratch) = (Pool(), Scratch())
    defer { scratch.destroy() }
    for mask in base.masks {
      let network = try AutoregressiveParameters<Double>(mask, offset: 0, slot: 0, pool: pool)
      network.prepare(flow.parameters.pointer)
      func values(_ x: [Double]) throws -> [Double] {
        let tape = try network.evaluate(pool.copy(x), pool.copy([]), 1, scratch, recording: false, nil)
        return (0..<5).map { tape.values[$0] }
      }
      let x = [1.0, 0, 0, 1, 1]
      let before = try values(x)
      for (i, column) in mask.order.enumerated() {
        var moved = x
        moved[column] = 1 - x[column]
        let after = try values(moved)
        for j in 0..<5 { #expect((after[j] == before[j]) == (j <= i)) }
      }
    }
  }

  private func trainer(_ flow: Flow<Double>, _ rows: Rows<Double>, threads: Int = 1) throws -> Trainer<Double> {
    try withBatch(rows) { try Trainer(flow, trainingOptions(batchSize: rows.count, threads: threads), $0) }
  }

  @Test(arguments: ensembles) func trainingTakesTheMasksInTurn(_ conditional: SpecBuilder.MADEConditional) throws {
    let spec = try made(5, 2, conditional, masks: 3, hidden: [70, 40])
    let flow = try Flow<Double>.random(spec, seed: 3)
    let rows = rows(1200, conditional, spec)
    let trainer = try trainer(flow, rows)
    let threaded = try self.trainer(flow, rows, threads: 3)
    var hidden: Set<Int> = []
    for step in 0..<7 {
      let now = try trainer.currentFlow()
      let alone = try Flow(spec: one(step % 3, of: spec), parameters: now.parameters)
      let (mean, gradient) = try trainer.objective.evaluated(trainer.rows, minibatch: step)
      let expected = try trainingObjective(alone, rows)
      #expect(abs(mean - expected.mean) < 1e-12 * abs(mean))
      // A sum over rows that are in another order.
      for (a, b) in zip(gradient, expected.gradient) { #expect(abs(a - b) < 1e-12) }
      // What the mask hides has no gradient at all, whatever steps before have left.
      for i in gradient.indices where expected.gradient[i] == 0 { #expect(gradient[i] == 0) }
      let zeros = Set(gradient.indices.filter { gradient[$0] == 0 })
      #expect(zeros.count > 100 && zeros != hidden)
      hidden = zeros
      let (other, otherGradient) = try threaded.objective.evaluated(threaded.rows, minibatch: step)
      #expect(other == mean && otherGradient == gradient)
      try trainer.step(1) { false }
      try threaded.step(1) { false }
    }
  }

  @Test func anEnsembleLearnsCorrelations() throws {
    // Eight columns, each a noisy copy of one of two hidden bits or of their exclusive or.
    let spec = try spec(8) {
      try $0.setBaseMADE(
        .small(hidden: [64], .relu), conditional: .bernoulli, order: .random, randomDegrees: true, masks: 4,
        direct: true,
        seed: 1)
    }
    var random = Philox(seed: 3, stream: 80)
    func draw(_ count: Int) -> Rows<Double> {
      var rows = Rows<Double>(x: [], context: [], count: count)
      for _ in 0..<count {
        let (a, b) = (random.uniform() < 0.5, random.uniform() < 0.3)
        for i in 0..<8 {
          let bit = i % 3 == 0 ? a : i % 3 == 1 ? b : a != b
          rows.x.append((random.uniform() < 0.1) != bit ? 1 : 0)
        }
      }
      return rows
    }
    let (train, test) = (draw(4000), draw(2000))
    var options = TrainOptions()
    options.batchSize = 100
    options.maxEpochs = 15
    options.learningRate = 5e-3
    options.seed = 2
    let trained = try train.x.withUnsafeBufferPointer { x in
      let trainer = try Trainer(
        Flow<Double>(spec: spec, seed: 1), options,
        Batch<Double>(rows: train.count, x: x.baseAddress, context: nil, contextIsShared: false))
      while !trainer.report.finished { try trainer.step(0) { false } }
      return try trainer.bestFlow()
    }
    let learned = try trained.run(.logProb, test).logs.reduce(0, +) / Double(test.count)
    var independent = 0.0
    for i in 0..<8 {
      let p = (0..<train.count).reduce(0) { $0 + train.x[$1 * 8 + i] } / Double(train.count)
      for r in 0..<test.count { independent += log(test.x[r * 8 + i] == 1 ? p : 1 - p) / Double(test.count) }
    }
    // The entropy of the data is 8 H(0.1) + H(a, b) less a bit: about -3.8 nats a row; independent columns have -5.3.
    #expect(learned > independent + 1, "\(learned), independent columns \(independent)")
  }

  // MARK: - Records and files

  @Test(arguments: [DType.f32, .f64]) func weightFiles(_ dtype: DType) throws {
    for spec in [
      try made(4, 1, .bernoulli, masks: 3, dtype), try made(1, 0, .bernoulli, hidden: [], dtype),
      try made(3, 0, .mixture(components: 2), masks: 2, dtype),
    ] {
      let stored = StoredFlow(
        flow: dtype == .f32 ? .f32(try Flow.random(spec, seed: 1)) : .f64(try Flow.random(spec, seed: 1)))
      let image = try WeightFile.image(of: stored)
      let loaded = try WeightFile.load(image)
      #expect(loaded.flow.spec == spec)
      #expect(try WeightFile.image(of: loaded) == image)
    }
  }

  @Test func recordsThatMakeNoSense() throws {
    let record = try made(3, 0, .gaussian, masks: 2).baseRecord
    let refused = { (name: String, value: Record.Value?) in
      var broken = record
      broken[name] = value
      #expect(throws: DiffeoError.self, "\(name)") { try MADESpec(broken, dim: 3, contextDim: 0) }
    }
    #expect(try MADESpec(record, dim: 3, contextDim: 0).record == record)
    for name in ["conditional", "masks", "order", "hidden", "degrees_0", "degrees_1", "activation", "scale"] {
      refused(name, nil)
    }
    for masks in [Int.min, -1, 0, 1, 3, 257, Int.max] { refused("masks", .int(masks)) }
    refused("conditional", .string("poisson"))
    refused("direct", .int(2))
    refused("order", .ints([0, 1, 2, 0, 1, 1]))
    refused("order", .ints([]))
    refused("hidden", .ints([13, Int.max]))
    refused("hidden", .ints([Int.min, 21]))
    refused("degrees_0", .ints([Int](repeating: 3, count: 26)))
    refused("degrees_0", .ints([Int](repeating: -1, count: 26)))
    refused("degrees_1", .ints([1]))
    #expect(throws: DiffeoError.self) { try made(2, 0, .gaussian, masks: 0) }
    #expect(throws: DiffeoError.self) { try made(2, 0, .gaussian, masks: Int.max) }
    #expect(throws: DiffeoError.self) { try made(400, 0, .gaussian, masks: 256, hidden: [1000, 1000]) }
  }
}
