import KernelInterface

/// A network prepared for the kernels: a chain of matrices from the inputs to the outputs, each of which but the last is
/// followed by a `Step`. Its inputs and outputs are in sorted order (see DenseLayer): the caller gathers the ones and
/// scatters the others.
struct Network<S: Scalar>: BitwiseCopyable {
  let activation: Activation
  let inputs: Int
  /// The context is the inputs from contextRow on, the first ones when they are sorted by degree, else the last.
  let contextInputs: Int
  let contextRow: Int
  /// Where the first layer begins to read: behind the context if it does not read that.
  let firstRow: Int
  /// Of the chain; the direct connections, if there are any, are one more, and then come the matrices of the context.
  let layerCount: Int
  let layers: UnsafeMutablePointer<DenseLayer<S>>
  let hasDirect: Bool
  private let denseCount: Int
  /// By layer; that of the last one means nothing.
  let steps: UnsafeMutablePointer<Step>
  private let hasSides: Bool
  /// The probability with which training leaves out a unit of a step that drops.
  private let dropout: Double

  /// What becomes of the sums of a layer, unit by unit: `state` is
  ///
  ///     (sums + side, or sums * side) + state of the layer two before
  ///
  /// and the next layer reads activation(scale state + shift), or with layer normalisation that of
  /// (state - its mean over the units) / its deviation in place of the state; each of these may be missing. In a plain
  /// network there is just the activation; a residual block is two layers, the second of which has the state of the one
  /// before the block.
  struct Step: BitwiseCopyable {
    /// The matrix, among `layers`, that makes the side of the context; what is then done to it; and how it is used.
    var side: Int?
    var sideActivation: Activation?
    var gates = false
    var skips = false
    var normalization: Normalization?
    var activates = false
    var drops = false
    /// The step after the next one skips to this one.
    var isKept = false

    /// Activates the sums, and that is all.
    var isPlain = false
  }

  struct Normalization: BitwiseCopyable {
    /// Sorted.
    let scale: UnsafeMutablePointer<S>
    let shift: UnsafeMutablePointer<S>
    /// Of the scales in the parameters of the flow and among its slots; the shifts follow.
    let offset: Int
    let slot: Int
    /// Of layer normalisation, or 0.
    let epsilon: S
  }

  /// What a pullback needs of a forward pass.
  struct Tape: BitwiseCopyable {
    let input: UnsafePointer<S>
    let hidden: UnsafeMutablePointer<Units>
  }

  /// The tiles of a step; some are the same, where the one before is not needed any more.
  struct Units: BitwiseCopyable {
    var sums: UnsafeMutablePointer<S>
    var state: UnsafeMutablePointer<S>
    /// The state as the normalisation scales it; and of that of a layer, [4][stride]: the mean of the state, one over its
    /// deviation, and what the way back sums up.
    var normal: UnsafeMutablePointer<S>
    var statistics: UnsafeMutablePointer<S>?
    /// Before and after the activation.
    var before: UnsafeMutablePointer<S>
    var active: UnsafeMutablePointer<S>
    /// What the next layer reads: with multipliers, of dropout, their product with what is active.
    var after: UnsafeMutablePointer<S>
    var multipliers: UnsafeMutablePointer<S>?
    /// Of the context, if the step has one: before and after its activation.
    var sideBefore: UnsafeMutablePointer<S>
    var side: UnsafeMutablePointer<S>

    init(_ sums: UnsafeMutablePointer<S>) {
      (self.sums, state, normal, before) = (sums, sums, sums, sums)
      (active, after, sideBefore, side) = (sums, sums, sums, sums)
    }
  }

