import CHDF5
import CStorage
import Diffeo
import Storage

/// The chunks of a data set, and their filters. HDF5 takes a chunk for whole, whatever its filters gave.
struct Chunks {
  /// One of them, in numbers by axis, and in bytes.
  let sides: [hsize_t]
  let bytes: Int
  /// In the order in which they were applied.
  private let filters: [Int32]
  private let path: String

  /// HDF5 has a chunk in memory as a whole.
  private static let maxBytes = 1 << 28

  /// Of one value each size bytes.
  init(_ creation: borrowing Handle, rank: Int, size: Int, _ path: String) throws(DiffeoError) {
    var sides = [hsize_t](repeating: 0, count: rank)
    let count = H5Pget_nfilters(creation.id)
    guard Int(H5Pget_chunk(creation.id, Int32(rank), &sides)) == rank, count >= 0 else {
      throw Library.failure(.io, "'\(path)' cannot be read")
    }
    var bytes = size
    for side in sides {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: Int(clamping: max(side, 1)))
      bytes = overflow ? Int.max : product
    }
    guard bytes <= Chunks.maxBytes else {
      throw DiffeoError(
        .unsupported,
        "'\(path)' has chunks of \(sides.map(String.init).joined(separator: " x ")) numbers, at most "
          + "\(Chunks.maxBytes) bytes are read")
    }
    var filters: [Int32] = []
    for i in 0..<UInt32(count) {
      var (flags, parameters) = (UInt32(0), 0)
      let filter = H5Pget_filter2(creation.id, i, &flags, &parameters, nil, 0, nil, nil)
      guard filter >= 0, H5Zfilter_avail(filter) > 0 else {
        throw DiffeoError(
          .unsupported,
          "'\(path)' is stored with the HDF5 filter \(filter), which is not installed (HDF5_PLUGIN_PATH says where)")
      }
      filters.append(filter)
    }
    (self.sides, self.bytes, self.filters, self.path) = (sides, bytes, filters, path)
  }

  var isFiltered: Bool { !filters.isEmpty }

  /// How many there are of a data set.
  func count(_ extents: [hsize_t]) -> hsize_t { zip(extents, sides).reduce(1) { $0 * Chunks.pieces($1.0, $1.1) } }

  private static func pieces(_ extent: hsize_t, _ side: hsize_t) -> hsize_t {
    extent == 0 ? 0 : (extent - 1) / max(side, 1) + 1
  }

  /// Reads, where the chunks of these rows are whole.
  func read(
    _ dataset: borrowing Handle, _ rows: Range<Int>, _ extents: [hsize_t], _ body: () -> herr_t
  ) throws(DiffeoError) -> herr_t {
    if isFiltered { try check(dataset, rows, extents) }
    if let expected { cstorage_expect(expected.filter, expected.least) }
    defer { cstorage_expect(-1, 0) }
    return body()
  }

  /// Filters that give as many bytes as they take, but for a checksum.
  private static func checksumBytes(_ filter: Int32) -> Int? {
    switch filter {
    case H5Z_FILTER_SHUFFLE: 0
    case H5Z_FILTER_FLETCHER32: 4
    default: nil
    }
  }

  /// The first filter of those applied that may give any number of bytes, and how many it must give when it is undone.
  private func changing(_ isApplied: (Int) -> Bool) -> (index: Int?, least: Int) {
    var least = bytes
    for (i, filter) in filters.enumerated() where isApplied(i) {
      guard let checksum = Chunks.checksumBytes(filter) else { return (i, least) }
      least += checksum
    }
    return (nil, least)
  }

  private var expected: (filter: Int32, least: Int)? {
    let (index, least) = changing { _ in true }
    return index.map { (filters[$0], least) }
  }

  /// A chunk says which filters were not applied to it: with none left that changes its size, it must be there as a whole.
  private func check(
    _ dataset: borrowing Handle, _ rows: Range<Int>, _ extents: [hsize_t]
  ) throws(DiffeoError) {
    let side = Int(clamping: max(sides[0], 1))
    let across = zip(extents, sides).dropFirst().map { Chunks.pieces($0.0, $0.1) }
    var stored: [UInt8] = []
    for first in stride(from: rows.lowerBound / side * side, to: rows.upperBound, by: side) {
      for place in 0..<across.reduce(1, *) {
        var (left, offset) = (place, sides)
        offset[0] = hsize_t(first)
        for axis in across.indices.reversed() {
          offset[axis + 1] *= left % across[axis]
          left /= across[axis]
        }
        var (size, skipped) = (hsize_t(0), UInt32(0))
        guard H5Dget_chunk_storage_size(dataset.id, offset, &size) >= 0, size > 0 else { throw incomplete }
        if stored.count < Int(clamping: size) { stored = [UInt8](repeating: 0, count: Int(clamping: size)) }
        guard H5Dread_chunk(dataset.id, CH5P_DEFAULT(), offset, &skipped, &stored) >= 0 else { throw incomplete }
        let (index, least) = changing { skipped >> $0 & 1 == 0 }
        guard index == nil ? size >= hsize_t(least) : index == changing({ _ in true }).index else { throw incomplete }
      }
    }
  }

  private var incomplete: DiffeoError { DiffeoError(.format, "'\(path)' was not written, or not all of it") }
}
