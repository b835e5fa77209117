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
    if let i = firstNotFinite(parameters.pointer, count: parameters.count) {
      throw DiffeoError(.numeric, "parameter \(i) is \(parameters.pointer[i])")
    }
    try spec.eachComponent { component, _, range throws(DiffeoError) in
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
    try spec.eachComponent { component, place, range throws(DiffeoError) in
      var random = Philox(seed: seed, stream: RandomStream.initialisation(place, layers: spec.layers.count))
      component.initialise(parameters.pointer + range.offset, &random)
    }
    try self.init(spec: spec, parameters: parameters)
  }

  /// Of each parameter, whether a training moves it: no constant, and no weight that every mask hides.
  package func trained() -> [Bool] {
    var trained = [Bool](repeating: false, count: parameters.count)
    for slot in spec.slots.flatMap(\.slots) where slot.role != .constant {
      for i in slot.offset..<slot.offset + slot.count { trained[i] = true }
    }
    let layers = model.denseLayers
    for layer in layers {
      for i in layer.offset..<layer.biasOffset { trained[i] = false }
    }
    for layer in layers {
      for o in 0..<layer.outputs {
        let row = layer.offset + Int(layer.rowOrder[o]) * layer.inputs
        for k in 0..<Int(layer.limits[o]) { trained[row + Int(layer.columnOrder[k])] = true }
      }
    }
    return trained
  }

  package func run<T: Scalar>(_ operation: Operation<T>, _ batch: Batch<T>, _ workspace: Workspace) throws(DiffeoError)
  {
    let task = TileTask(model, operation, batch, threads: workspace.threads)
    try workspace.forEach(task.count, task)
  }
}

/// Streams of one seed for different purposes (see Philox).
enum RandomStream {
  /// Each layer has one of its own, by its number.
  static func initialisation(_ component: ComponentSlots.Component, layers: Int) -> UInt64 {
    let first: UInt64 = 1 << 32
    return switch component {
    case .embedding: first - 2
    case .context: first - 1
    case .layer(let i): first + UInt64(i)
    case .base: first + UInt64(layers)
    }
  }
  static let architecture: UInt64 = 2 << 32
  static let split: UInt64 = 3 << 32
  static let shuffle: UInt64 = 4 << 32
  static let selfTest: UInt64 = 5 << 32
  static let dequantization: UInt64 = 6 << 32
  static let dataNoise: UInt64 = 7 << 32
  static let dropout: UInt64 = 8 << 32
  static let window: UInt64 = 9 << 32
  static let imageMoves: UInt64 = 10 << 32
}
