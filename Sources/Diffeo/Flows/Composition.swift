extension AnyFlow {
  /// Data goes through the layers of `first`, then through those of `then`, whose base it ends at.
  package static func composed(first: AnyFlow, then: AnyFlow) throws(DiffeoError) -> AnyFlow {
    switch (first, then) {
    case (.f32(let first), .f32(let then)): return .f32(try first.followed(by: then))
    case (.f64(let first), .f64(let then)): return .f64(try first.followed(by: then))
    default:
      throw DiffeoError(
        .dtype, "the first flow computes in \(first.spec.dtype.name), the second in \(then.spec.dtype.name)")
    }
  }
}

extension Flow {
  fileprivate func followed(by then: Flow) throws(DiffeoError) -> Flow {
    guard spec.dim == then.spec.dim else {
      throw DiffeoError(.shape, "the first flow has dim \(spec.dim), the second \(then.spec.dim)")
    }
    // A flow without a context may go with one that has one, and then ignores it.
    let reader = spec.contextDim > 0 ? self : then
    if spec.contextDim > 0, then.spec.contextDim > 0 { try checkSameContext(as: then) }
    let both = try FlowSpec(
      dtype: S.dtype, shape: spec.shape, contextDim: reader.spec.contextDim, context: reader.spec.contextRecord,
      embedding: reader.spec.embeddingRecord, layers: spec.layerRecords + then.spec.layerRecords,
      base: then.spec.baseRecord)
    // What was taken from a file as it is may go on so.
    if isSound, then.isSound { try both.checkSupports() }
    let target = try ParameterVector<S>(count: both.parameterCount)
    for part in both.slots {
      let (source, component): (Flow, ComponentSlots.Component) =
        switch part.component {
        case .context, .embedding: (reader, part.component)
        case .layer(let i) where i < spec.layers.count: (self, part.component)
        case .layer(let i): (then, .layer(i - spec.layers.count))
        case .base: (then, .base)
        }
      source.copy(component, to: part.slots, of: target)
    }
    return try Flow(spec: both, parameters: target)
  }

  private var isSound: Bool {
    do throws(DiffeoError) { try spec.checkSupports() } catch { return false }
    return true
  }

  private func checkSameContext(as other: Flow) throws(DiffeoError) {
    guard spec.contextDim == other.spec.contextDim else {
      throw DiffeoError(
        .shape,
        "the first flow has a context of \(spec.contextDim) columns, the second of \(other.spec.contextDim)")
    }
    let isSame =
      spec.contextRecord == other.spec.contextRecord && spec.embeddingRecord == other.spec.embeddingRecord
      && contextParameters.elementsEqual(other.contextParameters)
    guard isSame else {
      throw DiffeoError(
        .invalid,
        "both flows have a context, which the one standardises or embeds otherwise than the other: all layers of a flow "
          + "read it in the same way")
    }
  }

  private var contextParameters: UnsafeBufferPointer<S> {
    let count = spec.slots.reduce(0) {
      $1.component == .context || $1.component == .embedding ? $0 + $1.slots.reduce(0) { $0 + $1.count } : $0
    }
    return UnsafeBufferPointer(start: parameters.pointer, count: count)
  }

  /// Where a network reads a context that it did not before, which comes last, its weights are 0.
  private func copy(_ component: ComponentSlots.Component, to slots: [ParameterSlot], of target: ParameterVector<S>) {
    let own = spec.slots.first { $0.component == component }?.slots ?? []
    for slot in slots {
      guard let source = own.first(where: { $0.name == slot.name }) else { continue }
      let (wide, narrow) = (slot.shape.last ?? 1, source.shape.last ?? 1)
      for row in 0..<(wide == 0 ? 0 : slot.count / wide) {
        (target.pointer + slot.offset + row * wide)
          .update(from: parameters.pointer + source.offset + row * narrow, count: min(wide, narrow))
      }
    }
  }
}
