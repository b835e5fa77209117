import Glibc
import KernelInterface
import Testing

private func adamIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(12)
  let n = 1003
  let g: [S] = random.numbers(n)
  let p: [S] = random.numbers(n)
  let m: [S] = random.numbers(n, -0.1, 0.1)
  let v: [S] = random.numbers(n, 0, 0.1)
  let step = AdamStep(
    beta1: 0.9, beta2: 0.999, epsilon: 1e-8, rate: 3e-3, vScale: 1.7, decay: 1e-4, gradientScale: 0.4)
  let out = fenced([g], [p, m, v]) { build.table.adam(step, n, $0[0], $1[0], $1[1], $1[2]) }
  let tolerance = 8 * Double(S.ulpOfOne)
  for i in 0..<n {
    let gi = Double(g[i]) * step.gradientScale
    let mi = step.beta1 * Double(m[i]) + (1 - step.beta1) * gi
    let vi = step.beta2 * Double(v[i]) + (1 - step.beta2) * gi * gi
    let move = step.rate * mi / (vi.squareRoot() * step.vScale + step.epsilon)
    let pi = Double(p[i]) - move - step.decay * Double(p[i])
    #expect(abs(Double(out[0][i]) - pi) <= tolerance * (abs(pi) + abs(move)), "\(build.name)")
    #expect(abs(Double(out[1][i]) - mi) <= tolerance * 0.3, "\(build.name)")
    #expect(abs(Double(out[2][i]) - vi) <= tolerance * vi, "\(build.name)")
  }
  // Parameters without gradients so far stay.
  let still = fenced([[0, 0, 0]], [[1, 2, 3], [0, 0, 0], [0, 0, 0]]) {
    build.table.adam(
      AdamStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, rate: 1, vScale: 1, decay: 0, gradientScale: 1), 3,
      $0[0], $1[0], $1[1], $1[2])
  }
  #expect(still[0] == [1, 2, 3] && still[1] == [0, 0, 0] && still[2] == [0, 0, 0])
}

private func sumsOfSquaresAreRight<S: TestScalar>(_ type: S.Type) {
  var random = Random(13)
  for count in Array(0...70) + [1000, 4099] {
    let x: [S] = random.numbers(count)
    let exact = x.reduce(Exact(0)) { $0 + Exact($1) * Exact($1) }
    var first: Double?
    for build in S.builds {
      var sums: [Double] = []
      // At any alignment.
      for offset in 0..<3 {
        let shifted = Fenced([S](repeating: 0, count: offset) + x, atStart: offset == 2)
        sums.append(build.table.sumOfSquares(count, shifted.input + offset))
      }
      let end = Fenced(x, atStart: false)
      sums.append(build.table.sumOfSquares(count, end.input))
      #expect(Set(bits(sums)).count == 1, "\(build.name)")
      #expect(abs(Exact(sums[0]) - exact) <= 1e-13 * exact, "\(build.name) \(count)")
      if build.fused {
        if let first { #expect(first == sums[0]) }
        first = sums[0]
      }
    }
  }
}

@Suite struct OptimizerTests {
  @Test(arguments: builds32) func adam(_ build: Build<Float>) { adamIsTheContract(build) }
  @Test(arguments: builds64) func adam(_ build: Build<Double>) { adamIsTheContract(build) }
  @Test func sumOfSquares32() { sumsOfSquaresAreRight(Float.self) }
  @Test(.widerThanDouble) func sumOfSquares64() { sumsOfSquaresAreRight(Double.self) }
}
