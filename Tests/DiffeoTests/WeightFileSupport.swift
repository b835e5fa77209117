import CHDF5
import Glibc
import Storage
import Testing

@testable import Diffeo
@testable import WeightFile

/// Rounds of a test of chance: so many, times the length that `make test-long` asks for.
func rounds(_ count: Int) -> Int {
  count * (getenv("DIFFEO_TEST_LENGTH").flatMap { Int(String(cString: $0)) } ?? 1)
}

/// A folder that goes away with its files.
final class Folder {
  let path: String

  init() throws {
    var template = Array("/tmp/diffeo-test-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  subscript(name: String) -> String { "\(path)/\(name)" }

  var names: [String] { fileNames(in: path) }
}

/// What a folder holds, but for itself and its parent.
func fileNames(in path: String) -> [String] {
  guard let folder = opendir(path) else { return [] }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

func write(_ bytes: [UInt8], to path: String) throws {
  let file = try #require(fopen(path, "w"))
  defer { fclose(file) }
  #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}

func read(_ path: String) throws -> [UInt8] {
  let file = try #require(fopen(path, "r"))
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 1 << 22)
  bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
  return bytes
}

extension WeightFile {
  static func load(_ bytes: [UInt8]) throws(DiffeoError) -> StoredFlow {
    try bytes.withUnsafeBufferPointer { bytes throws(DiffeoError) in
      try load(image: UnsafeRawBufferPointer(bytes))
    }
  }
}

extension StoredFlow {
  /// One of each kind of thing that a file can hold.
  static func sample(_ dtype: DType, metadata: [String: String] = ["who": "me"]) throws -> StoredFlow {
    var builder = try SpecBuilder(dim: 3, contextDim: 2, dtype: dtype)
    try builder.standardizeContext((mean: [0.5, -1], deviation: [1, 2]))
    try builder.addStandardize((mean: [1, 2, 3], deviation: [0.5, 1, 2]))
    try builder.addPermutation([2, 0, 1])
    try builder.addActNorm()
    var conditioner = SpecBuilder.Conditioner()
    conditioner.hidden = [4]
    try builder.addCoupling(conditioner, mask: .even, seed: 0)
    conditioner.hidden = []
    try builder.addAutoregressive(conditioner, order: .reversed, randomDegrees: false, inverted: true, seed: 0)
    conditioner.network = .init(hidden: [2, 2, 3], activation: .tanh)
    conditioner.network.blocks = .preactivation
    conditioner.network.normalized = true
    conditioner.network.contextMode = .shift
    try builder.addCoupling(conditioner, mask: .odd, seed: 0)
    conditioner.network = .init(hidden: [2, 2], activation: .geluErf)
    conditioner.network.blocks = .residual
    conditioner.network.contextMode = .gate
    try builder.addAutoregressive(conditioner, order: .natural, randomDegrees: false, seed: 0)
    let flow: AnyFlow =
      switch dtype {
      case .f32: .f32(try Flow.random(builder.spec, seed: 3))
      case .f64: .f64(try Flow.random(builder.spec, seed: 3))
      }
    return StoredFlow(flow: flow, metadata: metadata)
  }

  /// The parameters' bits.
  var bits: [UInt64] {
    switch flow {
    case .f32(let flow): (0..<flow.parameters.count).map { UInt64(flow.parameters.pointer[$0].bitPattern) }
    case .f64(let flow): (0..<flow.parameters.count).map { flow.parameters.pointer[$0].bitPattern }
    }
  }
}

/// Changes a file with plain HDF5, and none of the code under test but its lock.
struct Editor {
  let file: hid_t

  static func edit(_ path: String, _ body: (Editor) -> Void) throws {
    try Library.use { _ throws(DiffeoError) in
      let file = H5Fopen(path, 1, CH5P_DEFAULT())
      guard file >= 0 else { throw DiffeoError(.internal, "the test cannot open its file") }
      body(Editor(file: file))
      H5Fclose(file)
    }
  }

  private func object(_ path: String, _ body: (hid_t) -> Void) {
    let object = H5Oopen(file, path, CH5P_DEFAULT())
    #expect(object >= 0)
    body(object)
    H5Oclose(object)
  }

  func remove(_ path: String) { #expect(H5Ldelete(file, path, CH5P_DEFAULT()) >= 0) }

  func move(_ path: String, to other: String) {
    #expect(H5Lmove(file, path, file, other, CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
  }

  func removeAttribute(_ name: String, of path: String) { object(path) { #expect(H5Adelete($0, name) >= 0) } }

  /// Replaces an attribute.
  func set(_ name: String, of path: String, _ type: hid_t, _ shape: [hsize_t]?, _ value: UnsafeRawPointer) {
    object(path) { object in
      if H5Aexists(object, name) > 0 { H5Adelete(object, name) }
      let space = shape.map { H5Screate_simple(Int32($0.count), $0, nil) } ?? H5Screate(H5S_SCALAR)
      let attribute = H5Acreate2(object, name, type, space, CH5P_DEFAULT(), CH5P_DEFAULT())
      #expect(H5Awrite(attribute, type, value) >= 0)
      H5Aclose(attribute)
      H5Sclose(space)
    }
  }
  func set(_ name: String, of path: String, _ value: Int) {
    var value = Int64(value)
    set(name, of: path, CH5T_NATIVE_INT64(), nil, &value)
  }
  func set(_ name: String, of path: String, _ value: Double) {
    var value = value
    set(name, of: path, CH5T_NATIVE_DOUBLE(), nil, &value)
  }
  func set(_ name: String, of path: String, _ values: [Int]) {
    set(name, of: path, CH5T_NATIVE_INT64(), [hsize_t(values.count)], values.map { Int64($0) })
  }
  /// A text of a fixed number of bytes.
  func set(_ name: String, of path: String, bytes: [UInt8], padding: H5T_str_t = H5T_STR_NULLPAD) {
    let type = H5Tcopy(CH5T_C_S1())
    H5Tset_size(type, bytes.count)
    H5Tset_strpad(type, padding)
    set(name, of: path, type, nil, bytes)
    H5Tclose(type)
  }
  func set(_ name: String, of path: String, _ value: String) { set(name, of: path, bytes: Array(value.utf8)) }
  /// As h5py writes a str.
  func set(_ name: String, of path: String, variable value: String) {
    let type = H5Tcopy(CH5T_C_S1())
    H5Tset_size(type, Int(bitPattern: UInt.max))
    value.withCString { value in
      var value: UnsafePointer<CChar>? = value
      set(name, of: path, type, nil, &value)
    }
    H5Tclose(type)
  }

  struct Layout {
    var chunk: [hsize_t]?
    /// Changes the properties with which a dataset is created.
    var more: (hid_t) -> Void = { _ in }
  }

  /// Replaces a dataset; without values nothing is written.
  func put<T>(
    _ path: String, _ shape: [Int], _ values: [T]?, as type: hid_t, memory: hid_t, layout: Layout = Layout()
  ) {
    if H5Lexists(file, path, CH5P_DEFAULT()) > 0 { remove(path) }
    let extents = shape.map { hsize_t($0) }
    let space = H5Screate_simple(Int32(shape.count), extents, nil)
    let creation = H5Pcreate(CH5P_DATASET_CREATE())
    if let chunk = layout.chunk { H5Pset_chunk(creation, Int32(chunk.count), chunk) }
    layout.more(creation)
    let dataset = H5Dcreate2(file, path, type, space, CH5P_DEFAULT(), creation, CH5P_DEFAULT())
    #expect(dataset >= 0)
    if let values { #expect(H5Dwrite(dataset, memory, CH5S_ALL(), CH5S_ALL(), CH5P_DEFAULT(), values) >= 0) }
    H5Dclose(dataset)
    H5Pclose(creation)
    H5Sclose(space)
  }
  func put(_ path: String, _ shape: [Int], _ values: [Double]?, layout: Layout = Layout()) {
    put(path, shape, values, as: CH5T_IEEE_F64LE(), memory: CH5T_NATIVE_DOUBLE(), layout: layout)
  }
  func put(_ path: String, _ values: [Int64]) {
    put(path, [values.count], values, as: CH5T_STD_I64LE(), memory: CH5T_NATIVE_INT64())
  }
}
