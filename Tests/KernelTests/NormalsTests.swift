import Glibc
import KernelInterface
import Testing

/// Philox4x32-10, literally from the paper.
private func philox(_ counter: [UInt32], _ key: [UInt32]) -> [UInt32] {
  var (c, k) = (counter, key)
  for _ in 0..<10 {
    let p0 = UInt64(0xD251_1F53) * UInt64(c[0])
    let p1 = UInt64(0xCD9E_8D57) * UInt64(c[2])
    c = [
      UInt32(p1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
      UInt32(p0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: p0),
    ]
    k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85]
  }
  return c
}

/// The number of (row, feature) in extended precision; u1 and u2 in double precision, as the contract has them.
private func exactNormal(_ seed: UInt64, _ row: UInt64, _ feature: Int) -> Exact {
  let w = philox(
    [UInt32(truncatingIfNeeded: row), UInt32(row >> 32), UInt32(feature / 2), 0],
    [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)])
  func uniform(_ low: UInt32, _ high: UInt32) -> Double {
    (Double((UInt64(low) | UInt64(high) << 32) >> 11) + 0.5) * 0x1p-53
  }
  let u1 = Exact(uniform(w[0], w[1]))
  let u2 = Exact(uniform(w[2], w[3]))
  let radius = (-2 * log(u1)).squareRoot()
  // The angle modulo a quarter turn first: extended precision has no pi to spare.
  let quarter = (u2 * 4).rounded()
  let angle = 2 * Exact.pi * (u2 - quarter / 4)
  let (c, s) = (cos(angle), sin(angle))
  let turned: (Exact, Exact)
  switch Int(quarter) & 3 {
  case 0: turned = (c, s)
  case 1: turned = (-s, c)
  case 2: turned = (-c, -s)
  default: turned = (s, -c)
  }
  return radius * (feature % 2 == 0 ? turned.0 : turned.1)
}

/// Philox's numbers of stream 1; the last one below 1 in place of 1.
private func exactUniform(_ seed: UInt64, _ row: UInt64, _ feature: Int) -> Double {
  let w = philox(
    [UInt32(truncatingIfNeeded: row), UInt32(row >> 32), UInt32(feature / 2), 1],
    [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)])
  let (low, high) = feature % 2 == 0 ? (w[0], w[1]) : (w[2], w[3])
  return min((Double((UInt64(low) | UInt64(high) << 32) >> 11) + 0.5) * 0x1p-53, 1.0.nextDown)
}

private func uniforms<S: TestScalar>(
  _ build: Build<S>, _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int
) -> [Double] {
  fenced([], [[Double](repeating: 0, count: features * stride)]) {
    build.table.uniforms(seed, firstRow, features, stride, $1[0])
  }[0]
}

private func uniformsAreTheFormula<S: TestScalar>(_ build: Build<S>) {
  for seed in [0, 0x0123_4567_89AB_CDEF, UInt64.max] {
    for firstRow in [0, 77, 0xFFFF_FFF0, UInt64.max - 20] {
      for (features, stride) in [(1, 64), (2, 1), (7, 3), (32, 64), (5, 16)] {
        let u = uniforms(build, seed, firstRow, features, stride)
        let exact = (0..<features * stride).map { exactUniform(seed, firstRow &+ UInt64($0 % stride), $0 / stride) }
        #expect(u == exact, "\(build.name)")
      }
    }
  }
}

private func dropoutIsTheFormula<S: TestScalar>(_ build: Build<S>) {
  for seed in [0, 0x0123_4567_89AB_CDEF, UInt64.max] {
    for firstRow in [0, 77, 0xFFFF_FFF0, UInt64.max - 20] {
      for dropped in [0, 1, 6554, 32768, 65535, 65536] {
        for (units, stride) in [(8, 64), (1, 16), (19, 32)] {
          let padded = (units + 7) / 8 * 8
          let tile = fenced([], [[S](repeating: 0, count: padded * stride)]) {
            build.table.dropout(seed, firstRow, units, stride, dropped, $1[0])
          }[0]
          let exact = (0..<units * stride).map { at in
            let (unit, row) = (at / stride, firstRow &+ UInt64(at % stride))
            let word = philox(
              [UInt32(truncatingIfNeeded: row), UInt32(row >> 32), UInt32(unit / 8), 2],
              [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)])[unit % 8 / 2]
            let draw = Int(unit % 2 == 0 ? word & 0xFFFF : word >> 16)
            return draw < dropped ? 0 : S(65536 / Double(65536 - dropped))
          }
          #expect(Array(tile.prefix(exact.count)) == exact, "\(build.name), \(dropped) dropped")
        }
      }
    }
  }
}

