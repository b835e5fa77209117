import CHDF5
import Glibc
import Storage
import Testing

@testable import Diffeo
@testable import WeightFile

/// A file made by Diffeo and then changed, and what loading it must say.
struct Damage: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let code: DiffeoError.Code?
  let edit: @Sendable (Editor) -> Void

  init(_ name: String, _ code: DiffeoError.Code? = .format, _ edit: @escaping @Sendable (Editor) -> Void) {
    testDescription = name
    self.code = code
    self.edit = edit
  }
}

@Suite struct WeightFileDamageTests {
  static let refused: [Damage] = [
    Damage("no format") { $0.removeAttribute("format", of: "/") },
    Damage("another format") { $0.set("format", of: "/", "keras") },
    Damage("format as a number") { $0.set("format", of: "/", 1) },
    Damage("no version") { $0.removeAttribute("format_version", of: "/") },
    Damage("one version number") { $0.set("format_version", of: "/", [1]) },
    Damage("version as a number") { $0.set("format_version", of: "/", 1) },
    Damage("version 2", .version) { $0.set("format_version", of: "/", [2, 0]) },
    Damage("version 0", .version) { $0.set("format_version", of: "/", [0, 9]) },
    Damage("a dtype") { $0.set("dtype", of: "/", "float16") },
    Damage("dim 0") { $0.set("dim", of: "/", 0) },
    Damage("dim other than event_shape") { $0.set("dim", of: "/", 4) },
    Damage("dim too large") {
      $0.set("dim", of: "/", 65_537)
      $0.set("event_shape", of: "/", [65_537])
    },
    Damage("dim most negative") {
      $0.set("dim", of: "/", Int.min)
      $0.set("event_shape", of: "/", [Int.min])
    },
    Damage("dim as a text") { $0.set("dim", of: "/", "3") },
    Damage("dim as two numbers") { $0.set("dim", of: "/", [3, 3]) },
    Damage("context_dim negative") { $0.set("context_dim", of: "/", -1) },
    Damage("context_dim too large") { $0.set("context_dim", of: "/", 65_537) },
    Damage("a context map without context") { $0.set("context_dim", of: "/", 0) },
    Damage("event_shape of rank 2") { $0.set("event_shape", of: "/", [3, 1]) },
    Damage("no event_shape") { $0.removeAttribute("event_shape", of: "/") },

    Damage("no layers") { $0.remove("/layers") },
    Damage("no base") { $0.remove("/base") },
    Damage("a gap in the layers") { $0.move("/layers/001", to: "/layers/007") },
    Damage("layers is a dataset") {
      $0.remove("/layers")
      $0.put("/layers", [1, 2])
    },
    Damage("an unknown layer", .version) { $0.set("kind", of: "/layers/002", "cubic") },
    Damage("an unknown base", .version) { $0.set("kind", of: "/base", "cauchy") },
    Damage("an unknown context map", .version) { $0.set("kind", of: "/context", "actnorm") },
    Damage("no kind") { $0.removeAttribute("kind", of: "/layers/002") },
    Damage("kind as a number") { $0.set("kind", of: "/layers/002", 7) },
    Damage("kind not UTF-8") { $0.set("kind", of: "/layers/002", bytes: [0x61, 0xFF, 0xFE]) },
    Damage("too many attributes") { editor in
      for i in 0...256 { editor.set("a\(i)", of: "/layers/002", i) }
    },
    Damage("an unknown activation", .version) { $0.set("activation", of: "/layers/003", "sine") },
    Damage("an unknown scale", .version) { $0.set("scale", of: "/layers/003", "square") },
    Damage("a scale bound of NaN") { $0.set("scale_bound", of: "/layers/003", Double.nan) },

    // Layer 5 has preactivation, scales and a shift by the context, layer 6 plain residual blocks and gates.
    Damage("unknown blocks", .version) { $0.set("blocks", of: "/layers/005", "dense") },
    Damage("blocks as a number") { $0.set("blocks", of: "/layers/005", 3) },
    Damage("no blocks, but a gate") { $0.removeAttribute("blocks", of: "/layers/006") },
    Damage("normalized without preactivation") { $0.set("normalized", of: "/layers/006", 1) },
    Damage("normalized 2") { $0.set("normalized", of: "/layers/005", 2) },
    Damage("an unknown context mode", .version) { $0.set("context_mode", of: "/layers/006", "film") },
    Damage("a gate in place of a shift") { $0.set("context_mode", of: "/layers/005", "gate") },
    Damage("blocks without hidden layers") { $0.put("/layers/005/hidden", []) },
    Damage("blocks of a width of 0") { $0.put("/layers/005/hidden", [2, 0, 3]) },
    Damage("blocks of a huge width") { $0.put("/layers/005/hidden", [2, Int64.max, 3]) },
    Damage("units that change their degrees") { $0.put("/layers/006/degrees_1", [0, 0]) },
    Damage("no inner matrix") { $0.remove("/layers/005/network/1/inner") },
    Damage("an outer matrix of another shape") {
      $0.put("/layers/005/network/1/outer/weight", [2, 3], [1, 2, 3, 4, 5, 6])
    },
    Damage("no matrix between other widths") { $0.remove("/layers/005/network/2/weight") },
    Damage("no scale of a block") { $0.remove("/layers/005/network/0/scale") },
    Damage("a shift of another width") { $0.put("/layers/005/network/0/shift", [3], [1, 2, 3]) },
    Damage("a gate of another shape") { $0.put("/layers/006/network/0/gate/weight", [2, 3], [1, 2, 3, 4, 5, 6]) },
    Damage("no matrix of the context in a block") { $0.remove("/layers/005/network/1/context/weight") },
    Damage("no matrix of the context") { $0.remove("/layers/005/network/context") },
    Damage("a NaN in a block") { $0.put("/layers/006/network/1/inner/bias", [2], [1, .nan]) },

    Damage("no permutation") { $0.remove("/layers/001/permutation") },
    Damage("a column twice") { $0.put("/layers/001/permutation", [0, 0, 1]) },
    Damage("a column too large") { $0.put("/layers/001/permutation", [0, 1, Int64.max]) },
    Damage("a permutation too short") { $0.put("/layers/001/permutation", [0, 1]) },
    Damage("a permutation of doubles") { $0.put("/layers/001/permutation", [3], [0.0, 1, 2]) },
    Damage("an index list too long") {
      let count = (1 << 24) + 1
      $0.put("/layers/001/permutation", [Int64](repeating: 0, count: count).map { Int8($0) }, count)
    },
    Damage("an index list of 1e15 entries that are not there") {
      $0.put(
        "/layers/001/permutation", [1_000_000_000_000_000], [Int64]?.none, as: CH5T_STD_I64LE(),
        memory: CH5T_NATIVE_INT64(), layout: .init(chunk: [1000]))
    },

    Damage("no weights") { $0.remove("/layers/002/shift") },
    Damage("no group of weights") { $0.remove("/layers/003/network/0") },
    Damage("weights too short") { $0.put("/layers/002/shift", [2], [1, 2]) },
    Damage("weights of another rank") { $0.put("/layers/002/shift", [1, 3], [1, 2, 3]) },
    Damage("integer weights") { $0.put("/layers/002/shift", [1, 2, 3]) },
    Damage("weights that are a group") {
      $0.remove("/layers/002/shift")
      $0.move("/layers/003/network", to: "/layers/002/shift")
    },
    Damage("a group that is weights") {
      $0.remove("/layers/003/network")
      $0.put("/layers/003/network", [3], [1, 2, 3])
    },
    Damage("a NaN") { $0.put("/layers/002/shift", [3], [1, .nan, 3]) },
    Damage("an infinity") { $0.put("/layers/002/shift", [3], [1, 2, -.infinity]) },
    Damage("too large for the dtype") { $0.put("/layers/002/shift", [3], [1, 1e300, 3]) },
    Damage("a deviation of 0") { $0.put("/layers/000/std", [3], [1, 0, 3]) },
    Damage("never written") { $0.put("/layers/002/shift", [3], nil) },
    Damage("never written, in chunks") { $0.put("/layers/002/shift", [3], nil, layout: .init(chunk: [3])) },
    Damage("1e12 weights that are not there") {
      $0.put("/layers/002/shift", [1_000_000_000_000], nil, layout: .init(chunk: [1_000_000]))
    },
    Damage("compressed") {
      $0.put("/layers/002/shift", [3], [1, 2, 3], layout: .init(chunk: [3]) { H5Pset_deflate($0, 9) })
    },
    Damage("another filter") {
      $0.put("/layers/002/shift", [3], [1, 2, 3], layout: .init(chunk: [3]) { H5Pset_shuffle($0) })
    },
    Damage("in another file") {
      $0.put("/layers/002/shift", [3], nil, layout: .init { H5Pset_external($0, "/etc/passwd", 0, 24) })
    },
    Damage("virtual") {
      $0.put(
        "/layers/002/shift", [3], nil,
        layout: .init { creation in
          var extent: hsize_t = 3
          let space = H5Screate_simple(1, &extent, nil)
          H5Pset_virtual(creation, space, "/tmp/other.h5", "/shift", space)
          H5Sclose(space)
        })
    },
    Damage("an external link") {
      $0.remove("/layers/002")
      #expect(H5Lcreate_external("/tmp/x.h5", "/a", $0.file, "/layers/002", CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
    },
    Damage("a soft link") {
      $0.remove("/layers/002/shift")
      #expect(
        H5Lcreate_soft("/layers/002/log_scale", $0.file, "/layers/002/shift", CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
    },
    Damage("a soft link to itself") {
      $0.remove("/base")
      #expect(H5Lcreate_soft("/base", $0.file, "/base", CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
    },
    Damage("thousands of links to one layer") { editor in
      for i in 7..<4096 {
        #expect(
          H5Lcreate_hard(
            editor.file, "/layers/003", editor.file, "/layers/\(layerName(i))", CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
      }
    },
    Damage("too many layers") { editor in
      for i in 7..<4097 {
        #expect(
          H5Lcreate_hard(
            editor.file, "/layers/002", editor.file, "/layers/\(layerName(i))", CH5P_DEFAULT(), CH5P_DEFAULT()) >= 0)
      }
    },

    Damage("another log density") { $0.put("/self_test/log_prob", [5], [1, 2, 3, 4, 5]) },
    Damage("a log density of NaN") { $0.put("/self_test/log_prob", [5], [Double](repeating: .nan, count: 5)) },
    Damage("no log densities") { $0.remove("/self_test/log_prob") },
    Damage("no rows") {
      $0.put("/self_test/log_prob", [0], [])
      $0.put("/self_test/x", [0, 3], [])
    },
    Damage("too many rows") { $0.put("/self_test/log_prob", [257], [Double](repeating: 0, count: 257)) },
    Damage("x of another shape") { $0.put("/self_test/x", [3, 5], [Double](repeating: 0, count: 15)) },
    Damage("no x") { $0.remove("/self_test/x") },
    Damage("no context") { $0.remove("/self_test/context") },
    Damage("a weight that the self-test notices") { $0.put("/layers/002/shift", [3], [1, 2, 3]) },

    Damage("metadata not UTF-8") { $0.set("who", of: "/metadata", bytes: [0xC0, 0x80]) },
    Damage("metadata too long") {
      $0.set("who", of: "/metadata", bytes: [UInt8](repeating: 0x61, count: 65_537))
    },
    Damage("metadata is a dataset") {
      $0.remove("/metadata")
      $0.put("/metadata", [1])
    },
  ]

  @Test("files that are refused", arguments: refused)
  func refusal(_ damage: Damage) throws {
    let folder = try Folder()
    try WeightFile.save(.sample(.f32), path: folder["a.h5"])
    try Editor.edit(folder["a.h5"], damage.edit)
    do {
      _ = try WeightFile.load(path: folder["a.h5"])
      Issue.record("it was loaded")
    } catch {
      #expect(error.code == damage.code, "\(error.message)")
      #expect(!error.message.isEmpty)
    }
  }

  /// As h5py and others may write it, or a newer version.
  static let accepted: [Damage] = [
    Damage("a newer minor version", nil) { $0.set("format_version", of: "/", [1, 7]) },
    Damage("unknown things", nil) { editor in
      editor.set("colour", of: "/", "blue")
      editor.set("matrix", of: "/layers/002", [1, 2, 3])
      editor.set("note", of: "/layers/002", "hello")
      editor.put("/layers/002/extra", [2, 2], [1, 2, 3, 4])
      editor.put("/notes", [1, 2, 3])
      editor.put("/layers/notes", [1, 2, 3])
      editor.put("/training", [2], nil)
      H5Lcreate_external("/tmp/x.h5", "/a", editor.file, "/layers/002/link", CH5P_DEFAULT(), CH5P_DEFAULT())
      H5Lcreate_soft("/nowhere", editor.file, "/nothing", CH5P_DEFAULT(), CH5P_DEFAULT())
      editor.set("number", of: "/metadata", 4)
    },
    Damage("no self-test", nil) { $0.remove("/self_test") },
    Damage("texts of variable length", nil) {
      $0.set("format", of: "/", variable: "diffeo")
      $0.set("kind", of: "/layers/002", variable: "actnorm")
    },
    Damage("texts filled up in every way", nil) {
      $0.set("format", of: "/", bytes: Array("diffeo\0\0\0".utf8))
      $0.set("kind", of: "/layers/002", bytes: Array("actnorm   ".utf8), padding: H5T_STR_SPACEPAD)
      $0.set("kind", of: "/base", bytes: Array("standard_normal\0".utf8), padding: H5T_STR_NULLTERM)
    },
    Damage("a bool as numpy has it", nil) { editor in
      let type = H5Tenum_create(CH5T_NATIVE_INT8())
      var (no, yes) = (Int8(0), Int8(1))
      H5Tenum_insert(type, "FALSE", &no)
      H5Tenum_insert(type, "TRUE", &yes)
      editor.set("inverse", of: "/layers/004", type, nil, &yes)
      editor.set("inverse", of: "/layers/003", type, nil, &no)
      editor.put("/layers/003/mask", [3], [Int8(1), 0, 1], as: type, memory: type)
      H5Tclose(type)
    },
    Damage("lists of other integers", nil) {
      $0.put(
        "/layers/001/permutation", [3], [Int64(2), 0, 1], as: CH5T_STD_U16BE(), memory: CH5T_NATIVE_INT64())
    },
  ]

  @Test("files that are loaded all the same", arguments: accepted)
  func acceptance(_ damage: Damage) throws {
    let folder = try Folder()
    let stored = try StoredFlow.sample(.f32)
    try WeightFile.save(stored, path: folder["a.h5"])
    try Editor.edit(folder["a.h5"], damage.edit)
    let loaded = try WeightFile.load(path: folder["a.h5"])
    #expect(loaded.bits == stored.bits)
    #expect(loaded.metadata == stored.metadata)
  }

  @Test("weights of any type, byte order and layout", arguments: 0..<4)
  func weights(_ variant: Int) throws {
    let folder = try Folder()
    let stored = try StoredFlow.sample(.f32)
    guard case .f32(let flow) = stored.flow else { return }
    try WeightFile.save(stored, path: folder["a.h5"])
    let slots = flow.spec.slots.first { $0.component == .layer(2) }?.slots ?? []
    try Editor.edit(folder["a.h5"]) { editor in
      for slot in slots {
        let values = (0..<slot.count).map { Double(flow.parameters.pointer[slot.offset + $0]) }
        let path = "/layers/002/\(slot.name)"
        let memory = CH5T_NATIVE_DOUBLE()
        switch variant {
        case 0: editor.put(path, slot.shape, values, as: CH5T_IEEE_F64BE(), memory: memory)
        case 1: editor.put(path, slot.shape, values, as: CH5T_IEEE_F32BE(), memory: memory)
        case 2: editor.put(path, slot.shape, values, layout: .init { H5Pset_layout($0, H5D_COMPACT) })
        default:
          editor.put(path, slot.shape, values, layout: .init(chunk: slot.shape.map { hsize_t(max(1, $0 - 1)) }))
        }
      }
    }
    #expect(try WeightFile.load(path: folder["a.h5"]).bits == stored.bits)
  }

  @Test("half precision") func half() throws {
    let folder = try Folder()
    var builder = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    try builder.addActNorm()
    try WeightFile.save(StoredFlow(flow: AnyFlow(spec: builder.spec, seed: 0)), path: folder["a.h5"])
    try Editor.edit(folder["a.h5"]) { editor in
      let half = H5Tcopy(CH5T_IEEE_F32LE())
      H5Tset_fields(half, 15, 10, 5, 0, 10)
      H5Tset_size(half, 2)
      H5Tset_ebias(half, 15)
      editor.put("/layers/000/shift", [2], [0.5, -1.25], as: half, memory: CH5T_NATIVE_DOUBLE())
      editor.remove("/self_test")
      H5Tclose(half)
    }
    guard case .f64(let flow) = try WeightFile.load(path: folder["a.h5"]).flow else { return }
    #expect([flow.parameters.pointer[2], flow.parameters.pointer[3]] == [0.5, -1.25])
  }

  @Test("a heap of texts that is damaged", arguments: 0..<6)
  func heap(_ variant: Int) throws {
    let folder = try Folder()
    let text = String(repeating: "long ", count: 4000)
    try WeightFile.save(.sample(.f32, metadata: [:]), path: folder["a.h5"])
    try Editor.edit(folder["a.h5"]) {
      H5Gclose(H5Gcreate2($0.file, "/metadata", CH5P_DEFAULT(), CH5P_DEFAULT(), CH5P_DEFAULT()))
      $0.set("who", of: "/metadata", variable: text)
    }
    #expect(try WeightFile.load(path: folder["a.h5"]).metadata == ["who": text])

    var bytes = try read(folder["a.h5"])
    let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("GCOL".utf8)) })
    switch variant {
    case 0: bytes[heap] = 0
    case 1: bytes[heap + 15] = 0x7F  // size of the collection, huge
    case 2: bytes[heap + 8] = 8  // odd
    case 3: bytes[heap + 16] = 2  // number of the object
    case 4: bytes[heap + 31] = 0xFF  // its size, huge
    default: (bytes[heap + 24], bytes[heap + 25]) = (5, 0)  // short
    }
    do {
      #expect(try WeightFile.load(bytes).metadata == ["who": text])
    } catch {
      #expect(error.code == .format)
    }
  }

  /// As h5py writes it by default: the oldest file format, without checksums, and texts of variable length.
  static func oldest(_ path: String, kind: String = "actnorm") throws {
    try Library.use { _ throws(DiffeoError) in
      let editor = Editor(file: H5Fcreate(path, 2, CH5P_DEFAULT(), CH5P_DEFAULT()))
      for (name, value) in [("format", "diffeo"), ("dtype", "float64")] { editor.set(name, of: "/", variable: value) }
      for (name, value) in [("dim", 2), ("context_dim", 0)] { editor.set(name, of: "/", value) }
      editor.set("format_version", of: "/", [1, 0])
      editor.set("event_shape", of: "/", [2])
      for group in ["/base", "/layers", "/layers/000"] {
        H5Gclose(H5Gcreate2(editor.file, group, CH5P_DEFAULT(), CH5P_DEFAULT(), CH5P_DEFAULT()))
      }
      editor.set("kind", of: "/base", variable: "standard_normal")
      editor.set("kind", of: "/layers/000", variable: kind)
      editor.put("/layers/000/log_scale", [2], [0.5, 1])
      editor.put("/layers/000/shift", [2], [-1, 3], layout: .init(chunk: [1]) { H5Pset_fletcher32($0) })
      editor.put("/layers/000/initialized", [1], [1])
      H5Fclose(editor.file)
    }
  }

  @Test("the oldest file format") func oldest() throws {
    let folder = try Folder()
    try Self.oldest(folder["a.h5"])
    let image = try read(folder["a.h5"])
    guard case .f64(let flow) = try WeightFile.load(image).flow else { return }
    #expect((0..<4).map { flow.parameters.pointer[$0] } == [0.5, 1, -1, 3])
    for count in image.indices {
      #expect(code { try WeightFile.load(Array(image[..<count])) } == .format, "\(count) bytes")
    }
    var random = Philox(seed: 8, stream: 82)
    let used = image.indices.filter { image[$0] != 0 }
    for _ in 0..<rounds(2000) {
      var damaged = image
      for _ in 0...random.integer(below: 3) {
        damaged[used[random.integer(below: used.count)]] = UInt8(random.integer(below: 256))
      }
      _ = code { try WeightFile.load(damaged) }
    }
  }

  /// HDF5 1.10 writes past its buffer, or reads past its heap, when it follows such a reference.
  @Test("a reference to a text that leads astray") func reference() throws {
    let folder = try Folder()
    let kind = String(repeating: "k", count: 20_000)
    try Self.oldest(folder["a.h5"], kind: kind)
    let image = try read(folder["a.h5"])
    func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    let lengths = image.indices.filter { image[$0...].starts(with: bytes(UInt32(20_000))) }
    let at = try #require(lengths.first { i in image[(i + 12)...].starts(with: bytes(UInt32(1))) })
    func load(length: UInt32, address: UInt64? = nil, number: UInt32 = 1) throws -> StoredFlow {
      var damaged = image
      damaged.replaceSubrange(at..<(at + 4), with: bytes(length))
      if let address { damaged.replaceSubrange((at + 4)..<(at + 12), with: bytes(address)) }
      damaged.replaceSubrange((at + 12)..<(at + 16), with: bytes(number))
      return try WeightFile.load(damaged)
    }
    func message(_ body: () throws -> StoredFlow) -> String {
      do {
        _ = try body()
        return ""
      } catch {
        return (error as? DiffeoError)?.message ?? ""
      }
    }
    #expect(message { try load(length: 20_000) }.contains("'\(kind)' is not known"))
    #expect(message { try load(length: 5) }.contains("'kkkkk' is not known"))
    #expect(message { try load(length: 0) }.contains("'' is not known"))
    let damaged = "damaged variable-length text"
    #expect(message { try load(length: 20_001) }.contains(damaged))
    #expect(message { try load(length: .max) }.contains(damaged))
    #expect(message { try load(length: 20_000, number: 0) }.contains(damaged))
    #expect(message { try load(length: 20_000, number: 60_000) }.contains(damaged))
    #expect(message { try load(length: 20_000, number: .max) }.contains(damaged))
    for address in [0, 8, UInt64(image.count) - 4, UInt64(image.count), 1 << 40, .max] {
      #expect(message { try load(length: 20_000, address: address) }.contains(damaged))
    }
  }

  /// HDF5 1.10 would go round until there is no memory left.
  @Test("a circular list of free blocks") func freeBlocks() throws {
    let folder = try Folder()
    try Self.oldest(folder["a.h5"])
    var image = try read(folder["a.h5"])
    let heaps = image.indices.filter { image[$0...].starts(with: Array("HEAP\0\0\0\0".utf8)) }
    #expect(!heaps.isEmpty)
    for heap in heaps {
      // The first free block, named at 16 in the data that begin at 24, becomes its own successor.
      func number(_ at: Int) -> Int { (0..<8).reduce(0) { $0 | Int(image[at + $1]) << (8 * $1) } }
      guard number(heap + 16) != 1 else { continue }
      let block = number(heap + 24) + number(heap + 16)
      let before = Array(image[block..<(block + 8)])
      image.replaceSubrange(block..<(block + 8), with: image[(heap + 16)..<(heap + 24)])
      #expect(code { try WeightFile.load(image) } == .format)
      image.replaceSubrange(block..<(block + 8), with: before)
    }
    #expect(code { try WeightFile.load(image) } == nil)
  }

  @Test("what is not HDF5 at all") func notHDF5() throws {
    var random = Philox(seed: 5, stream: 79)
    #expect(code { try WeightFile.load([]) } == .format)
    #expect(code { try WeightFile.load(image: UnsafeRawBufferPointer(start: nil, count: 0)) } == .format)
    for count in [1, 7, 8, 9, 95, 96, 97, 512, 4096, 100_000] {
      var bytes = (0..<count).map { _ in UInt8(random.integer(below: 256)) }
      #expect(code { try WeightFile.load(bytes) } == .format)
      for (i, byte) in [UInt8]([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]).enumerated() where i < count {
        bytes[i] = byte
      }
      for version in 0...4 {
        if count > 8 { bytes[8] = UInt8(version) }
        #expect(code { try WeightFile.load(bytes) } == .format)
      }
    }
    let folder = try Folder()
    try write([], to: folder["empty.h5"])
    #expect(code { try WeightFile.load(path: folder["empty.h5"]) } == .format)
    try write(Array("Once upon a time".utf8), to: folder["text.h5"])
    #expect(code { try WeightFile.load(path: folder["text.h5"]) } == .format)
  }

  @Test("a file cut off anywhere") func truncation() throws {
    let image = try WeightFile.image(of: .sample(.f32))
    for count in image.indices {
      #expect(code { try WeightFile.load(Array(image[..<count])) } == .format, "\(count) bytes")
    }
    #expect(try WeightFile.load(image + [1, 2, 3]).metadata == ["who": "me"])
  }

  /// Everything in a file of Diffeo's is under a checksum, but for a few bytes that mean nothing.
  @Test("a flipped bit is found, or changes nothing") func flips() throws {
    let stored = try StoredFlow.sample(.f32)
    var image = try WeightFile.image(of: stored)
    var random = Philox(seed: 6, stream: 80)
    var refused = 0
    for _ in 0..<rounds(4000) {
      let (byte, bit) = (random.integer(below: image.count), UInt8(1) << UInt8(random.integer(below: 8)))
      image[byte] ^= bit
      do {
        let loaded = try WeightFile.load(image)
        #expect(loaded.bits == stored.bits && loaded.metadata == stored.metadata, "byte \(byte)")
      } catch {
        #expect(error.code == .format, "\(error.message)")
        refused += 1
      }
      image[byte] ^= bit
    }
    #expect(refused > 2000)
  }

  /// Whatever else is wrong: an error, or a flow.
  @Test("several bytes changed") func noise() throws {
    // From nine links on, HDF5 keeps those of a group elsewhere.
    var layered = try SpecBuilder(dim: 2, contextDim: 0, dtype: .f64)
    for _ in 0..<12 { try layered.addReverse() }
    let images = [
      try WeightFile.image(of: .sample(.f64)),
      try WeightFile.image(of: StoredFlow(flow: AnyFlow(spec: layered.spec, seed: 1))),
    ]
    var random = Philox(seed: 7, stream: 81)
    for round in 0..<rounds(4000) {
      var damaged = images[round % 2]
      for _ in 0...random.integer(below: 6) {
        damaged[random.integer(below: damaged.count)] = UInt8(random.integer(below: 256))
      }
      _ = code { try WeightFile.load(damaged) }
    }
  }
}

extension Editor {
  fileprivate func put(_ path: String, _ values: [Int8], _ count: Int) {
    put(path, [count], values, as: CH5T_NATIVE_INT8(), memory: CH5T_NATIVE_INT8())
  }
}
