import KernelInterface
import Testing

/// A packed matrix with random ranges of inputs; of the last panel some outputs are not there.
private struct Packed<S: TestScalar> {
  var panels: [Panel] = []
  var weights: [S] = []

  init(panels count: Int, inputs: Int, full: Bool, _ random: inout Random) {
    for p in 0..<count {
      let a = full ? 0 : random.integer(0...inputs)
      let b = full ? inputs : random.integer(0...inputs)
      panels.append(Panel(offset: weights.count, begin: min(a, b), end: max(a, b)))
      weights += random.numbers(8 + 8 * (max(a, b) - min(a, b)))
      if p == count - 1 { panels[p].outputs = random.integer(1...8) }
    }
  }

  /// Those of all panels that are there; the last panel's others come behind them.
  var outputs: Int { panels.count * 8 - 8 + panels[panels.count - 1].outputs }

  /// The contract, literally.
  func product(
    first: Int, last: Int, _ kBegin: Int, _ kEnd: Int, fromBias: Bool, lower: S, _ x: [S], _ y: [S], _ stride: Int,
    fused: Bool
  ) -> [S] {
    var y = y
    for p in first..<last {
      let panel = panels[p]
      for o in 0..<8 {
        for r in 0..<stride {
          let at = (8 * p + o) * stride + r
          var sum = fromBias ? weights[panel.offset + o] : y[at]
          for k in max(kBegin, panel.begin)..<max(kBegin, panel.begin, min(kEnd, panel.end)) {
            let weight = weights[panel.offset + 8 + 8 * (k - panel.begin) + o]
            sum = S.multiplyAdd(weight, x[k * stride + r], sum, fused: fused)
          }
          y[at] = sum < lower ? lower : sum
        }
      }
    }
    return y
  }
}

private func run<S: TestScalar>(
  _ build: Build<S>, _ matrix: Packed<S>, _ first: Int, _ last: Int, _ kBegin: Int, _ kEnd: Int, fromBias: Bool,
  lower: S = -.infinity, _ x: [S], _ y: [S], _ stride: Int, atStart: Bool = false
) -> [S] {
  matrix.panels.withUnsafeBufferPointer { panels in
    fenced([matrix.weights, x], [y], atStart: atStart) { input, output in
      build.table.dense(
        panels.baseAddress!, input[0], first, last, kBegin, kEnd, fromBias, Double(lower), input[1], output[0], stride)
    }[0]
  }
}

private func strides<S: TestScalar>(_ build: Build<S>) -> [Int] {
  [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 24, 32, 40, 48, 64, 80, 112].filter {
    $0 < 16 || $0 % build.table.lanes == 0
  }
}

private func denseIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(1)
  for stride in strides(build) {
    let shapes = [(1, 5, true), (2, 1, true), (4, 17, false), (5, 30, true), (11, 40, false), (7, 0, true)]
    for (count, inputs, full) in shapes {
      let matrix = Packed<S>(panels: count, inputs: inputs, full: full, &random)
      let x: [S] = random.numbers(inputs * stride)
      let y: [S] = random.numbers(8 * count * stride)
      let first = random.integer(0...count - 1)
      let last = random.integer(first...count)
      let a = random.integer(0...inputs)
      let b = random.integer(0...inputs)
      let calls = [(0, count, 0, inputs), (first, last, min(a, b), max(a, b)), (0, count, 0, a)]
      for (first, last, kBegin, kEnd) in calls {
        for (fromBias, lower) in [(true, -S.infinity), (true, 0), (false, -S.infinity), (false, 0.25)] {
          let result = run(
            build, matrix, first, last, kBegin, kEnd, fromBias: fromBias, lower: lower, x, y, stride, atStart: fromBias)
          let expected = matrix.product(
            first: first, last: last, kBegin, kEnd, fromBias: fromBias, lower: lower, x, y, stride, fused: build.fused)
          let there = matrix.outputs * stride
          #expect(
            bits(Array(result[..<there])) == bits(Array(expected[..<there])),
            "\(build.name) stride \(stride) panels \(count) inputs \(inputs)")
        }
      }
    }
  }
}

