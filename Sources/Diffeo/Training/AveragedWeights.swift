/// An exponential moving average of the weights (Polyak and Juditsky 1992).
final class AveragedWeights<S: Scalar> {
  let parameters: ParameterVector<S>
  private let decay: Double
  private var steps = 0

  init(_ first: ParameterVector<S>, decay: Double) throws(DiffeoError) {
    parameters = try ParameterVector(copy: first)
    self.decay = decay
  }

  func begin(_ first: ParameterVector<S>) {
    parameters.pointer.update(from: first.pointer, count: parameters.count)
  }

  /// After a step. At first the latest weights count for more, so that those the training began with are soon forgotten.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func add(_ latest: ParameterVector<S>) {
    steps += 1
    let part = S(1 - min(decay, Double(1 + steps) / Double(10 + steps)))
    let (average, latest) = (parameters.pointer, latest.pointer)
    for i in 0..<parameters.count { average[i] += part * (latest[i] - average[i]) }
  }
}
