/// Rows that need not fit into memory: blocks of them are read ahead of their use, in the order of a plan, and those of a
/// window shuffled.
///
/// Three windows are in memory: rows that are used at the same time may lie in two of them, while the next one is read.
final class BlockRows<S: Scalar>: RowSource {
  let count: Int
  let effectiveCount: Double
  private let file: BlockFile<S>
  private let selection: RowSelection
  private let settings: RowSettings
  private let memory: BlockMemory
  /// Gives weights a mean of 1.
  private let weightFactor: S
  private let dequantization: DequantizationNoise?
  private let noise: DataNoise<S>?
  private let windows: ReadAhead<WindowReader<S>.Slot, WindowReader<S>.Job>
  private var plan: WindowPlan
  /// Of the present epoch: the number of its first window among those of all epochs.
  private var firstWindow = 0
  /// Of the next epoch, where its first window has been asked for.
  private var nextPlan: WindowPlan?

  /// All rows of a reader, which are read once. bytes: of memory that this, and what is split from it, may take.
  convenience init(
    _ reader: any RowReader, _ role: RowsRole, _ settings: RowSettings, bytes: Int
  ) throws(DiffeoError) {
    let memory = BlockMemory(reader, S.self, bytes: bytes)
    let file = try BlockFile<S>(
      reader, role, blockRows: memory.blockRows, negativeWeights: settings.negativeWeights)
    try self.init(file, RowSelection(total: file.rows), settings, memory)
  }

  private init(
    _ file: BlockFile<S>, _ selection: RowSelection, _ settings: RowSettings, _ memory: BlockMemory
  ) throws(DiffeoError) {
    (self.file, self.selection, self.settings, self.memory) = (file, selection, settings, memory)
    dequantization = settings.dequantizes ? DequantizationNoise(seed: settings.seed) : nil
    noise =
      settings.noise > 0
      ? DataNoise(seed: settings.seed, deviations: file.deviations.map { settings.noise * $0 }) : nil
    count = selection.count
    (weightFactor, effectiveCount) = try Self.weights(file, selection)
    let reader = WindowReader(file, selection, rows: memory.windowRows(of: count))
    windows = ReadAhead(slots: (0..<memory.windows(of: count)).map { _ in WindowReader<S>.Slot() }) {
      job, slot, isWanted throws(DiffeoError) in try reader.fill(slot, job, isWanted)
    }
    plan = Self.plan(RowRandom.noEpoch, file, selection, settings, memory)
  }

  deinit { windows.end() }

  private static func weights(
    _ file: BlockFile<S>, _ selection: RowSelection
  ) throws(DiffeoError) -> (factor: S, effectiveCount: Double) {
    let count = selection.count
    guard file.isWeighted else { return (1, Double(count)) }
    var (sum, squares) = (0.0, 0.0)
    for block in 0..<file.blocks {
      try file.read(block) { block throws(DiffeoError) in
        guard let weights = block.weights else { return }
        selection.forEach(in: block.rows) { row in
          let weight = Double(weights[row - block.rows.lowerBound])
          sum += weight
          squares += weight * weight
        }
      }
    }
    try DataSet<S>.checkSum(of: sum, count, file.role)
    return (S(Double(count) / sum), sum * sum / squares)
  }

  private static func plan(
    _ epoch: Int, _ file: BlockFile<S>, _ selection: RowSelection, _ settings: RowSettings, _ memory: BlockMemory
  ) -> WindowPlan {
    WindowPlan(
      epoch: epoch, blocks: file.blocks, windowRows: memory.leastWindowRows(of: selection.count), seed: settings.seed
    ) {
      let range = file.range($0)
      return selection.count(before: range.upperBound) - selection.count(before: range.lowerBound)
    }
  }

  var fingerprint: UInt64 { file.fingerprint }

