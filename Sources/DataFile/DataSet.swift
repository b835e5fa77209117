import CHDF5
import Diffeo
import Storage

/// A data set of a file whose rows are read in pieces: [n], [n, columns], or [n, channels, height, width] of images, of
/// numbers, or [n] of records of numbers. To be made, used and let go inside Library.use.
final class DataSet {
  let rows: Int
  let columns: Int
  /// Of a chunk; 1 where there are none.
  var chunkRows: Int { chunks.map { max(1, Int(clamping: $0.sides[0])) } ?? 1 }
  private let chunks: Chunks?
  private let dataset: Handle
  private let space: Handle
  /// Of its axes.
  private let extents: [hsize_t]
  /// Of the fields of records, in their order; nil for plain numbers.
  private let fields: [String]?

  private static let maxFields = 65_536
  /// Of rows, and of images.
  private static let maxAxes = 4

  /// bytes: those of the file.
  init(_ name: String, in file: borrowing Handle, _ bytes: FileOnDisk) throws(DiffeoError) {
    dataset = try DataSet.find(name, in: file, bytes)
    let path = dataset.path
    // First of all where it is stored: asking a virtual dataset for its shape may open other files.
    let creation = try Handle(H5Dget_create_plist(dataset.id), path)
    let layout = H5Pget_layout(creation.id)
    guard layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED,
      H5Pget_external_count(creation.id) == 0
    else { throw DiffeoError(.unsupported, "'\(path)' is stored in other files, which are not read") }

    space = try Handle(H5Dget_space(dataset.id), path)
    let rank = H5Sget_simple_extent_ndims(space.id)
    var extents = [hsize_t](repeating: 0, count: DataSet.maxAxes)
    guard H5Sget_simple_extent_type(space.id) == H5S_SIMPLE, 1...DataSet.maxAxes ~= Int(rank),
      H5Sget_simple_extent_dims(space.id, &extents, nil) >= 0
    else { throw DiffeoError(.shape, "'\(path)' has \(max(rank, 0)) axes, it must have 1 to \(DataSet.maxAxes)") }
    extents.removeLast(DataSet.maxAxes - Int(rank))
    self.extents = extents
    var width = 1
    for extent in extents.dropFirst() {
      let (product, overflow) = width.multipliedReportingOverflow(by: Int(clamping: extent))
      width = overflow ? Int.max : product
    }

    let type = try Handle(H5Dget_type(dataset.id), path)
    let size = H5Tget_size(type.id)
    if H5Tget_class(type.id) == H5T_COMPOUND {
      guard rank == 1 else { throw DiffeoError(.shape, "'\(path)' has \(rank) axes of records, it must have 1") }
      let names = try DataSet.fields(of: type, path)
      fields = names
      width = names.count
    } else {
      try DataSet.checkNumbers(type, path)
      fields = nil
    }
    (rows, columns) = (Int(clamping: extents[0]), width)
    let (values, tooMany) = rows.multipliedReportingOverflow(by: max(columns, 1))
    guard !tooMany, values <= Int.max / 16, size > 0, columns <= DataSet.maxFields else {
      throw DiffeoError(.shape, "'\(path)' has \(rows) rows of \(columns) columns, which is too much")
    }
    let elements = fields == nil ? values : rows
    let (stored, tooLarge) = elements.multipliedReportingOverflow(by: size)
    guard !tooLarge else { throw DiffeoError(.format, "'\(path)' has more bytes than there can be") }
    chunks =
      layout == H5D_CHUNKED ? try Chunks(creation, rank: Int(rank), size: size, path) : nil
    if elements == 0 { return }
    // What was never written, HDF5 would make up, or read past its end.
    if let chunks {
      try DataSet.check(chunks, dataset, space, extents, fileSize: bytes.count)
    } else if H5Dget_storage_size(dataset.id) != hsize_t(stored) {
      throw DataSet.incomplete(path)
    }
  }

  /// Fills in rows, [count, columns].
  func read(_ range: Range<Int>, _ dtype: DType, _ target: UnsafeMutableRawPointer) throws(DiffeoError) {
    if range.isEmpty || columns == 0 { return }
    var start = [hsize_t](repeating: 0, count: extents.count)
    var count = extents
    (start[0], count[0]) = (hsize_t(range.lowerBound), hsize_t(range.count))
    guard H5Sselect_hyperslab(space.id, H5S_SELECT_SET, &start, nil, &count, nil) >= 0 else { throw unreadable }
    let memory = try Handle(H5Screate_simple(Int32(count.count), &count, nil))
    if let fields {
      let (number, size) = (DataSet.number(dtype), dtype == .f32 ? 4 : 8)
      let record = try Handle(H5Tcreate(H5T_COMPOUND, size * fields.count))
      for (i, field) in fields.enumerated() {
        guard H5Tinsert(record.id, field, i * size, number) >= 0 else { throw unreadable }
      }
      try read(range, as: record.id, memory, target)
    } else {
      try read(range, as: DataSet.number(dtype), memory, target)
    }
  }

