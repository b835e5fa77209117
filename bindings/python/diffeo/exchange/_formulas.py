"""What layers and bases compute, written once, for every exporter.

`m` is what computes: a graph of ONNX, PyTorch or JAX. It has the functions of one number (`exp`, `log1p`, `where` and
so on) and those of the last axis of a tensor (`part`, `pick`, `sum`, `most`, `softmax`, `times`); everything else is +,
-, *, /, abs and <. Numbers x have any shape; the parameters of a map of one number are along one axis more, the last.

What has no formula is found in so many steps (`repeat`). Gradients do not go through these: `still` stops them, and
`carried` gives the result those of the last step, by the theorem of implicit functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ._layers import Layer, Transformer
from ._network import Real

Maths: TypeAlias = Any
Tensor: TypeAlias = Any
Image: TypeAlias = tuple[Tensor, Tensor]  # the value of a map, and the logarithm of its slope

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
NEWTON_STEPS, PLANAR_STEPS, PROBIT_STEPS = 5, 12, 8  # in which these come to rest: test_formulas.py looks
ROOT_HALF_PI, ROOT_2PI = math.sqrt(0.5 * math.pi), math.sqrt(2 * math.pi)
# Of the polynomials in Kernels/NormalTail.swift, from 1 on
NORMAL_TAIL = {
    "float64": (
        0.7552851304157515, -0.6078966419718921, 0.3871374007422145, -0.18652185795965473, 0.06039657489094285,
        -0.007540188966828071, -0.003479692367597778, 0.0016308184594349203, 0.00013334431569876615,
        -0.000231094953562083, -1.9082891229431116e-06, 3.5144796375948626e-05, 7.168454813833569e-07,
        -5.9205916412860635e-06, -6.303827237271143e-07, 1.0225715175515716e-06, 2.735553067099946e-07,
        -1.5651866434607109e-07, -8.836619569126603e-08, 1.4646717608478525e-08, 2.281718958450826e-08,
        1.4229543969952314e-09, -4.560985282531475e-09, -8.510067291525694e-10, 6.292078679667772e-10,
        1.1696529105076675e-10, -4.445136353605862e-11,
    ),
    "float32": (
        0.75528514, -0.6078966, 0.3871374, -0.18652217, 0.060396563, -0.0075376774, -0.003479588, 0.00162195,
        0.00013294462, -0.00021548405, -1.0999026e-06, 2.1150478e-05, -2.1070768e-07,
    ),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- functions


def normal_logs(m: Maths, t: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the standard normal distribution function and of 1 less it, each exact in its tail.

    `m.normal_tail` is Q(u) exp(u^2 / 2) for u >= 0, Q being the probability beyond u.
    """
    u = abs(t)
    small = m.log(m.normal_tail(u)) - u * u * 0.5
    large = m.log1p(m.exp(small) * -1.0)
    return m.where(t < 0.0, small, large), m.where(t < 0.0, large, small)


def log_sum(m: Maths, a: Tensor) -> Tensor:
    """The logarithm of the sum of exponentials along the last axis."""
    top = m.maximum(m.most(a), -1e30)  # of nothing but -inf, that is what it remains
    return top + m.log(m.sum(m.exp(a - m.wide(top))))


def soft_clip(a: Tensor, bound: float) -> Tensor:
    """A / (1 + abs(a) / bound)."""
    return a / (abs(a) * (1 / bound) + 1.0)


def signed(m: Maths, size: Tensor, like: Tensor) -> Tensor:
    """The size with the sign of another number."""
    return m.where(like < 0.0, size * -1.0, size)


def arsinh(m: Maths, x: Tensor) -> Tensor:
    """The inverse of sinh, without cancellation, and where the square overflows."""
    u = abs(x)
    long, short = m.maximum(u, 1.0), m.minimum(u, 1.0)
    part = short / long
    return signed(m, m.log1p(u + u * (short / (m.sqrt(part * part + 1.0) + 1.0 / long))), x)


def log_cosh(m: Maths, x: Tensor) -> Tensor:
    """Where cosh overflows, too."""
    return abs(x) + m.log1p(m.exp(abs(x) * -2.0)) - math.log(2)


