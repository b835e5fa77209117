import Glibc
import KernelInterface

/// The affine map y = s(a) x + t of one number: checks, and its words in records. The formulas are those of KernelTable
/// and of the header.
extension ScaleRule {
  private static let names = Names(
    [
      (.softClip, "soft_clip"), (.exp, "exp"), (.tanh, "tanh"), (.softplus, "softplus"), (.sigmoid, "sigmoid"),
      (.additive, "additive"),
    ] as [(Kind, String)])

  init(_ kind: Kind, bound: Double, epsilon: Double) throws(DiffeoError) {
    guard bound > 0, bound <= 80 else {
      throw DiffeoError(.invalid, "scale_bound is \(bound), it must be above 0 and at most 80")
    }
    guard epsilon >= 0, epsilon < 1 else {
      throw DiffeoError(.invalid, "scale_epsilon is \(epsilon), it must be 0 or more and below 1")
    }
    self.init(kind: kind, bound: bound, epsilon: epsilon, offset: log(expm1(1 - epsilon)))
  }

  init(_ record: Record) throws(DiffeoError) {
    try self.init(
      ScaleRule.names.choice(record, "scale"), bound: record.double("scale_bound"),
      epsilon: record.double("scale_epsilon"))
  }

  func describe(_ record: inout Record) {
    record["transformer"] = .string("affine")
    record["scale"] = .string(ScaleRule.names.name(kind))
    record["scale_bound"] = .double(bound)
    record["scale_epsilon"] = .double(epsilon)
  }

  var summary: String { "\(ScaleRule.names.name(kind)) scale" }
}
