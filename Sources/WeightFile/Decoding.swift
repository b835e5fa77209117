import Diffeo
import Storage

extension WeightFile {
  /// An image whose superblock was judged.
  static func decode(_ image: UnsafeRawBufferPointer, withTraining: Bool) throws(DiffeoError) -> StoredFlow {
    try Library.use { serial throws(DiffeoError) in
      let reader = try Reader(image, serial: serial)
      let spec = try reader.spec()
      let flow: AnyFlow
      var training: AnyTrainingState?
      switch spec.dtype {
      case .f32:
        flow = .f32(try reader.flow(spec))
        if withTraining { training = .f32(try reader.training(spec)) }
      case .f64:
        flow = .f64(try reader.flow(spec))
        if withTraining { training = .f64(try reader.training(spec)) }
      }
      return StoredFlow(flow: flow, metadata: try reader.metadata(), training: training)
    }
  }
}

extension Reader {
  fileprivate func spec() throws(DiffeoError) -> FlowSpec {
    guard case .string("diffeo")? = try value("format", of: root) else {
      throw DiffeoError(.format, "this HDF5 file is not a weight file: its attribute 'format' is not 'diffeo'")
    }
    guard let version = try integers("format_version", of: root), version.count == 2 else {
      throw DiffeoError(.format, "the attribute 'format_version' must be two integers")
    }
    guard version[0] == 1 else {
      throw DiffeoError(
        .version, "the weight file has format version \(version[0]).\(version[1]); this library reads version 1")
    }
    let dtype: DType
    switch try value("dtype", of: root) {
    case .string(DType.f32.name)?: dtype = .f32
    case .string(DType.f64.name)?: dtype = .f64
    default: throw DiffeoError(.format, "the attribute 'dtype' must be 'float32' or 'float64'")
    }
    guard case .int(let dim)? = try value("dim", of: root),
      case .int(let contextDim)? = try value("context_dim", of: root)
    else {
      throw DiffeoError(.format, "the attributes 'dim' and 'context_dim' must be integers")
    }
    guard let shape = try integers("event_shape", of: root), shape.count == 1 || shape.count == 3,
      shape.allSatisfy({ 1...FlowSpec.maxDim ~= $0 }), shape.reduce(1, *) == dim
    else {
      throw DiffeoError(
        .format, "the attribute 'event_shape' must be [\(dim)], or channels, height and width of \(dim) numbers")
    }

    guard let layers = try group("layers", of: root) else { throw missing("/layers") }
    let names = try linkNames(of: layers.handle, limit: 2 * FlowSpec.maxLayers)
      .filter { $0.utf8.allSatisfy { 0x30...0x39 ~= $0 } }
    guard names.count <= FlowSpec.maxLayers else {
      throw DiffeoError(.format, "the file has \(names.count) layers, at most \(FlowSpec.maxLayers) are possible")
    }
    var records: [Record] = []
    for i in names.indices { records.append(try record(of: component(.layer(i)).handle)) }
    var (context, embedding): (Record?, Record?)
    if let group = try group("context", of: root) { context = try record(of: group.handle) }
    if let group = try group("embedding", of: root) { embedding = try record(of: group.handle) }
    let base = try record(of: component(.base).handle)
    do {
      return try FlowSpec(
        dtype: dtype, shape: shape, contextDim: contextDim, context: context, embedding: embedding, layers: records,
        base: base)
    } catch {
      throw ofFile(error)
    }
  }

  /// A flow says of an argument what is here said of the file.
  private func ofFile(_ error: DiffeoError) -> DiffeoError {
    switch error.code {
    case .invalid, .shape, .dtype, .numeric: DiffeoError(.format, error.message)
    default: error
    }
  }

  private func missing(_ path: String) -> DiffeoError { DiffeoError(.format, "the file has no '\(path)'") }

  private func component(_ component: ComponentSlots.Component) throws(DiffeoError) -> Group {
    switch component {
    case .context:
      if let group = try group("context", of: root) { return group }
      throw missing("/context")
    case .embedding:
      if let group = try group("embedding", of: root) { return group }
      throw missing("/embedding")
    case .base:
      if let group = try group("base", of: root) { return group }
      throw missing("/base")
    case .layer(let i):
      let name = layerName(i)
      if let layers = try group("layers", of: root), let group = try group(name, of: layers.handle) { return group }
      throw missing("/layers/\(name)")
    }
  }

  /// Its attributes are values, its lists of integers are lists; the parameters are left where they are. (A component
  /// inside another would be a group with a kind.)
  private func record(of group: borrowing Handle) throws(DiffeoError) -> Record {
    guard case .string(let kind)? = try value("kind", of: group) else {
      throw DiffeoError(.format, "'\(group.path)' has no text attribute 'kind'")
    }
    var record = Record(kind: kind)
    for name in try attributeNames(of: group, limit: Limit.fields) where name != "kind" {
      if let value = try value(name, of: group) { record[name] = value }
    }
    for name in try linkNames(of: group, limit: Limit.fields) {
      if let list = try list(name, of: group) { record[name] = .ints(list) }
    }
    return record
  }

