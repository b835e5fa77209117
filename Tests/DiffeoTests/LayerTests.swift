import Glibc
import Testing

@testable import Diffeo

/// What single layers promise beyond the contract suite: their formulas, literally, and their edges.
@Suite struct LayerTests {
  /// A flow of one layer whose parameters `set` may change.
  private func flow<S: Scalar>(
    dim: Int, contextDim: Int = 0, as type: S.Type, _ build: (inout SpecBuilder) throws -> Void,
    _ set: (_ slot: ParameterSlot, _ values: UnsafeMutablePointer<S>) -> Void
  ) throws -> Flow<S> {
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: S.dtype)
    try build(&builder)
    let flow = try Flow<S>(spec: builder.spec, seed: 1)
    let parameters = try ParameterVector(copy: flow.parameters)
    for slot in builder.spec.slots.flatMap(\.slots) { set(slot, parameters.pointer + slot.offset) }
    return try Flow(spec: builder.spec, parameters: parameters)
  }

  private func flow(
    dim: Int, contextDim: Int = 0, _ build: (inout SpecBuilder) throws -> Void,
    _ set: (_ slot: ParameterSlot, _ values: UnsafeMutablePointer<Double>) -> Void
  ) throws -> Flow<Double> {
    try flow(dim: dim, contextDim: contextDim, as: Double.self, build, set)
  }

  private func rows<S: Scalar>(_ x: [S], dim: Int) -> Rows<S> { Rows(x: x, context: [], count: x.count / dim) }

  // MARK: lu

  @Test func luIsTheProductOfItsFactors() throws {
    let d = 5
    var random = Philox(seed: 3, stream: 1)
    var (lower, upper, logScale, sign, bias) = ([Double](), [Double](), [Double](), [Double](), [Double]())
    let flow = try flow(dim: d, { try $0.addLU(permuted: true, seed: 4) }) { slot, values in
      for i in 0..<slot.count {
        values[i] = slot.name == "sign" ? (i % 2 == 0 ? -1 : 1) : 2 * random.uniform() - 1
      }
      let copy = (0..<slot.count).map { values[$0] }
      switch slot.name {
      case "lower": lower = copy
      case "upper": upper = copy
      case "log_scale": logScale = copy
      case "sign": sign = copy
      default: bias = copy
      }
    }
    guard case .ints(let permutation)? = flow.spec.layerRecords[0]["permutation"] else {
      Issue.record("no permutation")
      return
    }
    #expect(permutation != Array(0..<d))
    let x = (0..<d).map { _ in 2 * random.uniform() - 1 }
    let u = (0..<d).map { i in
      sign[i] * exp(logScale[i]) * x[i] + (i + 1..<d).reduce(0) { $0 + upper[i * d + $1] * x[$1] }
    }
    let v = (0..<d).map { i in u[i] + (0..<i).reduce(0) { $0 + lower[i * d + $1] * u[$1] } }
    let (z, logDet) = try flow.run(.toNoise, rows(x, dim: d))
    for i in 0..<d { #expect(abs(z[i] - v[permutation[i]] - bias[i]) < 1e-13) }
    #expect(abs(logDet[0] - logScale.reduce(0, +)) < 1e-13)
  }

  @Test func luTrainsWhatItUsesAndRefusesOtherSigns() throws {
    let flow = try flow(dim: 3, { try $0.addLU(permuted: true, seed: 4) }) { _, _ in }
    let gradient = try trainingObjective(flow, Rows.random(50, flow.spec, seed: 3)).gradient
    for i in 0..<3 {
      for j in 0..<3 {
        #expect((gradient[3 * i + j] != 0) == (j < i))
        #expect((gradient[9 + 3 * i + j] != 0) == (j > i))
      }
    }
    let parameters = try ParameterVector(copy: flow.parameters)
    parameters.pointer[22] = 0.5
    #expect(throws: DiffeoError.self) { try Flow(spec: flow.spec, parameters: parameters) }
  }

  // MARK: householder

  @Test func householderAppliesTheLastReflectionFirst() throws {
    let v: [[Double]] = [[3, 0.5, -1], [0.2, -2, 1e3]]
    let flow = try flow(dim: 3, { try $0.addHouseholder(reflections: 2) }) { _, values in
      for i in 0..<6 { values[i] = v[i / 3][i % 3] }
    }
    var x = [0.3, -0.7, 1.9]
    let (z, logDet) = try flow.run(.toNoise, rows(x, dim: 3))
    for v in v.reversed() {
      let factor = 2 * zip(v, x).reduce(0) { $0 + $1.0 * $1.1 } / v.reduce(0) { $0 + $1 * $1 }
      x = zip(v, x).map { $1 - factor * $0 }
    }
    for i in 0..<3 { #expect(abs(z[i] - x[i]) < 1e-14) }
    #expect(logDet[0] == 0)
  }

  @Test func householderOfVectorsOfAnyLengthButZero() throws {
    for length in [1e-300, 1e300] {
      let flow = try flow(dim: 2, { try $0.addHouseholder(reflections: 1) }) { _, values in
        (values[0], values[1]) = (length, length)
      }
      let z = try flow.run(.toNoise, rows([1, 3], dim: 2)).values
      #expect(abs(z[0] + 3) < 1e-14 && abs(z[1] + 1) < 1e-14)
    }
    #expect(throws: DiffeoError.self) {
      try flow(dim: 2, { try $0.addHouseholder(reflections: 1) }) { _, values in
        (values[0], values[1]) = (0.0, 0.0)
      }
    }
  }

  // MARK: actnorm

  @Test func anActNormThatIsSetStaysAsItIs() throws {
    for shift in [false, true] {
      let flow = try flow(dim: 2, { try $0.addElementwiseAffine(shift: shift) }) { _, _ in }
      #expect(flow.spec.layerRecords[0].kind == "actnorm")
      #expect(flow.spec.parameterCount == (shift ? 5 : 3))
      #expect(flow.parameters.pointer[flow.parameters.count - 1] == 1)
      #expect(try flow.run(.toNoise, rows([3.5, -2.0], dim: 2)).values == [3.5, -2])
    }
  }

  // MARK: domain

  /// Reference values from 60 digits.
  @Test(arguments: [
    (1e-8, 6.26657068657750138e-9, -0.467355827915217882), (0.3, 0.187695999622258254, -0.472157061595282109),
    (-0.99, -0.610056840652988865, -0.516898687295015771), (1.01, 0.621972879110149037, -0.518800513108264969),
    (-3.0, -1.67034185612030035, -0.783215211789106291), (8.0, 3.40128433807778107, -1.29736470531451414),
    (-17.5, -5.45052981646634152, -1.72692387692100447), (40.0, 8.59267571847377215, -2.16402346537094906),
    (-300.0, -24.3264389065655874, -3.19324652936136202), (1000.0, 44.615747731969403, -3.79858862542886247),
  ]) func logisticToNormal(_ x: Double, _ z: Double, _ log: Double) throws {
    let value = DomainMap.logisticToNormal.forward(x, low: 0, high: 0)
    #expect(abs(value.result - z) <= 4e-15 * abs(z))
    #expect(abs(value.logSlope - log) <= 2e-14)
    let back = DomainMap.logisticToNormal.inverse(z, low: 0, high: 0)
    #expect(abs(back.result - x) <= 2e-14 * abs(x))
    #expect(abs(back.logSlope + log) <= 2e-14)
  }

  @Test func logisticToNormalFarOut() {
    for x in [1e6, -1e12, 1e30, -1e100] {
      let value = DomainMap.logisticToNormal.forward(x, low: 0, high: 0)
      let back = DomainMap.logisticToNormal.inverse(value.result, low: 0, high: 0)
      #expect(abs(back.result - x) <= 1e-15 * abs(x))
      #expect(value.logSlope.isFinite && value.logSlope + back.logSlope == 0)
    }
  }

  func ends<S: Scalar>(_: S.Type) throws {
    let (low, high): (S, S) = (-0.3, 0.7)
    let maps: [DomainMap] = [.logit, .log, .softplus]
    for map in maps {
      let flow = try flow(
        dim: 2, as: S.self,
        {
          try $0.addDomain(
            map, columns: [1], low: [Double(low)], high: map == .logit ? [Double(high)] : [])
        }
      ) { _, _ in }
      // At an end, outside, and as near to an end as numbers are.
      var inputs: [(x: S, inside: Bool)] = [
        (low, false), (low - 1, false), (low.nextUp, true), (0.1, true), (-.infinity, false), (.infinity, false),
      ]
      if map == .logit { inputs += [(high, false), (high + 1, false), (high.nextDown, true)] }
      let x = inputs.flatMap { [S(0.25), $0.x] }
      let logs = try flow.run(.logProb, rows(x, dim: 2)).logs
      for (log, input) in zip(logs, inputs) {
        #expect(log.isFinite == input.inside && (input.inside || log == -.infinity))
      }
      let z = try flow.run(.toNoise, rows(x, dim: 2)).values
      let back = try flow.run(.fromNoise, rows(z, dim: 2)).values
      for (i, input) in inputs.enumerated() where input.inside {
        #expect(abs(back[2 * i + 1] - input.x) <= 4 * S.ulpOfOne * abs(input.x), "\(map)")
      }
      let noise: [S] = [-.infinity, -1e30, -800, -30, 0, 30, 800, 1e30, .infinity]
      let made = try flow.run(.fromNoise, rows(noise.flatMap { [S(0), $0] }, dim: 2)).values
      for i in noise.indices { #expect(made[2 * i + 1] >= low && (map != .logit || made[2 * i + 1] <= high)) }
    }
  }

  @Test func endsOfADomain() throws {
    try ends(Double.self)
    try ends(Float.self)
  }

  @Test func softplusIsAShiftFarFromTheEnd() {
    #expect(DomainMap.softplus.forward(1e6, low: 3, high: 0).result == 1e6 - 3)
    #expect(DomainMap.softplus.inverse(1e6, low: 3, high: 0).result == 1e6 + 3)
    #expect(abs(DomainMap.softplus.forward(1e-20, low: 0, high: 0).result - log(1e-20)) < 1e-14)
  }

  @Test func domainsThatAreRefused() {
    let attempts: [(DomainMap, [Int], [Double], [Double])] = [
      (.logit, [], [], []), (.logit, [1, 0], [0, 0], [1, 1]), (.logit, [0, 0], [0, 0], [1, 1]),
      (.logit, [3], [0], [1]), (.logit, [-1], [0], [1]), (.logit, [0], [1], [1]), (.logit, [0], [2], [1]),
      (.logit, [0], [0], []), (.log, [0], [], []), (.log, [0], [0], [1]), (.logisticToNormal, [0], [0], []),
      (.logit, [0], [0], [.infinity]), (.logit, [0], [-1e308], [1e308]), (.log, [0], [.nan], []),
    ]
    for (map, columns, low, high) in attempts {
      #expect(throws: DiffeoError.self) {
        try flow(dim: 3, { try $0.addDomain(map, columns: columns, low: low, high: high) }) { _, _ in }
      }
    }
  }

  // MARK: wrap

  func wraps<S: Scalar>(_ low: Double, _ high: Double, _: S.Type) throws {
    let period = high - low
    for shift in [0, 0.3, -17.9, period, -period] {
      let flow = try flow(dim: 1, as: S.self, { try $0.addWrap(low: low, high: high, randomShift: true, seed: 3) }) {
        $1[0] = S(shift)
      }
      var random = Philox(seed: 2, stream: 1)
      var x = (0..<500).map { _ in S(30 * random.uniform() - 15) }
      x += [S(low), S(high), S(low).nextDown, S(high).nextDown, -S.leastNonzeroMagnitude, S(low + shift).nextDown]
      let z = try flow.run(.toNoise, rows(x, dim: 1)).values
      let back = try flow.run(.fromNoise, rows(z, dim: 1)).values
      for i in x.indices {
        #expect(z[i] >= S(low) && z[i] < S(high) && back[i] >= S(low) && back[i] < S(high))
        let turns = (Double(back[i]) - Double(x[i])) / period
        #expect(abs(turns - turns.rounded()) < 60 * Double(S.ulpOfOne))
      }
    }
  }

  @Test func wrappedAnglesNeverReachTheEnd() throws {
    for (low, high) in [(-Double.pi, Double.pi), (0, 1), (0.1, 0.7)] {
      try wraps(low, high, Double.self)
      try wraps(low, high, Float.self)
    }
    #expect(throws: DiffeoError.self) {
      try flow(dim: 1, as: Float.self, { try $0.addWrap(low: 1e9, high: 1e9 + 1, randomShift: false, seed: 0) }) {
        _, _ in
      }
    }
  }

  /// Each column is wrapped as it is alone, with its own turn; the others pass.
  @Test func wrapsOfSomeColumns() throws {
    let (low, high) = ([-1, 0.25], [2, 3.5])
    let some = try flow(
      dim: 4, { try $0.addWrap(columns: [1, 3], low: low, high: high, randomShift: true, seed: 3) }
    ) { _, _ in }
    let x = Rows<Double>.random(100, some.spec, seed: 3)
    let (z, logs) = try some.run(.toNoise, x)
    #expect(logs.allSatisfy { $0 == 0 })
    let p = Array(UnsafeBufferPointer(start: some.parameters.pointer, count: 6))
    #expect(
      Array(p.prefix(4)) == low + high && zip(p.suffix(2), zip(low, high)).allSatisfy { $0 > 0 && $0 < $1.1 - $1.0 })
    for i in z.indices {
      guard let k = [1: 0, 3: 1][i % 4] else {
        #expect(z[i] == x.x[i])
        continue
      }
      let turns = (x.x[i] + p[4 + k] - z[i]) / (high[k] - low[k])
      #expect(z[i] >= low[k] && z[i] < high[k] && abs(turns - turns.rounded()) < 1e-14)
    }
  }

  // MARK: dequantize

  @Test func levelsThatAreRefused() {
    for levels in [Int.min, -1, 1, 1 << 24 + 1, Int.max] {
      #expect(throws: DiffeoError.self) { try flow(dim: 1, { try $0.addDequantize(levels: levels) }) { _, _ in } }
      #expect(throws: DiffeoError.self) {
        try flow(dim: 3, { try $0.addDequantize(columns: [0, 2], levels: [2, levels]) }) { _, _ in }
      }
    }
  }

  /// With the largest noise: below the next count without an end, below 1 where there is one.
  @Test func countsStayInTheirCells() throws {
    for (levels, counts) in [(0, [0, 1, 2, 1000, 65535, 0x1p22]), (3, [2]), (1 << 24, [0x1p24 - 1])] as [(Int, [Float])]
    {
      let flow = try flow(dim: 1, as: Float.self, { try $0.addDequantize(levels: levels) }) { _, _ in }
      let scratch = Scratch()
      defer { scratch.destroy() }
      for count in counts {
        var pass = try Pass<Float>(dim: 1, contextDim: 0, stride: 1, recording: false, scratch: scratch)
        pass.x[0] = count
        var noise = Float(1).nextDown
        try withUnsafePointer(to: &noise) { noise in
          pass.noise = noise
          try flow.model.forward(&pass, layers: 1)
        }
        #expect(levels == 0 ? pass.x[0].rounded(.down) == count && pass.x[0] > count : pass.x[0] < 1)
      }
    }
  }

  // MARK: planar and radial

  /// Nearly flat where w.x + b is 0: there the inverse is ill-conditioned, and no more than that.
  func steep<S: Scalar>(_: S.Type) throws {
    for wu in [-0.5, -4, -12, -30, -2000] {
      let w = [0.8, -0.6, 0.3]
      let squares = w.reduce(0) { $0 + $1 * $1 }
      let flow = try flow(dim: 3, as: S.self, { try $0.addPlanar() }) { slot, values in
        for i in 0..<slot.count {
          values[i] = slot.name == "b" ? S(0.1) : slot.name == "w" ? S(w[i]) : S(wu * w[i] / squares)
        }
      }
      let x = Rows<S>.random(400, flow.spec, seed: 3)
      let (z, forward) = try flow.run(.toNoise, x)
      let (back, backward) = try flow.run(.fromNoise, Rows(x: z, context: [], count: 400))
      for r in 0..<400 {
        #expect(forward[r].isFinite && backward[r].isFinite)
        // |dx| <= |dz| / determinant, to first order; a cube root at the flattest point. In double precision v is as
        // good as the difference of w.u and its constrained value.
        let slope = exp(Double(forward[r]))
        let rounding = 24 * Double(S.ulpOfOne) - 8 * wu * Double.ulpOfOne
        let bound = min(rounding / slope, 2 * cbrt(rounding))
        for i in 3 * r..<3 * r + 3 { #expect(abs(Double(back[i] - x.x[i])) <= bound, "\(wu), \(slope)") }
        #expect(abs(Double(forward[r] + backward[r])) <= max(1e-4, 4 * bound / slope.squareRoot()))
      }
    }
  }

  @Test func planarLayersThatAreNearlyFlatSomewhere() throws {
    try steep(Double.self)
    try steep(Float.self)
  }

  @Test func planarWithoutADirectionIsAShift() throws {
    for tiny in [0, 0x1p-1060, 1e-200] {
      let flow = try flow(dim: 2, { try $0.addPlanar() }) { slot, values in
        for i in 0..<slot.count { values[i] = slot.name == "w" ? tiny : 0.5 }
      }
      let rows = rows([0.3, -2.0, 5, 1], dim: 2)
      let (z, logDet) = try flow.run(.toNoise, rows)
      #expect(logDet == [0, 0])
      #expect(zip(z, rows.x).allSatisfy { abs($0 - $1 - 0.5 * tanh(0.5)) < 1e-15 })
      #expect(try flow.gradient(rows).x.allSatisfy(\.isFinite))
      #expect(try trainingObjective(flow, rows).gradient.allSatisfy(\.isFinite))
    }
  }

  @Test func radialAtItsCentre() throws {
    for inverted in [false, true] {
      let flow = try flow(
        dim: 2,
        {
          try $0.addRadial()
          if inverted { try $0.invertLast() }
        }
      ) { slot, values in
        for i in 0..<slot.count { values[i] = slot.name == "x0" ? 0.25 : slot.name == "alpha" ? 1 : -2 }
      }
      let rows = rows([0.25, 0.25, 0.25, 3], dim: 2)
      let (z, logDet) = try flow.run(.toNoise, rows)
      let scale = log1p(exp(-2.0)) / log1p(exp(1.0))
      #expect(z[0] == 0.25 && z[1] == 0.25 && abs(logDet[0] - (inverted ? -2 : 2) * log(scale)) < 1e-14)
      #expect(try flow.gradient(rows).x.allSatisfy(\.isFinite))
      #expect(try trainingObjective(flow, rows).gradient.allSatisfy(\.isFinite))
    }
  }

  @Test func newPlanarAndRadialLayersAreNearTheIdentity() throws {
    for contextDim in [0, 2] {
      for planar in [false, true] {
        let flow = try flow(
          dim: 3, contextDim: contextDim,
          {
            if planar {
              try $0.addPlanar(network: contextDim > 0 ? .small(hidden: [16], .tanh) : nil)
            } else {
              try $0.addRadial(network: contextDim > 0 ? .small(hidden: [16], .tanh) : nil)
            }
          }, { _, _ in })
        let rows = Rows<Double>.random(50, flow.spec, seed: 4)
        let (z, logDet) = try flow.run(.toNoise, rows)
        #expect(zip(z, rows.x).allSatisfy { abs($0 - $1) < 0.2 })
        #expect(logDet.allSatisfy { abs($0) < 0.2 })
        #expect(z != rows.x)
      }
    }
  }

  /// A flow with a context may have parts that do not look at it.
  @Test func aRecordWithoutANetworkMeansTrainedVectors() throws {
    let spec = try FlowSpec(
      dtype: .f64, shape: [2], contextDim: 3, context: nil, layers: [Record(kind: "planar"), Record(kind: "radial")],
      base: Record(kind: "standard_normal"))
    #expect(spec.slots.flatMap(\.slots).map(\.name) == ["u", "w", "b", "x0", "alpha", "beta"])
    let flow = try Flow<Double>.random(spec, seed: 1)
    let gradient = try flow.gradient(Rows.random(20, spec, seed: 1))
    #expect(gradient.context.allSatisfy { $0 == 0 })
  }

  @Test func thereIsNothingToTurnRoundInAnEmptyFlow() throws {
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f32)
    #expect(throws: DiffeoError.self) { try builder.invertLast() }
    try builder.addActNorm()
    try builder.invertLast()
    #expect(builder.spec.layerRecords[0]["inverse"] == .bool(true))
    try builder.invertLast()
    #expect(builder.spec.layerRecords[0]["inverse"] == .bool(false))
  }
}
