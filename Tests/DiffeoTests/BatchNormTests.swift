import CDiffeo
import Glibc
import Testing

@testable import Diffeo

/// What batch normalisation does in training only; the contract suite has the rest.
@Suite struct BatchNormTests {
  private func spec(_ dim: Int) throws -> FlowSpec {
    var builder = try SpecBuilder(dim: dim, contextDim: 0, dtype: .f64)
    for _ in 0..<2 {
      try builder.addAutoregressive(
        .small(), order: .natural, randomDegrees: false, inverted: false, seed: 0)
      try builder.addBatchNorm()
    }
    return builder.spec
  }

  @Test func aMinibatchIsNormalisedByItself() throws {
    var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: .f64)
    try builder.addBatchNorm(epsilon: 1e-9)
    let flow = try Flow<Double>(spec: builder.spec, seed: 1)
    let rows = Rows<Double>.random(200, builder.spec, seed: 5, spread: 7.3)
    let (mean, _) = try trainingObjective(flow, rows)
    // z has mean 0 and variance 1 whatever the rows, so the density knows their logarithmic deviations only.
    var expected = 0.0
    for i in 0..<3 {
      let column = (0..<200).map { rows.x[3 * $0 + i] }
      let m = column.reduce(0, +) / 200
      let variance = column.reduce(0) { $0 + ($1 - m) * ($1 - m) } / 200
      expected -= 0.5 * (1 + log(2 * Double.pi) + log(variance))
    }
    #expect(abs(mean - expected) < 1e-6)
  }

  @Test func aPieceOfAMinibatchHasTheRowsOfTheHeader() throws {
    var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: .f64)
    try builder.addBatchNorm(epsilon: 1e-9)
    let flow = try Flow<Double>(spec: builder.spec, seed: 1)
    let piece = Int(DIFFEO_BATCH_NORM_ROWS)
    #expect(piece == Tiling.minibatchRows)
    // Two halves far from each other: by itself each is as narrow as they were together.
    func mean(_ count: Int, apart: Double) throws -> Double {
      var rows = Rows<Double>.random(count, builder.spec, seed: 5)
      for i in 0..<count { rows.x[i] += i < count / 2 ? -apart : apart }
      return try trainingObjective(flow, rows).mean
    }
    #expect(abs(try mean(2 * piece, apart: 100) - mean(2 * piece, apart: 0)) < 0.1)
    #expect(try mean(piece, apart: 100) < mean(piece, apart: 0) - 3)
  }

  @Test func theObjectiveHasTheSameBitsForAnyNumberOfThreads() throws {
    let spec = try spec(4)
    let flow = try Flow<Double>.random(spec, seed: 3)
    let rows = Rows<Double>.random(700, spec, seed: 6)
    let one = try trainingObjective(flow, rows, threads: 1)
    for threads in [2, 3] {
      let other = try trainingObjective(flow, rows, threads: threads)
      #expect(other.mean == one.mean && other.gradient == one.gradient)
    }
  }

  @Test func runningAveragesFollowTheData() throws {
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    try builder.addBatchNorm()
    // Begins with other statistics than those of the data, and counts as initialised.
    let flow = try Flow<Double>.random(builder.spec, seed: 1)
    let rows = Rows<Double>.random(4000, builder.spec, seed: 8, spread: 3.1)
    var options = TrainOptions()
    options.batchSize = 400
    options.maxEpochs = 10
    options.validationFraction = 0
    let trained = try rows.x.withUnsafeBufferPointer { x in
      let batch = Batch<Double>(rows: rows.count, x: x.baseAddress, context: nil, contextIsShared: false)
      let trainer = try Trainer(flow, options, batch)
      while !trainer.report.finished { try trainer.step(0) { false } }
      return try trainer.currentFlow()
    }
    for i in 0..<2 {
      let column = (0..<rows.count).map { rows.x[2 * $0 + i] }
      let mean = column.reduce(0, +) / Double(rows.count)
      let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows.count)
      // The mean of a minibatch has a standard error of 0.09; averages over about 20 of them.
      #expect(abs(trained.parameters.pointer[4 + i] - mean) < 0.1)
      #expect(abs(trained.parameters.pointer[6 + i] / variance - 1) < 0.1)
    }
  }
}
