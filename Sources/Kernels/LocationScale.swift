// x = e exp(logScale) + mean: normal distributions with a mean and a standard deviation for each number.

func locationScale(_ count: Int, _ e: In, _ mean: In, _ logScale: In, _ x: Out) {
  inVectors(count, Streams(e, mean, logScale, x, x)) { locationScaleVectors($0, $1.a, $1.b, $1.c, $1.g) }
}

func locationScaleInverse(_ count: Int, _ x: In, _ mean: In, _ logScale: In, _ e: Out) {
  inVectors(count, Streams(x, mean, logScale, e, e)) { locationScaleInverseVectors($0, $1.a, $1.b, $1.c, $1.g) }
}

func locationScaleInversePullback(_ count: Int, _ e: In, _ logScale: In, _ g: Out, _ gLogScale: Out) {
  inVectors(count, Streams(e, logScale, logScale, g, gLogScale)) {
    locationScaleInversePullbackVectors($0, $1.a, $1.b, $1.g, $1.h)
  }
}

@inline(never) func locationScaleVectors(_ count: Int, _ e: In, _ mean: In, _ logScale: In, _ x: Out) {
  var i = 0
  while i < count {
    store(fma(load(e, i), exp(load(logScale, i)), load(mean, i)), x, i)
    i &+= lanes
  }
}

@inline(never) func locationScaleInverseVectors(_ count: Int, _ x: In, _ mean: In, _ logScale: In, _ e: Out) {
  var i = 0
  while i < count {
    store((load(x, i) - load(mean, i)) * exp(-load(logScale, i)), e, i)
    i &+= lanes
  }
}

/// de/dx = exp(-logScale), and de/dlogScale = -e.
@inline(never) func locationScaleInversePullbackVectors(
  _ count: Int, _ e: In, _ logScale: In, _ g: Out, _ gLogScale: Out
) {
  var i = 0
  while i < count {
    let gE = load(In(g), i)
    store(fma(-load(e, i), gE, load(In(gLogScale), i)), gLogScale, i)
    store(gE * exp(-load(logScale, i)), g, i)
    i &+= lanes
  }
}