  init(_ spec: NetworkSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    activation = spec.activation
    inputs = spec.inputs
    contextInputs = spec.contextInputs
    contextRow = spec.degrees == nil ? spec.inputs - spec.contextInputs : 0
    firstRow = spec.degrees == nil ? 0 : spec.inputs - spec.firstInputs
    hasDirect = spec.direct
    dropout = spec.conventions.dropout
    var (offset, slot) = (offset, slot)
    var chain: [DenseLayer<S>] = []
    var direct: [DenseLayer<S>] = []
    var sides: [DenseLayer<S>] = []
    var steps: [Step] = []
    let links = spec.parts.reduce(0) { $0 + ($1.isLink ? 1 : 0) }
    let firstSide = links + (spec.direct ? 1 : 0)
    for part in spec.parts {
      if part.isNormalization {
        let width = spec.size(part).outputs
        steps[steps.count - 1].normalization = Normalization(
          scale: try pool.take(width), shift: try pool.take(width), offset: offset, slot: slot,
          epsilon: S(spec.conventions.layerNormEpsilon))
      } else {
        let (size, degrees) = (spec.size(part), spec.degrees(part))
        let rows = Network.order(size.outputs, degrees?.outputs)
        let columns = Network.order(size.inputs, degrees?.inputs)
        let layer = try DenseLayer<S>(
          offset: offset, slot: slot, rowOrder: rows, columnOrder: columns,
          limits: Network.limits(rows, columns, degrees, strict: spec.seesLower(part)),
          hasBias: spec.slots(part).count > 1, pool: pool)
        var step = Step()
        switch part {
        case .layer, .inner, .outer:
          if case .inner = part {
            (step.activates, step.drops) = (true, true)
            // What leads into a block is activated before it.
            if spec.conventions.blocks == .preactivation { steps[steps.count - 1].activates = true }
          } else {
            step.activates = spec.conventions.blocks == .plain
            step.drops = step.activates
          }
          if part.isOuter {
            step.skips = true
            steps[steps.count - 2].isKept = true
          }
          chain.append(layer)
          steps.append(step)
        case .shift, .blockShift, .gate:
          step = steps[steps.count - 1]
          step.side = firstSide + sides.count
          if part == .shift { step.sideActivation = activation }
          if case .gate = part { (step.sideActivation, step.gates) = (.sigmoid, true) }
          steps[steps.count - 1] = step
          sides.append(layer)
        case .direct: direct.append(layer)
        case .normalization, .innerNormalization: break
        }
      }
      let slots = spec.slots(part)
      offset += slots.reduce(0) { $0 + $1.count }
      slot += slots.count
    }
    layerCount = chain.count
    denseCount = firstSide + sides.count
    hasSides = !sides.isEmpty
    layers = try pool.take(denseCount)
    for (i, layer) in (chain + direct + sides).enumerated() { layers[i] = layer }
    self.steps = try pool.take(layerCount)
    for (i, step) in steps.enumerated() {
      self.steps[i] = step
      self.steps[i].isPlain =
        step.activates && step.side == nil && !step.skips && step.normalization == nil && !step.isKept
    }
  }

  /// How many sorted columns each sorted row sees: those of no higher, or strictly of lower degree.
  private static func limits(
    _ rowOrder: [Int32], _ columnOrder: [Int32], _ degrees: (inputs: [Int], outputs: [Int])?, strict: Bool
  ) -> [Int32] {
    guard let degrees else { return [Int32](repeating: Int32(columnOrder.count), count: rowOrder.count) }
    var limit = 0
    return rowOrder.map { row in
      let degree = degrees.outputs[Int(row)] + (strict ? 0 : 1)
      while limit < columnOrder.count, degrees.inputs[Int(columnOrder[limit])] < degree { limit += 1 }
      return Int32(limit)
    }
  }

  /// By degree, ties as they are.
  private static func order(_ count: Int, _ degrees: [Int]?) -> [Int32] {
    let order = (0..<Int32(count))
    guard let degrees else { return Array(order) }
    return order.sorted { (degrees[Int($0)], $0) < (degrees[Int($1)], $1) }
  }

