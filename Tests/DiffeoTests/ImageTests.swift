import Glibc
import Testing

@testable import Diffeo

/// What images have beside the contract of all flows.
@Suite struct ImageTests {
  private func glow(_ shape: [Int] = [1, 4, 4], quantization: Int = 5, contextDim: Int = 0) throws -> FlowSpec {
    var a = ImageArchitecture()
    (a.shape, a.contextDim, a.levels, a.steps, a.quantization, a.dtype) = (shape, contextDim, 1, 2, quantization, .f64)
    a.network = .small()
    return try a.glow()
  }

  // MARK: - Layers against plain loops

  /// A convolution of the network of a coupling, place by place.
  @Test(arguments: [(1, false), (3, false), (5, false), (3, true)]) func couplingsConvolve(
    _ kernel: Int, _ onesOutside: Bool
  ) throws {
    let (h, w) = (4, 3)
    var builder = try SpecBuilder(shape: [3, h, w], contextDim: 0, dtype: .f64)
    try builder.addConvolutionalCoupling(
      .small(hidden: [], gain: true, onesOutside: onesOutside, kernels: (1, 1, kernel)),
      transformer: .affine(.additive), mask: .channels([true, true, false]))
    let flow = try Flow<Double>.random(builder.spec, seed: 3)
    let p = flow.parameters.pointer
    let rows = Rows<Double>.random(5, builder.spec, seed: 1)
    let z = try flow.run(.toNoise, rows).values
    let (weights, size) = (2 * kernel * kernel, h * w)
    for r in 0..<rows.count {
      for y in 0..<h {
        for x in 0..<w {
          var sum = p[weights]
          for dy in 0..<kernel {
            for dx in 0..<kernel {
              for c in 0..<2 {
                let (sy, sx) = (y + dy - kernel / 2, x + dx - kernel / 2)
                let inside = 0..<h ~= sy && 0..<w ~= sx
                let value: Double =
                  inside ? rows.x[(r * 3 + c) * size + sy * w + sx] : onesOutside ? 1 : 0
                let weight: Double = p[(dy * kernel + dx) * 2 + c]
                sum += weight * value
              }
            }
          }
          let at = (r * 3 + 2) * size + y * w + x
          let expected: Double = rows.x[at] + exp(3 * p[weights + 1]) * sum
          #expect(abs(z[at] - expected) < 1e-12)
        }
      }
    }
  }

  @Test func squeezesTakeSquaresApart() throws {
    let orders: [(SqueezeOrder, (Int, Int) -> Int)] = [
      (.channels, { c, k in 4 * c + k }), (.places, { c, k in 2 * k + c }),
      (.diagonals, { c, k in 2 * [0, 2, 3, 1][k] + c }),
    ]
    for (order, channel) in orders {
      var builder = try SpecBuilder(shape: [2, 4, 6], contextDim: 0, dtype: .f64)
      try builder.addSqueeze(order)
      #expect(builder.map == FeatureMap(channels: 8, height: 2, width: 3))
      let rows = Rows<Double>(x: (0..<48).map(Double.init), context: [], count: 1)
      let z = try Flow<Double>(spec: builder.spec, seed: 1).run(.toNoise, rows).values
      for c in 0..<2 {
        for y in 0..<4 {
          for x in 0..<6 {
            let k = y % 2 * 2 + x % 2
            let at: Int = channel(c, k) * 6 + y / 2 * 3 + x / 2
            #expect(z[at] == Double((c * 4 + y) * 6 + x))
          }
        }
      }
    }
  }

  /// Data-dependent initialisation: of all places of a channel together, from either end.
  @Test(arguments: [false, true]) func actnormBeginsWithChannels(inverted: Bool) throws {
    var builder = try SpecBuilder(shape: [2, 2, 3], contextDim: 0, dtype: .f64)
    try builder.addActNorm()
    if inverted { try builder.invertLast() }
    var random = Philox(seed: 1, stream: 1)
    var x: [Double] = []
    for i in 0..<400 * 12 {
      let (isFirst, place) = (i % 12 < 6, Double(i % 6))
      x.append(isFirst ? 3 + place + 2 * random.normal() : 0.1 * random.normal())
    }
    let rows = Rows<Double>(x: x, context: [], count: 400)
    var options = TrainOptions()
    (options.maxEpochs, options.validationFraction) = (0, 0)
    let trainer = try withBatch(rows) { try Trainer(Flow<Double>(spec: builder.spec, seed: 1), options, $0) }
    let z = try trainer.currentFlow().run(.toNoise, rows).values
    for c in 0..<2 {
      let channel: [Double] = z.indices.filter { $0 % 12 / 6 == c }.map { z[$0] }
      let mean: Double = channel.reduce(0, +) / Double(channel.count)
      let squares: [Double] = channel.map { ($0 - mean) * ($0 - mean) }
      let variance: Double = squares.reduce(0, +) / Double(channel.count)
      #expect(abs(mean) < 1e-10 && abs(variance - 1) < 1e-10)
    }
  }

