import CLibrary
import KernelInterface

/// A convolutional network prepared for the kernels. Places and rows are the lanes of dense products: of a piece of the
/// lanes at a time the neighbours are gathered, matrices follow, and the last convolution of a *run* adds what each place
/// gives to its neighbours up. For the way back the hidden units of all pieces are kept where there is room, or else made
/// again, exactly: the same bits, with the first links of a run to be multiplied once more.
///
/// A run is a chain of links of which only the first and the last see neighbours: all of 3x3, 1x1, 3x3, or the two of a
/// residual block. Between two runs there are maps, [channels][places][rows].
struct Convolution<S: Scalar>: BitwiseCopyable {
  let inputs: Int
  let outputs: Int
  private let activation: Activation
  private let places: Int
  private let links: UnsafeMutablePointer<Link>
  private let runs: UnsafePointer<Run>
  private let linkCount: Int
  private let runCount: Int
  private let hiddenNumbers: Int
  private let contextInputs: Int
  private let context: DenseLayer<S>?
  /// Of the last link, its weights and biases with the gains in them; and the gains.
  private let gained: UnsafeMutablePointer<S>
  private let gains: UnsafeMutablePointer<S>
  private let gainOffset: Int?
  private let gainSlot: Int

  private struct Link: BitwiseCopyable {
    /// Of what is gathered, [outputs, kernel, kernel, inputs] with its biases, or of what is added up,
    /// [outputs, kernel, kernel] from the inputs.
    let matrix: DenseLayer<S>
    /// Channels.
    let inputs: Int
    let outputs: Int
    let neighbours: Neighbours<S>
    let addsUp: Bool
    /// Of a link that adds up.
    let bias: UnsafeMutablePointer<S>
    /// What a place gets from outside of the map by each tap, [outputs][taps]; nil: nothing.
    let outside: UnsafeMutablePointer<S>?
    /// What is gathered outside.
    let border: S
    let biasOffset: Int
    let biasSlot: Int
  }

  fileprivate struct Run: BitwiseCopyable {
    let first: Int
    let last: Int
    /// The map that it reads is activated before, and added to what it gives.
    let activates: Bool
    let skips: Bool
  }

  /// What a pullback needs of a forward pass.
  struct Tape: BitwiseCopyable {
    /// [inputs][places][stride]
    let input: UnsafePointer<S>
    /// [contextInputs][stride]
    let context: UnsafePointer<S>
    /// Where hidden units are kept.
    fileprivate let runs: UnsafePointer<RunTape>?
  }

  /// What a pullback needs of a run.
  fileprivate struct RunTape: BitwiseCopyable {
    /// The map that it begins with, and what its links read of it.
    let state: UnsafePointer<S>
    let read: UnsafePointer<S>
    /// With the units of all pieces, where they are kept.
    let buffers: Buffers?
  }

  /// Bytes that a tile may have in use with hidden units kept: those of the layers near the data, where maps are largest
  /// and made again at the greatest price.
  static var mostKept: Int { 1 << 28 }

