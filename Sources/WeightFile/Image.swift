import CLibrary
import CShims
import CStorage
import Diffeo
import Storage

/// The bytes of an HDF5 file, freed when it goes away.
struct Image: ~Copyable {
  private let bytes: UnsafeRawBufferPointer

  /// Takes over what malloc gave.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  deinit { free(UnsafeMutableRawPointer(mutating: bytes.baseAddress)) }

  func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws(DiffeoError) -> R) throws(DiffeoError) -> R {
    try body(bytes)
  }
}

extension Image {
  /// Reads a file at once: what happens to it afterwards, or who locks it, does not matter.
  init(path: String) throws(DiffeoError) {
    let descriptor = try Descriptor(reading: path)
    let fileSize = try descriptor.regularSize(path)
    let head = try Image.read(descriptor, count: min(fileSize, Superblock.size), path)
    let extent: Int
    do throws(DiffeoError) {
      extent = try head.withBytes { head throws(DiffeoError) in try Superblock.extent(of: head, fileSize: fileSize) }
    } catch {
      throw DiffeoError(error.code, "'\(path)': \(error.message)")
    }
    self = try Image.read(descriptor, count: extent, path)
  }

  private static func read(
    _ descriptor: borrowing Descriptor, count: Int, _ path: String
  ) throws(DiffeoError) -> Image {
    guard let buffer = malloc(max(count, 1)) else {
      throw DiffeoError(.memory, "there is no memory for the \(count) bytes of '\(path)'")
    }
    let image = Image(UnsafeRawBufferPointer(start: buffer, count: count))
    guard cstorage_read(descriptor.number, buffer, count, 0) == count else {
      throw cshims_errno() == 0
        ? DiffeoError(.io, "'\(path)' became shorter while it was read") : ioError(path, "read")
    }
    return image
  }
}
