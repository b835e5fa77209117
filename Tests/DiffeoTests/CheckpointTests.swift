import Testing

@testable import Diffeo

/// The numbers of a checkpoint are suspect: a file may say anything.
@Suite struct CheckpointTests {
  private let options: TrainOptions = {
    var options = TrainOptions()
    options.batchSize = 16
    options.maxEpochs = 3
    options.schedule = .plateau
    options.emaDecay = 0.9
    return options
  }()

  private func trainer() throws -> Trainer<Float> {
    var architecture = Architecture()
    architecture.dim = 2
    architecture.transforms = 1
    architecture.network.hidden = [4]
    guard case .f32(let flow) = try AnyFlow(spec: architecture.maf(), seed: 1) else { throw DiffeoError(.internal, "") }
    var random = Philox(seed: 5, stream: 0)
    let x = (0..<200).map { _ in Float(random.uniform()) }
    return try x.withUnsafeBufferPointer { x in
      try Trainer(flow, options, Batch(rows: 100, x: x.baseAddress, context: nil, contextIsShared: true))
    }
  }

  private func damaged(_ list: [Double]) -> [[Double]] {
    [Double.nan, -1, -1e300, 1e300, .infinity, 0.5, 0x1p53, 0x1p62].map { [$0] + list.dropFirst() }
      + [[], list + [Double](repeating: 1, count: 1000)]
  }

  /// What becomes of a new training that is to go on from there; nil: it does.
  private func error(
    _ state: TrainingState<Float>, _ lists: [String: [Double]], _ vectors: [String: ParameterVector<Float>]
  ) throws -> DiffeoError? {
    let other = try trainer()
    do throws(DiffeoError) {
      try other.restore(
        TrainingState(identity: state.identity, numbers: NumberTable(lists), vectors: vectors), of: other.spec)
    } catch {
      #expect(other.report.steps == 0)
      try other.step(3, cancelled: { false })
      return error
    }
    do throws(DiffeoError) { try other.step(3, cancelled: { false }) } catch { #expect(error.code == .numeric) }
    _ = other.state()
    return nil
  }

  @Test func damagedNumbersAreRefusedOrHarmless() throws {
    let first = try trainer()
    try first.step(4, cancelled: { false })
    let state = first.state()
    var refused = 0
    for name in state.numbers.lists.keys.sorted() {
      var lists = state.numbers.lists
      for damaged in damaged(state.numbers.lists[name] ?? []) {
        lists[name] = damaged
        if let error = try error(state, lists, state.vectors) {
          #expect(error.code == .format || error.code == .invalid, "\(name): \(error.message)")
          refused += 1
        }
      }
      lists[name] = nil
      #expect(try error(state, lists, state.vectors)?.code == .format, "without \(name)")
    }
    #expect(refused > 100)
  }

  @Test func missingVectorsAreRefused() throws {
    let first = try trainer()
    try first.step(1, cancelled: { false })
    let state = first.state()
    #expect(
      state.vectors.keys.sorted() == [
        "adam_moment1", "adam_moment2", "averaged_weights", "best_weights", "weights",
      ])
    for name in state.vectors.keys {
      var vectors = state.vectors
      vectors[name] = nil
      #expect(try error(state, state.numbers.lists, vectors)?.code == .format, "without \(name)")
    }
    #expect(try error(state, state.numbers.lists, state.vectors) == nil)
  }
}