  fileprivate func flow<S: Scalar>(_ spec: FlowSpec) throws(DiffeoError) -> Flow<S> {
    // The smallest number has two bytes.
    guard spec.parameterCount <= image.count / 2 else {
      throw DiffeoError(.format, "the flow has \(spec.parameterCount) parameters, the file \(image.count) bytes")
    }
    let parameters = try ParameterVector<S>(count: spec.parameterCount)
    for part in spec.slots where !part.slots.isEmpty {
      let group = try component(part.component)
      for slot in part.slots {
        guard slot.offset >= 0, slot.count <= parameters.count - slot.offset else {
          throw DiffeoError(.internal, "the slot '\(slot.name)' is outside of the parameters")
        }
        let target = parameters.pointer + slot.offset
        let path = "\(group.handle.path)/\(slot.name)"
        guard let array = try array(slot.name, of: group.handle) else { throw missing(path) }
        try reals(array, shape: slot.shape, into: target)
        if let i = firstNotFinite(target, count: slot.count) {
          throw DiffeoError(.format, "'\(path)' has \(target[i]) at index \(i)")
        }
      }
    }
    do {
      let flow = try Flow(spec: spec, parameters: parameters)
      try selfTest(flow)
      return flow
    } catch {
      throw ofFile(error)
    }
  }

  /// Whether the flow gives what its writer got from it.
  private func selfTest<S: Scalar>(_ flow: Flow<S>) throws(DiffeoError) {
    guard let group = try group("self_test", of: root) else { return }
    guard let logProb = try array("log_prob", of: group.handle), let rows = logProb.shape.first,
      1...Limit.selfTestRows ~= rows
    else {
      throw DiffeoError(.format, "'/self_test/log_prob' must have 1 to \(Limit.selfTestRows) numbers")
    }
    let stored: [S] = try reals(logProb, shape: [rows])
    guard let xArray = try array("x", of: group.handle) else { throw missing("/self_test/x") }
    let x: [S] = try reals(xArray, shape: [rows, flow.spec.dim])
    var context: [S] = []
    if flow.spec.contextDim > 0 {
      guard let array = try array("context", of: group.handle) else { throw missing("/self_test/context") }
      context = try reals(array, shape: [rows, flow.spec.contextDim])
    }
    let computed = try flow.logProb(x: x, rows: rows, context: context)
    let tolerance: S = S.dtype == .f32 ? 1e-4 : 1e-9
    for (row, (a, b)) in zip(computed, stored).enumerated() {
      let agree = b.isFinite ? abs(a - b) <= tolerance * (1 + abs(b)) : a == b || a.isNaN && b.isNaN
      guard agree else {
        throw DiffeoError(
          .format, "the self-test fails at row \(row): log_prob is \(b) in the file, but \(a) by the flow")
      }
    }
  }

  fileprivate func training<S: Scalar>(_ spec: FlowSpec) throws(DiffeoError) -> TrainingState<S> {
    guard let group = try group("training", of: root) else {
      throw DiffeoError(.format, "this is a flow, and no training that could go on: the file has no '/training'")
    }
    guard let numbers = try self.group("numbers", of: group.handle) else { throw missing("/training/numbers") }
    guard let vectors = try self.group("vectors", of: group.handle) else { throw missing("/training/vectors") }
    var lists: [String: [Double]] = [:]
    for name in try linkNames(of: numbers.handle, limit: Limit.fields) {
      guard let array = try array(name, of: numbers.handle) else { continue }
      guard array.shape.count == 1 else {
        throw DiffeoError(.format, "'/training/numbers/\(name)' must be a list")
      }
      lists[name] = try reals(array, shape: array.shape)
    }
    var found: [String: ParameterVector<S>] = [:]
    for name in try linkNames(of: vectors.handle, limit: Limit.fields) {
      guard let array = try array(name, of: vectors.handle) else { continue }
      let vector = try ParameterVector<S>(count: spec.parameterCount)
      try reals(array, shape: [spec.parameterCount], into: vector.pointer)
      found[name] = vector
    }
    return TrainingState(identity: try record(of: group.handle), numbers: NumberTable(lists), vectors: found)
  }

  fileprivate func metadata() throws(DiffeoError) -> [String: String] {
    var metadata: [String: String] = [:]
    guard let group = try group("metadata", of: root) else { return metadata }
    for key in try attributeNames(of: group.handle, limit: Limit.keys) {
      if case .string(let value)? = try value(key, of: group.handle) { metadata[key] = value }
    }
    return metadata
  }
}

/// "000", "001", ...
func layerName(_ i: Int) -> String {
  String(repeating: "0", count: max(0, 3 - String(i).count)) + String(i)
}