  /// Of what is summed from inputs that become known one by one: all but what the context gives.
  var matrixCount: Int { layerCount + (hasDirect ? 1 : 0) }
  var denseLayers: [DenseLayer<S>] { (0..<denseCount).map { layers[$0] } }
  var direct: DenseLayer<S>? { hasDirect ? layers[layerCount] : nil }
  var outputs: Int { layers[layerCount - 1].outputs }

  func prepare(_ parameters: UnsafePointer<S>) {
    for i in 0..<denseCount { layers[i].prepare(parameters) }
    for i in 0..<layerCount - 1 {
      guard let norm = steps[i].normalization else { continue }
      let (layer, own) = (layers[i], parameters + norm.offset)
      for r in 0..<layer.outputs {
        norm.scale[r] = own[Int(layer.rowOrder[r])]
        norm.shift[r] = own[layer.outputs + Int(layer.rowOrder[r])]
      }
    }
  }

  // MARK: - Forward

  /// The outputs, in scratch memory. With `recording` all that a pullback needs stays there too; else the tape is void.
  func forward(
    _ input: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch, recording: Bool, _ draws: Dropout?
  ) throws(DiffeoError) -> (output: UnsafeMutablePointer<S>, tape: Tape) {
    let output = try scratch.take(PackedMatrix<S>.padded(outputs) * stride, of: S.self)
    let mark = scratch.mark
    let tape = try newTape(input, scratch)
    var x = input + firstRow * stride
    for i in 0..<layerCount - 1 {
      try takeUnits(i, tape, stride, scratch, recording: recording, piecewise: false, draws)
      let units = tape.hidden[i]
      if activation == .relu, steps[i].isPlain {
        layers[i].forward.apply(x, units.sums, stride, lower: 0)
      } else {
        layers[i].forward.apply(x, units.sums, stride)
        finish(i, 0, layers[i].outputs, tape, stride)
      }
      drop(i, 0, layers[i].outputs, tape, stride)
      x = UnsafePointer(units.after)
    }
    layers[layerCount - 1].forward.apply(x, output, stride)
    if let direct {
      // Summed by themselves, as piece by piece (Incremental), where neither of the two sums is ready before the other.
      let sums = try scratch.take(PackedMatrix<S>.padded(outputs) * stride, of: S.self)
      direct.forward.apply(input, sums, stride)
      S.kernels.add(outputs * stride, sums, output)
    }
    if !recording { scratch.release(to: mark) }
    return (output, tape)
  }

  func newTape(_ input: UnsafePointer<S>, _ scratch: Scratch) throws(DiffeoError) -> Tape {
    Tape(input: input, hidden: try scratch.take(max(layerCount - 1, 1)))
  }

  /// Memory for a step, and what the context gives to it. Piecewise sums go on after some units are finished: they are
  /// kept apart from all that is made of them.
  @inline(__always)
  func takeUnits(
    _ i: Int, _ tape: Tape, _ stride: Int, _ scratch: Scratch, recording: Bool, piecewise: Bool, _ draws: Dropout?
  ) throws(DiffeoError) {
    let size = PackedMatrix<S>.padded(layers[i].outputs) * stride + S.kernels.lanes
    var units = Units(try scratch.take(size))
    let keepsInput = piecewise || recording && activation.needsInput
    if steps[i].isPlain {
      if keepsInput { units.active = try scratch.take(size) }
    } else {
      try takeState(i, &units, size, tape, stride, scratch, recording: recording, piecewise: piecewise)
    }
    units.after = units.active
    if let draws, dropout > 0, steps[i].drops {
      // In place of what is active, unless its derivative wants that.
      if activation.needsOutput { units.after = try scratch.take(size) }
      units.multipliers = try draws.multipliers(dropout, of: layers[i], stride, scratch)
    }
    tape.hidden[i] = units
  }

