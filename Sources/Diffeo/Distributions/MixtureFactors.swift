import CLibrary
import KernelInterface

/// As in the C header.
package struct MixtureOptions: Equatable, Sendable, BitwiseCopyable {
  package var covariance = MixtureFactors.Covariance.diagonal
  package var diagonal = MixtureFactors.Diagonal.exp
  package var epsilon: Double
  package init(epsilon: Double = 0) { self.epsilon = epsilon }
}

/// How the components of a mixture have their covariances, and where its parameters are: logits, means, diagonals and
/// triangles, one after the other.
package struct MixtureFactors: Equatable, Sendable, BitwiseCopyable {
  package enum Covariance: Int32, Sendable, BitwiseCopyable {
    /// z = mean + s e, e standard normal
    case diagonal = 1
    /// z = mean + L e, L lower triangular with the diagonal s: the covariance is L L^T
    case full
    /// U (z - mean) = e, U upper triangular with the diagonal s: the precision is U^T U
    case precision
  }
  /// s from a parameter a.
  package enum Diagonal: Int32, Sendable, BitwiseCopyable {
    /// exp(a) + epsilon
    case exp = 1
    /// log(1 + exp(a)) + epsilon
    case softplus
  }

  let options: MixtureOptions
  let components, dim: Int

  init(_ options: MixtureOptions, components: Int, dim: Int) {
    self.options = options
    self.components = components
    self.dim = dim
  }

  /// Whether they are those that have kernels.
  var isPlain: Bool { options == MixtureOptions() }

  var firstDiagonal: Int { components * (1 + dim) }
  func mean(_ k: Int, _ i: Int) -> Int { components + k * dim + i }
  func diagonal(_ k: Int, _ i: Int) -> Int { firstDiagonal + k * dim + i }
  var triangleCount: Int { options.covariance == .diagonal ? 0 : dim * (dim - 1) / 2 }
  func firstTriangle(_ k: Int) -> Int { components * (1 + 2 * dim) + k * triangleCount }
  /// Of row i and column j of a triangle, row by row without the diagonal.
  func triangle(_ k: Int, _ i: Int, _ j: Int) -> Int {
    firstTriangle(k) + (options.covariance == .full ? i * (i - 1) / 2 + j : i * dim - i * (i + 1) / 2 + j - i - 1)
  }

  /// The columns in an order in which each has a normal distribution given those before it: e_i, divided by its slope in z_i.
  func column(_ m: Int) -> Int { options.covariance == .precision ? dim - 1 - m : m }

  /// The a of s = 1.
  var rawOne: Double {
    options.diagonal == .exp ? log(1 - options.epsilon) : log(expm1(1 - options.epsilon))
  }

  func scale(_ a: Double) -> (value: Double, slope: Double) {
    switch options.diagonal {
    case .exp:
      let e = CLibrary.exp(a)
      return (e + options.epsilon, e)
    case .softplus: return (Diffeo.softplus(a) + options.epsilon, sigmoid(a))
    }
  }
}

/// A row of a tile, and its parameters.
struct MixtureRow<S: Scalar> {
  private let factors: MixtureFactors
  private let values, z: UnsafePointer<S>
  private let stride: Int

  init(
    _ factors: MixtureFactors, _ values: UnsafeMutablePointer<S>, _ z: UnsafeMutablePointer<S>, _ r: Int, _ stride: Int
  ) {
    self.factors = factors
    self.values = UnsafePointer(values + r)
    self.z = UnsafePointer(z + r)
    self.stride = stride
  }

  @inline(__always) private func value(_ parameter: Int) -> Double { Double(values[parameter * stride]) }
  @inline(__always) private func distance(_ k: Int, _ i: Int) -> Double {
    Double(z[i * stride]) - value(factors.mean(k, i))
  }
  @inline(__always) private func triangle(_ k: Int, _ i: Int, _ j: Int) -> Double { value(factors.triangle(k, i, j)) }
  @inline(__always) private func scale(_ k: Int, _ i: Int) -> (value: Double, slope: Double) {
    factors.scale(value(factors.diagonal(k, i)))
  }

  func logit(_ k: Int) -> Double { value(k) }

  /// e of component k, and 1 / (de_i / dz_i): the standard deviation of column i given those before it.
  func residuals(_ k: Int, _ e: UnsafeMutablePointer<Double>, _ deviations: UnsafeMutablePointer<Double>) {
    for i in 0..<factors.dim {
      let scale = self.scale(k, i).value
      switch factors.options.covariance {
      case .diagonal:
        e[i] = distance(k, i) / scale
        deviations[i] = scale
      case .full:
        var rest = distance(k, i)
        for j in 0..<i { rest -= triangle(k, i, j) * e[j] }
        e[i] = rest / scale
        deviations[i] = scale
      case .precision:
        var sum = scale * distance(k, i)
        for j in i + 1..<factors.dim { sum += triangle(k, i, j) * distance(k, j) }
        e[i] = sum
        deviations[i] = 1 / scale
      }
    }
  }

  /// z = mean + what has these e, from z = e.
  func place(_ k: Int, _ z: UnsafeMutablePointer<S>, _ e: UnsafeMutablePointer<Double>) {
    let dim = factors.dim
    for i in 0..<dim { e[i] = Double(z[i * stride]) }
    if factors.options.covariance == .precision {
      for i in (0..<dim).reversed() {
        for j in i + 1..<dim { e[i] -= triangle(k, i, j) * e[j] }
        e[i] /= scale(k, i).value
      }
    }
    for i in 0..<dim {
      var distance = e[i]
      if factors.options.covariance != .precision { distance *= scale(k, i).value }
      if factors.options.covariance == .full { for j in 0..<i { distance += triangle(k, i, j) * e[j] } }
      z[i * stride] = S(value(factors.mean(k, i)) + distance)
    }
  }

