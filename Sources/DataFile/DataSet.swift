import CHDF5
import Diffeo
import Storage

/// A data set of a file whose rows are read in pieces: [n] or [n, columns] of numbers, or [n] of records of numbers. To be
/// made, used and let go inside Library.use.
final class DataSet {
  let rows: Int
  let columns: Int
  /// Of a chunk; 1 where there are none.
  let chunkRows: Int
  private let dataset: Handle
  private let space: Handle
  /// Of the fields of records, in their order; nil for plain numbers.
  private let fields: [String]?

  /// Bytes of a chunk, which HDF5 has in memory as a whole.
  private static let maxChunkBytes = 1 << 28
  private static let maxFields = 65_536

  init(_ name: String, in file: borrowing Handle) throws(DiffeoError) {
    dataset = try DataSet.find(name, in: file)
    let path = dataset.path
    // First of all where it is stored: asking a virtual dataset for its shape may open other files.
    let creation = try Handle(H5Dget_create_plist(dataset.id), path)
    let layout = H5Pget_layout(creation.id)
    guard layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED,
      H5Pget_external_count(creation.id) == 0
    else { throw DiffeoError(.unsupported, "'\(path)' is stored in other files, which are not read") }

    space = try Handle(H5Dget_space(dataset.id), path)
    let rank = H5Sget_simple_extent_ndims(space.id)
    var extents: [hsize_t] = [0, 1]
    guard H5Sget_simple_extent_type(space.id) == H5S_SIMPLE, rank == 1 || rank == 2,
      H5Sget_simple_extent_dims(space.id, &extents, nil) >= 0
    else { throw DiffeoError(.shape, "'\(path)' has \(max(rank, 0)) axes, it must have 1 or 2") }
    if rank == 1 { extents[1] = 1 }

    let type = try Handle(H5Dget_type(dataset.id), path)
    let size = H5Tget_size(type.id)
    if H5Tget_class(type.id) == H5T_COMPOUND {
      guard rank == 1 else { throw DiffeoError(.shape, "'\(path)' has \(rank) axes of records, it must have 1") }
      let names = try DataSet.fields(of: type, path)
      fields = names
      extents[1] = hsize_t(names.count)
    } else {
      try DataSet.checkNumbers(type, path)
      fields = nil
    }
    (rows, columns) = (Int(clamping: extents[0]), Int(clamping: extents[1]))
    let (values, tooMany) = rows.multipliedReportingOverflow(by: max(columns, 1))
    guard !tooMany, values <= Int.max / 16, size > 0, columns <= DataSet.maxFields else {
      throw DiffeoError(.shape, "'\(path)' has \(rows) rows of \(columns) columns, which is too much")
    }
    let elements = fields == nil ? values : rows
    let (bytes, tooLarge) = elements.multipliedReportingOverflow(by: size)
    guard !tooLarge else { throw DiffeoError(.format, "'\(path)' has more bytes than there can be") }
    if layout == H5D_CHUNKED {
      var chunk: [hsize_t] = [0, 1]
      guard H5Pget_chunk(creation.id, 2, &chunk) == rank else { throw DataSet.unreadable(path) }
      if rank == 1 { chunk[1] = 1 }
      try DataSet.checkFilters(creation, path)
      chunkRows = max(1, Int(clamping: chunk[0]))
      try DataSet.checkChunks(
        dataset, space, chunkRows, Int(clamping: chunk[1]), size, rows: rows, columns: rank == 1 ? 1 : columns)
    } else {
      chunkRows = 1
      // What was never written, HDF5 would make up.
      guard elements == 0 || layout == H5D_COMPACT || H5Dget_storage_size(dataset.id) == hsize_t(bytes) else {
        throw DataSet.incomplete(path)
      }
    }
  }

