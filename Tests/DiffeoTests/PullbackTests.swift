import Glibc
import Testing

@testable import Diffeo

/// Vector-Jacobian products of every layer, base and named flow, in both directions.
@Suite struct PullbackTests {
  /// Of rows and logs, times cotangents: the function whose gradient is pulled back.
  struct Weighing {
    let rows, logs: [Double]

    init(_ count: Int, _ spec: FlowSpec, seed: UInt64) {
      var random = Philox(seed: seed, stream: 80)
      rows = (0..<count * spec.dim).map { _ in 2 * random.uniform() - 1 }
      logs = (0..<count).map { _ in 2 * random.uniform() - 1 }
    }

    func of(_ rows: [Double], _ logs: [Double]) -> Double {
      zip(rows, self.rows).reduce(0) { $0 + $1.0 * $1.1 } + zip(logs, self.logs).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  func direction(_ spec: FlowSpec) -> [Double] {
    var random = Philox(seed: 5, stream: 79)
    var direction = [Double](repeating: 0, count: spec.parameterCount)
    for slot in spec.slots.flatMap(\.slots) where slot.role != .constant {
      for i in 0..<slot.count { direction[slot.offset + i] = 0.3 * (2 * random.uniform() - 1) }
    }
    return direction
  }

  func moved(_ flow: Flow<Double>, _ h: Double, _ direction: [Double]) throws -> Flow<Double> {
    let parameters = try ParameterVector(copy: flow.parameters)
    for i in 0..<parameters.count { parameters.pointer[i] += h * direction[i] }
    return try Flow(spec: flow.spec, parameters: parameters)
  }

  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// `value` is the function whose slopes are looked at, as it is without a pullback.
  func check(
    _ c: Case, _ function: Pullback<Double>.Function, seed: UInt64, ofInput: Bool = true,
    _ value: (Flow<Double>, Rows<Double>) throws -> (values: [Double], logs: [Double])
  ) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: seed)
    let count = 70
    let rows = Rows<Double>.random(count, spec, seed: 4)
    let along = Rows<Double>.random(count, spec, seed: 5, spread: 0.5)
    let weighing = Weighing(count, spec, seed: 6)
    var rowCotangents: [Double]? = weighing.rows
    if case .logProb = function { rowCotangents = nil }
    func total(_ flow: Flow<Double>, _ rows: Rows<Double>) throws -> Double {
      let (values, logs) = try value(flow, rows)
      return weighing.of(rowCotangents == nil ? [] : values, logs)
    }
    let pulled = try flow.pullback(function, rows, rowCotangents: rowCotangents, logCotangents: weighing.logs)
    let (values, logs) = try value(flow, rows)
    #expect(pulled.logs == logs)
    if rowCotangents != nil { #expect(pulled.rows == values) }
    let start = try total(flow, rows)
    // Random maps are steeper from noise to data.
    let strength = 0.01
    if ofInput {
      try taylor(
        c,
        { h in
          var moved = rows
          for i in rows.x.indices { moved.x[i] += h * along.x[i] }
          return try total(flow, moved) - start
        }, dot(pulled.x, along.x), "\(function), rows", strength: strength)
    }
    if spec.contextDim > 0 {
      try taylor(
        c,
        { h in
          var moved = rows
          for i in rows.context.indices { moved.context[i] += h * along.context[i] }
          return try total(flow, moved) - start
        }, dot(pulled.context, along.context), "\(function), context", strength: strength)
    }
    let direction = direction(spec)
    // They are added to ones.
    let slope = dot(pulled.parameters.map { $0 - 1 }, direction)
    try taylor(
      c, { h in try total(moved(flow, h, direction), rows) - start }, slope,
      "\(function), parameters", strength: strength)
    // What is not trained, and what masks hide, has none.
    for (gradient, trained) in zip(pulled.parameters, flow.trained()) where !trained { #expect(gradient == 1) }
  }

  @Test(arguments: Case.all) func ofLogProb(_ c: Case) throws {
    try check(c, .logProb, seed: 13) { flow, rows in try flow.run(.logProb, rows) }
  }

  @Test(arguments: Case.all) func ofToNoise(_ c: Case) throws {
    try check(c, .toNoise, seed: 14) { flow, rows in try flow.run(.toNoise, rows) }
  }

  @Test(arguments: Case.all) func ofFromNoise(_ c: Case) throws {
    try check(c, .fromNoise, seed: 15) { flow, rows in try flow.run(.fromNoise, rows) }
  }

  @Test(arguments: Case.all) func ofSamples(_ c: Case) throws {
    let sample = Pullback<Double>.Function.sample(seed: 8, firstRow: 11)
    let base = try c.spec(.f64).base.spec
    // Its rows jump from component to component.
    if base is MixtureSpec { return }
    if let made = base as? MADESpec, made.conditional == .bernoulli || made.masks.count > 1 {
      #expect(throws: DiffeoError.self) { try check(c, sample, seed: 16) { _, _ in ([], []) } }
      return
    }
    try check(c, sample, seed: 16, ofInput: false) { flow, rows in
      let (x, logs) = try flow.samples(rows.count, seed: 8, firstRow: 11, context: rows.context)
      return (x, logs)
    }
  }

  /// Rows move such that each column keeps its place in its distribution, given the columns before.
  @Test func samplesOfMixturesKeepTheirQuantiles() throws {
    for contextDim in [0, 2] {
      var builder = try SpecBuilder(dim: 3, contextDim: contextDim, dtype: .f64)
      try builder.setBase(
        .mixture(components: 4, contextDim > 0 ? NetworkConventions(hidden: [7], activation: .tanh) : nil))
      let flow = try Flow<Double>.random(builder.spec, seed: 21)
      let direction = direction(flow.spec)
      let count = 40
      let rows = Rows<Double>.random(count, flow.spec, seed: 3)
      let samples = try flow.samples(count, seed: 2, context: rows.context)
      let h = 1e-5
      let (up, down) = (try moved(flow, h, direction), try moved(flow, -h, direction))
      let context = { (r: Int) in Array(rows.context[r * contextDim..<(r + 1) * contextDim]) }
      for r in 0..<count {
        // How the row moves: one cotangent a column.
        var velocity: [Double] = []
        for i in 0..<3 {
          var cotangents = [Double](repeating: 0, count: 3 * count)
          cotangents[3 * r + i] = 1
          let pulled = try flow.pullback(
            .sample(seed: 2, firstRow: 0), rows, rowCotangents: cotangents)
          velocity.append(dot(pulled.parameters.map { $0 - 1 }, direction))
        }
        let row = Array(samples.x[3 * r..<3 * r + 3])
        func places(_ flow: Flow<Double>, _ h: Double) -> [Double] {
          let base = ReferenceBase(flow)
          let at = zip(row, velocity).map { $0 + h * $1 }
          return (0..<3).map { base.cdf($0, at, base.parameters(context(r))) }
        }
        for (a, b) in zip(places(up, h), places(down, -h)) { #expect(abs(a - b) < 1e-7 * h / 1e-5) }
        // And the log-density moves with the row and with the distribution.
        var cotangents = [Double](repeating: 0, count: count)
        cotangents[r] = 1
        let slope = dot(
          try flow.pullback(.sample(seed: 2, firstRow: 0), rows, logCotangents: cotangents).parameters.map { $0 - 1 },
          direction)
        func log(_ flow: Flow<Double>, _ h: Double) throws -> Double {
          try flow.run(
            .logProb, Rows(x: zip(row, velocity).map { $0 + h * $1 }, context: context(r), count: 1)
          ).logs[0]
        }
        #expect(abs((try log(up, h) - log(down, -h)) / (2 * h) - slope) < 1e-6 * (1 + abs(slope)))
      }
    }
  }

  /// Two NaN are the same.
  func same<S: Scalar>(_ a: [S], _ b: [S]) -> Bool {
    zip(a, b).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
  }

  /// More rows than one piece, in single precision too, and nothing is lost when nothing is wanted.
  func bits<S: Scalar>(_ spec: FlowSpec, _: S.Type) throws {
    let flow = try Flow<S>.random(spec, seed: 18)
    let rows = Rows<S>.random(600, spec, seed: 10)
    let weighing = Weighing(600, spec, seed: 7)
    let (rowCotangents, logCotangents) = (weighing.rows.map { S($0) }, weighing.logs.map { S($0) })
    let functions: [Pullback<S>.Function] = [.logProb, .toNoise, .fromNoise, .sample(seed: 4, firstRow: 2)]
    for function in functions {
      if case .sample = function, let made = spec.base.spec as? MADESpec,
        made.conditional == .bernoulli || made.masks.count > 1
      {
        continue
      }
      let whole = try flow.pullback(
        function, rows, rowCotangents: rowCotangents, logCotangents: logCotangents)
      for threads in [2, 3] {
        let other = try flow.pullback(
          function, rows, rowCotangents: rowCotangents, logCotangents: logCotangents, threads: threads)
        #expect(same(other.rows, whole.rows) && same(other.logs, whole.logs), "\(function), \(threads) threads")
        #expect(same(other.x, whole.x) && same(other.context, whole.context), "\(function), \(threads) threads")
        #expect(same(other.parameters, whole.parameters), "\(function), \(threads) threads")
      }
      let without = try flow.pullback(
        function, rows, rowCotangents: rowCotangents, logCotangents: logCotangents, parameters: false)
      #expect(same(without.x, whole.x) && same(without.context, whole.context))
    }
  }

  @Test(arguments: Case.architectures + Case.bases + Case.mades)
  func haveTheSameBitsForAnyNumberOfThreads(_ c: Case) throws {
    try bits(c.spec(.f64), Double.self)
    try bits(c.spec(.f32), Float.self)
  }

  // MARK: - Recorded draws

  /// One run of the flow gives what three do. Sums of float64 in another order.
  func recorded(_ c: Case, rows count: Int, threads: Int) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 17)
    let weighing = Weighing(count, spec, seed: 9)
    let context = Rows<Double>.random(count, spec, seed: 4).context
    let sample = Pullback<Double>.Function.sample(seed: 8, firstRow: 11)
    var (x, logs) = try flow.samples(count, seed: 8, firstRow: 11, context: context)
    let rows = Rows(x: x, context: context, count: count)
    let score = try flow.pullback(.logProb, rows, logCotangents: weighing.logs)
    let draws = try RecordedDraws<Double, Double>(FlowInTraining(flow, threads: threads, bothWays: true), rows: count)
    try context.withUnsafeBufferPointer {
      try draws.draw(seed: 8, firstRow: 11, context: $0.baseAddress, &x, &logs)
      #expect(x == rows.x)
      // Added to ones.
      var g = [Double](repeating: 1, count: x.count)
      try draws.addScore(weighing.logs, to: &g)
      close(g.map { $0 - 1 }, score.x, "score")
      try weighing.logs.withUnsafeBufferPointer { try draws.pullBack(.fixed(logProb: $0.baseAddress!)) }
      close(gradient(draws), score.parameters.map { $0 - 1 }, "parameters, fixed")
      if let made = spec.base.spec as? MADESpec, made.conditional == .bernoulli || made.masks.count > 1 { return }
      for logCotangents in [nil, weighing.logs] {
        try weighing.rows.withUnsafeBufferPointer { x in
          try (logCotangents ?? []).withUnsafeBufferPointer {
            try draws.pullBack(.moving(x: x.baseAddress!, logProb: logCotangents == nil ? nil : $0.baseAddress))
          }
        }
        let pulled = try flow.pullback(sample, rows, rowCotangents: weighing.rows, logCotangents: logCotangents)
        close(gradient(draws), pulled.parameters.map { $0 - 1 }, "parameters, moving")
      }
    }
  }

  func gradient(_ draws: RecordedDraws<Double, Double>) -> [Double] {
    Array(UnsafeBufferPointer(start: draws.gradient.pointer, count: draws.gradient.count))
  }

  /// Within the rounding of values that were found twice.
  func close(_ a: [Double], _ b: [Double], _ what: String) {
    let size = b.reduce(0) { max($0, abs($1)) }
    for (i, (a, b)) in zip(a, b).enumerated() where !(abs(a - b) <= 1e-7 * (size + 1)) {
      Issue.record("\(what) \(i): \(a), not \(b), largest \(size)")
      return
    }
  }

  @Test(arguments: Case.all) func ofRecordedDraws(_ c: Case) throws { try recorded(c, rows: 70, threads: 1) }

  /// Some of which are kept, and some recorded again.
  @Test(arguments: Case.architectures) func ofManyRecordedDraws(_ c: Case) throws {
    try recorded(c, rows: 4500, threads: 2)
  }
}
