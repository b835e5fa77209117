/// What went wrong: a code for programs and a sentence, with the numbers, for people. The codes are the negative
/// statuses of the C header.
package struct DiffeoError: Error, Equatable {
  package enum Code: Int32, Sendable {
    case invalid = -1
    case memory = -2
    case shape = -3
    case dtype = -4
    case io = -5
    case format = -6
    case version = -7
    case numeric = -8
    case cancelled = -9
    case state = -10
    case unsupported = -11
    case `internal` = -127
  }
  package let code: Code
  package let message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

extension DiffeoError {
  /// A name in a file that has no meaning to this version, but may have one to a later version.
  static func unknown(_ what: String, _ name: String) -> DiffeoError {
    DiffeoError(.version, "the \(what) '\(name)' is not known to diffeo \(diffeoVersion)")
  }
}
