import Diffeo
import Storage

/// A flow and the words that its user keeps with it.
package struct StoredFlow: Sendable {
  package var flow: AnyFlow
  package var metadata: [String: String]
  /// Where the flow is the best one so far of a training that may go on.
  package var training: AnyTrainingState?

  package init(flow: AnyFlow, metadata: [String: String] = [:], training: AnyTrainingState? = nil) {
    self.flow = flow
    self.metadata = metadata
    self.training = training
  }
}

/// Flows as HDF5 files; docs/weight-file.md is the specification.
package enum WeightFile {
  /// As the file names what made it.
  package static let createdBy = "diffeo \(diffeoVersion)"

  /// withTraining: that must be there; else it is left out.
  package static func load(path: String, withTraining: Bool = false) throws(DiffeoError) -> StoredFlow {
    let image = try Image(path: path)
    do throws(DiffeoError) {
      return try image.withBytes { bytes throws(DiffeoError) in try decode(bytes, withTraining: withTraining) }
    } catch {
      throw DiffeoError(error.code, "'\(path)': \(error.message)")
    }
  }

  package static func load(image: UnsafeRawBufferPointer) throws(DiffeoError) -> StoredFlow {
    let head = UnsafeRawBufferPointer(rebasing: image.prefix(Superblock.size))
    let extent = try Superblock.extent(of: head, fileSize: image.count)
    return try decode(UnsafeRawBufferPointer(rebasing: image.prefix(extent)), withTraining: false)
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
    switch (stored.flow, stored.training) {
    case (.f32(let flow), nil): try encode(flow, stored.metadata, nil)
    case (.f64(let flow), nil): try encode(flow, stored.metadata, nil)
    case (.f32(let flow), .f32(let training)): try encode(flow, stored.metadata, training)
    case (.f64(let flow), .f64(let training)): try encode(flow, stored.metadata, training)
    default: throw DiffeoError(.internal, "a flow and its training differ in type")
    }
  }
}
