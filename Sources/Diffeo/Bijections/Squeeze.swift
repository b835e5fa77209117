import KernelInterface

/// Space to depth: squares of 2 x 2 places of a channel become four channels of one place each, and a map of
/// c x h x w one of 4 c x h/2 x w/2. Dinh, Sohl-Dickstein and Bengio 2017, section 3.6. Inverted it is depth to space.
struct SqueezeSpec: ColumnMoveSpec {
  static let kind = "squeeze"
  typealias F32 = ColumnMove<SqueezeSpec, Float>
  typealias F64 = ColumnMove<SqueezeSpec, Double>

  private let dim: Int
  /// Before.
  let map: FeatureMap
  let order: SqueezeOrder

  init(_ map: FeatureMap, order: SqueezeOrder, dim: Int) throws(DiffeoError) {
    guard map.height % 2 == 0, map.width % 2 == 0 else {
      throw DiffeoError(
        .invalid,
        "a squeeze halves height and width, which must be even: the map is "
          + "\(map.channels) x \(map.height) x \(map.width) (channels, height, width) here")
    }
    self.dim = dim
    self.map = map
    self.order = order
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(FeatureMap(record, dim: dim), order: SqueezeOrder.names.choice(record, "order"), dim: dim)
  }

  var record: Record {
    var record = Record(kind: SqueezeSpec.kind)
    record["order"] = .string(order.name)
    map.describe(&record, dim: dim)
    return record
  }

  var squeezed: FeatureMap {
    FeatureMap(start: map.start, channels: 4 * map.channels, height: map.height / 2, width: map.width / 2)
  }

  var summary: String {
    "\(map.channels) x \(map.height) x \(map.width) to "
      + "\(squeezed.channels) x \(squeezed.height) x \(squeezed.width), by \(order.name)"
      + (map.start > 0 ? ", from column \(map.start)" : "")
  }

  var sources: [Int32] {
    var sources = Array(0..<Int32(dim))
    let (h, w) = (map.height / 2, map.width / 2)
    for c in 0..<map.channels {
      for k in 0..<4 {
        // Of the squares' places, the one that number k of the channels takes.
        let place = order == .diagonals ? [0, 3, 1, 2][k] : k
        let channel = order == .channels ? 4 * c + k : k * map.channels + c
        for y in 0..<h {
          for x in 0..<w {
            sources[map.start + (channel * h + y) * w + x] = Int32(
              map.start + (c * map.height + 2 * y + place / 2) * map.width + 2 * x + place % 2)
          }
        }
      }
    }
    return sources
  }
}

/// Of the new channels; k is a place of the square, line by line, c a channel of before. Raw values are those of the C
/// header.
package enum SqueezeOrder: Int32, Sendable {
  /// 4 c + k: openai/glow, nflows, normflows, FrEIA's IRevNetDownsampling
  case channels = 1
  /// k (channels) + c: TensorFlow's space_to_depth, FrEIA's with legacy_backend
  case places
  /// The same with the diagonal first: places (0, 0), (1, 1), (0, 1), (1, 0). RealNVP, whose masks by channel then keep
  /// one of two checkerboards.
  case diagonals

  static let names = Names<SqueezeOrder>([(.channels, "channels"), (.places, "places"), (.diagonals, "diagonals")])
  var name: String { SqueezeOrder.names.name(self) }
}
