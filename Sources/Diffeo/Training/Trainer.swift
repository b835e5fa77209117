import Glibc
import KernelInterface

/// Maximum likelihood with Adam over minibatches. Used by one thread at a time; its own threads are in its workspace.
final class Trainer<S: Scalar> {
  let spec: FlowSpec
  private let options: TrainOptions
  /// Where the training began.
  private let origin: Flow<S>
  private let workspace: Workspace
  private let model: Model<S>
  private let likelihood: LikelihoodGradient<S>
  private let parameters: ParameterVector<S>
  private let best: ParameterVector<S>
  private let gradient: ParameterVector<S>
  private let moment1: ParameterVector<S>
  private let moment2: ParameterVector<S>
  private let updates: [Update]
  private let noise: DequantizationNoise?

  private let data: DataSet<S>
  private var trainRows: [Int32]
  private var validation: (data: DataSet<S>, rows: [Int32])?

  private var step = 0
  /// Steps that were not skipped: Adam's t.
  private var updatesDone = 0
  private var epochStart = 0
  private var epochSum = 0.0
  private var epochRows = 0
  private var epochSeconds = 0.0
  private var finiteSteps = 0
  private(set) var report = TrainReport()

  /// Parameters that Adam treats alike: `count` of them, `rows` times, the rows `stride` apart.
  private struct Update {
    let offset: Int
    let count: Int
    let rows: Int
    let stride: Int
    let decays: Bool

    static var maxCount: Int { 1 << 16 }

    /// A vector, or a matrix whose rows lie one after the other.
    static func all(of slot: ParameterSlot) -> [Update] {
      Swift.stride(from: 0, to: slot.count, by: maxCount).map {
        Update(
          offset: slot.offset + $0, count: min(maxCount, slot.count - $0), rows: 1, stride: 0,
          decays: slot.role == .weight)
      }
    }

    /// The weights of a MADE, half of which are masked. Those are not touched: they have no gradient.
    static func shown(of layer: DenseLayer<S>, decays: Bool) -> [Update] {
      let rows = 32
      return Swift.stride(from: 0, to: layer.outputs, by: rows).map { first in
        let end = min(first + rows, layer.outputs)
        return Update(
          offset: layer.offset + first * layer.inputs,
          count: min(Tiling.wholeVectors(Int(layer.limits[end - 1]), S.self), layer.inputs), rows: end - first,
          stride: layer.inputs, decays: decays)
      }
    }
  }

  init<T: Scalar>(_ flow: Flow<S>, _ options: TrainOptions, _ batch: Batch<T>) throws(DiffeoError) {
    try options.check()
    guard batch.rows >= 2 else {
      throw DiffeoError(
        .shape, "x has \(batch.rows) row\(batch.rows == 1 ? "" : "s"): training needs 2 at least")
    }
    guard batch.rows <= Int(Int32.max) else {
      throw DiffeoError(
        .unsupported, "x has \(batch.rows) rows, at most \(Int32.max) can be trained on")
    }
    spec = flow.spec
    self.options = options
    origin = flow
    workspace = try Workspace(threads: options.threads)
    data = try DataSet(batch, dim: spec.dim, contextDim: spec.contextDim)
    var random = Philox(seed: options.seed, stream: RandomStream.split)
    var order = (0..<Int32(batch.rows)).map { $0 }
    let held = min(Int(options.validationFraction * Double(batch.rows)), batch.rows - 1)
    if held > 0 {
      random.shuffle(&order)
      validation = (data, order.suffix(held).sorted())
    }
    trainRows = order.prefix(batch.rows - held).sorted()
    model = try Model(spec, wholeVectors: true)
    parameters = try ParameterVector(copy: flow.parameters)
    best = try ParameterVector(count: parameters.count)
    gradient = try ParameterVector(count: parameters.count)
    moment1 = try ParameterVector(count: parameters.count)
    moment2 = try ParameterVector(count: parameters.count)
    likelihood = try LikelihoodGradient(
      spec, model, parameters, gradient, workspace, rows: min(options.batchSize, batch.rows))
    // Short rows are not worth a call each, and of masks that share their weights each shows others.
    let wide = model.denseLayers.filter { $0.isSorted && $0.inputs >= 256 }
    let dense = Dictionary(grouping: wide, by: \.slot).filter { $0.value.count == 1 }
    updates = spec.slots.flatMap(\.slots).enumerated().filter { $0.element.role != .constant }.flatMap { i, slot in
      dense[i].map { Update.shown(of: $0[0], decays: slot.role == .weight) } ?? Update.all(of: slot)
    }
    noise = model.dequantizes ? DequantizationNoise(seed: options.seed) : nil
    model.prepare(parameters.pointer)
    try setFromData()
    try checkSupport()
    best.pointer.update(from: parameters.pointer, count: parameters.count)
    renewReport()
  }

