import CLibrary
import KernelInterface

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
final class Adam<S: Scalar>: Optimizer {
  private let options: TrainOptions
  private let blocks: [ParameterBlock]
  private let moment1: ParameterVector<S>
  private let moment2: ParameterVector<S>
  private var steps = 0

  init(_ flow: FlowInTraining<S>, _ options: TrainOptions) throws(DiffeoError) {
    self.options = options
    blocks = ParameterBlock.all(flow.spec, flow.model)
    moment1 = try ParameterVector(count: flow.parameters.count)
    moment2 = try ParameterVector(count: flow.parameters.count)
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func step(
    _ flow: FlowInTraining<S>, _ gradient: ParameterVector<S>, scale: Double, rate: Double
  ) throws(DiffeoError) {
    steps += 1
    let t = Double(steps)
    let correction1 = 1 - pow(options.beta1, t)
    let correction2 = 1 - pow(options.beta2, t)
    try flow.workspace.forEach(blocks.count) { i, _ throws(DiffeoError) in
      let block = blocks[i]
      let scale = block.penalise(gradient, flow.parameters, l2: options.l2, scale: scale)
      let step = AdamStep(
        beta1: options.beta1, beta2: options.beta2, epsilon: options.epsilon,
        rate: rate / correction1,
        vScale: 1 / correction2.squareRoot(), decay: block.isWeight ? rate * options.weightDecay : 0,
        gradientScale: -scale)
      for row in 0..<block.rows {
        let at = block.offset + row * block.stride
        S.kernels.adam(
          step, block.count, gradient.pointer + at, flow.parameters.pointer + at, moment1.pointer + at,
          moment2.pointer + at)
      }
    }
  }
}
