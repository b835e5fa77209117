import Diffeo
import Storage

/// A flow and the words that its user keeps with it.
package struct StoredFlow: Sendable {
  package var flow: AnyFlow
  package var metadata: [String: String]

  package init(flow: AnyFlow, metadata: [String: String] = [:]) {
    self.flow = flow
    self.metadata = metadata
  }
}

/// Flows as HDF5 files; docs/weight-file.md is the specification.
package enum WeightFile {
  /// As the file names what made it.
  package static let createdBy = "diffeo \(diffeoVersion)"

  package static func load(path: String) throws(DiffeoError) -> StoredFlow {
    let image = try Image(path: path)
    do throws(DiffeoError) {
      return try image.withBytes { bytes throws(DiffeoError) in try decode(bytes) }
    } catch {
      throw DiffeoError(error.code, "'\(path)': \(error.message)")
    }
  }

  package static func load(image: UnsafeRawBufferPointer) throws(DiffeoError) -> StoredFlow {
    let head = UnsafeRawBufferPointer(rebasing: image.prefix(Superblock.size))
    let extent = try Superblock.extent(of: head, fileSize: image.count)
    return try decode(UnsafeRawBufferPointer(rebasing: image.prefix(extent)))
  }

  package static func save(_ stored: StoredFlow, path: String) throws(DiffeoError) {
    let image = try encode(stored)
    try image.withBytes { bytes throws(DiffeoError) in try AtomicFile.write(bytes, to: path) }
  }

  package static func image(of stored: StoredFlow) throws(DiffeoError) -> [UInt8] {
    let image = try encode(stored)
    return try image.withBytes { Array($0) }
  }

  private static func encode(_ stored: StoredFlow) throws(DiffeoError) -> Image {
    switch stored.flow {
    case .f32(let flow): try encode(flow, stored.metadata)
    case .f64(let flow): try encode(flow, stored.metadata)
    }
  }
}
