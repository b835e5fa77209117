import CLibrary
import KernelInterface

/// A bound of the evidence of a target, by draws from the flow. Each step has draws of its own, numbered on from step to
/// step.
final class VariationalObjective<S: Scalar, T: Scalar>: Objective {
  var gradient: ParameterVector<S> { draws.gradient }
  private let flow: FlowInTraining<S>
  private let target: Target<T>
  private let options: VariationalOptions
  private let draws: RecordedDraws<S, T>
  /// Rows that the draws are given, in turns; none without a context.
  private let contextRows: Int
  private let contexts: UnsafeMutablePointer<T>
  /// For a step with contexts of its own.
  var given: Given?
  /// Of the present window.
  var logWeights = LogWeights()

  /// A row for each draw, and where the gradient in them goes.
  struct Given {
    let context: UnsafePointer<T>
    let gradient: UnsafeMutablePointer<T>?
  }

  // Of a batch.
  private let context: UnsafeMutablePointer<T>
  private let x: UnsafeMutablePointer<T>
  private let logQ: UnsafeMutablePointer<T>
  private let logP: UnsafeMutablePointer<T>
  /// Of the target at x, and then dL/dx.
  private let gX: UnsafeMutablePointer<T>
  private let gLogQ: UnsafeMutablePointer<T>
  private let pool = Pool()

  private var batchSize: Int { options.batchSize }

  /// context: rows that are copied.
  init(
    _ flow: FlowInTraining<S>, _ options: VariationalOptions, _ target: Target<T>, _ context: Batch<T>
  ) throws(DiffeoError) {
    self.flow = flow
    self.options = options
    self.target = target
    draws = try RecordedDraws(flow, rows: options.batchSize)
    let (dim, contextDim, batchSize) = (flow.spec.dim, flow.spec.contextDim, options.batchSize)
    contextRows = contextDim == 0 ? 0 : context.rows
    contexts = try pool.take(contextRows * contextDim)
    if let given = context.context { contexts.update(from: given, count: contextRows * contextDim) }
    self.context = try pool.take(batchSize * contextDim)
    x = try pool.take(batchSize * dim)
    logQ = try pool.take(batchSize)
    logP = try pool.take(batchSize)
    gX = try pool.take(batchSize * dim)
    gLogQ = try pool.take(batchSize)
    // What has no derivative says so now.
    if options.estimator != .massCovering {
      loadContext(0)
      try draws.draw(seed: 0, firstRow: 0, context: self.context, x, logQ)
      gX.update(repeating: 0, count: batchSize * dim)
      try draws.pullBack(.moving(x: gX, logProb: nil))
    }
  }

  @_specialize(where S == Float, T == Float)
  @_specialize(where S == Float, T == Double)
  @_specialize(where S == Double, T == Float)
  @_specialize(where S == Double, T == Double)
  func computeGradient(
    _ rows: any RowSource<S>, _ range: Range<Int>, minibatch: Int, _ scores: inout RowScores
  ) throws(DiffeoError) -> Double {
    let (count, seed) = (batchSize, options.training.seed)
    let firstRow = UInt64(minibatch) &* UInt64(count)
    if minibatch % options.window == 0 { logWeights.removeAll() }
    loadContext(firstRow)
    try draws.draw(seed: seed, firstRow: firstRow, context: context, x, logQ)

    let wantsGradient = options.estimator != .massCovering
    let answer = target.evaluate(
      count, x, flow.spec.contextDim == 0 ? nil : context, logP, wantsGradient ? gX : nil)
    guard answer == 0 else {
      throw DiffeoError(.cancelled, "the target returned \(answer) in step \(minibatch + 1)")
    }
    addBounds(&scores)
    // Only what covers mass can do without a part of it.
    for r in 0..<count where !logP[r].isFinite && (wantsGradient || !(logP[r] < 0)) { return .nan }
    setCotangents(minibatch)

    switch options.estimator {
    case .massCovering: try draws.pullBack(.fixed(logProb: gLogQ), context: given?.gradient)
    case .path:
      // The way of log q through the parameters alone has mean 0, and is left out: log q moves with x alone.
      try draws.addScore(gLogQ, to: gX)
      try draws.pullBack(.moving(x: gX, logProb: nil), context: given?.gradient)
    case .reverseKL, .importance:
      try draws.pullBack(.moving(x: gX, logProb: gLogQ), context: given?.gradient)
    }
    return S.kernels.sumOfSquares(gradient.count, gradient.pointer)
  }

