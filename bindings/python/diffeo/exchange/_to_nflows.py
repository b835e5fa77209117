"""Flows of Diffeo as flows of nflows 0.14: the table below is the way back of nflows.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from nflows import distributions, flows, transforms
from nflows.transforms.made import MaskedLinear

from . import _read
from ._error import NoCounterpartError
from ._export import Library, affine_only, export
from ._layers import Layer, Transformer
from ._nets import Outputs, SoftplusScale, net
from ._network import Mask, Network, inverse_softplus, real
from ._read import Parts
from ._torch import mapped, tensor
from .nflows import spline_outputs


def masked(sees: Mask) -> Any:
    """A linear layer with this mask."""
    outputs, inputs = sees.shape
    made = MaskedLinear(torch.zeros(inputs), outputs, 1, False, False)
    made.mask = tensor(sees.astype(np.float64))
    return made


def _set(parameter: Any, values: Any) -> None:
    with torch.no_grad():
        parameter.copy_(tensor(real(values)).reshape(parameter.shape))


# ---------------------------------------------------------------------------------------------------------- transforms


def _networks(layer: Layer, parts: Parts) -> list[Network]:
    return [n.given(parts.context) for n in (layer.network, layer.scale_network) if n is not None]


def _pairs(networks: Sequence[Network]) -> Any:
    """The order that makes pairs a, t of the outputs of one network, or of t of the first and a of the second."""
    count = networks[0].outputs
    return np.arange(count) if len(networks) == 1 else np.arange(2 * count).reshape(2, -1)[::-1].T.ravel()


def _spline(transformer: Transformer) -> dict[str, Any]:
    """Arguments of a spline of nflows."""
    said: dict[str, Any] = dict(transformer.attributes)
    if said["boundary"] != "linear":
        raise NoCounterpartError(f"its boundary is {said['boundary']}; splines of nflows have linear tails")
    if said["low"] != -said["high"]:
        raise NoCounterpartError(f"its box from {said['low']} to {said['high']} is not symmetric about 0")
    unlike = {"logit_bound": 0, "derivative": "softplus", "boundary_derivative": 1, "half_ends": 0}
    for name, usual in unlike.items():
        if said.get(name, usual) != usual:
            raise NoCounterpartError(f"its {name} is {said[name]}; splines of nflows have no such attribute")
    minima = {f"min_bin_{name}": said[f"min_{name}"] for name in ("width", "height")}
    return {
        "num_bins": said["bins"], "tails": "linear", "tail_bound": said["high"], **minima,
        "min_derivative": said["min_derivative"],
    }  # fmt: skip


def _spline_network(network: Network, transformer: Transformer) -> Network:
    factor, offset = spline_outputs(transformer, network.outputs // transformer.parameters)
    return network.with_last(lambda last: last.then(1 / factor, -offset))


def _coupling(layer: Layer, parts: Parts) -> Any:
    affine_only(layer)
    assert layer.transformer is not None
    transformer, networks, mask = layer.transformer, _networks(layer, parts), layer.lists["mask"]
    said = transformer.attributes
    if said["transformer"] == "rational_quadratic":
        arguments = _spline(transformer)
        made = net(_spline_network(networks[0], transformer), masked)
        return transforms.PiecewiseRationalQuadraticCouplingTransform(1 - mask, lambda i, o: made, **arguments)
    nets = [net(n, masked) for n in networks]
    if said["scale"] == "additive":
        return transforms.AdditiveCouplingTransform(1 - mask, lambda i, o: nets[0])
    if said["scale"] == "sigmoid" and said["scale_epsilon"] == 1e-3:
        outputs = Outputs(nets, _pairs(networks).reshape(-1, 2).T[::-1].ravel())
        return transforms.AffineCouplingTransform(1 - mask, lambda i, o: outputs)
    # scales that nflows does not have in coupling layers: autoregressive ones compute softplus(b) for any b
    columns = np.where(mask == 1, (mask == 0).sum(), np.cumsum(1 - mask) - 1)
    reads = np.where(mask == 1, np.cumsum(mask) - 1, -1)
    nets = [net(n.reading(reads), masked) for n in networks]
    return _softplus(len(mask), Outputs(nets, _pairs(networks), SoftplusScale(transformer, columns)), 0.0)


def _softplus(dim: int, network: Any, epsilon: float) -> Any:
    part = transforms.MaskedAffineAutoregressiveTransform(dim, 1, num_blocks=0)
    part.autoregressive_net, part._epsilon = network, epsilon
    return part


def _autoregressive(layer: Layer, parts: Parts) -> Any:
    affine_only(layer)
    assert layer.transformer is not None
    if layer.attributes.get("inverse_map", 0):
        raise NoCounterpartError("inverse_map is 1")
    transformer, (network,), dim = layer.transformer, _networks(layer, parts), parts.dim
    said: dict[str, Any] = dict(transformer.attributes)
    if said["transformer"] == "rational_quadratic":
        arguments = _spline(transformer)
        part = transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(dim, 1, num_blocks=0, **arguments)
        part.autoregressive_net = net(_spline_network(network, transformer), masked)
        return part
    if said["scale"] == "softplus":
        offset = np.tile([np.log(np.expm1(1 - said["scale_epsilon"])), 0.0], dim)
        network = network.with_last(lambda last: last.then(np.ones(2 * dim), offset))
        return _softplus(dim, net(network, masked), said["scale_epsilon"])
    last = SoftplusScale(transformer, np.arange(dim))
    return _softplus(dim, Outputs([net(network, masked)], np.arange(network.outputs), last), 0.0)


def _elementwise(layer: Layer, parts: Parts) -> Any:
    return _coupling(_read.as_coupling(layer, parts.dim), parts)


def _lu(layer: Layer, parts: Parts) -> Any:
    p, order = layer.parameters, layer.lists["permutation"]
    sign, bias = p["sign"], np.empty(parts.dim)
    bias[order] = p["bias"]
    diagonal = np.exp(p["log_scale"])
    part = transforms.LULinear(parts.dim, eps=min(1e-3, float(diagonal.min()) / 2))
    # L U = S (S L S) (S U), S being the diagonal matrix of the signs
    _set(part.lower_entries, (sign[:, None] * p["lower"] * sign)[part.lower_indices])
    _set(part.upper_entries, (sign[:, None] * p["upper"])[part.upper_indices])
    _set(part.unconstrained_upper_diag, inverse_softplus(diagonal - part.eps))
    _set(part.bias, sign * bias)
    chain = [part]
    if (sign < 0).any():
        chain.append(_reflections(np.eye(parts.dim)[sign < 0]))
    if not np.array_equal(order, np.arange(parts.dim)):
        chain.append(_permute(order))
    return transforms.CompositeTransform(chain) if len(chain) > 1 else part


def _reflections(vectors: Any) -> Any:
    part = transforms.HouseholderSequence(vectors.shape[1], len(vectors))
    part.q_vectors = torch.nn.Parameter(tensor(vectors))
    return part


def _permute(columns: Any) -> Any:
    return transforms.Permutation(torch.from_numpy(np.array(columns, np.int64)))


def _batch_norm(layer: Layer, parts: Parts) -> Any:
    p = layer.parameters
    epsilon, momentum = (float(real(layer.attributes[name])) for name in ("epsilon", "momentum"))
    gamma = np.exp(p["log_gamma"])
    if (gamma <= epsilon).any():
        raise NoCounterpartError(f"a gamma is not above epsilon, {epsilon}, where nflows has only such")
    part = transforms.BatchNorm(parts.dim, epsilon, momentum)
    _set(part.unconstrained_weight, inverse_softplus(gamma - epsilon))
    for values, name in ((part.bias, "beta"), (part.running_mean, "mean"), (part.running_var, "variance")):
        _set(values, p[name])
    return part


def _actnorm(layer: Layer, parts: Parts) -> Any:
    part = transforms.ActNorm(parts.dim)
    _set(part.log_scale, layer.parameters["log_scale"])
    _set(part.shift, layer.parameters.get("shift", np.zeros(parts.dim)))
    part.initialized.fill_(True)
    return part


def _standardize(layer: Layer, parts: Parts) -> Any:
    scale, shift = _read.elementwise(layer)
    return transforms.PointwiseAffineTransform(tensor(shift), tensor(scale))


TABLE = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "elementwise": _elementwise,
    "permutation": lambda layer, parts: _permute(layer.lists["permutation"]),
    "lu": _lu,
    "householder": lambda layer, parts: _reflections(layer.parameters["vectors"][::-1].copy()),
    "actnorm": _actnorm,
    "batch_norm": _batch_norm,
    "standardize": _standardize,
}
BOTH_WAYS = ("standardize",)  # made in the direction that is asked for


def _directed(make: Any, kind: str) -> Any:
    def made(layer: Layer, parts: Parts) -> Any:
        if not layer.inverse or kind in BOTH_WAYS:
            return make(layer, parts)
        return transforms.InverseTransform(make(replace(layer, inverse=False), parts))

    return made


# --------------------------------------------------------------------------------------------------------------- bases


def _normal(base: Layer, parts: Parts) -> Any:
    if base.network is not None:
        return distributions.ConditionalDiagonalNormal([parts.dim], net(base.network, masked))
    part = distributions.DiagonalNormal([parts.dim])
    _set(part.mean_, base.parameters["mean"])
    _set(part.log_std_, base.parameters["log_scale"])
    return part


BASES = {"standard_normal": lambda base, parts: distributions.StandardNormal([parts.dim]), "normal": _normal}


def _flow(chain: Sequence[Any], base: Any, dim: int) -> tuple[Any, Any]:
    whole = transforms.CompositeTransform(chain)
    return flows.Flow(whole, base), whole


LIBRARY = Library(
    "nflows",
    {kind: _directed(make, kind) for kind, make in TABLE.items()},
    BASES,
    _flow,
    lambda part: (mapped(part.forward), mapped(part.inverse)),
    lambda part, x, context: part.log_prob(x, context=context),
)


def flow(parts: Parts) -> Any:
    """The flow of nflows."""
    return export(LIBRARY, parts)
