"""What the converters of image flows of PyTorch share: maps that are a part of the columns, convolutional networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _layers
from ._check import Map, Mapped, Step
from ._convolutions import Convolution, Convolutions
from ._error import ConversionError
from ._layers import Layer
from ._network import Integer, Real, real
from ._probe import ACTIVATIONS
from ._torch import activation, array, double, mapped, normalisation, tensor

# ---------------------------------------------------------------------------------------------------------------- maps


@dataclass(frozen=True)
class FeatureMap:
    """Columns from `start` on of `dim`, which are images of channels x height x width; or a vector, of one number."""

    dim: int
    shape: tuple[int, ...]
    start: int = 0

    @property
    def size(self) -> int:
        """Columns."""
        return int(np.prod(self.shape))

    @property
    def places(self) -> int:
        """Of a channel."""
        return int(np.prod(self.shape[1:]))

    @property
    def columns(self) -> Integer:
        """Those of the row."""
        return np.arange(self.start, self.start + self.size)

    def shaped(self, *shape: int) -> FeatureMap:
        """The same columns in another shape."""
        return replace(self, shape=shape)

    def half(self, first: bool, larger: bool) -> FeatureMap:
        """The first half of the channels or the last; of an odd number the larger one or the smaller."""
        channels = (self.shape[0] + larger) // 2
        start = self.start if first else self.start + (self.shape[0] - channels) * self.places
        return FeatureMap(self.dim, (channels, *self.shape[1:]), start)

    def layer(self, layer: Layer) -> Layer:
        """A layer of channels, at each place of this map."""
        start = {"start": self.start} if self.start else {}
        shape = np.array(self.shape, np.int64)
        return replace(layer, attributes={**layer.attributes, **start}, lists={**layer.lists, "shape": shape})

    def columns_of(self, channels: npt.ArrayLike) -> Integer:
        """Columns of some channels."""
        return self.columns.reshape(self.shape[0], -1)[np.asarray(channels, np.int64)].ravel()

    def step(
        self, part: Any, path: str, layers: Iterable[Layer], forward: Any, backward: Any, then: FeatureMap | None = None
    ) -> Step:
        """Layers that run as these functions of tensors do: of this map, and of `then`."""
        return Step(path, part, list(layers), self.run(forward), (then or self).run(backward))

    def run(self, function: Callable[..., Any]) -> Map:
        """A function of tensors, of this map, as one of rows."""
        inner = mapped(lambda x, context: function(x.reshape(len(x), *self.shape), context))

        def run(x: Real, context: Real | None) -> Mapped:
            z = x.copy()
            z[:, self.columns], log_det = inner(x[:, self.columns], context)
            return z, log_det

        return run


# The steps of a part at a map, and the map after it
ImageReader: TypeAlias = Callable[[Any, str, FeatureMap], "tuple[list[Step], FeatureMap]"]


def squeeze(order: str) -> Layer:
    """Squares of 2 x 2 places become four channels, in an order of docs/weight-file.md."""
    return Layer("squeeze", {"order": order})


def coupling(mask: npt.ArrayLike, transformer: _layers.Transformer, network: Convolutions) -> Layer:
    """The channels where the mask is 1 pass, and the network reads them."""
    lists = {"mask": np.asarray(mask, np.int64)}
    return Layer("convolutional_coupling", lists=lists, convolutions=network, transformer=transformer)


def matrix(weight: npt.ArrayLike) -> Layer:
    """Z = W x."""
    w = real(weight)
    return Layer("linear", parameters={"weight": w, "bias": np.zeros(len(w))})


# ------------------------------------------------------------------------------------------------------------ networks


def convolution(weight: Real, bias: Real) -> Convolution:
    """Weights [outputs, inputs, height, width] of PyTorch in a square."""
    w = weight.transpose(0, 2, 3, 1)
    side = max(w.shape[1:3])
    edges = [((side - n) // 2,) * 2 for n in w.shape[1:3]]
    return Convolution(np.pad(w, ((0, 0), *edges, (0, 0))), bias)


def _module(part: Any, path: str) -> Convolution:
    """A Conv2d that leaves maps as large as they are."""
    sides = part.kernel_size
    around = part.padding if isinstance(part.padding, str) else tuple(part.padding)
    same = around == "same" or around == tuple(side // 2 for side in sides)
    plain = part.groups == 1 and part.padding_mode == "zeros" and {*part.stride, *part.dilation} == {1}
    if not same or not plain or any(side % 2 == 0 for side in sides):
        reason = "a convolution with stride, groups or dilation, or with other than zeros around that keep its size"
        raise ConversionError(path, part, reason)
    weight = array(part.weight)
    return convolution(weight, np.zeros(len(weight)) if part.bias is None else array(part.bias))


def residual_convolutions(net: Any, path: str) -> Convolutions:
    """A ConvResidualNet of nflows."""
    if net.context_channels is not None:
        raise ConversionError(path, net, "its context is images, ours a vector")
    chain, names = [_module(net.initial_layer, path)], set()
    for i, block in enumerate(net.blocks):
        where = f"{path}.blocks.{i}"
        if block.use_batch_norm:
            raise ConversionError(where, block, "batch normalisation before the activation of a residual convolution")
        names.add(activation(block.activation, where, block))
        chain += [_module(each, where) for each in block.conv_layers]
    if len(names) != 1:
        raise ConversionError(path, net, "it has no blocks, or blocks of different activations")
    return Convolutions((*chain, _module(net.final_layer, path)), names.pop(), "preactivation")


def plain_convolutions(module: Any, inputs: int, path: str) -> Convolutions:
    """A network of convolutions, whatever its code looks like, as `plain` of vectors finds them.

    A normalisation of channels that follows a convolution at once becomes a part of it.
    """
    chain: list[Convolution] = []
    leaves = [each for each in module.modules() if not list(each.children())]
    for part, norm in pairwise([*leaves, None]):
        if type(part).__name__ != "Conv2d":
            continue
        found = _module(part, path)
        if type(norm).__name__ == "BatchNorm2d":
            found = found.then(*normalisation(norm))
        elif type(norm).__name__ == "ActNorm":  # of normflows' networks
            found = found.then(np.exp(array(norm.s).ravel()), array(norm.t).ravel())
        chain.append(found)
    fits = all(len(a.bias) == b.weight.shape[3] for a, b in pairwise(chain))
    if not chain or not fits or chain[0].weight.shape[3] != inputs:
        raise ConversionError(path, module, f"its network is not a chain of convolutions of {inputs} channels")
    x = np.random.default_rng(0).normal(size=(4, inputs, 5, 6))
    try:
        with double():
            theirs = array(module(tensor(x)))
    except (TypeError, RuntimeError, ValueError) as error:
        raise ConversionError(path, module, f"its network cannot be called: {error}") from error
    for name in ACTIVATIONS:
        ours = run(chain, name, x)
        if ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-8, atol=1e-8):
            return Convolutions(tuple(chain), name)
    known = ", ".join(ACTIVATIONS)
    reason = f"its network is not one of convolutions with one activation between all of them, of {known}"
    raise ConversionError(path, module, reason)


def run(chain: Iterable[Convolution], name: str, x: Real) -> Real:
    """Plain convolutions of maps [rows, channels, height, width]."""
    for i, each in enumerate(chain):
        h = x if i == 0 else ACTIVATIONS[name](x)
        x = convolved(each, h)
    return x


def convolved(each: Convolution, x: Real, outside: float = 0.0) -> Real:
    """One convolution of maps, a number around them."""
    edge = each.kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (each.kernel, each.kernel), axis=(2, 3))
    return real(np.einsum("nchwyx,oyxc->nohw", windows, each.weight) + each.bias[:, None, None])
