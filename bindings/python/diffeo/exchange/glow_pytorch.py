"""State dicts in the layout of rosinality/glow-pytorch: Glow, Kingma and Dhariwal 2018, from data to noise.

Its code is a program and no library: there are names and shapes to go by, and what they mean is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _layers
from ._check import same_density
from ._checkpoint import unprefixed
from ._convolutions import Convolution, Convolutions
from ._error import ConversionError
from ._images import FeatureMap, convolution, convolved, coupling, matrix, squeeze
from ._layers import Layer
from ._network import Real
from ._torch import array, double, in_double, tensor

PRIOR = _layers.affine("exp")
SIGMOID = _layers.affine("reciprocal_sigmoid")


class _State:
    """Tensors by their names."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.tensors = unprefixed(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __getitem__(self, name: str) -> Real:
        if name not in self.tensors:
            raise ConversionError(name, "state dict", "there is no such tensor")
        return array(self.tensors[name])

    def count(self, prefix: str) -> int:
        """How many parts there are, by their numbers."""
        numbers = {name[len(prefix) :].partition(".")[0] for name in self.tensors if name.startswith(prefix)}
        return len(numbers)

    def convolution(self, path: str) -> Convolution:
        """A convolution."""
        return convolution(self[f"{path}.weight"], self[f"{path}.bias"])

    def zero_convolution(self, path: str, *before: Convolution) -> Convolutions:
        """A network that ends with exp(3 scale) times a convolution of a map with ones around it."""
        chain = (*before, self.convolution(f"{path}.conv"))
        return Convolutions(chain, "relu", log_gain=self[f"{path}.scale"].ravel(), ones_outside=True)


def _act_norm(state: _State, path: str) -> Layer:
    """Scale (x + loc)."""
    if f"{path}.initialized" in state and not state[f"{path}.initialized"].all():
        raise ConversionError(path, "ActNorm", "it has not seen data yet, from which it would take its scale")
    scale, loc = state[f"{path}.scale"].ravel(), state[f"{path}.loc"].ravel()
    if (scale > 0).all():
        return _layers.elementwise_affine(np.log(scale), scale * loc)
    none = np.zeros((len(scale), len(scale)))
    return _layers.lu(none, none, scale, scale * loc)


def _mixing(state: _State, path: str) -> Layer:
    """An invertible 1x1 convolution."""
    if f"{path}.weight" in state:
        return matrix(state[f"{path}.weight"][:, :, 0, 0])
    diagonal = state[f"{path}.s_sign"] * np.exp(state[f"{path}.w_s"])
    rows = np.argmax(state[f"{path}.w_p"], axis=1)
    return _layers.lu(state[f"{path}.w_l"], state[f"{path}.w_u"], diagonal, 0.0, rows)


def _interleaved(moved: int) -> Any:
    """Rows a, t for each channel from all a and then all t."""
    return np.arange(2 * moved).reshape(2, moved).T.ravel()


def _coupling(state: _State, path: str, channels: int) -> Layer:
    """The first half passes. (x + t) sigmoid(a + 2), which is the inverse of x / sigmoid(a + 2) - t."""
    hidden = (state.convolution(f"{path}.net.{i}") for i in (0, 2))
    network = state.zero_convolution(f"{path}.net.4", *hidden)
    mask, moved = np.arange(channels) < channels // 2, channels // 2
    if network.outputs == moved:
        return coupling(mask, _layers.affine("additive"), network)
    network = network.select(_interleaved(moved), np.tile([1.0, -1.0], moved), np.tile([2.0, 0.0], moved))
    return coupling(mask, SIGMOID, network).inverted()


def _prior(state: _State, path: str, channels: int) -> Layer:
    """N(mean, exp(a)) of the last half, given the first, to N(0, 1)."""
    moved = channels // 2
    index = _interleaved(moved).reshape(moved, 2)[:, ::-1].ravel()  # its means are first
    network = state.zero_convolution(path).select(index)
    return coupling(np.arange(channels) < moved, PRIOR, network).inverted()


def _top(state: _State, path: str, at: FeatureMap) -> Layer:
    """Mean and deviation of what is left: what the last prior makes of zeros."""
    network = state.zero_convolution(path)
    assert network.log_gain is not None
    found = convolved(network.chain[0], np.zeros((1, *at.shape)), outside=1.0)[0]
    mean, log_scale = np.split(found * np.exp(3 * network.log_gain)[:, None, None], 2)
    left = np.zeros((2, at.dim))
    left[:, at.columns] = mean.ravel(), log_scale.ravel()
    return Layer("normal", parameters={"mean": left[0], "log_scale": left[1]})


def layers(state: _State, at: FeatureMap) -> tuple[list[Layer], Layer]:
    """All layers, and the base."""
    found: list[Layer] = []
    count = state.count("blocks.")
    for i in range(count):
        block = f"blocks.{i}"
        if at.shape[1] % 2 or at.shape[2] % 2:
            reason = f"{count} blocks need a height and a width that 2^{count} divides"
            raise ConversionError(block, "state dict", f"a map of {at.shape} before a squeeze: {reason}")
        found.append(at.layer(squeeze("channels")))
        at = at.shaped(4 * at.shape[0], at.shape[1] // 2, at.shape[2] // 2)
        for j in range(state.count(f"{block}.flows.")):
            path = f"{block}.flows.{j}"
            parts = _act_norm(state, f"{path}.actnorm"), _mixing(state, f"{path}.invconv")
            found += [at.layer(each) for each in (*parts, _coupling(state, f"{path}.coupling", at.shape[0]))]
        if i < count - 1:
            found.append(at.layer(_prior(state, f"{block}.prior", at.shape[0])))
            at = at.half(first=True, larger=False)
    return found, _top(state, f"blocks.{count - 1}.prior", at)


def convert(model: Any, height: int, width: int, quantization: int, dtype: str | None) -> Any:
    """The flow of a state dict, or of a module, which is asked for densities as well."""
    module = model if hasattr(model, "state_dict") else None
    if module is not None:
        module, before = in_double(module)
        own = module.state_dict()
    else:
        own = model
        before = next((str(each.dtype)[6:] for each in model.values() if each.dtype.is_floating_point), "float32")
    state = _State(own)
    if not state.count("blocks."):
        reason = "there are no such tensors: its names are not those of glow-pytorch"
        raise ConversionError("blocks.0", "state dict", reason)
    channels = state["blocks.0.flows.0.actnorm.loc"].size // 4
    shape, chosen = (channels, height, width), dtype or before
    found, base = layers(state, FeatureMap(channels * height * width, shape))
    dim = channels * height * width

    def flow(dtype: str, *first: Layer, **more: Any) -> Any:
        return _layers.flow([*first, *found], base, dim, dtype=dtype, **more)

    if module is not None:
        x = np.random.default_rng(0).uniform(-0.5, 0.5, (16, dim))

        def log_prob(x: Real, context: Real | None) -> Real:
            with double():
                log_p, log_det, _ = module(tensor(x.reshape(-1, *shape)))
                return array(log_p) + array(log_det)

        wide = flow("float64")
        same_density("glow-pytorch", type(module).__qualname__, log_prob, wide, wide, (x, None))
    counts = []
    if quantization:
        half = {"mean": np.full(dim, 0.5), "std": np.ones(dim), "initialized": np.ones(1)}
        counts = [Layer("dequantize", {"levels": quantization}), Layer("standardize", parameters=half)]
    return flow(chosen, *counts, shape=shape, metadata={"converted_from": "glow-pytorch: Glow"})
