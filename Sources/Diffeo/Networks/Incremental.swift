import KernelInterface

/// A MADE evaluated piece by piece, each hidden unit once, as soon as the inputs that it depends on are known: this is
/// what makes the slow direction of an autoregressive layer cost about one pass of the network instead of one a
/// coordinate. Sums are the same, term by term, as those of Network.forward.
///
/// When a sum takes in its terms is free. The panels of a group do so together, when one of them is needed: with one row
/// these are eight, whose sums do not wait for each other; with more each is by itself, and its sums are read and written
/// less often.
struct IncrementalForward<S: Scalar> {
  let network: Network<S>
  let stride: Int
  /// Inputs in sorted order; the caller fills them in that order.
  let input: UnsafeMutablePointer<S>
  let output: UnsafeMutablePointer<S>
  let tape: Network<S>.Tape
  /// What direct connections give to the outputs.
  private let direct: UnsafeMutablePointer<S>
  /// For each layer and group of panels, up to which column it is summed; -1 before the bias.
  private let done: UnsafeMutablePointer<UnsafeMutablePointer<Int32>>
  /// Panels of a group, as a power of two.
  private let groupShift: Int
  /// For each hidden layer, how many units are finished.
  private let finished: UnsafeMutablePointer<Int32>

  /// The context is known from the beginning.
  init(_ network: Network<S>, context: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch, _ draws: Dropout?)
    throws(DiffeoError)
  {
    self.network = network
    self.stride = stride
    groupShift = stride == 1 ? 3 : 0
    input = try scratch.take(network.inputs * stride)
    (input + network.contextRow * stride).update(from: context, count: network.contextInputs * stride)
    output = try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride)
    tape = try network.newTape(UnsafePointer(input), scratch)
    direct = network.hasDirect ? try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride) : output
    done = try scratch.take(network.matrixCount)
    finished = try scratch.take(network.layerCount)
    for i in 0..<network.matrixCount {
      let groups = (network.layers[i].forward.panelCount >> groupShift) + 1
      done[i] = try scratch.take(groups)
      done[i].update(repeating: -1, count: groups)
      if i < network.layerCount - 1 {
        finished[i] = 0
        try network.takeUnits(i, tape, stride, scratch, recording: true, piecewise: true, draws)
      }
    }
  }

  /// Finishes the hidden units before `upTo(layer)` of each layer, from the first `known` inputs.
  @inline(__always)
  func advance(known: Int, upTo: (Int) -> Int) {
    var available = known - network.firstRow
    for i in 0..<network.layerCount - 1 {
      let end = upTo(i)
      let begin = Int(finished[i])
      if end > begin {
        sum(
          i, begin, end, available,
          i == 0 ? UnsafePointer(input + network.firstRow * stride) : UnsafePointer(tape.hidden[i - 1].after),
          tape.hidden[i].sums)
        network.finish(i, begin, end, tape, stride)
        network.drop(i, begin, end, tape, stride)
        finished[i] = Int32(end)
      }
      available = end
    }
  }

  /// Finishes outputs begin..<end from the hidden units (with no hidden layer: the inputs) that are known.
  @inline(__always)
  func finishOutputs(_ begin: Int, _ end: Int, known: Int) {
    let last = network.layerCount - 1
    sum(
      last, begin, end, last == 0 ? known : Int(finished[last - 1]),
      last == 0 ? UnsafePointer(input) : UnsafePointer(tape.hidden[last - 1].after), output)
    if network.hasDirect {
      sum(network.layerCount, begin, end, known, UnsafePointer(input), direct)
      S.kernels.add((end - begin) * stride, direct + begin * stride, output + begin * stride)
    }
  }

  @inline(__always)
  private func sum(
    _ layer: Int, _ begin: Int, _ end: Int, _ columns: Int, _ x: UnsafePointer<S>,
    _ y: UnsafeMutablePointer<S>
  ) {
    let matrix = network.layers[layer].forward
    for group in begin >> (3 + groupShift)...(end - 1) >> (3 + groupShift) {
      let from = done[layer][group]
      if from < columns {
        let panels = group << groupShift..<min((group + 1) << groupShift, matrix.panelCount)
        matrix.accumulate(panels, max(Int(from), 0)..<columns, fromBias: from < 0, x, y, stride)
        done[layer][group] = Int32(columns)
      }
    }
  }
}

