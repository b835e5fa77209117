import Diffeo
import Storage

extension WeightFile {
  static func encode<S: Scalar>(
    _ flow: Flow<S>, _ metadata: [String: String], _ training: TrainingState<S>?
  ) throws(DiffeoError) -> Image {
    let test = try flow.selfTest()
    return try Library.use { serial throws(DiffeoError) in
      try Writer.image(serial: serial) { writer throws(DiffeoError) in
        try writer.add(flow.spec)
        try writer.add(flow)
        try writer.add(test, flow.spec)
        try writer.add(metadata)
        if let training { try writer.add(training) }
      }
    }
  }
}

extension Writer {
  fileprivate func add(_ spec: FlowSpec) throws(DiffeoError) {
    try set("format", "diffeo", of: root)
    try set("format_version", [1, 0], of: root)
    try set("created_by", WeightFile.createdBy, of: root)
    try set("dtype", spec.dtype.name, of: root)
    try set("dim", spec.dim, of: root)
    try set("context_dim", spec.contextDim, of: root)
    try set("event_shape", spec.shape, of: root)
  }

  fileprivate func add<S: Scalar>(_ flow: Flow<S>) throws(DiffeoError) {
    let layers = try group("layers", of: root)
    let records = flow.spec.layerRecords
    for part in flow.spec.slots {
      switch part.component {
      case .context:
        guard let record = flow.spec.contextRecord else { continue }
        try add(record, part.slots, flow.parameters, to: group("context", of: root))
      case .embedding:
        guard let record = flow.spec.embeddingRecord else { continue }
        try add(record, part.slots, flow.parameters, to: group("embedding", of: root))
      case .layer(let i):
        guard records.indices.contains(i) else { continue }
        try add(records[i], part.slots, flow.parameters, to: group(layerName(i), of: layers))
      case .base:
        try add(flow.spec.baseRecord, part.slots, flow.parameters, to: group("base", of: root))
      }
    }
  }

  private func add<S: Scalar>(
    _ record: Record, _ slots: [ParameterSlot], _ parameters: ParameterVector<S>, to group: borrowing Handle
  ) throws(DiffeoError) {
    try add(record, to: group)
    for slot in slots { try add(slot.name, slot.shape, parameters.pointer + slot.offset, to: group) }
  }

  private func add(_ record: Record, to group: borrowing Handle) throws(DiffeoError) {
    try set("kind", record.kind, of: group)
    for (name, value) in record.fields {
      switch value {
      case .int(let value): try set(name, value, of: group)
      case .double(let value): try set(name, value, of: group)
      case .string(let value): try set(name, value, of: group)
      case .bool(let value): try set(name, value ? 1 : 0, of: group)
      case .ints(let values): try add(name, values, to: group)
      }
    }
  }

  fileprivate func add<S: Scalar>(_ training: TrainingState<S>) throws(DiffeoError) {
    let group = try group("training", of: root)
    try add(training.identity, to: group)
    let numbers = try self.group("numbers", of: group)
    for (name, list) in training.numbers.lists.sorted(by: { $0.key < $1.key }) {
      try add(name, [list.count], list, to: numbers)
    }
    let vectors = try self.group("vectors", of: group)
    for (name, vector) in training.vectors.sorted(by: { $0.key < $1.key }) {
      try add(name, [vector.count], vector.pointer, to: vectors)
    }
  }

  fileprivate func add<S: Scalar>(_ test: SelfTest<S>, _ spec: FlowSpec) throws(DiffeoError) {
    let group = try group("self_test", of: root)
    try add("x", [test.rows, spec.dim], test.x, to: group)
    if spec.contextDim > 0 { try add("context", [test.rows, spec.contextDim], test.context, to: group) }
    try add("log_prob", [test.rows], test.logProb, to: group)
  }

  /// In the order of the bytes of the keys.
  fileprivate func add(_ metadata: [String: String]) throws(DiffeoError) {
    if metadata.isEmpty { return }
    let group = try group("metadata", of: root)
    guard metadata.count <= Limit.keys else {
      throw DiffeoError(.invalid, "\(metadata.count) keys of metadata, at most \(Limit.keys) are possible")
    }
    for (key, value) in metadata.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      guard 1...Limit.name ~= key.utf8.count, !key.utf8.contains(0) else {
        throw DiffeoError(
          .invalid, "a key of metadata has \(key.utf8.count) bytes; it must have 1 to \(Limit.name), and no zero byte")
      }
      try set(key, value, of: group)
    }
  }
}