  func setValidation<T: Scalar>(_ batch: Batch<T>) throws(DiffeoError) {
    guard step == 0 else {
      throw DiffeoError(.state, "the validation rows can be set before the first step only")
    }
    guard batch.rows >= 1, batch.rows <= Int(Int32.max) else {
      throw DiffeoError(
        .shape, "there are \(batch.rows) validation rows, 1 to \(Int32.max) are possible")
    }
    let rows = try DataSet<S>(batch, dim: spec.dim, contextDim: spec.contextDim)
    let all = (0..<Int32(batch.rows)).map { $0 }
    validation = (rows, all)
    trainRows = (0..<Int32(data.rows)).map { $0 }
    // What layers took from the data, they took from fewer rows.
    parameters.pointer.update(from: origin.parameters.pointer, count: parameters.count)
    model.prepare(parameters.pointer)
    try setFromData()
    try checkSupport()
    best.pointer.update(from: parameters.pointer, count: parameters.count)
    renewReport()
  }

  private func renewReport() {
    report.trainRows = trainRows.count
    report.validationRows = validation?.rows.count ?? 0
    let batchSize = min(options.batchSize, trainRows.count)
    report.batchesPerEpoch = (trainRows.count + batchSize - 1) / batchSize
    report.learningRate = options.learningRate
    if options.maxEpochs == 0 { report.state = .maxEpochs }
  }

  // MARK: - What layers take from the data

  private static var maxStatisticsRows: Int { 1 << 16 }

  /// Layers that are set from the data and are not yet, from data to noise: each sees what those before it make.
  private func setFromData() throws(DiffeoError) {
    var layer = spec.context == nil ? 0 : -1
    try spec.eachComponent { component, range throws(DiffeoError) in
      let own = parameters.pointer + range.offset
      if component.wantsStatistics(UnsafePointer(own)) {
        var statistics = try statistics(before: layer)
        // A constant context does no harm.
        if layer < 0 { statistics.replaceZeroDeviations(by: 1) }
        // The inverse normalises if the layer takes normal numbers to these.
        if spec.layers.indices.contains(layer), spec.layers[layer].inverted { statistics.invert() }
        try component.setStatistics(own, mean: statistics.mean, deviation: statistics.deviation)
        model.prepare(parameters.pointer)
      }
      layer += 1
    }
  }

  /// Of the inputs of a layer; of the context for layer -1.
  private func statistics(before layer: Int) throws(DiffeoError) -> ColumnStatistics {
    // Of many rows some, evenly: they may be sorted.
    let step = layer <= 0 ? 1 : max(1, trainRows.count / Trainer.maxStatisticsRows)
    let rows = stride(from: 0, to: trainRows.count, by: step).map { trainRows[$0] }
    return try ColumnStatistics(columns: layer < 0 ? spec.contextDim : spec.dim, rows: rows.count) {
      (visit: (UnsafePointer<S>, Int, Int) -> Void) throws(DiffeoError) in
      try withoutThreads(rows) { order, count, scratch throws(DiffeoError) in
        var pass = try model.newPass(Tiling.stride(count, S.self), recording: false, scratch)
        try load(data, order, count, &pass, epoch: DequantizationNoise.noEpoch)
        if layer >= 0 {
          model.begin(&pass)
          try model.forward(&pass, layers: layer)
        }
        visit(layer < 0 ? pass.context : pass.x, pass.stride, count)
      }
    }
  }

  /// A tile of the rows that `order` names, with the noise of the epoch.
  @inline(__always)
  private func load(
    _ data: DataSet<S>, _ order: UnsafePointer<Int32>, _ count: Int, _ pass: inout Pass<S>, epoch: Int
  ) throws(DiffeoError) {
    data.load(order, count, &pass)
    if let noise { try noise.fill(&pass, order, count, epoch: epoch) }
  }

  private func withoutThreads(
    _ rows: [Int32], _ body: (UnsafePointer<Int32>, Int, Scratch) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let alone = try Workspace(threads: 1)
    try alone.forEach(Tiling.count(rows.count)) { tile, scratch throws(DiffeoError) in
      let range = Tiling.range(tile, rows.count)
      try rows.withUnsafeBufferPointer { rows throws(DiffeoError) in
        if let base = rows.baseAddress { try body(base + range.lowerBound, range.count, scratch) }
      }
    }
  }

