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

  init(_ network: Network<S>, _ stride: Int, _ scratch: Scratch) throws(DiffeoError) {
    self.network = network
    self.stride = stride
    groupShift = stride == 1 ? 3 : 0
    input = try scratch.take(network.inputs * stride)
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
        // Sums go on after some units of a panel are finished: the two sides of the activation are kept apart.
        let size = PackedMatrix<S>.padded(network.layers[i].outputs) * stride + S.kernels.lanes
        tape.hidden[i] = (try scratch.take(size), try scratch.take(size))
      }
    }
  }

  /// Finishes the hidden units before `upTo(layer)` of each layer, from the first `known` inputs.
  @inline(__always)
  func advance(known: Int, upTo: (Int) -> Int) {
    var available = known
    for i in 0..<network.layerCount - 1 {
      let end = upTo(i)
      let begin = Int(finished[i])
      if end > begin {
        let (before, after) = tape.hidden[i]
        sum(
          i, begin, end, available,
          i == 0 ? UnsafePointer(input) : UnsafePointer(tape.hidden[i - 1].after), before)
        // In whole vectors; what is beyond `end` is not ready yet, and done again when it is.
        let count = Tiling.wholeVectors((end - begin) * stride, S.self)
        S.kernels.activate(network.activation, count, before + begin * stride, after + begin * stride)
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
  /// For each hidden layer dL/dafter as summed so far, and dL/dbefore of the finished units.
  private let gHidden: UnsafeMutablePointer<(after: UnsafeMutablePointer<S>, before: UnsafeMutablePointer<S>)>
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
    gInput = try scratch.take(PackedMatrix<S>.padded(network.inputs) * stride)
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
        let size = PackedMatrix<S>.padded(network.layers[i].outputs) * stride
        gHidden[i] = (try scratch.take(size), try scratch.take(size))
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
        let (after, before) = gHidden[i]
        sum(
          i + 1, begin, end, available,
          i + 1 == network.layerCount - 1
            ? UnsafePointer(gOutput) : UnsafePointer(gHidden[i + 1].before), after)
        let (first, count) = (begin * stride, (end - begin) * stride)
        (before + first).update(from: after + first, count: count)
        S.kernels.activatePullback(
          network.activation, count, tape.hidden[i].before + first, tape.hidden[i].after + first,
          before + first)
        finished[i] = Int32(begin)
      }
      available = begin
    }
  }

  /// Finishes dL/dinputs begin..<end from the hidden units (with no hidden layer: the outputs) that are known.
  @inline(__always)
  func finishInputs(_ begin: Int, _ end: Int, known: Int) {
    if end <= begin { return }
    let last = network.layerCount - 1
    sum(
      0, begin, end, last == 0 ? known : Int(finished[0]),
      last == 0 ? UnsafePointer(gOutput) : UnsafePointer(gHidden[0].before), gInput)
    if network.hasDirect {
      sum(network.layerCount, begin, end, known, UnsafePointer(gOutput), gDirect)
      S.kernels.add((end - begin) * stride, gDirect + begin * stride, gInput + begin * stride)
    }
  }

  func gradients(_ sink: GradientSink<S>?) {
    guard let sink else { return }
    for i in 0..<network.layerCount {
      sink.outer(
        network.layers[i],
        i == network.layerCount - 1 ? UnsafePointer(gOutput) : UnsafePointer(gHidden[i].before),
        i == 0 ? tape.input : UnsafePointer(tape.hidden[i - 1].after), stride)
    }
    if let direct = network.direct { sink.outer(direct, UnsafePointer(gOutput), tape.input, stride) }
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
