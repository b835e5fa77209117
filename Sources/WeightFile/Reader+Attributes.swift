import CHDF5
import Diffeo
import Storage

extension Reader {
  /// A single value; nil when there is none of this name, or one of a type that the format does not use.
  func value(_ name: String, of object: borrowing Handle) throws(DiffeoError) -> Record.Value? {
    guard H5Aexists(object.id, name) > 0 else { return nil }
    let attribute = try Handle(H5Aopen(object.id, name, CH5P_DEFAULT()), "\(object.path)@\(name)")
    let type = try Handle(H5Aget_type(attribute.id), attribute.path)
    let space = try Handle(H5Aget_space(attribute.id), attribute.path)
    guard H5Sget_simple_extent_npoints(space.id) == 1 else { return nil }
    switch try Element(type) {
    case .integer: return .int(Int(try read(attribute, CH5T_NATIVE_INT64(), Int64(0))))
    case .truth: return .bool(try read(attribute, CH5T_NATIVE_INT64(), Int64(0)) != 0)
    case .real: return .double(try read(attribute, CH5T_NATIVE_DOUBLE(), 0.0))
    case .text(let size): return .string(try readText(attribute, type, size))
    case .variableText: return .string(try readVariableText(attribute))
    case .other: return nil
    }
  }

  /// A few integers; nil when there are none of this name.
  func integers(_ name: String, of object: borrowing Handle) throws(DiffeoError) -> [Int]? {
    guard H5Aexists(object.id, name) > 0 else { return nil }
    let attribute = try Handle(H5Aopen(object.id, name, CH5P_DEFAULT()), "\(object.path)@\(name)")
    let type = try Handle(H5Aget_type(attribute.id), attribute.path)
    let space = try Handle(H5Aget_space(attribute.id), attribute.path)
    let count = H5Sget_simple_extent_npoints(space.id)
    guard try Element(type) == .integer, H5Sget_simple_extent_ndims(space.id) == 1, count >= 1, count <= 32 else {
      throw DiffeoError(.format, "the attribute '\(name)' must be a list of integers")
    }
    var values = [Int64](repeating: 0, count: Int(count))
    guard H5Aread(attribute.id, CH5T_NATIVE_INT64(), &values) >= 0 else { throw unreadable(attribute) }
    return values.map { Int($0) }
  }

  private func read<T: BitwiseCopyable>(
    _ attribute: borrowing Handle, _ type: hid_t, _ zero: T
  ) throws(DiffeoError) -> T {
    var value = zero
    guard H5Aread(attribute.id, type, &value) >= 0 else { throw unreadable(attribute) }
    return value
  }

  private func readText(
    _ attribute: borrowing Handle, _ type: borrowing Handle, _ size: Int
  ) throws(DiffeoError) -> String {
    guard size >= 1, size <= Limit.text + 1, H5Aget_storage_size(attribute.id) == hsize_t(size) else {
      throw DiffeoError(.format, "'\(attribute.path)' has \(size) bytes, a text may have \(Limit.text)")
    }
    var bytes = [UInt8](repeating: 0, count: size)
    guard H5Aread(attribute.id, type.id, &bytes) >= 0 else { throw unreadable(attribute) }
    var used = bytes.prefix { $0 != 0 }
    if H5Tget_strpad(type.id) == H5T_STR_SPACEPAD { while used.last == 0x20 { used.removeLast() } }
    return try used.withUnsafeBufferPointer { used throws(DiffeoError) in
      try checkedText(UnsafeRawBufferPointer(used), attribute.path)
    }
  }

  private func readVariableText(_ attribute: borrowing Handle) throws(DiffeoError) -> String {
    var reference = [UInt8](repeating: 0, count: GlobalHeap.referenceSize)
    guard chdf5_read_reference(attribute.id, &reference) >= 0 else { throw unreadable(attribute) }
    guard let bytes = reference.withUnsafeBytes({ GlobalHeap.object($0, in: image) }) else {
      throw DiffeoError(.format, "'\(attribute.path)' is a damaged variable-length text")
    }
    return try checkedText(UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != 0 }), attribute.path)
  }

  private func checkedText(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(DiffeoError) -> String {
    guard bytes.count <= Limit.text else {
      throw DiffeoError(.format, "'\(path)' has \(bytes.count) bytes, a text may have \(Limit.text)")
    }
    try claim(bytes.count, path)
    guard let text = text(bytes) else { throw DiffeoError(.format, "'\(path)' is not UTF-8") }
    return text
  }
}
