import CLibrary
import CShims
import CStorage
import Diffeo

/// Replaces a file such that after a crash at any moment the path leads to the old bytes or to the new ones.
package struct AtomicFile: ~Copyable {
  /// What is written to.
  package let temporary: String
  private let descriptor: Descriptor
  private let path: String
  private let target: String
  private let folder: String
  /// Whether the temporary file has a name in the folder, where a crash would leave it behind. Else it gets one at last.
  private let isNamed: Bool

  /// named: the temporary file must have a name, by which others open it.
  package init(_ path: String, named: Bool = false) throws(DiffeoError) {
    try checkPath(path)
    let target = try AtomicFile.resolved(path)
    var facts = stat()
    if stat(target, &facts) == 0 {
      guard cshims_is_regular(UInt32(facts.st_mode)) != 0 else {
        throw DiffeoError(.io, "'\(path)' is not a regular file")
      }
      // Its folder would let us; but who may not write to a file is not to replace it.
      guard cstorage_may_write(target) == 0 else { throw ioError(path, "written") }
    }
    let folder = AtomicFile.folder(of: target)
    if !named, let (descriptor, temporary) = AtomicFile.unnamed(in: folder) {
      self.init(temporary, Descriptor(descriptor), path, target, folder, isNamed: false)
    } else {
      cstorage_remove_stale(folder)
      let (descriptor, temporary) = try AtomicFile.named(in: folder, for: path)
      self.init(temporary, Descriptor(descriptor), path, target, folder, isNamed: true)
    }
  }

  private init(
    _ temporary: String, _ descriptor: consuming Descriptor, _ path: String, _ target: String, _ folder: String,
    isNamed: Bool
  ) {
    self.temporary = temporary
    self.descriptor = descriptor
    (self.path, self.target, self.folder, self.isNamed) = (path, target, folder, isNamed)
  }

  package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(DiffeoError) {
    let file = try AtomicFile(path)
    try file.descriptor.write(bytes, path)
    try file.finish()
  }

  /// Puts what was written in the place of the file, with its mode and, where that is possible, its owner.
  package consuming func finish() throws(DiffeoError) {
    var facts = stat()
    let isNew = stat(target, &facts) != 0
    if !isNew {
      if fchown(descriptor.number, facts.st_uid, facts.st_gid) != 0 {
        fchown(descriptor.number, uid_t.max, facts.st_gid)
      }
      guard fchmod(descriptor.number, facts.st_mode & 0o777) == 0 else { throw ioError(path, "written") }
    }
    try descriptor.sync(path)
    if isNamed {
      guard rename(temporary, target) == 0 else { throw ioError(path, "written") }
    } else if !isNew || cstorage_link(temporary, target) != 0 {
      try replace()
    }
    // The new name itself is to last. Some file systems cannot do this, and some folders may not be opened.
    if let folder = try? Descriptor(folder, O_RDONLY | O_DIRECTORY, "opened") { try? folder.sync(path) }
  }

  /// A file without a name can take one, but not that of another. So it has one of its own for a moment.
  private func replace() throws(DiffeoError) {
    cstorage_remove_stale(folder)
    for _ in 0..<100 {
      let name = AtomicFile.newName(in: folder)
      if cstorage_link(temporary, name) == 0 {
        if rename(name, target) == 0 { return }
        let error = ioError(path, "written")
        unlink(name)
        throw error
      }
      guard cshims_errno() == EEXIST else { break }
    }
    throw ioError(path, "written")
  }

  /// Of a file that was not finished; nothing else has its name.
  deinit { if isNamed { unlink(temporary) } }

  /// Where symbolic links lead: the file behind them is replaced, or made, not the link.
  private static func resolved(_ path: String) throws(DiffeoError) -> String {
    if let real = realpath(path, nil) {
      defer { free(real) }
      return String(cString: real)
    }
    guard cshims_errno() == ENOENT else { throw ioError(path, "written") }
    var target = path
    for _ in 0..<40 {
      let link = withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { text -> String? in
        guard let start = text.baseAddress else { return nil }
        let count = readlink(target, start.assumingMemoryBound(to: CChar.self), text.count)
        guard count >= 0 else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
      }
      guard let link else { return target }
      target = link.first == "/" ? link : folder(of: target) + link
    }
    throw DiffeoError(.io, "'\(path)' cannot be written: too many symbolic links")
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./"
  }

  private static func unnamed(in folder: String) -> (Int32, String)? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      guard let start = text.baseAddress else { return nil }
      let number = cstorage_open_unnamed(folder, start, text.count)
      return number < 0 ? nil : (number, String(cString: start))
    }
  }

  /// A new file under a name that nothing else has.
  private static func named(in folder: String, for path: String) throws(DiffeoError) -> (Int32, String) {
    for _ in 0..<100 {
      let name = newName(in: folder)
      let number = cshims_open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if number >= 0 { return (number, name) }
      guard cshims_errno() == EEXIST else { break }
    }
    throw ioError(path, "written")
  }

  private static func newName(in folder: String) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      guard let start = text.baseAddress else { return folder }
      cstorage_temporary_name(.random(in: 0 ... .max), start, text.count)
      return folder + String(cString: start)
    }
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

  /// Without O_NONBLOCK, opening a FIFO would wait for a writer.
  package init(reading path: String) throws(DiffeoError) {
    try self.init(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, "opened")
  }

  /// Bytes of a file that is none but a regular one.
  package func regularSize(_ path: String) throws(DiffeoError) -> Int {
    var facts = stat()
    guard fstat(number, &facts) == 0 else { throw ioError(path, "read") }
    guard cshims_is_regular(UInt32(facts.st_mode)) != 0 else {
      throw DiffeoError(.io, "'\(path)' is not a regular file")
    }
    return Int(facts.st_size)
  }

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
  let number = cshims_errno()
  let reason = strerror(number).map { String(cString: $0) } ?? "unknown error"
  return DiffeoError(number == ENOMEM ? .memory : .io, "'\(path)' cannot be \(verb): \(reason)")
}
