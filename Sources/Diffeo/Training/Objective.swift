/// What a training makes as large as it can: a mean over rows.
protocol Objective<S>: AnyObject {
  associatedtype S: Scalar

  /// Of the mean over the latest minibatch.
  var gradient: ParameterVector<S> { get }

  /// Sets the gradient. Adds what it is of the rows, some of those of the source, to their scores, and gives the sum of
  /// the squares of the gradient. minibatch: its number in the training.
  func computeGradient(
    _ rows: any RowSource<S>, _ range: Range<Int>, minibatch: Int, _ scores: inout RowScores
  ) throws(DiffeoError) -> Double

  /// Of all rows, by the flow as it is used outside of a training.
  func scores(_ rows: any RowSource<S>) throws(DiffeoError) -> RowScores

  /// What makes a training another one than maximum likelihood, in its identity.
  func describe(_ record: inout Record)

  /// What it keeps from one step to the next. Restoring gives what sets it, when all parts of a training can be restored.
  func save(to table: inout NumberTable)
  func restore(from table: NumberTable) throws(DiffeoError) -> () -> Void

  /// Refuses rows that would spoil every minibatch that they are in, whatever the parameters.
  func check(_ rows: any RowSource<S>) throws(DiffeoError)
}

extension Objective {
  func describe(_ record: inout Record) {}
  func save(to table: inout NumberTable) {}
  func restore(from table: NumberTable) throws(DiffeoError) -> () -> Void { {} }
}
