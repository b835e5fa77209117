/// The architecture of a base distribution: where the layers take the data to.
///
/// To add one, copy a file of this folder: a spec and its prepared form, then its cases in Flows/Base.swift, where the
/// compiler asks for them, one row in the tests' table, and a way to ask for it in the header.
protocol DistributionSpec: ComponentSpec {}

/// A distribution prepared for the kernels: sizes, and pointers into memory of the flow that owns it. Works on tiles.
protocol Distribution: BitwiseCopyable {
  associatedtype S: Scalar
  /// What the pullback needs of a pass.
  associatedtype Tape: BitwiseCopyable

  /// Recomputes everything that depends on the parameters of the flow.
  mutating func prepare(_ parameters: UnsafePointer<S>)

  /// Adds the log-density of pass.x, given the context, to pass.logDet. Outside of the support it is minus infinity.
  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape

  /// The gradient of the log-density, each row times its adjoint.gLogDet: sets adjoint.g, which held nothing, adds to
  /// the gradient in the context, and gives gradients of parameters to the sink.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError)

  /// Fills pass.x with the rows number firstRow, firstRow + 1... of a seed, given the context.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError)
}
