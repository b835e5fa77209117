import CLibrary
import CShims
import Diffeo

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
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let descriptor = try Descriptor(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, "opened")
    var facts = stat()
    guard fstat(descriptor.number, &facts) == 0 else { throw ioError(path, "read") }
    guard cshims_is_regular(UInt32(facts.st_mode)) != 0 else {
      throw DiffeoError(.io, "'\(path)' is not a regular file")
    }

    let fileSize = Int(facts.st_size)
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
    var done = 0
    while done < count {
      let step = pread(descriptor.number, buffer + done, count - done, done)
      if step > 0 {
        done += step
      } else if step == 0 || cshims_errno() != EINTR {
        throw step == 0 ? DiffeoError(.io, "'\(path)' became shorter while it was read") : ioError(path, "read")
      }
    }
    return image
  }
}

/// Replaces a file such that after a crash at any moment the path leads to the old bytes or to the new ones.
enum AtomicFile {
  static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(DiffeoError) {
    try checkPath(path)
    // The file behind symbolic links is replaced, not the link.
    let target = resolved(path)
    var mode: mode_t?
    var facts = stat()
    if stat(target, &facts) == 0 {
      guard cshims_is_regular(UInt32(facts.st_mode)) != 0 else {
        throw DiffeoError(.io, "'\(path)' is not a regular file")
      }
      mode = facts.st_mode & 0o777
    }
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? "./"
    var temporary = ""
    let descriptor = try create(&temporary, in: folder, for: path)
    do throws(DiffeoError) {
      if let mode, fchmod(descriptor.number, mode) != 0 { throw ioError(path, "written") }
      try descriptor.write(bytes, path)
      try descriptor.sync(path)
      guard rename(temporary, target) == 0 else { throw ioError(path, "written") }
    } catch {
      unlink(temporary)
      throw error
    }
    // The new name itself is to last. Some file systems cannot do this, and some folders may not be opened.
    if let folder = try? Descriptor(folder, O_RDONLY | O_DIRECTORY, "opened") { try? folder.sync(path) }
  }

  private static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  /// A new file in the folder, under a name that nothing else has.
  private static func create(
    _ name: inout String, in folder: String, for path: String
  ) throws(DiffeoError) -> Descriptor {
    for _ in 0..<100 {
      name = "\(folder).diffeo-\(getpid())-\(UInt32.random(in: 0 ... .max)).tmp"
      let number = cshims_open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if number >= 0 { return Descriptor(number) }
      guard cshims_errno() == EEXIST else { break }
    }
    throw ioError(path, "written")
  }
}

/// An open file, closed when it goes away.
struct Descriptor: ~Copyable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  init(_ path: String, _ flags: Int32, _ verb: String) throws(DiffeoError) {
    try checkPath(path)
    let number = cshims_open(path, flags | O_CLOEXEC, 0)
    guard number >= 0 else { throw ioError(path, verb) }
    self.number = number
  }

  deinit { close(number) }

  func write(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(DiffeoError) {
    var rest = bytes[...]
    while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
      let step = CLibrary.write(number, start, rest.count)
      if step >= 0 {
        rest = rest.dropFirst(step)
      } else if cshims_errno() != EINTR {
        throw ioError(path, "written")
      }
    }
  }

  func sync(_ path: String) throws(DiffeoError) {
    while fsync(number) != 0 {
      guard cshims_errno() == EINTR else { throw ioError(path, "written") }
    }
  }
}

private func checkPath(_ path: String) throws(DiffeoError) {
  guard !path.utf8.contains(0) else { throw DiffeoError(.io, "a path cannot contain a zero byte") }
}

/// With the words for errno.
private func ioError(_ path: String, _ verb: String) -> DiffeoError {
  let reason = strerror(cshims_errno()).map { String(cString: $0) } ?? "unknown error"
  return DiffeoError(.io, "'\(path)' cannot be \(verb): \(reason)")
}
