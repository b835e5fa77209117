import CDiffeo
import CMemory
import CShims
import Diffeo

/// Runs the body of an exported function: an error becomes a status and this thread's text, together, here and nowhere
/// else. The body computes in the default floating-point environment, and that of the host is as it was afterwards.
@inline(__always)
func boundary(_ body: () throws(DiffeoError) -> Void) -> diffeo_status {
  let outer = cshims_environment_enter()
  defer { cshims_environment_leave(outer) }
  cmemory_begin()
  do throws(DiffeoError) {
    try body()
    return diffeo_status(DIFFEO_OK)
  } catch {
    // Without memory HDF5 fails anywhere, and has any reason for it.
    let error = cmemory_ran_out() && error.code != .memory ? DiffeoError(.memory, "memory ran out") : error
    setErrorText(error.message)
    return error.code.rawValue
  }
}

/// Calls a function of the host inside a boundary, or in a thread that has adopted the host's environment.
func callHost<R>(_ call: () -> R) -> R {
  cshims_environment_begin_host()
  defer { cshims_environment_end_host() }
  return call()
}

private func setErrorText(_ message: String) {
  guard let text = cshims_error_text() else { return }
  var message = message
  message.withUTF8 { bytes in
    var count = min(bytes.count, Int(CSHIMS_ERROR_TEXT_SIZE) - 1)
    // Not in the middle of a character.
    while count < bytes.count, count > 0, bytes[count] & 0xC0 == 0x80 { count -= 1 }
    for i in 0..<count { text[i] = CChar(truncatingIfNeeded: bytes[i]) }
    text[count] = 0
  }
}

/// Likewise of a function that makes a handle: NULL in its place where there is none to give.
func making<T: Handle>(
  _ target: UnsafeMutablePointer<OpaquePointer?>?, _ name: String, _ make: () throws(DiffeoError) -> T
) -> diffeo_status {
  target?.pointee = nil
  return boundary { () throws(DiffeoError) in
    let target = try require(target, name)
    target.pointee = try make().passed()
  }
}

// MARK: - Handles

/// A class whose objects travel as opaque pointers.
protocol Handle: AnyObject {
  static var name: String { get }
}

extension Handle {
  /// To the caller, who owns it from now on.
  func passed() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  /// argument: its name, if it is not that of the type.
  static func from(_ pointer: OpaquePointer?, _ argument: String? = nil) throws(DiffeoError) -> Self {
    guard let pointer else { throw DiffeoError(.invalid, "\(argument ?? name) is NULL") }
    return Unmanaged<Self>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }

  static func destroy(_ pointer: OpaquePointer?) {
    guard let pointer else { return }
    let outer = cshims_environment_enter()
    defer { cshims_environment_leave(outer) }
    Unmanaged<Self>.fromOpaque(UnsafeRawPointer(pointer)).release()
  }
}

// MARK: - Arguments

func require<T>(_ pointer: T?, _ name: String) throws(DiffeoError) -> T {
  guard let pointer else { throw DiffeoError(.invalid, "\(name) is NULL") }
  return pointer
}

func count(_ n: Int64, _ name: String) throws(DiffeoError) -> Int {
  guard n >= 0 else { throw DiffeoError(.invalid, "\(name) is \(n), it must not be negative") }
  return Int(n)
}

/// Rows and columns that exist in an address space.
func checkSize<T>(_ rows: Int, _ columns: Int, _ name: String, of _: T.Type) throws(DiffeoError) {
  let (values, overflow) = rows.multipliedReportingOverflow(by: max(columns, 1))
  guard !overflow, values <= Int.max / MemoryLayout<T>.stride else {
    throw DiffeoError(
      .invalid, "\(name) has \(rows) rows of \(columns) columns: more than memory can hold")
  }
}

/// The rows of a call, checked. x is nil where there is none to read.
func batch<T: Scalar>(
  _ spec: FlowSpec, _ x: UnsafePointer<T>?, _ name: String?, _ n: Int64,
  _ context: UnsafePointer<T>?, _ contextRows: Int64
) throws(DiffeoError) -> Batch<T> {
  let rows = try count(n, "n")
  try checkSize(rows, spec.dim, name ?? "x", of: T.self)
  if let name, rows > 0 { _ = try require(x, name) }
  let given = try count(contextRows, "n_context")
  if spec.contextDim == 0 {
    guard given == 0, context == nil else {
      let what = given == 0 ? "context is not NULL" : "n_context is \(given)"
      throw DiffeoError(.shape, "this flow has no context, but \(what)")
    }
  } else {
    guard given > 0 || rows == 0 || context != nil else {
      throw DiffeoError(
        .shape, "this flow has a context of \(spec.contextDim) columns, but context is NULL and n_context 0")
    }
    guard given == rows || given == 1 else {
      throw DiffeoError(
        .shape,
        "this flow has a context of \(spec.contextDim) columns: n_context must be 1 or n, which is \(rows), not \(given)"
      )
    }
    try checkSize(given, spec.contextDim, "context", of: T.self)
    if rows > 0 { _ = try require(context, "context") }
  }
  return Batch(
    rows: rows, x: name == nil ? nil : x, context: spec.contextDim == 0 ? nil : context,
    contextIsShared: given == 1)
}

