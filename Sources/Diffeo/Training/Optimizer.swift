/// How a gradient moves the parameters of a flow.
protocol Optimizer<S>: AnyObject {
  associatedtype S: Scalar

  /// One step in the direction in which the objective grows, `scale` times its gradient. The flow has yet to be prepared.
  func step(
    _ flow: FlowInTraining<S>, _ gradient: ParameterVector<S>, scale: Double, rate: Double
  ) throws(DiffeoError)
}