  /// The pullback of e_i, columns being taken from the last one of their order on: adds to dL/de and to dL/d(z - mean) of
  /// those before, and to the gradients of parameters. gLogScale: dL/d(log of the deviation of column i) beyond that.
  func pull(
    _ k: Int, _ i: Int, _ e: UnsafePointer<Double>, _ gE: UnsafeMutablePointer<Double>,
    _ gDistance: UnsafeMutablePointer<Double>, gLogScale: Double, _ g: MixtureGradient<S>
  ) {
    let (scale, slope) = self.scale(k, i)
    var gLogS = gLogScale
    switch factors.options.covariance {
    case .diagonal, .full:
      let per = gE[i] / scale
      gDistance[i] += per
      gLogS -= gE[i] * e[i]
      if factors.options.covariance == .full {
        for j in 0..<i {
          g.add(factors.triangle(k, i, j), -per * e[j])
          gE[j] -= per * triangle(k, i, j)
        }
      }
    case .precision:
      gDistance[i] += gE[i] * scale
      gLogS = gE[i] * scale * distance(k, i) - gLogS
      for j in i + 1..<factors.dim {
        g.add(factors.triangle(k, i, j), gE[i] * distance(k, j))
        gDistance[j] += gE[i] * triangle(k, i, j)
      }
    }
    g.add(factors.diagonal(k, i), gLogS * slope / scale)
  }
}

/// The gradient in the parameters of a row.
struct MixtureGradient<S: Scalar> {
  private let factors: MixtureFactors
  private let values: UnsafeMutablePointer<S>
  private let stride: Int

  init(_ factors: MixtureFactors, _ values: UnsafeMutablePointer<S>, _ r: Int, _ stride: Int) {
    self.factors = factors
    self.values = values + r
    self.stride = stride
  }

  func logit(_ k: Int, _ g: Double) { values[k * stride] = S(g) }
  @inline(__always) func add(_ parameter: Int, _ g: Double) { values[parameter * stride] += S(g) }
  func mean(_ k: Int, _ i: Int, _ g: Double) { values[factors.mean(k, i) * stride] = S(g) }

  /// What `add` adds to, of component k.
  func clear(_ k: Int) {
    for i in 0..<factors.dim { values[factors.diagonal(k, i) * stride] = 0 }
    for t in 0..<factors.triangleCount { values[(factors.firstTriangle(k) + t) * stride] = 0 }
  }
}

extension Mixture {
  /// Of each component, to tape.logs.
  func addLogDensities(_ pass: inout Pass<S>, _ tape: Tape) throws(DiffeoError) {
    let (dim, stride) = (pass.dim, pass.stride)
    let e = try pass.scratch.take(dim, of: Double.self)
    let deviations = try pass.scratch.take(dim, of: Double.self)
    for r in 0..<stride {
      let row = MixtureRow(factors, tape.parameters.values, tape.z, r, stride)
      for k in 0..<components {
        row.residuals(k, e, deviations)
        for i in 0..<dim { tape.logs[k * stride + r] -= 0.5 * e[i] * e[i] + log(deviations[i]) + halfLogTwoPi }
      }
    }
  }

  func pullLogDensities(_ adjoint: Adjoint<S>, _ tape: Tape, _ gParameters: UnsafeMutablePointer<S>)
    throws(DiffeoError)
  {
    let (dim, stride, scratch) = (adjoint.dim, adjoint.stride, adjoint.scratch)
    let e = try scratch.take(dim, of: Double.self)
    let deviations = try scratch.take(dim, of: Double.self)
    let gE = try scratch.take(dim, of: Double.self)
    let gDistance = try scratch.take(dim, of: Double.self)
    let gZ = try scratch.take(dim, of: Double.self)
    for r in 0..<stride {
      let row = MixtureRow(factors, tape.parameters.values, tape.z, r, stride)
      let g = MixtureGradient(factors, gParameters, r, stride)
      let weight = Double(adjoint.gLogDet[r])
      gZ.update(repeating: 0, count: dim)
      for k in 0..<components {
        let share = weight * exp(tape.logs[k * stride + r] - tape.total[r])
        g.logit(k, share - weight * exp(row.logit(k) - tape.logitTotal[r]))
        g.clear(k)
        row.residuals(k, e, deviations)
        for i in 0..<dim { gE[i] = -share * e[i] }
        gDistance.update(repeating: 0, count: dim)
        for m in (0..<dim).reversed() { row.pull(k, factors.column(m), e, gE, gDistance, gLogScale: -share, g) }
        for i in 0..<dim {
          gZ[i] += gDistance[i]
          g.mean(k, i, -gDistance[i])
        }
      }
      for i in 0..<dim { adjoint.g[i * stride + r] = S(gZ[i]) }
    }
  }

  /// Rows of standard normal numbers to where a component, chosen by u, has them.
  func place(_ pass: inout Pass<S>, _ tape: ContextualParameters<S>.Tape, _ u: UnsafePointer<Double>)
    throws(DiffeoError)
  {
    let e = try pass.scratch.take(pass.dim, of: Double.self)
    for r in 0..<pass.stride {
      let row = MixtureRow(factors, tape.values, pass.x, r, pass.stride)
      row.place(choose(u[r], tape.values + r, pass.stride), pass.x + r, e)
    }
  }
}
