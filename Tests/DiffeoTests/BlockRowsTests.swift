import Glibc
import Synchronization
import Testing

@testable import Diffeo

/// Rows of numbers that are made when they are read: x is the number of the row, the context its half.
private final class MadeRows: RowReader, @unchecked Sendable {
  let rows: Int
  let dim: Int
  let contextDim: Int
  let isWeighted: Bool
  let rowsTogether: Int
  /// What a read adds to x, waits and throws.
  var shift = 0.0
  var pause: UInt32 = 0
  var error: DiffeoError?
  let reads = Atomic<Int>(0)
  private let busy = Atomic<Int>(0)

  init(_ rows: Int, dim: Int = 1, contextDim: Int = 0, isWeighted: Bool = false, together: Int = 1) {
    (self.rows, self.dim, self.contextDim) = (rows, dim, contextDim)
    (self.isWeighted, rowsTogether) = (isWeighted, together)
  }

  func read(_ range: Range<Int>, into buffers: RowBuffers) throws(DiffeoError) {
    if let error { throw error }
    #expect(busy.wrappingAdd(1, ordering: .relaxed).newValue == 1, "two reads at once")
    defer { busy.wrappingSubtract(1, ordering: .relaxed) }
    reads.wrappingAdd(1, ordering: .relaxed)
    if pause > 0 { usleep(pause) }
    let x = buffers.x.assumingMemoryBound(to: Double.self)
    let context = buffers.context.assumingMemoryBound(to: Double.self)
    for (r, row) in range.enumerated() {
      for i in 0..<dim { x[r * dim + i] = Double(row) + shift + (i == 0 ? 0 : sin(Double(row * i))) }
      for i in 0..<contextDim { context[r * contextDim + i] = Double(row) / 2 }
      if let weights = buffers.weights { weights.assumingMemoryBound(to: Double.self)[r] = 1 + Double(row % 3) }
    }
  }
}

@Suite struct BlockRowsTests {
  private let settings = RowSettings(
    seed: 3, dequantizes: false, noise: 0, moves: nil, negativeWeights: false)

