import Diffeo

/// Trees may lead in circles, until the host's stack or patience ends. Looked at, every node is one level below the one that
/// leads to it, and there are no more of them than the file has room for.
private enum Tree {
  static let maxLevel = 32
}

/// Version 1: nodes say how far above the leaves they are. (HDF5 File Format Specification 3.0, III.A.1)
struct FirstTree<Bytes: FileBytes>: FileIndex {
  let file: Bytes
  let damaged: DiffeoError
  /// Bytes between the addresses of children.
  private let keySize: Int
  /// Of every chunk, where that is known.
  private let chunkBytes: UInt64?

  static func links(_ file: Bytes, _ damaged: DiffeoError) -> FirstTree {
    FirstTree(file: file, damaged: damaged, keySize: 8, chunkBytes: nil)
  }

  /// A key is a size (4), filters that were not applied (4), and a place on each axis (8 each), that within an element
  /// among them. bytes: of chunks without filters, as HDF5 takes them for whole.
  static func chunks(_ file: Bytes, rank: Int, of bytes: UInt64?, _ damaged: DiffeoError) -> FirstTree {
    FirstTree(file: file, damaged: damaged, keySize: 8 + 8 * (rank + 1), chunkBytes: bytes)
  }

  func look(at root: UInt64) throws(DiffeoError) {
    if root == Self.nowhere { return }
    let level = Int(try number(find("TREE", at: root) + 5, 1))
    guard level <= Tree.maxLevel else { throw damaged }
    var left = file.count / FirstTree.headSize
    try follow(root, level, &left)
  }

  /// "TREE", what it is of (1), the level (1), the number of children (2), the neighbours (8 each).
  private static var headSize: Int { 24 }

  private func follow(_ address: UInt64, _ level: Int, _ left: inout Int) throws(DiffeoError) {
    let node = try find("TREE", at: address)
    left -= 1
    guard left >= 0, try number(node + 5, 1) == UInt64(level) else { throw damaged }
    if level == 0, chunkBytes == nil { return }
    for child in 0..<Int(try number(node + 6, 2)) {
      let key = node + FirstTree.headSize + child * (keySize + 8)
      if level > 0 {
        try follow(number(key + keySize, 8), level - 1, &left)
      } else if let chunkBytes, try number(key, 4) != chunkBytes {
        throw damaged
      }
    }
  }
}

/// Version 2: the number of records in a node, and in all that are below it, stand in the node above. (III.A.2)
struct SecondTree<Bytes: FileBytes>: FileIndex {
  let file: Bytes
  let damaged: DiffeoError

  /// What records are of, by the numbers of the specification, and their size.
  struct Kind {
    let type: UInt64
    let recordSize: UInt64
    static var large: Kind { Kind(type: 1, recordSize: 24) }
    static var largeInPlace: Kind { Kind(type: 3, recordSize: 16) }
    static var linkNames: Kind { Kind(type: 5, recordSize: 11) }
    static var linkOrder: Kind { Kind(type: 6, recordSize: 15) }
    static var attributeNames: Kind { Kind(type: 8, recordSize: 17) }
    static var attributeOrder: Kind { Kind(type: 9, recordSize: 13) }
    static func chunks(rank: Int) -> Kind { Kind(type: 10, recordSize: UInt64(8 + 8 * rank)) }
    /// sizeWidth: bytes that say how large a chunk is.
    static func filteredChunks(rank: Int, sizeWidth: Int) -> Kind {
      Kind(type: 11, recordSize: UInt64(8 + sizeWidth + 4 + 8 * rank))
    }
  }

  /// Far more than any HDF5 gives a node.
  private static var maxNodeSize: Int { 1 << 16 }
  /// Signature, version, type, and the checksum.
  private static var nodeFrame: Int { 10 }

  func look(at address: UInt64, _ kinds: Kind...) throws(DiffeoError) {
    if address == Self.nowhere { return }
    // "BTHD", version 0, type (1), sizes of nodes (4) and records (2), levels above the leaves (2), two percentages, the
    // root (8), its number of records (2), and that of all (8).
    let head = try find("BTHD", at: address)
    let (type, recordSize) = (try number(head + 5, 1), try number(head + 10, 2))
    let (nodeSize, depth) = (Int(try number(head + 6, 4)), Int(try number(head + 12, 2)))
    guard kinds.contains(where: { $0.type == type && $0.recordSize == recordSize }), depth <= Tree.maxLevel,
      nodeSize <= SecondTree.maxNodeSize
    else { throw damaged }
    let root = try number(head + 16, 8)
    let sizes = try Sizes(nodeSize: nodeSize, recordSize: Int(recordSize), depth: depth, damaged)
    var left = file.count / SecondTree.nodeFrame
    if root != Self.nowhere { try follow(root, Int(number(head + 24, 2)), depth, sizes, &left) }
  }

  /// Of each level: the most records of a node, and the width of the number of all that are in it and below.
  private struct Sizes {
    let record: Int
    private(set) var most: [Int] = []
    private(set) var totalWidth: [Int] = []
    var countWidth: Int { Sizes.width(UInt64(most[0])) }

    /// Of what stands for a node of this level in the one above: its address, and its records, those below too.
    func pointer(to level: Int) -> Int { 8 + countWidth + totalWidth[level] }

    init(nodeSize: Int, recordSize: Int, depth: Int, _ damaged: DiffeoError) throws(DiffeoError) {
      record = recordSize
      var total: UInt64 = 0
      for level in 0...depth {
        let pointer = level == 0 ? 0 : pointer(to: level - 1)
        let room = nodeSize - SecondTree.nodeFrame - pointer
        most.append(room / (recordSize + pointer))
        guard room > 0, most[level] > 0 else { throw damaged }
        let (below, overflows) = (UInt64(most[level]) + 1).multipliedReportingOverflow(by: total)
        if overflows || below > UInt64.max - UInt64(most[level]) { throw damaged }
        total = below + UInt64(most[level])
        totalWidth.append(level == 0 ? 0 : Sizes.width(total))
      }
    }

    private static func width(_ limit: UInt64) -> Int { (63 - limit.leadingZeroBitCount) / 8 + 1 }
  }

  private func follow(
    _ address: UInt64, _ records: Int, _ level: Int, _ sizes: Sizes, _ left: inout Int
  ) throws(DiffeoError) {
    let node = try find(level == 0 ? "BTLF" : "BTIN", at: address)
    left -= 1
    guard left >= 0, records <= sizes.most[level] else { throw damaged }
    if level == 0 { return }
    let children = node + 6 + records * sizes.record
    for child in 0...records {
      let place = children + child * sizes.pointer(to: level - 1)
      let (address, count) = (try number(place, 8), try number(place + 8, sizes.countWidth))
      try follow(address, Int(count), level - 1, sizes, &left)
    }
  }
}
