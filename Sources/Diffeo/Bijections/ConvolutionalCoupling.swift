import KernelInterface

/// What a coupling of images keeps.
package enum ImageMask: Equatable, Sendable {
  /// Whether a channel is kept.
  case channels([Bool])
  /// Places where line + place is even are kept, or odd: of all channels. The network sees zeros in place of the others.
  case checkerboard(even: Bool)
}

/// A coupling of images: what is kept of a map passes unchanged and, with the context, gives the parameters of a map of the
/// rest, of each number its own, through a convolutional network. RealNVP, Dinh, Sohl-Dickstein and Bengio 2017, section 3;
/// Glow, Kingma and Dhariwal 2018. Inverted, with a scale exp, it is the learned prior of what is split off there:
/// N(mean, scale) given what is kept.
struct ConvolutionalCouplingSpec: BijectionSpec {
  static let kind = "convolutional_coupling"
  typealias F32 = ConvolutionalCoupling<Float>
  typealias F64 = ConvolutionalCoupling<Double>

  private let dim: Int
  private let contextDim: Int
  let map: FeatureMap
  let mask: ImageMask
  let transformer: ElementMapSpec
  let network: ConvolutionSpec

  init(
    _ map: FeatureMap, dim: Int, contextDim: Int, mask: ImageMask, transformer: ElementMapSpec,
    conventions: ConvolutionConventions
  ) throws(DiffeoError) {
    self.dim = dim
    self.contextDim = contextDim
    self.map = map
    self.mask = mask
    self.transformer = transformer
    guard transformer.encoding == .numbers else {
      throw DiffeoError(.invalid, "images are no angles: a convolutional coupling has no periodic splines")
    }
    let (inputs, moved): (Int, Int)
    switch mask {
    case .channels(let kept):
      guard kept.count == map.channels else {
        throw DiffeoError(.invalid, "the mask has \(kept.count) values, the map has \(map.channels) channels here")
      }
      inputs = kept.reduce(0) { $0 + ($1 ? 1 : 0) }
      moved = map.channels - inputs
      guard moved > 0 else {
        throw DiffeoError(
          .invalid, "the mask keeps all \(map.channels) channels: a coupling layer must transform one at least")
      }
      guard inputs > 0 || contextDim > 0 else {
        throw DiffeoError(
          .invalid,
          "the mask keeps none of the \(map.channels) channel\(map.channels == 1 ? "" : "s") and there is no context: "
            + "nothing is left to condition on")
      }
    case .checkerboard:
      guard map.places > 1 else {
        throw DiffeoError(.invalid, "a checkerboard has two places at least, the map is one place here")
      }
      (inputs, moved) = (map.channels, map.channels)
    }
    network = try ConvolutionSpec(
      inputs: inputs, contextInputs: contextDim, outputs: moved * transformer.parameterCount, height: map.height,
      width: map.width, conventions: conventions)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let kept = try record.ints("mask")
    guard kept.allSatisfy({ $0 == 0 || $0 == 1 }) else {
      throw DiffeoError(.format, "a mask holds other values than 0 and 1")
    }
    let isCheckerboard = try record["checkerboard"] == nil ? false : record.bool("checkerboard")
    guard !isCheckerboard || kept.count == 1 else {
      throw DiffeoError(.format, "the mask of a checkerboard has \(kept.count) values, it must be that of place (0, 0)")
    }
    try self.init(
      FeatureMap(record, dim: dim), dim: dim, contextDim: contextDim,
      mask: isCheckerboard ? .checkerboard(even: kept[0] == 1) : .channels(kept.map { $0 == 1 }),
      transformer: ElementMapSpec(record), conventions: ConvolutionConventions(record))
  }

  var record: Record {
    var record = Record(kind: ConvolutionalCouplingSpec.kind)
    transformer.describe(&record)
    network.conventions.describe(&record)
    switch mask {
    case .channels(let kept): record["mask"] = .ints(kept.map { $0 ? 1 : 0 })
    case .checkerboard(let even):
      record["checkerboard"] = .bool(true)
      record["mask"] = .ints([even ? 1 : 0])
    }
    map.describe(&record, dim: dim)
    return record
  }

  var slots: [ParameterSlot] { network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    network.initialise(parameters, outputs: transformer.initialParameters, &random)
  }

  var limitsSupport: Bool { transformer.limitsSupport }

  func preimages(of z: [Interval]) -> [Interval?] { z.replacing(moved, transformer.preimage) }
  func images(of x: [Interval]) -> [Interval?] { x.replacing(moved, transformer.image) }

