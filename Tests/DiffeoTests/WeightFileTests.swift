import CHDF5
import Glibc
import Storage
import Testing

@testable import Diffeo
@testable import WeightFile

@Suite struct WeightFileTests {
  @Test("what is loaded is what was saved, bit for bit", arguments: Case.all, [DType.f32, .f64])
  func roundTrip(_ c: Case, _ dtype: DType) throws {
    let spec = try c.spec(dtype)
    let stored = StoredFlow(
      flow: dtype == .f32 ? .f32(try Flow.random(spec, seed: 1)) : .f64(try Flow.random(spec, seed: 1)))
    let image = try WeightFile.image(of: stored)
    let loaded = try WeightFile.load(image)
    #expect(loaded.bits == stored.bits)
    #expect(loaded.flow.spec.layerRecords == stored.flow.spec.layerRecords)
    #expect(loaded.flow.spec.contextRecord == stored.flow.spec.contextRecord)
    #expect(loaded.flow.spec.baseRecord == stored.flow.spec.baseRecord)
    #expect(loaded.flow.spec.dtype == dtype)
    #expect((loaded.flow.spec.dim, loaded.flow.spec.contextDim) == (c.dim, c.contextDim))
    #expect(try WeightFile.image(of: loaded) == image)
  }

  @Test("a path and memory hold the same bytes, always the same", arguments: [DType.f32, .f64])
  func deterministic(_ dtype: DType) throws {
    let folder = try Folder()
    let metadata = Dictionary(uniqueKeysWithValues: (0..<200).map { ("key \($0)", "value \($0)") })
    let image = try WeightFile.image(of: .sample(dtype, metadata: metadata))
    try WeightFile.save(.sample(dtype, metadata: metadata), path: folder["a.h5"])
    #expect(try read(folder["a.h5"]) == image)
    // Over an existing file.
    try WeightFile.save(.sample(dtype, metadata: metadata), path: folder["a.h5"])
    #expect(try read(folder["a.h5"]) == image)
    #expect(try WeightFile.load(path: folder["a.h5"]).metadata == metadata)
    #expect(folder.names == ["a.h5"])
  }

  @Test func metadata() throws {
    let metadata = [
      "a": "", "name": "Grüße, 世界", "path/with/slashes": ".", "..": "dots", " ": "line\nbreak\t",
      "long": String(repeating: "x", count: 65_535), String(repeating: "k", count: 255): "key",
      "é": "one letter", "x": String(repeating: "é", count: 32_000),
    ]
    let stored = try StoredFlow.sample(.f32, metadata: metadata)
    #expect(try WeightFile.load(WeightFile.image(of: stored)).metadata == metadata)
    let many = Dictionary(uniqueKeysWithValues: (0..<4096).map { ("\($0)", String(repeating: "\($0)", count: 9)) })
    #expect(try WeightFile.load(WeightFile.image(of: .sample(.f32, metadata: many))).metadata == many)
  }

  @Test(
    "metadata that cannot be stored",
    arguments: [
      ["": "empty"], ["a\0b": ""], [String(repeating: "k", count: 256): ""], ["a": "\0"],
      ["a": String(repeating: "x", count: 65_536)],
      Dictionary(uniqueKeysWithValues: (0..<4097).map { ("\($0)", "") }),
    ])
  func refusedMetadata(_ metadata: [String: String]) throws {
    let stored = try StoredFlow.sample(.f32, metadata: metadata)
    #expect(code { try WeightFile.image(of: stored) } == .invalid)
  }

  @Test("paths that cannot be read or written")
  func paths() throws {
    let folder = try Folder()
    let stored = try StoredFlow.sample(.f64)
    #expect(code { try WeightFile.load(path: folder["none.h5"]) } == .io)
    #expect(code { try WeightFile.load(path: folder.path) } == .io)
    #expect(code { try WeightFile.load(path: "") } == .io)
    #expect(code { try WeightFile.load(path: "/dev/zero") } == .io)
    #expect(mkfifo(folder["fifo"], 0o600) == 0)
    #expect(code { try WeightFile.load(path: folder["fifo"]) } == .io)
    #expect(code { try WeightFile.save(stored, path: folder["fifo"]) } == .io)
    #expect(code { try WeightFile.save(stored, path: folder["no/folder.h5"]) } == .io)
    #expect(code { try WeightFile.save(stored, path: folder.path) } == .io)
    #expect(code { try WeightFile.save(stored, path: "/proc/flow.h5") } == .io)
    #expect(code { try WeightFile.save(stored, path: "/dev/full") } == .io)
    #expect(code { try WeightFile.save(stored, path: "a\0b") } == .io)
    #expect(folder.names == ["fifo"])
  }

  @Test("a link stays a link, and the mode of the file its own")
  func replacing() throws {
    let folder = try Folder()
    let stored = try StoredFlow.sample(.f64)
    try write([1, 2, 3], to: folder["real.h5"])
    #expect(chmod(folder["real.h5"], 0o640) == 0)
    #expect(symlink("real.h5", folder["link.h5"]) == 0)
    try WeightFile.save(stored, path: folder["link.h5"])
    var facts = stat()
    #expect(lstat(folder["link.h5"], &facts) == 0 && facts.st_mode & S_IFMT == S_IFLNK)
    #expect(lstat(folder["real.h5"], &facts) == 0 && facts.st_mode & 0o777 == 0o640)
    #expect(try WeightFile.load(path: folder["real.h5"]).bits == stored.bits)
    #expect(folder.names.sorted() == ["link.h5", "real.h5"])
  }

  @Test("the host's HDF5 handler and error stack are as they were")
  func host() throws {
    // HDF5 is opened when a file is first used.
    _ = try WeightFile.image(of: .sample(.f32))
    H5open()
    var function: H5E_auto2_t?
    var data: UnsafeMutableRawPointer?
    H5Eget_auto2(CH5E_DEFAULT(), &function, &data)
    defer { H5Eset_auto2(CH5E_DEFAULT(), function, data) }
    var calls = 0
    withUnsafeMutablePointer(to: &calls) { calls in
      H5Eset_auto2(
        CH5E_DEFAULT(),
        { _, calls in
          calls?.assumingMemoryBound(to: Int.self).pointee += 1
          return 0
        }, calls)
      #expect(code { try WeightFile.load([UInt8](repeating: 7, count: 4096)) } == .format)
      var damaged = (try? WeightFile.image(of: .sample(.f32))) ?? []
      damaged[50] ^= 255
      #expect(code { try WeightFile.load(damaged) } == .format)
      #expect(H5Eget_num(CH5E_DEFAULT()) == 0)
      #expect(calls.pointee == 0)
      H5Fopen("/none", 0, CH5P_DEFAULT())
      #expect(calls.pointee == 1)
    }
    // Nothing of ours is open: all kinds of object, in all files.
    try Library.use { _ throws(DiffeoError) in #expect(H5Fget_obj_count(0x1f, 0x1f) == 0) }
  }

  @Test("many threads at once")
  func threads() async throws {
    let stored = try StoredFlow.sample(.f32)
    let image = try WeightFile.image(of: stored)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<64 {
        group.addTask {
          i % 2 == 0
            ? try WeightFile.load(image).bits == stored.bits : try WeightFile.image(of: stored) == image
        }
      }
      for try await same in group { #expect(same) }
    }
  }
}

func code<T>(_ body: () throws -> T) -> DiffeoError.Code? {
  do {
    _ = try body()
    return nil
  } catch {
    return (error as? DiffeoError)?.code
  }
}
