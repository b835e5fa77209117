import CDiffeo
import CLibrary
import CStorage
import DataFile
import Diffeo
import Synchronization

final class RowsHandle: Handle {
  static var name: String { "rows" }
  let reader: any RowReader

  init(_ reader: any RowReader) { self.reader = reader }
}

/// Lets one thread through at a time. A child that was forked in the meantime passes, too, as nobody else is there any more:
/// Swift's Mutex would end it.
private final class Turnstile: Sendable {
  /// 0, or 1 more than the generation of the process that somebody is inside of.
  private let inside = Atomic<Int>(0)

  func pass(_ body: () throws(DiffeoError) -> Void) throws(DiffeoError) {
    let mine = Int(cstorage_generation()) + 1
    while true {
      let found = inside.load(ordering: .relaxed)
      if found != mine, inside.compareExchange(expected: found, desired: mine, ordering: .acquiring).exchanged { break }
      usleep(50)
    }
    defer { inside.store(0, ordering: .releasing) }
    try body()
  }
}

/// Rows that a function of the caller gives, in the caller's type.
private final class CallbackReader<T: Scalar>: RowReader, @unchecked Sendable {
  typealias Read = (
    UnsafeMutableRawPointer?, Int64, Int64, UnsafeMutablePointer<T>?, UnsafeMutablePointer<T>?, UnsafeMutablePointer<T>?
  ) -> Int32

  let (rows, dim, contextDim, isWeighted): (Int, Int, Int, Bool)
  let rowsTogether = 1
  private let read: Read
  private let user: UnsafeMutableRawPointer?
  private let turn = Turnstile()

  init(
    _ n: Int64, _ dim: Int64, _ context_dim: Int64, _ weighted: Int32, _ read: Read?, _ user: UnsafeMutableRawPointer?
  )
    throws(DiffeoError)
  {
    rows = try count(n, "n")
    (self.dim, contextDim) = try rowColumns(dim, context_dim)
    isWeighted = try flag(weighted, "weighted")
    try checkSize(rows, self.dim + contextDim + 1, "x", of: Double.self)
    self.read = try require(read, "read")
    self.user = user
  }

  func read(_ range: Range<Int>, into buffers: RowBuffers) throws(DiffeoError) {
    try turn.pass { () throws(DiffeoError) in
      if buffers.dtype == T.dtype {
        try call(range, buffers)
      } else if T.dtype == .f32 {
        try convert(range, buffers, as: Double.self)
      } else {
        try convert(range, buffers, as: Float.self)
      }
    }
  }

  private func call(_ range: Range<Int>, _ buffers: RowBuffers) throws(DiffeoError) {
    if range.isEmpty { return }
    let status = callHost {
      read(
        user, Int64(range.lowerBound), Int64(range.count),
        dim == 0 ? nil : buffers.x.assumingMemoryBound(to: T.self),
        contextDim == 0 ? nil : buffers.context.assumingMemoryBound(to: T.self),
        buffers.weights?.assumingMemoryBound(to: T.self))
    }
    guard status == 0 else {
      throw DiffeoError(
        .io, "read could not give rows \(range.lowerBound) to \(range.upperBound - 1): it returned \(status)")
    }
  }

  /// By way of some memory in the caller's type, a few rows at a time.
  private func convert<S: Scalar>(_ range: Range<Int>, _ target: RowBuffers, as: S.Type) throws(DiffeoError) {
    let most = min(range.count, 4096)
    let x = try ParameterVector<T>(count: most * dim)
    let context = try ParameterVector<T>(count: most * contextDim)
    let weights = try ParameterVector<T>(count: isWeighted ? most : 0)
    func copy(_ from: ParameterVector<T>, _ to: UnsafeMutableRawPointer, _ count: Int) {
      let to = to.assumingMemoryBound(to: S.self)
      for i in 0..<count { to[i] = S(from.pointer[i]) }
    }
    for first in stride(from: range.lowerBound, to: range.upperBound, by: max(most, 1)) {
      let part = first..<min(first + most, range.upperBound)
      try call(part, RowBuffers(x.pointer, context.pointer, isWeighted ? weights.pointer : nil))
      let place = target.advanced(by: first - range.lowerBound, dim: dim, contextDim: contextDim)
      copy(x, place.x, part.count * dim)
      copy(context, place.context, part.count * contextDim)
      if let to = place.weights { copy(weights, to, part.count) }
    }
  }
}

/// Of rows with at least one.
private func rowColumns(_ dim: Int64, _ context_dim: Int64) throws(DiffeoError) -> (Int, Int) {
  try Limit.check("spec.context_dim", Int(dim), name: "dim")
  try Limit.check("spec.context_dim", Int(context_dim))
  guard dim + context_dim > 0 else { throw DiffeoError(.invalid, "rows without columns: dim and context_dim are 0") }
  return (Int(dim), Int(context_dim))
}

