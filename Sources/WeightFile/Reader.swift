import CHDF5
import CLibrary
import CStorage
import Diffeo
import Storage

/// Reads the pieces of a weight file. Nothing that the file declares is believed: every size is compared with what is
/// demanded and with the bytes that are there before memory is taken for it.
final class Reader {
  /// Those that are open, by their paths. In front of the file, so that they are closed before it.
  private var groups: [String: Group] = [:]
  /// The file, and the root group.
  let root: Handle
  let image: UnsafeRawBufferPointer
  /// Bytes of the file that are not read yet. No two arrays, texts or entries may share any, so this bounds the memory
  /// and the time that a file can ask for.
  private var bytesLeft: Int

  /// Opens a file that is in memory and must stay there, unchanged, while the reader lives.
  init(_ image: UnsafeRawBufferPointer, serial: UInt) throws(DiffeoError) {
    try LocalHeap.check(image)
    try Superblock.checkRoot(image)
    let access = try Handle(cstorage_memory_access(image.baseAddress, image.count))
    guard H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) >= 0 else {
      throw Library.failure(.internal, "HDF5 cannot read memory")
    }
    let file = H5Fopen(Library.name(serial), UInt32(CHDF5_READ_ONLY), access.id)
    guard file >= 0 else { throw Library.failure(.format, "this is not an HDF5 file that can be read") }
    root = try Handle(file)
    self.image = image
    bytesLeft = image.count
  }

  func unreadable(_ object: borrowing Handle) -> DiffeoError {
    Library.failure(.format, "'\(object.path)' cannot be read")
  }

  /// Counts bytes of the file as read.
  func claim(_ bytes: Int, _ path: String) throws(DiffeoError) {
    guard bytes <= bytesLeft else { throw tooLarge(path) }
    bytesLeft -= bytes
  }

  func tooLarge(_ path: String) -> DiffeoError {
    DiffeoError(.format, "with '\(path)' the file says that it holds more than its bytes")
  }
}

// MARK: - Groups and links

extension Reader {
  /// The group or dataset of this name, by a plain link: a weight file never makes its reader open other files. nil where
  /// there is no such link, or another kind of link that is to be passed over.
  func child(
    _ name: String, of group: borrowing Handle, passingOverOtherLinks: Bool = false
  ) throws(DiffeoError) -> Handle? {
    let path = "\(group.path)/\(name)"
    var address: UInt64 = 0
    switch chdf5_find(group.id, name, &address) {
    case CHDF5_PLAIN_LINK:
      try ObjectHeader.check(image, at: address, path)
      return try Handle(H5Oopen(group.id, name, CH5P_DEFAULT()), path)
    case CHDF5_OTHER_LINK where !passingOverOtherLinks:
      throw DiffeoError(.format, "'\(path)' is a soft or external link, which a weight file must not have")
    default: return nil
    }
  }

  /// A group stays open while the reader lives: each is asked for again and again, by every array in it.
  final class Group {
    let handle: Handle
    fileprivate init(_ handle: consuming Handle) { self.handle = handle }
  }

  func group(_ name: String, of parent: borrowing Handle) throws(DiffeoError) -> Group? {
    let path = "\(parent.path)/\(name)"
    if let group = groups[path] { return group }
    guard let child = try child(name, of: parent) else { return nil }
    guard H5Iget_type(child.id) == H5I_GROUP else { throw DiffeoError(.format, "'\(path)' must be a group") }
    let group = Group(child)
    groups[path] = group
    return group
  }

  func linkNames(of group: borrowing Handle, limit: Int) throws(DiffeoError) -> [String] {
    try names(of: group, limit, chdf5_visit_links)
  }

  func attributeNames(of object: borrowing Handle, limit: Int) throws(DiffeoError) -> [String] {
    try names(of: object, limit, chdf5_visit_attributes)
  }

  /// In order. Names that cannot be of this format are left out: not UTF-8, or too long.
  private func names(
    of object: borrowing Handle, _ limit: Int, _ visit: (hid_t, UnsafeMutablePointer<chdf5_visitor>?) -> herr_t
  ) throws(DiffeoError) -> [String] {
    var found = (names: [String](), limit: limit)
    let status = withUnsafeMutablePointer(to: &found) { found in
      var visitor = chdf5_visitor(
        visit: { name, data in
          guard let name, let found = data?.assumingMemoryBound(to: (names: [String], limit: Int).self) else {
            return -1
          }
          let length = strnlen(name, Limit.name + 1)
          if length <= Limit.name, let name = text(UnsafeRawBufferPointer(start: name, count: length)) {
            found.pointee.names.append(name)
          }
          return found.pointee.names.count <= found.pointee.limit ? 0 : 1
        }, data: found)
      return visit(object.id, &visitor)
    }
    guard status >= 0 else { throw Library.failure(.format, "'\(object.path)/' cannot be listed") }
    guard found.names.count <= limit else {
      throw DiffeoError(.format, "'\(object.path)/' has more than \(limit) entries")
    }
    // An attribute or a link takes more than 8 bytes of the file.
    try claim(found.names.count * 8, object.path)
    return found.names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

// MARK: - What things are made of

/// Of UTF-8 bytes.
func text(_ bytes: UnsafeRawBufferPointer) -> String? {
  String(validating: bytes, as: UTF8.self)
}

/// What an attribute or a dataset is made of.
enum Element: Equatable {
  case integer, truth, real
  /// Of a fixed number of bytes.
  case text(Int)
  case variableText
  case other

  init(_ type: borrowing Handle) throws(DiffeoError) {
    switch H5Tget_class(type.id) {
    case H5T_INTEGER where chdf5_is_integer(type.id): self = .integer
    case H5T_FLOAT where chdf5_is_real(type.id): self = .real
    case H5T_ENUM where H5Tget_nmembers(type.id) == 2:
      // numpy's bool, as h5py writes it
      let values = try Handle(H5Tget_super(type.id))
      self = chdf5_is_integer(values.id) ? .truth : .other
    case H5T_STRING: self = H5Tis_variable_str(type.id) > 0 ? .variableText : .text(H5Tget_size(type.id))
    default: self = .other
    }
  }
}
