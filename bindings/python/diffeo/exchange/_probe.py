"""Functions that a library keeps as code, recognised by what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ._layers import Transformer, affine
from ._network import Dense, Real, inverse_softplus, real

Function: TypeAlias = Callable[[Real], Real]
FAR = 1e6  # where a scale that is held to an interval is at its end
LOG_SCALE = 80.0  # beyond this the logarithm of no scale is held
_GRID = np.concatenate([np.linspace(-8, 8, 81), [-60.0, -30.0, 30.0, 60.0]])


def _sigmoid(a: Real) -> Real:
    return np.where(a >= 0, 1 / (1 + np.exp(-np.abs(a))), np.exp(-np.abs(a)) / (1 + np.exp(-np.abs(a))))


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def softplus(a: Real) -> Real:
    """log(1 + exp(a))."""
    return np.logaddexp(0.0, a)


ACTIVATIONS: dict[str, Function] = {
    "relu": lambda a: np.maximum(a, 0.0),
    "tanh": np.tanh,
    "elu": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0.0))),
    "silu": lambda a: a * _sigmoid(a),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": softplus,
    "sigmoid": _sigmoid,
    "gelu": lambda a: 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3))),
    "gelu_erf": lambda a: 0.5 * a * _erfc(-np.sqrt(0.5) * a),
    "mish": lambda a: a * np.tanh(softplus(a)),
    "hard_silu": lambda a: a * np.clip((a + 3) / 6, 0.0, 1.0),
}


def activation(function: Function) -> str | None:
    """The name of an activation, or None for one that Diffeo does not have."""
    values = real(function(_GRID.copy()))
    for name, ours in ACTIVATIONS.items():
        # torch's softplus is linear from 20 on: 2e-9
        if np.allclose(values, ours(_GRID), rtol=1e-7, atol=3e-9):
            return name
    return None


def slope(function: Function) -> float | None:
    """That of a leaky ReLU below 0, or None for another function and for the identity."""
    values = real(function(_GRID.copy()))
    found = float(-values[np.argmin(np.abs(_GRID + 1))])
    same = np.allclose(values, np.where(_GRID > 0, _GRID, found * _GRID), rtol=1e-12, atol=0)
    return found if same and found != 1 else None


def scaled(function: Function) -> tuple[str, float, float] | None:
    """The activation g and the numbers a and b of a function a g(b x), such as a softplus with a beta, or None."""
    with np.errstate(all="ignore"):
        values = real(function(_GRID.copy()))
        zero, one, minus, less = real(function(np.array([0.0, 1.0, -1.0, -2.0])))
        far, low = real(function(np.array([60.0, -60.0])))
        rise = (far - low) / 60  # of what is linear on one side
        swish = -np.log(rise / one - 1)
        celu = -np.log(less / minus - 1)
        outer = zero / np.log(2)
        found = {
            "softplus": (outer, float(inverse_softplus(one / outer))),
            "silu": (rise / swish, swish),
            "elu": (one / celu, celu),
            "tanh": (far, np.arctanh(one / far)),
        }
        for name, (a, b) in found.items():
            if np.allclose(values, a * ACTIVATIONS[name](b * _GRID), rtol=1e-11, atol=1e-12):
                return name, float(a), float(b)
    return None


class Scale:
    """A scale s(a), as a transformer of ours whose output is factor * a + offset."""

    def __init__(self, transformer: Transformer, factor: float = 1.0, offset: float = 0.0) -> None:
        self.transformer, self.factor, self.offset = transformer, factor, offset

    def __call__(self, last: Dense) -> Dense:
        """Such outputs in place of a."""
        return last.then(np.full(len(last.bias), self.factor), np.full(len(last.bias), self.offset))


def softplus_scale(epsilon: float, shift: float = 0.0) -> Scale:
    """The scale softplus(a + shift) + epsilon."""
    return Scale(affine("softplus", epsilon=epsilon), offset=shift - float(np.log(np.expm1(1 - epsilon))))


def sigmoid_scale(shift: float, epsilon: float) -> Scale:
    """The scale sigmoid(a + shift) + epsilon."""
    return Scale(affine("sigmoid", epsilon=epsilon), offset=shift - 2.0)


def scale(function: Function) -> Scale | None:
    """The scale of ours that this one is, or None."""
    with np.errstate(all="ignore"):
        values = real(function(_GRID.copy()))
        ends = real(function(np.array([0.0, -60.0, 60.0, -700.0, 700.0])))
        return _scale(values, *ends) or _clipped(values, float(ends[0]), *real(function(np.array([-FAR, FAR]))))


def _clipped(values: Real, zero: float, lowest: float, highest: float) -> Scale | None:
    """The scale softplus(a + shift), held to an interval, or to a half-line."""
    if not lowest < zero < highest:
        return None
    shift = float(inverse_softplus(zero))
    if not np.allclose(values, np.clip(softplus(_GRID + shift), lowest, highest), rtol=1e-9, atol=0):
        return None
    low = float(np.log(lowest)) if lowest > 0 else -LOG_SCALE
    high = float(np.log(highest)) if highest < FAR - 1 + shift else LOG_SCALE
    return Scale(affine("clipped_softplus", log_scale_low=low, log_scale_high=high), offset=shift)


def _scale(values: Real, zero: float, low: float, high: float, lowest: float, highest: float) -> Scale | None:
    def is_this(ours: Real) -> bool:
        return bool(np.allclose(values, ours, rtol=1e-9, atol=1e-12))

    a = _GRID
    if is_this(np.ones_like(a)):
        return Scale(affine("additive"))
    if is_this(np.exp(a)):
        return Scale(affine("exp"))
    if is_this(np.log1p(np.exp(np.arcsinh(a)) * np.expm1(1))):
        return Scale(affine("softplus_arsinh"))
    for epsilon in (round(low, 9), 0.0):
        inside = zero - epsilon
        if not (0 <= epsilon < 1 and inside > 0):
            continue
        shift = float(inverse_softplus(inside))
        if np.allclose(values, softplus(a + shift) + epsilon, rtol=1e-8):
            return softplus_scale(epsilon, shift)
        if np.allclose(values, np.minimum(softplus(a + shift) + epsilon, high), rtol=1e-8):
            return Scale(affine("clamped_softplus", bound=high, epsilon=epsilon), offset=shift)
        if inside < 1 and is_this(_sigmoid(a + np.log(inside / (1 - inside))) + epsilon):
            return sigmoid_scale(float(np.log(inside / (1 - inside))), epsilon)
    bound = float(np.log(highest)) if highest > 1 else 0.0
    if bound > 0 and np.isfinite(bound):
        slope = float(np.log(values[np.argmin(np.abs(a - 0.2))]))  # at a = 0.2
        factor = bound * np.arctanh(np.clip(slope / bound, -0.999, 0.999)) / 0.2
        if is_this(np.exp(bound * np.tanh(a * factor / bound))):
            return Scale(affine("tanh", bound=bound), factor=float(factor))
        curve = bound / float(np.arctan(700.0))
        if is_this(np.exp(curve * np.arctan(a))):
            return Scale(affine("atan", bound=curve))
        clip = bound * 700 / (700 - bound) if bound < 700 else 0.0  # of a / (1 + |a| / clip) at 700
        if clip > 0 and is_this(np.exp(a / (1 + np.abs(a) / clip))):
            return Scale(affine("soft_clip", bound=float(clip)))
        if is_this(np.exp(np.clip(a, np.log(lowest), bound))):
            return Scale(affine("clamped_exp", log_scale_low=float(np.log(lowest)), log_scale_high=bound))
    return None
