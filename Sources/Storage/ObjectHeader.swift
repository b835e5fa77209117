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
  private var rank: UInt64?
  private var chunkRank: UInt64?

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
    // A chunk has one side more, the size of an element.
    if let rank = header.rank, let chunkRank = header.chunkRank, chunkRank != rank + 1 { throw header.damaged }
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
    case 0x01: rank = try message.space()
    case 0x04: try message.take(message.next(4))
    case 0x05: try message.fill()
    case 0x08: chunkRank = try message.layout()
    case 0x0C where readsAttributes: try message.attribute()
    case 0x10:  // goes on elsewhere: address, size
      let (start, size) = (try message.next(8), try message.next(8))
      switch format {
      case .first: try add(start, size: size)
      case .second: try add(start, size: size, before: 4, behind: 4)  // "OCHK", checksum
      }
    case 0x11:  // links of a group by names in a heap: address of their tree, and of the heap
      _ = try message.next(8)
      guard try !LocalHeap.isCircular(file, at: message.next(8)) else { throw damaged }
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
    mutating func space() throws(DiffeoError) -> UInt64 { try sizes().rank }

    mutating func sizes() throws(DiffeoError) -> (rank: UInt64, count: UInt64) {
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
      return (rank, count)
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
      let (bytes, overflows) = try type.next(4).multipliedReportingOverflow(by: space.sizes().count)
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

    /// Where the numbers are: kind 0 here, 1 in one piece, 2 in chunks, whose rank it gives.
    mutating func layout() throws(DiffeoError) -> UInt64? {
      let version = try next(1)
      if version < 3 {
        let (rank, kind) = (try next(1), try next(1))
        try take(kind == 0 ? 5 : 13)
        try sides(rank, width: 4, areChunks: kind == 2)
        if kind == 0 { try take(next(4)) }
        return kind == 2 ? rank : nil
      }
      switch try next(1) {
      case 0: try take(next(2))
      case 1: try take(16)
      case 2 where version == 3:
        let rank = try next(1)
        try take(8)
        try sides(rank, width: 4, areChunks: true)
        return rank
      case 2:
        _ = try next(1)
        let (rank, width) = (try next(1), Int(try next(1)))
        guard 1...8 ~= width else { throw damaged }
        try sides(rank, width: width, areChunks: true)
        return rank
      default: break
      }
      return nil
    }

    private mutating func sides(_ rank: UInt64, width: Int, areChunks: Bool) throws(DiffeoError) {
      for _ in 0..<rank {
        if try next(width) == 0, areChunks { throw damaged }
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
