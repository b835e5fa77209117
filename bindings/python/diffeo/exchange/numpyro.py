"""numpyro 0.22: Phan, Pradhan, Jankowiak 2019. A TransformedDistribution, such as what an AutoIAFNormal has learnt.

Its transforms go from noise to data. They are read as bijectors of distrax are: networks from a trace, and what is
affine by its matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _layers
from ._bijectors import Part, affine, domain, leaf
from ._check import Source, Step, both_ways, reverse
from ._error import ConversionError
from ._jaxpr import NotDenseError
from ._jaxpr import read as read_network
from ._layers import Layer
from ._network import Real, real
from .flowjax import double, in_double, in_float32, single

MODULES = ("numpyro",)


def _inverse_autoregressive(part: Part) -> list[Step]:
    """exp(a) z + t with a between two numbers, of what a network of z gives: t and a for all columns."""
    import jax.numpy as jnp

    transform = part.value
    try:
        with double():
            network, _, dtypes = read_network(lambda z: [jnp.stack(transform.arn(z)[::-1], axis=1)], part.dim)
    except NotDenseError as error:
        raise part.refused(str(error)) from error
    part.dtypes.update(dtypes)
    low, high = (float(getattr(transform, f"log_scale_{end}_clip")) for end in ("min", "max"))
    scale = _layers.affine("clamped_exp", log_scale_low=low, log_scale_high=high)
    return leaf(part, _layers.autoregressive(part.dim, scale, network))


TABLE: dict[str, Callable[[Part], list[Step]]] = {
    "InverseAutoregressiveTransform": _inverse_autoregressive,
    "ExpTransform": domain("log", low=0.0),
    "SigmoidTransform": domain("logit", low=0.0, high=1.0),
    "SoftplusTransform": domain("softplus", low=0.0),
    "IdentityTransform": lambda part: [],
}


def _steps(transform: Any, path: str, dim: int, dtypes: set[str]) -> list[Step]:
    """Of a transform in its own direction."""
    match type(transform).__name__:
        case "ComposeTransform":
            parts = enumerate(transform.parts)
            return [step for i, each in parts for step in _steps(each, f"{path}.parts[{i}]", dim, dtypes)]
        case "_InverseTransform":
            return reverse(_steps(transform._inv, f"{path}._inv", dim, dtypes))
        case "IndependentTransform":
            return _steps(transform.base_transform, f"{path}.base_transform", dim, dtypes)
        case name:
            return TABLE.get(name, affine)(Part(path, lambda c: transform, transform, dim, 0, dtypes, lead=()))


def _base(base: Any) -> Layer:
    inside = base
    while hasattr(inside, "base_dist"):
        inside = inside.base_dist
    if type(inside).__name__ != "Normal":
        raise ConversionError("base_dist", inside, "only a base of Normal is converted")
    mean, variance = (real(np.broadcast_to(each, base.shape())) for each in (base.mean, base.variance))
    return Layer("normal", parameters={"mean": mean, "log_scale": 0.5 * np.log(variance)})


def source(flow: Any) -> Source:
    """What a TransformedDistribution is."""
    if len(flow.shape()) != 1:
        raise ConversionError("", flow, f"its shape is {flow.shape()}, not that of vectors")
    with double():
        whole, dtype = in_double(flow)
        dtypes = {dtype}
        (dim,), steps = whole.shape(), []
        for i, transform in enumerate(whole.transforms):
            steps += _steps(transform, f"transforms[{i}]", dim, dtypes)
        base = _base(whole.base_dist)

    def density(of: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            import jax

            with double():
                return real(jax.vmap(lambda row: single(of).log_prob(row).sum())(x))

        return run

    steps = reverse(steps)
    maps = both_ways(steps)
    made = Source("numpyro", type(flow).__qualname__, dim, steps, base, density(whole), density(whole.base_dist), *maps)
    made.in_float32, made.context = in_float32(made.log_prob), 0
    made.dtype = "float64" if "float64" in dtypes else "float32"
    return made
