// Elementwise kernels work on whole vectors; what is left at the end runs as one more vector in padded scratch, so
// every value goes through the same instructions.

/// Three inputs and two outputs that the kernel may also read; kernels with fewer name one twice.
struct Streams {
  var a, b, c: In
  var g, h: Out

  @inline(always) init(_ a: In, _ b: In, _ c: In, _ g: Out, _ h: Out) {
    self.a = a
    self.b = b
    self.c = c
    self.g = g
    self.h = h
  }
}

/// Five vectors on the stack, zeros.
struct Scratch {
  var a = V(), b = V(), c = V(), g = V(), h = V()
  @inline(always) init() {}
}

/// Calls `vectors` with counts that are multiples of the lanes.
@inline(always)
func inVectors(_ count: Int, _ s: Streams, _ vectors: (_ count: Int, _ s: Streams) -> Void) {
  let rest = count & (lanes &- 1)
  let whole = count &- rest
  if whole > 0 { vectors(whole, s) }
  if rest == 0 { return }
  var scratch = Scratch()
  withUnsafeMutablePointer(to: &scratch) {
    let p = UnsafeMutableRawPointer($0).assumingMemoryBound(to: S.self)
    copy(s.a + whole, p, rest)
    copy(s.b + whole, p + lanes, rest)
    copy(s.c + whole, p + 2 &* lanes, rest)
    let g = p + 3 &* lanes
    let h = p + 4 &* lanes
    copy(In(s.g + whole), g, rest)
    copy(In(s.h + whole), h, rest)
    let padded = Streams(p, p + lanes, p + 2 &* lanes, g, s.h == s.g ? g : h)
    vectors(lanes, padded)
    copy(In(padded.h), s.h + whole, rest)
    copy(In(g), s.g + whole, rest)
  }
}

@inline(always) func copy(_ from: In, _ to: Out, _ count: Int) {
  if count == 1 { return to.pointee = from.pointee }
  UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: count &* MemoryLayout<S>.size)
}
