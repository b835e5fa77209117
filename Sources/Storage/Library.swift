import CHDF5
import Diffeo
import Synchronization

/// The process's HDF5, which it may share with its host.
///
/// HDF5's own cleaning up at exit is left as it is: H5dont_atexit would hold for the host's open files, too.
package enum Library {
  /// Counts the uses, and lets one thread at a time in.
  private static let turn = Mutex<UInt>(0)

  /// Runs `body` alone, with the host's error handler put aside. `serial` is another number each time.
  package static func use<R: ~Copyable>(_ body: (_ serial: UInt) throws(DiffeoError) -> R) throws(DiffeoError) -> R {
    var result: R?
    try turn.withLock { (serial: inout UInt) throws(DiffeoError) in
      serial &+= 1
      guard H5open() >= 0 else { throw DiffeoError(.internal, "the HDF5 library could not be started") }
      var handler = chdf5_handler()
      chdf5_silence(&handler)
      defer { chdf5_restore(&handler) }
      result = try body(serial)
    }
    guard let result = result.take() else { throw DiffeoError(.internal, "HDF5 gave no result") }
    return result
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
