import CLibrary

/// The layers of a flow in the form that the kernels want, for one vector of parameters: what a flow and a trainer share.
final class Model<S: Scalar>: @unchecked Sendable {
  let dim: Int
  let contextDim: Int
  let layerCount: Int
  let isImage: Bool
  /// Rows of a tile where sums over its rows show in the results, and elsewhere.
  let tileRows: Int
  let evaluationRows: Int
  private let pool = Pool()
  private let layers: UnsafeMutablePointer<Layer<S>>
  private var context: Standardize<S>?
  private let embedding: Network<S>?
  private let base: Base<S>
  /// Those whose W^T is packed, by part.
  private let transposed: [[DenseLayer<S>]]

  /// wholeVectors: pullbacks are asked for in the direction of the data and with strides of whole vectors only, as in
  /// training; most layers then take W^T from the packed W (DenseLayer.pull), which halves the cost of a preparation.
  init(_ spec: FlowSpec, wholeVectors: Bool = false) throws(DiffeoError) {
    dim = spec.dim
    contextDim = spec.contextDim
    layerCount = spec.layers.count
    isImage = spec.isImage
    tileRows = spec.tileRows
    evaluationRows = spec.isImage ? Tiling.imageRows : S.kernels.tileRows
    layers = try pool.take(layerCount)
    var range = FlowSpec.ParameterRange(offset: 0, slot: 0)
    if let contextSpec = spec.context {
      context = try Standardize(contextSpec, offset: 0, slot: 0, pool: pool)
      range.skip(contextSpec.slots)
    }
    if let embeddingSpec = spec.embedding {
      embedding = try Network(embeddingSpec.network, offset: range.offset, slot: range.slot, pool: pool)
      range.skip(embeddingSpec.slots)
    } else {
      embedding = nil
    }
    for (i, layer) in spec.layers.enumerated() {
      layers[i] = try layer.prepared(offset: range.offset, slot: range.slot, pool: pool)
      range.skip(layer.spec.slots)
    }
    base = try spec.base.prepared(offset: range.offset, slot: range.slot, pool: pool)
    transposed =
      [wholeVectors ? [] : embedding?.denseLayers ?? []]
      + UnsafeBufferPointer(start: layers, count: layerCount).map { wholeVectors && !$0.inverted ? [] : $0.denseLayers }
      + [wholeVectors ? [] : base.denseLayers]
  }

  /// The context's, layers, the base.
  var partCount: Int { layerCount + 2 }

  /// Takes over new parameters. Not while others use the model.
  func prepare(_ parameters: UnsafePointer<S>) {
    context?.prepare(parameters)
    for i in 0..<partCount { prepare(parameters, part: i) }
  }

  /// What is trained of a part: different ones may be prepared at once.
  func prepare(_ parameters: UnsafePointer<S>, part: Int) {
    switch part {
    case 0: embedding?.prepare(parameters)
    case layerCount + 1: base.prepare(parameters)
    default: layers[part - 1].prepare(parameters)
    }
    for dense in transposed[part] { dense.prepareBackward(parameters) }
  }

  var denseLayers: [DenseLayer<S>] {
    (embedding?.denseLayers ?? []) + (0..<layerCount).flatMap { layers[$0].denseLayers } + base.denseLayers
  }

  /// Of a tile of so many rows, over which sums run that show in the results. Where places are lanes as well these are
  /// summed in pieces: so it is the same for all kernels there, and a power of two, few of which are padding.
  func sumStride(_ rows: Int) -> Int {
    if !isImage { return Tiling.wholeVectors(rows, S.self) }
    var stride = 1
    while stride < rows { stride *= 2 }
    return stride
  }

  /// A pass for a tile whose x and context the caller fills in, raw, before it calls begin.
  func newPass(_ stride: Int, recording: Bool, _ scratch: Scratch) throws(DiffeoError) -> Pass<S> {
    try Pass(
      dim: dim, contextDim: contextDim, stride: stride, recording: recording, scratch: scratch)
  }

  func begin(_ pass: inout Pass<S>) throws(DiffeoError) {
    context?.apply(pass.context, pass.stride)
    if let embedding { try pass.embed(embedding) }
  }

  /// Tiles that go through a layer one after the other, and then through the next: its weights are fetched once for all.
  typealias Passes = UnsafeMutableBufferPointer<Pass<S>>

