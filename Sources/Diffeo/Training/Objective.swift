/// What a training makes as large as it can: a mean over rows.
protocol Objective<S>: AnyObject {
  associatedtype S: Scalar

  /// Of the mean over the latest minibatch.
  var gradient: ParameterVector<S> { get }

  /// Sets the gradient. Gives the sum over the rows, some of those of the source, and the sum of the squares of the
  /// gradient. minibatch: its number in the training.
  func computeGradient(
    _ rows: any RowSource<S>, _ range: Range<Int>, minibatch: Int
  ) throws(DiffeoError) -> (sum: Double, squares: Double)

  /// The mean over all rows, by the flow as it is used outside of a training.
  func mean(_ rows: any RowSource<S>) throws(DiffeoError) -> Double

  /// Refuses rows that would spoil every minibatch that they are in, whatever the parameters.
  func check(_ rows: any RowSource<S>) throws(DiffeoError)
}
