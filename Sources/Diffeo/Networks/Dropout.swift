import KernelInterface

/// Which hidden units a step of training leaves out (Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014):
/// each is 0 with the probability of its network, else multiplied so that its mean stays. Drawn from the seed, the
/// number of the minibatch, the place of the row in it, the matrix that gives the unit, and the unit, nothing else.
struct Dropout: BitwiseCopyable {
  let seed: UInt64
  let minibatch: Int
  /// The place of the first row of a tile.
  let firstRow: Int

  /// Probabilities are counted in these parts.
  private static let parts = 65_536

  /// For the units that a matrix gives, [units][stride], in scratch memory.
  func multipliers<S: Scalar>(
    _ probability: Double, of layer: DenseLayer<S>, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let multipliers = try scratch.take(PackedMatrix<S>.padded(layer.outputs) * stride, of: S.self)
    // Each matrix and minibatch has a key of its own.
    let key = Philox.block(
      (
        UInt32(truncatingIfNeeded: layer.slot), UInt32(truncatingIfNeeded: minibatch), 0,
        UInt32(truncatingIfNeeded: RandomStream.dropout >> 32)
      ),
      (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    S.kernels.dropout(
      UInt64(key.0) | UInt64(key.1) << 32, UInt64(firstRow), layer.outputs, stride,
      Int((probability * Double(Dropout.parts)).rounded()), multipliers)
    return multipliers
  }
}

extension Activation {
  /// Whether the derivative comes from the output, and not from the input, or from the sign of the output: that it has
  /// as well where it is multiplied, and where it is multiplied by 0 there is no gradient.
  var needsOutput: Bool { !needsInput && self != .relu && self != .leakyReLU }
}

extension Network {
  /// From what the activation gives to what the next layer reads, of units begin..<end.
  @inline(__always)
  func drop(_ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ stride: Int) {
    if tape.hidden[i].multipliers != nil { dropUnits(begin * stride..<end * stride, tape.hidden[i]) }
  }

  /// And back, in place.
  @inline(__always)
  func pullDropped(
    _ i: Int, _ begin: Int, _ end: Int, _ tape: Tape, _ g: UnsafeMutablePointer<S>, _ stride: Int
  ) {
    if let multipliers = tape.hidden[i].multipliers { multiply(begin * stride..<end * stride, multipliers, g) }
  }

  @inline(never)
  private func dropUnits(_ range: Range<Int>, _ units: Units) {
    guard let multipliers = units.multipliers else { return }
    if units.after == units.active { return multiply(range, multipliers, units.after) }
    for j in range { units.after[j] = multipliers[j] * units.active[j] }
  }

  /// By itself: where the result may be an argument the compiler would see no vectors.
  @inline(never)
  private func multiply(_ range: Range<Int>, _ multipliers: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>) {
    for j in range { g[j] *= multipliers[j] }
  }
}
