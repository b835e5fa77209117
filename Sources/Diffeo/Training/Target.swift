/// A density that can be evaluated, up to a constant: of some rows of x, row-major, given their context if there is one,
/// the log-densities, and their gradients where they are wanted. Anything but 0 ends the training.
package struct Target<T: Scalar> {
  package typealias Evaluate = (
    _ rows: Int, _ x: UnsafePointer<T>, _ context: UnsafePointer<T>?, _ logDensity: UnsafeMutablePointer<T>,
    _ gradient: UnsafeMutablePointer<T>?
  ) -> Int32

  let evaluate: Evaluate

  package init(_ evaluate: @escaping Evaluate) { self.evaluate = evaluate }
}
