"""pytorch-flows: Kostrikov, and what is copied from it, such as denmarf. Its layers go from data to noise.

Known by the names of the classes, wherever they are: people copy the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from . import _layers
from ._check import Source, Step, standard_normal
from ._error import ConversionError
from ._layers import Layer
from ._network import Dense, Network, Real
from ._torch import (
    Reader,
    activated,
    array,
    double,
    in_double,
    in_float32,
    leaf,
    linear,
    mapped,
    narrowed,
    read,
    tensor,
)
from .nflows import interleaved

MODULES = ("denmarf",)
CLASSES = ("FlowSequential",)


def _leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    def run(mode: str) -> Callable[[Any, Any], Any]:
        def function(x: Any, context: Any) -> Any:
            z, log_det = part(x, context, mode=mode)
            return z, log_det.reshape(-1).expand(len(x))

        return function

    return leaf(part, path, list(layers), run("direct"), run("inverse"))


def _masked(part: Any) -> Dense:
    """A MaskedLinear; what it makes of the context is behind what it makes of the columns."""
    dense = linear(part.linear, part.mask)
    if not hasattr(part, "cond_linear"):
        return dense
    given = linear(part.cond_linear)
    weight, sees = (np.concatenate(both, axis=1) for both in ((dense.weight, given.weight), (dense.sees, given.sees)))
    return Dense(weight, dense.bias, sees)


def _made(part: Any, path: str) -> list[Step]:
    """With outputs of all m and then all a it is (x - m) exp(-a) (Papamakarios et al. 2017)."""
    first = part.joiner
    masked = [first, *(each for each in part.trunk if hasattr(each, "linear"))]
    functions = [each for each in part.trunk if not hasattr(each, "linear")]
    dim = first.linear.in_features
    if len(masked) != len(functions) + 1 or masked[-1].linear.out_features != 2 * dim:
        raise ConversionError(path, part, "its network is not one of masked layers with one activation between them")
    context = first.cond_linear.in_features if hasattr(first, "cond_linear") else 0
    dense, name = activated([_masked(each) for each in masked], functions, f"{path}.trunk", part)
    network = Network(dense, name, context).select(interleaved(dim))
    layer = _layers.autoregressive(dim, _layers.affine("exp"), network)
    return _leaf(part, path, replace(layer, attributes={**layer.attributes, "inverse_map": 1}))


def _batch_norm(part: Any, path: str) -> list[Step]:
    """Its running variances have epsilon in them."""
    log_scale = array(part.log_gamma) - 0.5 * np.log(array(part.running_var))
    shift = array(part.beta) - np.exp(log_scale) * array(part.running_mean)
    return _leaf(part, path, _layers.elementwise_affine(log_scale, shift))


TABLE: dict[str, Reader] = {
    "MADE": _made,
    "BatchNormFlow": _batch_norm,
    "Reverse": lambda part, path: _leaf(part, path, _layers.permutation(np.asarray(part.perm))),
    "Shuffle": lambda part, path: _leaf(part, path, _layers.permutation(np.asarray(part.perm))),
}


def source(flow: Any) -> Source:
    """What a FlowSequential is; its noise is standard normal."""
    original, (flow, dtype) = flow, in_double(flow)
    steps = [step for i, part in enumerate(flow) for step in read(TABLE, part, str(i))]

    def density(module: Any) -> Callable[[Real, Real | None], Real]:
        def log_prob(x: Real, context: Real | None) -> Real:
            with double():
                return array(module.log_probs(tensor(x), tensor(context))).reshape(len(x))

        return log_prob

    def run(mode: str) -> Any:
        return mapped(lambda x, context: _flat(flow(x, context, mode=mode)))

    columns = [_columns(part) for part in flow if _columns(part)]
    if not columns:
        raise ConversionError("", flow, "it has no layer that says how many columns there are")
    maps = run("direct"), run("inverse")
    library = type(flow).__module__.partition(".")[0]
    made = Source(
        library, "FlowSequential", columns[0], steps, Layer("standard_normal"), density(flow), standard_normal, *maps
    )
    made.dtype, made.in_float32 = dtype, in_float32(narrowed(original), density)
    return made


def _flat(both: Any) -> Any:
    return both[0], both[1].reshape(-1)


def _columns(part: Any) -> int:
    """How many a layer has."""
    if hasattr(part, "joiner"):
        return int(part.joiner.linear.in_features)
    return len(getattr(part, "beta", getattr(part, "perm", ())))