private func normals<S: TestScalar>(
  _ build: Build<S>, _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int
) -> [S] {
  fenced([], [[S](repeating: 0, count: features * stride)]) {
    build.table.normals(seed, firstRow, features, stride, $1[0])
  }[0]
}

private func normalsAreTheFormula<S: TestScalar>(_ build: Build<S>) {
  var worst = 0.0
  for seed in [0, 1, 0x0123_4567_89AB_CDEF, UInt64.max] {
    for firstRow in [0, 77, 0xFFFF_FFF0, UInt64.max - 20] {
      for features in [1, 2, 7, 32] {
        let z = normals(build, seed, firstRow, features, 64)
        for i in 0..<features {
          for r in 0..<64 {
            let exact = exactNormal(seed, firstRow &+ UInt64(r), i)
            worst = max(worst, ulps(z[i * 64 + r], exact))
          }
        }
      }
    }
  }
  #expect(worst <= (S.self == Float.self ? 0.51 : 3), "\(build.name)")
  if getenv("KERNEL_TESTS_SHOW") != nil { print("\(S.self) \(build.name) normals: \(worst) ulp") }
}

/// A number depends on seed, row and feature only; builds with FMA agree in every bit.
private func normalsDependOnTheirPlaceOnly<S: TestScalar>(_ type: S.Type) {
  var first: [S]?
  for build in S.builds {
    let whole = normals(build, 5, 100, 21, 64)
    for features in [1, 2, 5, 20, 21] {
      for stride in [1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 32, 48] where stride < 16 || stride % build.table.lanes == 0 {
        for shift in [0, 3, 16] {
          let z = normals(build, 5, 100 + UInt64(shift), features, stride)
          for i in 0..<features {
            #expect(
              bits(Array(z[i * stride..<(i + 1) * stride]))
                == bits(Array(whole[i * 64 + shift..<i * 64 + shift + stride])),
              "\(build.name) stride \(stride)")
          }
        }
      }
    }
    if build.fused {
      if let first { #expect(bits(first) == bits(whole)) }
      first = whole
    }
  }
}

private func normalsAreNormal<S: TestScalar>(_ build: Build<S>) {
  let n = 512 * 1024
  let z = normals(build, 42, 0, n / 64, 64).map(Double.init)
  let mean = z.reduce(0, +) / Double(n)
  let variance = z.reduce(0) { $0 + $1 * $1 } / Double(n)
  let fourth = z.reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(n)
  // Five standard errors.
  #expect(abs(mean) < 5 / Double(n).squareRoot())
  #expect(abs(variance - 1) < 5 * (2 / Double(n)).squareRoot())
  #expect(abs(fourth - 3) < 5 * (96 / Double(n)).squareRoot())
  let product = stride(from: 0, to: n, by: 128).reduce(0.0) { sum, i in
    sum + (0..<64).reduce(0.0) { $0 + z[i + $1] * z[i + 64 + $1] }
  }
  #expect(abs(product / Double(n / 2)) < 5 / Double(n / 2).squareRoot())
}

@Suite struct NormalsTests {
  /// The known answers of Random123.
  @Test func philoxReference() {
    #expect(philox([0, 0, 0, 0], [0, 0]) == [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
    let ones = UInt32.max
    #expect(philox([ones, ones, ones, ones], [ones, ones]) == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
    #expect(
      philox([0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0])
        == [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1])
  }
  @Test(arguments: builds32) func formula(_ build: Build<Float>) { normalsAreTheFormula(build) }
  @Test(.widerThanDouble, arguments: builds64) func formula(_ build: Build<Double>) { normalsAreTheFormula(build) }
  @Test(arguments: builds32) func uniforms32(_ build: Build<Float>) { uniformsAreTheFormula(build) }
  @Test(arguments: builds64) func uniforms64(_ build: Build<Double>) { uniformsAreTheFormula(build) }
  @Test(arguments: builds32) func dropout32(_ build: Build<Float>) { dropoutIsTheFormula(build) }
  @Test(arguments: builds64) func dropout64(_ build: Build<Double>) { dropoutIsTheFormula(build) }
  @Test func place32() { normalsDependOnTheirPlaceOnly(Float.self) }
  @Test func place64() { normalsDependOnTheirPlaceOnly(Double.self) }
  @Test(arguments: builds32) func moments(_ build: Build<Float>) { normalsAreNormal(build) }
  @Test(arguments: builds64) func moments(_ build: Build<Double>) { normalsAreNormal(build) }
}
