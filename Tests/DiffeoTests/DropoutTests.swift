import Glibc
import KernelInterface
import Testing

@testable import Diffeo

/// What training leaves out of networks. (That its gradients are those of the units it keeps, the contract suite asks.)
@Suite struct DropoutTests {
  private let pool = Pool()
  private let scratch = Scratch()

  /// A network of one hidden layer, whose outputs are linear in what dropout multiplies, with random parameters.
  private func network(_ blocks: NetworkBlocks, dropout: Double) throws -> (Network<Double>, ParameterVector<Double>) {
    let spec = try NetworkSpec(
      inputs: 3, outputs: 2, conventions: .small(hidden: [40], .tanh, blocks, dropout: dropout))
    let parameters = try ParameterVector<Double>(count: spec.parameterCount)
    var random = Philox(seed: 7, stream: 0)
    for i in 0..<parameters.count { parameters.pointer[i] = 2 * random.uniform() - 1 }
    let network = try Network<Double>(spec, offset: 0, slot: 5, pool: pool)
    network.prepare(parameters.pointer)
    return (network, parameters)
  }

  private func multipliers(
    _ dropout: Dropout, _ probability: Double, slot: Int = 5, units: Int = 40, _ stride: Int = 64
  ) throws -> [Double] {
    let names = (0..<Int32(units)).map { $0 }
    let layer = try DenseLayer<Double>(
      offset: 0, slot: slot, rowOrder: names, columnOrder: [0], limits: names.map { _ in 1 }, pool: pool)
    let tile = try dropout.multipliers(probability, of: layer, stride, scratch)
    return (0..<units * stride).map { tile[$0] }
  }

  @Test(arguments: [NetworkBlocks.plain, .residual, .preactivation]) func theMeanStays(_ blocks: NetworkBlocks) throws {
    defer { scratch.destroy() }
    let (stride, draws) = (16, 4000)
    let (network, _) = try network(blocks, dropout: 0.3)
    let input: UnsafeMutablePointer<Double> = try scratch.take(3 * stride)
    for i in 0..<3 * stride { input[i] = 0.1 * Double(i % 13) - 0.5 }
    let whole = try network.forward(input, stride, scratch, recording: true, nil).output
    var sums = [Double](repeating: 0, count: 2 * stride)
    var squares = sums
    for minibatch in 0..<draws {
      let mark = scratch.mark
      let output = try network.forward(
        input, stride, scratch, recording: true, Dropout(seed: 1, minibatch: minibatch, firstRow: 0)
      ).output
      for i in sums.indices {
        sums[i] += output[i] - whole[i]
        squares[i] += (output[i] - whole[i]) * (output[i] - whole[i])
      }
      scratch.release(to: mark)
    }
    for i in sums.indices {
      #expect(squares[i] > 0.01 * Double(draws))
      // Five standard errors.
      #expect(abs(sums[i]) < 5 * squares[i].squareRoot(), "output \(i)")
    }
  }

  @Test(arguments: [0, 1e-6, 0.1, 0.5, 0.97, 1.0.nextDown]) func probabilities(_ p: Double) throws {
    defer { scratch.destroy() }
    let n = 40 * 64 * 50
    var dropped = 0
    for minibatch in 0..<50 {
      for m in try multipliers(Dropout(seed: 3, minibatch: minibatch, firstRow: 0), p) {
        if m == 0 { dropped += 1 } else { #expect(abs(m * (1 - p) - 1) < 2e-5 / (1 - p)) }
      }
    }
    #expect(abs(Double(dropped) - p * Double(n)) <= 5 * (p * (1 - p) * Double(n)).squareRoot() + 1e-5 * Double(n))
  }

  /// A row's draws are its own wherever the tile begins; those of another seed, minibatch or matrix are others.
  @Test func drawsDependOnTheirPlaceOnly() throws {
    defer { scratch.destroy() }
    func draws(_ seed: UInt64, _ minibatch: Int, _ firstRow: Int, slot: Int = 5, stride: Int = 64) throws -> [[Bool]] {
      let m = try multipliers(Dropout(seed: seed, minibatch: minibatch, firstRow: firstRow), 0.5, slot: slot, stride)
      return (0..<40).map { unit in (0..<stride).map { m[unit * stride + $0] == 0 } }
    }
    let here = try draws(1, 2, 0)
    let later = try draws(1, 2, 24, stride: 32)
    for unit in 0..<40 { #expect(later[unit] == Array(here[unit][24..<56])) }
    for others in [try draws(2, 2, 0), try draws(1, 3, 0), try draws(1, 2, 0, slot: 7), try draws(1, 2, 64)] {
      let same = zip(here.joined(), others.joined()).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) }
      #expect(abs(Double(same) - 1280) < 5 * 640.0.squareRoot())
    }
  }

  /// With and without, a flow is the same function; only what training sees differs, from step to step, but not with the
  /// number of threads.
  @Test(arguments: Case.dropouts) func onlyTrainingLeavesOut(_ c: Case) throws {
    defer { scratch.destroy() }
    let spec = try c.spec(.f64)
    let flow = try Flow<Double>.random(spec, seed: 3)
    func without(_ record: Record) -> Record {
      var record = record
      record["dropout"] = nil
      return record
    }
    let plain = try Flow(
      spec: FlowSpec(
        dtype: .f64, shape: spec.shape, contextDim: spec.contextDim, context: nil,
        layers: spec.layerRecords.map(without),
        base: without(spec.baseRecord)),
      parameters: flow.parameters)
    #expect(plain.spec != spec)
    #expect(spec.summary.contains("dropout") && !plain.spec.summary.contains("dropout"))
    let rows = Rows<Double>.random(700, spec, seed: 6)
    for question in [Flow<Double>.Question.toNoise, .fromNoise, .logProb] {
      let (a, b) = (try flow.run(question, rows), try plain.run(question, rows))
      #expect(a.values == b.values && a.logs == b.logs)
    }
    #expect(try flow.gradient(rows).x == plain.gradient(rows).x)

    func objective(_ flow: Flow<Double>, seed: UInt64 = 1, minibatch: Int = 0, threads: Int = 1) throws -> [Double] {
      let flow = try FlowInTraining(flow, threads: threads)
      let source = try withBatch(rows) { try flow.rows($0, .training, TrainOptions()) }
      let (mean, gradient) = try Likelihood(flow, rows: rows.count, seed: seed).evaluated(source, minibatch: minibatch)
      return gradient + [mean]
    }
    let here = try objective(flow)
    for threads in [2, 3] { #expect(try objective(flow, threads: threads) == here) }
    // Masks of a MADE take turns, too: after two they are the same.
    for others in [try objective(plain), try objective(flow, minibatch: 2), try objective(flow, seed: 2)] {
      #expect(others != here && others.last != here.last)
    }
    let two = try objective(plain, seed: 2, minibatch: 2)
    #expect(try objective(plain) == two)
  }
}