@implementation @_cdecl("diffeo_rows_create_f32")
public func diffeo_rows_create_f32(
  _ n: Int64, _ dim: Int64, _ context_dim: Int64, _ weighted: Int32, _ read: diffeo_read_rows_f32?,
  _ user: UnsafeMutableRawPointer?, _ rows: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(rows, "rows") { () throws(DiffeoError) in
    let function = read.map { read in { read($0, $1, $2, $3, $4, $5) } as CallbackReader<Float>.Read }
    return RowsHandle(try CallbackReader<Float>(n, dim, context_dim, weighted, function, user))
  }
}

@implementation @_cdecl("diffeo_rows_create_f64")
public func diffeo_rows_create_f64(
  _ n: Int64, _ dim: Int64, _ context_dim: Int64, _ weighted: Int32, _ read: diffeo_read_rows_f64?,
  _ user: UnsafeMutableRawPointer?, _ rows: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(rows, "rows") { () throws(DiffeoError) in
    let function = read.map { read in { read($0, $1, $2, $3, $4, $5) } as CallbackReader<Double>.Read }
    return RowsHandle(try CallbackReader<Double>(n, dim, context_dim, weighted, function, user))
  }
}

@implementation @_cdecl("diffeo_rows_destroy")
public func diffeo_rows_destroy(_ rows: OpaquePointer?) { RowsHandle.destroy(rows) }

@implementation @_cdecl("diffeo_rows_count")
public func diffeo_rows_count(_ rows: OpaquePointer?) -> Int64 { fact(rows) { $0.rows } }

@implementation @_cdecl("diffeo_rows_dim")
public func diffeo_rows_dim(_ rows: OpaquePointer?) -> Int64 { fact(rows) { $0.dim } }

@implementation @_cdecl("diffeo_rows_context_dim")
public func diffeo_rows_context_dim(_ rows: OpaquePointer?) -> Int64 { fact(rows) { $0.contextDim } }

private func fact(_ rows: OpaquePointer?, _ fact: (any RowReader) -> Int) -> Int64 {
  (try? RowsHandle.from(rows)).map { Int64(fact($0.reader)) } ?? 0
}

// MARK: - Training

@implementation @_cdecl("diffeo_trainer_create_rows")
public func diffeo_trainer_create_rows(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ rows: OpaquePointer?,
  _ trainer: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(trainer, "trainer") { () throws(DiffeoError) in
    let handle = try FlowHandle.from(flow)
    let options = try diffeo_train_options.read(options).options
    return TrainerHandle(
      try AnyTrainer(handle.flow, options, RowsHandle.from(rows).reader), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_trainer_set_validation_rows")
public func diffeo_trainer_set_validation_rows(_ trainer: OpaquePointer?, _ rows: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try TrainerHandle.from(trainer).trainer.setValidation(RowsHandle.from(rows).reader)
  }
}

// MARK: - Files

@implementation @_cdecl("diffeo_rows_open")
public func diffeo_rows_open(
  _ path: UnsafePointer<CChar>?, _ x: UnsafePointer<CChar>?, _ context: UnsafePointer<CChar>?,
  _ weights: UnsafePointer<CChar>?, _ rows: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(rows, "rows") { () throws(DiffeoError) in
    RowsHandle(
      try DataFileReader(
        path: string(path, "path"), x: optional(x, "x"), context: optional(context, "context"),
        weights: optional(weights, "weights")))
  }
}

private func optional(_ text: UnsafePointer<CChar>?, _ name: String) throws(DiffeoError) -> String? {
  text == nil ? nil : try string(text, name)
}

@implementation @_cdecl("diffeo_flow_log_prob_file")
public func diffeo_flow_log_prob_file(
  _ flow: OpaquePointer?, _ rows: OpaquePointer?, _ workspace: OpaquePointer?, _ path: UnsafePointer<CChar>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let reader = try RowsHandle.from(rows).reader
    let workspace = try Workspace.orTemporary(workspace)
    try reader.check(flow.spec)
    let writer = try DataFileWriter(path: string(path, "path"), flow.spec.dtype, rows: reader.rows, columns: 0)
    try flow.logProb(of: reader, to: writer, workspace)
    try writer.finish()
  }
}

@implementation @_cdecl("diffeo_flow_sample_file")
public func diffeo_flow_sample_file(
  _ flow: OpaquePointer?, _ seed: UInt64, _ first_row: UInt64, _ n: Int64, _ context: OpaquePointer?,
  _ workspace: OpaquePointer?, _ path: UnsafePointer<CChar>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let rows = try count(n, "n")
    try checkSize(rows, flow.spec.dim, "x", of: Double.self)
    try checkNumbers(first_row, rows)
    let context = context == nil ? nil : try RowsHandle.from(context).reader
    let workspace = try Workspace.orTemporary(workspace)
    let writer = try DataFileWriter(
      path: string(path, "path"), flow.spec.dtype, rows: rows, columns: flow.spec.dim)
    try flow.sample(seed: seed, firstRow: first_row, count: rows, context: context, to: writer, workspace)
    try writer.finish()
  }
}
