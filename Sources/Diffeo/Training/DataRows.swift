/// Rows of a data set, in an order of their own.
final class DataRows<S: Scalar>: RowSource {
  let count: Int
  private let data: DataSet<S>
  /// Of the split, the orders and the noise.
  private let seed: UInt64
  private let noise: DequantizationNoise?
  /// The numbers of the rows in the data set, sorted, and in the present order.
  private let sorted: UnsafePointer<Int32>
  private let order: UnsafeMutablePointer<Int32>
  private var epoch = DequantizationNoise.noEpoch
  private let pool = Pool()

  /// All rows.
  convenience init(_ data: DataSet<S>, seed: UInt64, dequantizes: Bool) throws(DiffeoError) {
    try self.init(
      data, 0..<Int32(data.rows), seed: seed, noise: dequantizes ? DequantizationNoise(seed: seed) : nil)
  }

  /// sorted: numbers of rows.
  private init(
    _ data: DataSet<S>, _ sorted: some Collection<Int32>, seed: UInt64, noise: DequantizationNoise?
  ) throws(DiffeoError) {
    self.data = data
    self.seed = seed
    self.noise = noise
    count = sorted.count
    let numbers = try pool.take(count, of: Int32.self)
    for (i, number) in sorted.enumerated() { numbers[i] = number }
    self.sorted = UnsafePointer(numbers)
    order = try pool.take(count)
    order.update(from: numbers, count: count)
  }

  func split(held: Int) throws(DiffeoError) -> (train: any RowSource<S>, held: (any RowSource<S>)?) {
    let all = UnsafeBufferPointer(start: sorted, count: count)
    if held == 0 { return (try DataRows(data, all, seed: seed, noise: noise), nil) }
    var random = Philox(seed: seed, stream: RandomStream.split)
    var shuffled = Array(all)
    random.shuffle(&shuffled)
    return (
      try DataRows(data, shuffled.prefix(count - held).sorted(), seed: seed, noise: noise),
      try DataRows(data, shuffled.suffix(held).sorted(), seed: seed, noise: noise)
    )
  }

  func every(_ step: Int) throws(DiffeoError) -> any RowSource<S> {
    try DataRows(data, stride(from: 0, to: count, by: step).map { order[$0] }, seed: seed, noise: noise)
  }

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
    try noise?.fill(&pass, rows, range.count, epoch: epoch)
  }

  func name(of row: Int) -> String { "row \(order[row]) of \(data.name)" }
}
