import Diffeo

/// How large an array is, and how far it can grow on each axis.
struct ArraySpace {
  let count: UInt64
  let most: [UInt64]
}

/// The chunks of an array, and how they are found.
struct ChunkLayout {
  /// With that of an element in bytes at the end.
  let sides: [UInt64]
  let index: Index

  /// By an address that leads to it.
  enum Index {
    /// One chunk, or one behind the other: nothing to follow.
    case none
    case tree(UInt64)
    case fixedArray(UInt64)
    case extensibleArray(UInt64)
    case secondTree(UInt64, widestSize: Bool)
  }

  private var bytes: UInt64 {
    sides.reduce(1) {
      let (product, overflows) = $0.multipliedReportingOverflow(by: $1)
      return overflows ? .max : product
    }
  }

  /// space: of the array, if there is any.
  func look<Bytes: FileBytes>(
    _ file: Bytes, of space: ArraySpace?, isFiltered: Bool, _ damaged: DiffeoError
  ) throws(DiffeoError) {
    let rank = sides.count - 1
    if let space, space.most.count != rank { throw damaged }
    switch index {
    case .none: break
    case .tree(let address):
      try FirstTree.chunks(file, rank: rank, of: isFiltered ? nil : bytes, damaged).look(at: address)
    case .fixedArray(let address):
      var count: UInt64 = 1
      for (most, side) in zip(space?.most ?? [], sides) {
        let (product, overflows) = count.multipliedReportingOverflow(by: most == 0 ? 0 : (most - 1) / side + 1)
        if overflows { throw damaged }
        count = product
      }
      try ChunkArray(file: file, damaged: damaged).lookFixed(at: address, atLeast: count)
    case .extensibleArray(let address): try ChunkArray(file: file, damaged: damaged).lookExtensible(at: address)
    case .secondTree(let address, let isWidest):
      // Of the size of a filtered chunk: a byte more than it needs (H5D__bt2_crt_context), or all.
      let bits = 63 - max(bytes, 1).leadingZeroBitCount
      try SecondTree(file: file, damaged: damaged).look(
        at: address, .chunks(rank: rank), .filteredChunks(rank: rank, sizeWidth: isWidest ? 8 : min(8, bits / 8 + 2)))
    }
  }
}
