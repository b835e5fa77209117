"""Flows of Diffeo as flows of nflows 0.14: the table below is the way back of nflows.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from nflows import distributions, flows, transforms
from nflows.transforms.made import MaskedLinear

from . import _layers, _read
from ._error import NoCounterpartError
from ._export import Library, export
from ._layers import Layer, Transformer
from ._modules import Box, Noise, Whole, circled, mapped
from ._nets import Outputs, SoftplusScale, net
from ._network import Mask, Network, inverse_softplus, real
from ._read import Parts
from ._torch import mapped as maps_of
from ._torch import tensor
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


def _spline(transformer: Transformer) -> dict[str, Any] | None:
    """Arguments of a spline of nflows; None where it has no such spline."""
    said: dict[str, Any] = dict(transformer.attributes)
    if said["transformer"] != "rational_quadratic" or said["boundary"] != "linear" or said["low"] != -said["high"]:
        return None
    unlike = {"logit_bound": 0, "derivative": "softplus", "boundary_derivative": 1, "half_ends": 0}
    if any(said.get(name, usual) != usual for name, usual in unlike.items()):
        return None
    minima = {f"min_bin_{name}": said[f"min_{name}"] for name in ("width", "height")}
    return {
        "num_bins": said["bins"], "tails": "linear", "tail_bound": said["high"], **minima,
        "min_derivative": said["min_derivative"],
    }  # fmt: skip


class Coupling(transforms.coupling.CouplingTransform):  # type: ignore[misc]
    """A coupling layer with a map of one number that nflows does not have."""

    def __init__(self, mask: Any, network: Any, transformer: Transformer) -> None:
        self.transformer = transformer
        super().__init__(mask, lambda i, o: network)

    def _transform_dim_multiplier(self) -> int:
        return self.transformer.parameters

    def _run(self, inputs: Any, params: Any, inverse: bool) -> tuple[Any, Any]:
        y, log_slope = mapped(self.transformer, params.unflatten(-1, (inputs.shape[-1], -1)), inputs, inverse)
        return y, log_slope.sum(dim=-1)

    def _coupling_transform_forward(self, inputs: Any, transform_params: Any) -> tuple[Any, Any]:
        return self._run(inputs, transform_params, False)

    def _coupling_transform_inverse(self, inputs: Any, transform_params: Any) -> tuple[Any, Any]:
        return self._run(inputs, transform_params, True)


class Autoregressive(transforms.autoregressive.AutoregressiveTransform):  # type: ignore[misc]
    """An autoregressive layer with such a map, or with its inverse."""

    def __init__(self, network: Any, transformer: Transformer, inverted: bool) -> None:
        super().__init__(network)
        self.transformer, self.inverted = transformer, inverted

    def _output_dim_multiplier(self) -> int:
        return self.transformer.parameters

    def _run(self, inputs: Any, params: Any, inverse: bool) -> tuple[Any, Any]:
        p = params.unflatten(-1, (inputs.shape[-1], -1))
        y, log_slope = mapped(self.transformer, p, inputs, inverse != self.inverted)
        return y, log_slope.sum(dim=-1)

    def _elementwise_forward(self, inputs: Any, autoregressive_params: Any) -> tuple[Any, Any]:
        return self._run(inputs, autoregressive_params, False)

    def _elementwise_inverse(self, inputs: Any, autoregressive_params: Any) -> tuple[Any, Any]:
        return self._run(inputs, autoregressive_params, True)


class Rows(transforms.Transform):  # type: ignore[misc]
    """A layer of whole rows that nflows does not have."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, inputs: Any, context: Any = None) -> tuple[Any, Any]:
        """To noise."""
        found: tuple[Any, Any] = self.whole(inputs, context)
        return found

    def inverse(self, inputs: Any, context: Any = None) -> tuple[Any, Any]:
        """From noise."""
        found: tuple[Any, Any] = self.whole(inputs, context, inverse=True)
        return found


