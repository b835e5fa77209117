extension SpecBuilder {
  package enum MADEConditional: Sendable {
    case gaussian
    case mixture(components: Int)
    case bernoulli
  }

  package mutating func setBaseMADE(
    _ conditioner: Conditioner, conditional: MADEConditional, order: Order, randomDegrees: Bool, masks: Int = 1,
    direct: Bool = false, seed: UInt64
  ) throws(DiffeoError) {
    throw DiffeoError(.unsupported, "MADE is on its way")
  }
}

extension SpecBuilder.MADEConditional {
  var isBernoulli: Bool {
    if case .bernoulli = self { true } else { false }
  }
}