  /// The columns that are transformed.
  private var moved: [Int] {
    map.columns.filter { column in
      let (channel, place) = (column - map.start).quotientAndRemainder(dividingBy: map.places)
      return switch mask {
      case .channels(let kept): !kept[channel]
      case .checkerboard(let even): ((place / map.width + place % map.width) % 2 == 0) != even
      }
    }
  }

  var summary: String {
    let words: String
    switch mask {
    case .channels(let kept):
      let count = kept.reduce(0) { $0 + ($1 ? 1 : 0) }
      words = "\(count) channel\(count == 1 ? "" : "s") kept, \(map.channels - count) transformed"
    case .checkerboard(let even): words = "checkerboard, \(even ? "even" : "odd") places kept"
    }
    return "\(transformer.summary), \(words), \(network.summary)" + map.summary
  }
}

struct ConvolutionalCoupling<S: Scalar>: Bijection {
  private let map: FeatureMap
  private let contextDim: Int
  private let transformer: ElementMap<S>
  private let network: Convolution<S>
  /// Channels that are kept, and that are transformed. Of a checkerboard all are both.
  private let kept: UnsafePointer<Int32>
  private let keptCount: Int
  private let keepsNeighbours: Bool
  private let moved: UnsafePointer<Int32>
  private let movedCount: Int
  /// Of a checkerboard: the places that are transformed.
  private let places: UnsafePointer<Int32>
  private let placeCount: Int
  private let isCheckerboard: Bool

  init(_ spec: ConvolutionalCouplingSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = spec.map
    contextDim = spec.network.contextInputs
    transformer = try ElementMap(spec.transformer, pool: pool)
    network = try Convolution(spec.network, offset: offset, slot: slot, pool: pool)
    let channels = Array(0..<Int32(map.channels))
    var (kept, moved, places): ([Int32], [Int32], [Int32]) = (channels, channels, [])
    switch spec.mask {
    case .channels(let mask):
      kept = channels.filter { mask[Int($0)] }
      moved = channels.filter { !mask[Int($0)] }
      isCheckerboard = false
      placeCount = map.places
    case .checkerboard(let even):
      for y in 0..<map.height {
        for x in 0..<map.width where ((y + x) % 2 == 0) != even { places.append(Int32(y * map.width + x)) }
      }
      isCheckerboard = true
      placeCount = places.count
    }
    keptCount = kept.count
    movedCount = moved.count
    keepsNeighbours = kept.enumerated().allSatisfy { $0.element == kept[0] + Int32($0.offset) }
    self.kept = try pool.copy(kept)
    self.moved = try pool.copy(moved)
    self.places = try pool.copy(places)
  }

  func prepare(_ parameters: UnsafePointer<S>) { network.prepare(parameters) }

  var denseLayers: [DenseLayer<S>] { network.denseLayers }

  struct Tape: BitwiseCopyable {
    /// What is transformed, on the data side: in the tile of the map, or of a checkerboard by itself.
    let x: UnsafePointer<S>
    /// Raw parameters, [moved][parameter][places that are transformed][stride]; log-derivatives of each number.
    let parameters: UnsafeMutablePointer<S>
    let logs: UnsafeMutablePointer<S>
    let network: Convolution<S>.Tape
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, scratch, tile) = (pass.stride, pass.scratch, MapTile(map, pass.stride))
    let mark = scratch.mark
    let before = UnsafePointer(pass.x + tile.offset)
    let input = try networkInput(before, tile, scratch)
    let (output, tape) = try network.forward(
      input, context: pass.context, stride, recording: pass.recording, scratch)
    let columns = columns(stride)
    let logs = try scratch.take(Tiling.wholeVectors(movedCount * columns.stride, S.self), of: S.self)
    let count = pass.count
    let result: Tape
    if isCheckerboard {
      let numbers = movedCount * columns.stride
      let parameters = try scratch.take(transformer.parameterCount * numbers, of: S.self)
      let (x, y) = (try scratch.take(numbers, of: S.self), try scratch.take(numbers, of: S.self))
      gather(output, movedCount * transformer.parameterCount, parameters, tile)
      gather(before, movedCount, x, tile)
      try transformer.run(
        inverse: inverse, columns, x, parameters, y, logs, scratch, recording: pass.recording)
      try pass.replace { old, new in
        new.update(from: old, count: count)
        scatter(y, movedCount, new + tile.offset, tile)
      }
      result = Tape(x: UnsafePointer(inverse ? y : x), parameters: parameters, logs: logs, network: tape)
    } else {
      try pass.replace { old, new in
        tile.copyOthers(old, new, of: count)
        for i in 0..<keptCount {
          let at = tile.offset + Int(kept[i]) * tile.lanes
          Tiling.copy(tile.lanes, old + at, new + at)
        }
      }
      let after = pass.x + tile.offset
      try transformer.run(
        inverse: inverse, columns, before, output, after, logs, scratch, recording: pass.recording)
      result = Tape(x: inverse ? UnsafePointer(after) : before, parameters: output, logs: logs, network: tape)
    }
    S.kernels.addRows(movedCount * placeCount, stride, logs, inverse ? -1 : 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return result
  }