def sinh(m: Maths, x: Tensor) -> Tensor:
    """Without cancellation, and infinite where exp is."""
    u = abs(x)
    return signed(m, (m.expm1(u) - m.expm1(u * -1.0)) * 0.5, x)


def circled(m: Maths, x: Tensor, low: float, high: float) -> Tensor:
    """A number in the box by whole turns; what is there already stays."""
    turned = x - m.floor((x - low) * (1 / (high - low))) * (high - low)
    turned = m.minimum(m.maximum(turned, low), high)
    return m.where(x < low, turned, m.where(high < x, turned, x))


# ------------------------------------------------------------------------------------------------- maps of one number


def scale_of(m: Maths, transformer: Transformer, a: Tensor) -> Tensor:
    """The scale s(a) of an affine transformer."""
    said: Mapping[str, Any] = transformer.attributes
    bound, epsilon = said["scale_bound"], said["scale_epsilon"]
    match said["scale"]:
        case "soft_clip":
            return m.exp(soft_clip(a, bound))
        case "skewed_clip":
            return m.exp(a / (m.maximum(a, 0.0) * (1 / bound) - m.minimum(a, 0.0) * (3 / bound) + 1.0))
        case "exp":
            return m.exp(a)
        case "tanh":
            return m.exp(m.tanh(a * (1 / bound)) * bound)
        case "softplus":
            return _softplus_scale(m, a, epsilon)
        case "sigmoid" | "gated":
            return m.sigmoid(a + 2.0) + (epsilon if said["scale"] == "sigmoid" else 0.0)
        case "clamped_softplus":
            return m.minimum(m.softplus(a) + epsilon, bound)
        case "clipped_softplus":
            low, high = math.exp(said["log_scale_low"]), math.exp(said["log_scale_high"])
            return m.minimum(m.maximum(m.softplus(a), low), high)
        case "clamped_exp":
            return m.exp(m.maximum(m.minimum(a, said["log_scale_high"]), said["log_scale_low"]))
        case "reciprocal_sigmoid":
            return m.exp(m.softplus(a * -1.0))
        case "softplus_arsinh":
            return m.softplus(arsinh(m, a) + math.log(math.expm1(1)))
        case "atan":
            return m.exp(m.atan(a) * bound)
        case other:
            raise ValueError(f"the scale {other}")


def _softplus_scale(m: Maths, a: Tensor, epsilon: float) -> Tensor:
    """1 at 0."""
    return m.softplus(a + float(np.log(np.expm1(1 - epsilon)))) + epsilon