  var hasWindows: Bool { true }

  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?) {
    if held == 0 { return (try BlockRows(file, selection, settings, memory), nil) }
    let parts = selection.split(held: held, seed: settings.seed)
    let (most, least) = memory.split()
    return (
      try BlockRows(file, parts.train, settings, most), try BlockRows(file, parts.held, settings, least)
    )
  }

  /// In the order of the file.
  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S> {
    try BlockRows(file, selection.every(step), settings, memory.split().least)
  }

  // MARK: - Windows

  func begin(epoch: Int) {
    firstWindow += plan.count
    // What was read ahead of another epoch than came is left.
    if nextPlan?.epoch != epoch { firstWindow += 3 }
    plan = nextPlan?.epoch == epoch ? nextPlan ?? plan : Self.plan(epoch, file, selection, settings, memory)
    nextPlan = nil
  }

  func readAhead(_ goesOn: Bool) { windows.goesOn = goesOn }

  var stretches: [Range<Int>] { (0..<plan.count).map(plan.rows) }

  private func window(_ number: Int) throws(DiffeoError) -> Window<S> {
    let slot = try windows.take(firstWindow + number, .init(plan: plan, window: number), following: following(number))
    guard let window = slot.window else { throw DiffeoError(.internal, "window \(number) has no rows") }
    return window
  }

  /// Called by one thread at a time.
  private func following(_ number: Int) -> (number: Int, job: WindowReader<S>.Job)? {
    if number + 1 < plan.count { return (firstWindow + number + 1, .init(plan: plan, window: number + 1)) }
    // There must be three windows, or the rows of the present one would go.
    guard plan.epoch != RowRandom.noEpoch, memory.windows(of: count) > 1 else { return nil }
    let next = nextPlan ?? Self.plan(plan.epoch + 1, file, selection, settings, memory)
    nextPlan = next
    return (firstWindow + plan.count, .init(plan: next, window: 0))
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func load(_ range: Range<Int>, _ pass: inout Pass<S>) throws(DiffeoError) {
    let numbers = try pass.scratch.take(range.count, of: Int32.self)
    let weights = file.isWeighted ? try pass.scratch.take(pass.stride, of: S.self) : nil
    var row = range.lowerBound
    while row < range.upperBound {
      let number = plan.window(of: row)
      let (window, rows) = (try window(number), plan.rows(number))
      let part = row..<min(range.upperBound, rows.upperBound)
      let (from, to) = (row - rows.lowerBound, row - range.lowerBound)
      Self.copy(window.x + from * file.dim, file.dim, part.count, pass.x + to, pass.stride)
      Self.copy(window.context + from * file.contextDim, file.contextDim, part.count, pass.context + to, pass.stride)
      (numbers + to).update(from: window.numbers + from, count: part.count)
      if let given = window.weights, let weights {
        for r in 0..<part.count { weights[to + r] = weightFactor * given[from + r] }
      }
      row = part.upperBound
    }
    let padding = pass.stride - range.count
    for i in 0..<file.dim { (pass.x + i * pass.stride + range.count).update(repeating: 0, count: padding) }
    for i in 0..<file.contextDim { (pass.context + i * pass.stride + range.count).update(repeating: 0, count: padding) }
    if let weights {
      (weights + range.count).update(repeating: 0, count: padding)
      pass.weights = UnsafePointer(weights)
    }
    if plan.epoch != RowRandom.noEpoch {
      try settings.moves?.apply(to: &pass, numbers, range.count, epoch: plan.epoch)
      noise?.add(to: &pass, numbers, range.count, epoch: plan.epoch)
    }
    try dequantization?.fill(&pass, numbers, range.count, epoch: plan.epoch)
  }

  /// Row-major to a part of a tile.
  @inline(__always)
  private static func copy(
    _ rows: UnsafePointer<S>, _ columns: Int, _ count: Int, _ tile: UnsafeMutablePointer<S>, _ stride: Int
  ) {
    for r in 0..<count {
      for i in 0..<columns { tile[i * stride + r] = rows[r * columns + i] }
    }
  }

  /// Of rows that are in memory, as those are that were loaded last.
  func number(of row: Int) -> Int {
    let number = plan.window(of: row)
    guard let window = windows.made(firstWindow + number)?.window else { return -1 }
    return Int(window.numbers[row - plan.rows(number).lowerBound])
  }

  func name(of row: Int) -> String { "row \(number(of: row)) of \(file.role.name("x"))" }
}
