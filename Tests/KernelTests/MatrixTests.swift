import KernelInterface
import Testing

private let sizes = [1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 33, 40, 50, 67]

private func outerIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(3)
  for outputs in sizes {
    for inputs in sizes {
      let rows = random.integer(0...1) == 0 ? random.integer(0...20) : random.integer(250...530)
      let dStride = outputs + random.integer(0...3)
      let xStride = inputs + random.integer(0...3)
      let gStride = inputs + random.integer(0...2)
      // The last row of a matrix may end with its last value.
      let d: [S] = random.numbers(max(0, (rows - 1) * dStride + outputs))
      let x: [S] = random.numbers(max(0, (rows - 1) * xStride + inputs))
      let g: [S] = random.numbers((outputs - 1) * gStride + inputs)
      for accumulate in [true, false] {
        let result = fenced([d, x], [g], atStart: accumulate) {
          build.table.outer(rows, $0[0], dStride, outputs, $0[1], xStride, inputs, $1[0], gStride, accumulate)
        }[0]
        var expected = g
        for o in 0..<outputs {
          for k in 0..<inputs {
            var sum: S = accumulate ? g[o * gStride + k] : 0
            for r in 0..<rows {
              sum = S.multiplyAdd(d[r * dStride + o], x[r * xStride + k], sum, fused: build.fused)
            }
            expected[o * gStride + k] = sum
          }
        }
        #expect(bits(result) == bits(expected), "\(build.name) \(rows) rows \(outputs) x \(inputs)")
      }
    }
  }
}

private func columnSumsAreTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(4)
  for columns in sizes + [64, 100, 129] {
    let rows = random.integer(0...40)
    let dStride = columns + random.integer(0...3)
    let d: [S] = random.numbers(max(0, (rows - 1) * dStride + columns))
    let g: [S] = random.numbers(columns)
    for accumulate in [true, false] {
      let result = fenced([d], [g], atStart: accumulate) {
        build.table.columnSums(rows, $0[0], dStride, columns, $1[0], accumulate)
      }[0]
      let expected = (0..<columns).map { j in
        (0..<rows).reduce(accumulate ? g[j] : 0) { $0 + d[$1 * dStride + j] }
      }
      #expect(bits(result) == bits(expected), "\(build.name) \(rows) x \(columns)")
    }
  }
}

private func transposeIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(5)
  for features in sizes {
    for (stride, rows) in [(1, 1), (3, 2), (7, 7), (9, 8), (15, 15), (16, 9), (32, 32), (64, 64), (64, 61)] {
      let outStride = features + random.integer(0...2)
      let x: [S] = random.numbers(features * stride)
      let out: [S] = random.numbers((rows - 1) * outStride + features)
      let result = fenced([x], [out]) {
        build.table.transpose($0[0], features, stride, rows, $1[0], outStride)
      }[0]
      var expected = out
      for i in 0..<features { for r in 0..<rows { expected[r * outStride + i] = x[i * stride + r] } }
      #expect(bits(result) == bits(expected), "\(build.name) \(features) features \(rows) of \(stride) rows")
    }
  }
}

@Suite struct MatrixTests {
  @Test(arguments: builds32) func outer(_ build: Build<Float>) { outerIsTheContract(build) }
  @Test(arguments: builds64) func outer(_ build: Build<Double>) { outerIsTheContract(build) }
  @Test(arguments: builds32) func columnSums(_ build: Build<Float>) { columnSumsAreTheContract(build) }
  @Test(arguments: builds64) func columnSums(_ build: Build<Double>) { columnSumsAreTheContract(build) }
  @Test(arguments: builds32) func transpose(_ build: Build<Float>) { transposeIsTheContract(build) }
  @Test(arguments: builds64) func transpose(_ build: Build<Double>) { transposeIsTheContract(build) }
}
