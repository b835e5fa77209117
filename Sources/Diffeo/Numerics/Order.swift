func isPermutation(_ values: [Int], _ count: Int) -> Bool {
  guard values.count == count else { return false }
  var seen = [Bool](repeating: false, count: count)
  for value in values {
    guard value >= 0, value < count, !seen[value] else { return false }
    seen[value] = true
  }
  return true
}

extension Array {
  /// In an array whose elements satisfying `isAfter` come last: how many come before them.
  func partitionPoint(_ isAfter: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isAfter(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
