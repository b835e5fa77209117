/// A few rows and their log-densities, stored with a flow: whoever loads it can see that it means what was saved.
package struct SelfTest<S: Scalar>: Sendable {
  package static var rows: Int { 5 }
  package var rows: Int
  package var x: [S]
  package var context: [S]
  package var logProb: [S]
}

extension Flow {
  /// Samples of the flow, given contexts like those it was trained on as far as it knows them.
  package func selfTest() throws(DiffeoError) -> SelfTest<S> {
    let rows = SelfTest<S>.rows
    let workspace = try Workspace(threads: 1)
    var random = Philox(seed: 1, stream: RandomStream.selfTest)
    var context = (0..<rows * spec.contextDim).map { _ in S(2 * random.uniform() - 1) }
    if spec.context != nil {
      let (mean, deviation) = (parameters.pointer, parameters.pointer + spec.contextDim)
      for i in context.indices {
        context[i] = mean[i % spec.contextDim] + deviation[i % spec.contextDim] * context[i]
      }
    }
    var x = [S](repeating: 0, count: rows * spec.dim)
    try context.withUnsafeBufferPointer { context throws(DiffeoError) in
      try x.withUnsafeMutableBufferPointer { x throws(DiffeoError) in
        guard let target = x.baseAddress else { throw DiffeoError(.internal, "the self-test has no rows") }
        let batch = Batch<S>(
          rows: rows, x: nil, context: context.baseAddress, contextIsShared: false)
        try run(.sample(seed: 1, firstRow: 0, target, logProb: nil), batch, workspace)
      }
    }
    return SelfTest(
      rows: rows, x: x, context: context, logProb: try logProb(x: x, rows: rows, context: context))
  }

  /// context: a row each, or empty for a flow without.
  package func logProb(x: [S], rows: Int, context: [S]) throws(DiffeoError) -> [S] {
    guard rows >= 0, x.count == rows * spec.dim, context.count == rows * spec.contextDim else {
      throw DiffeoError(
        .shape, "\(x.count) values of x and \(context.count) of context are not \(rows) rows")
    }
    if rows == 0 { return [] }
    let workspace = try Workspace(threads: 1)
    var result = [S](repeating: 0, count: rows)
    try x.withUnsafeBufferPointer { x throws(DiffeoError) in
      try context.withUnsafeBufferPointer { context throws(DiffeoError) in
        try result.withUnsafeMutableBufferPointer { result throws(DiffeoError) in
          guard let target = result.baseAddress else {
            throw DiffeoError(.internal, "there is no place for \(rows) log-densities")
          }
          let batch = Batch(
            rows: rows, x: x.baseAddress, context: context.baseAddress, contextIsShared: false)
          try run(.logProb(target), batch, workspace)
        }
      }
    }
    return result
  }
}
