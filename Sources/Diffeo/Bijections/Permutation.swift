import KernelInterface

/// z_i = x_{permutation[i]}, by channel.
struct PermutationSpec: ColumnMoveSpec {
  static let kind = "permutation"
  typealias F32 = ColumnMove<PermutationSpec, Float>
  typealias F64 = ColumnMove<PermutationSpec, Double>

  private let dim: Int
  let map: FeatureMap
  let permutation: [Int]

  init(_ permutation: [Int], _ map: FeatureMap, dim: Int) throws(DiffeoError) {
    try PermutationSpec.check(permutation, map)
    self.dim = dim
    self.map = map
    self.permutation = permutation
  }

  static func check(_ permutation: [Int], _ map: FeatureMap) throws(DiffeoError) {
    guard isPermutation(permutation, map.channels) else {
      throw DiffeoError(
        .invalid,
        "a permutation must name each of the \(map.places == 1 ? "columns" : "channels") 0 to \(map.channels - 1) once")
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(record.ints("permutation"), FeatureMap(record, dim: dim), dim: dim)
  }

  var record: Record {
    var record = Record(kind: PermutationSpec.kind)
    map.describe(&record, dim: dim)
    record["permutation"] = .ints(permutation)
    return record
  }

  var summary: String {
    (permutation == Array(permutation.indices.reversed())
      ? "reversed"
      : permutation.count <= 12 ? permutation.map(String.init).joined(separator: " ") : "given") + map.summary
  }

  var sources: [Int32] {
    var sources = Array(0..<Int32(dim))
    for (c, from) in permutation.enumerated() {
      for p in 0..<map.places { sources[map.start + c * map.places + p] = Int32(map.start + from * map.places + p) }
    }
    return sources
  }
}
