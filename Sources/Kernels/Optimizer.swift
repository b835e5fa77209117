import KernelInterface

func adam(_ step: AdamStep, _ count: Int, _ g: In, _ p: Out, _ m: Out, _ v: Out) {
  let numbers = AdamNumbers(step)
  let rest = count & (lanes &- 1)
  let whole = count &- rest
  adamVectors(numbers, whole, g, p, m, v)
  if rest == 0 { return }
  // The rest as one more vector, in padded scratch.
  var scratch = (V(), V(), V(), V())
  withUnsafeMutablePointer(to: &scratch) {
    let raw = UnsafeMutableRawPointer($0)
    let size = MemoryLayout<V>.size
    let bytes = rest &* MemoryLayout<S>.size
    let sg = raw
    let sp = raw + size
    let sm = raw + 2 &* size
    let sv = raw + 3 &* size
    sg.copyMemory(from: g + whole, byteCount: bytes)
    sp.copyMemory(from: p + whole, byteCount: bytes)
    sm.copyMemory(from: m + whole, byteCount: bytes)
    sv.copyMemory(from: v + whole, byteCount: bytes)
    adamVectors(
      numbers, lanes, sg.assumingMemoryBound(to: S.self), sp.assumingMemoryBound(to: S.self),
      sm.assumingMemoryBound(to: S.self), sv.assumingMemoryBound(to: S.self))
    UnsafeMutableRawPointer(p + whole).copyMemory(from: sp, byteCount: bytes)
    UnsafeMutableRawPointer(m + whole).copyMemory(from: sm, byteCount: bytes)
    UnsafeMutableRawPointer(v + whole).copyMemory(from: sv, byteCount: bytes)
  }
}

/// The numbers of a step in the precision of the parameters.
struct AdamNumbers {
  var gradientScale, beta1, rest1, beta2, rest2, vScale, epsilon, rate, decay: S

  @inline(always) init(_ step: AdamStep) {
    gradientScale = S(step.gradientScale)
    beta1 = S(step.beta1)
    rest1 = S(1 - step.beta1)
    beta2 = S(step.beta2)
    rest2 = S(1 - step.beta2)
    vScale = S(step.vScale)
    epsilon = S(step.epsilon)
    rate = S(step.rate)
    decay = S(step.decay)
  }
}

@inline(never)
func adamVectors(_ n: AdamNumbers, _ count: Int, _ g: In, _ p: Out, _ m: Out, _ v: Out) {
  let gradientScale = V(repeating: n.gradientScale)
  let beta1 = V(repeating: n.beta1)
  let rest1 = V(repeating: n.rest1)
  let beta2 = V(repeating: n.beta2)
  let rest2 = V(repeating: n.rest2)
  let vScale = V(repeating: n.vScale)
  let epsilon = V(repeating: n.epsilon)
  let rate = V(repeating: n.rate)
  let decay = V(repeating: n.decay)
  var i = 0
  while i < count {
    let gi = load(g, i) * gradientScale
    let mi = fma(beta1, load(m, i), rest1 * gi)
    let vi = fma(beta2, load(v, i), rest2 * gi * gi)
    let pi = load(p, i)
    let move = rate * mi / fma(vi.squareRoot(), vScale, epsilon)
    store(fma(-decay, pi, pi - move), p, i)
    store(mi, m, i)
    store(vi, v, i)
    i &+= lanes
  }
}
