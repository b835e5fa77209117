"""TensorFlow Probability on JAX: a TransformedDistribution, whose bijectors go from noise to data.

They are read by _bijectors.py; here are the bases, and what distrax.py takes, too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ._bijectors import Part, inner, named, one
from ._check import Source, both_ways, reverse
from ._error import ConversionError
from ._layers import Layer
from ._network import Real, real
from .flowjax import double, in_float32

MODULES = ("tensorflow_probability",)
JAX = "tensorflow_probability.substrates.jax"

# ---------------------------------------------------------------------------------------------------------------- bases


def _base(part: Part) -> Layer:
    base = part.value
    while _kind(base) in WRAPPERS:
        base = base.distribution

    def vector(values: Any) -> Real:
        return np.array(np.broadcast_to(real(values), part.dim))

    match _kind(base):
        case "Normal" | "MultivariateNormalDiag":
            mean, deviation = vector(part.value.mean()), vector(part.value.stddev())
            return Layer("normal", parameters={"mean": mean, "log_scale": np.log(deviation)})
        case "Uniform":
            low, high = vector(base.low), vector(base.high)
            if np.ptp(low) == np.ptp(high) == 0:
                return Layer("uniform", {"low": float(low[0]), "high": float(high[0])})
            raise part.refused("its columns have different intervals")
        case "Logistic":
            if not vector(base.loc).any() and (vector(base.scale) == 1).all():
                return Layer("logistic")
            raise part.refused("a logistic distribution with a location or scale: put it into the bijector")
    raise part.refused("Diffeo has no such base distribution")


WRAPPERS = ("Independent", "Sample")
BASES = ("Normal", "MultivariateNormalDiag", "Uniform", "Logistic", *WRAPPERS)


def _kind(base: Any) -> str:
    return next((name for kind in type(base).__mro__ if (name := kind.__name__.lstrip("_")) in BASES), "")


# ----------------------------------------------------------------------------------------------------------------- flow


def widened(value: Any, dtypes: set[str]) -> Any:
    """A copy in float64, made anew from its arguments: what it computes of them is in float64, too."""
    import jax
    import jax.numpy as jnp

    if isinstance(value, (jax.Array, np.ndarray, np.floating)) and jnp.issubdtype(value.dtype, jnp.floating):
        dtypes |= {str(value.dtype)} if isinstance(value, jax.Array) else set()
        return jnp.asarray(value, jnp.float64)
    if isinstance(value, float):
        return jnp.asarray(value, jnp.float64)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(widened(each, dtypes) for each in value)
    root = type(value).__module__.partition(".")[0]
    if root == "distrax":
        return _remade(value, dtypes)
    if root in MODULES and hasattr(value, "parameters") and hasattr(value, "copy"):
        kept = {"fraction_masked"}  # which must be no array
        words = {k: v if k in kept else widened(v, dtypes) for k, v in value.parameters.items()}
        return value.copy(**words)
    return value


def _remade(value: Any, dtypes: set[str]) -> Any:
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
    """What a TransformedDistribution is, or a function that gives one for a context."""
    if hasattr(flow, "log_prob") and not any(kind.__module__.startswith(JAX) for kind in type(flow).__mro__):
        raise ConversionError("", flow, f"only flows of {JAX} are converted: make it anew there")
    return sourced("tfp", flow, context)


def sourced(library: str, flow: Any, context: int) -> Source:
    """What a flow of either library is."""
    dtypes: set[str] = set()

    def of(c: Any) -> Any:
        if hasattr(flow, "log_prob") or not callable(flow):
            return widened(flow, dtypes)
        return widened(flow(c), set())  # made now, in float64: the weights of its networks tell

    with double():
        value = of(np.zeros(context))
        event, batch = tuple(value.event_shape), tuple(value.batch_shape)
        if len(event) != 1 or batch:
            shapes = f"the event shape {event} and the batch shape {batch}"
            raise ConversionError("", value, f"it has {shapes}: a flow of vectors is converted")
        part = Part("", of, value, int(event[0]), context, dtypes)
        try:
            value.log_prob(np.zeros((1, part.dim)))
        except (TypeError, ValueError):
            part = replace(part, lead=())
        rest, steps = part, []
        while hasattr(rest.value, "bijector") and hasattr(rest.value, "distribution") and not _kind(rest.value):
            steps += reverse(inner(rest))
            rest = rest.child("distribution", lambda value: value.distribution)
        base = _base(rest)

    def density(part: Part) -> Callable[[Real, Real | None], Real]:
        run = one(lambda value, x: value.log_prob(x).sum(), part)
        return lambda x, given: real(run(x, given))

    maps = both_ways(steps)
    made = Source(library, named(value), part.dim, steps, base, density(part), density(rest), *maps)
    made.in_float32 = in_float32(made.log_prob)
    made.dtype, made.context = "float64" if "float64" in dtypes else "float32", context
    if base.kind == "uniform":
        made.box = float(str(base.attributes["low"])), float(str(base.attributes["high"]))
    return made
