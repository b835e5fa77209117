import Glibc
import Testing

@testable import Diffeo

/// The parts of a training by themselves, and with others than those of the library.
@Suite struct TrainingTests {
  private func normal(_ dim: Int) throws -> Flow<Double> {
    var builder = try SpecBuilder(dim: dim, contextDim: 0, dtype: .f64)
    try builder.setBase(.normal(nil))
    return try Flow(spec: builder.spec, seed: 1)
  }

  /// A flow of 70 rows in one column, each of which is its number.
  private func numbered() throws -> (flow: FlowInTraining<Double>, rows: DataRows<Double>) {
    let flow = try FlowInTraining(normal(1), threads: 1)
    let rows = Rows<Double>(x: (0..<70).map(Double.init), context: [], count: 70)
    return (flow, try withBatch(rows) { try flow.rows($0, "x", seed: 3) })
  }

  private func values(_ rows: any RowSource<Double>, _ flow: FlowInTraining<Double>) throws -> [Double] {
    var values: [Double] = []
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      for r in 0..<range.count {
        values.append(pass.x[r])
        #expect(rows.name(of: range.lowerBound + r) == "row \(Int(pass.x[r])) of x")
      }
    }
    return values
  }

  @Test func anOrderDependsOnTheNumberOfTheEpochOnly() throws {
    let (flow, rows) = try numbered()
    let all = try values(rows, flow)
    #expect(all == (0..<70).map(Double.init))
    rows.begin(epoch: 2)
    let second = try values(rows, flow)
    rows.begin(epoch: 5)
    let fifth = try values(rows, flow)
    #expect(fifth != all && fifth != second && fifth.sorted() == all)
    rows.begin(epoch: 2)
    #expect(try values(rows, flow) == second)
  }

  @Test func aSplitTakesEachRowOnce() throws {
    let (flow, rows) = try numbered()
    let (train, held) = try rows.split(held: 13)
    let (some, others) = (try values(train, flow), try values(#require(held), flow))
    #expect(others.count == 13 && (some + others).sorted() == (0..<70).map(Double.init))
    #expect(some == some.sorted() && others == others.sorted())
    #expect(try values(train.every(5), flow) == stride(from: 0, to: some.count, by: 5).map { some[$0] })
    #expect(try rows.split(held: 0).held == nil)
  }

  @Test func theBestWeightsAreKept() throws {
    func weights(_ value: Double) throws -> ParameterVector<Double> {
      let weights = try ParameterVector<Double>(count: 2)
      weights.pointer.update(repeating: value, count: 2)
      return weights
    }
    var best = try BestWeights(weights(0), patience: 2)
    func expect(_ value: Double, score: Double, epoch: Int) {
      #expect(best.parameters.pointer[1] == value && best.score == score && best.epoch == epoch)
    }
    try best.judge(weights(1), score: -3, epoch: 1)
    expect(1, score: -3, epoch: 1)
    try best.judge(weights(2), score: -3, epoch: 2)
    try best.judge(weights(.infinity), score: 5, epoch: 2)
    try best.judge(weights(2), score: .nan, epoch: 2)
    expect(1, score: -3, epoch: 1)
    #expect(!best.isGivenUp(after: 2) && best.isGivenUp(after: 3))
    try best.judge(weights(3), score: -2, epoch: 3)
    expect(3, score: -2, epoch: 3)
    #expect(!best.isGivenUp(after: 4))
    #expect(try !BestWeights(weights(0), patience: 0).isGivenUp(after: 1000))
  }

  @Test func learningRates() {
    var options = TrainOptions()
    options.learningRate = 0.3
    #expect(options.rates.rate(step: 0, of: 10) == 0.3 && options.rates.rate(step: 9, of: 10) == 0.3)
    options.schedule = .cosine
    #expect(options.rates.rate(step: 0, of: 10) == 0.3)
    #expect(abs(options.rates.rate(step: 5, of: 10) - 0.15) < 1e-15)
    #expect(abs(options.rates.rate(step: 10, of: 10)) < 1e-15)
  }

  /// Steps along the gradient, and nothing else.
  private final class GradientAscent: Optimizer {
    func step(
      _ flow: FlowInTraining<Double>, _ gradient: ParameterVector<Double>, scale: Double, rate: Double
    ) throws(DiffeoError) {
      for i in 0..<gradient.count { flow.parameters.pointer[i] += rate * scale * gradient.pointer[i] }
    }
  }

  @Test func aTrainerTakesAnyOptimizer() throws {
    let initial = try normal(2)
    let rows = Rows<Double>.random(200, initial.spec, seed: 4)
    let flow = try FlowInTraining(initial, threads: 2)
    var options = trainingOptions(batchSize: 200)
    options.learningRate = 0.1
    options.maxEpochs = 300
    let trainer = try Trainer(
      flow, options, withBatch(rows) { try flow.rows($0, "x", seed: 0) }, Likelihood(flow, rows: 200), GradientAscent())
    while !trainer.report.finished { try trainer.step(0) { false } }
    // The most likely normal distribution has the mean and the deviation of the rows.
    for i in 0..<2 {
      let column = (0..<200).map { rows.x[2 * $0 + i] }
      let mean = column.reduce(0, +) / 200
      let deviation = (column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 200).squareRoot()
      #expect(abs(flow.parameters.pointer[i] - mean) < 1e-6)
      #expect(abs(flow.parameters.pointer[2 + i] - log(deviation)) < 1e-6)
    }
  }
}
