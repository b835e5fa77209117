/// The parameters of one component of a flow.
package struct ComponentSlots: Sendable {
  package enum Component: Equatable, Sendable {
    case context
    case embedding
    case layer(Int)
    case base
  }
  package let component: Component
  package let slots: [ParameterSlot]
}

/// The architecture of a flow, valid by construction: layers from data to noise, over a base.
package struct FlowSpec: Equatable, Sendable {
  package var dtype: DType
  /// Of an event: [dim], or of an image [channels, height, width], whose rows have its numbers in this order.
  package let shape: [Int]
  package let dim: Int
  package let contextDim: Int
  /// Standardisation of the context, before any layer sees it.
  private(set) var context: StandardizeSpec?
  /// What layers and the base read of the context, if not itself.
  private(set) var embedding: EmbeddingSpec?
  private(set) var layers: [LayerSpec] = []
  private(set) var base = BaseSpec(StandardNormalSpec())

  package static let maxDim = 65_536
  package static let maxLayers = 4_096
  /// A GiB in single precision, and about three times that when prepared.
  package static let maxParameters = 1 << 28

  package init(dtype: DType, shape: [Int], contextDim: Int) throws(DiffeoError) {
    if shape.count == 3 {
      for (name, size) in zip(["channels", "height", "width"], shape) {
        try Limit.check("image.\(name)", size)
      }
    } else if shape.count != 1 {
      throw DiffeoError(
        .invalid, "the shape has \(shape.count) numbers, it must be [dim] or [channels, height, width]")
    }
    // Each is at most 2^16.
    dim = shape.reduce(1, *)
    if shape.count == 3, dim > FlowSpec.maxDim {
      throw DiffeoError(
        .invalid,
        "an image of \(shape[0]) x \(shape[1]) x \(shape[2]) has \(dim) numbers, at most \(FlowSpec.maxDim) are "
          + "possible")
    }
    try Limit.check("spec.dim", dim)
    try Limit.check("spec.context_dim", contextDim)
    self.dtype = dtype
    self.shape = shape
    self.contextDim = contextDim
  }

  package var isImage: Bool { shape.count == 3 }

  /// All columns: of an image as it is, of a vector as channels of one place.
  package var map: FeatureMap {
    isImage ? FeatureMap(channels: shape[0], height: shape[1], width: shape[2]) : FeatureMap(columns: dim)
  }

  /// Rows of a tile where sums over its rows show in the results.
  var tileRows: Int { isImage ? Tiling.imageRows : Tiling.vectorRows }

  /// From records, every value of which is suspect.
  package init(
    dtype: DType, shape: [Int], contextDim: Int, context: Record?, embedding: Record? = nil, layers: [Record],
    base: Record
  ) throws(DiffeoError) {
    try self.init(dtype: dtype, shape: shape, contextDim: contextDim)
    if let context {
      guard context.kind == StandardizeSpec.kind else {
        throw DiffeoError.unknown("context map", context.kind)
      }
      try standardizeContext(StandardizeSpec(context, dim: contextDim, contextDim: contextDim))
    }
    if let embedding {
      guard embedding.kind == EmbeddingSpec.kind else { throw DiffeoError.unknown("embedding", embedding.kind) }
      do throws(DiffeoError) {
        try setEmbedding(EmbeddingSpec(embedding, dim: dim, contextDim: contextDim))
      } catch {
        throw DiffeoError(error.code, "the embedding: \(error.message)")
      }
    }
    for (i, record) in layers.enumerated() {
      do throws(DiffeoError) {
        try append(LayerSpec(record, dim: dim, contextDim: featureDim))
      } catch {
        throw DiffeoError(error.code, "layer \(i): \(error.message)")
      }
    }
    do throws(DiffeoError) {
      try setBase(BaseSpec(base, dim: dim, contextDim: featureDim))
    } catch {
      throw DiffeoError(error.code, "the base: \(error.message)")
    }
  }

  mutating func append(_ layer: LayerSpec) throws(DiffeoError) {
    guard layers.count < FlowSpec.maxLayers else {
      throw DiffeoError(.invalid, "a flow has at most \(FlowSpec.maxLayers) layers")
    }
    try check(parameterCount: parameterCount + layer.spec.parameterCount)
    layers.append(layer)
  }

  /// With a layer that differs in random choices alone, and is turned as the one before.
  mutating func replace(_ i: Int, _ layer: LayerSpec) {
    layers[i] = LayerSpec(layer.spec, inverted: layers[i].inverted)
  }

  mutating func setBase(_ base: BaseSpec) throws(DiffeoError) {
    try check(parameterCount: parameterCount - self.base.spec.parameterCount + base.spec.parameterCount)
    self.base = base
  }

  private func check(parameterCount count: Int) throws(DiffeoError) {
    guard count <= FlowSpec.maxParameters else {
      throw DiffeoError(
        .invalid,
        "the flow would have \(count) parameters, at most \(FlowSpec.maxParameters) are possible")
    }
  }

  mutating func invertLast() throws(DiffeoError) {
    guard let last = layers.popLast() else {
      throw DiffeoError(.state, "there is no layer yet that could be turned round")
    }
    layers.append(LayerSpec(last.spec, inverted: !last.inverted))
  }

  mutating func standardizeContext(_ map: StandardizeSpec) throws(DiffeoError) {
    guard contextDim > 0 else {
      throw DiffeoError(.invalid, "this flow has no context to standardise")
    }
    guard context == nil else { throw DiffeoError(.invalid, "the context is standardised already") }
    context = map
  }

  /// Before layers and the base, which are made for its features.
  mutating func setEmbedding(_ embedding: EmbeddingSpec) throws(DiffeoError) {
    guard self.embedding == nil else { throw DiffeoError(.invalid, "the context has an embedding already") }
    guard layers.isEmpty, base.spec is StandardNormalSpec else {
      throw DiffeoError(
        .state, "the embedding has to be there before layers and the base, which are made for its features")
    }
    try check(parameterCount: parameterCount + embedding.parameterCount)
    self.embedding = embedding
  }

  /// Columns that layers and the base read of the context.
  var featureDim: Int { embedding?.features ?? contextDim }

  package var contextRecord: Record? { context?.record }
  package var embeddingRecord: Record? { embedding?.record }
  package var layerRecords: [Record] { layers.map(\.record) }
  package var baseRecord: Record { base.spec.record }

  /// In the order of the parameter vector.
  private var components: [(component: ComponentSlots.Component, spec: any ComponentSpec)] {
    var all: [(ComponentSlots.Component, any ComponentSpec)] = []
    if let context { all.append((.context, context)) }
    if let embedding { all.append((.embedding, embedding)) }
    for (i, layer) in layers.enumerated() { all.append((.layer(i), layer.spec)) }
    all.append((.base, base.spec))
    return all
  }

  /// By component, with offsets, in the order of the parameter vector.
  package var slots: [ComponentSlots] {
    var offset = 0
    return components.map { component, spec in
      ComponentSlots(
        component: component,
        slots: spec.slots.map { slot in
          var slot = slot
          slot.offset = offset
          offset += slot.count
          return slot
        })
    }
  }

  var limitsSupport: Bool {
    base.spec.limitsSupport || layers.contains { $0.spec.limitsSupport }
  }

  /// Layers have to reach all of where what follows them has a density: else the density of the flow does not integrate
  /// to 1, and samples are nowhere. (By what new layers are given; a file is taken as it is.)
  func checkSupports() throws(DiffeoError) {
    var supports = [Interval](repeating: base.spec.support, count: dim)
    var next = "the base \(base.spec.kind)"
    for (i, layer) in layers.enumerated().reversed() {
      let name = "layer \(i) (\(layer.inverted ? "inverse " : "")\(layer.spec.kind): \(layer.spec.summary))"
      let before = layer.inverted ? layer.spec.images(of: supports) : layer.spec.preimages(of: supports)
      for (column, interval) in before.enumerated() {
        guard let interval else {
          throw DiffeoError(
            .invalid,
            "\(name) does not reach all of where \(next) wants column \(column), \(supports[column]): the density "
              + "would not integrate to 1, and samples would be NaN")
        }
        supports[column] = interval
      }
      next = name
    }
  }

  /// Whether a column of x is still itself, scaled at most, before a layer.
  func keepsColumns(before layer: Int) -> Bool {
    layers[..<layer].allSatisfy { $0.spec is StandardizeSpec || $0.spec is any ColumnwiseSpec }
  }

  /// The columns of x that are counts, 0 to levels - 1, or without end where levels is 0: what takes them first
  /// dequantises them.
  package var counts: [(column: Int, levels: Int)] {
    var untouched = [Bool](repeating: true, count: dim)
    var counts: [(column: Int, levels: Int)] = []
    for layer in layers {
      guard let spec = layer.spec as? any ColumnwiseSpec else { break }
      if let dequantize = spec as? DequantizeSpec, !layer.inverted {
        counts += zip(dequantize.columns, dequantize.levels).filter { untouched[$0.0] }.map { ($0, $1) }
      }
      for column in spec.columns { untouched[column] = false }
    }
    return counts.sorted { $0.column < $1.column }
  }

  /// So many layers, from the data on, decide which rows have a density; nil: all of them and the base.
  var limitingLayers: Int? {
    base.spec.limitsSupport ? nil : (layers.lastIndex { $0.spec.limitsSupport } ?? -1) + 1
  }

  package var parameterCount: Int { components.reduce(0) { $0 + $1.spec.parameterCount } }

  /// Each component with where it is, and its part of the parameter vector.
  func eachComponent(
    _ body: (any ComponentSpec, ComponentSlots.Component, ParameterRange) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    var range = ParameterRange(offset: 0, slot: 0)
    for (component, spec) in components {
      try body(spec, component, range)
      range.skip(spec.slots)
    }
  }

  /// Where a component's parameters begin: in the vector, and among the slots of the flow.
  struct ParameterRange {
    var offset: Int
    var slot: Int
    mutating func skip(_ slots: [ParameterSlot]) {
      offset += slots.reduce(0) { $0 + $1.count }
      slot += slots.count
    }
  }

  private var events: String {
    isImage ? "images of \(shape[0]) x \(shape[1]) x \(shape[2])" : "\(dim) column\(dim == 1 ? "" : "s")"
  }

  /// Several lines for people.
  package var summary: String {
    let count = parameterCount
    var lines = [
      "Flow of \(events)\(contextDim > 0 ? " given \(contextDim) of context" : ""), "
        + "\(dtype.name), \(layers.count) layer\(layers.count == 1 ? "" : "s"), "
        + "\(count) parameter\(count == 1 ? "" : "s")"
    ]
    if let context { lines.append("  context  standardize" + (context.wantsQuantiles ? ": by quantiles" : "")) }
    if let embedding {
      lines.append("  embedding  \(embedding.summary), \(embedding.parameterCount) parameters")
    }
    for (i, layer) in layers.enumerated() {
      let number = String(i)
      let parameters = layer.spec.parameterCount
      lines.append(
        "  " + String(repeating: " ", count: max(0, 3 - number.count)) + number + "  "
          + (layer.inverted ? "inverse " : "") + layer.spec.kind + ": " + layer.spec.summary
          + (parameters > 0 ? ", \(parameters) parameters" : ""))
    }
    let parameters = base.spec.parameterCount
    lines.append(
      "  base  \(base.spec.kind)" + (base.spec.summary.isEmpty ? "" : ": \(base.spec.summary)")
        + (parameters > 0 ? ", \(parameters) parameters" : ""))
    return lines.joined(separator: "\n") + "\n"
  }
}
