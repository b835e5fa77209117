import CDiffeo
import CShims
import Diffeo

extension Workspace: Handle {
  static var name: String { "workspace" }

  /// The caller's, or one for this call.
  static func orTemporary(_ pointer: OpaquePointer?) throws(DiffeoError) -> Workspace {
    if pointer != nil { return try from(pointer) }
    return try Workspace(threads: 1)
  }
}

@implementation @_cdecl("diffeo_workspace_create")
public func diffeo_workspace_create(
  _ threads: Int32, _ workspace: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(workspace, "workspace") { () throws(DiffeoError) in try Workspace(threads: Int(threads)) }
}

@implementation @_cdecl("diffeo_workspace_create_hosted")
public func diffeo_workspace_create_hosted(
  _ threads: Int32, _ parallel: diffeo_parallel?, _ user: UnsafeMutableRawPointer?,
  _ workspace: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(workspace, "workspace") { () throws(DiffeoError) in
    guard let parallel else { throw DiffeoError(.invalid, "parallel is NULL") }
    nonisolated(unsafe) let user = user
    return try Workspace(threads: Int(threads)) { count, job in
      withUnsafePointer(to: job) { job in
        callHost { parallel(user, runJob, UnsafeMutableRawPointer(mutating: job), Int32(count)) }
      }
    }
  }
}

/// On a thread of the host's, in whatever floating-point environment that has.
private let runJob: diffeo_job = { jobs, index in
  guard let jobs else { return }
  let outer = cshims_environment_enter()
  defer { cshims_environment_leave(outer) }
  jobs.assumingMemoryBound(to: Team.Job.self).pointee(Int(index))
}

@implementation @_cdecl("diffeo_workspace_pin")
public func diffeo_workspace_pin(
  _ workspace: OpaquePointer?, _ processors: UnsafePointer<Int64>?, _ count: Int64
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let team = try Workspace.from(workspace)
    guard 1...4096 ~= count else { throw DiffeoError(.invalid, "count is \(count); it must be 1 to 4096") }
    try team.pin(integers(require(processors, "processors"), count, "processors", atMost: 4096))
  }
}

@implementation @_cdecl("diffeo_workspace_destroy")
public func diffeo_workspace_destroy(_ workspace: OpaquePointer?) { Workspace.destroy(workspace) }

@implementation @_cdecl("diffeo_workspace_threads")
public func diffeo_workspace_threads(_ workspace: OpaquePointer?) -> Int32 {
  (try? Workspace.from(workspace)).map { Int32($0.threads) } ?? 0
}
