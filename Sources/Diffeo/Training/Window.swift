/// Some rows in memory, in an order of their own.
final class Window<S: Scalar> {
  let x: UnsafeMutablePointer<S>
  let context: UnsafeMutablePointer<S>
  let weights: UnsafeMutablePointer<S>?
  /// Of the rows in the data.
  let numbers: UnsafeMutablePointer<Int32>
  private let pool = Pool()

  init(_ file: BlockFile<S>, rows: Int) throws(DiffeoError) {
    x = try pool.take(rows * file.dim)
    context = try pool.take(rows * file.contextDim)
    weights = file.isWeighted ? try pool.take(rows) : nil
    numbers = try pool.take(rows)
  }
}

/// Fills windows from the blocks of a file.
final class WindowReader<S: Scalar>: @unchecked Sendable {
  private let file: BlockFile<S>
  private let selection: RowSelection
  /// That a window has room for.
  private let rows: Int
  private var places: UnsafeMutablePointer<Int32>?
  private let pool = Pool()

  /// A window of a plan.
  struct Job {
    let plan: WindowPlan
    let window: Int
  }

  /// Memory comes when it is needed.
  final class Slot {
    fileprivate(set) var window: Window<S>?
  }

  init(_ file: BlockFile<S>, _ selection: RowSelection, rows: Int) {
    (self.file, self.selection, self.rows) = (file, selection, rows)
  }

  /// isWanted is asked before each block.
  func fill(_ slot: Slot, _ job: Job, _ isWanted: () -> Bool) throws(DiffeoError) {
    let window = if let window = slot.window { window } else { try Window(file, rows: rows) }
    slot.window = window
    let places: UnsafeMutablePointer<Int32> = if let places = self.places { places } else { try pool.take(rows) }
    self.places = places
    let count = job.plan.rows(job.window).count
    job.plan.setPlaces(job.window, UnsafeMutableBufferPointer(start: places, count: count))
    var i = 0
    for block in job.plan.blocks(job.window) {
      if !isWanted() { return }
      try file.read(block) { block throws(DiffeoError) in i += copy(block, places + i, to: window) }
    }
  }

  /// The selected rows of a block to their places. Gives how many they are.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  private func copy(_ block: BlockFile<S>.Block, _ places: UnsafePointer<Int32>, to window: Window<S>) -> Int {
    let (dim, contextDim) = (file.dim, file.contextDim)
    var count = 0
    selection.forEach(in: block.rows) { number in
      let (row, place) = (number - block.rows.lowerBound, Int(places[count]))
      for i in 0..<dim { window.x[place * dim + i] = block.x[row * dim + i] }
      for i in 0..<contextDim { window.context[place * contextDim + i] = block.context[row * contextDim + i] }
      if let weights = block.weights { window.weights?[place] = weights[row] }
      window.numbers[place] = Int32(number)
      count += 1
    }
    return count
  }
}
