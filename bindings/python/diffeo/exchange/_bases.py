"""Bases that are distributions of torch, which flows of Pyro and of zuko have, and boxes of any library."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._check import Source, followed, standardized
from ._error import ConversionError
from ._layers import Layer
from ._network import Real
from ._torch import array


def inside_independent(base: Any) -> Any:
    """Without what makes rows of columns."""
    while type(base).__name__ in ("Independent", "DiagNormal", "BoxUniform", "ExpandedDistribution"):
        if not hasattr(base, "base_dist"):
            break
        base = base.base_dist
    return base


def box_uniform(base: Any, path: str) -> Layer:
    """A uniform distribution on a cube, or on the unit cube that `standard_noise` makes of another box."""
    low, high = _ends(base)
    if _same(low, high):
        return Layer("uniform", {"low": float(low[0]), "high": float(high[0])})
    return Layer("uniform", {"low": 0.0, "high": 1.0})


def standard_noise(made: Source, base: Any) -> Source:
    """The flow with noise of the layer that its base is, where that has one place and width for all columns."""
    inner = inside_independent(base)
    if type(inner).__name__ == "StudentT":
        loc, scale = (np.broadcast_to(array(each).ravel(), (made.dim,)) for each in (inner.loc, inner.scale))
        standard = not loc.any() and bool((scale == 1).all())
        return made if standard else followed(made, standardized("base", loc, scale))
    if made.base.kind != "uniform" or not hasattr(inner, "low"):
        return made
    low, high = _ends(base)
    return made if _same(low, high) else followed(made, standardized("base", low, high - low))


def _ends(base: Any) -> tuple[Real, Real]:
    inner = inside_independent(base)
    return array(inner.low).ravel(), array(inner.high).ravel()


def is_cube(base: Any) -> bool:
    """Whether a box has the same ends in all columns."""
    return _same(*_ends(base))


def _same(low: Real, high: Real) -> bool:
    return len({*low}) == len({*high}) == 1


def torch_base(base: Any, path: str) -> tuple[Layer, int]:
    """A distribution of torch of vectors, and of how many columns."""
    inside = inside_independent(base)
    shape = (*getattr(base, "batch_shape", ()), *getattr(base, "event_shape", ()))
    if len(shape) != 1:
        raise ConversionError(path, base, f"its shape is {shape}, not that of a vector")
    match type(inside).__name__:
        case "Normal":
            loc, scale = array(inside.loc).ravel(), array(inside.scale).ravel()
            return Layer("normal", parameters={"mean": loc, "log_scale": np.log(scale)}), shape[0]
        case "Uniform":
            return box_uniform(inside, path), shape[0]
        case "StudentT":
            return Layer("student_t", parameters={"log_df": np.log(array(inside.df).ravel())}), shape[0]
        case "Beta":
            values = {"alpha": array(inside.concentration1), "beta": array(inside.concentration0)}
            return Layer("beta", {"low": 0.0, "high": 1.0}, parameters=values), shape[0]
        case "MultivariateNormal":
            return _mixture(np.zeros(1), inside, path), shape[0]
        case "MixtureSameFamily":
            logits = array(inside.mixture_distribution.logits)
            return _mixture(logits, inside.component_distribution, path), shape[0]
    raise ConversionError(path, inside, "Diffeo has no such base distribution")


def _normals(components: Any, path: str) -> tuple[Real, Real, Real | None]:
    """Means, logarithms of diagonals and, of full covariances, triangles of a batch of normal distributions."""
    inside = inside_independent(components)
    match type(inside).__name__:
        case "Normal":
            return array(inside.loc), np.log(array(inside.scale)), None
        case "MultivariateNormal":
            factors = array(inside.scale_tril)
            rows, columns = np.tril_indices(factors.shape[-1], -1)
            return array(inside.loc), np.log(np.diagonal(factors, axis1=-2, axis2=-1)), factors[..., rows, columns]
    raise ConversionError(path, components, "only mixtures of Normal and of MultivariateNormal convert")


def _mixture(logits: Real, components: Any, path: str) -> Layer:
    means, logs, triangles = _normals(components, path)
    values = {"logits": logits, "means": means.reshape(len(logits), -1)}
    if triangles is None or not triangles.size:
        return Layer(
            "mixture",
            {"components": len(logits)},
            parameters={**values, "log_scales": logs.reshape(values["means"].shape)},
        )
    values |= {"diagonals": logs.reshape(values["means"].shape), "triangles": triangles.reshape(len(logits), -1)}
    return Layer("mixture", {"components": len(logits), "covariance": "full"}, parameters=values)
