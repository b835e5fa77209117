/// Rows of a data set, in an order of their own.
final class DataRows<S: Scalar>: RowSource {
  let count: Int
  private let data: DataSet<S>
  /// Of the split, the orders and the noise.
  private let seed: UInt64
  private let dequantization: DequantizationNoise?
  private let noise: DataNoise<S>?
  private let moves: ImageMoves?
  /// Gives weights a mean of 1.
  private let weightFactor: S
  let effectiveCount: Double
  /// The numbers of the rows in the data set, sorted, and in the present order.
  private let sorted: UnsafePointer<Int32>
  private let order: UnsafeMutablePointer<Int32>
  private var epoch = RowRandom.noEpoch
  private let pool = Pool()

  /// All rows.
  convenience init(_ data: DataSet<S>, _ settings: RowSettings) throws(DiffeoError) {
    let (seed, noise) = (settings.seed, settings.noise)
    try self.init(
      data, 0..<Int32(data.rows), seed, settings.dequantizes ? DequantizationNoise(seed: seed) : nil,
      noise > 0 ? DataNoise(seed: seed, deviations: data.deviations().map { noise * $0 }) : nil, settings.moves)
  }

  /// sorted: numbers of rows.
  private init(
    _ data: DataSet<S>, _ sorted: some Collection<Int32>, _ seed: UInt64, _ dequantization: DequantizationNoise?,
    _ noise: DataNoise<S>?, _ moves: ImageMoves?
  ) throws(DiffeoError) {
    self.data = data
    self.seed = seed
    self.dequantization = dequantization
    self.noise = noise
    self.moves = moves
    count = sorted.count
    let numbers = try pool.take(count, of: Int32.self)
    for (i, number) in sorted.enumerated() { numbers[i] = number }
    self.sorted = UnsafePointer(numbers)
    order = try pool.take(count)
    order.update(from: numbers, count: count)
    guard let weights = data.weights else {
      (weightFactor, effectiveCount) = (1, Double(count))
      return
    }
    var (sum, squares) = (0.0, 0.0)
    for i in 0..<count {
      let weight = Double(weights[Int(numbers[i])])
      sum += weight
      squares += weight * weight
    }
    try DataSet<S>.checkSum(of: sum, count, data.role)
    weightFactor = S(Double(count) / sum)
    effectiveCount = sum * sum / squares
  }

  private func rows(_ sorted: some Collection<Int32>) throws(DiffeoError) -> DataRows {
    try DataRows(data, sorted, seed, dequantization, noise, moves)
  }

  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?) {
    let all = UnsafeBufferPointer(start: sorted, count: count)
    if held == 0 { return (try rows(all), nil) }
    var random = Philox(seed: seed, stream: RandomStream.split)
    var shuffled = Array(all)
    random.shuffle(&shuffled)
    return (try rows(shuffled.prefix(count - held).sorted()), try rows(shuffled.suffix(held).sorted()))
  }

  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S> {
    try rows(stride(from: 0, to: count, by: step).map { order[$0] })
  }

  var fingerprint: UInt64 { data.fingerprint }

  func begin(epoch: Int) {
    self.epoch = epoch
    var random = Philox(seed: seed, stream: RandomStream.shuffle + UInt64(epoch))
    order.update(from: sorted, count: count)
    var rows = UnsafeMutableBufferPointer(start: order, count: count)
    random.shuffle(&rows)
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func load(_ range: Range<Int>, _ pass: inout Pass<S>) throws(DiffeoError) {
    let rows = UnsafePointer(order + range.lowerBound)
    data.load(rows, range.count, &pass)
    try data.loadWeights(rows, range.count, &pass, factor: weightFactor)
    if epoch != RowRandom.noEpoch {
      try moves?.apply(to: &pass, rows, range.count, epoch: epoch)
      noise?.add(to: &pass, rows, range.count, epoch: epoch)
    }
    try dequantization?.fill(&pass, rows, range.count, epoch: epoch)
  }

  func number(of row: Int) -> Int { Int(order[row]) }

  func name(of row: Int) -> String { "row \(number(of: row)) of \(data.role.name("x"))" }
}
