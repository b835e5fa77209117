extension Scalar {
  /// As a message says it: nan, whatever else is in its bits, such as R's NA.
  var words: String { isNaN ? "nan" : "\(self)" }
}

/// The place of the first number that is infinite or none.
@_specialize(where S == Float)
@_specialize(where S == Double)
package func firstNotFinite<S: Scalar>(_ values: UnsafePointer<S>, count: Int) -> Int? {
  for i in 0..<count where !values[i].isFinite { return i }
  return nil
}
