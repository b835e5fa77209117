import CHDF5
import Diffeo
import Storage

/// An array in the file that has been found fit to be read.
struct StoredArray: ~Copyable {
  fileprivate let dataset: Handle
  fileprivate let element: Element
  let shape: [Int]
  let count: Int
}

extension Reader {
  /// The array at this path below a group; nil when there is none.
  func array(_ path: String, of group: borrowing Handle) throws(DiffeoError) -> StoredArray? {
    guard let slash = path.firstIndex(of: "/") else {
      guard let child = try child(path, of: group) else { return nil }
      return try array(child)
    }
    guard let inner = try self.group(String(path[..<slash]), of: group) else { return nil }
    return try array(String(path[path.index(after: slash)...]), of: inner.handle)
  }

  private func array(_ dataset: consuming Handle) throws(DiffeoError) -> StoredArray {
    guard H5Iget_type(dataset.id) == H5I_DATASET else {
      throw DiffeoError(.format, "'\(dataset.path)' must be a dataset")
    }
    // First of all where it is stored: asking a virtual dataset for its shape may open other files.
    let creation = try Handle(H5Dget_create_plist(dataset.id), dataset.path)
    let layout = H5Pget_layout(creation.id)
    guard layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED,
      H5Pget_external_count(creation.id) == 0
    else { throw DiffeoError(.format, "'\(dataset.path)' is stored in other files, which a weight file must not be") }

    let type = try Handle(H5Dget_type(dataset.id), dataset.path)
    let space = try Handle(H5Dget_space(dataset.id), dataset.path)
    let element = try Element(type)
    let shape = try shape(of: space, dataset)
    let size = H5Tget_size(type.id)
    let bytes = try bytes(shape, size, dataset)
    guard size > 0 else { throw unreadable(dataset) }
    try claim(bytes, dataset.path)
    // All of it must be there: HDF5 would make up what was never written.
    if bytes > 0 {
      if layout == H5D_CHUNKED {
        try checkChunks(dataset, space, creation, shape, size)
      } else if H5Dget_storage_size(dataset.id) != hsize_t(bytes) {
        throw incomplete(dataset)
      }
    }
    return StoredArray(dataset: dataset, element: element, shape: shape, count: bytes / size)
  }

  private func shape(of space: borrowing Handle, _ dataset: borrowing Handle) throws(DiffeoError) -> [Int] {
    let kind = H5Sget_simple_extent_type(space.id)
    let rank = Int(H5Sget_simple_extent_ndims(space.id))
    guard kind == H5S_SCALAR || kind == H5S_SIMPLE, rank >= 0, rank <= 32 else {
      throw DiffeoError(.format, "'\(dataset.path)' has no shape")
    }
    var extents = [hsize_t](repeating: 0, count: 32)
    guard H5Sget_simple_extent_dims(space.id, &extents, nil) >= 0 else { throw unreadable(dataset) }
    return extents.prefix(rank).map { Int(clamping: $0) }
  }

  private func bytes(_ shape: [Int], _ size: Int, _ dataset: borrowing Handle) throws(DiffeoError) -> Int {
    var bytes = size
    for extent in shape {
      let product = bytes.multipliedReportingOverflow(by: extent)
      guard !product.overflow else { throw tooLarge(dataset.path) }
      bytes = product.partialValue
    }
    return bytes
  }

