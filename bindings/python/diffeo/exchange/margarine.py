"""margarine 2: Bevins et al. 2023. Flax modules from data to noise, behind a probit of the interval of each column.

The first half of the columns moves by networks of the others, as in NICE (Dinh et al. 2014) and RealNVP (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Source, Step, both_ways, standard_normal
from ._layers import Layer
from ._network import Dense, Network, Real, real
from .flowjax import double, in_double, in_float32, sequential, single

MODULES = ("margarine",)


def _network(net: Any, path: str) -> Network:
    """A Sequential of linear layers, with one function between them."""
    dense, between = ([each for each in net.layers if hasattr(each, "kernel") is linear] for linear in (True, False))
    made = [Dense.of(real(each.kernel[...]).T, real(each.bias[...])) for each in dense]
    return sequential(net, made, between, path)


def _nice(flow: Any, mask: Real) -> list[Layer]:
    """Every other layer sees the columns in reverse, the first one too; a scale at the end."""
    turned = _layers.permutation(np.arange(len(mask))[::-1])
    layers = []
    for i, net in enumerate(flow.mlp):
        layers += [turned] if i % 2 == 0 else []
        layers.append(_layers.coupling(mask, _layers.affine("additive"), _network(net, f"mlp[{i}]")))
    layers.append(_layers.elementwise_affine(real(flow.S[...]), 0 * mask))
    return [*layers, turned] if len(flow.mlp) % 2 else layers


def _real_nvp(flow: Any, mask: Real) -> list[Layer]:
    layers = []
    for i, order in enumerate(flow.permutations):
        t, s = (_network(getattr(flow, name)[i], f"{name}[{i}]") for name in ("additive_mlp", "scaling_mlp"))
        layers += [_layers.permutation(np.asarray(order)), _layers.coupling(mask, _layers.affine("exp"), t, s)]
    return layers


FLOWS: dict[str, Callable[[Any, Real], list[Layer]]] = {"NICE": _nice, "RealNVP": _real_nvp}


def _maps(flow: Any) -> tuple[Map, Map]:
    """Its own, of a NICE without the log-determinant, which is a constant."""

    def forward(x: Real, context: Real | None) -> tuple[Real, Real]:
        with double():
            if hasattr(flow, "S"):
                return real(flow.forward(x)), np.full(len(x), real(flow.S[...]).sum())
            z, log_det = flow.forward(x, return_log_det=True)
            return real(z), real(log_det)

    def backward(z: Real, context: Real | None) -> tuple[Real, Real]:
        with double():
            x = real(flow.inverse(z))
        return x, -forward(x, context)[1]

    return forward, backward


def _probit(flow: Any, low: Real, high: Real) -> Step:
    def forward(x: Real, context: Real | None) -> tuple[Real, Real]:
        from margarine.utils.utils import forward_transform

        with double():
            u = real(forward_transform(x, low, high))
        return u, (0.5 * (u**2 + np.log(2 * np.pi)) - np.log(high - low)).sum(axis=1)

    def backward(u: Real, context: Real | None) -> tuple[Real, Real]:
        from margarine.utils.utils import inverse_transform

        with double():
            x = real(inverse_transform(u, low, high))
        return x, -(0.5 * (u**2 + np.log(2 * np.pi)) - np.log(high - low)).sum(axis=1)

    layer = _layers.domain("probit", np.arange(len(low)), low=low, high=high)
    return Step("theta_ranges", "the probit of its intervals", [layer], forward, backward)


def source(flow: Any) -> Source:
    """What a NICE or a RealNVP is."""
    from flax import nnx

    kind = next(each.__name__ for each in type(flow).__mro__ if each.__name__ in FLOWS)
    graph, state = nnx.split(flow)
    with double():
        wide, dtype = in_double(state)
        whole = nnx.merge(graph, wide)
        low, high = real(whole.theta_ranges)
        mask = np.where(np.arange(len(low)) < whole.pass_size, 0, 1)
        steps = [_probit(whole, low, high), Step("", kind, FLOWS[kind](whole, mask), *_maps(whole))]

    def log_prob(x: Real, context: Real | None) -> Real:
        with double():
            return real(nnx.merge(graph, single(wide)).log_prob(x))

    base = Layer("standard_normal")
    made = Source("margarine", kind, len(low), steps, base, log_prob, standard_normal, *both_ways(steps), dtype)
    made.in_float32, made.context = in_float32(log_prob), 0
    return made
