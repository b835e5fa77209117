import CHDF5
import Diffeo
import Storage

/// Rows to a new HDF5 file, which takes its name when all of them are there: "log_prob" [n], and "x" [n, dim] where there
/// are samples.
package final class DataFileWriter: RowWriter {
  private let path: String
  private let columns: Int
  private let rows: Int
  private var content: Content?
  private var file: AtomicFile?

  private final class Content {
    let file: Handle
    let logProb: Output
    let x: Output?

    init(_ path: String, _ dtype: DType, rows: Int, columns: Int) throws(DiffeoError) {
      let access = try Handle(H5Pcreate(CH5P_FILE_ACCESS()))
      guard H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 else {
        throw Library.failure(.internal, "HDF5 is out of order")
      }
      file = try Handle(
        H5Fcreate(path, UInt32(CHDF5_TRUNCATE), CH5P_DEFAULT(), access.id), path, failing: .io)
      let type = dtype == .f32 ? CH5T_IEEE_F32LE() : CH5T_IEEE_F64LE()
      x = columns > 0 ? try Content.dataset("x", file, type, [rows, columns]) : nil
      logProb = try Content.dataset("log_prob", file, type, [rows])
    }

    private static func dataset(
      _ name: String, _ file: borrowing Handle, _ type: hid_t, _ shape: [Int]
    ) throws(DiffeoError) -> Output {
      let space = try Handle(H5Screate_simple(Int32(shape.count), shape.map { hsize_t($0) }, nil))
      return Output(
        try Handle(
          H5Dcreate2(file.id, name, type, space.id, CH5P_DEFAULT(), CH5P_DEFAULT(), CH5P_DEFAULT()), name,
          failing: .io))
    }
  }

  private final class Output {
    let dataset: Handle
    init(_ dataset: consuming Handle) { self.dataset = dataset }
  }

  /// columns: of x; 0 for log-densities alone.
  package init(path: String, _ dtype: DType, rows: Int, columns: Int) throws(DiffeoError) {
    (self.path, self.rows, self.columns) = (path, rows, columns)
    let file = try AtomicFile(path, named: true)
    let temporary = file.temporary
    self.file = consume file
    var made: Content?
    try Library.use { _ throws(DiffeoError) in made = try Content(temporary, dtype, rows: rows, columns: columns) }
    content = made
  }

  package func write<S: Scalar>(
    _ range: Range<Int>, x: UnsafePointer<S>?, logProb: UnsafePointer<S>
  ) throws(DiffeoError) {
    try Library.use { _ throws(DiffeoError) in
      guard let content else { return }
      let type = S.dtype == .f32 ? CH5T_NATIVE_FLOAT() : CH5T_NATIVE_DOUBLE()
      try write(content.logProb, range, [], type, logProb)
      if let x, let output = content.x { try write(output, range, [columns], type, x) }
    }
  }

  private func write(
    _ output: Output, _ range: Range<Int>, _ columns: [Int], _ type: hid_t, _ values: UnsafeRawPointer
  ) throws(DiffeoError) {
    let space = try Handle(H5Dget_space(output.dataset.id))
    let start = [hsize_t(range.lowerBound)] + columns.map { _ in 0 }
    let count = [hsize_t(range.count)] + columns.map { hsize_t($0) }
    let memory = try Handle(H5Screate_simple(Int32(count.count), count, nil))
    guard H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, count, nil) >= 0,
      H5Dwrite(output.dataset.id, type, memory.id, space.id, CH5P_DEFAULT(), values) >= 0
    else { throw Library.failure(.io, "'\(path)' cannot be written") }
  }

  /// Nothing has the name before.
  package func finish() throws(DiffeoError) {
    try Library.use { _ throws(DiffeoError) in
      if let content, H5Fflush(content.file.id, H5F_SCOPE_GLOBAL) < 0 {
        throw Library.failure(.io, "'\(path)' cannot be written")
      }
      content = nil
    }
    if let file = file.take() { try file.finish() }
  }

  deinit {
    try? Library.use { _ throws(DiffeoError) in content = nil }
  }
}
