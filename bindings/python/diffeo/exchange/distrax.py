"""distrax: a Transformed distribution, whose bijectors go from noise to data.

Bijectors of TensorFlow Probability may be among its own, and its conditioners are functions likewise: see tfp.py.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from ._check import Source, Step
from .tfp import Part, Reader, affine, chain, coupling, domain, inner, inverse, read, sourced, spline, tanh, widened

MODULES = ("distrax",)


def _masked(part: Part) -> list[Step]:
    mask = np.asarray(part.value.mask)
    if mask.shape != (part.dim,) or part.value._inner_event_ndims:
        raise part.refused("its mask is not one of the columns")

    def build(value: Any, x: Any) -> Any:
        return value.bijector(value.conditioner(np.where(mask, 1.0, 0.0) * x))

    return coupling(part, build, mask, ~mask)


def _split(part: Part) -> list[Step]:
    first = np.arange(part.dim) < part.value.split_index
    kept = ~first if part.value.swap else first
    index, moved = np.flatnonzero(kept), int((~kept).sum())
    return coupling(part, lambda v, x: v.bijector(v.conditioner(x[..., index])), kept, np.ones(moved, bool))


TABLE: dict[str, Reader] = {
    "LowerUpperTriangularAffine": affine,
    "Chain": chain,
    "Inverse": inverse,
    "Block": inner,
    "BijectorFromTFP": lambda part: read(part.child("_tfp_bijector", lambda value: value._tfp_bijector)),
    "MaskedCoupling": _masked,
    "SplitCoupling": _split,
    "RationalQuadraticSpline": spline,
    "Tanh": tanh,
    "Sigmoid": domain("logit", low=0.0, high=1.0),
}


def remade(value: Any, dtypes: set[str]) -> Any:
    """A copy in float64, by the constructor if its arguments are to be had."""
    import jax.numpy as jnp

    kind = type(value)
    if kind.__name__ == "DistributionFromTFP":
        return widened(value.__getattr__("copy").__self__, dtypes)  # what it wraps
    names = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    if kind.__name__ == "ScalarAffine":  # of which one argument follows from another
        names.remove("log_scale")
    if kind.__name__ == "LowerUpperTriangularAffine":
        packed = jnp.tril(value.lower, -1) + value.upper
        return kind(widened(packed, dtypes), widened(value.bias, dtypes))
    if kind.__name__ != "Lambda" and all(hasattr(value, f"_{name}") for name in names):
        return kind(**{name: widened(getattr(value, f"_{name}"), dtypes) for name in names})
    made = copy.copy(value)
    made.__dict__.update({name: widened(each, dtypes) for name, each in vars(value).items()})
    return made


def source(flow: Any, context: int = 0) -> Source:
    """What a Transformed distribution is, or a function that gives one for a context."""
    return sourced("distrax", flow, context)
