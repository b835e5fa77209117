/// Where results go that need not fit into memory.
package protocol RowWriter: AnyObject {
  /// Numbers of these rows, of one type: x row-major, where there is one, and a log-density each. Rows come in their order.
  func write<S: Scalar>(_ range: Range<Int>, x: UnsafePointer<S>?, logProb: UnsafePointer<S>) throws(DiffeoError)
}

/// From a reader to a writer, piece by piece, in the type of the flow: the bits are those of one call for all rows.
extension AnyFlow {
  package func logProb(
    of reader: any RowReader, to writer: any RowWriter, _ workspace: Workspace
  ) throws(DiffeoError) {
    try reader.check(spec)
    switch self {
    case .f32(let flow): try flow.logProb(of: reader, to: writer, workspace)
    case .f64(let flow): try flow.logProb(of: reader, to: writer, workspace)
    }
  }

  /// context: one row for all, or one for each; nil for a flow without.
  package func sample(
    seed: UInt64, firstRow: UInt64, count: Int, context: (any RowReader)?, to writer: any RowWriter,
    _ workspace: Workspace
  ) throws(DiffeoError) {
    let columns = context?.contextDim ?? 0
    guard columns == spec.contextDim else {
      throw DiffeoError(.shape, "the context has \(columns) columns, that of this flow \(spec.contextDim)")
    }
    if let rows = context?.rows, rows != 1, rows != count {
      throw DiffeoError(.shape, "the context has \(rows) rows, it must have 1 or \(count)")
    }
    switch self {
    case .f32(let flow): try flow.sample(seed, firstRow, count, context, to: writer, workspace)
    case .f64(let flow): try flow.sample(seed, firstRow, count, context, to: writer, workspace)
    }
  }
}

extension Flow {
  fileprivate func logProb(
    of reader: any RowReader, to writer: any RowWriter, _ workspace: Workspace
  ) throws(DiffeoError) {
    let pieces = try PiecesAhead<S>(reader)
    let results = try ParameterVector<S>(count: pieces.rows)
    for piece in 0..<pieces.count {
      let (range, buffer) = (pieces.range(piece), try pieces.take(piece))
      let batch = Batch(
        rows: range.count, x: UnsafePointer(buffer.x), context: UnsafePointer(buffer.context), contextIsShared: false)
      try run(.logProb(results.pointer), batch, workspace)
      try writer.write(range, x: nil, logProb: UnsafePointer(results.pointer))
    }
  }

  fileprivate func sample(
    _ seed: UInt64, _ firstRow: UInt64, _ count: Int, _ context: (any RowReader)?, to writer: any RowWriter,
    _ workspace: Workspace
  ) throws(DiffeoError) {
    let isShared = context.map { $0.rows == 1 && count != 1 } ?? true
    let shared = isShared ? try context.map { reader throws(DiffeoError) in try PiecesAhead<S>(reader) } : nil
    let pieces = isShared ? nil : try context.map { reader throws(DiffeoError) in try PiecesAhead<S>(reader) }
    let most = pieces?.rows ?? Stream.rows(spec.dim, S.self)
    let x = try ParameterVector<S>(count: most * spec.dim)
    let logProb = try ParameterVector<S>(count: most)
    for first in stride(from: 0, to: count, by: most) {
      let range = first..<min(first + most, count)
      let given = isShared ? try shared?.take(0) : try pieces?.take(first / most)
      let batch = Batch<S>(
        rows: range.count, x: nil, context: given.map { UnsafePointer($0.context) }, contextIsShared: isShared)
      try run(
        .sample(seed: seed, firstRow: firstRow &+ UInt64(first), x.pointer, logProb: logProb.pointer), batch, workspace)
      try writer.write(range, x: UnsafePointer(x.pointer), logProb: UnsafePointer(logProb.pointer))
    }
  }
}

private enum Stream {
  /// Of a piece: about 4 MB.
  static func rows<S: Scalar>(_ width: Int, _: S.Type) -> Int {
    max(1024, min(1 << 16, (1 << 22) / (max(width, 1) * MemoryLayout<S>.stride)))
  }
}

/// Rows of a reader in their order, the next piece of which is read while one is used.
private final class PiecesAhead<S: Scalar> {
  struct Buffer {
    let x: UnsafeMutablePointer<S>
    let context: UnsafeMutablePointer<S>
    let weights: UnsafeMutablePointer<S>?
  }

  /// Of a piece.
  let rows: Int
  private let reader: any RowReader
  private let ahead: ReadAhead<Buffer, Int>
  private let pool = Pool()

  init(_ reader: any RowReader) throws(DiffeoError) {
    self.reader = reader
    var rows = Stream.rows(reader.width, S.self)
    let together = reader.rowsTogether
    if together < rows { rows = rows / together * together }
    rows = max(1, min(rows, reader.rows))
    self.rows = rows
    var buffers: [Buffer] = []
    for _ in 0..<2 {
      buffers.append(
        Buffer(
          x: try pool.take(rows * reader.dim), context: try pool.take(rows * reader.contextDim),
          weights: reader.isWeighted ? try pool.take(rows) : nil))
    }
    ahead = ReadAhead(slots: buffers) { piece, buffer, isWanted throws(DiffeoError) in
      guard isWanted() else { return }
      try reader.read(
        piece * rows..<min((piece + 1) * rows, reader.rows), into: RowBuffers(buffer.x, buffer.context, buffer.weights))
    }
    ahead.goesOn = true
  }

  deinit { ahead.end() }

  var count: Int { (reader.rows + rows - 1) / rows }

  func range(_ piece: Int) -> Range<Int> { piece * rows..<min((piece + 1) * rows, reader.rows) }

  func take(_ piece: Int) throws(DiffeoError) -> Buffer {
    try ahead.take(piece, piece, following: piece + 1 < count ? (piece + 1, piece + 1) : nil)
  }
}
