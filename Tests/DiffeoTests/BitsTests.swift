import Glibc
import KernelInterface
import Testing

@testable import Diffeo
@testable import WeightFile

/// Every result has the bits that it had when Tests/bits was written: what changes the shape of the code changes no
/// number. `make bits` writes the files anew, where a number was meant to change.
@Suite struct BitsTests {
  /// A line a flow: its name, and checksums of what can be asked of it.
  struct Recorded {
    static let folder = #filePath.replacing("DiffeoTests/BitsTests.swift", with: "bits")
    /// Machines with fused multiply-add agree, the baseline is another. Logarithms and exponentials of single numbers
    /// are glibc's.
    static let name = InstructionSet.chosen.rawValue == "baseline" ? "baseline" : "fma"
    static let path = "\(folder)/\(name).txt"
    static let libc: String = {
      var text = [UInt8](repeating: 0, count: 64)
      let length = text.withUnsafeMutableBytes {
        confstr(Int32(_CS_GNU_LIBC_VERSION), $0.assumingMemoryBound(to: CChar.self).baseAddress, $0.count)
      }
      return String(decoding: text.prefix(max(length, 1) - 1), as: UTF8.self)
    }()
    static let isRewritten = getenv("DIFFEO_WRITE_BITS") != nil

    let system: String
    let sums: [String: String]

    init() throws {
      let text = String(decoding: try read(Self.path), as: UTF8.self).split(separator: "\n")
      system = String(try #require(text.first))
      sums = Dictionary(
        uniqueKeysWithValues: text.dropFirst().map { line in
          let parts = line.split(separator: " | ")
          return (String(parts[0]), parts.dropFirst().joined(separator: " | "))
        })
    }

    static var isComparable: Bool { isRewritten || ((try? Recorded().system) ?? libc) == libc }
  }

  /// Of other libraries, and of all versions of this one.
  static let files: [(name: String, path: String)] = {
    let tests = #filePath.replacing("/DiffeoTests/BitsTests.swift", with: "")
    let golden = fileNames(in: "\(tests)/golden").sorted().map { (name: $0, path: "\(tests)/golden/\($0)") }
    let own = fileNames(in: "\(tests)/files").sorted().flatMap { version in
      fileNames(in: "\(tests)/files/\(version)").sorted().map {
        (name: "\(version)/\($0)", path: "\(tests)/files/\(version)/\($0)")
      }
    }
    return (golden + own).filter { $0.name.hasSuffix(".h5") }
  }()

  @Test(.enabled(if: Recorded.isComparable, "Tests/bits is of another version of glibc"))
  func resultsHaveTheirBits() throws {
    var lines: [(name: String, sums: String)] = []
    for c in Case.all {
      lines.append(
        (
          c.name,
          "\(try checksums(Flow<Float>.random(c.spec(.f32), seed: 31))) | "
            + "\(try checksums(Flow<Double>.random(c.spec(.f64), seed: 31)))"
        ))
    }
    for (name, path) in Self.files {
      switch try WeightFile.load(path: path).flow {
      case .f32(let flow): lines.append((name, try checksums(flow)))
      case .f64(let flow): lines.append((name, try checksums(flow)))
      }
    }
    if Recorded.isRewritten {
      let text = lines.map { "\($0.name) | \($0.sums)\n" }.joined()
      try write(Array("\(Recorded.libc)\n\(text)".utf8), to: Recorded.path)
    }
    #expect(Set(lines.map(\.name)).count == lines.count, "two cases have one name")
    let recorded = try Recorded().sums
    for (name, sums) in lines { #expect(sums == recorded[name], "\(name)") }
  }

  private func checksums<S: Scalar>(_ flow: Flow<S>) throws -> String {
    let rows = Rows<S>.random(130, flow.spec, seed: 32)
    let one = Rows<S>(
      x: Array(rows.x.prefix(flow.spec.dim)), context: Array(rows.context.prefix(flow.spec.contextDim)), count: 1)
    var sums: [(String, Checksum)] = []
    func add(_ name: String, _ values: [S]...) {
      var sum = Checksum()
      for values in values { for value in values { sum.add(value) } }
      sums.append((name, sum))
    }
    for (name, question) in [("z", Flow<S>.Question.toNoise), ("x", .fromNoise), ("p", .logProb)] {
      let (many, single) = (try flow.run(question, rows), try flow.run(question, one))
      add(name, many.values, many.logs, single.values, single.logs)
    }
    let gradient = try flow.gradient(rows)
    add("g", gradient.logProb, gradient.x, gradient.context)
    let samples = try flow.samples(rows.count, seed: 33, context: rows.context)
    add("s", samples.x, samples.logProb)
    let trained = try train(flow)
    add("t", trained)
    return sums.map { "\($0.0) \($0.1.text)" }.joined(separator: " ")
  }

  /// All weights after two epochs: splitting, shuffling, gradients and steps are in them. A flow that has no density at
  /// the rows is not trained; then there are none.
  private func train<S: Scalar>(_ flow: Flow<S>) throws -> [S] {
    var options = TrainOptions()
    options.batchSize = 100
    options.maxEpochs = 2
    options.patience = 0
    options.clipNorm = 5
    options.clipQuantile = 0
    options.validationFraction = 0.1
    options.weightDecay = 0.01
    options.schedule = .cosine
    options.seed = 34
    let rows = Rows<S>.random(300, flow.spec, seed: 35)
    var values = rows.x
    for (column, levels) in flow.spec.counts {
      for i in stride(from: column, to: values.count, by: flow.spec.dim) {
        let count = Int((values[i].magnitude * 10).rounded(.down))
        values[i] = S(levels == 0 ? count : count % levels)
      }
    }
    return try values.withUnsafeBufferPointer { x in
      try rows.context.withUnsafeBufferPointer { context in
        let batch = Batch(rows: rows.count, x: x.baseAddress, context: context.baseAddress, contextIsShared: false)
        do throws(DiffeoError) {
          let trainer = try Trainer(flow, options, batch)
          while !trainer.report.finished { try trainer.step(0) { false } }
          let last = try trainer.currentFlow().parameters
          let report = [
            S(trainer.report.trainLogProb), S(trainer.report.bestLogProb), S(trainer.report.gradientNorm),
          ]
          return (0..<last.count).map { last.pointer[$0] } + report
        } catch {
          guard error.code == .numeric else { throw error }
          return []
        }
      }
    }
  }
}

/// FNV-1a over the bytes of numbers; all NaN are one.
private struct Checksum {
  private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add<S: Scalar>(_ value: S) {
    withUnsafeBytes(of: value.isNaN ? S.nan : value) { bytes in
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
  }

  var text: String {
    let digits = String(hash ^ (hash >> 32) & 0xffff_ffff, radix: 16)
    return String(digits.suffix(8))
  }
}