  /// The channels that are kept, one after the other; of a checkerboard all, with zeros where they are not.
  private func networkInput(
    _ x: UnsafePointer<S>, _ tile: MapTile, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafePointer<S> {
    if !isCheckerboard, keepsNeighbours {
      return keptCount == 0 ? x : x + Int(kept[0]) * tile.lanes
    }
    let input = try scratch.take(keptCount * tile.lanes, of: S.self)
    for i in 0..<keptCount { (input + i * tile.lanes).update(from: x + Int(kept[i]) * tile.lanes, count: tile.lanes) }
    if isCheckerboard { clear(input, tile) }
    return UnsafePointer(input)
  }

  /// Zeros at the places that are transformed.
  private func clear(_ x: UnsafeMutablePointer<S>, _ tile: MapTile) {
    for c in 0..<keptCount {
      for i in 0..<placeCount {
        (x + c * tile.lanes + Int(places[i]) * tile.stride).update(repeating: 0, count: tile.stride)
      }
    }
  }

  /// The places of a checkerboard that are transformed, of some maps: [maps][places][stride] from whole ones, and back.
  private func gather(_ from: UnsafePointer<S>, _ maps: Int, _ to: UnsafeMutablePointer<S>, _ tile: MapTile) {
    for c in 0..<maps {
      for i in 0..<placeCount {
        Tiling.copy(
          tile.stride, from + c * tile.lanes + Int(places[i]) * tile.stride, to + (c * placeCount + i) * tile.stride)
      }
    }
  }
  private func scatter(_ from: UnsafePointer<S>, _ maps: Int, _ to: UnsafeMutablePointer<S>, _ tile: MapTile) {
    for c in 0..<maps {
      for i in 0..<placeCount {
        Tiling.copy(
          tile.stride, from + (c * placeCount + i) * tile.stride, to + c * tile.lanes + Int(places[i]) * tile.stride)
      }
    }
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) throws(DiffeoError) {
    let (stride, scratch, tile) = (adjoint.stride, adjoint.scratch, MapTile(map, adjoint.stride))
    let mark = scratch.mark
    let (columns, parameters) = (columns(stride), movedCount * transformer.parameterCount)
    let gOutput = try scratch.take(Tiling.wholeVectors(parameters * tile.lanes, S.self), of: S.self)
    let g = adjoint.g + tile.offset
    if isCheckerboard {
      let numbers = movedCount * columns.stride
      let gParameters = try scratch.take(
        Tiling.wholeVectors(transformer.parameterCount * numbers, S.self), of: S.self)
      var part = adjoint
      part.g = try scratch.take(numbers)
      gather(g, movedCount, part.g, tile)
      try transformer.runPullback(inverse: inverse, columns, tape.x, tape.parameters, tape.logs, part, gParameters)
      scatter(part.g, movedCount, g, tile)
      gOutput.update(repeating: 0, count: parameters * tile.lanes)
      scatter(gParameters, parameters, gOutput, tile)
    } else {
      var part = adjoint
      part.g = g
      try transformer.runPullback(inverse: inverse, columns, tape.x, tape.parameters, tape.logs, part, gOutput)
    }
    let gInput = try network.pullback(tape.network, gOutput, adjoint)
    if isCheckerboard { clear(gInput, tile) }
    for i in 0..<keptCount { S.kernels.add(tile.lanes, gInput + i * tile.lanes, g + Int(kept[i]) * tile.lanes) }
    scratch.release(to: mark)
  }

  /// What is transformed: channels, whose lanes are the places that are.
  private func columns(_ stride: Int) -> TileColumns {
    TileColumns(indices: moved, count: movedCount, stride: placeCount * stride)
  }
}
