import Diffeo

/// What an HDF5 object is made of, looked at before it is opened. HDF5 1.10 takes some of what it reads there as it is: it
/// divides by the sides of chunks, and copies values that are longer than what is said to hold them.
/// (HDF5 File Format Specification 3.0, IV.A.)
package struct ObjectHeader<Bytes: FileBytes> {
  private let file: Bytes
  /// Whether attributes of the object are going to be read.
  private let readsAttributes: Bool
  private let damaged: DiffeoError
  private var format = Format.first
  /// Pieces of the header that are still to be looked at: in a row, not one within the other, as a file that leads in
  /// circles would need any amount of the host's stack.
  private var pieces: [Range<Int>] = []
  /// Of the array, and of its chunks.
  private var space: Space?
  private var chunks: ChunkLayout?
  private var isFiltered = false

  private static var maxMessages: Int { 1 << 16 }

  /// path: of the object, for messages.
  static func look(
    _ file: Bytes, at address: UInt64, _ path: String, readsAttributes: Bool
  ) throws(DiffeoError) {
    var header = ObjectHeader(
      file: file, readsAttributes: readsAttributes,
      damaged: DiffeoError(.format, "'\(path)' has an HDF5 object header that is damaged"))
    try header.begin(at: address)
    var left = maxMessages
    while let piece = header.pieces.popLast() { try header.check(piece, &left) }
    if let chunks = header.chunks { try header.check(chunks) }
  }

  /// Of an array: how far it can grow on each axis, which is as far as it goes where nothing else is said.
  private struct Space {
    let count: UInt64
    let most: [UInt64]
  }

  private struct ChunkLayout {
    /// With that of an element in bytes at the end.
    let sides: [UInt64]
    let index: ChunkIndex

    var bytes: UInt64 { sides.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 } }
  }

  /// How chunks are found, by an address that leads to it.
  private enum ChunkIndex {
    /// One chunk, or one behind the other: nothing to follow.
    case none
    case tree(UInt64)
    case fixedArray(UInt64)
    case extensibleArray(UInt64)
    case secondTree(UInt64, widestSize: Bool)
  }

  private func check(_ chunks: ChunkLayout) throws(DiffeoError) {
    let rank = chunks.sides.count - 1
    if let space, space.most.count != rank { throw damaged }
    switch chunks.index {
    case .none: break
    case .tree(let address):
      try FirstTree.chunks(file, rank: rank, of: isFiltered ? nil : chunks.bytes, damaged).look(at: address)
    case .fixedArray(let address):
      var count: UInt64 = 1
      for (most, side) in zip(space?.most ?? [], chunks.sides) {
        let (product, overflows) = count.multipliedReportingOverflow(by: most == 0 ? 0 : (most - 1) / side + 1)
        if overflows { throw damaged }
        count = product
      }
      try ChunkArray(file: file, damaged: damaged).lookFixed(at: address, atLeast: count)
    case .extensibleArray(let address): try ChunkArray(file: file, damaged: damaged).lookExtensible(at: address)
    case .secondTree(let address, let isWidest):
      // Of the size of a filtered chunk: a byte more than it needs (H5D__bt2_crt_context), or all.
      let bits = 63 - max(chunks.bytes, 1).leadingZeroBitCount
      try SecondTree(file: file, damaged: damaged).look(
        at: address, .chunks(rank: rank), .filteredChunks(rank: rank, sizeWidth: isWidest ? 8 : min(8, bits / 8 + 2)))
    }
  }

  private enum Format {
    case first
    /// With the order of creation in front of each message, or without.
    case second(ordered: Bool)

    var messageHead: Int {
      switch self {
      case .first: 8
      case .second(let ordered): ordered ? 6 : 4
      }
    }
  }

  private mutating func begin(at address: UInt64) throws(DiffeoError) {
    guard let start = Int(exactly: address) else { throw damaged }
    if try number(start, 4) == 0x5244_484F {  // "OHDR", version 2, flags, times, phases, the size of the messages
      let flags = try number(start + 5, 1)
      let sizeAt = start + 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
      let width = 1 << Int(flags & 3)
      format = .second(ordered: flags & 4 != 0)
      try add(UInt64(sizeAt + width), size: number(sizeAt, width))
    } else {  // version 1, 0, number of messages (2), references (4), their size (4), 4 bytes
      guard try number(start, 1) == 1 else { throw damaged }
      try add(UInt64(start + 16), size: number(start + 8, 4))
    }
  }

  /// before, behind: what of these bytes is no message.
  private mutating func add(_ start: UInt64, size: UInt64, before: UInt64 = 0, behind: UInt64 = 0) throws(DiffeoError) {
    let count = UInt64(file.count)
    guard start <= count, size <= count - start, size >= before + behind else { throw damaged }
    pieces.append(Int(start + before)..<Int(start + size - behind))
  }

  private mutating func check(_ piece: Range<Int>, _ left: inout Int) throws(DiffeoError) {
    var at = piece.lowerBound
    while piece.upperBound - at >= format.messageHead {
      left -= 1
      guard left > 0 else { throw damaged }
      let (type, size, flags) =
        switch format {
        case .first: (try number(at, 2), Int(try number(at + 2, 2)), try number(at + 4, 1))
        case .second: (try number(at, 1), Int(try number(at + 1, 2)), try number(at + 3, 1))
        }
      let data = at + format.messageHead
      guard size <= piece.upperBound - data else { throw damaged }
      try check(type, isShared: flags & 2 != 0, data..<data + size)
      at = data + size
    }
  }

  private mutating func check(_ type: UInt64, isShared: Bool, _ data: Range<Int>) throws(DiffeoError) {
    var message = Message(file: file, data: data, damaged: damaged)
    // No file that this library writes has a table of shared messages.
    if isShared, [0x01, 0x04, 0x05, 0x08].contains(type) { throw damaged }
    switch type {
    case 0x01: space = try message.space()
    case 0x02: try message.indices(orderWidth: 8, names: .linkNames, order: .linkOrder)
    case 0x04: try message.take(message.next(4))
    case 0x05: try message.fill()
    case 0x08: chunks = try message.layout()
    case 0x0B: isFiltered = try message.filters() > 0
    case 0x0C where readsAttributes: try message.attribute()
    case 0x10:  // goes on elsewhere: address, size
      let (start, size) = (try message.next(8), try message.next(8))
      switch format {
      case .first: try add(start, size: size)
      case .second: try add(start, size: size, before: 4, behind: 4)  // "OCHK", checksum
      }
    case 0x11:  // links of a group by names in a heap: address of their tree, and of the heap
      try FirstTree.links(file, damaged).look(at: message.next(8))
      guard try !LocalHeap.isCircular(file, at: message.next(8)) else { throw damaged }
    case 0x15: try message.indices(orderWidth: 2, names: .attributeNames, order: .attributeOrder)
    default: break
    }
  }

  private func number(_ at: Int, _ width: Int) throws(DiffeoError) -> UInt64 {
    guard let value = file.number(at, width: width) else { throw damaged }
    return value
  }

  /// One message, from front to back.
  private struct Message {
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
    mutating func part(_ bytes: UInt64) throws(DiffeoError) -> Message {
      var part = self
      try take(bytes)
      part.data = part.data.lowerBound..<data.lowerBound
      return part
    }

    /// Version, rank, flags (1: there are greatest sizes too), and sizes of 8 bytes.
    mutating func space() throws(DiffeoError) -> Space {
      let (version, rank, flags) = (try next(1), try next(1), try next(1))
      // In version 2 of kind 2 there is nothing.
      let isNothing = version == 2 ? try next(1) == 2 : false
      if version == 1 { try take(5) }
      var count: UInt64 = isNothing ? 0 : 1
      var sizes: [UInt64] = []
      for _ in 0..<rank {
        sizes.append(try next(8))
        let (product, overflows) = count.multipliedReportingOverflow(by: sizes[sizes.count - 1])
        if overflows { throw damaged }
        count = product
      }
      guard flags & 1 != 0 else { return Space(count: count, most: sizes) }
      var most: [UInt64] = []
      for _ in 0..<rank { most.append(try next(8)) }
      return Space(count: count, most: most)
    }

    /// Version, and how many there are.
    mutating func filters() throws(DiffeoError) -> UInt64 {
      _ = try next(1)
      return try next(1)
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
      let (bytes, overflows) = try type.next(4).multipliedReportingOverflow(by: space.space().count)
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

    private func chunks(_ sides: [UInt64], _ index: ChunkIndex) throws(DiffeoError) -> ChunkLayout {
      guard !sides.isEmpty, !sides.contains(0) else { throw damaged }
      return ChunkLayout(sides: sides, index: index)
    }

    private mutating func index(isOneFiltered: Bool, widestSize: Bool) throws(DiffeoError) -> ChunkIndex {
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
}

// For each kind of bytes, so that other modules call what is compiled for it.
extension ObjectHeader<UnsafeRawBufferPointer> {
  package static func check(_ file: Bytes, at address: UInt64, _ path: String) throws(DiffeoError) {
    try look(file, at: address, path, readsAttributes: true)
  }
}

extension ObjectHeader<FileOnDisk> {
  package static func check(_ file: Bytes, at address: UInt64, _ path: String) throws(DiffeoError) {
    try look(file, at: address, path, readsAttributes: false)
  }
}
