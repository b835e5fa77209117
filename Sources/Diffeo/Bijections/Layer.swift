/// A layer prepared for the kernels: a bijection or its inverse, of any kind (see Prepared).
struct Layer<S: Scalar>: BitwiseCopyable {
  /// The bijection's `inverse` is the layer's `forward`.
  let inverted: Bool
  private let bijection: UnsafeMutableRawPointer
  private let functions: UnsafePointer<Functions>

  private struct Functions {
    typealias Run = (UnsafeMutableRawPointer, inout Pass<S>) throws(DiffeoError) -> AnyTape
    typealias Pullback = (UnsafeMutableRawPointer, inout Adjoint<S>, AnyTape) throws(DiffeoError) -> Void

    let type: any Bijection.Type
    let denseLayers: (UnsafeMutableRawPointer) -> [DenseLayer<S>]
    let prepare: (UnsafeMutableRawPointer, UnsafePointer<S>) -> Void
    let forward, inverse: Run
    let forwardPullback, inversePullback: Pullback

    init<B: Bijection>(_: B.Type, inverted: Bool) where B.S == S {
      type = B.self
      denseLayers = { B.at($0).pointee.denseLayers }
      prepare = { B.at($0).pointee.prepare($1) }
      let forward: Run = { bijection, pass throws(DiffeoError) in
        let tape = try B.at(bijection).pointee.forward(&pass)
        return try pass.recorded(tape)
      }
      let inverse: Run = { bijection, pass throws(DiffeoError) in
        let tape = try B.at(bijection).pointee.inverse(&pass)
        return try pass.recorded(tape)
      }
      let forwardPullback: Pullback = { bijection, adjoint, tape throws(DiffeoError) in
        try B.at(bijection).pointee.forwardPullback(&adjoint, B.tape(tape))
      }
      let inversePullback: Pullback = { bijection, adjoint, tape throws(DiffeoError) in
        try B.at(bijection).pointee.inversePullback(&adjoint, B.tape(tape))
      }
      (self.forward, self.inverse) = inverted ? (inverse, forward) : (forward, inverse)
      (self.forwardPullback, self.inversePullback) =
        inverted ? (inversePullback, forwardPullback) : (forwardPullback, inversePullback)
    }
  }

  init<B: Bijection>(_ bijection: B, inverted: Bool, pool: Pool) throws(DiffeoError) where B.S == S {
    self.inverted = inverted
    self.bijection = UnsafeMutableRawPointer(try pool.place(bijection))
    functions = try pool.place(functions: Functions(B.self, inverted: inverted))
  }

  /// The bijection, if it is of this type.
  func bijection<B: Bijection>(as _: B.Type) -> B? {
    functions.pointee.type == B.self ? B.at(bijection).pointee : nil
  }

  var denseLayers: [DenseLayer<S>] { functions.pointee.denseLayers(bijection) }
  func prepare(_ parameters: UnsafePointer<S>) { functions.pointee.prepare(bijection, parameters) }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> AnyTape {
    try functions.pointee.forward(bijection, &pass)
  }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> AnyTape {
    try functions.pointee.inverse(bijection, &pass)
  }
  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: AnyTape) throws(DiffeoError) {
    try functions.pointee.forwardPullback(bijection, &adjoint, tape)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: AnyTape) throws(DiffeoError) {
    try functions.pointee.inversePullback(bijection, &adjoint, tape)
  }
}
