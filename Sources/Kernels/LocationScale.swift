// x = e exp(logScale) + mean: normal distributions with a mean and a standard deviation for each number.

func locationScale(_ count: Int, _ e: In, _ mean: In, _ logScale: In, _ x: Out) {
  inVectors(count, Streams(e, mean, logScale, x, x), locationScaleVectors)
}

func locationScaleInverse(_ count: Int, _ x: In, _ mean: In, _ logScale: In, _ e: Out) {
  inVectors(count, Streams(x, mean, logScale, e, e), locationScaleInverseVectors)
}

func locationScaleInversePullback(_ count: Int, _ e: In, _ logScale: In, _ g: Out, _ gLogScale: Out) {
  inVectors(count, Streams(e, logScale, logScale, g, gLogScale), locationScaleInversePullbackVectors)
}

@inline(never) func locationScaleVectors(_ count: Int, _ s: Streams) {
  var i = 0
  while i < count {
    store(fma(load(s.a, i), exp(load(s.c, i)), load(s.b, i)), s.g, i)
    i &+= lanes
  }
}

@inline(never) func locationScaleInverseVectors(_ count: Int, _ s: Streams) {
  var i = 0
  while i < count {
    store((load(s.a, i) - load(s.b, i)) * exp(-load(s.c, i)), s.g, i)
    i &+= lanes
  }
}

/// de/dx = exp(-logScale), and de/dlogScale = -e.
@inline(never) func locationScaleInversePullbackVectors(_ count: Int, _ s: Streams) {
  var i = 0
  while i < count {
    let g = load(In(s.g), i)
    store(fma(-load(s.a, i), g, load(In(s.h), i)), s.h, i)
    store(g * exp(-load(s.b, i)), s.g, i)
    i &+= lanes
  }
}
