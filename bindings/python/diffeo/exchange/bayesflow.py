"""BayesFlow 2: Radev et al. 2020. A CouplingFlow is layers of Keras from data to noise, on whichever backend.

A dual coupling moves the second half of the columns by the first, and then the first by the second; maps are s x + t
with s = softplus(arsinh(a) + log(e - 1)). Residual blocks are skip(u) + f(W u + b), skip being a matrix where widths
differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np

from . import _layers, _torch, flowjax
from ._check import Map, Mapped, Source, Step, both_ways
from ._error import ConversionError
from ._layers import Layer
from ._network import Block, Dense, Network, Real, leaky, real
from ._probe import ACTIVATIONS
from ._probe import activation as probe_activation
from ._probe import slope as probe_slope

MODULES = ("bayesflow",)

# ------------------------------------------------------------------------------------------------------------ networks


@contextmanager
def _computing(dtype: str) -> Iterator[None]:
    """Keras and its backend in float64 or float32: on JAX and PyTorch functions of Keras make float32 of float64."""
    import keras
    from keras.src.backend.common import dtypes

    backend = {"jax": flowjax.double, "torch": _torch.double}.get(str(keras.config.backend()), nullcontext)
    floatx, narrower = keras.config.floatx(), dtypes.BIT64_TO_BIT32_DTYPE["float64"]
    keras.config.set_floatx(dtype)
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = dtype
    try:
        with backend():
            yield
    finally:
        keras.config.set_floatx(floatx)
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = narrower


def _double() -> AbstractContextManager[None]:
    return _computing("float64")


def _array(values: Any) -> Real:
    import keras

    return real(keras.ops.convert_to_numpy(values))


def _dense(layer: Any) -> Dense:
    bias = getattr(layer, "bias", None)
    return Dense.of(_array(layer.kernel).T, None if bias is None else _array(bias))


def _called(function: Any, values: Real) -> Real:
    import keras

    with _double():
        return _array(function(keras.ops.convert_to_tensor(values)))


def _activation(blocks: Any, path: str, net: Any) -> tuple[str, float | None]:
    """That between all layers by its name, and the slope of a leaky ReLU that has none."""
    functions = [lambda a, block=block: _called(block.activation, a) for block in blocks]
    names = {probe_activation(each) for each in functions}
    slopes = {probe_slope(each) for each in functions}
    if len(names) > 1 or len(slopes) > 1:
        raise ConversionError(path, net, "it has several activations")
    name, slope = names.pop(), slopes.pop()
    if name is None and slope is None:
        raise ConversionError(path, net, f"its activation is none of {', '.join(ACTIVATIONS)}")
    return name or "relu", slope if name is None else None


def _norm(block: Any, path: str) -> tuple[Real, Real] | None:
    """Scale and shift of batch normalisation in evaluation."""
    norm = block.norm_layer
    if norm is None:
        return None
    if not hasattr(norm, "moving_variance"):
        reason = f"{type(norm).__name__} behind an activation: there is none there in networks of Diffeo"
        raise ConversionError(path, norm, reason)
    scale = 1 / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
    scale = scale * _array(norm.gamma) if norm.scale else scale
    return scale, (_array(norm.beta) if norm.center else 0.0) - _array(norm.moving_mean) * scale


def _network(part: Any, inputs: int, path: str) -> Network:
    """An MLP and the matrix behind it, which reads `inputs` columns and then the context."""
    net, last = part.subnet, _dense(part.output_projector)
    blocks = list(getattr(net, "blocks", ()))
    if not blocks or not all(hasattr(block, "dense") and hasattr(block, "residual") for block in blocks):
        raise ConversionError(path, net, "only an MLP is converted")
    name, slope = _activation(blocks, path, net)
    dense, norms = [_dense(block.dense) for block in blocks], [_norm(block, path) for block in blocks]
    context = dense[0].weight.shape[1] - inputs
    if any(block.residual for block in blocks):
        if any(norm is not None for norm in norms) or slope is not None or not all(block.residual for block in blocks):
            reason = "residual blocks with normalisation, of a leaky ReLU, or only some of them"
            raise ConversionError(path, net, reason)
        skips = [None if block.projector is None else _dense(block.projector) for block in blocks]
        return _residual(dense, skips, last, name, context)
    chain = [*dense, last]
    for i, norm in enumerate(norms):
        chain[i + 1] = chain[i + 1] if norm is None else chain[i + 1].after(*norm)
    return Network(tuple(chain) if slope is None else leaky(chain, [slope] * len(dense)), name, context)


def _residual(dense: list[Dense], skips: list[Dense | None], last: Dense, name: str, context: int) -> Network:
    """A block whose skip is a matrix reads what was before that: a hidden layer is h, and then what its block reads."""
    width = dense[0].weight.shape[1]
    first, blocks = Dense.of(np.eye(width)), []
    for i, (inner, skip) in enumerate(zip(dense, skips, strict=True)):
        link = None
        count, reads = inner.weight.shape
        if skip is not None:
            weight = np.zeros((count + reads, width))
            weight[:count, :reads], weight[count:, :reads] = skip.weight, np.eye(reads)
            link = Dense.of(weight, np.concatenate([skip.bias, np.zeros(reads)]))
            if i and len(weight) == width:  # a layer of the same width would be the same units
                link = Dense.of(np.append(weight, np.zeros((1, width)), axis=0), np.append(link.bias, 0.0))
            width = len(link.bias)
        start = 0 if skip is None else count
        within, without = np.zeros((2, width, width))
        within[:count, start : start + reads], without[:count, :count] = inner.weight, np.eye(count)
        bias = np.append(inner.bias, np.zeros(width - count))
        if i == 0:
            first, link = link or first, None
        blocks.append(Block(Dense.of(within, bias), Dense.of(without), link))
    final = np.zeros((len(last.bias), width))
    final[:, : last.weight.shape[1]] = last.weight
    return Network((first, Dense.of(final, last.bias)), name, context, "residual", tuple(blocks))


# -------------------------------------------------------------------------------------------------------------- layers


def _coupling(part: Any, mask: Real, path: str) -> list[Layer]:
    moved = int((mask == 0).sum())
    if not moved:
        return []
    transform = part.transform
    if type(transform).__name__ != "AffineTransform":
        moving = (
            "its splines have ends that move, by arcsinh(softplus(a)), and inner slopes that do not scale with them: "
            "Diffeo has no such map"
        )
        reason = moving if hasattr(transform, "bins") else "Diffeo has no transformer for it"
        raise ConversionError(f"{path}.transform", transform, reason)
    network = _network(part, int(mask.sum()), f"{path}.subnet")
    scale = _layers.affine("softplus_arsinh" if transform.clamp else "softplus")
    index = np.stack([np.arange(moved), np.arange(moved, 2 * moved)], axis=1).ravel()
    return [_layers.coupling(mask, scale, network.select(index))]


def _dual(part: Any, dim: int, path: str) -> list[Layer]:
    first = (np.arange(dim) < part.pivot).astype(np.int64)
    return [
        *_coupling(part.coupling1, first, f"{path}.coupling1"),
        *_coupling(part.coupling2, 1 - first, f"{path}.coupling2"),
    ]


def _actnorm(part: Any, dim: int, path: str) -> list[Layer]:
    scale, shift = _array(part.scale), _array(part.bias)
    return [
        _layers.elementwise_affine(np.log(scale), shift) if (scale > 0).all() else _layers.linear(np.diag(scale), shift)
    ]


Reader: TypeAlias = Callable[[Any, int, str], list[Layer]]
TABLE: dict[str, Reader] = {
    "ActNorm": _actnorm,
    "FixedPermutation": lambda part, dim, path: [_layers.permutation(_array(part.forward_indices).astype(np.int64))],
    "OrthogonalPermutation": lambda part, dim, path: [_layers.linear(_array(part.weight).T)],
    "DualCoupling": _dual,
}


def _base(base: Any) -> Layer:
    if type(base).__name__ != "DiagonalNormal":
        reason = "Diffeo has no such base distribution"
        if type(base).__name__ == "DiagonalStudentT":
            reason = "it is a distribution of whole rows, Diffeo's student_t is one of each column"
        raise ConversionError("base_distribution", base, reason)
    mean, std = _array(base._mean), _array(base._std)
    if not mean.any() and (std == 1).all():
        return Layer("standard_normal")
    return Layer("normal", parameters={"mean": mean, "log_scale": np.log(np.abs(std))})


# ---------------------------------------------------------------------------------------------------------------- flow


def _in_double(flow: Any) -> Any:
    """A copy that computes in float64."""
    import keras

    with _double():
        made = copy.deepcopy(flow)
        for layer in made._flatten_layers():
            layer.dtype_policy = "float64"
        for variable in made.variables:
            if keras.backend.is_float_dtype(variable.dtype):
                variable._dtype, value = "float64", keras.ops.cast(variable.value, "float64")
                variable._value = value
        for name in ("_mean", "_std"):  # no variables where they are not trained, and a constant in float32 follows
            if hasattr(value := getattr(made.base_distribution, name, None), "shape"):
                setattr(made.base_distribution, name, keras.ops.cast(value, "float64"))
        return made


def _given(x: Real, context: Real | None, dtype: str) -> tuple[Any, dict[str, Any]]:
    import keras

    words = {} if context is None else {"conditions": keras.ops.convert_to_tensor(context, dtype=dtype)}
    return keras.ops.convert_to_tensor(x, dtype=dtype), words


def _map(layer: Any, inverse: bool) -> Map:
    def run(x: Real, context: Real | None) -> Mapped:
        with _double():
            rows, words = _given(x, context, "float64")
            y, log_det = layer(rows, inverse=inverse, **words)
            return _array(y), np.array(np.broadcast_to(_array(log_det), len(x)))

    return run


def _score(flow: Any, dtype: str) -> Callable[[Real, Real | None], Real]:
    def run(x: Real, context: Real | None) -> Real:
        with _computing(dtype):
            rows, words = _given(x, context, dtype)
            return _array(flow.log_prob(rows, **words))

    return run


def source(flow: Any) -> Source:
    """What a CouplingFlow is."""
    if not flow.built:
        raise ConversionError("", flow, "it is not built: it has seen no data yet")
    whole = _in_double(flow)
    base, steps = whole.base_distribution, []
    dim = int(base.dim)
    for i, part in enumerate(whole.invertible_layers):
        path = f"invertible_layers[{i}]"
        name = next((kind.__name__ for kind in type(part).__mro__ if kind.__name__ in TABLE), None)
        if name is None:
            raise ConversionError(path, part, "Diffeo has no layer for it")
        steps.append(Step(path, part, TABLE[name](part, dim, path), _map(part, False), _map(part, True)))

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with _double():
            return _array(base.log_prob(_given(z, None, "float64")[0]))

    dtype = "float64" if any(str(each.dtype) == "float64" for each in flow.trainable_variables) else "float32"
    made = Source(
        "bayesflow", type(flow).__qualname__, dim, steps, _base(base), _score(whole, "float64"), base_log_prob,
        *both_ways(steps), dtype,
    )  # fmt: skip
    made.in_float32 = _score(flow, "float32") if dtype == "float32" else None
    return made
