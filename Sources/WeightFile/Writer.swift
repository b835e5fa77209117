import CHDF5
import CLibrary
import Diffeo
import Storage

/// Writes the pieces of a weight file into memory. The same calls give the same bytes.
final class Writer {
  /// The file, and the root group.
  let root: Handle
  private let groupCreation: Handle
  private let attributeCreation: Handle

  /// The file that `body` writes.
  static func image(
    serial: UInt, _ body: (borrowing Writer) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> Image {
    // Not H5Fget_file_image: the file would be one that was not closed, with a wrong checksum in HDF5 1.10.
    let memory = Memory()
    defer { withExtendedLifetime(memory) {} }
    do {
      let writer = try Writer(memory, serial: serial)
      try body(writer)
      guard H5Fflush(writer.root.id, H5F_SCOPE_GLOBAL) >= 0 else {
        throw Library.failure(.memory, "the weight file cannot be made")
      }
    }
    return try memory.take()
  }

  private init(_ memory: Memory, serial: UInt) throws(DiffeoError) {
    let access = try Handle(H5Pcreate(CH5P_FILE_ACCESS()))
    // From version 1.10 on, everything that HDF5 adds to the data has a checksum.
    var callbacks = memory.callbacks
    guard H5Pset_fapl_core(access.id, 1 << 20, false) >= 0, H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) >= 0,
      H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0,
      H5Pset_file_image_callbacks(access.id, &callbacks) >= 0
    else { throw Library.failure(.internal, "HDF5 cannot write to memory") }
    let creation = try Handle(H5Pcreate(CH5P_FILE_CREATE()))
    groupCreation = try Handle(H5Pcreate(CH5P_GROUP_CREATE()))
    attributeCreation = try Handle(H5Pcreate(CH5P_ATTRIBUTE_CREATE()))
    // No dates; attributes close together while they are few, and links always: HDF5 keeps many of them in a heap, and when
    // that is damaged, 1.10 loses track of what it has open.
    guard H5Pset_obj_track_times(creation.id, false) >= 0, H5Pset_attr_phase_change(creation.id, 64, 48) >= 0,
      H5Pset_obj_track_times(groupCreation.id, false) >= 0,
      H5Pset_link_phase_change(groupCreation.id, UInt32(FlowSpec.maxLayers), 0) >= 0,
      H5Pset_attr_phase_change(groupCreation.id, 64, 48) >= 0,
      H5Pset_char_encoding(attributeCreation.id, H5T_CSET_UTF8) >= 0
    else { throw Library.failure(.internal, "HDF5 cannot write to memory") }
    root = try Handle(
      H5Fcreate(Library.name(serial), UInt32(CHDF5_TRUNCATE), creation.id, access.id), failing: .memory)
  }

  func group(_ name: String, of parent: borrowing Handle) throws(DiffeoError) -> Handle {
    try Handle(
      H5Gcreate2(parent.id, name, CH5P_DEFAULT(), groupCreation.id, CH5P_DEFAULT()), "\(parent.path)/\(name)",
      failing: .memory)
  }
}

// MARK: - Attributes

extension Writer {
  func set(_ name: String, _ value: String, of object: borrowing Handle) throws(DiffeoError) {
    var bytes = Array(value.utf8)
    guard bytes.count <= Limit.text, !bytes.contains(0) else {
      throw DiffeoError(
        .invalid, "the text '\(name)' has \(bytes.count) bytes; it may have \(Limit.text), and no zero byte")
    }
    // HDF5 has no text of no bytes, but it may be filled up with zeros.
    if bytes.isEmpty { bytes.append(0) }
    let type = try Handle(H5Tcopy(CH5T_C_S1()))
    guard H5Tset_size(type.id, bytes.count) >= 0, H5Tset_cset(type.id, H5T_CSET_UTF8) >= 0,
      H5Tset_strpad(type.id, H5T_STR_NULLPAD) >= 0
    else { throw Library.failure(.internal, "HDF5 is out of order") }
    try set(name, type.id, type.id, Handle(H5Screate(H5S_SCALAR)), &bytes, of: object)
  }

  func set(_ name: String, _ value: Int, of object: borrowing Handle) throws(DiffeoError) {
    var value = Int64(value)
    try set(name, CH5T_STD_I64LE(), CH5T_NATIVE_INT64(), Handle(H5Screate(H5S_SCALAR)), &value, of: object)
  }

  func set(_ name: String, _ value: Double, of object: borrowing Handle) throws(DiffeoError) {
    var value = value
    try set(name, CH5T_IEEE_F64LE(), CH5T_NATIVE_DOUBLE(), Handle(H5Screate(H5S_SCALAR)), &value, of: object)
  }

  /// A few.
  func set(_ name: String, _ values: [Int], of object: borrowing Handle) throws(DiffeoError) {
    var extent = hsize_t(values.count)
    let space = try Handle(H5Screate_simple(1, &extent, nil))
    try set(name, CH5T_STD_I64LE(), CH5T_NATIVE_INT64(), space, values.map { Int64($0) }, of: object)
  }

