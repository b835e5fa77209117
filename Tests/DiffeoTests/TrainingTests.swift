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
    var options = TrainOptions()
    options.seed = 3
    let rows = Rows<Double>(x: (0..<70).map(Double.init), context: [], count: 70)
    return (flow, try withBatch(rows) { try flow.rows($0, .training, options) })
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
    func factor(_ step: Int, epoch: Int = 0) -> Double { options.rates.factor(step: step, of: 10, epoch: epoch) }
    #expect(factor(0) == 1 && factor(9) == 1)
    options.schedule = .cosine
    #expect(factor(0) == 1)
    #expect(abs(factor(5) - 0.5) < 1e-15)
    #expect(abs(factor(10)) < 1e-15)
    options.schedule = .exponential
    options.rateDecay = 0.25
    #expect(factor(3, epoch: 0) == 1 && factor(3, epoch: 2) == 0.0625)
    options.warmupSteps = 4
    #expect(factor(0) == 0.25 && factor(3) == 1 && factor(1, epoch: 1) == 0.125)

    options.schedule = .plateau
    options.plateauPatience = 2
    options.warmupSteps = 0
    var rates = options.rates
    // Two epochs without better ones, with a better one between them or without, and two more.
    let expected = [(false, 1.0), (true, 1), (false, 1), (false, 0.25), (false, 0.25), (false, 0.0625)]
    for (better, factor) in expected {
      rates.endEpoch(better: better)
      #expect(rates.factor(step: 0, of: 10, epoch: 0) == factor)
    }
  }

  @Test func theRobustMeanLeavesOutTheWorstRows() {
    var random = Philox(seed: 5, stream: 0)
    for count in [1, 2, 999, 1000, 1001, 3500] {
      let values = (0..<count).map { $0 % 700 == 13 ? -1e9 : random.normal() }
      let weights = (0..<count).map { _ in 0.5 + random.uniform() }
      var scores = RowScores(rows: count)
      for i in 0..<count { scores.add(values[i], weight: weights[i], row: 100 + i) }
      func mean(_ rows: [Int]) -> Double {
        rows.reduce(0) { $0 + weights[$1] * values[$1] } / rows.reduce(0) { $0 + weights[$1] }
      }
      let sorted = Array(0..<count).sorted { values[$0] < values[$1] }
      #expect(abs(scores.mean - mean(sorted)) <= 1e-12 * abs(scores.mean))
      #expect(scores.worst == values[sorted[0]] && values[scores.worstRow - 100] == scores.worst)
      let kept = Array(sorted.dropFirst((count + 999) / 1000))
      #expect(abs(scores.robustMean - mean(kept.isEmpty ? sorted : kept)) < 1e-12 * max(1, abs(scores.robustMean)))
    }
    var scores = RowScores(rows: 3)
    for (row, value) in [-2, Double.nan, -4].enumerated() { scores.add(value, weight: 1, row: row) }
    #expect(scores.mean.isNaN && scores.robustMean == -3 && scores.worstRow == 1 && scores.worst == -.infinity)
  }

  @Test func gradientsAreCutToAQuantileOfTheLatest() {
    var clip = GradientClip(norm: 0, quantile: 0.9)
    var random = Philox(seed: 6, stream: 0)
    var latest: [Double] = []
    var cut = 0
    for step in 0..<2000 {
      let norm = exp(random.normal()) * (step < 1000 ? 1 : 100)
      let factor = clip.factor(norm)
      if latest.count >= 8 {
        let limit = latest.sorted()[Int(0.9 * Double(latest.count))]
        #expect(factor == (norm > limit ? limit / norm : 1))
      } else {
        #expect(factor == 1)
      }
      if factor < 1 { cut += 1 }
      latest = (latest + [norm]).suffix(256)
    }
    #expect(cut > 200 && cut < 400)
    var fixed = GradientClip(norm: 5, quantile: 0)
    #expect([1, 5, 10].map { fixed.factor($0) } == [1, 1, 0.5])
  }

  private func train(
    _ rows: Rows<Double>, weights: [Double]? = nil, _ change: (inout TrainOptions) -> Void
  ) throws -> Trainer<Double> {
    var options = trainingOptions(batchSize: 64)
    options.maxEpochs = 3
    options.learningRate = 0.01
    change(&options)
    return try withBatch(rows) { batch in
      try (weights ?? []).withUnsafeBufferPointer {
        var batch = batch
        if weights != nil { batch.weights = $0.baseAddress }
        let trainer = try Trainer(normal(2), options, batch)
        while !trainer.report.finished { try trainer.step(0) { false } }
        return trainer
      }
    }
  }

  private func values(_ parameters: ParameterVector<Double>) -> [Double] {
    (0..<parameters.count).map { parameters.pointer[$0] }
  }

  /// Of weights only the ratios count; rows of weight 2 are rows that are there twice.
  @Test(arguments: [false, true]) func weightsStandForRowsThatAreThereMoreOften(_ standardizes: Bool) throws {
    var spec = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    if standardizes { try spec.addStandardize(nil) }
    try spec.setBase(.normal(nil))
    let rows = Rows<Double>.random(60, spec.spec, seed: 4)
    let more = Rows<Double>(x: rows.x + rows.x.prefix(40), context: [], count: 80)
    let weights = (0..<60).map { $0 < 20 ? 2.0 : 1 }
    func after(_ rows: Rows<Double>, _ weights: [Double]?) throws -> (weights: [Double], report: TrainReport) {
      var options = trainingOptions(batchSize: 100)
      // Once standardised there is nothing left to learn.
      options.maxEpochs = standardizes ? 0 : 10
      return try withBatch(rows) { batch in
        try (weights ?? []).withUnsafeBufferPointer {
          var batch = batch
          if weights != nil { batch.weights = $0.baseAddress }
          let trainer = try Trainer(Flow<Double>(spec: spec.spec, seed: 1), options, batch)
          while !trainer.report.finished { try trainer.step(0) { false } }
          return (values(try trainer.currentFlow().parameters), trainer.report)
        }
      }
    }
    let (expected, report) = try after(more, nil)
    for scale in [1, 1e-6] {
      let (found, weighted) = try after(rows, weights.map { scale * $0 })
      for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-9) }
      #expect(standardizes || abs(weighted.trainLogProb - report.trainLogProb) < 1e-9)
      #expect(abs(weighted.effectiveRows - 80 * 80 / 120) < 1e-9)
    }
    #expect(report.effectiveRows == 80)
    #expect(try after(rows, nil).weights != expected)
  }

  @Test func weightsThatCannotBe() throws {
    let rows = Rows<Double>.random(60, try normal(2).spec, seed: 4)
    func message(_ weights: [Double], _ change: (inout TrainOptions) -> Void = { _ in }) -> String {
      do {
        _ = try train(rows, weights: weights, change)
        return ""
      } catch { return (error as? DiffeoError)?.message ?? "\(error)" }
    }
    var weights = [Double](repeating: 1, count: 60)
    weights[7] = -0.5
    #expect(message(weights).contains("-0.5 at row 7"))
    #expect(message(weights) { $0.negativeWeights = true }.isEmpty)
    weights[7] = .nan
    #expect(message(weights).contains("row 7"))
    #expect(message([Double](repeating: 0, count: 60)).contains("sum 0.0"))
  }

  /// Every option that changes what is learned does so, and the same way for any number of threads.
  @Test func optionsMatterAndThreadsDoNot() throws {
    let rows = Rows<Double>.random(300, try normal(2).spec, seed: 4)
    let plain = try values(train(rows) { _ in }.currentFlow().parameters)
    let changes: [(String, (inout TrainOptions) -> Void)] = [
      ("sgd", { $0.optimizer = .sgd }), ("noise", { $0.xNoise = 0.1 }), ("warmup", { $0.warmupSteps = 5 }),
      ("clip", { $0.clipQuantile = 0.1 }), ("exponential", { $0.schedule = .exponential }),
    ]
    for (name, change) in changes {
      let one = try values(train(rows, change).currentFlow().parameters)
      let three = try values(
        train(rows) {
          change(&$0)
          $0.threads = 3
        }.currentFlow().parameters)
      #expect(one != plain && one == three, "\(name)")
    }
  }

  @Test func theAverageOfTheWeightsIsKeptWhereItIsBetter() throws {
    let rows = Rows<Double>.random(400, try normal(2).spec, seed: 4)
    // Steps so long that the weights jump about the best ones.
    let trainer = try train(rows) {
      $0.learningRate = 0.5
      $0.batchSize = 8
      $0.emaDecay = 0.99
      $0.validationFraction = 0.5
      $0.maxEpochs = 10
    }
    #expect(trainer.report.averaged)
    #expect(try values(trainer.bestFlow().parameters) != values(trainer.currentFlow().parameters))
    let without = try train(rows) {
      $0.learningRate = 0.5
      $0.batchSize = 8
      $0.validationFraction = 0.5
      $0.maxEpochs = 10
    }
    #expect(try values(without.currentFlow().parameters) == values(trainer.currentFlow().parameters))
    #expect(without.report.bestLogProb < trainer.report.bestLogProb && !without.report.averaged)
  }

  @Test(arguments: [TrainOptions.Judge.mean, .robust])
  func theValidationOfAnEpochIsThatOfTheWeightsItOffers(_ judge: TrainOptions.Judge) throws {
    let rows = Rows<Double>.random(400, try normal(2).spec, seed: 4)
    var options = trainingOptions(batchSize: 8)
    // At first the average lags behind, later the weights jump about the best ones.
    options.learningRate = 0.1
    options.emaDecay = 0.99
    options.validationFraction = 0.5
    options.maxEpochs = 10
    options.judge = judge
    let trainer = try withBatch(rows) { try Trainer(normal(2), options, $0) }
    let (validation, average) = (try #require(trainer.validation), try #require(trainer.descent.averaged))
    // The weights that it begins with are offered, too.
    var (averages, offers) = (0, [try trainer.objective.scores(validation).value(judge)])
    while !trainer.report.finished {
      try trainer.step(0) { false }
      let present = try trainer.objective.scores(validation)
      let averaged = try trainer.flow.with(average.parameters) { () throws(DiffeoError) in
        try trainer.objective.scores(validation)
      }
      let offered = averaged.value(judge) > present.value(judge) ? averaged : present
      #expect(trainer.report.validationLogProb == offered.mean)
      #expect(trainer.report.validationRobustLogProb == offered.robustMean)
      offers.append(offered.value(judge))
      averages += averaged.value(judge) > present.value(judge) ? 1 : 0
      #expect(trainer.report.bestLogProb == offers.max())
    }
    #expect(averages > 0 && averages < options.maxEpochs)
  }

  /// Both penalties draw weights, not biases, to 0: a network of a context that says nothing.
  @Test(arguments: [TrainOptions.Method.adam, .sgd]) func penaltiesMakeWeightsSmall(_ method: TrainOptions.Method)
    throws
  {
    var builder = try SpecBuilder(dim: 1, contextDim: 3, dtype: .f64)
    try builder.setBase(.normal(NetworkConventions(hidden: [8], activation: .tanh)))
    let rows = Rows<Double>.random(200, builder.spec, seed: 4)
    func norm(_ change: (inout TrainOptions) -> Void) throws -> Double {
      var options = trainingOptions(batchSize: 50)
      options.maxEpochs = 20
      options.optimizer = method
      options.learningRate = 0.01
      change(&options)
      let trainer = try withBatch(rows) { try Trainer(Flow<Double>(spec: builder.spec, seed: 1), options, $0) }
      while !trainer.report.finished { try trainer.step(0) { false } }
      return withExtendedLifetime(trainer.flow) { flow in
        flow.spec.slots.flatMap(\.slots).filter { $0.role == .weight }.reduce(0) { sum, slot in
          (0..<slot.count).reduce(sum) {
            $0 + flow.parameters.pointer[slot.offset + $1] * flow.parameters.pointer[slot.offset + $1]
          }
        }
      }
    }
    let free = try norm { _ in }
    #expect(try norm { $0.l2 = 0.5 } < 0.7 * free)
    #expect(try norm { $0.weightDecay = 0.5 } < 0.9 * free)
  }

  /// Steps along the gradient, and nothing else.
  private final class GradientAscent: Optimizer {
    let state: [String: ParameterVector<Double>] = [:]

    func step(
      _ flow: FlowInTraining<Double>, _ gradient: ParameterVector<Double>, scale: Double, rate: Double, number: Int
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
      Descent(flow, options, GradientAscent()), options, withBatch(rows) { try flow.rows($0, .training, options) },
      Likelihood(flow, rows: 200, seed: 0))
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
