import Glibc
import Testing

@testable import Diffeo

/// What single layers promise beyond the contract suite: their formulas, literally, and their edges.
@Suite struct LayerTests {
  /// A flow of one layer whose parameters `set` may change.
  private func flow<S: Scalar>(
    dim: Int, contextDim: Int = 0, as type: S.Type = Double.self, _ build: (inout SpecBuilder) throws -> Void,
    _ set: (_ slot: ParameterSlot, _ values: UnsafeMutablePointer<S>) -> Void
  ) throws -> Flow<S> {
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: S.dtype)
    try build(&builder)
    let flow = try Flow<S>(spec: builder.spec, seed: 1)
    let parameters = try ParameterVector(copy: flow.parameters)
    for slot in builder.spec.slots.flatMap(\.slots) { set(slot, parameters.pointer + slot.offset) }
    return try Flow(spec: builder.spec, parameters: parameters)
  }

  private func rows<S: Scalar>(_ x: [S], dim: Int) -> Rows<S> { Rows(x: x, context: [], count: x.count / dim) }

  // MARK: lu

  @Test func luIsTheProductOfItsFactors() throws {
    let d = 5
    var random = Philox(seed: 3, stream: 1)
    var (lower, upper, logScale, sign, bias) = ([Double](), [Double](), [Double](), [Double](), [Double]())
    let flow = try flow(dim: d, { try $0.addLU(permuted: true, seed: 4) }) { slot, values in
      for i in 0..<slot.count {
        values[i] = slot.name == "sign" ? (i % 2 == 0 ? -1 : 1) : 2 * random.uniform() - 1
      }
      let copy = (0..<slot.count).map { values[$0] }
      switch slot.name {
      case "lower": lower = copy
      case "upper": upper = copy
      case "log_scale": logScale = copy
      case "sign": sign = copy
      default: bias = copy
      }
    }
    guard case .ints(let permutation)? = flow.spec.layerRecords[0]["permutation"] else {
      Issue.record("no permutation")
      return
    }
    #expect(permutation != Array(0..<d))
    let x = (0..<d).map { _ in 2 * random.uniform() - 1 }
    let u = (0..<d).map { i in
      sign[i] * exp(logScale[i]) * x[i] + (i + 1..<d).reduce(0) { $0 + upper[i * d + $1] * x[$1] }
    }
    let v = (0..<d).map { i in u[i] + (0..<i).reduce(0) { $0 + lower[i * d + $1] * u[$1] } }
    let (z, logDet) = try flow.run(.toNoise, rows(x, dim: d))
    for i in 0..<d { #expect(abs(z[i] - v[permutation[i]] - bias[i]) < 1e-13) }
    #expect(abs(logDet[0] - logScale.reduce(0, +)) < 1e-13)
  }

  @Test func luTrainsWhatItUsesAndRefusesOtherSigns() throws {
    let flow = try flow(dim: 3, { try $0.addLU(permuted: true, seed: 4) }) { _, _ in }
    let gradient = try parameterGradient(flow, Rows.random(50, flow.spec, seed: 3))
    for i in 0..<3 {
      for j in 0..<3 {
        #expect((gradient[3 * i + j] != 0) == (j < i))
        #expect((gradient[9 + 3 * i + j] != 0) == (j > i))
      }
    }
    let parameters = try ParameterVector(copy: flow.parameters)
    parameters.pointer[22] = 0.5
    #expect(throws: DiffeoError.self) { try Flow(spec: flow.spec, parameters: parameters) }
  }

  // MARK: householder

  @Test func householderAppliesTheLastReflectionFirst() throws {
    let v: [[Double]] = [[3, 0.5, -1], [0.2, -2, 1e3]]
    let flow = try flow(dim: 3, { try $0.addHouseholder(reflections: 2) }) { _, values in
      for i in 0..<6 { values[i] = v[i / 3][i % 3] }
    }
    var x = [0.3, -0.7, 1.9]
    let (z, logDet) = try flow.run(.toNoise, rows(x, dim: 3))
    for v in v.reversed() {
      let factor = 2 * zip(v, x).reduce(0) { $0 + $1.0 * $1.1 } / v.reduce(0) { $0 + $1 * $1 }
      x = zip(v, x).map { $1 - factor * $0 }
    }
    for i in 0..<3 { #expect(abs(z[i] - x[i]) < 1e-14) }
    #expect(logDet[0] == 0)
  }

  @Test func householderOfVectorsOfAnyLengthButZero() throws {
    for length in [1e-300, 1e300] {
      let flow = try flow(dim: 2, { try $0.addHouseholder(reflections: 1) }) { _, values in
        (values[0], values[1]) = (length, length)
      }
      let z = try flow.run(.toNoise, rows([1, 3], dim: 2)).values
      #expect(abs(z[0] + 3) < 1e-14 && abs(z[1] + 1) < 1e-14)
    }
    #expect(throws: DiffeoError.self) {
      try flow(dim: 2, { try $0.addHouseholder(reflections: 1) }) { _, values in
        (values[0], values[1]) = (0.0, 0.0)
      }
    }
  }

  // MARK: actnorm

  @Test func anActNormThatIsSetStaysAsItIs() throws {
    for shift in [false, true] {
      let flow = try flow(dim: 2, { try $0.addElementwiseAffine(shift: shift) }) { _, _ in }
      #expect(flow.spec.layerRecords[0].kind == "actnorm")
      #expect(flow.spec.parameterCount == (shift ? 5 : 3))
      #expect(flow.parameters.pointer[flow.parameters.count - 1] == 1)
      #expect(try flow.run(.toNoise, rows([3.5, -2.0], dim: 2)).values == [3.5, -2])
    }
  }
}
