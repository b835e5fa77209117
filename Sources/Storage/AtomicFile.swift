import CLibrary
import CShims
import Diffeo

/// Replaces a file such that after a crash at any moment the path leads to the old bytes or to the new ones.
package struct AtomicFile: ~Copyable {
  /// What is written to, beside the file.
  package let temporary: String
  private let descriptor: Descriptor
  private let path: String
  private let target: String
  private let folder: String

  package init(_ path: String) throws(DiffeoError) {
    try checkPath(path)
    // The file behind symbolic links is replaced, not the link.
    let target = AtomicFile.resolved(path)
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
    let descriptor = try AtomicFile.create(&temporary, in: folder, for: path)
    if let mode, fchmod(descriptor.number, mode) != 0 {
      let error = ioError(path, "written")
      unlink(temporary)
      throw error
    }
    self.init(temporary: temporary, descriptor, path, target, folder)
  }

  private init(
    temporary: String, _ descriptor: consuming Descriptor, _ path: String, _ target: String, _ folder: String
  ) {
    self.temporary = temporary
    self.descriptor = descriptor
    (self.path, self.target, self.folder) = (path, target, folder)
  }

  package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(DiffeoError) {
    let file = try AtomicFile(path)
    try file.descriptor.write(bytes, path)
    try file.finish()
  }

  /// Puts what was written in the place of the file.
  package consuming func finish() throws(DiffeoError) {
    try descriptor.sync(path)
    guard rename(temporary, target) == 0 else { throw ioError(path, "written") }
    // The new name itself is to last. Some file systems cannot do this, and some folders may not be opened.
    if let folder = try? Descriptor(folder, O_RDONLY | O_DIRECTORY, "opened") { try? folder.sync(path) }
  }

  /// Of a file that was not finished; nothing else has its name.
  deinit { unlink(temporary) }

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
package struct Descriptor: ~Copyable {
  package let number: Int32

  init(_ number: Int32) { self.number = number }

  package init(_ path: String, _ flags: Int32, _ verb: String) throws(DiffeoError) {
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
package func ioError(_ path: String, _ verb: String) -> DiffeoError {
  let reason = strerror(cshims_errno()).map { String(cString: $0) } ?? "unknown error"
  return DiffeoError(.io, "'\(path)' cannot be \(verb): \(reason)")
}
