"""From the masks of a network to an order of the columns and degrees of the hidden units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._network import Dense, Integer, Mask, Network


def degrees(dim: int, per_column: int, network: Network) -> tuple[Integer, list[Integer], Network]:
    """An order, degrees, and the network: whatever its masks let through is allowed by them.

    A library may have any masks: stored orders, random degrees, graphs. What counts is which columns a unit depends on.
    The columns are sorted so that each output depends on earlier ones only; a hidden unit has the degree of the latest
    column it sees. Masks that are narrower than that are zeros among the weights. A unit that sees the last column is
    seen by no output: it is cut off.
    """
    levels = _levels(network, dim)
    depends: Mask = network.dense[-1].sees @ levels[-1]
    if network.direct is not None:
        depends = depends | network.direct.sees @ levels[0]
    order = _topological(np.any(depends.reshape(dim, per_column, dim), axis=1))
    rank = np.empty(dim, np.int64)
    rank[order] = np.arange(1, dim + 1)
    hidden = [np.max(seen * rank, axis=1, initial=0) for seen in levels[1:]]
    alive = [each < dim for each in hidden]
    if not all(each.all() for each in alive):
        network = _without(network, alive)
        hidden = [np.where(keep, each, 0) for each, keep in zip(hidden, alive, strict=True)]
    return order, hidden, network


def _levels(network: Network, dim: int) -> list[Mask]:
    """Which columns each input depends on, and each unit of each hidden layer, or block."""
    first = network.dense[0]
    encoding = network.inputs // dim  # periodic columns are two inputs
    own = np.zeros((first.sees.shape[1], dim), bool)
    own[: dim * encoding] = np.repeat(np.eye(dim, dtype=bool), encoding, axis=0)
    if network.kind == "plain":
        levels = [own]
        for dense in network.dense[:-1]:
            levels.append(dense.sees @ levels[-1])
        return levels
    runs, count = [first.sees @ own], [0]
    for block in network.blocks:
        if block.link is not None:
            runs.append(block.link.sees @ runs[-1])
            count.append(0)
        runs[-1] = runs[-1] | block.outer.sees @ (block.inner.sees @ runs[-1])
        count[-1] += 1
    # a unit keeps its place from block to block: one degree for all of them
    return [own, *(level for level, n in zip(runs, count, strict=True) for _ in range(n))]


def _without(network: Network, alive: list[Mask]) -> Network:
    """Some hidden units read nothing: those that nobody sees. In residual blocks they do so wherever they are."""
    first, *others, last = network.dense
    if network.kind == "plain":
        dense = (_cut(d, keep) for d, keep in zip((first, *others), alive, strict=True))
        return replace(network, dense=(*dense, last))
    blocks = (
        replace(b, inner=_cut(b.inner, keep), outer=_cut(b.outer, keep), link=b.link and _cut(b.link, keep))
        for b, keep in zip(network.blocks, alive, strict=True)
    )
    return replace(network, dense=(_cut(first, alive[0]), last), blocks=tuple(blocks))


def _cut(dense: Dense, keep: Mask) -> Dense:
    return Dense(np.where(keep[:, None], dense.weight, 0.0), dense.bias, dense.sees & keep[:, None])


def _topological(depends: Mask) -> Integer:
    """The columns, each after those it depends on, the first possible one first."""
    left, order = list(range(len(depends))), []
    while left:
        free = [i for i in left if not depends[i, left].any()]
        if not free:
            raise ValueError(f"the masks are not autoregressive: the columns {left} depend on one another")
        order.append(free[0])
        left.remove(free[0])
    return np.array(order, np.int64)
