import Glibc
import KernelInterface
import Testing

private func strides<S: TestScalar>(_ build: Build<S>) -> [Int] {
  [1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 16, 32, 48, 64].filter { $0 < 16 || $0 % build.table.lanes == 0 }
}

private func rowsAreTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(11)
  let table = build.table
  for features in [0, 1, 2, 6, 17, 40] {
    for stride in strides(build) {
      let count = features * stride
      let x: [S] = random.numbers(count)
      let shift: [S] = random.numbers(features)
      let scale: [S] = random.numbers(features, 0.1, 3)
      let total: [Double] = random.numbers(stride)
      let scaled = fenced([x, scale, shift], [x]) {
        table.scaleShift(features, stride, $0[0], $0[1], $0[2], $1[0])
      }[0]
      let unscaled = fenced([x, scale, shift], [x], atStart: true) {
        table.unshiftScale(features, stride, $0[0], $0[1], $0[2], $1[0])
      }[0]
      let inPlace = fenced([scale, shift], [x]) {
        table.scaleShift(features, stride, UnsafePointer($1[0]), $0[0], $0[1], $1[0])
      }[0]
      #expect(bits(inPlace) == bits(scaled))
      for i in 0..<features {
        for r in 0..<stride {
          let at = i * stride + r
          #expect(scaled[at] == S.multiplyAdd(x[at], scale[i], shift[i], fused: build.fused))
          #expect(unscaled[at] == (x[at] - shift[i]) / scale[i])
        }
      }
      for sign in [1.0, -1.0] {
        let sums = sumRows(x, total) { table.addRows(features, stride, $0, sign, $1) }
        let expected = (0..<stride).map { r in
          total[r] + sign * (0..<features).reduce(0.0) { $0 + Double(x[$1 * stride + r]) }
        }
        #expect(bits(sums) == bits(expected), "\(build.name) stride \(stride)")
      }
      let density = sumRows(x, total) { table.normalLogDensity(features, stride, $0, $1) }
      let constant = 0.5 * Glibc.log(2 * Double.pi)
      let expected = (0..<stride).map { r in
        total[r]
          + (0..<features).reduce(0.0) {
            let z = Double(x[$1 * stride + r])
            return $0 + Double.multiplyAdd(-0.5 * z, z, -constant, fused: build.fused)
          }
      }
      #expect(bits(density) == bits(expected), "\(build.name) stride \(stride)")

      let wide = x.map { $0 * 40 }
      let logistic = sumRows(wide, total) { table.logisticLogDensity(features, stride, $0, $1) }
      for r in 0..<stride {
        let exact = (0..<features).reduce(Exact(total[r])) {
          let a = abs(Exact(wide[$1 * stride + r]))
          return $0 - a - 2 * Glibc.log(1 + Glibc.exp(-a))
        }
        #expect(abs(Exact(logistic[r]) - exact) <= 2e-16 * Exact(1 + features) * (1 + abs(exact)))
        // The same bits for a row by itself.
        let column = (0..<features).map { wide[$0 * stride + r] }
        let alone = sumRows(column, [total[r]]) { table.logisticLogDensity(features, 1, $0, $1) }
        #expect(alone[0] == logistic[r])
      }
    }
  }
}

private func hardLogistic<S: TestScalar>(_ build: Build<S>) {
  let hard: [S] = [.infinity, -.infinity, .nan, 0, S.greatestFiniteMagnitude, -0.0, S.leastNonzeroMagnitude, 1]
  for stride in [1, 8, 16] where stride < 16 || stride % build.table.lanes == 0 {
    let x = (0..<stride).map { hard[$0 % 8] }
    let logs = sumRows(x, [Double](repeating: 0, count: stride)) { build.table.logisticLogDensity(1, stride, $0, $1) }
    for (x, log) in zip(x, logs) {
      #expect(x.isNaN ? log.isNaN : x.isInfinite ? log == -.infinity : log.isFinite)
    }
  }
}

private func sumRows<S: TestScalar>(
  _ x: [S], _ total: [Double], _ kernel: (UnsafePointer<S>, UnsafeMutablePointer<Double>) -> Void
) -> [Double] {
  let input = Fenced(x, atStart: false)
  let output = Fenced(total, atStart: false)
  kernel(input.input, output.pointer)
  #expect(input.intact && output.intact)
  return output.values
}

@Suite struct RowsTests {
  @Test(arguments: builds32) func contract(_ build: Build<Float>) { rowsAreTheContract(build) }
  @Test(.widerThanDouble, arguments: builds64) func contract(_ build: Build<Double>) { rowsAreTheContract(build) }
  @Test(arguments: builds32) func hardInputs(_ build: Build<Float>) { hardLogistic(build) }
  @Test(arguments: builds64) func hardInputs(_ build: Build<Double>) { hardLogistic(build) }
}
