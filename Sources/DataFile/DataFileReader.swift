import CHDF5
import CLibrary
import CShims
import Diffeo
import Storage

/// Rows of an HDF5 file: x, context and weights are data sets of it, or several side by side.
package final class DataFileReader: RowReader, @unchecked Sendable {
  package let rows: Int
  package let dim: Int
  package let contextDim: Int
  package let isWeighted: Bool
  package let rowsTogether: Int
  private let path: String
  /// All that HDF5 has to close, inside Library.use.
  private var content: Content?

  private final class OpenFile {
    let handle: Handle

    init(_ path: String, _ bytes: FileOnDisk) throws(DiffeoError) {
      let access = try bytes.access()
      handle = try Handle(H5Fopen(path, UInt32(CHDF5_READ_ONLY), access.id), path, failing: .format)
    }
  }

  private final class Content {
    var x: [DataSet] = []
    var context: [DataSet] = []
    var weights: [DataSet] = []
    private var file: OpenFile?
    private let bytes: FileOnDisk

    init(_ path: String, _ bytes: FileOnDisk) throws(DiffeoError) {
      self.bytes = bytes
      try Superblock.checkRoot(bytes)
      file = try OpenFile(path, bytes)
    }

    /// names: of data sets, with commas between them.
    func find(_ names: String?) throws(DiffeoError) -> [DataSet] {
      var found: [DataSet] = []
      for name in names?.split(separator: ",", omittingEmptySubsequences: false) ?? [] {
        if let file { found.append(try DataSet(String(name), in: file.handle, bytes)) }
      }
      return found
    }

    /// What is in the file closes before the file, and that before what it is read by.
    deinit {
      (x, context, weights) = ([], [], [])
      file = nil
    }
  }

  /// Names of data sets, with commas between several; nil for none.
  package init(path: String, x: String?, context: String?, weights: String?) throws(DiffeoError) {
    self.path = path
    let bytes = try FileOnDisk(path: path)
    var made: Content?
    var shape = (rows: 0, dim: 0, contextDim: 0, together: 1)
    do throws(DiffeoError) {
      try Library.use { _ throws(DiffeoError) in
        do throws(DiffeoError) {
          let content = try Content(path, bytes)
          made = content
          content.x = try content.find(x)
          content.context = try content.find(context)
          content.weights = try content.find(weights)
          shape = try DataFileReader.shape(content)
        } catch {
          made = nil
          throw error
        }
      }
    } catch {
      throw DiffeoError(error.code, "'\(path)': \(error.message)")
    }
    content = made
    (rows, dim, contextDim, rowsTogether) = (shape.rows, shape.dim, shape.contextDim, shape.together)
    isWeighted = weights != nil
  }

  deinit {
    try? Library.use { _ throws(DiffeoError) in content = nil }
  }

  private static func shape(
    _ content: Content
  ) throws(DiffeoError) -> (rows: Int, dim: Int, contextDim: Int, together: Int) {
    let all = content.x + content.context + content.weights
    guard let rows = all.first?.rows else { throw DiffeoError(.invalid, "no data set is named") }
    for part in all where part.rows != rows {
      throw DiffeoError(.shape, "data sets have \(rows) and \(part.rows) rows, all must have as many")
    }
    func columns(_ parts: [DataSet]) -> Int { parts.reduce(0) { $0 + $1.columns } }
    let (dim, contextDim, weights) = (columns(content.x), columns(content.context), columns(content.weights))
    guard content.weights.isEmpty || weights == 1 else {
      throw DiffeoError(.shape, "weights have \(weights) columns, they must have 1")
    }
    try Limit.check("spec.context_dim", dim, name: "x, its number of columns,")
    try Limit.check("spec.context_dim", contextDim)
    guard dim + contextDim > 0 else { throw DiffeoError(.shape, "the data sets have no columns") }
    return (rows, dim, contextDim, all.map(\.chunkRows).max() ?? 1)
  }

  package func read(_ range: Range<Int>, into buffers: RowBuffers) throws(DiffeoError) {
    do throws(DiffeoError) {
      try Library.use { _ throws(DiffeoError) in
        guard let content else { return }
        try read(content.x, range, dim, buffers.dtype, buffers.x)
        try read(content.context, range, contextDim, buffers.dtype, buffers.context)
        if let weights = buffers.weights { try read(content.weights, range, 1, buffers.dtype, weights) }
      }
    } catch {
      throw DiffeoError(error.code, "'\(path)': \(error.message)")
    }
  }

  private func read(
    _ parts: [DataSet], _ range: Range<Int>, _ columns: Int, _ dtype: DType, _ target: UnsafeMutableRawPointer
  ) throws(DiffeoError) {
    if parts.count == 1 { return try parts[0].read(range, dtype, target) }
    var column = 0
    for part in parts {
      switch dtype {
      case .f32: try read(part, range, column, columns, target.assumingMemoryBound(to: Float.self))
      case .f64: try read(part, range, column, columns, target.assumingMemoryBound(to: Double.self))
      }
      column += part.columns
    }
  }

  /// By way of some memory, so many rows at a time that no chunk is read twice.
  private func read<S: Scalar>(
    _ part: DataSet, _ range: Range<Int>, _ column: Int, _ columns: Int, _ target: UnsafeMutablePointer<S>
  ) throws(DiffeoError) {
    let most = max(1, min(range.count, max(part.chunkRows, 1 << 14)))
    let values = try ParameterVector<S>(count: most * part.columns)
    for first in stride(from: range.lowerBound, to: range.upperBound, by: most) {
      let rows = first..<min(first + most, range.upperBound)
      try part.read(rows, S.dtype, values.pointer)
      for r in 0..<rows.count {
        let row = target + (first - range.lowerBound + r) * columns + column
        for i in 0..<part.columns { row[i] = values.pointer[r * part.columns + i] }
      }
    }
  }
}
