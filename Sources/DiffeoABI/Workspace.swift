import CDiffeo
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

@implementation @_cdecl("diffeo_workspace_destroy")
public func diffeo_workspace_destroy(_ workspace: OpaquePointer?) { Workspace.destroy(workspace) }

@implementation @_cdecl("diffeo_workspace_threads")
public func diffeo_workspace_threads(_ workspace: OpaquePointer?) -> Int32 {
  (try? Workspace.from(workspace)).map { Int32($0.threads) } ?? 0
}