  init(_ spec: ConvolutionSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    inputs = spec.inputs
    outputs = spec.outputs
    activation = spec.conventions.activation
    places = spec.height * spec.width
    hiddenNumbers = spec.hiddenNumbers
    let (chain, c) = (spec.links, spec.conventions)
    var runs: [Run] = []
    if c.blocks == .plain {
      var first = 0
      for i in chain.indices {
        // A link between the ends of a run sees no neighbours.
        let ends = i == chain.count - 1 || i > first && chain[i].kernel > 1
        if ends {
          runs.append(Run(first: first, last: i, activates: first > 0, skips: false))
          first = i + 1
        }
      }
    } else {
      runs.append(Run(first: 0, last: 0, activates: false, skips: false))
      for i in Swift.stride(from: 1, to: chain.count - 1, by: 2) {
        runs.append(Run(first: i, last: i + 1, activates: c.blocks == .preactivation, skips: true))
      }
      runs.append(Run(first: chain.count - 1, last: chain.count - 1, activates: false, skips: false))
    }
    var links: [Link] = []
    var (offset, slot) = (offset, slot)
    for (i, link) in chain.enumerated() {
      let addsUp = runs.contains { $0.last == i && $0.first < i }
      let taps = link.kernel * link.kernel
      let isOutside = c.onesOutside && i == chain.count - 1
      let matrix = try DenseLayer<S>(
        full: addsUp ? link.outputs * taps : link.outputs, addsUp ? link.inputs : link.inputs * taps, offset: offset,
        slot: slot, hasBias: !addsUp, wholeVectors: true, pool: pool)
      let count = link.outputs * taps * link.inputs
      links.append(
        Link(
          matrix: matrix, inputs: link.inputs, outputs: link.outputs,
          neighbours: Neighbours(
            height: spec.height, width: spec.width, kernel: link.kernel, tapStep: addsUp ? 1 : link.inputs,
            channelStep: addsUp ? taps : 1, reversed: addsUp),
          addsUp: addsUp, bias: try pool.take(link.outputs),
          outside: isOutside && addsUp ? try pool.take(link.outputs * taps) : nil, border: isOutside ? 1 : 0,
          biasOffset: offset + count, biasSlot: slot + 1))
      offset += count + link.outputs
      slot += 2
    }
    contextInputs = spec.contextInputs
    if contextInputs > 0 {
      context = try DenseLayer(
        full: spec.contextOutputs, contextInputs, offset: offset, slot: slot, hasBias: false, pool: pool)
      offset += spec.contextOutputs * contextInputs
      slot += 1
    } else {
      context = nil
    }
    gainOffset = c.gain ? offset : nil
    gainSlot = slot
    let last = links[links.count - 1]
    gained = try pool.take(c.gain ? last.matrix.outputs * last.matrix.inputs + last.outputs : 0)
    gains = try pool.take(c.gain ? last.outputs : 0)
    linkCount = links.count
    runCount = runs.count
    self.links = try pool.take(linkCount)
    for (i, link) in links.enumerated() { self.links[i] = link }
    self.runs = try pool.copy(runs)
  }

  var denseLayers: [DenseLayer<S>] { (0..<linkCount).map { links[$0].matrix } + (context.map { [$0] } ?? []) }

  func prepare(_ parameters: UnsafePointer<S>) {
    for i in 0..<linkCount {
      let link = links[i]
      var (weights, bias) = (parameters + link.matrix.offset, parameters + link.biasOffset)
      if let gainOffset, i == linkCount - 1 {
        let each = link.matrix.outputs * link.matrix.inputs / link.outputs
        for o in 0..<link.outputs {
          let gain = S(exp(3 * Double(parameters[gainOffset + o])))
          for k in o * each..<(o + 1) * each { gained[k] = gain * weights[k] }
          gained[link.outputs * each + o] = gain * bias[o]
          gains[o] = gain
        }
        (weights, bias) = (UnsafePointer(gained), UnsafePointer(gained + link.outputs * each))
      }
      link.matrix.pack(weights, bias: bias)
      link.bias.update(from: bias, count: link.outputs)
      if let outside = link.outside {
        for r in 0..<link.matrix.outputs {
          var sum: S = 0
          for k in 0..<link.matrix.inputs { sum += weights[r * link.matrix.inputs + k] }
          outside[r] = sum
        }
      }
    }
    context?.prepare(parameters)
  }

  // MARK: - Forward

