/// A flow whose parameters change: what the parts of a training share. Used by one thread at a time; its own threads are in
/// its workspace.
final class FlowInTraining<S: Scalar> {
  let spec: FlowSpec
  let parameters: ParameterVector<S>
  /// Prepared from the parameters; to be prepared again when they change.
  let model: Model<S>
  private(set) var workspace: Workspace
  private let ownWorkspace: Workspace
  /// Where the training began.
  private let origin: Flow<S>

  /// bothWays: pullbacks are asked for from noise to data, too.
  init(_ flow: Flow<S>, threads: Int, bothWays: Bool = false) throws(DiffeoError) {
    spec = flow.spec
    origin = flow
    ownWorkspace = try Workspace(threads: threads)
    workspace = ownWorkspace
    parameters = try ParameterVector(copy: flow.parameters)
    model = try Model(spec, wholeVectors: !bothWays)
    model.prepare(parameters.pointer)
  }

  /// From now on works in these threads; nil: in its own again.
  func use(_ workspace: Workspace?) { self.workspace = workspace ?? ownWorkspace }

  /// Of the parameters that the training began with.
  var originFingerprint: UInt64 {
    var fingerprint = Fingerprint()
    fingerprint.add(origin.parameters.pointer, count: origin.parameters.count)
    return fingerprint.value
  }

  /// With the parameters that the training began with.
  func reset() {
    parameters.pointer.update(from: origin.parameters.pointer, count: parameters.count)
    model.prepare(parameters.pointer)
  }

  /// Takes over new parameters, each part on a thread.
  func prepare() throws(DiffeoError) {
    try workspace.forEach(model.partCount) { i, _ throws(DiffeoError) in
      model.prepare(parameters.pointer, part: i)
    }
  }

  /// Does something with other parameters in place of its own, which it has again afterwards.
  func with<Result>(
    _ others: ParameterVector<S>, _ body: () throws(DiffeoError) -> Result
  ) throws(DiffeoError) -> Result {
    exchange(others)
    defer { exchange(others) }
    return try body()
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  private func exchange(_ others: ParameterVector<S>) {
    for i in 0..<parameters.count { swap(&parameters.pointer[i], &others.pointer[i]) }
    model.prepare(parameters.pointer)
  }

  /// As it is now.
  func flow() throws(DiffeoError) -> Flow<S> { try flow(parameters) }

  func flow(_ parameters: ParameterVector<S>) throws(DiffeoError) -> Flow<S> {
    try Flow(spec: spec, parameters: ParameterVector(copy: parameters))
  }

  /// Calls body with a tile of the rows, whose pass has yet to begin, and with their places among the rows: for all
  /// tiles, on the threads of a workspace.
  @inline(__always)
  func eachTile(
    of rows: any RowSource<S>, _ workspace: Workspace,
    _ body: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    for stretch in rows.stretches { try eachTile(of: rows, stretch, workspace, body) }
  }

  /// Of those of a stretch, or of a part of one.
  @inline(__always)
  func eachTile(
    of rows: any RowSource<S>, _ stretch: Range<Int>, _ workspace: Workspace,
    _ body: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let (first, count) = (stretch.lowerBound, stretch.count)
    try workspace.forEach(Tiling.count(count, tileRows: model.tileRows)) { tile, scratch throws(DiffeoError) in
      let tile = Tiling.range(tile, count, tileRows: model.tileRows)
      let range = first + tile.lowerBound..<first + tile.upperBound
      var pass = try model.newPass(Tiling.stride(range.count, S.self), recording: false, scratch)
      try rows.load(range, &pass)
      try body(range, &pass)
    }
  }
}
