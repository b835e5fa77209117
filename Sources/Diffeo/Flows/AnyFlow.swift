/// A flow of either type: the edge of the mathematics. What is called through here is compiled for each pair of types,
/// the flow's and the caller's.
package enum AnyFlow: Sendable {
  case f32(Flow<Float>)
  case f64(Flow<Double>)

  package init(spec: FlowSpec, seed: UInt64) throws(DiffeoError) {
    switch spec.dtype {
    case .f32: self = .f32(try Flow(spec: spec, seed: seed))
    case .f64: self = .f64(try Flow(spec: spec, seed: seed))
    }
  }

  static func of<S: Scalar>(_ flow: Flow<S>) throws(DiffeoError) -> AnyFlow {
    if let flow = flow as? Flow<Float> { return .f32(flow) }
    if let flow = flow as? Flow<Double> { return .f64(flow) }
    throw DiffeoError(.internal, "a flow of \(S.dtype.name)")
  }

  package var spec: FlowSpec {
    switch self {
    case .f32(let flow): flow.spec
    case .f64(let flow): flow.spec
    }
  }

  package func trained() -> [Bool] {
    switch self {
    case .f32(let flow): flow.trained()
    case .f64(let flow): flow.trained()
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func run<T: Scalar>(_ operation: Operation<T>, _ batch: Batch<T>, _ workspace: Workspace) throws(DiffeoError)
  {
    switch self {
    case .f32(let flow): try flow.run(operation, batch, workspace)
    case .f64(let flow): try flow.run(operation, batch, workspace)
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func run<T: Scalar>(_ pullback: Pullback<T>, _ batch: Batch<T>, _ workspace: Workspace) throws(DiffeoError) {
    switch self {
    case .f32(let flow): try flow.run(pullback, batch, workspace)
    case .f64(let flow): try flow.run(pullback, batch, workspace)
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func copyParameters<T: Scalar>(to target: UnsafeMutablePointer<T>) {
    switch self {
    case .f32(let flow):
      for i in 0..<flow.parameters.count { target[i] = T(flow.parameters.pointer[i]) }
    case .f64(let flow):
      for i in 0..<flow.parameters.count { target[i] = T(flow.parameters.pointer[i]) }
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func withParameters<T: Scalar>(_ values: UnsafePointer<T>) throws(DiffeoError) -> AnyFlow {
    func converted<S: Scalar>(_ flow: Flow<S>) throws(DiffeoError) -> Flow<S> {
      let parameters = try ParameterVector<S>(count: flow.parameters.count)
      for i in 0..<parameters.count { parameters.pointer[i] = S(values[i]) }
      return try Flow(spec: flow.spec, parameters: parameters)
    }
    switch self {
    case .f32(let flow): return .f32(try converted(flow))
    case .f64(let flow): return .f64(try converted(flow))
    }
  }
}
