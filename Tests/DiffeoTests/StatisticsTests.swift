import Testing

@testable import Diffeo

/// Layers that are set when training begins make the same of the data whichever way round they are.
@Suite struct StatisticsTests {
  enum Layer: CaseIterable { case actNorm, standardize, batchNorm }

  @Test(arguments: Layer.allCases, [false, true]) func theirOutputsAreNormal(_ layer: Layer, _ inverted: Bool) throws {
    var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: .f64)
    switch layer {
    case .actNorm: try builder.addActNorm()
    case .standardize: try builder.addStandardize(nil)
    case .batchNorm: try builder.addBatchNorm(epsilon: 1e-12)
    }
    if inverted { try builder.invertLast() }
    let flow = try Flow<Double>(spec: builder.spec, seed: 1)
    var rows = Rows<Double>.random(500, builder.spec, seed: 3, spread: 4.7)
    for r in 0..<500 { rows.x[3 * r + 1] = 13 + 0.2 * rows.x[3 * r + 1] }
    var options = TrainOptions()
    options.maxEpochs = 0
    options.validationFraction = 0
    let set = try rows.x.withUnsafeBufferPointer { x in
      try Trainer(
        flow, options, Batch<Double>(rows: 500, x: x.baseAddress, context: nil, contextIsShared: false)
      ).currentFlow()
    }
    let z = try set.run(.toNoise, rows).values
    for i in 0..<3 {
      let column = (0..<500).map { z[3 * $0 + i] }
      let mean = column.reduce(0, +) / 500
      let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 500
      #expect(abs(mean) < 1e-9 && abs(variance - 1) < 1e-9)
    }
  }

  /// With the row, and for the rows held out, too.
  @Test func rowsOutsideOfTheSupportAreRefused() throws {
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f32)
    try builder.addDomain(.log, columns: [1], low: [0])
    let flow = try Flow<Float>(spec: builder.spec, seed: 1)
    var x = (0..<200).map { 0.5 + Float($0 % 7) }
    for row in [3, 77] {
      for bad in [Float(-0.5), 0] {
        let good = x[2 * row + 1]
        x[2 * row + 1] = bad
        let error = try x.withUnsafeBufferPointer { x in
          #expect(throws: DiffeoError.self) {
            _ = try Trainer(
              flow, TrainOptions(), Batch<Float>(rows: 100, x: x.baseAddress, context: nil, contextIsShared: false))
          }
        }
        #expect(error?.code == .numeric && error?.message.contains("row \(row) of x") == true)
        x[2 * row + 1] = good
      }
    }
    try x.withUnsafeBufferPointer { x in
      _ = try Trainer(
        flow, TrainOptions(), Batch<Float>(rows: 100, x: x.baseAddress, context: nil, contextIsShared: false))
    }
  }
}
