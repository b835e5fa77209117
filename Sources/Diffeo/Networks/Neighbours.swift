import KernelInterface

/// The squares of places around each place of a map, between a map and buffers of matrices: a convolution is a product
/// with them. Maps are [channels][places][rows]; a buffer has the lanes of some places, and a row for each channel and
/// place of the square (a *tap*), in either order.
struct Neighbours<S: Scalar>: BitwiseCopyable {
  let height: Int
  let width: Int
  let kernel: Int
  /// Rows of a buffer from one tap to the next, and from one channel to the next.
  let tapStep: Int
  let channelStep: Int
  /// Whether tap t of a place is the place that sees it by t, not the place that it sees.
  let reversed: Bool

  var taps: Int { kernel * kernel }

  /// Calls body with the places of `places`, by their number among them, that have a neighbour by a tap, which is `from`;
  /// or that have none (nil).
  @inline(__always)
  private func eachSpan(
    _ places: Range<Int>, _ tap: Int, reversed: Bool, _ body: (_ at: Int, _ count: Int, _ from: Int?) -> Void
  ) {
    let sign = reversed ? -1 : 1
    let (dy, dx) = (sign * (tap / kernel - kernel / 2), sign * (tap % kernel - kernel / 2))
    var p = places.lowerBound
    while p < places.upperBound {
      let line = p / width
      let end = min(places.upperBound, (line + 1) * width)
      let first = line * width
      if line + dy < 0 || line + dy >= height {
        body(p - places.lowerBound, end - p, nil)
      } else {
        // Of the line those that have one.
        let low = min(max(p, first - min(dx, 0)), end)
        let high = max(min(end, first + width - max(dx, 0)), low)
        if low > p { body(p - places.lowerBound, low - p, nil) }
        if high > low { body(low - places.lowerBound, high - low, low + dy * width + dx) }
        if end > high { body(high - places.lowerBound, end - high, nil) }
      }
      p = end
    }
  }

  /// To a buffer whose rows have `lanes` numbers. outside: what is there in place of neighbours that are not.
  @inline(never)
  func gather(
    _ places: Range<Int>, _ channels: Int, _ map: UnsafePointer<S>, _ stride: Int, outside: S = 0,
    _ buffer: UnsafeMutablePointer<S>, _ lanes: Int
  ) {
    let plane = height * width * stride
    for t in 0..<taps {
      eachSpan(places, t, reversed: reversed) { at, count, from in
        for c in 0..<channels {
          let to = buffer + (t * tapStep + c * channelStep) * lanes + at * stride
          if let from {
            Tiling.copy(count * stride, map + c * plane + from * stride, to)
          } else {
            to.update(repeating: outside, count: count * stride)
          }
        }
      }
    }
  }

  /// Adds a buffer to a map. Taps in this order, and pieces of the map by ascending places, add what a place of the map
  /// gets by ascending places that it comes from: the same bits for any pieces.
  @inline(never)
  func addUp(
    _ places: Range<Int>, _ channels: Int, _ buffer: UnsafePointer<S>, _ lanes: Int, _ map: UnsafeMutablePointer<S>,
    _ stride: Int
  ) {
    let plane = height * width * stride
    for i in 0..<taps {
      let t = reversed ? i : taps - 1 - i
      eachSpan(places, t, reversed: reversed) { at, count, from in
        guard let from else { return }
        for c in 0..<channels {
          S.kernels.add(
            count * stride, buffer + (t * tapStep + c * channelStep) * lanes + at * stride,
            map + c * plane + from * stride)
        }
      }
    }
  }

  /// Calls body with each tap and the places that see what is outside by it.
  @inline(__always)
  func eachOutside(_ body: (_ tap: Int, _ places: Range<Int>) -> Void) {
    for t in 0..<taps {
      eachSpan(0..<height * width, t, reversed: false) { at, count, from in
        if from == nil { body(t, at..<at + count) }
      }
    }
  }
}