  @inline(never)
  private func takeState(
    _ i: Int, _ units: inout Units, _ size: Int, _ tape: Tape, _ stride: Int, _ scratch: Scratch, recording: Bool,
    piecewise: Bool
  ) throws(DiffeoError) {
    let step = steps[i]
    let keepsInput = piecewise || recording && activation.needsInput
    if let matrix = step.side {
      units.sideBefore = try scratch.take(size)
      units.side = units.sideBefore
      layers[matrix].forward.apply(tape.input + contextRow * stride, units.sideBefore, stride)
      if let activation = step.sideActivation {
        if recording && activation.needsInput { units.side = try scratch.take(size) }
        S.kernels.activate(activation, layers[i].outputs * stride, units.sideBefore, units.side)
      }
    }
    if piecewise || step.gates && recording { units.state = try scratch.take(size) }
    units.before = step.normalization == nil ? units.state : try scratch.take(size)
    units.normal = units.state
    if let norm = step.normalization, norm.epsilon > 0 {
      units.normal = recording ? try scratch.take(size) : units.before
      units.statistics = try scratch.take(4 * stride)
    }
    units.active = units.before
    if step.activates, keepsInput || units.before == units.state && step.isKept {
      units.active = try scratch.take(size)
    }
  }

  /// From the sums of units begin..<end to what is active, which the next layer reads, or what `drop` leaves of it.
  @inline(__always)
  func finish(_ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ stride: Int) {
    if !steps[i].isPlain { finishState(i, begin, end, tape, stride) }
    if steps[i].activates {
      // In whole vectors; what is beyond `end` is not ready yet, and done again when it is.
      let (at, count) = (begin * stride, Tiling.wholeVectors((end - begin) * stride, S.self))
      S.kernels.activate(activation, count, tape.hidden[i].before + at, tape.hidden[i].active + at)
    }
  }

  @inline(never)
  private func finishState(_ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ stride: Int) {
    let (step, units, at, count) = (steps[i], tape.hidden[i], begin * stride, (end - begin) * stride)
    let state = units.state + at
    if step.gates {
      for j in 0..<count { state[j] = units.sums[at + j] * units.side[at + j] }
    } else {
      if state != units.sums + at { state.update(from: units.sums + at, count: count) }
      if step.side != nil { S.kernels.add(count, units.side + at, state) }
    }
    if step.skips { S.kernels.add(count, tape.hidden[i - 2].state + at, state) }
    if let norm = step.normalization {
      if norm.epsilon > 0 { normalize(norm.epsilon, end - begin, units, stride) }
      S.kernels.scaleShift(
        end - begin, stride, units.normal + at, norm.scale + begin, norm.shift + begin, units.before + at)
    }
  }

  /// Over all units of a layer, which is never made piece by piece.
  private func normalize(_ epsilon: S, _ width: Int, _ units: Units, _ stride: Int) {
    guard let statistics = units.statistics else { return }
    let (mean, overDeviation) = (statistics, statistics + stride)
    statistics.update(repeating: 0, count: 2 * stride)
    for i in 0..<width { S.kernels.add(stride, units.state + i * stride, mean) }
    for r in 0..<stride { mean[r] /= S(width) }
    for i in 0..<width {
      let (state, normal) = (units.state + i * stride, units.normal + i * stride)
      for r in 0..<stride {
        let difference = state[r] - mean[r]
        normal[r] = difference
        overDeviation[r] += difference * difference
      }
    }
    for r in 0..<stride { overDeviation[r] = 1 / (overDeviation[r] / S(width) + epsilon).squareRoot() }
    for i in 0..<width {
      for r in 0..<stride { units.normal[i * stride + r] *= overDeviation[r] }
    }
  }

