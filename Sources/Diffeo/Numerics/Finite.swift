/// The place of the first number that is infinite or none.
@_specialize(where S == Float)
@_specialize(where S == Double)
package func firstNotFinite<S: Scalar>(_ values: UnsafePointer<S>, count: Int) -> Int? {
  for i in 0..<count where !values[i].isFinite { return i }
  return nil
}