/// A sum over cut ranges of k, and a row in a tile of any stride, give the same bits.
private func denseDoesNotDependOnTheWay<S: TestScalar>(_ build: Build<S>) {
  var random = Random(2)
  let inputs = 37
  let count = 6
  let matrix = Packed<S>(panels: count, inputs: inputs, full: false, &random)
  let row: [S] = random.numbers(inputs)
  let alone = run(
    build, matrix, 0, count, 0, inputs, fromBias: true, row, [S](repeating: 0, count: 8 * count), 1)
  for stride in strides(build) {
    let place = random.integer(0...stride - 1)
    var x: [S] = random.numbers(inputs * stride)
    for k in 0..<inputs { x[k * stride + place] = row[k] }
    var y = [S](repeating: 0, count: 8 * count * stride)
    var k = 0
    var begun = false
    while k < inputs || !begun {
      let next = min(inputs, k + random.integer(1...9))
      y = run(build, matrix, 0, count, k, next, fromBias: !begun, x, y, stride)
      begun = true
      k = next
    }
    let out = (0..<matrix.outputs).map { y[$0 * stride + place] }
    #expect(bits(out) == bits(Array(alone[..<matrix.outputs])), "\(build.name) stride \(stride)")
  }
}

/// Panels that begin at 0 and end later and later, as in a MADE, with zeros up to a multiple of 8.
private struct Stairs<S: TestScalar> {
  var panels: [Panel] = []
  var weights: [S] = []

  init(ends: [Int], lastOutputs: Int, _ random: inout Random) {
    for end in ends {
      panels.append(Panel(offset: weights.count, begin: 0, end: end))
      weights += random.numbers(8 + 8 * end)
      weights += [S](repeating: 0, count: 8 * ((end + 7) / 8 * 8 - end))
    }
    panels[panels.count - 1].outputs = lastOutputs
  }

  /// The contract, literally.
  func product(_ columns: Int, _ g: [S], _ y: [S], _ stride: Int, adds: Bool, fused: Bool) -> [S] {
    var y = y
    for k in 0..<columns {
      for r in 0..<stride {
        var sum = adds ? y[k * stride + r] : 0
        for (p, panel) in panels.enumerated() where k < panel.end {
          for o in 0..<panel.outputs {
            let weight = weights[panel.offset + 8 + 8 * k + o]
            sum = S.multiplyAdd(weight, g[(8 * p + o) * stride + r], sum, fused: fused)
          }
        }
        y[k * stride + r] = sum
      }
    }
    return y
  }
}

private func transposedIsTheContract<S: TestScalar>(_ build: Build<S>) {
  var random = Random(3)
  for stride in strides(build) where stride % build.table.lanes == 0 {
    for (ends, lastOutputs) in [([5], 3), ([0, 8, 8, 13, 30], 8), ([40, 40, 40], 1), ([3, 17], 7), ([0], 2)] {
      let matrix = Stairs<S>(ends: ends, lastOutputs: lastOutputs, &random)
      let columns = max(ends[ends.count - 1], 1)
      // Of outputs that are not there, there are no rows.
      let g: [S] = random.numbers((8 * (ends.count - 1) + lastOutputs) * stride)
      let y: [S] = random.numbers((columns + 7) / 8 * 8 * stride)
      for adds in [false, true] {
        let result = matrix.panels.withUnsafeBufferPointer { panels in
          fenced([matrix.weights, g], [y], atStart: adds) { input, output in
            build.table.denseTransposed(
              panels.baseAddress!, input[0], ends.count, columns, input[1], output[0], stride, adds)
          }[0]
        }
        let expected = matrix.product(columns, g, y, stride, adds: adds, fused: build.fused)
        #expect(
          bits(Array(result[..<(columns * stride)])) == bits(Array(expected[..<(columns * stride)])),
          "\(build.name) stride \(stride) ends \(ends) adds \(adds)")
      }
    }
  }
}

@Suite struct DenseTests {
  @Test(arguments: builds32) func transposed(_ build: Build<Float>) { transposedIsTheContract(build) }
  @Test(arguments: builds64) func transposed(_ build: Build<Double>) { transposedIsTheContract(build) }
  @Test(arguments: builds32) func contract(_ build: Build<Float>) { denseIsTheContract(build) }
  @Test(arguments: builds64) func contract(_ build: Build<Double>) { denseIsTheContract(build) }
  @Test(arguments: builds32) func anyWay(_ build: Build<Float>) { denseDoesNotDependOnTheWay(build) }
  @Test(arguments: builds64) func anyWay(_ build: Build<Double>) { denseDoesNotDependOnTheWay(build) }
}
