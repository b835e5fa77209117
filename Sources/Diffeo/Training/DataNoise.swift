import CLibrary

/// What training adds to x: normal numbers that depend on the seed, the epoch, the row of the data and the column, and on
/// nothing else.
struct DataNoise<S: Scalar> {
  private let random: RowRandom
  /// Of each column.
  private let deviations: [Double]

  /// amount: in standard deviations of each column.
  init(seed: UInt64, amount: Double, _ data: DataSet<S>) {
    random = RowRandom(seed: seed, stream: RandomStream.dataNoise)
    deviations = data.deviations().map { amount * $0 }
  }

  func add(to pass: inout Pass<S>, _ order: UnsafePointer<Int32>, _ count: Int, epoch: Int) {
    for r in 0..<count {
      for i in Swift.stride(from: 0, to: pass.dim, by: 2) {
        // Box and Muller 1958.
        let (u, v) = random.pair(row: order[r], epoch: epoch, number: i / 2)
        let radius = (-2 * log(u)).squareRoot()
        pass.x[i * pass.stride + r] += S(deviations[i] * radius * cos(2 * Double.pi * v))
        if i + 1 < pass.dim {
          pass.x[(i + 1) * pass.stride + r] += S(deviations[i + 1] * radius * sin(2 * Double.pi * v))
        }
      }
    }
  }
}
