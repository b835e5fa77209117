/// A component in the form that the kernels want: sizes, and pointers into memory of the flow that owns it.
protocol Prepared: BitwiseCopyable {
  associatedtype S: Scalar
  associatedtype Spec: ComponentSpec
  /// What the pullbacks need of a pass.
  associatedtype Tape: BitwiseCopyable

  /// offset: of the component's parameters in the vector of the flow; slot: of its first slot among those of the flow.
  init(_ spec: Spec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError)

  /// Recomputes everything that depends on the parameters of the flow.
  mutating func prepare(_ parameters: UnsafePointer<S>)

  /// The matrices of its networks.
  var denseLayers: [DenseLayer<S>] { get }
}

extension Prepared {
  var denseLayers: [DenseLayer<S>] { [] }
}

// How a layer or a base of any kind runs its own code. `Layer` and `Base` are pointers to the prepared component and to a
// table of functions that are compiled for its type. The functions capture nothing, so that there is nothing to destroy;
// and they are made in a generic initialiser that is reached through requirements of the spec's protocol
// (BijectionSpec.layer32 and so on), as only then the compiler makes them for each type. Measured with 64
// trivial layers: 2 to 9 ns a layer more than a switch over all kinds for one row, 3 ns a layer and tile for many. Closures
// and arrays inside of a `Layer` cost 11 ns a layer more, in retains; classes with generic subclasses are not specialised,
// and 3 to 5 times slower.

/// The tape of a pass in scratch memory, if the pass is recording; nil for none.
typealias AnyTape = UnsafeMutableRawPointer?

extension Pass {
  @inline(__always)
  func recorded<Tape: BitwiseCopyable>(_ tape: Tape) throws(DiffeoError) -> AnyTape {
    guard recording else { return nil }
    let place = try scratch.take(1, of: Tape.self)
    place.initialize(to: tape)
    return AnyTape(place)
  }
}

extension Prepared {
  /// The component, or its tape, behind a pointer that a table of its own functions is given.
  @inline(__always)
  static func at(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Self> {
    pointer.assumingMemoryBound(to: Self.self)
  }
  @inline(__always)
  static func tape(_ tape: AnyTape) throws(DiffeoError) -> Tape { try recorded(tape) }

  @inline(__always)
  static func recorded<T: BitwiseCopyable>(_ tape: AnyTape) throws(DiffeoError) -> T {
    guard let tape else { throw DiffeoError(.internal, "a pullback of a pass that was not recorded") }
    return tape.assumingMemoryBound(to: T.self).pointee
  }
}