def _spline_network(network: Network, transformer: Transformer) -> Network:
    factor, offset = spline_outputs(transformer, network.outputs // transformer.parameters)
    return network.with_last(lambda last: last.then(1 / factor, -offset))


def _coupling(layer: Layer, parts: Parts) -> Any:
    assert layer.transformer is not None
    transformer, networks, mask = layer.transformer, _networks(layer, parts), layer.lists["mask"]
    said = transformer.attributes
    arguments = _spline(transformer)
    if arguments is not None:
        made = net(_spline_network(networks[0], transformer), masked)
        return transforms.PiecewiseRationalQuadraticCouplingTransform(1 - mask, lambda i, o: made, **arguments)
    if said["transformer"] != "affine":
        inside = circled(net(networks[0], masked), transformer, int(mask.sum()))
        return Coupling(1 - mask, inside, transformer)
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
    assert layer.transformer is not None
    transformer, (network,), dim = layer.transformer, _networks(layer, parts), parts.dim
    said: dict[str, Any] = dict(transformer.attributes)
    arguments, inverted = _spline(transformer), bool(layer.attributes.get("inverse_map", 0))
    if inverted or (arguments is None and said["transformer"] != "affine"):
        return Autoregressive(circled(net(network, masked), transformer, dim), transformer, inverted)
    if arguments is not None:
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


def _whole(layer: Layer, parts: Parts) -> Any:
    return Rows(Whole(layer, parts.dim, masked))


def _dequantize(layer: Layer, parts: Parts) -> Any:
    levels = _read.levels(layer, parts.dim)
    return transforms.PointwiseAffineTransform(torch.zeros(parts.dim), tensor(1 / levels))


def _lu(layer: Layer, parts: Parts) -> Any:
    if layer.kind == "linear":
        layer = _layers.linear(layer.parameters["weight"], layer.parameters["bias"])
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
    "linear": _lu,
    "domain": _whole,
    "wrap": _whole,
    "dequantize": _dequantize,
    "planar": _whole,
    "radial": _whole,
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


class Base(distributions.Distribution):  # type: ignore[misc]
    """A base that nflows does not have, as a distribution of torch given the context."""

    def __init__(self, noise: Any) -> None:
        super().__init__()
        self.noise = noise

    def _log_prob(self, inputs: Any, context: Any) -> Any:
        return self.noise(context).log_prob(inputs)

    def _sample(self, num_samples: int, context: Any) -> Any:
        found = self.noise(context)
        rows = found.sample((num_samples,))
        if context is None:
            return rows
        return rows.transpose(0, 1) if found.batch_shape else rows.expand(len(context), *rows.shape)


def _noise(base: Layer, parts: Parts) -> Any:
    return Base(Noise(base, parts.dim, masked))


def _uniform(base: Layer, parts: Parts) -> Any:
    ends = (np.full(parts.dim, float(real(base.attributes[name]))) for name in ("low", "high"))
    return Base(Box(*map(tensor, ends)))


def _made(base: Layer, parts: Parts) -> Any:
    """Conditionals are maps to normal or uniform noise."""
    assert base.transformer is not None
    if len(base.masks) > 1:
        raise NoCounterpartError(f"its density is a mean over {len(base.masks)} masks")
    if base.transformer.attributes["transformer"] == "bernoulli":
        raise NoCounterpartError("its conditionals are those of numbers 0 and 1, which are no flow")
    noise = Layer("standard_normal")
    if base.transformer.attributes["transformer"] == "mixture_cdf":
        noise = Layer("uniform", {"low": 0.0, "high": 1.0})
    layer = replace(base, kind="autoregressive", network=base.masks[0])
    return flows.Flow(_autoregressive(layer, parts), BASES[noise.kind](noise, parts))


BASES = {
    "standard_normal": lambda base, parts: distributions.StandardNormal([parts.dim]),
    "normal": _normal,
    "uniform": _uniform,
    "logistic": _noise,
    "student_t": _noise,
    "mixture": _noise,
    "made": _made,
}


def _flow(chain: Sequence[Any], base: Any, dim: int) -> tuple[Any, Any]:
    whole = transforms.CompositeTransform(chain)
    return flows.Flow(whole, base), whole


LIBRARY = Library(
    "nflows",
    {kind: _directed(make, kind) for kind, make in TABLE.items()},
    BASES,
    _flow,
    lambda part: (maps_of(part.forward), maps_of(part.inverse)),
    lambda part, x, context: part.log_prob(x, context=context),
)


def flow(parts: Parts) -> Any:
    """The flow of nflows."""
    return export(LIBRARY, parts)