/// The pullback of a MADE piece by piece, outputs last to first: the mirror image of IncrementalForward.
struct IncrementalPullback<S: Scalar> {
  let network: Network<S>
  let stride: Int
  /// dL/doutputs; the caller fills it in descending order.
  let gOutput: UnsafeMutablePointer<S>
  /// dL/dinputs.
  let gInput: UnsafeMutablePointer<S>
  private let tape: Network<S>.Tape
  /// For each hidden layer dL/dafter as summed so far, and the others of the finished units.
  private let gHidden: UnsafeMutablePointer<Network<S>.Gradients>
  /// For each layer and panel of W^T, down to which column it is summed; Int32.max before the start.
  private let done: UnsafeMutablePointer<UnsafeMutablePointer<Int32>>
  private let finished: UnsafeMutablePointer<Int32>
  /// What direct connections give to dL/dinputs.
  private let gDirect: UnsafeMutablePointer<S>

  init(_ network: Network<S>, _ tape: Network<S>.Tape, _ stride: Int, _ scratch: Scratch)
    throws(DiffeoError)
  {
    self.network = network
    self.tape = tape
    self.stride = stride
    gOutput = try scratch.take(PackedMatrix<S>.padded(network.outputs) * stride)
    gInput = try network.newInputGradient(stride, scratch)
    gDirect = network.hasDirect ? try scratch.take(PackedMatrix<S>.padded(network.inputs) * stride) : gInput
    gHidden = try scratch.take(network.layerCount)
    done = try scratch.take(network.matrixCount)
    finished = try scratch.take(network.layerCount)
    for i in 0..<network.matrixCount {
      let panels = network.layers[i].backward.panelCount
      done[i] = try scratch.take(panels)
      done[i].update(repeating: Int32.max, count: panels)
      if i < network.layerCount - 1 {
        finished[i] = Int32(network.layers[i].outputs)
        try network.takeGradients(i, gHidden, stride, scratch, piecewise: true)
      }
    }
  }

  /// Finishes the hidden units from `downTo(layer)` of each layer, from the outputs from `known` on.
  @inline(__always)
  func advance(known: Int, downTo: (Int) -> Int) {
    var available = known
    for i in Swift.stride(from: network.layerCount - 2, through: 0, by: -1) {
      let begin = downTo(i)
      let end = Int(finished[i])
      if end > begin {
        sum(
          i + 1, begin, end, available,
          i + 1 == network.layerCount - 1
            ? UnsafePointer(gOutput) : UnsafePointer(gHidden[i + 1].sums), gHidden[i].after)
        network.pull(i, begin, end, tape, gHidden, stride)
        finished[i] = Int32(begin)
      }
      available = begin
    }
  }

  /// Finishes dL/dinputs begin..<end from the hidden units (with no hidden layer: the outputs) that are known.
  @inline(__always)
  func finishInputs(_ begin: Int, _ end: Int, known: Int) {
    if end <= begin { return }
    let (last, first) = (network.layerCount - 1, network.firstRow)
    if begin >= first {
      sum(
        0, begin - first, end - first, last == 0 ? known : Int(finished[0]),
        last == 0 ? UnsafePointer(gOutput) : UnsafePointer(gHidden[0].sums), gInput + first * stride)
    } else {
      // The context, which the first layer does not read.
      (gInput + begin * stride).update(repeating: 0, count: (end - begin) * stride)
    }
    if network.hasDirect {
      sum(network.layerCount, begin, end, known, UnsafePointer(gOutput), gDirect)
      S.kernels.add((end - begin) * stride, gDirect + begin * stride, gInput + begin * stride)
    }
  }

  /// When all units are finished: dL/dcontext within gInput, and the gradients of the parameters.
  func finishContext(_ scratch: Scratch, _ sink: GradientSink<S>?) throws(DiffeoError) {
    finishInputs(0, network.contextInputs, known: 0)
    let gContext = try network.newContextGradient(stride, scratch)
    for i in 0..<network.layerCount {
      let isLast = i == network.layerCount - 1
      try sink?.outer(
        network.layers[i], isLast ? UnsafePointer(gOutput) : UnsafePointer(gHidden[i].sums),
        i == 0 ? tape.input + network.firstRow * stride : UnsafePointer(tape.hidden[i - 1].after), stride, scratch)
      if !isLast { try network.pullSides(i, tape, gHidden, gContext, stride, scratch, sink) }
    }
    if let direct = network.direct { try sink?.outer(direct, UnsafePointer(gOutput), tape.input, stride, scratch) }
    network.addContextGradient(gContext, gInput, stride)
  }

  @inline(__always)
  private func sum(
    _ layer: Int, _ begin: Int, _ end: Int, _ columns: Int, _ g: UnsafePointer<S>,
    _ y: UnsafeMutablePointer<S>
  ) {
    let matrix = network.layers[layer].backward
    for panel in begin >> 3...(end - 1) >> 3 {
      let from = done[layer][panel]
      if Int(from) > columns {
        matrix.accumulate(panel..<panel + 1, columns..<Int(from), fromBias: from == Int32.max, g, y, stride)
        done[layer][panel] = Int32(columns)
      }
    }
  }
}
