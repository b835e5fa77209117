/// How a gradient moves the parameters of a flow.
protocol Optimizer<S>: AnyObject {
  associatedtype S: Scalar

  /// One step in the direction in which the objective grows, `scale` times its gradient, which it may write over. The flow
  /// has yet to be prepared.
  func step(
    _ flow: FlowInTraining<S>, _ gradient: ParameterVector<S>, scale: Double, rate: Double
  ) throws(DiffeoError)
}

extension TrainOptions {
  func makeOptimizer<S: Scalar>(_ flow: FlowInTraining<S>) throws(DiffeoError) -> any Optimizer<S> {
    switch optimizer {
    case .adam: try Adam(flow, self)
    case .sgd: try GradientDescent(flow, self)
    }
  }
}

extension ParameterBlock {
  /// Makes `scale` times the gradient that of the objective minus l2 |w|^2 / 2. Gives what the gradient has yet to be
  /// scaled by.
  @inline(__always)
  func penalise<S: Scalar>(_ gradient: ParameterVector<S>, _ parameters: ParameterVector<S>, l2: Double, scale: Double)
    -> Double
  {
    if l2 == 0 || !isWeight { return scale }
    for row in 0..<rows {
      for i in offset + row * stride..<offset + row * stride + count {
        gradient.pointer[i] = S(scale) * gradient.pointer[i] - S(l2) * parameters.pointer[i]
      }
    }
    return 1
  }
}
