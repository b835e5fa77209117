import Diffeo

/// What an HDF5 object is made of, looked at before it is opened. HDF5 1.10 takes some of what it reads there as it is: it
/// divides by the sides of chunks, and copies values that are longer than what is said to hold them.
/// (HDF5 File Format Specification 3.0, IV.A.)
package struct ObjectHeader<Bytes: FileBytes> {
  private let file: Bytes
  /// Whether attributes of the object are going to be read.
  private let readsAttributes: Bool
  private let isType: Bool
  private let damaged: DiffeoError
  private var format = Format.first
  /// Pieces of the header that are still to be looked at: in a row, not one within the other, as a file that leads in
  /// circles would need any amount of the host's stack.
  private var pieces: [Range<Int>] = []
  /// Bits of the types of messages.
  private var seen: UInt64 = 0
  private var space: ArraySpace?
  private var chunks: ChunkLayout?
  private var isFiltered = false

  private static var maxMessages: Int { 1 << 16 }

  /// path: of the object, for messages.
  static func look(
    _ file: Bytes, at address: UInt64, _ path: String, readsAttributes: Bool
  ) throws(DiffeoError) {
    var header = ObjectHeader(
      file: file, readsAttributes: readsAttributes, isType: false,
      damaged: DiffeoError(.format, "'\(path)' has an HDF5 object header that is damaged"))
    try header.lookAtAll(from: address)
  }

  private mutating func lookAtAll(from address: UInt64) throws(DiffeoError) {
    try begin(at: address)
    var left = Self.maxMessages
    while let piece = pieces.popLast() { try check(piece, &left) }
    try chunks?.look(file, of: space, isFiltered: isFiltered, damaged)
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
    var message = HeaderMessage(file: file, data: data, damaged: damaged)
    // Of an array, which has one of each. No file that this library writes has a table of shared messages.
    if [0x01, 0x03, 0x04, 0x05, 0x08, 0x0B].contains(type) {
      guard seen >> type & 1 == 0, !isShared || type == 0x03 else { throw damaged }
      seen |= 1 << type
    }
    switch type {
    case 0x01: space = try message.space()
    case 0x02: try message.indices(orderWidth: 8, names: .linkNames, order: .linkOrder)
    case 0x03 where isShared: try lookAtType(message.typeAddress())
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

  /// Of an array, where it has a name of its own. It has none that is elsewhere in turn.
  private func lookAtType(_ address: UInt64) throws(DiffeoError) {
    guard !isType else { throw damaged }
    var header = ObjectHeader(file: file, readsAttributes: false, isType: true, damaged: damaged)
    try header.lookAtAll(from: address)
  }

  private func number(_ at: Int, _ width: Int) throws(DiffeoError) -> UInt64 {
    guard let value = file.number(at, width: width) else { throw damaged }
    return value
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