  private func flow(_ dim: Int = 1, contextDim: Int = 0, threads: Int = 1) throws -> FlowInTraining<Double> {
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: .f64)
    try builder.setBase(.normal(nil))
    return try FlowInTraining(Flow(spec: builder.spec, seed: 1), threads: threads)
  }

  /// In the present order.
  private func values(_ rows: any RowSource<Double>, _ flow: FlowInTraining<Double>) throws -> [Double] {
    let values = Mutex([Double](repeating: -1, count: rows.count))
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      for r in 0..<range.count {
        let (x, c) = (pass.x[r], flow.spec.contextDim > 0 ? pass.context[r] : pass.x[r] / 2)
        values.withLock { $0[range.lowerBound + r] = x }
        #expect(c == x / 2 && rows.number(of: range.lowerBound + r) == Int(x))
        #expect(rows.name(of: range.lowerBound + r) == "row \(Int(x)) of x")
      }
    }
    return values.withLock { $0 }
  }

  @Test(arguments: [0, 5, 700, 4999], [1, 3])
  func eachEpochHasEachRowOnceInAnOrderOfItsOwn(held: Int, together: Int) throws {
    let reader = MadeRows(5000, contextDim: 1, isWeighted: held == 700, together: together)
    let flow = try flow(contextDim: 1, threads: 2)
    let all = try BlockRows<Double>(reader, .training, settings, bytes: 1)
    let (train, others) = try all.split(held: held)
    let kept = try values(train, flow)
    let left = try others.map { try values($0, flow) } ?? []
    #expect(left.count == held && (kept + left).sorted() == (0..<5000).map(Double.init))
    #expect(kept == kept.sorted() && left == left.sorted())
    train.readAhead(true)
    var orders: [[Double]] = []
    for epoch in [0, 1, 2, 1] {
      train.begin(epoch: epoch)
      orders.append(try values(train, flow))
    }
    train.readAhead(false)
    for order in orders { #expect(order.sorted() == kept) }
    #expect(orders[1] == orders[3])
    if kept.count > 100 { #expect(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != kept) }
    #expect(try values(train.every(7), flow) == stride(from: 0, to: kept.count, by: 7).map { kept[$0] })
  }

  /// Of every part of the data, which may be sorted, a share is held out.
  @Test func heldRowsAreSpread() throws {
    let (train, held) = RowSelection(total: 10_000).split(held: 1000, seed: 5)
    for first in stride(from: 0, to: 10_000, by: 640) {
      let range = first..<min(first + 640, 10_000)
      var count = 0
      held.forEach(in: range) { _ in count += 1 }
      #expect(abs(count - range.count / 10) <= 1)
      #expect(train.count(before: range.upperBound) - train.count(before: first) == range.count - count)
    }
    #expect(held.count == 1000 && train.count == 9000)
  }

  @Test func windowsMixBlocksFromAllOverTheData() throws {
    let reader = MadeRows(200_000)
    let flow = try flow()
    let (rows, _) = try BlockRows<Double>(reader, .training, settings, bytes: 1 << 19).split(held: 0)
    rows.begin(epoch: 0)
    let order = try values(rows, flow)
    // A minibatch of the first window has about the spread that one of all rows has: that of a uniform distribution.
    let first = order.prefix(512)
    let mean = first.reduce(0, +) / 512
    let deviation = (first.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 512).squareRoot()
    #expect(abs(mean - 100_000) < 40_000 && abs(deviation - 57_735) < 20_000)
  }

  private func train(
    _ reader: MadeRows, threads: Int = 1, bytes: Int = 0, steps: Int = 0,
    _ change: (inout TrainOptions) -> Void = { _ in }
  ) throws -> (flow: Flow<Double>, report: TrainReport) {
    var options = TrainOptions()
    options.maxEpochs = 2
    options.batchSize = 700
    options.threads = threads
    options.rowsMemory = bytes
    change(&options)
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    try builder.addStandardize(nil)
    try builder.addActNorm()
    try builder.setBase(.normal(nil))
    let trainer = try Trainer<Double>(Flow(spec: builder.spec, seed: 1), options, reader)
    while !trainer.report.finished { try trainer.step(steps, cancelled: { false }) }
    return (try trainer.bestFlow(), trainer.report)
  }

  private func bits(_ flow: Flow<Double>) -> [UInt64] {
    (0..<flow.parameters.count).map { flow.parameters.pointer[$0].bitPattern }
  }

  @Test func neitherThreadsNorTimingShow() throws {
    let expected = try bits(train(MadeRows(6000, dim: 2)).flow)
    for threads in [1, 2, 5] {
      for steps in threads == 2 ? [0, 1] : [0] {
        let reader = MadeRows(6000, dim: 2)
        reader.pause = steps == 1 ? 300 : 0
        #expect(try bits(train(reader, threads: threads, steps: steps).flow) == expected)
      }
    }
    #expect(try bits(train(MadeRows(6000, dim: 2), bytes: 0) { $0.seed = 9 }.flow) != expected)
  }

  /// What has room is as arrays are.
  @Test(arguments: [false, true]) func rowsThatHaveRoomAreAnArray(isWeighted: Bool) throws {
    let reader = MadeRows(6000, dim: 2, isWeighted: isWeighted)
    let (flow, report) = try train(reader, bytes: 1 << 20)
    #expect(reader.reads.load(ordering: .relaxed) == 1)
    let x = UnsafeMutablePointer<Double>.allocate(capacity: 12_000)
    let weights = UnsafeMutablePointer<Double>.allocate(capacity: 6000)
    defer {
      x.deallocate()
      weights.deallocate()
    }
    try reader.read(0..<6000, into: RowBuffers(x, weights, isWeighted ? weights : nil))
    var options = TrainOptions()
    (options.maxEpochs, options.batchSize) = (2, 700)
    var batch = Batch<Double>(rows: 6000, x: x, context: nil, contextIsShared: false)
    if isWeighted { batch.weights = UnsafePointer(weights) }
    let trainer = try Trainer<Double>(Flow(spec: flow.spec, seed: 1), options, batch)
    while !trainer.report.finished { try trainer.step(0, cancelled: { false }) }
    #expect(try bits(trainer.bestFlow()) == bits(flow) && trainer.report.bestLogProb == report.bestLogProb)
    // Read by the block it learns as much: on the same rows, for others are held out.
    let blocks = try train(MadeRows(6000, dim: 2, isWeighted: isWeighted))
    let all = Array(UnsafeBufferPointer(start: x, count: 12_000))
    func mean(_ flow: Flow<Double>) throws -> Double {
      try flow.logProb(x: all, rows: 6000, context: []).reduce(0, +) / 6000
    }
    #expect(try abs(mean(blocks.flow) - mean(flow)) < 0.05)
    #expect(abs(blocks.report.effectiveRows / report.effectiveRows - 1) < 1e-2)
    #expect(blocks.report.trainRows == report.trainRows && blocks.report.validationRows == report.validationRows)
  }

  @Test func aFailureEndsTheStepAndNotTheTraining() throws {
    func trainer(_ reader: MadeRows) throws -> Trainer<Double> {
      var options = TrainOptions()
      (options.maxEpochs, options.rowsMemory) = (3, 0)
      return try Trainer(flow().flow(), options, reader)
    }
    let reader = MadeRows(20_000)
    let failing = try trainer(reader)
    try failing.step(0, cancelled: { false })
    let best = bits(try failing.bestFlow())
    let error = DiffeoError(.io, "the disk is gone")
    reader.error = error
    #expect(throws: error) { while true { try failing.step(1, cancelled: { false }) } }
    #expect(throws: error) { try failing.step(1, cancelled: { false }) }
    #expect(bits(try failing.bestFlow()) == best && !failing.report.finished)
    // It is back, and so is the training.
    reader.error = nil
    while !failing.report.finished { try failing.step(0, cancelled: { false }) }
    let whole = try trainer(MadeRows(20_000))
    while !whole.report.finished { try whole.step(0, cancelled: { false }) }
    #expect(bits(try failing.bestFlow()) == bits(try whole.bestFlow()))

    let changing = try trainer(reader)
    reader.shift = 1
    let thrown = #expect(throws: DiffeoError.self) { while true { try changing.step(0, cancelled: { false }) } }
    #expect(thrown?.code == .io && thrown?.message.contains("are not what they were") == true)
    reader.shift = .nan
    #expect(throws: DiffeoError(.numeric, "x has nan at row 0, column 0")) { try trainer(reader) }
  }

  @Test func nothingIsReadBetweenTwoSteps() throws {
    var options = TrainOptions()
    (options.maxEpochs, options.rowsMemory, options.batchSize) = (3, 0, 100)
    let reader = MadeRows(20_000)
    let trainer = try Trainer(flow().flow(), options, reader)
    for _ in 0..<20 {
      try trainer.step(1, cancelled: { false })
      let before = reader.reads.load(ordering: .relaxed)
      usleep(2000)
      #expect(reader.reads.load(ordering: .relaxed) == before)
    }
  }

  /// Blocks, windows and the places of their rows, of narrow and of wide rows.
  @Test(arguments: [(1, false), (6, true), (300, false)], [1, 1000, 100_000])
  func memoryIsBounded(columns: (Int, Bool), together: Int) {
    for bytes in [1 << 20, 1 << 24, 1 << 28] {
      let reader = MadeRows(50_000_000, dim: columns.0, isWeighted: columns.1, together: together)
      let row = (columns.0 + (columns.1 ? 1 : 0)) * 8
      let memory = BlockMemory(reader, Double.self, bytes: bytes)
      let (most, least) = memory.split()
      let block = memory.blockRows * row
      for (part, rows, share) in [(most, 45_000_000, bytes - bytes / 4), (least, 5_000_000, bytes / 4)] {
        let windows = part.windows(of: rows) * part.windowRows(of: rows) * (row + 4) + 4 * part.windowRows(of: rows)
        // Rows so wide that the memory holds few of them have the least number of rows instead.
        #expect(windows <= max(share - block / 4, 3 * (Tiling.minibatchRows + memory.blockRows) * (row + 8)))
      }
      #expect(together > 1000 || bytes < 1 << 24 || memory.blockRows % together == 0 || columns.0 == 300)
    }
  }
}
