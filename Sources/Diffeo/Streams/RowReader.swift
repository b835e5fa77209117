/// Rows that are read when they are needed, and so need not fit into memory.
package protocol RowReader: AnyObject, Sendable {
  var rows: Int { get }
  /// Columns of x and of the context; weights are one number a row, or none.
  var dim: Int { get }
  var contextDim: Int { get }
  var isWeighted: Bool { get }
  /// Rows that are best read together, such as those of a chunk of a file; 1 where it does not matter.
  var rowsTogether: Int { get }

  /// Fills in some of the rows, converted to the type of the buffers. On any thread; one call at a time, which the reader
  /// sees to.
  func read(_ range: Range<Int>, into buffers: RowBuffers) throws(DiffeoError)
}

/// Memory for some rows of a reader, row-major, in float or in double.
package struct RowBuffers {
  package let dtype: DType
  package let x: UnsafeMutableRawPointer
  package let context: UnsafeMutableRawPointer
  /// Present where the reader has weights.
  package let weights: UnsafeMutableRawPointer?

  package init<S: Scalar>(
    _ x: UnsafeMutablePointer<S>, _ context: UnsafeMutablePointer<S>, _ weights: UnsafeMutablePointer<S>?
  ) {
    dtype = S.dtype
    self.x = UnsafeMutableRawPointer(x)
    self.context = UnsafeMutableRawPointer(context)
    self.weights = weights.map { UnsafeMutableRawPointer($0) }
  }

  /// From row `first` on.
  package func advanced(by first: Int, dim: Int, contextDim: Int) -> RowBuffers {
    let size = dtype == .f32 ? 4 : 8
    return RowBuffers(
      dtype: dtype, x: x + first * dim * size, context: context + first * contextDim * size,
      weights: weights.map { $0 + first * size })
  }

  private init(
    dtype: DType, x: UnsafeMutableRawPointer, context: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer?
  ) {
    (self.dtype, self.x, self.context, self.weights) = (dtype, x, context, weights)
  }
}

extension RowReader {
  /// Columns of a row, its weight included.
  var width: Int { dim + contextDim + (isWeighted ? 1 : 0) }

  /// Refuses rows that are not those of a flow.
  package func check(_ spec: FlowSpec) throws(DiffeoError) {
    guard dim == spec.dim, contextDim == spec.contextDim else {
      throw DiffeoError(
        .shape,
        "the rows have \(dim) columns and \(contextDim) of context, this flow has \(spec.dim) and \(spec.contextDim)")
    }
  }
}
