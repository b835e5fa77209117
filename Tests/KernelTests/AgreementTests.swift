import KernelInterface
import Testing

/// Kernels over matrices and rows: builds with FMA agree in every bit, and the baseline up to rounding.
private func buildsAgree<S: TestScalar>(_ type: S.Type) {
  var random = Random(14)
  let features = 45
  let stride = 32
  let inputs = 70
  let panelCount = 6
  let x: [S] = random.numbers(inputs * stride)
  let small: [S] = random.numbers(inputs * 5)
  let weights: [S] = random.numbers(panelCount * 8 * (inputs + 1))
  let panels = (0..<panelCount).map { Panel(offset: $0 * 8 * (inputs + 1), begin: 0, end: inputs) }
  let scale: [S] = random.numbers(features, 0.5, 2)
  let shift: [S] = random.numbers(features)
  func outputs(_ build: Build<S>) -> [[S]] {
    let table = build.table
    var all: [[S]] = []
    for (x, stride) in [(x, stride), (small, 5)] {
      all += fenced([weights, x], [[S](repeating: 0, count: 8 * panelCount * stride)]) {
        table.dense(panels, $0[0], 0, panelCount, 0, inputs, true, -.infinity, $0[1], $1[0], stride)
      }
      all += fenced([x, scale, shift], [[S](repeating: 0, count: features * stride)]) {
        table.scaleShift(features, stride, $0[0], $0[1], $0[2], $1[0])
      }
    }
    let total = Fenced([Double](repeating: 1, count: stride), atStart: false)
    x.withUnsafeBufferPointer {
      table.addRows(features, stride, $0.baseAddress!, -1, total.pointer)
      table.normalLogDensity(features, stride, $0.baseAddress!, total.pointer)
      table.logisticLogDensity(features, stride, $0.baseAddress!, total.pointer)
    }
    all.append(total.values.map { S($0) })
    return all
  }
  let results = S.builds.map(outputs)
  for (build, result) in zip(S.builds, results) where build.fused {
    for (a, b) in zip(result, results.last!) { #expect(bits(a) == bits(b), "\(build.name)") }
  }
  for (a, b) in zip(results[0], results.last!) {
    for (a, b) in zip(a, b) { #expect(abs(a - b) <= 200 * S.ulpOfOne * (1 + abs(b))) }
  }
}

@Suite(.enabled(if: builds32.count > 1, "there is one build of the kernels here"))
struct AgreementTests {
  @Test func builds32() { buildsAgree(Float.self) }
  @Test func builds64() { buildsAgree(Double.self) }
}
