"""harmonic 1.3: Polanska et al. 2023. A model is a module of flax, its weights, a z-score by columns and a temperature.

The module with its weights makes a flow of distrax or TFP, whose networks are read from a trace.
"""

from __future__ import annotations

from typing import Any

from ._check import Source, preceded, standardized
from ._error import ConversionError
from ._network import real
from .flowjax import double, in_double
from .tfp import sourced

MODULES = ("harmonic",)


def _distribution(model: Any, weights: Any) -> Any:
    """At its temperature."""
    made = model.flow.bind({"params": weights}).make_flow(float(model.temperature))
    if hasattr(made, "bijector"):
        return made
    from distrax import Transformed

    base, bijector = made
    return Transformed(base.distribution, bijector)


def source(model: Any) -> Source:
    """What a fitted RQSplineModel or RealNVPModel is, at its temperature."""
    if model.state is None:
        raise ConversionError("", model, "it is not fitted: it has no weights")
    with double():
        weights, dtype = in_double(model.state.params)
        inner = sourced("harmonic", _distribution(model, weights), 0)
    inner.dtype, inner.name = dtype, type(model).__qualname__
    if not model.standardize:
        return inner
    score = standardized("pre_offset", real(model.pre_offset), real(model.pre_amp))
    return preceded(inner, score, inner.library, inner.name)