  /// Fills in rows, [count, columns].
  func read(_ range: Range<Int>, _ dtype: DType, _ target: UnsafeMutableRawPointer) throws(DiffeoError) {
    if range.isEmpty || columns == 0 { return }
    var (start, count): ([hsize_t], [hsize_t]) = (
      [hsize_t(range.lowerBound), 0], [hsize_t(range.count), hsize_t(columns)]
    )
    guard H5Sselect_hyperslab(space.id, H5S_SELECT_SET, &start, nil, &count, nil) >= 0 else { throw unreadable }
    let number = dtype == .f32 ? CH5T_NATIVE_FLOAT() : CH5T_NATIVE_DOUBLE()
    let memory = try Handle(
      fields == nil && H5Sget_simple_extent_ndims(space.id) == 2
        ? H5Screate_simple(2, &count, nil) : H5Screate_simple(1, &count, nil))
    var status: herr_t = -1
    if let fields {
      let size = dtype == .f32 ? 4 : 8
      let record = try Handle(H5Tcreate(H5T_COMPOUND, size * fields.count))
      for (i, field) in fields.enumerated() {
        guard H5Tinsert(record.id, field, i * size, number) >= 0 else { throw unreadable }
      }
      status = H5Dread(dataset.id, record.id, memory.id, space.id, CH5P_DEFAULT(), target)
    } else {
      status = H5Dread(dataset.id, number, memory.id, space.id, CH5P_DEFAULT(), target)
    }
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
  private static func find(_ name: String, in file: borrowing Handle) throws(DiffeoError) -> Handle {
    var path = ""
    for part in name.split(separator: "/") {
      path += path.isEmpty ? String(part) : "/\(part)"
      guard H5Lexists(file.id, path, CH5P_DEFAULT()) > 0 else {
        throw DiffeoError(.invalid, "there is no data set '\(name)' in the file")
      }
      guard chdf5_is_hard_link(file.id, path) else {
        throw DiffeoError(.unsupported, "'\(path)' is a soft or external link, which is not followed")
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
    let count = Int(H5Tget_nmembers(type.id))
    guard 1...maxFields ~= count else { throw unreadable(path) }
    var names: [String] = []
    for i in 0..<UInt32(count) {
      guard let text = H5Tget_member_name(type.id, i) else { throw unreadable(path) }
      defer { H5free_memory(text) }
      let name = String(cString: text)
      try checkNumbers(Handle(H5Tget_member_type(type.id, i), path), "\(path).\(name)")
      names.append(name)
    }
    return names
  }

  private static func checkFilters(_ creation: borrowing Handle, _ path: String) throws(DiffeoError) {
    let count = H5Pget_nfilters(creation.id)
    guard count >= 0 else { throw unreadable(path) }
    for i in 0..<UInt32(count) {
      var (flags, parameters) = (UInt32(0), 0)
      let filter = H5Pget_filter2(creation.id, i, &flags, &parameters, nil, 0, nil, nil)
      guard filter >= 0, H5Zfilter_avail(filter) > 0 else {
        throw DiffeoError(
          .unsupported,
          "'\(path)' is stored with the HDF5 filter \(filter), which is not installed (HDF5_PLUGIN_PATH says where)")
      }
    }
  }

  /// All chunks must have been written.
  private static func checkChunks(
    _ dataset: borrowing Handle, _ space: borrowing Handle, _ chunkRows: Int, _ chunkColumns: Int, _ size: Int,
    rows: Int, columns: Int
  ) throws(DiffeoError) {
    let (cells, tooMany) = chunkRows.multipliedReportingOverflow(by: max(chunkColumns, 1))
    let (bytes, tooLarge) = cells.multipliedReportingOverflow(by: size)
    guard !tooMany, !tooLarge, bytes <= maxChunkBytes else {
      throw DiffeoError(
        .unsupported,
        "'\(dataset.path)' has chunks of \(chunkRows) rows and \(chunkColumns) columns, at most \(maxChunkBytes) bytes are read"
      )
    }
    if rows == 0 || columns == 0 { return }
    var count: hsize_t = 0
    guard H5Dget_num_chunks(dataset.id, space.id, &count) >= 0 else { throw unreadable(dataset.path) }
    let demanded = ((rows - 1) / chunkRows + 1) * ((columns - 1) / max(chunkColumns, 1) + 1)
    guard count == hsize_t(demanded) else { throw incomplete(dataset.path) }
  }
}
