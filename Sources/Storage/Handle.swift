import CHDF5
import Diffeo

/// An HDF5 identifier of any kind, closed when it goes away, and for people the path of what it stands for.
package struct Handle: ~Copyable {
  package let id: hid_t
  package let path: String

  /// Takes what an HDF5 function returned, which is negative when it failed.
  package init(_ id: hid_t, _ path: String = "", failing code: DiffeoError.Code = .format) throws(DiffeoError) {
    guard id >= 0 else {
      throw Library.failure(code, path.isEmpty ? "HDF5 is out of order" : "'\(path)' cannot be opened")
    }
    self.id = id
    self.path = path
  }

  deinit { H5Idec_ref(id) }
}
