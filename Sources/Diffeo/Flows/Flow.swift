/// A spec with its parameters: immutable, and so shared between threads.
package final class Flow<S: Scalar>: Sendable {
  package let spec: FlowSpec
  package let parameters: ParameterVector<S>
  let model: Model<S>

  /// The parameters are the flow's from now on.
  package init(spec: FlowSpec, parameters: ParameterVector<S>) throws(DiffeoError) {
    guard spec.dtype == S.dtype, parameters.count == spec.parameterCount else {
      throw DiffeoError(
        .internal,
        "\(parameters.count) \(S.dtype.name) parameters for a flow of \(spec.parameterCount) \(spec.dtype.name)"
      )
    }
    for i in 0..<parameters.count where !parameters.pointer[i].isFinite {
      throw DiffeoError(.numeric, "parameter \(i) is \(parameters.pointer[i])")
    }
    try spec.eachComponent { component, range throws(DiffeoError) in
      try component.check(UnsafePointer(parameters.pointer + range.offset))
    }
    self.spec = spec
    self.parameters = parameters
    model = try Model(spec)
    model.prepare(parameters.pointer)
  }

  /// With random initial parameters.
  convenience init(spec: FlowSpec, seed: UInt64) throws(DiffeoError) {
    let parameters = try ParameterVector<S>(count: spec.parameterCount)
    // Each layer has a stream of its own, by its number.
    var stream = RandomStream.initialisation &- (spec.context == nil ? 0 : 1)
    try spec.eachComponent { component, range throws(DiffeoError) in
      var random = Philox(seed: seed, stream: stream)
      component.initialise(parameters.pointer + range.offset, &random)
      stream &+= 1
    }
    try self.init(spec: spec, parameters: parameters)
  }

  /// log p of each row.
  func logProb<T: Scalar>(
    _ batch: Batch<T>, _ workspace: Workspace, _ logProb: UnsafeMutablePointer<T>
  ) throws(DiffeoError) {
    try eachTile(batch, workspace, recording: false) { pass, range throws(DiffeoError) in
      try model.forward(&pass)
      model.base.addLogDensity(pass.x, pass.stride, pass.logDet)
      storeLogProb(pass, batch, range, logProb)
    }
  }

  /// And its gradients.
  func logProbGradient<T: Scalar>(
    _ batch: Batch<T>, _ workspace: Workspace, _ logProb: UnsafeMutablePointer<T>?,
    _ gradX: UnsafeMutablePointer<T>?,
    _ gradContext: UnsafeMutablePointer<T>?
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.contextDim)
    try eachTile(batch, workspace, recording: true) { pass, range throws(DiffeoError) in
      let weight = try pass.scratch.take(pass.stride, of: S.self)
      weight.update(repeating: 1, count: pass.stride)
      let (g, gContext) = try model.logProbGradient(&pass, weight: weight, sink: nil)
      if let logProb { storeLogProb(pass, batch, range, logProb) }
      if let gradX {
        Tiling.store(g, pass.stride, gradX + range.lowerBound * dim, range.count, dim)
      }
      if let gradContext {
        Tiling.store(
          gContext, pass.stride, gradContext + range.lowerBound * contextDim, range.count,
          contextDim)
      }
    }
  }

  /// Data to noise.
  func toNoise<T: Scalar>(
    _ batch: Batch<T>, _ workspace: Workspace, _ z: UnsafeMutablePointer<T>,
    _ logDet: UnsafeMutablePointer<T>?
  ) throws(DiffeoError) {
    try eachTile(batch, workspace, recording: false) { pass, range throws(DiffeoError) in
      try model.forward(&pass)
      store(pass, range, z, logDet)
    }
  }

  /// Noise to data.
  func fromNoise<T: Scalar>(
    _ batch: Batch<T>, _ workspace: Workspace, _ x: UnsafeMutablePointer<T>,
    _ logDet: UnsafeMutablePointer<T>?
  ) throws(DiffeoError) {
    try eachTile(batch, workspace, recording: false) { pass, range throws(DiffeoError) in
      try model.inverse(&pass)
      store(pass, range, x, logDet)
    }
  }

  /// Rows firstRow... of a seed. The batch has no x.
  func sample<T: Scalar>(
    _ batch: Batch<T>, seed: UInt64, firstRow: UInt64, _ workspace: Workspace,
    _ x: UnsafeMutablePointer<T>,
    _ logProb: UnsafeMutablePointer<T>?
  ) throws(DiffeoError) {
    try eachTile(batch, workspace, recording: false) { pass, range throws(DiffeoError) in
      let stride = pass.stride
      model.base.sample(seed, firstRow &+ UInt64(range.lowerBound), stride, pass.x)
      let density = try pass.scratch.take(stride, of: Double.self)
      density.update(repeating: 0, count: stride)
      model.base.addLogDensity(pass.x, stride, density)
      try model.inverse(&pass)
      store(pass, range, x, nil)
      if let logProb {
        for r in 0..<range.count { logProb[range.lowerBound + r] = T(density[r] - pass.logDet[r]) }
      }
    }
  }

  @inline(__always)
  private func eachTile<T: Scalar>(
    _ batch: Batch<T>, _ workspace: Workspace, recording: Bool,
    _ body: (inout Pass<S>, Range<Int>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    try workspace.forEach(Tiling.count(batch.rows)) { tile, scratch throws(DiffeoError) in
      let range = Tiling.range(tile, batch.rows)
      var pass = try model.newPass(
        Tiling.stride(range.count, S.self), recording: recording, scratch)
      pass.load(batch, range, contextDim: spec.contextDim)
      model.begin(&pass)
      try body(&pass, range)
    }
  }

  @inline(__always)
  private func store<T: Scalar>(
    _ pass: Pass<S>, _ range: Range<Int>, _ target: UnsafeMutablePointer<T>,
    _ logDet: UnsafeMutablePointer<T>?
  ) {
    Tiling.store(pass.x, pass.stride, target + range.lowerBound * spec.dim, range.count, spec.dim)
    if let logDet { for r in range { logDet[r] = T(pass.logDet[r - range.lowerBound]) } }
  }

  /// All weights are finite, so without a NaN in x or the context a NaN here comes from an overflow, or an infinity: far
  /// out, where the density is below all numbers. (logProb may be x, for dim 1.)
  @inline(__always)
  private func storeLogProb<T: Scalar>(
    _ pass: Pass<S>, _ batch: Batch<T>, _ range: Range<Int>, _ logProb: UnsafeMutablePointer<T>
  ) {
    for r in range {
      var value = T(pass.logDet[r - range.lowerBound])
      if value.isNaN, !hasNaN(batch.x, r, spec.dim),
        !hasNaN(batch.context, batch.contextIsShared ? 0 : r, spec.contextDim)
      {
        value = -.infinity
      }
      logProb[r] = value
    }
  }

  private func hasNaN<T: Scalar>(_ rows: UnsafePointer<T>?, _ row: Int, _ columns: Int) -> Bool {
    guard let rows else { return false }
    return (0..<columns).contains { rows[row * columns + $0].isNaN }
  }
}

/// Streams of one seed for different purposes (see Philox).
enum RandomStream {
  static let initialisation: UInt64 = 1 << 32
  static let architecture: UInt64 = 2 << 32
  static let split: UInt64 = 3 << 32
  static let shuffle: UInt64 = 4 << 32
  static let selfTest: UInt64 = 5 << 32
}