/// Rows of a seed, whose numbers have 64 bits.
func checkNumbers(_ first: UInt64, _ rows: Int) throws(DiffeoError) {
  guard rows == 0 || UInt64(rows - 1) <= UInt64.max - first else {
    throw DiffeoError(.invalid, "first_row is \(first), with \(rows) rows: their numbers go beyond 2^64 - 1")
  }
}

/// Some integers of the caller's.
func integers(_ pointer: UnsafePointer<Int64>?, _ n: Int64, _ name: String, atMost limit: Int)
  throws(DiffeoError) -> [Int]
{
  let n = try count(n, "the length of \(name)")
  guard n <= limit else {
    throw DiffeoError(.invalid, "\(name) has \(n) values, at most \(limit) are possible")
  }
  if n == 0 { return [] }
  let source = try require(pointer, name)
  return (0..<n).map { Int(source[$0]) }
}

/// A string of the caller's, UTF-8 with a final 0.
func string(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(DiffeoError) -> String {
  let source = try require(pointer, name)
  guard let text = String(validatingCString: source) else {
    throw DiffeoError(.invalid, "\(name) is not UTF-8")
  }
  return text
}

/// As snprintf.
func write(
  _ text: String, _ target: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ length: UnsafeMutablePointer<Int>?
) throws(DiffeoError) {
  guard capacity >= 0 else { throw DiffeoError(.invalid, "capacity is too large") }
  if capacity > 0 {
    let target = try require(target, "text")
    var text = text
    text.withUTF8 { bytes in
      let count = min(bytes.count, capacity - 1)
      for i in 0..<count { target[i] = CChar(truncatingIfNeeded: bytes[i]) }
      target[count] = 0
    }
  }
  length?.pointee = text.utf8.count
}

func choice<T: RawRepresentable<Int32>>(_ value: Int32, _ name: String) throws(DiffeoError) -> T {
  try known(T(rawValue: value), value, name)
}

/// meanings: by the header's values.
func choice<T>(_ value: Int32, _ name: String, _ meanings: [Int: T]) throws(DiffeoError) -> T {
  try known(meanings[Int(value)], value, name)
}

private func known<T>(_ choice: T?, _ value: Int32, _ name: String) throws(DiffeoError) -> T {
  guard let choice else {
    let hint = value == 0 ? " (has its struct been filled by its _init function?)" : ""
    throw DiffeoError(.invalid, "\(name) is \(value), which is not known\(hint)")
  }
  return choice
}

func dtype(_ value: Int32) throws(DiffeoError) -> DType {
  guard let dtype = DType(rawValue: value) else {
    throw DiffeoError(.dtype, "dtype is \(value), it must be DIFFEO_F32 (1) or DIFFEO_F64 (2)")
  }
  return dtype
}

// MARK: - Structs that grow

/// A C struct that begins with its size, `size_t struct_size`, and only grows at its end.
protocol SizedStruct {
  init()
  /// Size of its first version: nobody's may be smaller.
  static var firstSize: Int { get }
  var struct_size: Int { get set }
  /// Of all zeros, where they are others.
  mutating func setDefaults()
}

extension SizedStruct {
  static var name: String { "\(Self.self)" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.setDefaults()
    return o
  }

  /// Defaults into a struct of the caller's size, perhaps an older or newer one.
  static func initialise(_ target: UnsafeMutablePointer<Self>?, _ size: Int) throws(DiffeoError) {
    let target = try require(target, "options")
    guard size >= firstSize, size <= 1 << 16 else {
      throw DiffeoError(
        .invalid, "struct_size is \(size), \(name) has \(MemoryLayout<Self>.size) bytes")
    }
    var defaults = Self.defaults
    defaults.struct_size = size
    let raw = UnsafeMutableRawPointer(target)
    withUnsafeBytes(of: &defaults) {
      raw.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(raw), byteCount: min(size, $0.count))
    }
    if size > MemoryLayout<Self>.size {
      (raw + MemoryLayout<Self>.size).initializeMemory(
        as: UInt8.self, repeating: 0, count: size - MemoryLayout<Self>.size)
    }
  }

  /// The caller's values over the defaults; NULL is the defaults.
  static func read(_ source: UnsafePointer<Self>?) throws(DiffeoError) -> Self {
    var value = Self.defaults
    guard let source else { return value }
    let size = UnsafeRawPointer(source).loadUnaligned(as: Int.self)
    guard size >= firstSize, size <= 1 << 16 else {
      throw DiffeoError(
        .invalid, "struct_size is \(size) in \(name): fill it with its _init function first")
    }
    let known = MemoryLayout<Self>.size
    let bytes = UnsafeRawBufferPointer(start: source, count: size)
    guard bytes.dropFirst(known).allSatisfy({ $0 == 0 }) else {
      throw DiffeoError(
        .unsupported,
        "\(name) has fields that this version, \(DIFFEO_VERSION_STRING), does not know")
    }
    withUnsafeMutableBytes(of: &value) {
      $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(known)))
    }
    value.struct_size = known
    return value
  }
}