  // MARK: - Steps

  /// At most so many minibatches (0 or less: all that are left), not past the end of the epoch.
  func step(_ batches: Int, cancelled: () -> Bool) throws(DiffeoError) {
    if report.finished {
      if report.state == .cancelled { throw DiffeoError(.cancelled, "the training was cancelled") }
      return
    }
    let start = now()
    defer {
      let elapsed = now() - start
      report.seconds += elapsed
      epochSeconds += elapsed
      updateSpeed()
    }
    if step == 0, let validation {
      // The weights that the training begins with are a candidate.
      report.bestLogProb = try meanLogProb(validation.data, validation.rows)
    }
    if report.batch == report.batchesPerEpoch || step == 0 { beginEpoch() }
    var left = batches <= 0 ? Int.max : batches
    report.state = .running
    while left > 0, report.batch < report.batchesPerEpoch {
      if cancelled() {
        report.state = .cancelled
        throw DiffeoError(.cancelled, "the training was cancelled in epoch \(report.epoch + 1)")
      }
      try minibatch()
      left -= 1
    }
    if report.batch == report.batchesPerEpoch { try endEpoch() }
  }

  private func beginEpoch() {
    report.batch = 0
    epochSum = 0
    epochRows = 0
    epochSeconds = 0
    finiteSteps = 0
    var random = Philox(seed: options.seed, stream: RandomStream.shuffle + UInt64(report.epoch))
    // From the sorted order each time: an epoch's order depends on the seed and its number only.
    trainRows.sort()
    random.shuffle(&trainRows)
  }

  private func minibatch() throws(DiffeoError) {
    // As equal as can be, so that no step hangs on a few rows left over.
    let (batch, batches, rows) = (report.batch, report.batchesPerEpoch, trainRows.count)
    let range = batch * rows / batches..<(batch + 1) * rows / batches
    let (logProb, squares) = try computeGradient(range)
    epochSum += logProb
    epochRows += range.count
    report.batch += 1
    report.trainLogProb = epochSum / Double(epochRows)
    report.learningRate = options.learningRate(step: step, of: Double(options.maxEpochs) * Double(batches))
    step += 1

    report.gradientNorm = squares.squareRoot()
    guard report.gradientNorm.isFinite else {
      report.skippedSteps += 1
      return
    }
    finiteSteps += 1
    try update(
      clip: options.clipNorm > 0 ? min(1, options.clipNorm / max(report.gradientNorm, 1e-300)) : 1)
  }

  /// Of the mean log-likelihood of some of trainRows. Gives the sum of the log-likelihoods, and of the squares of the
  /// gradient.
  private func computeGradient(_ range: Range<Int>) throws(DiffeoError) -> (logProb: Double, squares: Double) {
    try trainRows.withUnsafeBufferPointer { order throws(DiffeoError) in
      guard let order = order.baseAddress else { return (0, 0) }
      return try likelihood.compute(rows: range.count, number: step) {
        (rows, pass) throws(DiffeoError) in
        try load(data, order + range.lowerBound + rows.lowerBound, rows.count, &pass, epoch: report.epoch)
      }
    }
  }

  /// The mean log-likelihood of all training rows, and its gradient at the present parameters, as a step sees them.
  func objective() throws(DiffeoError) -> (mean: Double, gradient: [S]) {
    let total = try computeGradient(0..<trainRows.count).logProb
    return (total / Double(trainRows.count), (0..<gradient.count).map { gradient.pointer[$0] })
  }

  private func update(clip: Double) throws(DiffeoError) {
    updatesDone += 1
    let t = Double(updatesDone)
    let rate = report.learningRate
    let correction1 = 1 - pow(options.beta1, t)
    let correction2 = 1 - pow(options.beta2, t)
    try workspace.forEach(updates.count) { i, _ throws(DiffeoError) in
      let part = updates[i]
      let step = AdamStep(
        beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon,
        rate: rate / correction1,
        vScale: 1 / correction2.squareRoot(), decay: part.decays ? rate * options.weightDecay : 0,
        gradientScale: -clip)
      for row in 0..<part.rows {
        let at = part.offset + row * part.stride
        S.kernels.adam(
          step, part.count, gradient.pointer + at, parameters.pointer + at, moment1.pointer + at, moment2.pointer + at)
      }
    }
    try workspace.forEach(model.layerCount + 1) { i, _ throws(DiffeoError) in
      model.prepare(parameters.pointer, layer: i)
    }
  }