  /// Data to noise through the first `count` layers.
  func forward(_ passes: Passes, layers count: Int? = nil) throws(DiffeoError) {
    for i in 0..<(count ?? layerCount) {
      for p in passes.indices { _ = try layers[i].forward(&passes[p]) }
    }
  }

  /// Noise to data.
  func inverse(_ passes: Passes) throws(DiffeoError) {
    for i in stride(from: layerCount - 1, through: 0, by: -1) {
      for p in passes.indices { _ = try layers[i].inverse(&passes[p]) }
    }
  }

  /// log p of each row of pass.x is left in pass.logDet.
  func logProb(_ passes: Passes) throws(DiffeoError) {
    try forward(passes)
    for p in passes.indices { _ = try base.addLogDensity(&passes[p]) }
  }

  /// Rows of a seed in pass.x, their log p in pass.logDet. `firstRow` gives the number of the first one of each pass.
  /// temperature: by which the noise is drawn in; the density is that of the rows that come of it.
  func sample(
    _ seed: UInt64, temperature: Double, _ passes: Passes, firstRow: (Int) -> UInt64
  ) throws(DiffeoError) {
    for p in passes.indices {
      if temperature == 1 {
        _ = try base.sample(seed, firstRow(p), &passes[p])
        _ = try base.addLogDensity(&passes[p])
      } else {
        try base.sampleTempered(seed, firstRow(p), S(temperature), &passes[p])
        for r in 0..<passes[p].stride { passes[p].logDet[r] -= Double(dim) * log(temperature) }
      }
      // What the layers add is the log-determinant of the other direction.
      passes[p].negateLogDet()
    }
    try inverse(passes)
    for p in passes.indices { passes[p].negateLogDet() }
  }

  // One tile alone

  func forward(_ pass: inout Pass<S>, layers count: Int) throws(DiffeoError) {
    try withUnsafeMutablePointer(to: &pass) { pass throws(DiffeoError) in
      try forward(Passes(start: pass, count: 1), layers: count)
    }
  }

  func logProb(_ pass: inout Pass<S>) throws(DiffeoError) {
    try withUnsafeMutablePointer(to: &pass) { pass throws(DiffeoError) in try logProb(Passes(start: pass, count: 1)) }
  }

  // MARK: - Gradients

  /// A recording pass, and what the pullbacks need of it: in scratch memory, which nothing writes over, so that several can
  /// follow. What was run to the data can be pulled back as if it had been run to the noise.
  struct Recording {
    var pass: Pass<S>
    fileprivate let tapes: UnsafeMutablePointer<AnyTape>
    /// Of the base.
    fileprivate var density: AnyTape = nil
    fileprivate var draw: AnyTape = nil
  }

  /// Of a pass that has begun.
  func newRecording(_ pass: Pass<S>) throws(DiffeoError) -> Recording {
    Recording(pass: pass, tapes: try pass.scratch.take(layerCount))
  }

  func forward(_ recording: inout Recording, layers range: Range<Int>) throws(DiffeoError) {
    for i in range { recording.tapes[i] = try layers[i].forward(&recording.pass) }
  }

  func forward(_ recording: inout Recording) throws(DiffeoError) {
    try forward(&recording, layers: 0..<layerCount)
  }

  func inverse(_ recording: inout Recording) throws(DiffeoError) {
    for i in (0..<layerCount).reversed() { recording.tapes[i] = try layers[i].inverse(&recording.pass) }
  }

  /// After all layers: log p of each row, left in pass.logDet.
  func addBase(_ recording: inout Recording) throws(DiffeoError) {
    recording.density = try base.addLogDensity(&recording.pass)
  }

  /// As `sample`.
  func sample(_ recording: inout Recording, _ seed: UInt64, firstRow: UInt64) throws(DiffeoError) {
    recording.draw = try base.sample(seed, firstRow, &recording.pass)
    try addBase(&recording)
    recording.pass.negateLogDet()
    try inverse(&recording)
    recording.pass.negateLogDet()
  }

  /// The gradient of log p of each row, times its weight, in the noise.
  func baseGradient(
    _ recording: Recording, weight: UnsafePointer<S>, sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    var adjoint = try newAdjoint(recording, recording.pass.scratch.take(recording.pass.count), weight, sink)
    try base.pullback(&adjoint, recording.density)
    return adjoint
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ recording: Recording, layers range: Range<Int>) throws(DiffeoError) {
    for i in range.reversed() { try layers[i].forwardPullback(&adjoint, recording.tapes[i]) }
  }

