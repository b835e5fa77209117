import KernelInterface

/// Some columns of a tile: number (i, r) of them is at indices[i] * stride + r. Or channels, and r is a lane: a place of
/// a row.
struct TileColumns: BitwiseCopyable {
  let indices: UnsafePointer<Int32>
  let count: Int
  let stride: Int

  subscript(i: Int) -> Int { Int(indices[i]) * stride }

  /// Tiles of few rows do not fill a vector by one column: there all columns are mapped at once, and copied for it.
  var areMappedAtOnce: Bool { count > 1 && stride < 16 }

  /// Without gaps, and with zeros up to `total`.
  @inline(__always)
  func gather<S: Scalar>(_ tile: UnsafePointer<S>, _ total: Int, _ to: UnsafeMutablePointer<S>) {
    for i in 0..<count { Tiling.copy(stride, tile + self[i], to + i * stride) }
    for i in count * stride..<total { to[i] = 0 }
  }

  @inline(__always)
  func scatter<S: Scalar>(_ from: UnsafePointer<S>, _ tile: UnsafeMutablePointer<S>) {
    for i in 0..<count { Tiling.copy(stride, from + i * stride, tile + self[i]) }
  }
}

// A map of columns of a tile, with parameters in the order of a network's outputs: parameter j of number (i, r) at
// (i * parameterCount + j) * stride + r.
extension ElementMap {
  /// `forward` or `inverse` from x to y, two tiles that may be one; `logs` is by number, without gaps. With `recording`
  /// leaves in p what the pullback wants there. All but x and y are scratch memory of their own, which whole vectors fit
  /// into.
  @inline(__always)
  func run(
    inverse: Bool, _ columns: TileColumns, _ x: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>,
    _ y: UnsafeMutablePointer<S>, _ logs: UnsafeMutablePointer<S>, _ scratch: Scratch, recording: Bool
  ) throws(DiffeoError) {
    let stride = columns.stride
    let map = function(inverse: inverse)
    if columns.areMappedAtOnce {
      let mark = scratch.mark
      let count = Tiling.wholeVectors(columns.count * stride, S.self)
      let numbers = try scratch.take(count, of: S.self)
      let parameters = try scratch.take(parameterCount * count, of: S.self)
      columns.gather(x, count, numbers)
      gather(columns, p, count, parameters)
      map(rule, count, numbers, parameters, numbers, logs)
      if recording { scatter(columns, parameters, count, p) }
      columns.scatter(numbers, y)
      scratch.release(to: mark)
    } else {
      for i in 0..<columns.count {
        map(rule, stride, x + columns[i], p + i * parameterCount * stride, y + columns[i], logs + i * stride)
      }
    }
  }

  /// `pullback` or `inversePullback`. x: on the data side. adjoint.g: of the results in, of the arguments out. gp: dL/dp.
  @inline(__always)
  func runPullback(
    inverse: Bool, _ columns: TileColumns, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ logs: UnsafePointer<S>,
    _ adjoint: Adjoint<S>, _ gp: UnsafeMutablePointer<S>
  ) throws(DiffeoError) {
    let (stride, scratch, places) = (columns.stride, adjoint.scratch, columns.stride / adjoint.stride)
    let pullback = pullback(inverse: inverse)
    if columns.areMappedAtOnce {
      let mark = scratch.mark
      let count = Tiling.wholeVectors(columns.count * stride, S.self)
      let numbers = try scratch.take(count, of: S.self)
      let g = try scratch.take(count, of: S.self)
      let parameters = try scratch.take(parameterCount * count, of: S.self)
      let gParameters = try scratch.take(parameterCount * count, of: S.self)
      columns.gather(x, count, numbers)
      columns.gather(adjoint.g, count, g)
      gather(columns, p, count, parameters)
      adjoint.spreadLogDet(columns.count * places, negated: inverse, gParameters)
      for i in columns.count * stride..<count { gParameters[i] = 0 }
      pullback(rule, count, numbers, parameters, logs, g, gParameters)
      scatter(columns, gParameters, count, gp)
      columns.scatter(g, adjoint.g)
      scratch.release(to: mark)
    } else {
      for i in 0..<columns.count {
        let offset = i * parameterCount * stride
        adjoint.spreadLogDet(places, negated: inverse, gp + offset)
        pullback(rule, stride, x + columns[i], p + offset, logs + i * stride, adjoint.g + columns[i], gp + offset)
      }
    }
  }

  /// From the order of a network to all numbers' parameter 0, all numbers' parameter 1... each `count` of them.
  @inline(__always)
  private func gather(
    _ columns: TileColumns, _ from: UnsafePointer<S>, _ count: Int, _ to: UnsafeMutablePointer<S>
  ) {
    let stride = columns.stride
    for j in 0..<parameterCount {
      let to = to + j * count
      for i in 0..<columns.count {
        Tiling.copy(stride, from + (i * parameterCount + j) * stride, to + i * stride)
      }
      for i in columns.count * stride..<count { to[i] = 0 }
    }
  }

  @inline(__always)
  private func scatter(
    _ columns: TileColumns, _ from: UnsafePointer<S>, _ count: Int, _ to: UnsafeMutablePointer<S>
  ) {
    let stride = columns.stride
    for j in 0..<parameterCount {
      for i in 0..<columns.count {
        Tiling.copy(stride, from + j * count + i * stride, to + (i * parameterCount + j) * stride)
      }
    }
  }
}
