import CHDF5
import CStorage
import Diffeo

/// HDF5, of which this library has a copy of its own wherever it can: see CStorage.
package enum Library {
  /// Runs `body` alone, with the host's error handler put aside: where there is no copy, the host may have the same HDF5.
  /// `serial` is another number each time.
  package static func use<R: ~Copyable>(_ body: (_ serial: UInt) throws(DiffeoError) -> R) throws(DiffeoError) -> R {
    let serial = cstorage_lock()
    defer { cstorage_unlock() }
    try open()
    var handler = chdf5_handler()
    chdf5_silence(&handler)
    defer { chdf5_restore(&handler) }
    return try body(serial)
  }

  /// Of a file that is in memory. HDF5 takes two of the same name for one, and looks whether there is a file of the name:
  /// there can be none.
  package static func name(_ serial: UInt) -> String { "/dev/null/diffeo-\(serial)" }

  private static func open() throws(DiffeoError) {
    let sentence = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { text -> String? in
      guard let text = text.baseAddress, cstorage_open_hdf5(text, 1024) != 0 else { return nil }
      return String(cString: text)
    }
    if let sentence { throw DiffeoError(.unsupported, sentence) }
  }

  /// An error with HDF5's innermost reason for its latest failure. To be called before any other HDF5 function.
  package static func failure(_ code: DiffeoError.Code, _ sentence: String) -> DiffeoError {
    var reason = ""
    withUnsafeMutablePointer(to: &reason) { reason in
      _ = H5Ewalk2(
        CH5E_DEFAULT(), H5E_WALK_UPWARD,
        { _, error, reason in
          if let words = error?.pointee.desc {
            reason?.assumingMemoryBound(to: String.self).pointee = String(cString: words)
          }
          return 1
        }, reason)
    }
    return DiffeoError(code, reason.isEmpty ? sentence : "\(sentence) (HDF5: \(reason))")
  }
}