  /// The chunks of an array that is not empty: all must be there and have the size that they should, for HDF5 relies
  /// on it. Of the filters, only the checksum may be in use. Compression would let a small file ask for any amount of
  /// memory, and for an unknown filter HDF5 loads a plugin.
  private func checkChunks(
    _ dataset: borrowing Handle, _ space: borrowing Handle, _ creation: borrowing Handle, _ shape: [Int], _ size: Int
  ) throws(DiffeoError) {
    let filters = H5Pget_nfilters(creation.id)
    var isChecksummed = false
    for i in 0..<max(filters, 0) {
      var (flags, parameters) = (UInt32(0), 0)
      let filter = H5Pget_filter2(creation.id, UInt32(i), &flags, &parameters, nil, 0, nil, nil)
      guard filter == H5Z_FILTER_FLETCHER32, !isChecksummed else {
        throw DiffeoError(.format, "'\(dataset.path)' has the filter \(filter); only a checksum (fletcher32) is read")
      }
      isChecksummed = true
    }
    var extents = [hsize_t](repeating: 0, count: 32)
    guard filters >= 0, Int(H5Pget_chunk(creation.id, 32, &extents)) == shape.count else { throw unreadable(dataset) }
    let chunk = extents.prefix(shape.count).map { Int(clamping: $0) }
    let chunkBytes = try bytes(chunk, size, dataset)
    guard chunkBytes > 0 else { throw unreadable(dataset) }
    // Cannot overflow: there are no more chunks than bytes.
    let demanded = zip(shape, chunk).reduce(1) { $0 * (($1.0 - 1) / $1.1 + 1) }
    guard chunkBytes <= image.count / demanded else { throw tooLarge(dataset.path) }

    var count: hsize_t = 0
    guard H5Dget_num_chunks(dataset.id, space.id, &count) >= 0 else { throw unreadable(dataset) }
    guard count == hsize_t(demanded) else { throw incomplete(dataset) }
    guard demanded <= Limit.chunks else {
      throw DiffeoError(.format, "'\(dataset.path)' has \(demanded) chunks, at most \(Limit.chunks) are read")
    }
    for i in 0..<count {
      var (skipped, stored) = (UInt32(0), hsize_t(0))
      guard H5Dget_chunk_info(dataset.id, space.id, i, nil, &skipped, nil, &stored) >= 0 else {
        throw unreadable(dataset)
      }
      let bytes = isChecksummed ? stored.subtractingReportingOverflow(4).partialValue : stored
      guard skipped == 0, bytes == hsize_t(chunkBytes) else { throw incomplete(dataset) }
    }
  }

  private func incomplete(_ dataset: borrowing Handle) -> DiffeoError {
    DiffeoError(.format, "'\(dataset.path)' was not written, or not all of it")
  }

  /// The list of integers or truth values of this name; nil when there is none, or something else.
  func list(_ name: String, of group: borrowing Handle) throws(DiffeoError) -> [Int]? {
    guard let dataset = try child(name, of: group, passingOverOtherLinks: true) else { return nil }
    guard H5Iget_type(dataset.id) == H5I_DATASET else { return nil }
    let element = try Element(Handle(H5Dget_type(dataset.id), dataset.path))
    guard element == .integer || element == .truth else { return nil }
    let array = try array(dataset)
    guard array.shape.count == 1 else { return nil }
    guard array.count <= Limit.listEntries else {
      throw DiffeoError(
        .format, "'\(array.dataset.path)' has \(array.count) entries, at most \(Limit.listEntries) are possible")
    }
    var values = [Int](repeating: 0, count: array.count)
    try read(array, CH5T_NATIVE_INT64(), &values)
    return values
  }

  /// Reads an array of this shape of floating-point numbers, finite or not.
  func reals<S: Scalar>(
    _ array: borrowing StoredArray, shape: [Int], into target: UnsafeMutablePointer<S>
  ) throws(DiffeoError) {
    guard array.element == .real else {
      throw DiffeoError(.format, "'\(array.dataset.path)' must be floating-point numbers")
    }
    guard array.shape == shape else { throw wrongShape(array, shape) }
    try read(array, S.dtype == .f32 ? CH5T_NATIVE_FLOAT() : CH5T_NATIVE_DOUBLE(), target)
  }

  func reals<S: Scalar>(_ array: borrowing StoredArray, shape: [Int]) throws(DiffeoError) -> [S] {
    guard array.shape == shape else { throw wrongShape(array, shape) }
    var values = [S](repeating: 0, count: array.count)
    try values.withUnsafeMutableBufferPointer { (values) throws(DiffeoError) in
      if let start = values.baseAddress { try reals(array, shape: shape, into: start) }
    }
    return values
  }

  private func wrongShape(_ array: borrowing StoredArray, _ shape: [Int]) -> DiffeoError {
    DiffeoError(.format, "'\(array.dataset.path)' has the shape \(array.shape), it must be \(shape)")
  }

  private func read(
    _ array: borrowing StoredArray, _ type: hid_t, _ target: UnsafeMutableRawPointer?
  ) throws(DiffeoError) {
    if array.count == 0 { return }
    guard H5Dread(array.dataset.id, type, CH5S_ALL(), CH5S_ALL(), CH5P_DEFAULT(), target) >= 0 else {
      throw unreadable(array.dataset)
    }
  }
}
