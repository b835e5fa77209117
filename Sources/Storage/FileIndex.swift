import Diffeo

/// That by which HDF5 finds the links of a group, attributes and chunks. HDF5 1.10 goes wherever it is led.
protocol FileIndex {
  associatedtype Bytes: FileBytes
  var file: Bytes { get }
  var damaged: DiffeoError { get }
}

extension FileIndex {
  static var nowhere: UInt64 { .max }

  func number(_ at: Int, _ width: Int) throws(DiffeoError) -> UInt64 {
    guard let value = file.number(at, width: width) else { throw damaged }
    return value
  }

  /// The place of what begins with this signature.
  func find(_ signature: StaticString, at address: UInt64) throws(DiffeoError) -> Int {
    guard let place = Int(exactly: address) else { throw damaged }
    let found = try number(place, 4)
    guard (0..<4).allSatisfy({ UInt8(truncatingIfNeeded: found >> (8 * $0)) == signature.utf8Start[$0] }) else {
      throw damaged
    }
    return place
  }
}
