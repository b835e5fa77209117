/// Stochastic gradient descent with momentum (Polyak 1964), as most libraries have it: v = momentum v + gradient, and the
/// parameters move by the rate times v. With decoupled weight decay (Loshchilov and Hutter 2019).
final class GradientDescent<S: Scalar>: Optimizer {
  private let options: TrainOptions
  private let blocks: [ParameterBlock]
  private let velocity: ParameterVector<S>

  init(_ flow: FlowInTraining<S>, _ options: TrainOptions) throws(DiffeoError) {
    self.options = options
    blocks = ParameterBlock.all(flow.spec, flow.model)
    velocity = try ParameterVector(count: flow.parameters.count)
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func step(
    _ flow: FlowInTraining<S>, _ gradient: ParameterVector<S>, scale: Double, rate: Double
  ) throws(DiffeoError) {
    let (momentum, step) = (S(options.momentum), S(rate))
    try flow.workspace.forEach(blocks.count) { i, _ throws(DiffeoError) in
      let block = blocks[i]
      let scale = S(block.penalise(gradient, flow.parameters, l2: options.l2, scale: scale))
      let kept = 1 - S(block.isWeight ? rate * options.weightDecay : 0)
      for row in 0..<block.rows {
        let at = block.offset + row * block.stride
        let (g, p, v) = (gradient.pointer + at, flow.parameters.pointer + at, velocity.pointer + at)
        for j in 0..<block.count {
          v[j] = momentum * v[j] + scale * g[j]
          p[j] = kept * p[j] + step * v[j]
        }
      }
    }
  }
}
