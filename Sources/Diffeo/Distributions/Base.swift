/// The base of a flow prepared for the kernels: a distribution of any kind (see Prepared).
struct Base<S: Scalar>: BitwiseCopyable {
  private let distribution: UnsafeMutableRawPointer
  private let functions: UnsafePointer<Functions>

  private struct Functions {
    let denseLayers: (UnsafeMutableRawPointer) -> [DenseLayer<S>]
    let prepare: (UnsafeMutableRawPointer, UnsafePointer<S>) -> Void
    let addLogDensity: (UnsafeMutableRawPointer, inout Pass<S>) throws(DiffeoError) -> AnyTape
    let pullback: (UnsafeMutableRawPointer, inout Adjoint<S>, AnyTape) throws(DiffeoError) -> Void
    let sample: (UnsafeMutableRawPointer, UInt64, UInt64, inout Pass<S>) throws(DiffeoError) -> AnyTape
    let sampleTempered: (UnsafeMutableRawPointer, UInt64, UInt64, S, inout Pass<S>) throws(DiffeoError) -> Void
    let samplePullback: (UnsafeMutableRawPointer, inout Adjoint<S>, AnyTape) throws(DiffeoError) -> Void

    init<D: Distribution>(_: D.Type) where D.S == S {
      denseLayers = { D.at($0).pointee.denseLayers }
      prepare = { D.at($0).pointee.prepare($1) }
      addLogDensity = { distribution, pass throws(DiffeoError) in
        let tape = try D.at(distribution).pointee.addLogDensity(&pass)
        return try pass.recorded(tape)
      }
      pullback = { distribution, adjoint, tape throws(DiffeoError) in
        try D.at(distribution).pointee.pullback(&adjoint, D.tape(tape))
      }
      sample = { distribution, seed, firstRow, pass throws(DiffeoError) in
        let draw = try D.at(distribution).pointee.sample(seed, firstRow, &pass)
        return try pass.recorded(draw)
      }
      sampleTempered = { distribution, seed, firstRow, temperature, pass throws(DiffeoError) in
        let draw = try D.at(distribution).pointee.sample(seed, firstRow, &pass)
        _ = try D.at(distribution).pointee.addLogDensity(&pass)
        try D.at(distribution).pointee.temper(temperature, &pass, draw)
      }
      samplePullback = { distribution, adjoint, draw throws(DiffeoError) in
        try D.at(distribution).pointee.samplePullback(&adjoint, D.recorded(draw))
      }
    }
  }

  init<D: Distribution>(_ distribution: D, pool: Pool) throws(DiffeoError) where D.S == S {
    self.distribution = UnsafeMutableRawPointer(try pool.place(distribution))
    functions = try pool.place(functions: Functions(D.self))
  }

  var denseLayers: [DenseLayer<S>] { functions.pointee.denseLayers(distribution) }
  func prepare(_ parameters: UnsafePointer<S>) { functions.pointee.prepare(distribution, parameters) }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> AnyTape {
    try functions.pointee.addLogDensity(distribution, &pass)
  }
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: AnyTape) throws(DiffeoError) {
    try functions.pointee.pullback(distribution, &adjoint, tape)
  }
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> AnyTape {
    try functions.pointee.sample(distribution, seed, firstRow, &pass)
  }
  /// Drawn in to their mean; the log-density is that of the rows before.
  func sampleTempered(
    _ seed: UInt64, _ firstRow: UInt64, _ temperature: S, _ pass: inout Pass<S>
  ) throws(DiffeoError) {
    try functions.pointee.sampleTempered(distribution, seed, firstRow, temperature, &pass)
  }
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: AnyTape) throws(DiffeoError) {
    try functions.pointee.samplePullback(distribution, &adjoint, draw)
  }
}
