/// A layer of a flow: a bijection of any kind, or its inverse.
struct LayerSpec: Equatable, Sendable {
  let spec: any BijectionSpec
  /// The bijection's `inverse` is the layer's `forward`.
  let inverted: Bool

  init(_ spec: any BijectionSpec, inverted: Bool = false) {
    self.spec = spec
    self.inverted = inverted
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    guard let kind = LayerSpec.kinds.first(where: { $0.kind == record.kind }) else {
      throw DiffeoError.unknown("layer kind", record.kind)
    }
    spec = try kind.init(record, dim: dim, contextDim: contextDim)
    inverted = record["inverse"] == nil ? false : try record.bool("inverse")
  }

  var record: Record {
    var record = spec.record
    record["inverse"] = .bool(inverted)
    return record
  }

  /// As a file has them: what a spec was begun with, and is in its parameters now, does not count.
  static func == (a: LayerSpec, b: LayerSpec) -> Bool { a.record == b.record }

  func prepared<S: Scalar>(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Layer<S> {
    // One of the two is this type.
    switch S.dtype {
    case .f32: try same(spec.layer32(inverted: inverted, offset: offset, slot: slot, pool: pool))
    case .f64: try same(spec.layer64(inverted: inverted, offset: offset, slot: slot, pool: pool))
    }
  }
}

/// The base of a flow: a distribution of any kind.
struct BaseSpec: Equatable, Sendable {
  let spec: any DistributionSpec

  init(_ spec: any DistributionSpec) { self.spec = spec }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    guard let kind = BaseSpec.kinds.first(where: { $0.kind == record.kind }) else {
      throw DiffeoError.unknown("base", record.kind)
    }
    spec = try kind.init(record, dim: dim, contextDim: contextDim)
  }

  static func == (a: BaseSpec, b: BaseSpec) -> Bool { a.spec.record == b.spec.record }

  func prepared<S: Scalar>(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Base<S> {
    switch S.dtype {
    case .f32: try same(spec.base32(offset: offset, slot: slot, pool: pool))
    case .f64: try same(spec.base64(offset: offset, slot: slot, pool: pool))
    }
  }
}

extension ComponentSpec {
  var kind: String { Self.kind }
}

/// A value as the type that it has.
private func same<Result>(_ value: Any) throws(DiffeoError) -> Result {
  guard let value = value as? Result else { throw DiffeoError(.internal, "a component of another type") }
  return value
}
