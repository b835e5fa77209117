"""Convolutional networks as a converter describes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ._file import Scalar
from ._network import Integer, Network, Real, real


@dataclass(frozen=True)
class Convolution:
    """Weights [outputs, kernel, kernel, inputs] and a bias [outputs]; zeros around the map."""

    weight: Real
    bias: Real

    @property
    def kernel(self) -> int:
        """Side of the square of places that it sees."""
        return int(self.weight.shape[1])

    def rows(self, index: npt.ArrayLike, factor: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0) -> Convolution:
        """Outputs factor * y[index] + offset; index -1 stands for 0."""
        i = np.asarray(index, np.int64)
        here = np.broadcast_to(real(factor), i.shape) * (i >= 0)
        return Convolution(self.weight[i] * here[:, None, None, None], self.bias[i] * here + real(offset))

    def then(self, scale: Real, shift: Real) -> Convolution:
        """Outputs scale * y + shift."""
        return self.rows(np.arange(len(self.bias)), scale, shift)

    def columns(self, index: npt.ArrayLike) -> Convolution:
        """For inputs y of which x[k] = y[index[k]] are ours; index -1 stands for an input that is not looked at."""
        i = np.asarray(index, np.int64)
        return Convolution(np.where(i >= 0, self.weight[..., i], 0.0), self.bias)

    def widened(self, kernel: int) -> Convolution:
        """The same with more places, which count for nothing."""
        edge = (kernel - self.kernel) // 2
        return Convolution(np.pad(self.weight, ((0, 0), (edge, edge), (edge, edge), (0, 0))), self.bias)

    def beside(self, other: Convolution, shared: bool) -> Convolution:
        """Outputs of both, of the same inputs or each of its own."""
        kernel = max(self.kernel, other.kernel)
        a, b = self.widened(kernel).weight, other.widened(kernel).weight
        if not shared:
            a = np.pad(a, ((0, 0), (0, 0), (0, 0), (0, other.weight.shape[3])))
            b = np.pad(b, ((0, 0), (0, 0), (0, 0), (self.weight.shape[3], 0)))
        return Convolution(np.concatenate([a, b]), np.concatenate([self.bias, other.bias]))


@dataclass(frozen=True)
class Convolutions:
    """The network of a convolutional coupling: first, hidden ones or two of each residual block, last."""

    chain: tuple[Convolution, ...]
    activation: str = "relu"
    kind: str = "plain"  # preactivation: see docs/weight-file.md
    log_gain: Real | None = None  # outputs are multiplied by exp(3 log_gain)
    ones_outside: bool = False

    @property
    def outputs(self) -> int:
        """Channels that it gives."""
        return len(self.chain[-1].bias)

    @property
    def inputs(self) -> int:
        """Channels that it reads."""
        return int(self.chain[0].weight.shape[3])

    @property
    def widths(self) -> list[int]:
        """Channels of the hidden maps, or of each block."""
        hidden = self.chain[:-1] if self.kind == "plain" else self.chain[2:-1:2]
        return [len(each.bias) for each in hidden]

    def select(self, index: npt.ArrayLike, factor: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0) -> Convolutions:
        """Outputs factor * y[index] + offset, which the gain leaves as they are; index -1 stands for 0."""
        i = np.asarray(index, np.int64)
        gain = None if self.log_gain is None else np.where(i >= 0, self.log_gain[i], 0.0)
        inside = real(offset) if gain is None else real(offset) * np.exp(-3 * gain)
        return replace(self, chain=(*self.chain[:-1], self.chain[-1].rows(i, factor, inside)), log_gain=gain)

    def beside(self, other: Convolutions) -> Convolutions | None:
        """One network with the outputs of both, if they are of one form."""
        if (self.kind, other.kind) != ("plain", "plain") or len(self.chain) != len(other.chain):
            return None
        if self.activation != other.activation and len(self.chain) > 1:
            return None
        pairs = zip(self.chain, other.chain, strict=True)
        return Convolutions(tuple(a.beside(b, shared=i == 0) for i, (a, b) in enumerate(pairs)), self.activation)

    def attributes(self) -> dict[str, Scalar]:
        """Attributes of a weight file; those that may be left out are."""
        found: dict[str, Scalar] = {"activation": self.activation}
        if self.kind != "plain":
            found["blocks"] = self.kind
        if self.log_gain is not None:
            found["gain"] = 1
        if self.ones_outside:
            found["ones_outside"] = 1
        return found

    def lists(self) -> dict[str, Integer]:
        """Lists of a weight file."""
        kernels = self._kernels()
        return {"hidden": np.array(self.widths, np.int64), "kernels": np.array(kernels, np.int64)}

    def _kernels(self) -> list[int]:
        """Of the first one, of those between, and of the last."""
        middle = max((each.kernel for each in self.chain[1:-1]), default=1)
        return [self.chain[0].kernel, middle, self.chain[-1].kernel]

    def parameters(self, context: int) -> dict[str, Real]:
        """Datasets of a weight file, in a flow with so many columns of context, which it ignores."""
        first, middle, last = self._kernels()
        kernels = [first, *[middle] * (len(self.chain) - 2), last][-len(self.chain) :]
        blocks = [f"{i}/{part}" for i in range(len(self.widths)) for part in ("inner", "outer")]
        names = range(len(self.chain)) if self.kind == "plain" else ["0", *blocks, f"{len(self.widths)}"]
        arrays: dict[str, Real] = {}
        for name, convolution, kernel in zip(names, self.chain, kernels, strict=True):
            arrays[f"network/{name}/weight"] = convolution.widened(kernel).weight
            arrays[f"network/{name}/bias"] = convolution.bias
        if context:
            arrays["network/context/weight"] = np.zeros((len(self.chain[0].bias), context))
        if self.log_gain is not None:
            arrays["network/log_gain"] = self.log_gain
        return arrays


AnyNetwork = TypeVar("AnyNetwork", Network, Convolutions)
