import KernelInterface
import Testing

/// A strictly triangular matrix, packed panel by panel.
private struct Triangle<S: TestScalar> {
  let n: Int
  let upper: Bool
  let matrix: [S]
  var panels: [Panel] = []
  var weights: [S] = []

  init(_ n: Int, upper: Bool, _ random: inout Random) {
    self.n = n
    self.upper = upper
    let matrix: [S] = random.numbers(n * n, -0.5, 0.5)
    self.matrix = matrix
    for first in stride(from: 0, to: n, by: 8) {
      let last = min(first + 8, n) - 1
      let range = upper ? min(first + 1, n)..<n : 0..<last
      panels.append(Panel(offset: weights.count, begin: range.lowerBound, end: range.upperBound))
      weights += [S](repeating: 0, count: 8)
      for k in range {
        weights += (first..<first + 8).map { o in
          o < n && (upper ? k > o : k < o) ? matrix[o * n + k] : 0
        }
      }
    }
  }

  /// The contract, literally.
  func solve(_ y: [S], _ stride: Int, diagonal: [S]?, fused: Bool) -> [S] {
    var y = y
    for o in upper ? Array((0..<n).reversed()) : Array(0..<n) {
      let panel = 8 * (o / 8)..<min(8 * (o / 8) + 8, n)
      let unknowns = upper ? o + 1..<n : 0..<o
      let order = unknowns.filter { !panel.contains($0) } + unknowns.filter(panel.contains)
      for r in 0..<stride {
        var sum = -y[o * stride + r]
        for k in order { sum = S.multiplyAdd(matrix[o * n + k], y[k * stride + r], sum, fused: fused) }
        if let diagonal { sum /= diagonal[o] }
        y[o * stride + r] = -sum
      }
    }
    return y
  }
}

private func strides<S: TestScalar>(_ build: Build<S>) -> [Int] {
  [1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 16, 32, 64].filter { $0 < 16 || $0 % build.table.lanes == 0 }
}

private func solvesAreTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(31)
  for n in [1, 2, 7, 8, 9, 16, 17, 31] {
    for upper in [false, true] {
      let triangle = Triangle<S>(n, upper: upper, &random)
      let diagonal: [S] = random.numbers(n, 0.5, 2)
      for stride in strides(build) {
        // Rows of whole panels exist.
        let y: [S] = random.numbers((n + 7) / 8 * 8 * stride)
        for given in [nil, diagonal] {
          let solved = fenced([triangle.weights, diagonal], [y]) {
            build.table.triangularSolve(
              triangle.panels, $0[0], n, upper, given == nil ? nil : $0[1], $1[0], stride)
          }[0]
          let expected = triangle.solve(y, stride, diagonal: given, fused: build.fused)
          #expect(
            bits(Array(solved.prefix(n * stride))) == bits(Array(expected.prefix(n * stride))),
            "\(build.name), \(n) unknowns, stride \(stride), upper \(upper)")
        }
      }
    }
  }
}

private func reflectionsAreTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(32)
  for features in [1, 2, 5, 19] {
    for stride in strides(build) {
      let u: [S] = random.numbers(features)
      let x: [S] = random.numbers(features * stride)
      let result = fenced([u], [x]) { build.table.reflect(features, stride, $0[0], $1[0]) }[0]
      for r in 0..<stride {
        var dot: S = 0
        for i in 0..<features { dot = S.multiplyAdd(u[i], x[i * stride + r], dot, fused: build.fused) }
        for i in 0..<features {
          let expected = S.multiplyAdd(u[i], -2 * dot, x[i * stride + r], fused: build.fused)
          #expect(result[i * stride + r] == expected, "\(build.name), stride \(stride)")
        }
      }
    }
  }
}

@Suite struct LinearTests {
  @Test(arguments: builds32) func solve(_ build: Build<Float>) { solvesAreTheContract(build) }
  @Test(arguments: builds64) func solve(_ build: Build<Double>) { solvesAreTheContract(build) }
  @Test(arguments: builds32) func reflect(_ build: Build<Float>) { reflectionsAreTheContract(build) }
  @Test(arguments: builds64) func reflect(_ build: Build<Double>) { reflectionsAreTheContract(build) }
}