  /// The draws take the rows of the context in turns.
  private func loadContext(_ firstRow: UInt64) {
    let columns = flow.spec.contextDim
    if columns == 0 { return }
    if let given { return context.update(from: given.context, count: batchSize * columns) }
    for r in 0..<batchSize {
      let row = Int((firstRow &+ UInt64(r)) % UInt64(contextRows))
      (context + r * columns).update(from: contexts + row * columns, count: columns)
    }
  }

  private func logWeight(_ r: Int) -> Double { Double(logP[r]) - Double(logQ[r]) }

  /// log of the mean weight of each group of draws.
  private func addBounds(_ scores: inout RowScores) {
    let draws = options.drawsOfABound
    for r in 0..<batchSize { logWeights.add(logWeight(r)) }
    for first in stride(from: 0, to: batchSize, by: draws) {
      let bound = draws == 1 ? logWeight(first) : logMeanWeight(first..<first + draws)
      scores.add(bound, weight: 1, row: first)
    }
  }

  private func logMeanWeight(_ rows: Range<Int>) -> Double {
    var top = -Double.infinity
    for r in rows where logWeight(r) > top { top = logWeight(r) }
    if !top.isFinite { return top }
    var sum = 0.0
    for r in rows { sum += exp(logWeight(r) - top) }
    return top + log(sum / Double(rows.count))
  }

  /// dL/d(log q), and dL/dx but for what comes through it, of the mean bound L under the present temperature.
  private func setCotangents(_ step: Int) {
    let (draws, dim) = (options.drawsOfABound, flow.spec.dim)
    let beta = options.inverseTemperature(step: step)
    let bounds = Double(batchSize / draws)
    for first in stride(from: 0, to: batchSize, by: draws) {
      let rows = first..<first + draws
      func tempered(_ r: Int) -> Double { beta * Double(logP[r]) - Double(logQ[r]) }
      var top = -Double.infinity
      for r in rows where tempered(r) > top { top = tempered(r) }
      var sum = 0.0
      for r in rows { sum += exp(tempered(r) - top) }
      for r in rows {
        // Of its bound.
        let share = draws == 1 ? 1 : exp(tempered(r) - top) / sum
        if options.estimator == .massCovering {
          gLogQ[r] = T(share)
        } else {
          gLogQ[r] = T(-share / bounds)
          for i in r * dim..<(r + 1) * dim { gX[i] *= T(beta * share / bounds) }
        }
      }
    }
  }

  func scores(_ rows: any RowSource<S>) throws(DiffeoError) -> RowScores {
    throw DiffeoError(.internal, "draws are not held out")
  }

  func check(_ rows: any RowSource<S>) throws(DiffeoError) {}

  func describe(_ record: inout Record) {
    record.kind = "variational"
    record["window"] = .int(options.window)
    record["estimator"] = .int(Int(options.estimator.rawValue))
    record["draws"] = .int(options.draws)
    record["tempering"] = .double(options.tempering)
    record["tempering_steps"] = .int(options.temperingSteps)
    record["context_rows"] = .int(contextRows)
    var fingerprint = Fingerprint()
    fingerprint.add(contexts, count: contextRows * flow.spec.contextDim)
    record["context_fingerprint"] = .int(Int(bitPattern: UInt(fingerprint.value)))
  }

  func save(to table: inout NumberTable) { logWeights.save(to: &table) }
  func restore(from table: NumberTable) throws(DiffeoError) -> () -> Void {
    var restored = logWeights
    try restored.restore(from: table)
    return { self.logWeights = restored }
  }
}
