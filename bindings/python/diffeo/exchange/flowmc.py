"""flowMC 0.6: Wong, Gabrié, Foreman-Mackey 2023. Equinox modules from data to noise, behind a z-score by columns.

Layers are stacked as those of a scan of flowjax, and read like these. RealNVP maps (x + t) exp(s) with s = c tanh(a);
the way back is y exp(-s) - t, a coupling layer of ours. Splines are those of distrax, with lines at their ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Source, Step, both_ways, standardized
from ._error import ConversionError
from ._layers import Layer
from ._network import Dense, Network, Real, real
from .flowjax import double, in_double, in_float32, mapped, sequential, single, stacked

MODULES = ("flowMC",)


def _mlp(net: Any, kept: Any, path: str) -> Network:
    """Of all columns, of which the others are zeros."""
    dense, between = ([each for each in net.layers if hasattr(each, "weight") is linear] for linear in (True, False))
    made = [Dense.of(real(each.weight), None if each.bias is None else real(each.bias)) for each in dense]
    return sequential(net, [made[0].columns(kept), *made[1:]], between, path)


def _affine(part: Any, mask: Any, path: str) -> Layer:
    bound, (kept,), (moved,) = float(part.dt), np.nonzero(mask), np.nonzero(~mask)
    s, t = (
        _mlp(net, kept, f"{path}.{name}").select(moved, -bound)
        for name, net in (("scale_MLP", part.scale_MLP), ("shift_MLP", part.shift_MLP))
    )
    return _layers.coupling(mask, _layers.affine("tanh", bound), t, s).inverted()


def _spline(part: Any, mask: Any, path: str) -> Layer:
    (kept,), (moved,) = np.nonzero(mask), np.nonzero(~mask)
    low, high, bins = float(part._range_min), float(part._range_max), int(part._num_bins)
    least = float(part._min_bin_size) / (high - low)
    words = {"min_width": least, "min_height": least, "min_derivative": float(part._min_knot_slope)}
    transformer = _layers.spline(bins, low, high, "extended", **words)
    network = _mlp(part.conditioner, kept, f"{path}.conditioner").select(_layers.each_of(moved, 3 * bins + 1))
    return _layers.coupling(mask, transformer, network)


def _scalar(part: Any, mask: Any, path: str) -> Layer:
    """(x + t) exp(s), with one number for all columns."""
    scale, shift = float(part.scale), float(part.shift)
    return _layers.elementwise_affine(np.where(mask, 0.0, scale), np.where(mask, 0.0, shift * np.exp(scale)))


TABLE: dict[str, Callable[[Any, Any, str], Layer]] = {
    "MLPAffine": _affine,
    "RQSpline": _spline,
    "ScalarAffine": _scalar,
}


def _coupling(part: Any, path: str) -> Step:
    kind = type(part.bijector).__name__
    if kind not in TABLE:
        raise ConversionError(f"{path}.bijector", part.bijector, "Diffeo has no layer for it")
    layer = TABLE[kind](part.bijector, real(part._mask) != 0, f"{path}.bijector")
    return Step(path, part, [layer], _map(part.forward), _map(part.inverse))


def _map(function: Callable[[Any, Any], Any]) -> Map:
    run = mapped(lambda x: function(x, None))
    return lambda x, context: run(x, None)


def _base(base: Any) -> Layer:
    if type(base).__name__ != "Gaussian":
        raise ConversionError("base_dist", base, "Diffeo has no such base distribution")
    cov = real(base._cov)
    if np.count_nonzero(cov - np.diag(np.diag(cov))):
        raise ConversionError("base_dist", base, "its covariance is not diagonal")
    return Layer("normal", parameters={"mean": real(base._mean), "log_scale": 0.5 * np.log(np.diag(cov))})


def source(flow: Any) -> Source:
    """What a RealNVP or a MaskedCouplingRQSpline is."""
    with double():
        whole, dtype = in_double(flow)
        name = "affine_coupling" if hasattr(whole, "affine_coupling") else "layers"
        deviation = np.sqrt(np.diag(np.atleast_2d(real(whole._data_cov))))
        steps = [standardized("_data_mean", real(whole._data_mean), deviation)]
        for i, layer in enumerate(stacked(getattr(whole, name))):
            inner = getattr(layer, "layers", None)  # of a Sequential
            parts = (
                [(f"{name}[{i}]", layer)] if inner is None else [(f"{name}[{i}][{k}]", e) for k, e in enumerate(inner)]
            )
            steps += [_coupling(part, path) for path, part in parts]
        base = _base(whole.base_dist)

    def density(value: Any) -> Callable[[Real, Real | None], Real]:
        import jax

        def run(x: Real, context: Real | None) -> Real:
            with double():
                return real(jax.vmap(single(value).log_prob)(x))

        return run

    dim, densities = int(whole._n_features), (density(whole), density(whole.base_dist))
    made = Source("flowMC", type(flow).__qualname__, dim, steps, base, *densities, *both_ways(steps), dtype)
    made.in_float32, made.context = in_float32(made.log_prob), 0
    return made
