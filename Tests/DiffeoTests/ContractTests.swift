import Glibc
import Testing

@testable import Diffeo

/// What every layer and every named flow must satisfy.
@Suite struct ContractTests {
  // MARK: 1. The inverse

  func inverse<S: Scalar>(_ spec: FlowSpec, _: S.Type, tolerance: S) throws {
    let flow = try Flow<S>.random(spec, seed: 11)
    let rows = Rows<S>.random(131, spec, seed: 1)
    let (z, forward) = try flow.run(.toNoise, rows)
    let (x, backward) = try flow.run(
      .fromNoise, Rows(x: z, context: rows.context, count: rows.count))
    for i in rows.x.indices {
      #expect(abs(x[i] - rows.x[i]) <= tolerance * (1 + abs(rows.x[i]) + abs(z[i])))
    }
    for i in 0..<rows.count {
      #expect(abs(forward[i] + backward[i]) <= tolerance * (1 + abs(forward[i])))
    }
  }

  /// In the noise that a flow is made for, errors are of the order of the rounding; the factor is the conditioning of
  /// the random maps.
  @Test(arguments: Case.all) func inverseUndoesForward(_ c: Case) throws {
    try inverse(c.spec(.f64), Double.self, tolerance: 1e-11)
    try inverse(c.spec(.f32), Float.self, tolerance: 1e-3)
  }

  // MARK: 2. The log-determinant