  private func endEpoch() throws(DiffeoError) {
    report.epoch += 1
    if finiteSteps == 0 {
      report.state = .cancelled
      throw DiffeoError(
        .numeric,
        "no step of epoch \(report.epoch) had a finite gradient; the best weights so far are kept. "
          + "A lower learning rate, a smaller clip_norm or a look at the data may help")
    }
    let score: Double
    if let validation {
      report.validationLogProb = try meanLogProb(validation.data, validation.rows)
      score = report.validationLogProb
    } else {
      score = report.trainLogProb
    }
    // Without validation the score is of the steps before the last, which may have ruined the weights.
    let better = score > report.bestLogProb || (report.bestLogProb.isNaN && !score.isNaN)
    if better, (0..<parameters.count).allSatisfy({ parameters.pointer[$0].isFinite }) {
      report.bestLogProb = score
      report.bestEpoch = report.epoch
      best.pointer.update(from: parameters.pointer, count: parameters.count)
    }
    if report.epoch >= options.maxEpochs {
      report.state = .maxEpochs
    } else if options.patience > 0, report.epoch - report.bestEpoch >= options.patience {
      report.state = .patience
    } else {
      report.state = .epochEnd
    }
  }

  /// Rows that no parameters can give a density would spoil every minibatch that they are in.
  private func checkSupport() throws(DiffeoError) {
    guard spec.limitsSupport else { return }
    var sets = [(name: "x", data: data, rows: trainRows)]
    if let validation {
      sets.append((validation.data === data ? "x" : "the validation's x", validation.data, validation.rows))
    }
    for (name, data, rows) in sets {
      try withoutThreads(rows) { order, count, scratch throws(DiffeoError) in
        var pass = try model.newPass(Tiling.stride(count, S.self), recording: false, scratch)
        try load(data, order, count, &pass, epoch: DequantizationNoise.noEpoch)
        model.begin(&pass)
        try model.logProb(&pass)
        for r in 0..<count where !pass.logDet[r].isFinite {
          throw DiffeoError(
            .numeric, "row \(order[r]) of \(name) has no density: it is outside of the support of this flow")
        }
      }
    }
  }

  private func meanLogProb(_ data: DataSet<S>, _ rows: [Int32]) throws(DiffeoError) -> Double {
    let tiles = Tiling.count(rows.count)
    let sums = try allocateBytes(tiles, MemoryLayout<Double>.stride).bindMemory(
      to: Double.self, capacity: tiles)
    defer { free(sums) }
    try rows.withUnsafeBufferPointer { rows throws(DiffeoError) in
      guard let order = rows.baseAddress else { return }
      try workspace.forEach(tiles) { tile, scratch throws(DiffeoError) in
        let range = Tiling.range(tile, rows.count)
        var pass = try model.newPass(Tiling.stride(range.count, S.self), recording: false, scratch)
        try load(data, order + range.lowerBound, range.count, &pass, epoch: DequantizationNoise.noEpoch)
        model.begin(&pass)
        try model.logProb(&pass)
        for r in 0..<range.count { sums[tile] += pass.logDet[r] }
      }
    }
    var total = 0.0
    for tile in 0..<tiles { total += sums[tile] }
    return total / Double(rows.count)
  }

  private func updateSpeed() {
    guard epochSeconds > 0 else { return }
    report.rowsPerSecond = Double(epochRows) / epochSeconds
    let epochsLeft = Double(options.maxEpochs - report.epoch)
    let rowsDone = report.batch < report.batchesPerEpoch ? epochRows : 0
    let rowsLeft = max(epochsLeft * Double(trainRows.count) - Double(rowsDone), 0)
    report.secondsLeft = report.finished ? 0 : rowsLeft / report.rowsPerSecond
  }

  private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  // MARK: - Results

  /// Before the end of the first epoch nothing has been judged: the present weights, unless they are ruined.
  func bestFlow() throws(DiffeoError) -> Flow<S> {
    if report.epoch == 0 {
      do throws(DiffeoError) { return try currentFlow() } catch  where error.code == .numeric {}
    }
    return try Flow(spec: spec, parameters: ParameterVector(copy: best))
  }

  func currentFlow() throws(DiffeoError) -> Flow<S> {
    try Flow(spec: spec, parameters: ParameterVector(copy: parameters))
  }
}
