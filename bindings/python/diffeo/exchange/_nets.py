"""Networks of docs/weight-file.md as modules of PyTorch, which can be trained on: masks stay masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from ._formulas import scale_and_shift
from ._layers import Transformer
from ._network import Dense, Integer, Mask, Network
from ._torch import tensor

Masked = Callable[[Mask], Any]

ACTIVATIONS: dict[str, Callable[[], Any]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": lambda: nn.Softplus(threshold=40.0),
    "sigmoid": nn.Sigmoid,
    "gelu": lambda: nn.GELU(approximate="tanh"),
    "gelu_erf": nn.GELU,
    "mish": nn.Mish,
    "hard_silu": nn.Hardswish,
}


def _pair(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Of tensors, or of one and a number."""

    def run(a: Any, b: Any) -> Any:
        return function(a, b if isinstance(b, torch.Tensor) else a.new_tensor(b))

    return run


def _repeated(count: int, step: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
    with torch.no_grad():
        for _ in range(count):
            state = step(*state)
    return state


# What formulas are computed with
MATHS = SimpleNamespace(
    exp=torch.exp, log=torch.log, log1p=torch.log1p, expm1=torch.expm1, sqrt=torch.sqrt, tanh=torch.tanh,
    sigmoid=torch.sigmoid, softplus=lambda a: torch.logaddexp(a, torch.zeros_like(a)), atan=torch.atan,
    floor=torch.floor, minimum=_pair(torch.minimum), maximum=_pair(torch.maximum), where=torch.where,
    normal_tail=lambda u: 0.5 * torch.special.erfcx(u * 0.5**0.5),
    indicator=lambda condition, like: condition.to(like.dtype),
    const=lambda values, like: torch.as_tensor(values, dtype=like.dtype, device=like.device),
    nan=lambda like: torch.full_like(like, torch.nan), eps=lambda like: torch.finfo(like.dtype).eps,
    wide=lambda x: x.unsqueeze(-1), between=lambda x: x.unsqueeze(-2),
    part=lambda x, start, stop: x[..., start:stop], pick=lambda x, index: x[..., index],
    sum=lambda x: x.sum(-1), most=lambda x: x.amax(-1), softmax=lambda x: torch.softmax(x, -1),
    times=lambda x, matrix: x @ x.new_tensor(matrix),
    repeat=_repeated, still=torch.Tensor.detach, carried=lambda a, by: a.detach() + (by - by.detach()),
)  # fmt: skip


def linear(dense: Dense, masked: Masked) -> Any:
    """A linear layer: `masked` makes one that has a mask, in the library's own way."""
    outputs, inputs = dense.weight.shape
    made = nn.utils.skip_init(nn.Linear, inputs, outputs) if dense.sees.all() else masked(dense.sees)
    with torch.no_grad():
        made.weight.copy_(tensor(dense.weight))
        made.bias.copy_(tensor(dense.bias))
    return made


class Scaled(nn.Module):  # type: ignore[misc]
    """scale x + shift."""

    def __init__(self, scale: Any, shift: Any) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(tensor(scale)), nn.Parameter(tensor(shift))

    def forward(self, x: Any) -> Any:
        """The sum."""
        return self.scale * x + self.shift


class Block(nn.Module):  # type: ignore[misc]
    """A residual block, and what the context does to it."""

    def __init__(self, before: Any, inner: Any, act: Any, outer: Any, context: Any = None, gate: Any = None) -> None:
        super().__init__()
        self.before, self.inner, self.act, self.outer = before, inner, act, outer
        self.context, self.gate = context, gate

    def forward(self, h: Any, context: Any) -> Any:
        """The next units."""
        y = self.inner(self.before(h))
        if self.context is not None:
            y = y + self.context(context)
        y = self.outer(self.act(y))
        return h + (y if self.gate is None else y * torch.sigmoid(self.gate(context)))


class Net(nn.Module):  # type: ignore[misc]
    """A network that reads columns and then the context, in one tensor or in two."""

    hidden_features = 1  # nflows divides outputs for splines by its root, if there is one

    def __init__(self, first: Any, rest: Sequence[Any], inputs: int, added: Any = None) -> None:
        super().__init__()
        self.inputs, self.first, self.added, self.rest = inputs, first, added, nn.ModuleList(rest)

    def forward(self, x: Any, context: Any = None) -> Any:
        """Its outputs."""
        y = x if context is None else torch.cat((x, context), dim=-1)
        c = y[..., self.inputs :]
        h = self.first(y) if self.added is None else self.first(y[..., : self.inputs]) + self.added(c)
        for part in self.rest:
            h = part(h, c) if isinstance(part, Block) else part(h)
        return h


def stages(network: Network, masked: Masked) -> list[Any]:
    """The first layer, and what follows it."""

    def act() -> Any:
        return ACTIVATIONS[network.activation]()

    first, *others = (linear(dense, masked) for dense in network.dense)
    if network.kind == "plain":
        return [first, *(part for dense in others for part in (act(), dense))]
    found = [first]
    for block in network.blocks:
        if block.link is not None:
            found.append(linear(block.link, masked))
        before = [act()] if network.kind == "preactivation" else []
        if block.scale is not None and block.shift is not None:
            before.insert(0, Scaled(block.scale, block.shift))
        context = gate = None
        if block.context is not None:
            context = nn.Linear(block.context.shape[1], len(block.context), bias=False)
            context.weight.data.copy_(tensor(block.context))
        if block.gate is not None:
            gate = linear(block.gate, masked)
        inner, outer = linear(block.inner, masked), linear(block.outer, masked)
        found.append(Block(nn.Sequential(*before), inner, act(), outer, context, gate))
    return [*found, *others]


def net(network: Network, masked: Masked) -> Any:
    """A network as a module."""
    added = None
    if network.context_layer is not None:
        added = nn.Sequential(linear(network.context_layer, masked), ACTIVATIONS[network.activation]())
    first, *rest = stages(network, masked)
    return Net(first, rest, network.inputs, added)


class Outputs(nn.Module):  # type: ignore[misc]
    """Outputs of one or two networks in another order, and what a library is to make of them."""

    hidden_features = 1

    def __init__(self, nets: Sequence[Any], index: Integer, last: Any = None) -> None:
        super().__init__()
        self.nets, self.last = nn.ModuleList(nets), last
        self.register_buffer("index", torch.from_numpy(np.array(index, np.int64)))

    def forward(self, x: Any, context: Any = None) -> Any:
        """The outputs."""
        y = torch.cat([net(x, context) for net in self.nets], dim=-1)[..., self.index]
        return y if self.last is None else self.last(y)


class SoftplusScale(nn.Module):  # type: ignore[misc]
    """Outputs b, t with softplus(b) = s and the shift t of a transformer, of its outputs a, t.

    `columns`: which of the pairs each column of the flow has, the number of pairs standing for the identity.
    """

    def __init__(self, transformer: Transformer, columns: Integer) -> None:
        super().__init__()
        self.transformer = transformer
        self.register_buffer("columns", torch.from_numpy(np.array(columns, np.int64)))

    def forward(self, y: Any) -> Any:
        """All pairs, one after another."""
        if self.transformer.parameters == 1:
            s, t = torch.ones_like(y), y
        else:
            a, t = y.unflatten(-1, (-1, 2)).unbind(-1)
            s, t = scale_and_shift(MATHS, self.transformer, a, t)
        s, t = nn.functional.pad(s, (0, 1), value=1.0), nn.functional.pad(t, (0, 1))
        b = s + torch.log(-torch.expm1(-s))
        return torch.stack((b, t), dim=-1)[..., self.columns, :].flatten(-2)