  /// From dL/dnormal to dL/dstate, in place.
  private func pullNormalized(_ width: Int, _ units: Units, _ g: UnsafeMutablePointer<S>, _ stride: Int) {
    guard let statistics = units.statistics else { return }
    let (overDeviation, mean, slope) = (statistics + stride, statistics + 2 * stride, statistics + 3 * stride)
    mean.update(repeating: 0, count: 2 * stride)
    for i in 0..<width {
      let (own, normal) = (g + i * stride, units.normal + i * stride)
      for r in 0..<stride {
        mean[r] += own[r]
        slope[r] += own[r] * normal[r]
      }
    }
    for i in 0..<width {
      let (own, normal) = (g + i * stride, units.normal + i * stride)
      for r in 0..<stride {
        own[r] = overDeviation[r] * (own[r] - mean[r] / S(width) - slope[r] / S(width) * normal[r])
      }
    }
  }

  // MARK: - Pullback

  /// dL/d of the tiles of a step; those that nothing lies between are the same.
  struct Gradients: BitwiseCopyable {
    var after: UnsafeMutablePointer<S>
    var before: UnsafeMutablePointer<S>
    var state: UnsafeMutablePointer<S>
    var sums: UnsafeMutablePointer<S>
  }

  /// From dL/doutputs to dL/dinputs, in scratch memory; gradients of the parameters go to `sink`.
  func pullback(
    _ tape: Tape, _ gOutput: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch,
    _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let gradients = try scratch.take(layerCount, of: Gradients.self)
    let gContext = try newContextGradient(stride, scratch)
    var g = gOutput
    for i in Swift.stride(from: layerCount - 1, through: 1, by: -1) {
      try sink?.outer(layers[i], g, UnsafePointer(tape.hidden[i - 1].after), stride, scratch)
      try takeGradients(i - 1, gradients, stride, scratch, piecewise: false)
      layers[i].pull(g, gradients[i - 1].after, stride)
      pull(i - 1, 0, layers[i].inputs, tape, gradients, stride)
      try pullSides(i - 1, tape, gradients, gContext, stride, scratch, sink)
      g = UnsafePointer(gradients[i - 1].sums)
    }
    try sink?.outer(layers[0], g, tape.input + firstRow * stride, stride, scratch)
    let gInput = try newInputGradient(stride, scratch)
    layers[0].pull(g, gInput + firstRow * stride, stride)
    if layers[0].inputs < inputs {
      (gInput + contextRow * stride).update(repeating: 0, count: contextInputs * stride)
    }
    if let direct {
      try sink?.outer(direct, gOutput, tape.input, stride, scratch)
      direct.pull(gOutput, gInput, stride, adds: true)
    }
    addContextGradient(gContext, gInput, stride)
    return gInput
  }