  /// From [inputs][places][stride] to [outputs][places][stride], in scratch memory. recording: a pullback will follow.
  func forward(
    _ input: UnsafePointer<S>, context given: UnsafePointer<S>, _ stride: Int, recording: Bool, _ scratch: Scratch
  ) throws(DiffeoError) -> (output: UnsafeMutablePointer<S>, tape: Tape) {
    let output = try scratch.take(outputs * places * stride, of: S.self)
    let mark = scratch.mark
    let bytes = hiddenNumbers * stride * MemoryLayout<S>.stride
    let keeps = recording && scratch.bytesInUse + bytes <= Self.mostKept
    let side = try newSide(given, stride, scratch)
    let tapes = try runAll(input, side: side, output: output, keeping: keeps ? .units : .nothing, stride, scratch)
    if !keeps { scratch.release(to: mark) }
    return (output, Tape(input: input, context: given, runs: keeps ? tapes : nil))
  }

  /// What is left in scratch memory of all runs.
  private enum Kept {
    case nothing
    /// Maps between them.
    case maps
    /// And their hidden units.
    case units
  }

  /// Takes a map through the runs; without a place for the output not through the last one.
  private func runAll(
    _ input: UnsafePointer<S>, side: UnsafePointer<S>?, output: UnsafeMutablePointer<S>?, keeping kept: Kept,
    _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafePointer<RunTape> {
    let tapes = try scratch.take(runCount, of: RunTape.self)
    var state = input
    var own: UnsafeMutablePointer<S>?
    for i in 0..<runCount {
      let (run, isLast) = (runs[i], i == runCount - 1)
      let read = try activated(run, state, stride, scratch)
      let target: UnsafeMutablePointer<S>?
      if isLast {
        target = output
      } else if let own, kept == .nothing, run.skips, run.activates {
        target = own  // what the run reads is another map
      } else {
        target = try scratch.take(links[run.last].outputs * places * stride)
      }
      guard let target else {
        tapes[i] = RunTape(state: state, read: read, buffers: nil)
        break
      }
      let buffers = try self.run(
        run, state, read, target, side: i == 0 ? side : nil, keeps: kept == .units, stride, scratch)
      tapes[i] = RunTape(state: state, read: read, buffers: buffers)
      state = UnsafePointer(target)
      own = target
    }
    return UnsafePointer(tapes)
  }

  /// What the context adds to the first sums, [outputs of the first link][stride].
  private func newSide(
    _ given: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafeMutablePointer<S>? {
    guard let context else { return nil }
    let side = try scratch.take(PackedMatrix<S>.padded(context.outputs) * stride, of: S.self)
    context.forward.apply(given, side, stride)
    multiplySide(side, stride)
    return side
  }

  /// Where one convolution is all there is, the outputs are multiplied by their gains with what the context adds to them.
  private func multiplySide(_ side: UnsafeMutablePointer<S>, _ stride: Int) {
    guard gainOffset != nil, linkCount == 1 else { return }
    for o in 0..<outputs {
      for r in 0..<stride { side[o * stride + r] *= gains[o] }
    }
  }

  /// What a run reads of a map.
  private func activated(
    _ run: Run, _ map: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafePointer<S> {
    if !run.activates { return map }
    let count = links[run.first].inputs * places * stride
    let active = try scratch.take(Tiling.wholeVectors(count, S.self), of: S.self)
    S.kernels.activate(activation, count, map, active)
    return UnsafePointer(active)
  }

  /// state: what is added, of a run that skips; it may be the target. Gives what has the hidden units, if they are kept.
  private func run(
    _ run: Run, _ state: UnsafePointer<S>, _ input: UnsafePointer<S>, _ target: UnsafeMutablePointer<S>,
    side: UnsafePointer<S>?, keeps: Bool, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> Buffers? {
    let mark = scratch.mark
    let last = links[run.last]
    let lanes = keeps ? LaneChunks.summedLanes : S.kernels.tileRows
    let chunks = LaneChunks(places: places, stride: stride, lanes: lanes, wholeVectors: true, S.self)
    if last.addsUp { begin(last, run.skips ? state : nil, target, stride) }
    let buffers = try Buffers(self, run, chunks, keeps: keeps, scratch)
    for i in 0..<chunks.count {
      let range = chunks.range(i)
      let these = range.lowerBound / stride..<range.upperBound / stride
      gather(run, these, input, buffers, stride)
      multiply(run, run.first...run.last, piece: i, these, side: side, buffers, stride)
      let result = buffers.units(run.last - run.first, piece: i).after
      if last.addsUp {
        last.neighbours.addUp(these, last.outputs, result, buffers.width, target, stride)
      } else {
        chunks.store(i, last.outputs, result, target)
      }
    }
    if keeps { return buffers }
    scratch.release(to: mark)
    return nil
  }

  /// The biases, what is outside of the map, and the state before.
  private func begin(
    _ link: Link, _ state: UnsafePointer<S>?, _ target: UnsafeMutablePointer<S>, _ stride: Int
  ) {
    let lanes = places * stride
    for o in 0..<link.outputs {
      let to = target + o * lanes
      if let state {
        let (from, bias) = (state + o * lanes, link.bias[o])
        for l in 0..<lanes { to[l] = from[l] + bias }
      } else {
        to.update(repeating: link.bias[o], count: lanes)
      }
    }
    guard let outside = link.outside else { return }
    let taps = link.neighbours.taps
    link.neighbours.eachOutside { tap, places in
      for o in 0..<link.outputs {
        let (value, to) = (outside[o * taps + tap], target + o * lanes)
        for l in places.lowerBound * stride..<places.upperBound * stride { to[l] += value }
      }
    }
  }

  /// Of a piece of the lanes: what the first link gathers, and the units of each link, before and after the activation.
  fileprivate struct Buffers: BitwiseCopyable {
    let width: Int
    let gathered: UnsafeMutablePointer<S>
    private let pairs: UnsafeMutablePointer<Pair>

    struct Pair: BitwiseCopyable {
      fileprivate(set) var before: UnsafeMutablePointer<S>
      fileprivate(set) var after: UnsafeMutablePointer<S>
      /// To those of the next piece: 0 where it takes the same memory.
      fileprivate let step: Int
    }

    /// keeps: the hidden units of all pieces.
    fileprivate init(
      _ network: Convolution, _ run: Run, _ chunks: LaneChunks, keeps: Bool = false, _ scratch: Scratch
    ) throws(DiffeoError) {
      width = chunks.width
      let size = { (count: Int, width: Int) in PackedMatrix<S>.padded(count) * width }
      gathered = try scratch.take(size(network.links[run.first].matrix.inputs, width))
      gathered.update(repeating: 0, count: network.links[run.first].matrix.inputs * width)
      pairs = try scratch.take(run.last - run.first + 1)
      for i in run.first...run.last {
        let (size, isHidden) = (size(network.links[i].matrix.outputs, width), i < run.last)
        let pieces = keeps && isHidden ? chunks.count : 1
        let after = try scratch.take(size * pieces, of: S.self)
        let before =
          isHidden && network.activation.needsInput ? try scratch.take(size * pieces, of: S.self) : after
        pairs[i - run.first] = Pair(before: before, after: after, step: pieces > 1 ? size : 0)
      }
    }

    func units(_ i: Int, piece: Int) -> Pair {
      var pair = pairs[i]
      pair.before += piece * pair.step
      pair.after += piece * pair.step
      return pair
    }
  }

  private func gather(
    _ run: Run, _ places: Range<Int>, _ input: UnsafePointer<S>, _ buffers: Buffers, _ stride: Int
  ) {
    let first = links[run.first]
    first.neighbours.gather(
      places, first.inputs, input, stride, outside: first.border, buffers.gathered, buffers.width)
  }

  /// The first links of a run, of what is gathered of a piece, but for the adding up.
  private func multiply(
    _ run: Run, _ these: some Sequence<Int>, piece: Int, _ places: Range<Int>, side: UnsafePointer<S>?,
    _ buffers: Buffers, _ stride: Int
  ) {
    let width = buffers.width
    var read = UnsafePointer(buffers.gathered)
    for i in these {
      let (matrix, units) = (links[i].matrix, buffers.units(i - run.first, piece: piece))
      let side = i == run.first ? side : nil
      let activates = i < run.last
      let raises = activates && activation == .relu && side == nil
      matrix.forward.apply(read, units.before, width, lower: raises ? 0 : -.infinity)
      if let side {
        for o in 0..<matrix.outputs {
          for p in 0..<places.count {
            S.kernels.add(stride, side + o * stride, units.before + o * width + p * stride)
          }
        }
      }
      if activates && !raises { S.kernels.activate(activation, matrix.outputs * width, units.before, units.after) }
      read = UnsafePointer(units.after)
    }
  }

  // MARK: - Pullback

  /// From dL/doutputs to dL/dinputs, in scratch memory; adds to gContext, and gradients of the parameters go to `sink`.
  func pullback(
    _ tape: Tape, _ gOutput: UnsafePointer<S>, _ adjoint: Adjoint<S>
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let (stride, scratch, sink) = (adjoint.stride, adjoint.scratch, adjoint.sink)
    let lanes = places * stride
    let gInput = try scratch.take(inputs * lanes, of: S.self)
    let mark = scratch.mark
    let side = try newSide(tape.context, stride, scratch)
    var gSide: UnsafeMutablePointer<S>?
    if let context {
      let count = PackedMatrix<S>.padded(context.outputs) * stride
      gSide = try scratch.take(count, of: S.self)
      gSide?.update(repeating: 0, count: count)
    }
    let tapes =
      if let kept = tape.runs {
        kept
      } else {
        try runAll(tape.input, side: side, output: nil, keeping: .maps, stride, scratch)
      }
    var g = gOutput
    for i in (0..<runCount).reversed() {
      let run = runs[i]
      let count = links[run.first].inputs * lanes
      let gRead = i == 0 ? gInput : try scratch.take(count)
      gRead.update(repeating: 0, count: count)
      try pull(run, tapes[i], g, gRead, side: i == 0 ? side : nil, gSide: i == 0 ? gSide : nil, adjoint)
      if run.activates { S.kernels.activatePullback(activation, count, tapes[i].state, tapes[i].read, gRead) }
      if run.skips { S.kernels.add(count, g, gRead) }
      g = UnsafePointer(gRead)
    }
    if let context, let gSide {
      multiplySide(gSide, stride)
      try sink?.outer(context, gSide, tape.context, stride, scratch)
      let gContext = try scratch.take(PackedMatrix<S>.padded(contextInputs) * stride, of: S.self)
      context.pull(gSide, gContext, stride)
      adjoint.addContext(gContext)
    }
    scratch.release(to: mark)
    return gInput
  }

  /// Adds to gInput and gSide.
  private func pull(
    _ run: Run, _ tape: RunTape, _ gOutput: UnsafePointer<S>, _ gInput: UnsafeMutablePointer<S>,
    side: UnsafePointer<S>?, gSide: UnsafeMutablePointer<S>?, _ adjoint: Adjoint<S>
  ) throws(DiffeoError) {
    let (stride, scratch, sink) = (adjoint.stride, adjoint.scratch, adjoint.sink)
    let mark = scratch.mark
    let (chunks, first, last) = (
      LaneChunks(places: places, stride: stride, wholeVectors: true, S.self), links[run.first], links[run.last]
    )
    let gradients = try Buffers(self, run, chunks, scratch)
    let buffers = if let kept = tape.buffers { kept } else { try Buffers(self, run, chunks, scratch) }
    let width = buffers.width
    let sums = try scratch.take(run.last - run.first + 1, of: LaneSums<S>.self)
    if sink != nil { for i in run.first...run.last { sums[i - run.first] = try LaneSums(links[i].matrix, scratch) } }
    let inputs = first.inputs
    for i in 0..<chunks.count {
      let range = chunks.range(i)
      let these = range.lowerBound / stride..<range.upperBound / stride
      gather(run, these, tape.read, buffers, stride)
      if tape.buffers == nil { multiply(run, run.first..<run.last, piece: i, these, side: side, buffers, stride) }
      let gLast = gradients.units(run.last - run.first, piece: i).after
      if last.addsUp {
        last.neighbours.gather(these, last.outputs, gOutput, stride, gLast, width)
      } else {
        chunks.load(i, last.outputs, gOutput, gLast)
      }
      for j in (run.first...run.last).reversed() {
        let (matrix, g) = (links[j].matrix, gradients.units(j - run.first, piece: i).after)
        let isFirst = j == run.first
        let read = isFirst ? buffers.gathered : buffers.units(j - 1 - run.first, piece: i).after
        if j < run.last {
          let units = buffers.units(j - run.first, piece: i)
          S.kernels.activatePullback(activation, matrix.outputs * width, units.before, units.after, g)
        }
        if isFirst, let gSide {
          for o in 0..<matrix.outputs {
            for p in 0..<these.count { S.kernels.add(stride, g + o * width + p * stride, gSide + o * stride) }
          }
        }
        if sink != nil { try sums[j - run.first].add(g, read, lanes: range.count, width: width, scratch) }
        matrix.pull(g, isFirst ? gradients.gathered : gradients.units(j - 1 - run.first, piece: i).after, width)
      }
      first.neighbours.addUp(these, inputs, gradients.gathered, width, gInput, stride)
    }
    if let sink {
      for i in run.first...run.last {
        try finish(i, sums[i - run.first], gOutput, side: side, gSide: gSide, stride, sink, scratch)
      }
    }
    scratch.release(to: mark)
  }

  /// The gradient of a link's weights and biases, from its sums.
  private func finish(
    _ i: Int, _ sums: LaneSums<S>, _ gOutput: UnsafePointer<S>, side: UnsafePointer<S>?,
    gSide: UnsafeMutablePointer<S>?, _ stride: Int, _ sink: GradientSink<S>, _ scratch: Scratch
  ) throws(DiffeoError) {
    let (link, lanes) = (links[i], places * stride)
    let count = link.matrix.outputs * link.matrix.inputs
    let bias = link.addsUp ? try scratch.take(link.outputs, of: S.self) : sums.bias
    if link.addsUp { S.kernels.rowSums(link.outputs, gOutput, lanes, lanes, bias, false) }
    if link.outside != nil {
      let taps = link.neighbours.taps
      link.neighbours.eachOutside { tap, places in
        for o in 0..<link.outputs {
          var sum: S = 0
          for l in places.lowerBound * stride..<places.upperBound * stride { sum += gOutput[o * lanes + l] }
          let row = sums.weights + (o * taps + tap) * link.matrix.inputs
          for k in 0..<link.matrix.inputs { row[k] += sum }
        }
      }
    }
    if gainOffset != nil, i == linkCount - 1 {
      let each = count / link.outputs
      let gGain = try scratch.take(link.outputs, of: S.self)
      for o in 0..<link.outputs {
        // The packed weights are exp(3 l) times those of the flow.
        var product = 0.0
        for k in o * each..<(o + 1) * each { product += Double(gained[k]) * Double(sums.weights[k]) }
        product += Double(gained[count + o]) * Double(bias[o])
        if linkCount == 1, let side, let gSide {
          for r in 0..<stride { product += Double(side[o * stride + r]) * Double(gSide[o * stride + r]) }
        }
        gGain[o] = S(3 * product)
      }
      for o in 0..<link.outputs {
        for k in o * each..<(o + 1) * each { sums.weights[k] *= gains[o] }
        bias[o] *= gains[o]
      }
      sink.add(gainSlot, gGain, link.outputs)
    }
    sink.add(link.matrix.slot, sums.weights, count)
    sink.add(link.biasSlot, bias, link.outputs)
  }
}
