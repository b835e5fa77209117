// Which layers and bases there are: a new one is a file and a line here. (Maps of one number: ElementMap.)

extension LayerSpec {
  static let kinds: [any BijectionSpec.Type] = [
    AutoregressiveSpec.self,
    CouplingSpec.self,
    ConvolutionalCouplingSpec.self,
    ElementwiseSpec.self,
    PlanarSpec.self,
    RadialSpec.self,
    PermutationSpec.self,
    SqueezeSpec.self,
    LUSpec.self,
    LinearSpec.self,
    HouseholderSpec.self,
    ActNormSpec.self,
    BatchNormSpec.self,
    StandardizeSpec.self,
    DomainSpec.self,
    WrapSpec.self,
    DequantizeSpec.self,
  ]
}

extension BaseSpec {
  static let kinds: [any DistributionSpec.Type] = [
    StandardNormalSpec.self,
    NormalSpec.self,
    LogisticSpec.self,
    UniformSpec.self,
    StudentTSpec.self,
    MixtureSpec.self,
    BetaSpec.self,
    MADESpec.self,
  ]
}

extension BaseChoice {
  /// number: DIFFEO_BASE_* of the header.
  package init(number: Int32, _ options: BaseOptions) throws(DiffeoError) {
    let kinds = BaseSpec.kinds.compactMap { $0 as? any ChosenDistributionSpec.Type }
    guard let kind = kinds.first(where: { $0.number == number }) else {
      throw DiffeoError(.invalid, "base is \(number), which is not known")
    }
    self.init(kind, options)
  }
}
