import Diffeo

/// One message of an object header, read from front to back. (HDF5 File Format Specification 3.0, IV.A.2)
struct HeaderMessage<Bytes: FileBytes> {
  let file: Bytes
  var data: Range<Int>
  let damaged: DiffeoError

  mutating func next(_ width: Int) throws(DiffeoError) -> UInt64 {
    guard width <= data.count, let value = file.number(data.lowerBound, width: width) else { throw damaged }
    data = data.lowerBound + width..<data.upperBound
    return value
  }

  mutating func take(_ bytes: UInt64) throws(DiffeoError) {
    guard bytes <= UInt64(data.count) else { throw damaged }
    data = data.lowerBound + Int(bytes)..<data.upperBound
  }

  /// A message within this one.
  mutating func part(_ bytes: UInt64) throws(DiffeoError) -> HeaderMessage {
    var part = self
    try take(bytes)
    part.data = part.data.lowerBound..<data.lowerBound
    return part
  }

  /// Version, rank, flags (1: there are greatest sizes too), and sizes of 8 bytes.
  mutating func space() throws(DiffeoError) -> ArraySpace {
    var sizes = self
    let (count, rank, isBounded) = try extent()
    try sizes.take(UInt64(sizes.data.count - data.count) - 8 * rank * (isBounded ? 2 : 1))
    if isBounded { try sizes.take(8 * rank) }
    var most: [UInt64] = []
    for _ in 0..<rank { most.append(try sizes.next(8)) }
    return ArraySpace(count: count, most: most)
  }

  private mutating func extent() throws(DiffeoError) -> (count: UInt64, rank: UInt64, isBounded: Bool) {
    let (version, rank, flags) = (try next(1), try next(1), try next(1))
    // In version 2 of kind 2 there is nothing.
    let isNothing = version == 2 ? try next(1) == 2 : false
    if version == 1 { try take(5) }
    var count: UInt64 = isNothing ? 0 : 1
    for _ in 0..<rank {
      let (product, overflows) = count.multipliedReportingOverflow(by: try next(8))
      if overflows { throw damaged }
      count = product
    }
    if flags & 1 != 0 { try take(8 * rank) }
    return (count, rank, flags & 1 != 0)
  }

  /// Version, and how many there are.
  mutating func filters() throws(DiffeoError) -> UInt64 {
    _ = try next(1)
    return try next(1)
  }

  /// Of what is stored elsewhere: version, kind (of version 3: 2, by an address), and where.
  mutating func typeAddress() throws(DiffeoError) -> UInt64 {
    let (version, kind) = (try next(1), try next(1))
    guard 1...3 ~= version, version < 3 || kind == 2 else { throw damaged }
    if version == 1 { try take(6) }
    return try next(8)
  }

  /// Version, flags (nothing of it is stored elsewhere), the sizes of name, type and space, and these; and the value, for
  /// which memory is asked by what type and space say.
  mutating func attribute() throws(DiffeoError) {
    let (version, flags) = (try next(1), try next(1))
    guard 1...3 ~= version, version == 1 || flags & 3 == 0 else { throw damaged }
    let lengths = (name: try next(2), type: try next(2), space: try next(2))
    if version == 3 { _ = try next(1) }
    let padded = { (size: UInt64) in version == 1 ? (size + 7) & ~7 : size }
    try take(padded(lengths.name))
    var type = try part(padded(lengths.type))
    var space = try part(padded(lengths.space))
    try type.take(4)  // class, version and bits
    let (bytes, overflows) = try type.next(4).multipliedReportingOverflow(by: space.extent().count)
    if overflows { throw damaged }
    try take(bytes)
  }

  /// The value that stands for what was never written, behind its size, if there is one.
  mutating func fill() throws(DiffeoError) {
    let version = try next(1)
    if version < 3 {
      try take(2)
      let isDefined = try next(1) != 0
      if version == 1 || isDefined { try take(next(4)) }
    } else if try next(1) & 0x20 != 0 {
      try take(next(4))
    }
  }

  /// Of many links, or attributes: version, flags (1: their order of creation is counted, 2: and looked up), a count, a
  /// heap, and trees.
  mutating func indices(
    orderWidth: UInt64, names: SecondTree<Bytes>.Kind, order: SecondTree<Bytes>.Kind
  ) throws(DiffeoError) {
    _ = try next(1)
    let flags = try next(1)
    if flags & 1 != 0 { try take(orderWidth) }
    let tree = SecondTree(file: file, damaged: damaged)
    try FractalHeap(file: file, damaged: damaged).look(at: next(8))
    try tree.look(at: next(8), names)
    if flags & 2 != 0 { try tree.look(at: next(8), order) }
  }

  /// Where the numbers are: kind 0 here, 1 in one piece, 2 in chunks, which it gives.
  mutating func layout() throws(DiffeoError) -> ChunkLayout? {
    let version = try next(1)
    if version < 3 {
      let (rank, kind) = (try next(1), try next(1))
      try take(5)
      let address = kind == 0 ? 0 : try next(8)
      let sides = try sides(rank, width: 4)
      if kind == 0 { try take(next(4)) }
      return kind == 2 ? try chunks(sides, .tree(address)) : nil
    }
    switch try next(1) {
    case 0: try take(next(2))
    case 1: try take(16)
    case 2 where version == 3:
      let (rank, address) = (try next(1), try next(8))
      return try chunks(sides(rank, width: 4), .tree(address))
    case 2:
      let flags = try next(1)
      let (rank, width) = (try next(1), Int(try next(1)))
      guard 1...8 ~= width else { throw damaged }
      return try chunks(
        sides(rank, width: width), index(isOneFiltered: flags & 2 != 0, widestSize: version > 4))
    default: break
    }
    return nil
  }

  private mutating func sides(_ rank: UInt64, width: Int) throws(DiffeoError) -> [UInt64] {
    var sides: [UInt64] = []
    for _ in 0..<rank { sides.append(try next(width)) }
    return sides
  }

  private func chunks(_ sides: [UInt64], _ index: ChunkLayout.Index) throws(DiffeoError) -> ChunkLayout {
    guard !sides.isEmpty, !sides.contains(0) else { throw damaged }
    return ChunkLayout(sides: sides, index: index)
  }

  private mutating func index(isOneFiltered: Bool, widestSize: Bool) throws(DiffeoError) -> ChunkLayout.Index {
    switch try next(1) {
    case 1:
      try take(isOneFiltered ? 20 : 8)
      return .none
    case 2:
      try take(8)
      return .none
    case 3:
      try take(1)
      return .fixedArray(try next(8))
    case 4:
      try take(5)
      return .extensibleArray(try next(8))
    case 5:
      try take(6)
      return .secondTree(try next(8), widestSize: widestSize)
    default: throw damaged
    }
  }
}
