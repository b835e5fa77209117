extension Scalar {
  /// As a message says it: nan, whatever else is in its bits, such as R's NA.
  var words: String { isNaN ? "nan" : "\(self)" }
}

/// The place of the first number that is infinite or none.
@_specialize(where S == Float)
@_specialize(where S == Double)
package func firstNotFinite<S: Scalar>(_ values: UnsafePointer<S>, count: Int) -> Int? {
  // By eights first: nearly always all are finite, whose differences from themselves are 0.
  var i = 0
  var differences = SIMD8<S>()
  while i &+ 8 <= count {
    let eight = UnsafeRawPointer(values + i).loadUnaligned(as: SIMD8<S>.self)
    differences += eight - eight
    i &+= 8
  }
  return ((differences == SIMD8() ? i : 0)..<count).first { !values[$0].isFinite }
}