  private func set(
    _ name: String, _ type: hid_t, _ memoryType: hid_t, _ space: borrowing Handle, _ value: UnsafeRawPointer,
    of object: borrowing Handle
  ) throws(DiffeoError) {
    let attribute = try Handle(
      H5Acreate2(object.id, name, type, space.id, attributeCreation.id, CH5P_DEFAULT()), "\(object.path)@\(name)",
      failing: .memory)
    guard H5Awrite(attribute.id, memoryType, value) >= 0 else {
      throw Library.failure(.memory, "'\(attribute.path)' cannot be written")
    }
  }
}

// MARK: - Arrays

extension Writer {
  func add<S: Scalar>(
    _ path: String, _ shape: [Int], _ values: UnsafePointer<S>, to group: borrowing Handle
  ) throws(DiffeoError) {
    switch S.dtype {
    case .f32: try add(path, shape, CH5T_IEEE_F32LE(), CH5T_NATIVE_FLOAT(), values, to: group)
    case .f64: try add(path, shape, CH5T_IEEE_F64LE(), CH5T_NATIVE_DOUBLE(), values, to: group)
    }
  }

  func add(_ path: String, _ values: [Int], to group: borrowing Handle) throws(DiffeoError) {
    try add(path, [values.count], CH5T_STD_I64LE(), CH5T_NATIVE_INT64(), values, to: group)
  }

  private func add(
    _ path: String, _ shape: [Int], _ type: hid_t, _ memoryType: hid_t, _ values: UnsafeRawPointer,
    to group: borrowing Handle
  ) throws(DiffeoError) {
    if let slash = path.firstIndex(of: "/") {
      let (first, rest) = (String(path[..<slash]), String(path[path.index(after: slash)...]))
      let known = H5Lexists(group.id, first, CH5P_DEFAULT()) > 0
      let inner =
        try known
        ? Handle(H5Gopen2(group.id, first, CH5P_DEFAULT()), "\(group.path)/\(first)") : self.group(first, of: group)
      return try add(rest, shape, type, memoryType, values, to: inner)
    }
    let creation = try Handle(H5Pcreate(CH5P_DATASET_CREATE()))
    guard H5Pset_obj_track_times(creation.id, false) >= 0, H5Pset_fill_time(creation.id, H5D_FILL_TIME_ALLOC) >= 0
    else { throw Library.failure(.internal, "HDF5 is out of order") }
    let extents = shape.map { hsize_t($0) }
    if !shape.isEmpty, !shape.contains(0) {
      // One chunk, or some for what is large: only because HDF5 has checksums for chunks. What the last chunk has
      // beyond the array is zeros by the fill time above.
      var chunk = extents
      let row = shape.dropFirst().reduce(H5Tget_size(type), *)
      chunk[0] = min(extents[0], hsize_t(max(1, Limit.chunkBytes / row)))
      guard H5Pset_chunk(creation.id, Int32(shape.count), chunk) >= 0, H5Pset_fletcher32(creation.id) >= 0 else {
        throw Library.failure(.internal, "HDF5 is out of order")
      }
    }
    let space = try Handle(
      shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(shape.count), extents, nil))
    let dataset = try Handle(
      H5Dcreate2(group.id, path, type, space.id, CH5P_DEFAULT(), creation.id, CH5P_DEFAULT()),
      "\(group.path)/\(path)", failing: .memory)
    guard H5Dwrite(dataset.id, memoryType, CH5S_ALL(), CH5S_ALL(), CH5P_DEFAULT(), values) >= 0 else {
      throw Library.failure(.memory, "'\(dataset.path)' cannot be written")
    }
  }
}

// MARK: - Memory

/// What HDF5 writes the file into, and leaves behind when it closes it.
private final class Memory {
  private var block: UnsafeMutableRawPointer?
  private var size = 0
  private var isClosed = false

  deinit { free(block) }

  /// They keep no reference: the memory must outlive the file.
  var callbacks: H5FD_file_image_callbacks_t {
    H5FD_file_image_callbacks_t(
      image_malloc: nil,
      image_memcpy: nil,
      image_realloc: { _, size, _, memory in Memory.of(memory)?.resize(size) },
      image_free: { _, _, memory in
        Memory.of(memory)?.isClosed = true
        return 0
      },
      udata_copy: { memory in memory },
      udata_free: { _ in 0 },
      udata: Unmanaged.passUnretained(self).toOpaque())
  }

  private static func of(_ memory: UnsafeMutableRawPointer?) -> Memory? {
    memory.map { Unmanaged<Memory>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Zeros where it grows.
  private func resize(_ size: Int) -> UnsafeMutableRawPointer? {
    guard let grown = realloc(block, max(size, 1)) else { return nil }
    if size > self.size { memset(grown + self.size, 0, size - self.size) }
    (block, self.size) = (grown, size)
    return grown
  }

  func take() throws(DiffeoError) -> Image {
    guard isClosed, let block else { throw DiffeoError(.internal, "HDF5 did not close the weight file") }
    let all = UnsafeRawBufferPointer(start: block, count: size)
    let head = UnsafeRawBufferPointer(rebasing: all.prefix(Superblock.size))
    let extent = try Superblock.extent(of: head, fileSize: size)
    self.block = nil
    return Image(UnsafeRawBufferPointer(rebasing: all.prefix(extent)))
  }
}
