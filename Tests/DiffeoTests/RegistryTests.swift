import Testing

@testable import Diffeo

/// Every kind of layer and base is in the contract suite. (What else a kind must have: Tests/python/test_registry.py.)
@Suite struct RegistryTests {
  @Test func kindsHaveNamesOfTheirOwn() {
    let names = LayerSpec.kinds.map { $0.kind } + BaseSpec.kinds.map { $0.kind }
    #expect(Set(names).count == names.count)
    let numbers = BaseSpec.kinds.compactMap { ($0 as? any ChosenDistributionSpec.Type)?.number }
    #expect(Set(numbers).count == numbers.count)
  }

  /// Layers in both directions.
  @Test func kindsAreInTheContractSuite() throws {
    var layers = Set<String>()
    var bases = Set<String>()
    for c in Case.all {
      let spec = try c.spec(.f64)
      layers.formUnion(spec.layers.map { $0.spec.kind + ($0.inverted ? ", inverted" : "") })
      bases.insert(spec.base.spec.kind)
    }
    for kind in LayerSpec.kinds {
      #expect(layers.contains(kind.kind), "\(kind) has no case in Cases.swift")
      #expect(layers.contains(kind.kind + ", inverted"), "\(kind) has no inverted case in Cases.swift")
    }
    for kind in BaseSpec.kinds { #expect(bases.contains(kind.kind), "\(kind) has no case in Cases.swift") }
  }
}