  @Test(arguments: Case.all) func logDetIsThatOfTheJacobian(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 12)
    let rows = Rows<Double>.random(7, spec, seed: 2)
    let (_, logDet) = try flow.run(.toNoise, rows)
    let d = spec.dim
    let h = 1e-6
    for r in 0..<rows.count {
      // All 2 d shifted rows in one batch.
      var shifted = Rows<Double>(x: [], context: [], count: 2 * d)
      for i in 0..<d {
        for sign in [1.0, -1.0] {
          var row = Array(rows.x[r * d..<(r + 1) * d])
          row[i] += sign * h
          shifted.x += row
          shifted.context += rows.context[r * spec.contextDim..<(r + 1) * spec.contextDim]
        }
      }
      let (z, _) = try flow.run(.toNoise, shifted)
      let jacobian = (0..<d).map { i in
        (0..<d).map { j in (z[2 * i * d + j] - z[(2 * i + 1) * d + j]) / (2 * h) }
      }
      // A kink of an activation between the two points would show; the activations of the cases are smooth.
      #expect(abs(logAbsDeterminant(jacobian) - logDet[r]) < 2e-6 * (1 + abs(logDet[r])))
    }
  }

  @Test(arguments: [false, true]) func autoregressiveJacobiansAreTriangularInTheirOrder(
    inverted: Bool
  ) throws {
    let order = [3, 0, 4, 1, 2]
    var builder = try SpecBuilder(dim: 5, contextDim: 2, dtype: .f64)
    try builder.addAutoregressive(
      .small(), order: .given(order), randomDegrees: true, inverted: inverted, seed: 4)
    let flow = try Flow<Double>.random(builder.spec, seed: 3)
    let rows = Rows<Double>.random(1, builder.spec, seed: 3)
    let base = try flow.run(.toNoise, rows).values
    var place = [Int](repeating: 0, count: 5)
    for (i, column) in order.enumerated() { place[column] = i }
    for i in 0..<5 {
      var moved = rows
      moved.x[i] += 0.37
      let z = try flow.run(.toNoise, moved).values
      for j in 0..<5 {
        if place[j] < place[i] { #expect(z[j] == base[j]) } else { #expect(z[j] != base[j]) }
      }
    }
  }

  // MARK: 3. Pullbacks

  @Test(arguments: Case.all) func gradientsOfInputsAndContext(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 13)
    let rows = Rows<Double>.random(70, spec, seed: 4)
    let direction = Rows<Double>.random(70, spec, seed: 5, spread: 0.5)
    let (logProb, gx, gc) = try flow.gradient(rows)
    #expect(logProb == (try flow.run(.logProb, rows).logs))
    let total = logProb.reduce(0, +)
    let slopeX = zip(gx, direction.x).reduce(0) { $0 + $1.0 * $1.1 }
    try taylor(
      c,
      { h in
        var moved = rows
        for i in rows.x.indices { moved.x[i] += h * direction.x[i] }
        return try flow.run(.logProb, moved).logs.reduce(0, +) - total
      }, slopeX, "x")
    if spec.contextDim > 0 {
      let slopeC = zip(gc, direction.context).reduce(0) { $0 + $1.0 * $1.1 }
      try taylor(
        c,
        { h in
          var moved = rows
          for i in rows.context.indices { moved.context[i] += h * direction.context[i] }
          return try flow.run(.logProb, moved).logs.reduce(0, +) - total
        }, slopeC, "context")
    }
  }

  @Test(arguments: Case.all) func gradientsOfParameters(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 14)
    // More rows than are reduced at a time.
    let rows = Rows<Double>.random(600, spec, seed: 6)
    let (_, gradient) = try trainingObjective(flow, rows)
    var random = Philox(seed: 5, stream: 79)
    var direction = [Double](repeating: 0, count: spec.parameterCount)
    for slot in spec.slots.flatMap(\.slots) where slot.role != .constant {
      for i in 0..<slot.count { direction[slot.offset + i] = 0.3 * (2 * random.uniform() - 1) }
    }
    let mean = { (flow: Flow<Double>) in
      c.traits.contains(.trainsOtherwise)
        ? try trainingObjective(flow, rows).mean
        : try flow.run(.logProb, rows).logs.reduce(0, +) / Double(rows.count)
    }
    let start = try mean(flow)
    let slope = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
    try taylor(
      c,
      { h in
        let parameters = try ParameterVector(copy: flow.parameters)
        for i in 0..<parameters.count { parameters.pointer[i] += h * direction[i] }
        return try mean(Flow(spec: spec, parameters: parameters)) - start
      }, slope, "parameters")
  }

  /// Whatever a trainer keeps of the weights is renewed by steps. (Dequantisation draws other noise in each epoch.)
  @Test(arguments: Case.all.filter { !$0.traits.contains(.drawsNoise) }) func gradientsAfterSteps(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let rows = Rows<Double>.random(70, spec, seed: 6)
    var options = trainingOptions(batchSize: rows.count)
    options.learningRate = 0.001
    let trainer = try withBatch(rows) { try Trainer(Flow<Double>.random(spec, seed: 14), options, $0) }
    for _ in 0..<30 { try trainer.step(1) { false } }
    let after = try trainer.objective.evaluated(trainer.rows, minibatch: 0)
    let fresh = try trainingObjective(trainer.currentFlow(), rows)
    #expect(abs(after.mean - fresh.mean) < 1e-11 * (1 + abs(fresh.mean)))
    let scale = fresh.gradient.map(abs).max() ?? 0
    for (a, b) in zip(after.gradient, fresh.gradient) { #expect(abs(a - b) <= 1e-10 * (1 + scale)) }
  }

  // MARK: 4. A density, and samples of it

  @Test(arguments: Case.all.filter { $0.dim == 2 }) func densityIntegratesToOne(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 15, strength: 0.7)
    let context = Rows<Double>.random(1, spec, seed: 7).context
    let n = 401
    // Of each column, where the grid is and how much of the column a point stands for.
    var grid = [[(x: Double, width: Double)]](repeating: [], count: 2)
    for i in 0..<n {
      let u = 2 * Double(i) / Double(n - 1) - 1
      for j in 0..<2 {
        switch c.extent {
        case .square(let range):
          let width = (range.upperBound - range.lowerBound) / Double(n)
          grid[j].append((range.lowerBound + (Double(i) + 0.5) * width, width))
        case .far(let edge): grid[j].append((sinh(edge * u), cosh(edge * u) * 2 * edge / Double(n - 1)))
        case .noise(let low, let high):
          let corners = try flow.run(
            .fromNoise, Rows(x: [low, low, high, high], context: context + context, count: 2)
          ).values
          let width = (corners[2 + j] - corners[j]) / Double(n)
          grid[j].append((corners[j] + (Double(i) + 0.5) * width, width))
        }
      }
    }
    var total = 0.0
    for (x, width) in grid[0] {
      let rows = Rows<Double>(
        x: grid[1].flatMap { [x, $0.x] }, context: (0..<n).flatMap { _ in context }, count: n)
      let logs = try flow.run(.logProb, rows).logs
      total += width * zip(logs, grid[1]).reduce(0) { $0 + exp($1.0) * $1.1.width }
    }
    #expect(abs(total - 1) < 2e-3)
  }

  /// Each column of the noise of samples' data follows the base given those before: Kolmogorov and Smirnov's distance of 20,000 samples is
  /// below 0.0138 with probability 0.999; and the noise is what the samples were made of.
  @Test(arguments: Case.architectures + Case.bases) func samplesFollowTheDensity(_ c: Case) throws {
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 16)
    let n = 20_000
    let context = Rows<Double>.random(n, spec, seed: 8).context
    let (x, _) = try flow.samples(n, seed: 9, context: context)
    let (z, _) = try flow.run(.toNoise, Rows(x: x, context: context, count: n))
    let base = ReferenceBase(flow)
    let (d, contextDim) = (spec.dim, spec.contextDim)
    let parameters = (0..<n).map { base.parameters(Array(context[$0 * contextDim..<($0 + 1) * contextDim])) }
    for i in 0..<d {
      let column = (0..<n).map { base.cdf(i, Array(z[$0 * d..<($0 + 1) * d]), parameters[$0]) }.sorted()
      var distance = 0.0
      for (k, p) in column.enumerated() {
        distance = max(distance, abs(p - Double(k) / Double(n)), abs(p - Double(k + 1) / Double(n)))
      }
      #expect(distance < 0.0138)
    }
  }

  // MARK: 5. Samples with their log-probabilities

  func sampleLogProb<S: Scalar>(_ spec: FlowSpec, _: S.Type, tolerance: S) throws {
    let flow = try Flow<S>.random(spec, seed: 17)
    let context = Rows<S>.random(100, spec, seed: 9).context
    let (x, logProb) = try flow.samples(100, seed: 4, context: context)
    let direct = try flow.run(.logProb, Rows(x: x, context: context, count: 100)).logs
    for i in 0..<100 { #expect(abs(direct[i] - logProb[i]) <= tolerance * (1 + abs(direct[i]))) }
  }

  @Test(arguments: Case.all) func sampleAndLogProbAgree(_ c: Case) throws {
    try sampleLogProb(c.spec(.f64), Double.self, tolerance: 1e-9)
    try sampleLogProb(c.spec(.f32), Float.self, tolerance: 2e-3)
  }

  // MARK: 6. Bits

  func bits<S: Scalar>(_ spec: FlowSpec, _: S.Type) throws {
    let flow = try Flow<S>.random(spec, seed: 18)
    let all = Rows<S>.random(1000, spec, seed: 10)
    let part = { (range: Range<Int>) in
      Rows<S>(
        x: Array(all.x[range.lowerBound * spec.dim..<range.upperBound * spec.dim]),
        context: Array(
          all.context[range.lowerBound * spec.contextDim..<range.upperBound * spec.contextDim]),
        count: range.count)
    }
    let operations: [Flow<S>.Question] = [.logProb, .toNoise, .fromNoise]
    for operation in operations {
      let whole = try flow.run(operation, all)
      for threads in [2, 3] {
        let other = try flow.run(operation, all, threads: threads)
        #expect(other.values == whole.values && other.logs == whole.logs)
      }
      for size in [1, 2, 3, 7, 11, 12, 13, 17, 33, 64, 65, 100] {
        for first in [0, 5, 501] {
          let piece = try flow.run(operation, part(first..<first + size))
          #expect(
            piece.logs == Array(whole.logs[first..<first + size]),
            "\(operation), \(size) rows from \(first)")
          if operation != .logProb {
            #expect(
              piece.values == Array(whole.values[first * spec.dim..<(first + size) * spec.dim]))
          }
        }
      }
    }
    let whole = try flow.samples(
      300, seed: 21, context: Array(all.context.prefix(300 * spec.contextDim)))
    for (first, size) in [(0, 1), (17, 5), (3, 64), (100, 77), (299, 1)] {
      let context = Array(all.context[first * spec.contextDim..<(first + size) * spec.contextDim])
      let piece = try flow.samples(
        size, seed: 21, firstRow: UInt64(first), context: context, threads: 2)
      #expect(piece.x == Array(whole.x[first * spec.dim..<(first + size) * spec.dim]))
      #expect(piece.logProb == Array(whole.logProb[first..<first + size]))
    }
    let gradient = try flow.gradient(all)
    let piece = try flow.gradient(part(400..<409))
    #expect(piece.x == Array(gradient.x[400 * spec.dim..<409 * spec.dim]))
    #expect(piece.context == Array(gradient.context[400 * spec.contextDim..<409 * spec.contextDim]))
  }

  @Test(arguments: Case.all) func aRowHasTheSameBitsAnywhere(_ c: Case) throws {
    try bits(c.spec(.f64), Double.self)
    try bits(c.spec(.f32), Float.self)
  }

  // MARK: 8. Hard inputs

  func hard<S: Scalar>(_ spec: FlowSpec, isBounded: Bool, _: S.Type) throws {
    let flow = try Flow<S>.random(spec, seed: 19)
    var rows = Rows<S>.random(70, spec, seed: 12)
    let clean = try flow.run(.logProb, rows).logs
    let d = spec.dim
    rows.x[3 * d] = .nan
    rows.x[68 * d + d - 1] = .nan
    rows.x[5 * d + d - 1] = .infinity
    rows.x[66 * d] = -.infinity
    if spec.contextDim > 0,
      spec.slots.contains(where: { !$0.slots.filter { $0.name.hasPrefix("network/") }.isEmpty })
    {
      rows.context[9 * spec.contextDim] = .nan
    }
    rows.x[20 * d] = 1e30
    rows.x[21 * d] = S.leastNonzeroMagnitude
    let logs = try flow.run(.logProb, rows).logs
    for r in 0..<70 where ![3, 68, 5, 66, 9, 20, 21].contains(r) { #expect(logs[r] == clean[r]) }
    #expect(logs[3].isNaN && logs[68].isNaN)
    #expect(logs[5] == -.infinity && logs[66] == -.infinity)
    #expect(!logs[20].isNaN)
    #expect(logs[21].isFinite)
    if rows.context.count > 9 * spec.contextDim, spec.contextDim > 0,
      rows.context[9 * spec.contextDim].isNaN
    {
      #expect(logs[9].isNaN)
    }
    var noise = Rows<S>.random(70, spec, seed: 13)
    noise.x[3 * d] = .nan
    noise.x[66 * d + d - 1] = .infinity
    let x = try flow.run(.fromNoise, noise)
    #expect(x.values[3 * d..<4 * d].contains { $0.isNaN })
    #expect(x.values[66 * d..<67 * d].contains { !$0.isFinite } != isBounded)
    for r in 0..<70 where r != 3 && r != 66 {
      #expect(x.values[r * d..<(r + 1) * d].allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: Case.all) func hardInputsStayInTheirRow(_ c: Case) throws {
    try hard(c.spec(.f64), isBounded: c.traits.contains(.isBounded), Double.self)
    try hard(c.spec(.f32), isBounded: c.traits.contains(.isBounded), Float.self)
  }

  // MARK: Records

  @Test(arguments: Case.all) func recordsRoundTrip(_ c: Case) throws {
    let spec = try c.spec(.f32)
    let again = try FlowSpec(
      dtype: spec.dtype, shape: spec.shape, contextDim: spec.contextDim, context: spec.contextRecord,
      embedding: spec.embeddingRecord,
      layers: spec.layerRecords, base: spec.baseRecord)
    #expect(again.layerRecords == spec.layerRecords)
    #expect(again.baseRecord == spec.baseRecord)
    #expect(again.parameterCount == spec.parameterCount)
    #expect(again.summary == spec.summary)
  }

  @Test func recordsOfSplinesAreChecked() throws {
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f32)
    try builder.addCoupling(.small(transformer: .spline(bins: 5, low: -1, high: 2)), mask: .even, seed: 0)
    let record = builder.spec.layerRecords[0]
    let wrong: [(String, [Record.Value])] = [
      ("transformer", [.string("cubic"), .int(1)]), ("bins", [.int(1), .int(-3), .int(65), .int(.max), .double(5)]),
      ("low", [.double(2), .double(.nan), .double(-.infinity), .double(-1e7), .double(2 - 1e-8), .string("0")]),
      ("high", [.double(-1), .double(.nan), .double(.infinity), .double(1e7)]),
      ("boundary", [.string("round"), .int(0)]),
      ("min_width", [.double(0.2), .double(.nan), .double(-1), .double(.infinity)]),
      ("min_height", [.double(-1e-9), .double(0.2), .double(.nan)]),
      ("min_derivative", [.double(-1e-9), .double(1), .double(.nan)]),
    ]
    for (name, values) in wrong {
      for value in values {
        var damaged = record
        damaged[name] = value
        #expect(throws: DiffeoError.self, "\(name) \(value)") { try LayerSpec(damaged, dim: 2, contextDim: 0) }
      }
    }
    for name in ["bins", "low", "high", "boundary"] {
      var damaged = record
      damaged[name] = nil
      #expect(throws: DiffeoError.self, "\(name)") { try LayerSpec(damaged, dim: 2, contextDim: 0) }
    }
    var short = record
    for name in ["min_width", "min_height", "min_derivative"] { short[name] = nil }
    #expect(try LayerSpec(short, dim: 2, contextDim: 0) == builder.spec.layers[0])
    var affine = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f32)
    try affine.addCoupling(.small(), mask: .even, seed: 0)
    var old = affine.spec.layerRecords[0]
    old["transformer"] = nil
    #expect(try LayerSpec(old, dim: 2, contextDim: 0) == affine.spec.layers[0])
  }

  @Test func recordsOfNetworksAreChecked() throws {
    var conditioner = SpecBuilder.Conditioner()
    conditioner.network = .small(hidden: [7, 7, 5], .tanh, .preactivation, .gate, normalized: true)
    var builder = try SpecBuilder(dim: 3, contextDim: 2, dtype: .f32)
    try builder.addCoupling(conditioner, mask: .even, seed: 0)
    try builder.addAutoregressive(conditioner, order: .random, randomDegrees: true, seed: 0)
    try builder.setBaseMADE(
      conditioner, conditional: .gaussian, order: .natural, randomDegrees: true, masks: 2, seed: 0)
    let records = builder.spec.layerRecords + [builder.spec.baseRecord]
    let read = { (record: Record) in
      if record.kind == MADESpec.kind {
        _ = try MADESpec(record, dim: 3, contextDim: 2)
      } else {
        _ = try LayerSpec(record, dim: 3, contextDim: 2)
      }
    }
    let wrong: [(String, [Record.Value?])] = [
      ("blocks", [.string("dense"), .string(""), .int(2), .string("plain"), .string("residual"), nil]),
      ("context_mode", [.string("film"), .int(1)]), ("normalized", [.int(2), .string("yes"), .double(1)]),
      ("dropout", [.int(1), .double(-0.1), .double(.nan), .double(.infinity), .string("0.1")]),
      ("hidden", [.ints([]), .ints([7, 7, 0]), .ints([65_537, 7, 5]), .ints([8_193, 8_193, 5])]),
    ]
    for record in records {
      try read(record)
      for (name, values) in wrong {
        for value in values {
          var damaged = record
          damaged[name] = value
          #expect(throws: DiffeoError.self, "\(record.kind), \(name) \(String(describing: value))") {
            try read(damaged)
          }
        }
      }
      // Without a context there is nothing to gate by, nor to shift by.
      for mode in ["gate", "shift"] {
        var lonely = record
        lonely["context_mode"] = .string(mode)
        #expect(throws: DiffeoError.self) {
          try FlowSpec(
            dtype: .f32, shape: [3], contextDim: 0, context: nil,
            layers: record.kind == MADESpec.kind ? [] : [lonely],
            base: record.kind == MADESpec.kind ? lonely : Record(kind: "standard_normal"))
        }
      }
      var plain = record
      for name in ["blocks", "context_mode", "normalized"] { plain[name] = nil }
      try read(plain)
    }
    // Units that go on without a matrix keep their degrees.
    var other = records[1]
    let degrees = try other.ints("degrees_0")
    other["degrees_1"] = .ints(degrees.map { ($0 + 1) % 3 })
    #expect(throws: DiffeoError.self) { try read(other) }
    other["blocks"] = nil
    other["normalized"] = nil
    other["context_mode"] = nil
    try read(other)
  }

  /// What a mask hides stays hidden behind blocks, in one pass and column by column.
  @Test(arguments: [NetworkBlocks.residual, .preactivation], [ContextMode.input, .gate, .shift])
  func blocksKeepTheOrderOfColumns(_ blocks: NetworkBlocks, _ mode: ContextMode) throws {
    let order = [3, 0, 4, 1, 2]
    for inverted in [false, true] {
      var conditioner = SpecBuilder.Conditioner()
      conditioner.network = .small(hidden: [12, 12, 9], .tanh, blocks, mode, normalized: blocks == .preactivation)
      var builder = try SpecBuilder(dim: 5, contextDim: 2, dtype: .f64)
      try builder.addAutoregressive(
        conditioner, order: .given(order), randomDegrees: false, inverted: inverted, seed: 4)
      let flow = try Flow<Double>.random(builder.spec, seed: 3)
      let rows = Rows<Double>.random(1, builder.spec, seed: 3)
      let base = try flow.run(.toNoise, rows).values
      for (i, column) in order.enumerated() {
        var moved = rows
        moved.x[column] += 0.37
        let z = try flow.run(.toNoise, moved).values
        for (j, other) in order.enumerated() {
          if j < i { #expect(z[other] == base[other]) } else { #expect(z[other] != base[other]) }
        }
      }
    }
  }

  /// A new flow of splines is near the identity, and an angle is the same angle after a turn: also to the network.
  @Test func circlesHaveNoCut() throws {
    var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: .f64)
    let circle = SpecBuilder.Conditioner.small(
      transformer: .spline(bins: 8, low: 0, high: 2 * Double.pi, boundary: .periodic))
    try builder.addCoupling(circle, mask: .even, seed: 0)
    try builder.addAutoregressive(circle, order: .natural, randomDegrees: false, inverted: false, seed: 0)
    var rows = Rows<Double>.random(50, builder.spec, seed: 30, spread: 1)
    for i in rows.x.indices { rows.x[i] = Double.pi * (1 + rows.x[i]) }
    let fresh = try Flow<Double>(spec: builder.spec, seed: 1).run(.toNoise, rows)
    for (a, b) in zip(fresh.values, rows.x) { #expect(abs(a - b) < 0.1) }
    let flow = try Flow<Double>.random(builder.spec, seed: 22)
    let here = try flow.run(.toNoise, rows)
    var turned = rows
    for i in rows.x.indices { turned.x[i] += 2 * Double.pi * Double(i % 5 - 2) }
    let there = try flow.run(.toNoise, turned)
    for (a, b) in zip(here.values, there.values) { #expect(abs(a - b) < 1e-11) }
    for (a, b) in zip(here.logs, there.logs) { #expect(abs(a - b) < 1e-11) }
    // And across the cut all is continuous.
    var below = rows
    var above = rows
    for r in 0..<50 {
      below.x[3 * r + r % 3] = 2 * Double.pi - 1e-9
      above.x[3 * r + r % 3] = 1e-9
    }
    let (a, b) = (try flow.run(.toNoise, below), try flow.run(.toNoise, above))
    for (a, b) in zip(a.values, b.values) { #expect(cos(a - b) > 1 - 1e-12) }
    for (a, b) in zip(a.logs, b.logs) { #expect(abs(a - b) < 1e-6) }
  }
}

/// If g is the gradient, L(x + h v) - L(x) - h g.v is of second order: it quarters as h halves.
/// With kinks, some row is on the other side of one after any step: then the error must vanish against the step.
/// strength: of the steps.
func taylor(
  _ c: Case, _ difference: (Double) throws -> Double, _ slope: Double, _ what: String, strength: Double = 1
) throws {
  if c.traits.contains(.hasKinks) {
    let h = 1e-7
    #expect(abs(try (difference(h) - difference(-h)) / (2 * h) - slope) < 1e-3 * (1 + abs(slope)), "\(what)")
    return
  }
  let steps = [0.02, 0.01, 0.005, 0.0025].map { $0 * strength }
  let errors = try steps.map { abs(try difference($0) - $0 * slope) }
  for (a, b) in zip(errors, errors.dropFirst()) where a > 1e-10 {
    #expect(b < a / 3 && b > a / 6, "\(what): \(errors)")
  }
  // Where the function is linear there is no second order to see.
  #expect(errors[3] < 1e-2 * (abs(slope) + 1), "\(what): \(errors)")
}

/// The mean log-likelihood and its gradient, by what the trainer runs.
func trainingObjective(_ flow: Flow<Double>, _ rows: Rows<Double>, threads: Int = 1) throws -> (
  mean: Double, gradient: [Double]
) {
  let flow = try FlowInTraining(flow, threads: threads)
  let source = try withBatch(rows) { try flow.rows($0, .training, TrainOptions()) }
  return try Likelihood(flow, rows: rows.count, seed: 0).evaluated(source, minibatch: 0)
}

extension Objective {
  /// All rows as one minibatch.
  func evaluated(_ rows: any RowSource<S>, minibatch: Int) throws -> (mean: Double, gradient: [S]) {
    var scores = RowScores(rows: rows.count)
    _ = try computeGradient(rows, 0..<rows.count, minibatch: minibatch, &scores)
    return (scores.mean, (0..<gradient.count).map { gradient.pointer[$0] })
  }
}

func trainingOptions(batchSize: Int, threads: Int = 1) -> TrainOptions {
  var options = TrainOptions()
  options.batchSize = batchSize
  options.validationFraction = 0
  options.clipQuantile = 0
  options.threads = threads
  return options
}

func withBatch<R>(_ rows: Rows<Double>, _ body: (Batch<Double>) throws -> R) throws -> R {
  try rows.x.withUnsafeBufferPointer { x in
    try rows.context.withUnsafeBufferPointer { context in
      try body(Batch(rows: rows.count, x: x.baseAddress, context: context.baseAddress, contextIsShared: false))
    }
  }
}

/// By Gaussian elimination with pivots.
func logAbsDeterminant(_ matrix: [[Double]]) -> Double {
  var a = matrix
  var result = 0.0
  for i in a.indices {
    let pivot = (i..<a.count).max { abs(a[$0][i]) < abs(a[$1][i]) }!
    a.swapAt(i, pivot)
    result += log(abs(a[i][i]))
    for j in i + 1..<a.count where i + 1 < a.count {
      let factor = a[j][i] / a[i][i]
      for k in i..<a.count { a[j][k] -= factor * a[i][k] }
    }
  }
  return result
}