  /// With what the kernels want behind it.
  func newInputGradient(_ stride: Int, _ scratch: Scratch) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let rows = max(PackedMatrix<S>.padded(inputs), firstRow + PackedMatrix<S>.padded(layers[0].inputs))
    return try scratch.take(rows * stride)
  }

  /// Of what the context gives to the steps, zeros as yet; nil if it gives nothing.
  func newContextGradient(_ stride: Int, _ scratch: Scratch) throws(DiffeoError) -> UnsafeMutablePointer<S>? {
    if !hasSides { return nil }
    let count = PackedMatrix<S>.padded(contextInputs) * stride
    let g = try scratch.take(count, of: S.self)
    g.update(repeating: 0, count: count)
    return g
  }

  func addContextGradient(_ gContext: UnsafePointer<S>?, _ gInput: UnsafeMutablePointer<S>, _ stride: Int) {
    if let gContext { S.kernels.add(contextInputs * stride, gContext, gInput + contextRow * stride) }
  }

  @inline(__always)
  func takeGradients(
    _ i: Int, _ gradients: UnsafeMutablePointer<Gradients>, _ stride: Int, _ scratch: Scratch, piecewise: Bool
  ) throws(DiffeoError) {
    let size = PackedMatrix<S>.padded(layers[i].outputs) * stride
    let after = try scratch.take(size, of: S.self)
    let before = piecewise ? try scratch.take(size, of: S.self) : after
    let state = steps[i].normalization == nil ? before : try scratch.take(size)
    let sums = steps[i].gates ? try scratch.take(size, of: S.self) : state
    gradients[i] = Gradients(after: after, before: before, state: state, sums: sums)
  }

  /// From dL/dafter of units begin..<end to dL/dsums.
  @inline(__always)
  func pull(
    _ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ gradients: UnsafeMutablePointer<Gradients>, _ stride: Int
  ) {
    let (at, count, before) = (begin * stride, (end - begin) * stride, gradients[i].before)
    if before != gradients[i].after { (before + at).update(from: gradients[i].after + at, count: count) }
    pullDropped(i, begin, end, tape, before, stride)
    if steps[i].activates {
      S.kernels.activatePullback(
        activation, count, tape.hidden[i].before + at, tape.hidden[i].active + at, before + at)
    }
    if !steps[i].isPlain { pullState(i, begin, end, tape, gradients, stride) }
  }

  @inline(never)
  private func pullState(
    _ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ gradients: UnsafeMutablePointer<Gradients>, _ stride: Int
  ) {
    let (step, g, at, count) = (steps[i], gradients[i], begin * stride, (end - begin) * stride)
    if let norm = step.normalization {
      for r in begin..<end {
        for j in r * stride..<(r + 1) * stride { g.state[j] = norm.scale[r] * g.before[j] }
      }
      pullNormalized(end - begin, tape.hidden[i], g.state, stride)
    }
    if step.isKept { S.kernels.add(count, gradients[i + 2].state + at, g.state + at) }
    if step.gates {
      let side = tape.hidden[i].side
      for j in at..<at + count { g.sums[j] = g.state[j] * side[j] }
    }
  }

  /// The gradients, of a step whose `pull` is complete, in normalisation and in what the context gives.
  @inline(__always)
  func pullSides(
    _ i: Int, _ tape: Tape, _ gradients: UnsafeMutablePointer<Gradients>, _ gContext: UnsafeMutablePointer<S>?,
    _ stride: Int, _ scratch: Scratch, _ sink: GradientSink<S>?
  ) throws(DiffeoError) {
    if !steps[i].isPlain { try pullOther(i, tape, gradients, gContext, stride, scratch, sink) }
  }

  @inline(never)
  private func pullOther(
    _ i: Int, _ tape: Tape, _ gradients: UnsafeMutablePointer<Gradients>, _ gContext: UnsafeMutablePointer<S>?,
    _ stride: Int, _ scratch: Scratch, _ sink: GradientSink<S>?
  ) throws(DiffeoError) {
    let mark = scratch.mark
    let (step, units, g, width) = (steps[i], tape.hidden[i], gradients[i], layers[i].outputs)
    let gSide = try scratch.take(PackedMatrix<S>.padded(width) * stride, of: S.self)
    if let norm = step.normalization, let sink {
      let order = layers[i].rowOrder
      for r in 0..<width {
        let (from, to) = (r * stride, Int(order[r]) * stride)
        for j in 0..<stride { gSide[to + j] = g.before[from + j] * units.normal[from + j] }
      }
      sink.sum(norm.slot, gSide, width, stride)
      for r in 0..<width {
        (gSide + Int(order[r]) * stride).update(from: g.before + r * stride, count: stride)
      }
      sink.sum(norm.slot + 1, gSide, width, stride)
    }
    if let matrix = step.side {
      guard let gContext else { throw DiffeoError(.internal, "the context of a network has no gradient") }
      if step.gates {
        for j in 0..<width * stride { gSide[j] = g.state[j] * units.sums[j] }
      } else {
        gSide.update(from: g.sums, count: width * stride)
      }
      if let activation = step.sideActivation {
        S.kernels.activatePullback(activation, width * stride, units.sideBefore, units.side, gSide)
      }
      try sink?.outer(layers[matrix], gSide, tape.input + contextRow * stride, stride, scratch)
      layers[matrix].pull(gSide, gContext, stride, adds: true)
    }
    scratch.release(to: mark)
  }
}