  private static func number(_ dtype: DType) -> hid_t {
    dtype == .f32 ? CH5T_NATIVE_FLOAT() : CH5T_NATIVE_DOUBLE()
  }

  /// Of the selected rows.
  private func read(
    _ range: Range<Int>, as type: hid_t, _ memory: borrowing Handle, _ target: UnsafeMutableRawPointer
  ) throws(DiffeoError) {
    let (from, to, rows) = (dataset.id, memory.id, space.id)
    let all = { H5Dread(from, type, to, rows, CH5P_DEFAULT(), target) }
    let status = if let chunks { try chunks.read(dataset, range, extents, all) } else { all() }
    guard status >= 0 else { throw unreadable }
  }

  private var unreadable: DiffeoError { DataSet.unreadable(dataset.path) }

  private static func unreadable(_ path: String) -> DiffeoError {
    Library.failure(.io, "'\(path)' cannot be read")
  }

  private static func incomplete(_ path: String) -> DiffeoError {
    DiffeoError(.format, "'\(path)' was not written, or not all of it")
  }

  // MARK: - What it must be

  /// By plain links: a file that is read never makes its reader open other files.
  private static func find(
    _ name: String, in file: borrowing Handle, _ bytes: FileOnDisk
  ) throws(DiffeoError) -> Handle {
    var path = ""
    for part in name.split(separator: "/") {
      path += path.isEmpty ? String(part) : "/\(part)"
      var address: UInt64 = 0
      switch chdf5_find(file.id, path, &address) {
      case CHDF5_PLAIN_LINK: try ObjectHeader.check(bytes, at: address, path)
      case CHDF5_OTHER_LINK:
        throw DiffeoError(.unsupported, "'\(path)' is a soft or external link, which is not followed")
      default: throw DiffeoError(.invalid, "there is no data set '\(name)' in the file")
      }
    }
    guard !path.isEmpty else { throw DiffeoError(.invalid, "'\(name)' is no name of a data set") }
    let found = try Handle(H5Oopen(file.id, path, CH5P_DEFAULT()), name)
    guard H5Iget_type(found.id) == H5I_DATASET else { throw DiffeoError(.invalid, "'\(name)' is not a data set") }
    return found
  }

  private static func checkNumbers(_ type: borrowing Handle, _ path: String) throws(DiffeoError) {
    guard chdf5_is_integer(type.id) || chdf5_is_real(type.id) else {
      throw DiffeoError(.dtype, "'\(path)' must hold integers or floating-point numbers of 8 to 64 bits")
    }
  }

  private static func fields(of type: borrowing Handle, _ path: String) throws(DiffeoError) -> [String] {
    let (count, recordSize) = (Int(H5Tget_nmembers(type.id)), H5Tget_size(type.id))
    guard 1...maxFields ~= count else { throw unreadable(path) }
    var names: [String] = []
    for i in 0..<UInt32(count) {
      guard let text = H5Tget_member_name(type.id, i) else { throw unreadable(path) }
      defer { H5free_memory(text) }
      let name = String(cString: text)
      let member = try Handle(H5Tget_member_type(type.id, i), path)
      try checkNumbers(member, "\(path).\(name)")
      let (begin, size) = (H5Tget_member_offset(type.id, i), H5Tget_size(member.id))
      guard begin <= recordSize, size <= recordSize - begin else {
        throw DiffeoError(.format, "'\(path)' has the field '\(name)' outside of its records")
      }
      names.append(name)
    }
    return names
  }

  /// All chunks must have been written.
  private static func check(
    _ chunks: Chunks, _ dataset: borrowing Handle, _ space: borrowing Handle, _ extents: [hsize_t], fileSize: Int
  ) throws(DiffeoError) {
    // Of all axes together no more than there are numbers, which were counted; nor than the file has room for, as HDF5
    // counts to what it claims.
    let demanded = chunks.count(extents)
    guard demanded <= hsize_t(fileSize / max(chunks.isFiltered ? 1 : chunks.bytes, 1)) else {
      throw incomplete(dataset.path)
    }
    var count: hsize_t = 0
    guard H5Dget_num_chunks(dataset.id, space.id, &count) >= 0 else { throw unreadable(dataset.path) }
    guard count == demanded else { throw incomplete(dataset.path) }
  }
}
