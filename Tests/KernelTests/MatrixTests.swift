import KernelInterface
import Testing

private let sizes = [1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 33, 40, 50, 67]

private func outerIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(3)
  let (lanes, width) = (build.table.lanes, build.table.outerColumns)
  for outputs in sizes {
    for inputs in sizes {
      let rows = random.integer(0...1) == 0 ? random.integer(0...20) : random.integer(50...100)
      let dStride = rows + random.integer(0...3)
      let gStride = inputs + random.integer(0...2)
      let limits =
        random.integer(0...1) == 0
        ? [Int](repeating: inputs, count: outputs) : (0..<outputs).map { _ in random.integer(0...inputs) }.sorted()
      let d: [S] = random.numbers((outputs - 1) * dStride + rows)
      let x: [S] = random.numbers(rows * inputs)
      // Nothing depends on what is behind the inputs.
      var blocks = [S](repeating: .nan, count: (inputs + width - 1) / width * width * rows)
      for r in 0..<rows {
        for k in 0..<inputs { blocks[(k / width * rows + r) * width + k % width] = x[r * inputs + k] }
      }
      let g: [S] = random.numbers((outputs - 1) * gStride + inputs)
      for adds in [true, false] {
        var result = fenced([d, blocks], [g], atStart: adds) {
          build.table.outer(
            rows, $0[0], dStride, outputs, limits.map { Int32($0) }, $0[1], inputs, $1[0], gStride, adds)
        }[0]
        var expected = g
        for o in 0..<outputs {
          for k in 0..<limits[o] {
            var sum: S = 0
            for r in 0..<rows {
              sum = S.multiplyAdd(d[o * dStride + r], x[r * inputs + k], sum, fused: build.fused)
            }
            expected[o * gStride + k] = adds ? sum + g[o * gStride + k] : sum
          }
          // The rest of the last vector of the outputs that are taken together.
          let touched = (limits[min(o | 7, outputs - 1)] + lanes - 1) / lanes * lanes
          for k in limits[o]..<max(limits[o], min(touched, inputs)) { result[o * gStride + k] = g[o * gStride + k] }
        }
        #expect(bits(result) == bits(expected), "\(build.name) \(rows) rows \(outputs) x \(inputs)")
      }
    }
  }
}

private func rowSumsAreTheContract<S: TestScalar>(_ type: S.Type) {
  var random = Random(4)
  for columns in sizes + [0, 64, 100, 129] {
    let rows = random.integer(1...20)
    let dStride = columns + random.integer(0...3)
    let d: [S] = random.numbers((rows - 1) * dStride + columns)
    let g: [S] = random.numbers(rows)
    for adds in [true, false] {
      let results = S.builds.map { build in
        fenced([d], [g], atStart: adds) {
          build.table.rowSums(rows, $0[0], dStride, columns, $1[0], adds)
        }[0]
      }
      for result in results { #expect(bits(result) == bits(results[0]), "\(rows) x \(columns)") }
      for i in 0..<rows {
        let values = (0..<columns).map { Double(d[i * dStride + $0]) } + (adds ? [Double(g[i])] : [])
        let sum = values.reduce(0, +)
        let size = values.reduce(0) { $0 + abs($1) }
        // Each addition rounds in double precision, the end twice in that of S.
        let tolerance = Double(columns + 1) * Double.ulpOfOne * size + Double(S.ulpOfOne) * size
        #expect(abs(Double(results[0][i]) - sum) <= tolerance, "\(rows) x \(columns)")
      }
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
  @Test func rowSums32() { rowSumsAreTheContract(Float.self) }
  @Test func rowSums64() { rowSumsAreTheContract(Double.self) }
  @Test(arguments: builds32) func transpose(_ build: Build<Float>) { transposeIsTheContract(build) }
  @Test(arguments: builds64) func transpose(_ build: Build<Double>) { transposeIsTheContract(build) }
}