  // All of a recording: dL/d(argument) in g, dL/dcontext in gContext. `g` and `gLogs` are dL/d(what comes out).

  func logProbPullback(
    _ recording: Recording, _ gLogs: UnsafePointer<S>, _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    var adjoint = try baseGradient(recording, weight: gLogs, sink: sink)
    try pullback(&adjoint, recording, layers: 0..<layerCount)
    return try finished(adjoint, recording)
  }

  func forwardPullback(
    _ recording: Recording, _ g: UnsafeMutablePointer<S>, _ gLogs: UnsafePointer<S>, _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    var adjoint = try newAdjoint(recording, g, gLogs, sink)
    try pullback(&adjoint, recording, layers: 0..<layerCount)
    return try finished(adjoint, recording)
  }

  func inversePullback(
    _ recording: Recording, _ g: UnsafeMutablePointer<S>, _ gLogs: UnsafePointer<S>, _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    var adjoint = try newAdjoint(recording, g, gLogs, sink)
    for i in 0..<layerCount { try layers[i].inversePullback(&adjoint, recording.tapes[i]) }
    return try finished(adjoint, recording)
  }

  /// Of the rows of `sample`, as a function of the parameters and the context.
  func samplePullback(
    _ recording: Recording, _ g: UnsafeMutablePointer<S>, _ gLogs: UnsafeMutablePointer<S>, _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    // The layers' log-determinants are subtracted from the log-density of the base.
    let stride = recording.pass.stride
    for r in 0..<stride { gLogs[r] = -gLogs[r] }
    var adjoint = try newAdjoint(recording, g, gLogs, sink)
    for i in 0..<layerCount { try layers[i].inversePullback(&adjoint, recording.tapes[i]) }
    for r in 0..<stride { gLogs[r] = -gLogs[r] }
    try base.samplePullback(&adjoint, recording.draw)
    return try finished(adjoint, recording)
  }

  private func newAdjoint(
    _ recording: Recording, _ g: UnsafeMutablePointer<S>, _ gLogs: UnsafePointer<S>, _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> Adjoint<S> {
    let (scratch, stride) = (recording.pass.scratch, recording.pass.stride)
    let contextDim = recording.pass.contextDim
    // And what kernels of an embedding want behind it.
    let gContext = try scratch.take(PackedMatrix<S>.padded(contextDim) * stride, of: S.self)
    gContext.update(repeating: 0, count: contextDim * stride)
    return Adjoint(
      dim: dim, contextDim: contextDim, stride: stride, g: g, gContext: gContext, gLogDet: gLogs, sink: sink,
      scratch: scratch)
  }

  private func finished(_ adjoint: Adjoint<S>, _ recording: Recording) throws(DiffeoError) -> Adjoint<S> {
    var adjoint = adjoint
    try pullContext(&adjoint, recording)
    return adjoint
  }

  /// After all layers: from the gradient in what they read of the context to that in the context.
  func pullContext(_ adjoint: inout Adjoint<S>, _ recording: Recording) throws(DiffeoError) {
    if let embedding {
      guard let tape = recording.pass.embedding else { throw DiffeoError(.internal, "an embedding has left no tape") }
      adjoint.gContext = try embedding.pullback(
        tape, UnsafePointer(adjoint.gContext), adjoint.stride, adjoint.scratch, adjoint.sink)
      adjoint.contextDim = contextDim
    }
    context?.pullback(adjoint.gContext, adjoint.stride)
  }

  /// Whether training adds noise to whole numbers.
  var dequantizes: Bool { (0..<layerCount).contains { layers[$0].bijection(as: Dequantize<S>.self) != nil } }

  // MARK: - Batch normalisation

  /// The layers that normalise by the minibatch, not when inverted, and where they are.
  var batchNorms: [(layer: Int, norm: BatchNorm<S>)] {
    (0..<layerCount).compactMap { i in
      layers[i].inverted ? nil : layers[i].bijection(as: BatchNorm<S>.self).map { (i, $0) }
    }
  }

  func tape(_ recording: Recording, ofBatchNorm layer: Int) throws(DiffeoError) -> BatchNorm<S>.Tape {
    guard layers[layer].bijection(as: BatchNorm<S>.self) != nil else {
      throw DiffeoError(.internal, "layer \(layer) is no batch normalisation")
    }
    return try BatchNorm<S>.tape(recording.tapes[layer])
  }
}
