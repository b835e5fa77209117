import CLibrary

// Functions of one number in double precision, for what is not worth a kernel.

/// log(1 + e^a)
func softplus(_ a: Double) -> Double { max(a, 0) + log1p(exp(-abs(a))) }

/// 1 / (1 + e^-a)
func sigmoid(_ a: Double) -> Double {
  let e = exp(-abs(a))
  return (a < 0 ? e : 1) / (1 + e)
}

/// e^top times sum is the sum of e^logs[k * stride], k < count, without an overflow: all of them infinite, so is log sum.
func sumOfExponentials(_ logs: UnsafePointer<Double>, _ count: Int, _ stride: Int) -> (top: Double, sum: Double) {
  var top = -Double.infinity
  for k in 0..<count where logs[k * stride] > top { top = logs[k * stride] }
  if !top.isFinite { top = 0 }
  var sum = 0.0
  for k in 0..<count { sum += exp(logs[k * stride] - top) }
  return (top, sum)
}