  @Test func aSingularMatrixIsRefused() throws {
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    try builder.addLinear()
    let parameters = try ParameterVector<Double>(count: 6)
    for i in 0..<4 { parameters.pointer[i] = 1 }
    #expect(throws: DiffeoError(.invalid, "the matrix of 2 x 2 is singular")) {
      try Flow(spec: builder.spec, parameters: parameters)
    }
  }

  // MARK: - Bits per dimension, temperature

  private func bits(_ flow: Flow<Double>, _ x: [Double], seed: UInt64 = 1, draws: Int = 1, threads: Int = 1) throws
    -> [Double]
  {
    let rows = x.count / flow.spec.dim
    var bits = [Double](repeating: 0, count: rows)
    let question = try BitsPerDim(flow.spec, seed: seed, draws: draws)
    try x.withUnsafeBufferPointer { x in
      try bits.withUnsafeMutableBufferPointer { bits in
        try flow.run(
          .bitsPerDim(question, bits.baseAddress!),
          Batch(rows: rows, x: x.baseAddress, context: nil, contextIsShared: false), Workspace(threads: threads))
      }
    }
    return bits
  }

  /// All of the 5^2 images have a probability, and no bound of it is below: the sum of 2^(-2 bits) is at most 1.
  @Test func bitsPerDimensionBoundProbabilities() throws {
    var builder = try SpecBuilder(shape: [2, 1, 1], contextDim: 0, dtype: .f64)
    try builder.addDequantize(levels: 5)
    try builder.addDomain(.logit, columns: [0, 1], low: [-0.1, -0.1], high: [1.1, 1.1])
    try builder.addLinear()
    let flow = try Flow<Double>.random(builder.spec, seed: 4)
    let all = (0..<25).flatMap { [Double($0 / 5), Double($0 % 5)] }
    let bound = try bits(flow, all, draws: 400)
    let total = bound.reduce(0) { $0 + exp2(-2 * $1) }
    #expect(total < 1 && total > 0.5)
    // By the formula, with the noise of a draw.
    let one = try bits(flow, all)
    let noise = DequantizationNoise(seed: 1)
    let scratch = Scratch()
    defer { scratch.destroy() }
    var pass = try Pass<Double>(dim: 2, contextDim: 0, stride: 25, recording: false, scratch: scratch)
    try noise.fill(&pass, (0..<25).map { Int32($0) }, 25, epoch: 0)
    let u = try #require(pass.noise)
    let x: [Double] = all.indices.map { i in all[i] + u[i % 2 * 25 + i / 2] }
    let direct = try flow.run(.logProb, Rows(x: x, context: [], count: 25)).logs
    for (a, b) in zip(one, direct) { #expect(abs(a + b / (2 * log(2))) < 1e-12) }
  }

  @Test func bitsPerDimensionAreTheSameEverywhere() throws {
    let flow = try Flow<Double>.random(glow(), seed: 5)
    let x = (0..<70 * 16).map { Double($0 * 7 % 5) }
    let whole = try bits(flow, x, draws: 3)
    #expect(try bits(flow, x, draws: 3, threads: 3) == whole)
    #expect(try bits(flow, Array(x.prefix(3 * 16)), draws: 3) == Array(whole.prefix(3)))
    #expect(try bits(flow, x, seed: 2, draws: 3) != whole)
  }

  @Test func whatIsNoCountIsRefused() throws {
    let flow = try Flow<Double>.random(glow(), seed: 5)
    for value in [-1, 5, 0.5, .nan, .infinity] {
      var x = [Double](repeating: 1, count: 32)
      x[19] = value
      #expect(
        throws: DiffeoError(
          .invalid,
          "x is \(value) in row 1, column 3: bits per dimension are of counts, integers 0 to 4")
      ) { try bits(flow, x) }
    }
    let real = try Flow<Double>.random(glow(quantization: 0), seed: 5)
    #expect(throws: DiffeoError.self) { try bits(real, [Double](repeating: 1, count: 16)) }
  }

  /// Noise is drawn in to the mean of the base, and the density is that of what comes of it.
  @Test(arguments: [BaseChoice.standardNormal, .normal(nil), .logistic]) func temperedSamples(_ base: BaseChoice) throws
  {
    var builder = try SpecBuilder(shape: [2, 2, 2], contextDim: 0, dtype: .f64)
    try builder.addLU(permuted: true, seed: 2)
    try builder.setBase(base)
    let flow = try Flow<Double>.random(builder.spec, seed: 6)
    let (n, d, t) = (50, 8, 0.6)
    func draw(_ temperature: Double) throws -> (x: [Double], logs: [Double]) {
      var (x, logs) = ([Double](repeating: 0, count: n * d), [Double](repeating: 0, count: n))
      try x.withUnsafeMutableBufferPointer { x in
        try logs.withUnsafeMutableBufferPointer { logs in
          try flow.run(
            .sample(
              seed: 3, firstRow: 0, temperature: temperature, x.baseAddress!, logProb: logs.baseAddress!),
            Batch(rows: n, x: nil, context: nil, contextIsShared: false), Workspace(threads: 1))
        }
      }
      return (x, logs)
    }
    let (plain, tempered) = (try draw(1), try draw(t))
    let e = try flow.run(.toNoise, Rows(x: plain.x, context: [], count: n))
    let z = try flow.run(.toNoise, Rows(x: tempered.x, context: [], count: n))
    let first = flow.parameters.count - 2 * d
    let mean: [Double] = (0..<d).map { i in base.kind == NormalSpec.self ? flow.parameters.pointer[first + i] : 0 }
    for i in 0..<n * d {
      let drawn: Double = t * (e.values[i] - mean[i % d])
      #expect(abs(z.values[i] - mean[i % d] - drawn) < 1e-12)
    }
    for r in 0..<n {
      let base: Double = plain.logs[r] - e.logs[r]
      let expected: Double = base - Double(d) * log(t) + z.logs[r]
      #expect(abs(tempered.logs[r] - expected) < 1e-10)
    }
  }

  // MARK: - Training

  private func trained(
    _ x: Rows<Double>, threads: Int = 1, _ change: (inout TrainOptions) -> Void = { _ in }
  ) throws -> [Double] {
    var options = TrainOptions()
    (options.batchSize, options.maxEpochs, options.patience, options.threads) = (50, 2, 0, threads)
    change(&options)
    let trainer = try withBatch(x) { try Trainer(Flow<Double>(spec: glow(), seed: 1), options, $0) }
    while !trainer.report.finished { try trainer.step(0) { false } }
    let flow = try trainer.bestFlow()
    return (0..<flow.parameters.count).map { flow.parameters.pointer[$0] }
  }

  @Test func threadsShowInNoWeight() throws {
    let x = Rows<Double>(x: (0..<130 * 16).map { Double($0 * 7 % 5) }, context: [], count: 130)
    let one = try trained(x)
    #expect(try trained(x, threads: 3) == one)
    #expect(try trained(x) { $0.imageFlip = true } != one)
    #expect(try trained(x) { $0.imageShift = 1 } != one)
    let moved = try trained(x) { ($0.imageFlip, $0.imageShift) = (true, 1) }
    #expect(try trained(x, threads: 2) { ($0.imageFlip, $0.imageShift) = (true, 1) } == moved)
  }

  /// Images are moved as a whole, by as far as was asked for, with their borders behind them.
  @Test func movesOfImages() throws {
    let map = FeatureMap(channels: 2, height: 4, width: 5)
    let moves = try #require(ImageMoves(map, shift: 1, flips: true, seed: 3))
    let scratch = Scratch()
    defer { scratch.destroy() }
    var seen = Set<[Int]>()
    for epoch in 0..<40 {
      var pass = try Pass<Double>(dim: 40, contextDim: 0, stride: 8, recording: false, scratch: scratch)
      for i in 0..<40 { for r in 0..<8 { pass.x[i * 8 + r] = Double(i) } }
      try moves.apply(to: &pass, (0..<8).map { Int32($0) }, 8, epoch: epoch)
      for r in 0..<8 {
        let image = (0..<40).map { pass.x[$0 * 8 + r] }
        // Which of the moves it was.
        var found: [[Int]] = []
        for down in -1...1 {
          for right in -1...1 {
            for mirrored in 0...1 {
              let expected: [Double] = (0..<40).map { i -> Double in
                let y: Int = min(max(i / 5 % 4 - down, 0), 3)
                let x: Int = min(max(i % 5 - right, 0), 4)
                let place: Int = i / 20 * 20 + y * 5 + (mirrored == 1 ? 4 - x : x)
                return Double(place)
              }
              if image == expected { found.append([down, right, mirrored]) }
            }
          }
        }
        #expect(found.count == 1)
        seen.formUnion(found)
      }
    }
    #expect(seen.count == 18)
    #expect(ImageMoves(map, shift: 0, flips: false, seed: 1) == nil)
  }

  /// Counts that are none, in the rows of a training.
  @Test func trainingsAreOfCounts() throws {
    for value in [-1, 5, 0.5] {
      var x = Rows<Double>(x: [Double](repeating: 1, count: 40 * 16), context: [], count: 40)
      x.x[7 * 16 + 3] = value
      #expect(
        throws: DiffeoError(
          .numeric, "row 7 of x has \(value) in column 3: it is one of counts, integers 0 to 4")
      ) { try trained(x) }
    }
  }

  // MARK: - Sentences

  @Test func whatCannotBeIsSaid() throws {
    func fails(_ message: String, _ code: DiffeoError.Code = .invalid, _ body: () throws -> Void) {
      do {
        try body()
        Issue.record("nothing was said, where it should be: \(message)")
      } catch {
        #expect(error as? DiffeoError == DiffeoError(code, message))
      }
    }
    var odd = try SpecBuilder(shape: [2, 3, 4], contextDim: 0, dtype: .f32)
    fails(
      "a squeeze halves height and width, which must be even: the map is 2 x 3 x 4 (channels, height, width) here"
    ) { try odd.addSqueeze(.channels) }
    fails("an unsqueeze makes one channel of four, the map has 2 channels here") { try odd.addUnsqueeze(.places) }
    var one = try SpecBuilder(shape: [1, 4, 4], contextDim: 0, dtype: .f32)
    fails("the map has one channel here, which does not split: a squeeze makes four of it") {
      try one.addSplit(keepsFirst: true, prior: nil)
    }
    fails("the mask has 2 values, the map has 1 channels here") {
      try one.addConvolutionalCoupling(.small(), transformer: .affine(), mask: .channels([true, false]))
    }
    fails("an image of 64 x 64 x 64 has 262144 numbers, at most 65536 are possible") {
      _ = try SpecBuilder(shape: [64, 64, 64], contextDim: 0, dtype: .f32)
    }
    fails("kernel_hidden is 2, it must be odd, so that maps keep their size") {
      try one.addConvolutionalCoupling(
        .small(kernels: (3, 2, 3)), transformer: .affine(), mask: .checkerboard(even: true))
    }
    try one.addSqueeze(.channels)
    var split = one
    try split.addSplit(keepsFirst: true, prior: nil)
    fails("the latest is a split, which has no inverse: it leaves channels behind for good", .state) {
      try split.invertLast()
    }
    fails(
      "the last layer is a squeeze, which gives those after it their shape: add its inverse instead", .state
    ) { try one.invertLast() }
    let vector = try SpecBuilder(dim: 3, contextDim: 0, dtype: .f64).spec
    var options = TrainOptions()
    options.imageFlip = true
    let rows = Rows<Double>.random(20, vector, seed: 1)
    fails("image_shift and image_flip are for images, and this flow is of 3 columns without a shape") {
      _ = try withBatch(rows) { try Trainer(Flow<Double>(spec: vector, seed: 1), options, $0) }
    }
  }

  @Test func damagedRecordsAreRefused() throws {
    let spec = try glow([4, 4, 4], quantization: 0, contextDim: 1)
    let wrong: [(String, [Record.Value?])] = [
      ("shape", [.ints([4, 4]), .ints([16, 2, 3]), .ints([0, 2, 2]), .ints([1 << 40, 1 << 40, 2]), .int(3)]),
      ("start", [.int(-1), .int(1), .int(.max), .string("0")]),
      ("order", [.string("rows"), nil]), ("kernels", [.ints([3, 1]), .ints([2, 1, 3]), .ints([3, 1, 99]), nil]),
      ("mask", [.ints([]), .ints([1, 1]), .ints([2, 0, 0, 0]), nil]), ("checkerboard", [.bool(true), .int(7)]),
      ("hidden", [.ints([0]), .ints([1 << 40]), nil]),
    ]
    var tried = 0
    for layer in spec.layers {
      for (name, values) in wrong where layer.record[name] != nil || name == "start" && layer.record["shape"] != nil {
        for value in values {
          var damaged = layer.record
          damaged[name] = value
          #expect(throws: DiffeoError.self, "\(layer.record.kind), \(name) \(String(describing: value))") {
            try LayerSpec(damaged, dim: spec.dim, contextDim: spec.contextDim)
          }
          tried += 1
        }
      }
    }
    #expect(tried > 50)
  }
}
