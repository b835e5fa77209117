"""Networks as a converter describes them: matrices with masks, residual blocks, what the context does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._file import Scalar

# Arrays of float64, int64 and bool
Real: TypeAlias = npt.NDArray[Any]
Integer: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[Any]


def real(values: npt.ArrayLike) -> Real:
    """A copy in float64."""
    return np.array(values, np.float64)


def inverse_softplus(values: npt.ArrayLike) -> Real:
    """The a with log(1 + exp(a)) = value."""
    v = real(values)
    return v + np.log(-np.expm1(-v))


@dataclass(frozen=True)
class Dense:
    """A matrix [out, in] and a bias [out]; `sees`: which weights a mask lets through, the others being 0."""

    weight: Real
    bias: Real
    sees: Mask

    @staticmethod
    def of(weight: npt.ArrayLike, bias: npt.ArrayLike | None = None, mask: npt.ArrayLike | None = None) -> Dense:
        """A copy; without a bias it is 0."""
        w = real(weight)
        sees = np.ones(w.shape, bool) if mask is None else np.array(mask) != 0
        return Dense(np.where(sees, w, 0.0), np.zeros(len(w)) if bias is None else real(bias).reshape(len(w)), sees)

    def __call__(self, x: Real) -> Real:
        """What it makes of rows."""
        y: Real = x @ self.weight.T + self.bias
        return y

    def rows(self, index: npt.ArrayLike, factor: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0) -> Dense:
        """Outputs factor * y[index] + offset; index -1 stands for 0."""
        i = np.asarray(index, np.int64)
        here, more = np.broadcast_to(real(factor), i.shape) * (i >= 0), real(offset)
        if not len(self.bias):
            i = np.zeros(0, np.int64)
        weight, bias = self.weight[i] * here[:, None], self.bias[i] * here + more
        return Dense(weight, bias, self.sees[i] & (i >= 0)[:, None])

    def columns(self, index: npt.ArrayLike) -> Dense:
        """For inputs y of which x[k] = y[index[k]] are ours; index -1 stands for an input that is not looked at."""
        i = np.asarray(index, np.int64)
        weight, sees = np.zeros((len(self.bias), len(i))), np.zeros((len(self.bias), len(i)), bool)
        weight[:, i >= 0], sees[:, i >= 0] = self.weight[:, i[i >= 0]], self.sees[:, i[i >= 0]]
        return Dense(weight, self.bias, sees)

    def after(self, scale: npt.ArrayLike, shift: npt.ArrayLike) -> Dense:
        """The same of scale * x + shift in place of x."""
        return Dense(self.weight * real(scale), self.bias + self.weight @ real(shift), self.sees)

    def then(self, scale: npt.ArrayLike, shift: npt.ArrayLike) -> Dense:
        """Outputs scale * y + shift."""
        return Dense(self.weight * real(scale)[:, None], self.bias * real(scale) + real(shift), self.sees)

    def beside(self, other: Dense) -> Dense:
        """The sum of this and of another one, whose inputs come after these."""
        weight, sees = (np.concatenate(pair, axis=1) for pair in ((self.weight, other.weight), (self.sees, other.sees)))
        return Dense(weight, self.bias + other.bias, sees)

    def without_bias(self) -> Dense:
        """The matrix alone."""
        return replace(self, bias=np.zeros(len(self.bias)))


def leaky(dense: Sequence[Dense], slopes: Sequence[float]) -> tuple[Dense, ...]:
    """Layers for ReLU that compute what these do with leaky ones of any slopes: a unit is two, relu(a) - s relu(-a)."""
    made = list(dense)
    for i, slope in enumerate(slopes):
        here, then = made[i], made[i + 1]
        weight, bias = (np.concatenate([each, -each]) for each in (here.weight, here.bias))
        made[i] = Dense(weight, bias, np.concatenate([here.sees, here.sees]))
        weight = np.concatenate([then.weight, -slope * then.weight], axis=1)
        made[i + 1] = Dense(weight, then.bias, np.concatenate([then.sees, then.sees], axis=1))
    return tuple(made)


def scaled(dense: Sequence[Dense], outer: float, inner: float) -> tuple[Dense, ...]:
    """Layers for an activation g that compute what these do with outer g(inner a)."""
    count, made = len(dense) - 1, []
    for i, each in enumerate(dense):
        before, behind = outer if i else 1.0, inner if i < count else 1.0
        made.append(Dense(behind * before * each.weight, behind * each.bias, each.sees))
    return tuple(made)


# Scale and shift of each unit
Norm: TypeAlias = tuple[Real, Real]


@dataclass(frozen=True)
class Block:
    """A residual block: x + outer(act(inner(act(scale x + shift) or x))), and what the context does to it."""

    inner: Dense
    outer: Dense
    link: Dense | None = None  # before it, where the block before has another width
    gate: Dense | None = None  # times sigmoid(gate(c))
    context: Real | None = None  # [width, context] added to the inner sum
    scale: Real | None = None
    shift: Real | None = None
    inner_norm: Norm | None = None  # of layer normalisation, before the second activation


@dataclass(frozen=True)
class Network:
    """The network of a coupling or autoregressive layer, or of the context: first, hidden layers or blocks, last.

    `context` counts the columns of the context it reads, after its other inputs: all of them, or none.
    """

    dense: tuple[Dense, ...]  # with blocks: first and last
    activation: str = "relu"
    context: int = 0
    kind: str = "plain"  # residual, preactivation: see docs/weight-file.md
    blocks: tuple[Block, ...] = ()
    context_mode: str = "input"
    context_layer: Dense | None = None  # mode shift: act(C c + b), added to the first sum
    dropout: float = 0.0  # a training that goes on leaves out hidden units with this probability
    layer_norm: float = 0.0  # layer normalisation before each activation, this added to the variance; 0: none
    norms: tuple[Norm, ...] = ()  # of the hidden layers of a plain network with it
    direct: Dense | None = None  # from all inputs to the outputs, without a bias: in autoregressive layers

    @property
    def inputs(self) -> int:
        """What it reads, without the context."""
        if self.context_mode == "shift":
            return int(self.dense[0].weight.shape[1])
        return int(self.dense[0].weight.shape[1]) - self.context

    @property
    def outputs(self) -> int:
        """How many numbers it gives."""
        return len(self.dense[-1].bias)

    @property
    def widths(self) -> list[int]:
        """Of the hidden layers, or of each block."""
        if self.kind == "plain":
            return [len(d.bias) for d in self.dense[:-1]]
        return [len(b.outer.bias) for b in self.blocks]

    def with_last(self, change: Callable[[Dense], Dense]) -> Network:
        """The same with another last layer, which takes the same rows of what is direct."""
        direct = None if self.direct is None else change(self.direct).without_bias()
        return replace(self, dense=(*self.dense[:-1], change(self.dense[-1])), direct=direct)

    def with_first(self, change: Callable[[Dense], Dense]) -> Network:
        """The same with another first layer, which reads the same columns as what is direct."""
        made = replace(self, dense=(change(self.dense[0]), *self.dense[1:]))
        if self.direct is None:
            return made
        direct = change(self.direct)
        last = made.dense[-1].then(np.ones(len(direct.bias)), direct.bias)
        return replace(made, dense=(*made.dense[:-1], last), direct=direct.without_bias())

    def select(self, index: npt.ArrayLike, factor: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0) -> Network:
        """Outputs factor * y[index] + offset; index -1 stands for 0."""
        return self.with_last(lambda last: last.rows(index, factor, offset))

    def reading(self, index: npt.ArrayLike) -> Network:
        """With other inputs before the context: ours is y[index], or not looked at for -1."""
        i = np.asarray(index, np.int64)
        tail = np.arange(self.inputs, self.dense[0].weight.shape[1])
        return self.with_first(lambda first: first.columns(np.concatenate([i, tail])))

    def given(self, context: int) -> Network:
        """The same in a flow with so many columns of context, which it may ignore."""
        if self.context == context or self.context_mode == "shift":
            return self
        width = self.dense[0].weight.shape[1]
        index = np.concatenate([np.arange(width), np.full(context, -1)])
        return replace(self.with_first(lambda first: first.columns(index)), context=context)

    def embedding(self, matrix: Real, shift: Real) -> Network:
        """The same of the context matrix c + shift, in terms of c."""
        if not self.context:
            return self

        def fed(dense: Dense, start: int = 0) -> Dense:
            tail, free = dense.weight[:, start:], np.ones((len(dense.bias), matrix.shape[1]), bool)
            weight = np.concatenate([dense.weight[:, :start], tail @ matrix], axis=1)
            return Dense(weight, dense.bias + tail @ shift, np.concatenate([dense.sees[:, :start], free], axis=1))

        blocks = list(self.blocks)
        for i, block in enumerate(blocks):
            if block.gate is not None:
                block = replace(block, gate=fed(block.gate))
            if block.context is not None:
                inner = replace(block.inner, bias=block.inner.bias + block.context @ shift)
                block = replace(block, inner=inner, context=block.context @ matrix)
            blocks[i] = block
        found = replace(self, blocks=tuple(blocks), context=matrix.shape[1])
        if self.context_layer is not None:
            return replace(found, context_layer=fed(self.context_layer))
        return found.with_first(lambda first: fed(first, self.inputs))

    def parameters(self, prefix: str = "network") -> dict[str, Real]:
        """Datasets of a weight file."""
        arrays: dict[str, Real] = {}

        def put(name: str, dense: Dense) -> None:
            arrays[f"{prefix}/{name}/weight"], arrays[f"{prefix}/{name}/bias"] = dense.weight, dense.bias

        if self.kind == "plain":
            for i, dense in enumerate(self.dense):
                put(f"{i}", dense)
            for i, norm in enumerate(self.norms):
                arrays[f"{prefix}/{i}/scale"], arrays[f"{prefix}/{i}/shift"] = norm
        else:
            for i, block in enumerate(self.blocks):
                link = self.dense[0] if i == 0 else block.link
                if link is not None:
                    put(f"{i}", link)
                put(f"{i}/inner", block.inner)
                put(f"{i}/outer", block.outer)
                if block.gate is not None:
                    put(f"{i}/gate", block.gate)
                if block.context is not None:
                    arrays[f"{prefix}/{i}/context/weight"] = block.context
                if block.scale is not None and block.shift is not None:
                    arrays[f"{prefix}/{i}/scale"], arrays[f"{prefix}/{i}/shift"] = block.scale, block.shift
                if block.inner_norm is not None:
                    arrays[f"{prefix}/{i}/inner/scale"], arrays[f"{prefix}/{i}/inner/shift"] = block.inner_norm
            put(f"{len(self.blocks)}", self.dense[-1])
        if self.context_layer is not None:
            put("context", self.context_layer)
        if self.direct is not None:
            arrays[f"{prefix}/direct/weight"] = self.direct.weight
        return arrays

    def attributes(self) -> dict[str, Scalar]:
        """Attributes of a weight file; those that may be left out are."""
        found: dict[str, Scalar] = {"activation": self.activation}
        if self.kind != "plain":
            found["blocks"] = self.kind
            if not self.layer_norm and any(block.scale is not None for block in self.blocks):
                found["normalized"] = 1
        if self.context_mode != "input":
            found["context_mode"] = self.context_mode
        if self.layer_norm:
            found["layer_norm_epsilon"] = self.layer_norm
        if self.dropout:
            found["dropout"] = self.dropout
        if self.direct is not None:
            found["direct"] = 1
        return found


def constant(values: npt.ArrayLike, inputs: int = 0) -> Network:
    """A network without hidden layers that gives the same whatever it reads."""
    bias = real(values).ravel()
    return Network((Dense.of(np.zeros((len(bias), inputs)), bias, np.zeros((len(bias), inputs))),))
