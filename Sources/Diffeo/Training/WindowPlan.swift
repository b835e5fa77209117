/// The order in which an epoch takes the blocks of a file, and how they go together into windows, the rows of each of which
/// are shuffled: a function of the seed and of the number of the epoch. In no epoch: the order of the file.
struct WindowPlan {
  let epoch: Int
  private let blocks: [Int]
  /// Where each window begins among the blocks, and among the rows; and their ends.
  private let firstBlocks: [Int]
  private let firstRows: [Int]
  private let seed: UInt64

  /// rows: of a block; windowRows: a window has as many, or as few more as its blocks give.
  init(epoch: Int, blocks count: Int, windowRows: Int, seed: UInt64, rows: (Int) -> Int) {
    self.epoch = epoch
    self.seed = seed
    var random = Philox(seed: seed, stream: RandomStream.shuffle + UInt64(epoch))
    blocks = epoch == RowRandom.noEpoch ? Array(0..<count) : random.permutation(count)
    var (firstBlocks, firstRows) = ([0], [0])
    var row = 0
    for (i, block) in blocks.enumerated() {
      row += rows(block)
      if row - (firstRows.last ?? 0) >= windowRows || i == count - 1 {
        firstBlocks.append(i + 1)
        firstRows.append(row)
      }
    }
    (self.firstBlocks, self.firstRows) = (firstBlocks, firstRows)
  }

  var count: Int { firstRows.count - 1 }

  /// Places among all rows.
  func rows(_ window: Int) -> Range<Int> { firstRows[window]..<firstRows[window + 1] }

  func blocks(_ window: Int) -> ArraySlice<Int> { blocks[firstBlocks[window]..<firstBlocks[window + 1]] }

  /// The window with a row.
  func window(of row: Int) -> Int {
    var (low, high) = (0, count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if firstRows[middle] <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// Where the rows of a window go that its blocks give one after the other.
  func setPlaces(_ window: Int, _ places: UnsafeMutableBufferPointer<Int32>) {
    var places = places
    for i in places.indices { places[i] = Int32(i) }
    if epoch == RowRandom.noEpoch { return }
    var random = Philox(
      seed: seed, stream: RandomStream.window + UInt64(epoch), block: UInt64(window) << 32)
    random.shuffle(&places)
  }
}
