"""FrEIA: Ardizzone and others. A SequenceINN of vectors, from data to noise as it runs without `rev`.

It is no distribution: the noise is taken to be standard normal. Networks are whatever their users gave it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Source, Step
from ._error import ConversionError
from ._layers import Layer
from ._network import Real
from ._probe import Scale
from ._probe import scale as probe_scale
from ._torch import Reader, array, double, in_double, integers, mapped, plain, read, tensor
from .nflows import with_scale
from .normflows import as_wide

MODULES = ("FrEIA",)


def _map(part: Any, rev: bool) -> Map:
    def run(x: Any, context: Any) -> Any:
        (z,), log_det = part((x,), **({"c": [context]} if part.dims_c else {}), rev=rev)
        return z, log_det

    return mapped(run)


def _leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    return [Step(path, part, list(layers), _map(part, False), _map(part, True))]


def _scale(part: Any, path: str) -> Scale:
    import torch

    with double():
        scale = probe_scale(lambda a: array(torch.exp(part.clamp * part.f_clamp(tensor(a)))))
    if scale is None:
        raise ConversionError(path, part, "its clamp_activation is none that Diffeo knows")
    return scale


def _halves(part: Any) -> tuple[Any, Any]:
    """Masks of the first columns and of the others."""
    first = np.arange(part.split_len1 + part.split_len2) < part.split_len1
    return first, ~first


def _blocks(columns: int) -> Any:
    """Rows a, t for each column from all a and then all t."""
    return np.arange(2 * columns).reshape(2, columns).T.ravel()


def _one_net(part: Any, path: str, name: str, kept: Any) -> Layer:
    network = plain(getattr(part, name), int(kept.sum()), f"{path}.{name}")
    scale = _scale(part, path)
    return _layers.coupling(kept, scale.transformer, with_scale(network.select(_blocks(int((~kept).sum()))), scale))


def _glow(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    return _leaf(part, path, _one_net(part, path, "subnet2", second), _one_net(part, path, "subnet1", first))


def _one_sided(part: Any, path: str) -> list[Step]:
    return _leaf(part, path, _one_net(part, path, "subnet", _halves(part)[0]))


def _conditional(part: Any, path: str) -> list[Step]:
    return _leaf(part, path, _one_net(part, path, "subnet", np.zeros(part.channels, bool)))


def _two_nets(part: Any, path: str, number: int, kept: Any) -> Layer:
    nets = [plain(getattr(part, f"subnet_{n}{number}"), int(kept.sum()), f"{path}.subnet_{n}{number}") for n in "st"]
    scale = _scale(part, path)
    count = nets[0].outputs
    a, t = nets[0].select(np.arange(count), scale.factor, scale.offset), nets[1]
    if len(a.widths) != len(t.widths):
        raise ConversionError(path, part, "its two networks have different numbers of layers")
    return _layers.coupling(kept, scale.transformer, as_wide(t, a), as_wide(a, t))


def _rnvp(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    return _leaf(part, path, _two_nets(part, path, 2, second), _two_nets(part, path, 1, first))


def _nice(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    layers = [
        _layers.coupling(
            kept, _layers.affine("additive"), plain(getattr(part, name), int(kept.sum()), f"{path}.{name}")
        )
        for name, kept in (("F", second), ("G", first))
    ]
    return _leaf(part, path, *layers)


def _all_in_one(part: Any, path: str) -> list[Step]:
    """Coupling, a global affine map, and a permutation or rotation."""
    if part.GIN:
        raise ConversionError(path, part, "a GIN block, whose scales depend on one another")
    first = np.arange(part.in_channels) < part.splits[0]
    network = plain(part.subnet, part.splits[0], f"{path}.subnet").select(_blocks(part.splits[1]))
    count, clamp = part.splits[1], float(part.clamp)
    network = network.select(np.arange(2 * count), np.tile([0.1 * clamp, 0.1], count))
    with double():
        scale = array(part.global_scale_activation(part.global_scale)).ravel()
        matrix = array(part._construct_householder_permutation() if part.householder else part.w_perm)
    matrix = matrix.reshape(part.in_channels, part.in_channels)
    layers = [
        _layers.coupling(first, _layers.affine("tanh", bound=clamp), network),
        _layers.elementwise_affine(np.log(scale), array(part.global_offset).ravel()),
        _orthogonal(matrix),
    ]
    return _leaf(part, path, *([_orthogonal(matrix.T)] if part.reverse_pre_permute else []), *layers)


def _orthogonal(matrix: Real) -> Layer:
    order = np.argmax(matrix, axis=1)
    if np.array_equal(matrix, np.eye(len(matrix))[order]):
        return _layers.permutation(order)
    return _layers.linear(matrix)


def _act_norm(part: Any, path: str) -> list[Step]:
    """Its words for scale and shift have changed between releases: what it does to two rows tells."""
    with double():
        zero, one = (
            array(part((tensor(np.full((1, array(part.scale).size), value)),))[0][0])[0] for value in (0.0, 1.0)
        )
    return _leaf(part, path, _layers.elementwise_affine(np.log(one - zero), zero))


TABLE: dict[str, Reader] = {
    "GLOWCouplingBlock": _glow,
    "RNVPCouplingBlock": _rnvp,
    "NICECouplingBlock": _nice,
    "AffineCouplingOneSided": _one_sided,
    "ConditionalAffineTransform": _conditional,
    "AllInOneBlock": _all_in_one,
    "ActNorm": _act_norm,
    "PermuteRandom": lambda part, path: _leaf(part, path, _layers.permutation(integers(part.perm))),
}


def source(flow: Any) -> Source:
    """What a SequenceINN is."""
    flow, dtype = in_double(flow)
    if not hasattr(flow, "module_list"):
        raise ConversionError("", flow, "only a SequenceINN is converted")
    if len(flow.shapes[0]) != 1:
        raise ConversionError("", flow, f"its inputs have the shape {flow.shapes[0]}, not that of vectors")
    if len({each for each in flow.conditions if each is not None}) > 1:
        raise ConversionError("", flow, "it has several conditions")
    for each in flow.module_list:
        if getattr(each, "w_perm", None) is not None:  # a rotation that float32 has rounded
            left, _, right = np.linalg.svd(array(each.w_perm))
            each.w_perm.data = tensor(np.round(left @ right, 15))
            each.w_perm_inv.data = each.w_perm.data.T.contiguous()
    steps = [step for i, each in enumerate(flow.module_list) for step in read(TABLE, each, f"module_list.{i}")]

    def run(rev: bool) -> Map:
        given = any(each is not None for each in flow.conditions)
        return mapped(lambda x, context: flow(x, **({"c": [context] * 9} if given else {}), rev=rev))

    def base_log_prob(z: Real, context: Real | None) -> Real:
        total: Real = -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1)
        return total

    forward = run(False)

    def log_prob(x: Real, context: Real | None) -> Real:
        z, log_det = forward(x, context)
        return base_log_prob(z, context) + log_det

    dim, base = int(flow.shapes[0][0]), Layer("standard_normal")
    return Source("FrEIA", "SequenceINN", dim, steps, base, log_prob, base_log_prob, forward, run(True), dtype)
