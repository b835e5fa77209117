/// Parameters that an optimizer treats alike: `count` of them, `rows` times, the rows `stride` apart.
struct ParameterBlock {
  let offset: Int
  let count: Int
  let rows: Int
  let stride: Int
  /// Of a matrix: weight decay is for these.
  let isWeight: Bool

  /// All parameters that are trained.
  static func all<S: Scalar>(_ spec: FlowSpec, _ model: Model<S>) -> [ParameterBlock] {
    // Short rows are not worth a call each, and of masks that share their weights each shows others.
    let wide = model.denseLayers.filter { $0.isSorted && $0.inputs >= 256 }
    let dense = Dictionary(grouping: wide, by: \.slot).filter { $0.value.count == 1 }
    return spec.slots.flatMap(\.slots).enumerated().filter { $0.element.role != .constant }.flatMap { i, slot in
      dense[i].map { shown(of: $0[0], isWeight: slot.role == .weight) } ?? all(of: slot)
    }
  }

  /// A vector, or a matrix whose rows lie one after the other.
  private static func all(of slot: ParameterSlot) -> [ParameterBlock] {
    let maxCount = 1 << 16
    return Swift.stride(from: 0, to: slot.count, by: maxCount).map {
      ParameterBlock(
        offset: slot.offset + $0, count: min(maxCount, slot.count - $0), rows: 1, stride: 0,
        isWeight: slot.role == .weight)
    }
  }

  /// The weights of a MADE, half of which are masked. Those are not touched: they have no gradient.
  private static func shown<S: Scalar>(of layer: DenseLayer<S>, isWeight: Bool) -> [ParameterBlock] {
    let rows = 32
    return Swift.stride(from: 0, to: layer.outputs, by: rows).map { first in
      let end = min(first + rows, layer.outputs)
      return ParameterBlock(
        offset: layer.offset + first * layer.inputs,
        count: min(Tiling.wholeVectors(Int(layer.limits[end - 1]), S.self), layer.inputs), rows: end - first,
        stride: layer.inputs, isWeight: isWeight)
    }
  }
}