def scale_and_shift(m: Maths, transformer: Transformer, a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """What an affine transformer with outputs a, t makes of x is scale x + shift."""
    scale = scale_of(m, transformer, a)
    return scale, (scale * -1.0 + 1.0) * t if transformer.attributes["scale"] == "gated" else t


def element_map(m: Maths, transformer: Transformer, p: Tensor, x: Tensor, inverse: bool) -> Image:
    """What a transformer makes of numbers x with parameters p, or its inverse."""
    said: Mapping[str, Any] = transformer.attributes
    match said["transformer"]:
        case "affine":
            return _affine(m, transformer, p, x, inverse)
        case "rational_quadratic":
            return _spline(m, said, p, x, inverse)
        case "mixture_cdf":
            return _mixture_inverse(m, said, p, x) if inverse else _mixture(m, said, p, x)
        case "sinh_arcsinh":
            return _sinh_arcsinh(m, said, p, x, inverse)
        case other:
            raise ValueError(f"the transformer {other}")


def _affine(m: Maths, transformer: Transformer, p: Tensor, x: Tensor, inverse: bool) -> Image:
    if transformer.parameters == 1:
        shift = m.pick(p, 0)
        return (x - shift if inverse else x + shift), shift * 0.0
    scale, shift = scale_and_shift(m, transformer, m.pick(p, 0), m.pick(p, 1))
    log_scale = m.log(scale)
    return ((x - shift) / scale, log_scale * -1.0) if inverse else (x * scale + shift, log_scale)


def _sinh_arcsinh(m: Maths, said: Mapping[str, Any], p: Tensor, x: Tensor, inverse: bool) -> Image:
    """Jones and Pewsey 2009."""
    log_delta, epsilon = soft_clip(m.pick(p, 0), said["scale_bound"]), m.pick(p, 1)
    before = arsinh(m, x)
    after = (before + epsilon) * m.exp(log_delta * -1.0) if inverse else before * m.exp(log_delta) - epsilon
    log_slope = log_cosh(m, after) - log_cosh(m, before)
    return sinh(m, after), log_slope - log_delta if inverse else log_slope + log_delta


# ------------------------------------------------------------------------------------------- rational-quadratic splines


def _sizes(m: Maths, said: Mapping[str, Any], raw: Tensor, minimum: float) -> Tensor:
    """Widths or heights of the bins."""
    bins = said["bins"]
    floor = np.full(bins, float(minimum))
    if said.get("half_ends"):
        floor[[0, -1]] /= 2
    if said.get("logit_bound"):
        raw = soft_clip(raw, said["logit_bound"])
    span = said["high"] - said["low"]
    return m.softmax(raw) * (span * (1 - floor.sum())) + m.const(span * floor, raw)


def derivatives(m: Maths, said: Mapping[str, Any], raw: Tensor) -> Tensor:
    """Those at all knots, of a spline whose network gives some of them."""
    if said.get("derivative", "softplus") == "exp":
        found = m.exp(soft_clip(raw, said["derivative_bound"]))
    else:
        least = said["min_derivative"]
        found = m.softplus(raw + math.log(math.expm1(1 - least))) + least
    knots = said["bins"] + 1
    match said["boundary"]:
        case "linear" | "half_turn":  # fixed at the ends
            place, ends = np.eye(knots)[1:-1], np.zeros(knots)
            ends[[0, -1]] = said.get("boundary_derivative", 1.0) if said["boundary"] == "linear" else 1.0
            return m.times(found, place) + m.const(ends, raw)
        case "periodic":
            place = np.eye(knots)[:-1]
            place[0, -1] = 1.0
            return m.times(found, place)
    return found


def knots(m: Maths, said: Mapping[str, Any], p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Widths, heights and the derivatives at the knots."""
    bins = said["bins"]
    widths = _sizes(m, said, m.part(p, 0, bins), said["min_width"])
    heights = _sizes(m, said, m.part(p, bins, 2 * bins), said["min_height"])
    return widths, heights, derivatives(m, said, m.part(p, 2 * bins, _per(said)))


def _per(said: Mapping[str, Any]) -> int:
    bins: int = said["bins"]
    return 2 * bins + {"linear": bins - 1, "half_turn": bins - 1, "periodic": bins}.get(said["boundary"], bins + 1)


def _placed(m: Maths, said: Mapping[str, Any], x: Tensor, turned: bool) -> Tensor:
    """X in the box: on a circle by whole turns, if `turned` after the half one; else at its nearer end."""
    low, high = said["low"], said["high"]
    if said["boundary"] == "half_turn" and turned:
        x = x + 0.5 * (high - low)
    if said["boundary"] in ("half_turn", "periodic"):
        return circled(m, x, low, high)
    return m.minimum(m.maximum(x, low), high)


def _spline(m: Maths, said: Mapping[str, Any], p: Tensor, x: Tensor, inverse: bool) -> Image:
    """Durkan et al. 2019; the formulas, in which nothing cancels, are those of Kernels/Spline.swift."""
    bins, low, high, boundary = said["bins"], said["low"], said["high"], said["boundary"]
    widths, heights, slopes = knots(m, said, p)
    before = np.triu(np.ones((bins, bins)), 1)
    lefts, bottoms = (m.times(each, before) + low for each in (widths, heights))
    at = _placed(m, said, x, not inverse)
    # 1 for each inner knot that is above, and from that 1 for the bin
    below = m.indicator(m.wide(at) < m.part(bottoms if inverse else lefts, 1, bins), p)
    steps = np.eye(bins)[:-1] - np.eye(bins)[1:]
    here = m.times(below, steps) + m.const(np.eye(bins)[-1], p)
    left, width, bottom, height, d0, d1 = (
        m.sum(each * here)
        for each in (lefts, widths, bottoms, heights, m.part(slopes, 0, bins), m.part(slopes, 1, bins + 1))
    )
    s = height / width
    v = (at - (bottom if inverse else left)) / (height if inverse else width)
    v = m.minimum(m.maximum(v, 0.0), 1.0)
    if inverse:
        t, u = _root(m, s, d0, d1, v)
        y = t * width + left
    else:
        t, u = v, v * -1.0 + 1.0
        y = t * (s * t + d0 * u) / (s * (t * u * -2.0 + 1.0) + (d0 + d1) * (t * u)) * height + bottom
    q = s / (s * (t * u * -2.0 + 1.0) + (d0 + d1) * (t * u))
    slope = q * (d1 * t * t + s * t * u * 2.0 + d0 * u * u) * q
    y, log_slope = m.minimum(m.maximum(y, low), high), m.log(slope) * (-1.0 if inverse else 1.0)
    match boundary:
        case "extended":
            beyond = x - at
            y = y + (beyond / slope if inverse else beyond * slope)
        case "half_turn":
            y = _placed(m, said, y, True) if inverse else y
        case "linear" | "free" | "interval":
            other, none = (x, x * 0.0) if boundary != "interval" else (m.nan(x), m.nan(x))
            y = m.where(x < low, other, m.where(high < x, other, y))
            log_slope = m.where(x < low, none, m.where(high < x, none, log_slope))
    return y, log_slope


def _root(m: Maths, s: Tensor, d0: Tensor, d1: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The place t in the bin of the height v, and 1 - t."""
    rest = v * -1.0 + 1.0
    e = d0 * rest - d1 * v
    a = s * 2.0 * m.where(e < 0.0, rest, v)
    b = abs(e) + m.sqrt(e * e + s * s * v * rest * 4.0)
    first, second = a / (a + b), b / (a + b)
    return m.where(e < 0.0, second, first), m.where(e < 0.0, first, second)


# ------------------------------------------------------------------------------------------------------------ mixtures


def _components(m: Maths, said: Mapping[str, Any], p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of the weights, means, logarithms of the scales."""
    count = said["components"]
    logits, means, raw = (m.part(p, i * count, (i + 1) * count) for i in range(3))
    if said.get("scale") == "softplus":
        log_scales = m.log(_softplus_scale(m, raw, said["scale_epsilon"]))
    else:
        log_scales = soft_clip(raw, said["scale_bound"])
    return logits - m.wide(log_sum(m, logits)), means, log_scales


def _sums(m: Maths, family: str, parts: Sequence[Tensor], x: Tensor) -> tuple[Tensor, ...]:
    """Logarithms of the distribution function F, of 1 - F and of the density."""
    weights, means, log_scales = parts
    t = (m.wide(x) - means) * m.exp(log_scales * -1.0)
    if family == "normal":
        lower, upper = normal_logs(m, t)
        density = t * t * -0.5 - LOG_ROOT_2PI
    else:
        lower, upper = m.softplus(t * -1.0) * -1.0, m.softplus(t) * -1.0
        density = lower + upper
    return log_sum(m, weights + lower), log_sum(m, weights + upper), log_sum(m, weights + density - log_scales)


def mixture_log_density(m: Maths, said: Mapping[str, Any], p: Tensor, x: Tensor) -> Tensor:
    """Of a mixture of normal distributions with the parameters of a mixture CDF."""
    return _sums(m, "normal", _components(m, said, p), x)[2]


def _mixture(m: Maths, said: Mapping[str, Any], p: Tensor, x: Tensor) -> Image:
    lower, upper, density = _sums(m, said["family"], _components(m, said, p), x)
    if said["target"] == "logistic":
        return lower - upper, density - lower - upper
    return m.where(lower < upper, m.exp(lower), m.expm1(upper) * -1.0), density


SECTIONS = 16  # points at once, between which the root is


def _mixture_inverse(m: Maths, said: Mapping[str, Any], p: Tensor, y: Tensor) -> Image:
    """The root of log F - log(1 - F) = target: between which of some points, again and again; then by Newton's method.

    So often that what is left of the bracket is a part of the smallest scale that there can be.
    """
    family, parts = said["family"], _components(m, said, p)
    target = y if said["target"] == "logistic" else m.log(y) - m.log1p(y * -1.0)
    still, between = [m.still(each) for each in parts], tuple(m.between(m.still(each)) for each in parts)
    goal = m.minimum(m.maximum(m.still(target), -1e15), 1e15)  # F that is rounded to 0 or 1 has no finite root
    low, high = _bracket(m, family, still, goal)

    def section(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        width = (high - low) * (1 / (SECTIONS + 1))
        at = m.wide(low) + m.wide(width) * m.const(np.arange(1.0, SECTIONS + 1), low)
        lower, upper, _ = _sums(m, family, between, at)
        low = low + width * m.sum(m.indicator(lower - upper < m.wide(goal), low))
        return low, low + width

    least = -math.log(said["scale_epsilon"]) if said.get("scale") == "softplus" else said["scale_bound"]
    rounds = 1 + math.ceil((said["scale_bound"] + least + 5) / math.log(SECTIONS + 1))
    low, high = m.repeat(rounds, section, (low, high))
    low, high = low * 2.0 - high, high * 2.0 - low

    def newton(x: Tensor) -> tuple[Tensor]:
        lower, upper, density = _sums(m, family, still, x)
        found = x - (lower - upper - goal) * m.exp(lower + upper - density)
        return (m.minimum(m.maximum(found, low), high),)

    (x,) = m.repeat(NEWTON_STEPS, newton, ((low + high) * 0.5,))
    lower, upper, density = _sums(m, family, parts, m.still(x))
    x = m.carried(x, (target - lower + upper) * m.still(m.exp(lower + upper - density)))
    lower, upper, density = _sums(m, family, parts, x)
    return x, (density - lower - upper if said["target"] == "logistic" else density) * -1.0


def _bracket(m: Maths, family: str, parts: Sequence[Tensor], target: Tensor) -> tuple[Tensor, Tensor]:
    """Where the root is: no farther out than that of the component which is farthest."""
    _, means, log_scales = parts
    v = abs(target)
    inner = outer = v
    if family == "normal":  # bounded by the tangent at 0, and by Q(t) <= exp(-t^2 / 2) / 2; never below 0.8 of that
        bound = m.sqrt((m.softplus(v) - math.log(2)) * 2.0)
        outer = m.minimum(v * (0.5 * ROOT_HALF_PI), bound)
        inner = outer * 0.8
    least = m.where(target > 0.0, inner, outer * -1.0)
    most = m.where(target > 0.0, outer, inner * -1.0)
    scale = m.exp(log_scales)
    low, high = m.most((scale * m.wide(least) + means) * -1.0) * -1.0, m.most(scale * m.wide(most) + means)
    margin = (abs(low) + abs(high) + m.most(abs(means))) * (m.eps(target) * 8)
    return low - margin, high + margin


# ------------------------------------------------------------------------------------------------------------- domains


def domain(m: Maths, name: str, constants: Mapping[str, Real], x: Tensor, inverse: bool) -> Image:
    """A map from a domain to the line. Beyond the ends it is no number."""
    ends = {key: m.const(values, x) for key, values in constants.items()}
    image: Image = DOMAINS[name][inverse](m, x, **ends)
    return image


def _log_slope_of_tanh(m: Maths, x: Tensor) -> Tensor:
    return log_cosh(m, x) * -2.0


def _logit(m: Maths, x: Tensor, low: Tensor, high: Tensor) -> Image:
    a, b = m.log(x - low), m.log(high - x)
    return a - b, m.log(high - low) - a - b


def _logit_inverse(m: Maths, z: Tensor, low: Tensor, high: Tensor) -> Image:
    e = m.exp(abs(z) * -1.0)
    part = (high - low) * (e / (e + 1.0))
    return m.where(z < 0.0, low + part, high - part), m.log(high - low) - abs(z) - m.log1p(e) * 2.0


def _log(m: Maths, x: Tensor, low: Tensor) -> Image:
    z = m.log(x - low)
    return z, z * -1.0


def _softplus(m: Maths, x: Tensor, low: Tensor) -> Image:
    a = x - low
    log_complement = m.log(m.expm1(a * -1.0) * -1.0)
    return a + log_complement, log_complement * -1.0


def _softplus_inverse(m: Maths, z: Tensor, low: Tensor) -> Image:
    return m.softplus(z) + low, m.softplus(z * -1.0) * -1.0


def _logistic_to_normal(m: Maths, x: Tensor) -> Image:
    """By Newton's method on log Q, which is concave, from the right."""
    y = m.softplus(abs(x))
    start = m.minimum(abs(x) * (0.5 * ROOT_HALF_PI), m.sqrt((y - math.log(2)) * 2.0 + 1e-30))

    def step(t: Tensor) -> tuple[Tensor]:
        log_tail = m.log(m.normal_tail(t)) - t * t * 0.5
        return (m.maximum(t + (log_tail + m.still(y)) * m.normal_tail(t) * ROOT_2PI, 0.0),)

    (t,) = m.repeat(PROBIT_STEPS, step, (m.still(start),))
    t = m.carried(t, y * m.still(m.normal_tail(t)) * ROOT_2PI)
    return signed(m, t, x), _log_slope_of_probit(m, x, t)


def _normal_to_logistic(m: Maths, z: Tensor) -> Image:
    lower, upper = normal_logs(m, z)
    x = lower - upper
    return x, _log_slope_of_probit(m, x, abs(z)) * -1.0


def _log_slope_of_probit(m: Maths, x: Tensor, t: Tensor) -> Tensor:
    return m.log(m.normal_tail(t)) + LOG_ROOT_2PI - m.softplus(abs(x) * -1.0)


def _leaky_tanh(m: Maths, x: Tensor, bound: Tensor) -> Image:
    inside = m.minimum(abs(x), bound)
    log_slope = _log_slope_of_tanh(m, inside)
    return signed(m, m.tanh(inside) + (abs(x) - inside) * m.exp(log_slope), x), log_slope


def _artanh(m: Maths, z: Tensor) -> Tensor:
    return (m.log1p(z) - m.log1p(z * -1.0)) * 0.5


def _leaky_tanh_inverse(m: Maths, z: Tensor, bound: Tensor) -> Image:
    end = m.tanh(bound)
    inside = m.minimum(abs(z), end)
    x = m.minimum(_artanh(m, m.where(inside < end, inside, end * 0.5)), bound)
    x = m.where(inside < end, x, bound)
    log_slope = _log_slope_of_tanh(m, x)
    return signed(m, x + (abs(z) - inside) * m.exp(log_slope * -1.0), z), log_slope * -1.0


def _leaky_relu(m: Maths, x: Tensor, slope: Tensor) -> Image:
    return m.where(x < 0.0, x * slope, x), m.where(x < 0.0, m.log(slope), slope * 0.0)


def _leaky_relu_inverse(m: Maths, z: Tensor, slope: Tensor) -> Image:
    return m.where(z < 0.0, z / slope, z), m.where(z < 0.0, m.log(slope) * -1.0, slope * 0.0)


def _log_tanh(m: Maths, x: Tensor, bound: Tensor) -> Image:
    k = (m.tanh(m.tanh(bound)) * -1.0 + 1.0) / bound
    inside, outside = m.minimum(abs(x), bound), m.maximum(abs(x), bound)
    log_slope = m.where(bound < abs(x), m.log(k) - m.log(outside), _log_slope_of_tanh(m, inside))
    return signed(m, m.tanh(inside) + k * m.log(outside / bound), x), log_slope


def _log_tanh_inverse(m: Maths, z: Tensor, bound: Tensor) -> Image:
    end = m.tanh(bound)
    k = (m.tanh(m.tanh(bound)) * -1.0 + 1.0) / bound
    inside, beyond = m.minimum(abs(z), end), m.maximum(abs(z), end) - end
    x = m.where(inside < end, m.minimum(_artanh(m, m.where(inside < end, inside, end * 0.5)), bound), bound)
    log_slope = m.where(end < abs(z), m.log(bound) + beyond / k - m.log(k), _log_slope_of_tanh(m, x) * -1.0)
    return signed(m, x * m.exp(beyond / k), z), log_slope


DOMAINS: Mapping[str, tuple[Any, Any]] = {
    "logit": (_logit, _logit_inverse),
    "log": (_log, lambda m, z, low: (m.exp(z) + low, z)),
    "softplus": (_softplus, _softplus_inverse),
    "logistic_to_normal": (_logistic_to_normal, _normal_to_logistic),
    "leaky_tanh": (_leaky_tanh, _leaky_tanh_inverse),
    "leaky_relu": (_leaky_relu, _leaky_relu_inverse),
    "log_tanh": (_log_tanh, _log_tanh_inverse),
}


def wrap(m: Maths, layer: Layer, x: Tensor, inverse: bool) -> Tensor:
    """Angles in [low, high), turned by the shift, each perhaps with its own ends; x has the columns of the layer."""
    low, high = (
        m.const(layer.parameters[name], x) if name in layer.parameters else float(str(layer.attributes[name]))
        for name in ("low", "high")
    )
    shift = layer.parameters["shift"]
    turned = x + m.const(-shift if inverse else shift, x)
    period = high - low
    rest = turned - low
    rest = rest - m.floor(rest * (1.0 / period)) * period
    rest = m.where(rest < 0.0, rest + period, rest)
    z = m.where(rest < period, rest, rest - period) + low
    return m.where(z < high, z, z * 0.0 + low)


# ------------------------------------------------------------------------------------------------- planar and radial


def planar(m: Maths, u: Tensor, w: Tensor, b: Tensor, x: Tensor, inverse: bool) -> Image:
    """X + v tanh(w x + b), v such that it can be inverted (Rezende and Mohamed 2015); b has no last axis."""
    wu, ww = m.sum(w * u), m.sum(w * w)
    sum_ = m.where(ww > 0.0, m.softplus(wu), 1.0 + ww)  # 1 + w v
    c = sum_ - 1.0
    k = m.where(ww > 0.0, (m.softplus(wu * -1.0) - 1.0) / m.maximum(ww, 1e-30), ww)
    start = m.sum(w * x) + b
    a = signed(m, _planar_root(m, abs(start), c, sum_), start) if inverse else start
    e = m.exp(abs(a) * -2.0)
    t = signed(m, (m.expm1(abs(a) * -2.0) * -1.0) / (e + 1.0), a)
    h = e * 4.0 / ((e + 1.0) * (e + 1.0))
    log_slope = m.log(t * t + sum_ * h)
    sign = -1.0 if inverse else 1.0
    return x + m.wide(t * sign) * (u + m.wide(k) * w), log_slope * sign


def _planar_root(m: Maths, target: Tensor, c: Tensor, sum_: Tensor) -> Tensor:
    """The a with a + c tanh(a) = target, as in Bijections/Planar.swift: a start has the root on a known side."""
    size = m.maximum(c * -1.0, 1e-30)
    cube = m.exp(m.log(target * 5.0 / size + 1e-30) * (1 / 3))
    nearest = m.minimum(target - c, target / sum_)
    nearest = m.where(target < 0.2, m.minimum(nearest, cube), nearest)
    start = m.where(c < 0.0, nearest, m.maximum(target / sum_, target - c))

    def step(a: Tensor) -> tuple[Tensor, ...]:
        t = m.tanh(a)
        e = m.exp(abs(a) * -2.0)
        after = a - (a + c * t - target) / (t * t + sum_ * (e * 4.0 / ((e + 1.0) * (e + 1.0))))
        return (m.where(c < 0.0, m.minimum(after, a), m.maximum(after, a)),)

    a = m.repeat(PLANAR_STEPS, step, (m.still(start),))[0]
    t = m.tanh(m.still(a))
    return m.carried(a, (target - c * t) / m.still(c * (t * t * -1.0 + 1.0) + 1.0))


def radial(m: Maths, dim: int, x0: Tensor, alpha: Tensor, beta: Tensor, x: Tensor, inverse: bool) -> Image:
    """X + (B - A) (x - x0) / (A + |x - x0|) with A and B from raw numbers, which have no last axis."""
    a, total = m.softplus(alpha), m.softplus(beta)
    away = x - x0
    r = m.sqrt(m.sum(away * away) + 1e-30)
    if inverse:
        b = r - total
        root = m.sqrt(b * b + r * a * 4.0)
        r = m.where(b < 0.0, r * a * 2.0 / (root + abs(b)), (b + root) * 0.5)
    reach = r + a
    log_slope = m.log((r + total) / reach) * float(dim - 1)
    log_slope = log_slope + m.log((r * r + a * (r * 2.0 + total)) / (reach * reach))
    excess = (total - a) / reach
    factor = excess / (excess + 1.0) * -1.0 if inverse else excess
    return x + m.wide(factor) * away, log_slope * (-1.0 if inverse else 1.0)


# --------------------------------------------------------------------------------------------------------------- bases


def normal(m: Maths, z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """The log-density of each column."""
    t = (z - mean) * m.exp(log_scale * -1.0)
    return t * t * -0.5 - log_scale - LOG_ROOT_2PI


def logistic(m: Maths, z: Tensor) -> Tensor:
    """The log-density of each column."""
    return abs(z) * -1.0 - m.softplus(abs(z) * -1.0) * 2.0


def uniform(m: Maths, z: Tensor, low: float, high: float) -> Tensor:
    """The log-density of each column."""
    none = m.const(np.array(-np.inf), z)
    return m.where(z < low, none, m.where(high < z, none, z * 0.0 - math.log(high - low)))


def student_t(m: Maths, z: Tensor, log_df: Tensor) -> Tensor:
    """The log-density of each column."""
    df = m.exp(m.maximum(m.minimum(log_df, math.log(1e8)), math.log(0.1)))
    # log Gamma(a + 1/2) - log Gamma(a) by Stirling's series, from which 16 steps lead down to a = df / 2
    a = df * 0.5
    steps = a * 0.0 + 1.0
    for k in range(16):
        steps = steps * ((a + float(k)) / (a + (k + 0.5)))
    b = 1.0 / (a + 16.0)
    square = b * b
    series = b * (square * (square * (square * (17 / 14336) - 1 / 640) + 1 / 192) - 0.125)
    ratio = m.log(steps) + series - m.log(b) * 0.5
    kernel = m.log1p(z * (z / df)) * (df + 1.0) * -0.5
    return ratio - (m.log(df) + math.log(math.pi)) * 0.5 + kernel


def mixture(m: Maths, z: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """The log-density of rows: means and log_scales are [..., components, columns]."""
    each = m.sum(normal(m, m.between(z), means, log_scales))
    return log_sum(m, each + logits - m.wide(log_sum(m, logits)))


def bernoulli(m: Maths, z: Tensor, logit: Tensor) -> Tensor:
    """The log-probability of each column, of 0 or 1."""
    none = m.const(np.array(-np.inf), z)
    no, yes = m.softplus(logit) * -1.0, m.softplus(logit * -1.0) * -1.0
    other = m.where(abs(z - 1.0) < 1e-30, yes, none + z * 0.0)
    return m.where(abs(z) < 1e-30, no, other)


def conditional(m: Maths, transformer: Transformer, p: Tensor, z: Tensor) -> Tensor:
    """The log-density of each column of a MADE, given its parameters."""
    said: Mapping[str, Any] = transformer.attributes
    match said["transformer"]:
        case "affine":
            y, log_slope = _affine(m, transformer, p, z, False)
            return y * y * -0.5 - LOG_ROOT_2PI + log_slope
        case "mixture_cdf":
            return mixture_log_density(m, said, p, z)
    return bernoulli(m, z, m.pick(p, 0))
