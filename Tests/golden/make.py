"""Write the golden files: flows of zuko, nflows, normflows, flowjax, Pyro, FrEIA and torch with random weights, and what
those libraries make of them.

    python Tests/golden/make.py [name ...]

Needs torch, zuko, nflows, normflows, jax, flowjax, numpy and h5py, some cases pyro-ppl and FrEIA, and that of flowjax 17
its wheel unpacked in the folder FLOWJAX17; README.md names the versions. Everything is float64, and random
numbers are fixed by seeds, so that the same versions give the same flows. Each flow is written as a Diffeo weight file
(docs/weight-file.md): the weights as the library has them, those that its masks hide included; log_prob by the library
as the self-test; and under /golden what else the library computes, see `write`.
"""

import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import h5py
import jax
import numpy as np
import torch

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)

import equinox as eqx  # noqa: E402
import flowjax.flows  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import nflows.distributions  # noqa: E402
import nflows.flows  # noqa: E402
import nflows.nn.nets  # noqa: E402
import nflows.transforms  # noqa: E402
import normflows.flows.neural_spline.coupling  # noqa: E402
import zuko  # noqa: E402
from flowjax.bijections import Affine  # noqa: E402
from flowjax.distributions import StandardNormal  # noqa: E402
from paramax import Parameterize, unwrap  # noqa: E402

FOLDER = Path(__file__).parent
ROWS = 16
WEIGHT = 0.3  # standard deviation of every weight and bias


@dataclass
class Layer:
    """A component of a weight file. Arrays of integers are lists, those of floats parameters; '/' makes groups."""

    kind: str
    attributes: dict
    arrays: dict


@dataclass
class Case:
    """A flow as its own library has it, and as Diffeo's layers."""

    library: str
    call: str  # the class and its arguments, for people
    peer: object  # .dim, .context_dim and the functions of `write`
    layers: list
    context: Layer | None = None
    base: Layer | None = None  # standard normal


# --------------------------------------------------------------------------------------------------------------- layers


def network(weights, biases, kept_rows=None):
    """Parameters of an MLP; kept_rows orders the outputs."""
    weights, biases = [np.array(w) for w in weights], [np.array(b) for b in biases]
    if kept_rows is not None:
        weights[-1], biases[-1] = weights[-1][kept_rows], biases[-1][kept_rows]
    arrays = {"hidden": np.array([len(b) for b in biases[:-1]], np.int64)}
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        arrays[f"network/{i}/weight"], arrays[f"network/{i}/bias"] = weight, bias
    return arrays


def scale_first(columns):
    """Outputs (t, a) for each column, as zuko and flowjax have them, to (a, t)."""
    return np.arange(2 * columns).reshape(columns, 2)[:, ::-1].ravel()


def conditioner(activation, scale, bound=1.0, epsilon=1e-3, inverse=0):
    return {
        "activation": activation, "scale": scale, "scale_bound": bound, "scale_epsilon": epsilon, "inverse": inverse,
    }  # fmt: skip


def spline_map(bins, low, high, boundary, minimum=1e-3, **more):
    """Attributes of a spline as a transformer."""
    return {
        "transformer": "rational_quadratic", "bins": bins, "low": low, "high": high, "boundary": boundary,
        "min_width": minimum, "min_height": minimum, "min_derivative": 1e-3, **more,
    }  # fmt: skip


def autoregressive(attributes, order, degrees, arrays, masks=None, blocks=None):
    """`masks` are those of the library, the outputs in Diffeo's order: they must be what the degrees say. `blocks`
    names the hidden layer of each link of a network with residual blocks.
    """
    lists = {f"degrees_{i}": np.asarray(d, np.int64) for i, d in enumerate(degrees)}
    if masks is not None:
        dim = len(order)
        columns = np.empty(dim, np.int64)
        columns[order] = np.arange(1, dim + 1)
        context = np.zeros(masks[0].shape[1] - dim, np.int64)
        hidden = list(lists.values())
        links = hidden if blocks is None else [hidden[i] for i in blocks]
        levels = [np.concatenate([columns, context]), *links]
        implied = [out[:, None] >= into for into, out in pairwise(levels)]
        implied.append(np.repeat(columns, len(masks[-1]) // dim)[:, None] > levels[-1])
        assert len(implied) == len(masks)
        for ours, theirs in zip(implied, masks, strict=True):
            assert np.array_equal(ours, theirs), "the masks are not those of the degrees"
    return Layer("autoregressive", attributes, {"order": np.asarray(order, np.int64), **lists, **arrays})


def coupling(attributes, mask, arrays):
    return Layer("coupling", attributes, {"mask": np.asarray(mask, np.int64), **arrays})


def permutation(columns, inverse=0):
    return Layer("permutation", {"inverse": inverse}, {"permutation": np.asarray(columns, np.int64)})


def standardize(mean, std):
    return Layer("standardize", {}, {"mean": np.array(mean), "std": np.array(std), "initialized": np.ones(1)})


# ---------------------------------------------------------------------------------------------------------------- torch


def randomise(module, rng):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, WEIGHT, tuple(parameter.shape))))
    return module.double().eval()


def randomise_batch_norms(module, rng):
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.running_mean.copy_(tensor(rng.normal(0, WEIGHT, norm.num_features)))
            norm.running_var.copy_(tensor(np.exp(rng.normal(0, WEIGHT, norm.num_features))))


def affine_of_batch_norm(norm):
    scale = array(norm.weight) / np.sqrt(array(norm.running_var) + norm.eps)
    return scale, array(norm.bias) - array(norm.running_mean) * scale


def linears(module):
    found = [m for m in module.modules() if isinstance(m, (torch.nn.Linear, zuko.nn.Linear))]
    return [array(m.weight) for m in found], [array(m.bias) for m in found]


def array(tensor):
    return tensor.detach().numpy().copy()


def tensor(values):
    return None if values is None else torch.from_numpy(np.array(values))


class Torch:
    """What zuko and nflows share."""

    def __init__(self, flow, dim, context_dim):
        self.flow, self.dim, self.context_dim = flow, dim, context_dim

    def gradient(self, x, context):
        x, context = tensor(x).requires_grad_(), tensor(context)
        inputs = [x] if context is None else [x, context.requires_grad_()]
        gradients = torch.autograd.grad(self.density(x, context).sum(), inputs)
        return [array(g) for g in gradients]

    def log_prob(self, x, context):
        return array(self.density(tensor(x), tensor(context)))


def preactivation(net, context_mode=None, kept_rows=None):
    """Attributes and parameters of the residual networks that nflows and normflows share, masked or not. The second
    batch norm of a block goes into its inner matrix; so does the bias of a context that is added there.
    """
    blocks = list(net.blocks)
    normalized = blocks[0].use_batch_norm
    width = net.initial_layer.out_features
    arrays = {"hidden": np.full(len(blocks), width, np.int64)}

    def put(name, weight, bias):
        arrays[f"network/{name}/weight"], arrays[f"network/{name}/bias"] = weight, bias

    weight, bias = array(net.initial_layer.weight), array(net.initial_layer.bias)
    if context_mode == "shift":
        put("context", array(net.context_layer.weight), array(net.context_layer.bias))
    elif hasattr(net, "context_layer"):  # the masked network of normflows: not activated, so the same as an input
        weight = np.concatenate([weight, array(net.context_layer.weight)], axis=1)
        bias = bias + array(net.context_layer.bias)
    put("0", weight, bias)
    for i, block in enumerate(blocks):
        inner, outer = block.linear_layers
        weight, bias, shifts = array(inner.weight), array(inner.bias), None
        if context_mode == "shift":
            shifts, bias = array(block.context_layer.weight), bias + array(block.context_layer.bias)
        if normalized:
            first, second = block.batch_norm_layers
            arrays[f"network/{i}/scale"], arrays[f"network/{i}/shift"] = affine_of_batch_norm(first)
            scale, shift = affine_of_batch_norm(second)
            weight, bias = scale[:, None] * weight, scale * bias + shift
            shifts = None if shifts is None else scale[:, None] * shifts
        put(f"{i}/inner", weight, bias)
        put(f"{i}/outer", array(outer.weight), array(outer.bias))
        if shifts is not None:
            arrays[f"network/{i}/context/weight"] = shifts
        if context_mode == "gate":
            put(f"{i}/gate", array(block.context_layer.weight), array(block.context_layer.bias))
    weight, bias = array(net.final_layer.weight), array(net.final_layer.bias)
    rows = slice(None) if kept_rows is None else kept_rows
    put(f"{len(blocks)}", weight[rows], bias[rows])
    attributes = {"blocks": "preactivation"}
    if context_mode:
        attributes["context_mode"] = context_mode
    if normalized:
        attributes["normalized"] = 1
    return attributes, arrays


def masked_preactivation(net, attributes, context_mode):
    """An autoregressive layer of such a network."""
    links = [net.initial_layer, *(link for block in net.blocks for link in block.linear_layers), net.final_layer]
    hidden = [array(block.degrees) for block in net.blocks]
    which = [0, *(i for i in range(len(hidden)) for _ in range(2))]
    own, arrays = preactivation(net, context_mode)
    order, masks = np.arange(net.initial_layer.in_features), [array(link.mask) == 1 for link in links]
    return autoregressive(attributes | own, order, hidden, arrays, masks, which)


class Zuko(Torch):
    def density(self, x, context):
        return self.flow(context).log_prob(x)

    def to_noise(self, x, context):
        return map(array, self.flow(tensor(context)).transform.call_and_ladj(tensor(x)))

    def from_noise(self, z, context):
        return map(array, self.flow(tensor(context)).transform.inv.call_and_ladj(tensor(z)))


ZUKO_BOUND = -np.log(1e-3)  # of the default slope 1e-3


def zuko_spline(bins, bound, boundary):
    return spline_map(
        bins, -bound, bound, boundary, 0.0, logit_bound=ZUKO_BOUND / 2, derivative="exp", derivative_bound=ZUKO_BOUND
    )


def zuko_maf(call, flow, dim, context_dim, activation, rng, map_=None, base=None, box=None):
    """map_: attributes of another transformer than the affine one."""
    randomise(flow, rng)
    layers = []
    for transform in flow.transform.transforms:
        weights, biases = linears(transform.hyper)
        masks = [array(m.mask) for m in transform.hyper if isinstance(m, zuko.nn.MaskedLinear)]
        rows = np.arange(len(masks[-1])) if map_ else scale_first(dim)
        order = np.argsort(array(transform.order))
        # A first hidden unit sees the columns up to its degree; a later one the units up to its own.
        degrees = [masks[0][:, :dim].sum(axis=1)]
        for mask in masks[1:-1]:
            degrees.append(np.where(mask, degrees[-1], 0).max(axis=1))
        masks[-1] = masks[-1][rows]
        attributes = {"activation": activation, **map_} if map_ else conditioner(activation, "soft_clip", ZUKO_BOUND)
        layers.append(autoregressive(attributes, order, degrees, network(weights, biases, rows), masks))
    peer = Zuko(flow, dim, context_dim)
    peer.box = box
    return Case("zuko", call, peer, layers, base=base)


def zuko_residual(call, flow, dim, context_dim, activation, rng):
    randomise(flow, rng)
    layers = []
    for transform in flow.transform.transforms:
        rows, order = scale_first(dim), np.argsort(array(transform.order))
        attributes = conditioner(activation, "soft_clip", ZUKO_BOUND) | {"blocks": "residual"}
        arrays, masks, degrees, which, hidden = {}, [], [], [], []

        def put(name, linear, rows=slice(None), arrays=arrays):
            arrays[f"network/{name}/weight"], arrays[f"network/{name}/bias"] = (
                array(linear.weight)[rows], array(linear.bias)[rows],
            )  # fmt: skip

        modules = list(transform.hyper)
        for module in modules[:-1]:
            i = len(degrees)
            if isinstance(module, zuko.nn.MaskedLinear):
                mask = array(module.mask)
                put(f"{i}", module)
                masks.append(mask)
                which.append(i)
                # Each layer has units of all degrees: a unit's is the highest that it sees.
                present = mask[:, :dim].sum(axis=1) if i == 0 else np.where(mask, degrees[-1], 0).max(axis=1)
                continue
            inner, _, outer = module
            degrees.append(present)
            hidden.append(len(present))
            for name, link in ("inner", inner), ("outer", outer):
                put(f"{i}/{name}", link)
                masks.append(array(link.mask))
                which.append(i)
        put(f"{len(degrees)}", modules[-1], rows)
        masks.append(array(modules[-1].mask)[rows])
        arrays["hidden"] = np.array(hidden, np.int64)
        layers.append(autoregressive(attributes, order, degrees, arrays, masks, which))
    return Case("zuko", call, Zuko(flow, dim, context_dim), layers)


def zuko_coupling(call, flow, dim, context_dim, activation, rng):
    randomise(flow, rng)
    layers = []
    for transform in flow.transform.transforms:
        mask = array(transform.mask)
        arrays = network(*linears(transform.hyper), scale_first(dim - mask.sum()))
        layers.append(coupling(conditioner(activation, "soft_clip", ZUKO_BOUND), mask, arrays))
    return Case("zuko", call, Zuko(flow, dim, context_dim), layers)


def zuko_one_column(call, flow, context_dim, activation, rng):
    """With one column zuko's MAF is an elementwise map given by the context. To Diffeo that is a coupling that keeps
    nothing, or an autoregressive layer whose units all have degree 0 and do not see the column: by turns.
    """
    randomise(flow, rng)
    layers = []
    for i, transform in enumerate(flow.transform.transforms):
        attributes, arrays = conditioner(activation, "soft_clip", ZUKO_BOUND), linears(transform.hyper)
        if i % 2 == 0:
            layers.append(coupling(attributes, [0], network(*arrays, scale_first(1))))
            continue
        weights, biases = arrays
        unseen = rng.normal(0, WEIGHT, (len(biases[0]), 1))
        weights[0] = np.concatenate([unseen, weights[0]], axis=1)
        degrees = [np.zeros(len(b)) for b in biases[:-1]]
        layers.append(autoregressive(attributes, [0], degrees, network(weights, biases, scale_first(1))))
    return Case("zuko", call, Zuko(flow, 1, context_dim), layers)


# --------------------------------------------------------------------------------------------------------------- nflows


class Nflows(Torch):
    def density(self, x, context):
        return self.flow.log_prob(x, context)

    def to_noise(self, x, context):
        return self._map(self.flow._transform, x, context)

    def from_noise(self, z, context):
        return self._map(self.flow._transform.inverse, z, context)

    def _map(self, transform, values, context):
        # nflows' own inverse is a function of the embedded context.
        embedded = None if context is None else self.flow._embedding_net(tensor(context))
        return map(array, transform(tensor(values), embedded))


class GeneralCoupling(nflows.transforms.AffineCouplingTransform):
    """With GENERAL_SCALE_ACTIVATION of nflows' repository, which release 0.14 has in a comment; glasflow's default."""

    def _scale_and_shift(self, parameters):
        shift, raw = parameters.chunk(2, dim=1)
        return (torch.nn.functional.softplus(raw) + 1e-3).clamp(0, 3), shift


def nflows_general(rng):
    dim, context_dim, mask = 3, 2, [1, 0, 1]  # 1 is transformed
    net = partial(Conditioner, context=context_dim, hidden=[8], activation=torch.tanh)
    transform = GeneralCoupling(mask, net)
    flow = nflows.flows.Flow(transform, nflows.distributions.StandardNormal([dim]))
    randomise(flow, rng)
    rows = np.arange(2 * sum(mask)).reshape(2, -1)[::-1].T.ravel()  # all t, then all a
    arrays = network(*linears(transform.transform_net), rows)
    layers = [coupling(conditioner("tanh", "clamped_softplus", 3.0), 1 - np.array(mask), arrays)]
    call = "AffineCouplingTransform with GENERAL_SCALE_ACTIVATION, 3 columns, 2 of context; MLP [8] tanh"
    return Case("nflows", call, Nflows(flow, dim, context_dim), layers)


def nflows_maf(call, flow, dim, activation, rng):
    randomise(flow, rng)
    layers = []
    for transform in flow._transform._transforms:
        if isinstance(transform, nflows.transforms.Permutation):
            layers.append(permutation(array(transform._permutation)))
            continue
        net = transform.autoregressive_net
        weights, biases = linears(net)
        biases[-1][0::2] -= np.log(np.expm1(1 - 1e-3))  # s = softplus(a) + 1e-3
        masked = [net.initial_layer, *(b.linear for b in net.blocks), net.final_layer]
        masks, degrees = [array(m.mask) == 1 for m in masked], [array(m.degrees) for m in masked[:-1]]
        arrays = network(weights, biases)
        layers.append(autoregressive(conditioner(activation, "softplus"), np.arange(dim), degrees, arrays, masks))
    return Case("nflows", call, Nflows(flow, dim, 0), layers)


def nflows_residual(rng):
    dim, context_dim, hidden, t = 4, 2, 7, nflows.transforms
    maf = partial(t.MaskedAffineAutoregressiveTransform, dim, hidden, context_features=context_dim)
    chain = [
        maf(num_blocks=1),
        t.ReversePermutation(dim),
        t.InverseTransform(maf(activation=torch.tanh, use_batch_norm=True)),
    ]
    flow = nflows.flows.Flow(t.CompositeTransform(chain), nflows.distributions.StandardNormal([dim]))
    randomise(flow, rng)
    randomise_batch_norms(flow, rng)

    def layer(transform, activation, inverse=0):
        with torch.no_grad():
            bias = transform.autoregressive_net.final_layer.bias
            before = bias.clone()
            bias[0::2] -= np.log(np.expm1(1 - 1e-3))  # s = softplus(a) + 1e-3
            attributes = conditioner(activation, "softplus", inverse=inverse)
            made = masked_preactivation(transform.autoregressive_net, attributes, "shift")
            bias.copy_(before)
        return made

    layers = [layer(chain[0], "relu"), permutation(np.arange(dim)[::-1]), layer(chain[2]._transform, "tanh", 1)]
    call = (
        "Flow of MaskedAffineAutoregressiveTransform(4, 7, context_features=2, num_blocks=1), ReversePermutation, "
        "InverseTransform of MaskedAffineAutoregressiveTransform(4, 7, context_features=2, activation=tanh, "
        "use_batch_norm=True)"
    )
    return Case("nflows", call, Nflows(flow, dim, context_dim), layers)


def nflows_residual_coupling(rng):
    dim, context_dim, t = 4, 2, nflows.transforms

    def net(inputs, outputs, **arguments):
        return nflows.nn.nets.ResidualNet(inputs, outputs, 6, context_features=context_dim, **arguments)

    masks = [[0, 1, 0, 1], [1, 1, 0, 1], [1, 0, 1, 0]]  # 1 is transformed
    chain = [
        t.AffineCouplingTransform(masks[0], net),
        t.InverseTransform(t.AffineCouplingTransform(masks[1], partial(net, use_batch_norm=True))),
        t.AffineCouplingTransform(masks[2], partial(net, num_blocks=1, activation=torch.tanh)),
    ]
    flow = nflows.flows.Flow(t.CompositeTransform(chain), nflows.distributions.StandardNormal([dim]))
    randomise(flow, rng)
    randomise_batch_norms(flow, rng)
    layers = []
    for transform, mask in zip(chain, masks, strict=True):
        inverse = int(isinstance(transform, t.InverseTransform))
        moved = sum(mask)
        rows = np.arange(2 * moved).reshape(2, moved)[::-1].T.ravel()  # all t, then all a
        own, arrays = preactivation((transform._transform if inverse else transform).transform_net, "gate", rows)
        activation = "relu" if len(layers) < 2 else "tanh"
        attributes = conditioner(activation, "sigmoid", inverse=inverse) | own
        layers.append(coupling(attributes, 1 - np.array(mask), arrays))
    call = (
        "Flow of AffineCouplingTransform with ResidualNet(hidden_features=6, context_features=2), InverseTransform of one "
        "with use_batch_norm=True, one with num_blocks=1, activation=tanh; 4 columns"
    )
    return Case("nflows", call, Nflows(flow, dim, context_dim), layers)


class Conditioner(torch.nn.Module):
    """nflows' MLP with the context: its coupling layers take any network of (kept columns, context)."""

    def __init__(self, inputs, outputs, *, context, hidden, activation):
        super().__init__()
        self.mlp = nflows.nn.nets.MLP([inputs + context], [outputs], hidden, activation)

    def forward(self, kept, context):
        return self.mlp(torch.cat([kept, context], dim=1))


def nflows_coupling(rng):
    """All that nflows has of Diffeo's layers in one chain, some of it the other way round."""
    dim, context_dim, t = 4, 3, nflows.transforms
    net = partial(Conditioner, context=context_dim, hidden=[10, 8], activation=torch.nn.functional.leaky_relu)
    mean, std = rng.normal(size=dim), np.exp(rng.normal(0, WEIGHT, dim))
    chain = [
        t.PointwiseAffineTransform(tensor(-mean / std), tensor(1 / std)),
        t.ActNorm(dim),
        t.AffineCouplingTransform([0, 1, 0, 1], net),
        t.RandomPermutation(dim),
        t.AdditiveCouplingTransform([1, 0, 0, 1], net),
        t.InverseTransform(t.RandomPermutation(dim)),
        t.InverseTransform(t.AffineCouplingTransform([0, 0, 1, 1], net)),
        t.InverseTransform(t.ActNorm(dim)),
        t.AffineCouplingTransform([1, 1, 0, 1], net),
    ]
    embedding = torch.nn.BatchNorm1d(context_dim, eps=0.0, affine=False)
    embedding.running_mean.copy_(tensor(rng.normal(size=context_dim)))
    embedding.running_var.copy_(tensor(np.exp(rng.normal(size=context_dim))))
    flow = nflows.flows.Flow(t.CompositeTransform(chain), nflows.distributions.StandardNormal([dim]), embedding)
    randomise(flow, rng)

    layers = [standardize(mean, std)]
    for transform in flow._transform._transforms[1:]:
        inverse = int(isinstance(transform, t.InverseTransform))
        transform = transform._transform if inverse else transform
        if isinstance(transform, t.ActNorm):
            arrays = {"log_scale": array(transform.log_scale), "shift": array(transform.shift)}
            layers.append(Layer("actnorm", {"inverse": inverse}, {**arrays, "initialized": np.ones(1)}))
        elif isinstance(transform, t.Permutation):
            layers.append(permutation(array(transform._permutation), inverse))
        else:
            additive = isinstance(transform, t.AdditiveCouplingTransform)
            mask, moved = np.zeros(dim), len(transform.transform_features)
            mask[array(transform.identity_features)] = 1
            rows = None if additive else np.arange(2 * moved).reshape(2, moved)[::-1].T.ravel()  # all t, then all a
            attributes = conditioner("leaky_relu", "additive" if additive else "sigmoid", inverse=inverse)
            layers.append(coupling(attributes, mask, network(*linears(transform.transform_net), rows)))
    call = (
        f"Flow of PointwiseAffineTransform, ActNorm, AffineCouplingTransform, RandomPermutation, "
        f"AdditiveCouplingTransform, InverseTransform of RandomPermutation, AffineCouplingTransform and ActNorm, "
        f"AffineCouplingTransform; {dim} columns, {context_dim} of context through BatchNorm1d; MLP [10, 8] leaky_relu"
    )
    context = standardize(array(embedding.running_mean), np.sqrt(array(embedding.running_var)))
    return Case("nflows", call, Nflows(flow, dim, context_dim), layers, context)


def spline(bins, bound, boundary, activation, inverse=0):
    return {
        "activation": activation, "transformer": "rational_quadratic", "bins": bins, "low": -bound, "high": bound,
        "boundary": boundary, "min_width": 1e-3, "min_height": 1e-3, "min_derivative": 1e-3, "inverse": inverse,
    }  # fmt: skip


def spline_outputs(weights, biases, columns, bins, hidden_features=1):
    """nflows and normflows divide widths and heights by the root of hidden_features, if a network has such a number;
    Diffeo adds to a derivative what makes 1 of 0.
    """
    root = np.sqrt(hidden_features)
    weight, bias = weights[-1].reshape(columns, -1, weights[-1].shape[1]), biases[-1].reshape(columns, -1)
    weight[:, : 2 * bins] /= root
    bias[:, : 2 * bins] /= root
    bias[:, 2 * bins :] -= np.log(np.expm1(1 - 1e-3))
    return weights, biases


def lu_linear(transform):
    upper, lower = np.zeros((2, transform.features, transform.features))
    upper[transform.upper_indices] = array(transform.upper_entries)
    lower[transform.lower_indices] = array(transform.lower_entries)
    arrays = {"lower": lower, "upper": upper, "log_scale": np.log(array(transform.upper_diag))}
    arrays |= {"sign": np.ones(transform.features), "bias": array(transform.bias)}
    return Layer("lu", {}, {"permutation": np.arange(transform.features), **arrays})


def nflows_spline_coupling(rng):
    dim, context_dim, bins, bound, hidden, t = 3, 1, 3, 3.0, 5, nflows.transforms

    def net(inputs, outputs):
        made = Conditioner(inputs, outputs, context=context_dim, hidden=[hidden], activation=torch.tanh)
        made.hidden_features = hidden
        return made

    mask = [0, 1, 1]  # 1 is transformed
    made = t.PiecewiseRationalQuadraticCouplingTransform
    chain = [t.LULinear(dim), made(mask, net, num_bins=bins, tails="linear", tail_bound=bound), t.LULinear(dim)]
    flow = nflows.flows.Flow(t.CompositeTransform(chain), nflows.distributions.StandardNormal([dim]))
    randomise(flow, rng)
    outputs = spline_outputs(*linears(chain[1].transform_net), sum(mask), bins, hidden)
    middle = coupling(spline(bins, bound, "linear", "tanh"), 1 - np.array(mask), network(*outputs))
    layers = [lu_linear(chain[0]), middle, lu_linear(chain[2])]
    call = (
        "Flow of LULinear, PiecewiseRationalQuadraticCouplingTransform(num_bins=3, tails='linear', tail_bound=3), "
        "LULinear; 3 columns, 1 of context; MLP [5] tanh with hidden_features = 5"
    )
    return Case("nflows", call, Nflows(flow, dim, context_dim), layers)


def nflows_spline_autoregressive(rng):
    dim, bins, bound, t = 3, 3, 2.5, nflows.transforms
    spline_maf = t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
    arguments = {"hidden_features": 5, "num_bins": bins, "tails": "linear", "tail_bound": bound, "num_blocks": 1}
    transform = spline_maf(dim, use_residual_blocks=False, **arguments)
    chain = [t.ReversePermutation(dim), t.InverseTransform(transform)]
    flow = nflows.flows.Flow(t.CompositeTransform(chain), nflows.distributions.StandardNormal([dim]))
    randomise(flow, rng)
    net = transform.autoregressive_net
    masked = [net.initial_layer, *(b.linear for b in net.blocks), net.final_layer]
    masks, degrees = [array(m.mask) == 1 for m in masked], [array(m.degrees) for m in masked[:-1]]
    arrays = network(*spline_outputs(*linears(net), dim, bins, getattr(net, "hidden_features", 1)))
    attributes = spline(bins, bound, "linear", "relu", inverse=1)
    layers = [
        permutation(np.arange(dim)[::-1]),
        autoregressive(attributes, np.arange(dim), degrees, arrays, masks),
    ]
    call = (
        "Flow of ReversePermutation, InverseTransform of MaskedPiecewiseRationalQuadraticAutoregressiveTransform(3, 5, "
        "num_bins=3, tails='linear', tail_bound=2.5, num_blocks=1, use_residual_blocks=False)"
    )
    return Case("nflows", call, Nflows(flow, dim, 0), layers)


# ------------------------------------------------------------------------------------------------------------ normflows


class Normflows(Torch):
    """Some of its layers, from data to noise by their forward functions."""

    def __init__(self, layers, base, dim, box=None, context_dim=0):
        self.layers, self.base, self.dim, self.context_dim, self.box = layers, base, dim, context_dim, box

    def density(self, x, context):
        z, log_det = self._map([layer.forward for layer in self.layers], x, context)
        return self.base.log_prob(z).sum(dim=1) + log_det

    def to_noise(self, x, context):
        return map(array, self._map([layer.forward for layer in self.layers], tensor(x), tensor(context)))

    def from_noise(self, z, context):
        return map(array, self._map([layer.inverse for layer in reversed(self.layers)], tensor(z), tensor(context)))

    def _map(self, functions, values, context):
        total = torch.zeros(len(values))
        for function in functions:
            values, log_det = function(values) if context is None else function(values, context=context)
            total = total + log_det
        return values, total


def normflows_planar(rng):
    dim = 3
    planar = [randomise(normflows.flows.Planar((dim,)), rng) for _ in range(2)]
    layers = [Layer("planar", {}, {name: array(getattr(p, name)).ravel() for name in ("u", "w", "b")}) for p in planar]
    peer = Normflows(planar, torch.distributions.Normal(0.0, 1.0), dim)
    peer.from_noise = None  # with tanh normflows has no inverse
    return Case("normflows", "two Planar((3,)), from data to noise", peer, layers)


def normflows_residual(rng):
    dim, context_dim = 3, 2
    made = partial(normflows.flows.MaskedAffineAutoregressive, dim, 6, context_features=context_dim)
    chain = [made(), made(num_blocks=1, activation=torch.tanh, use_batch_norm=True)]
    for transform in chain:
        randomise(transform, rng)
        randomise_batch_norms(transform, rng)
    layers = [
        masked_preactivation(transform.autoregressive_net, conditioner(activation, "sigmoid"), "gate")
        for transform, activation in zip(chain, ("relu", "tanh"), strict=True)
    ]
    call = (
        "two MaskedAffineAutoregressive(3, 6, context_features=2), from data to noise, the second with num_blocks=1, "
        "activation=tanh, use_batch_norm=True"
    )
    peer = Normflows(chain, torch.distributions.Normal(0.0, 1.0), dim, context_dim=context_dim)
    return Case("normflows", call, peer, layers)


class Angles(torch.nn.Module):
    """An MLP that reads the cosine and the sine of each column."""

    def __init__(self, inputs, outputs, *, bound, hidden):
        super().__init__()
        self.bound = bound
        self.mlp = nflows.nn.nets.MLP([2 * inputs], [outputs], hidden, torch.tanh)

    def forward(self, kept, context=None):
        angle = torch.pi * (kept / self.bound + 1)
        return self.mlp(torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1).flatten(1))


def normflows_circular(rng):
    dim, bins, bound = 2, 4, float(np.pi)
    net = partial(Angles, bound=bound, hidden=[5])
    made = normflows.flows.neural_spline.coupling.PiecewiseRationalQuadraticCoupling
    couplings = [
        randomise(made(torch.tensor(mask), net, num_bins=bins, tails="circular", tail_bound=bound), rng)
        for mask in ([0, 1], [1, 0])
    ]
    layers = []
    for each in couplings:
        mask = np.zeros(dim)
        mask[array(each.identity_features)] = 1
        outputs = spline_outputs(*linears(each.transform_net), 1, bins)
        layers.append(coupling(spline(bins, bound, "periodic", "tanh"), mask, network(*outputs)))
    call = "two PiecewiseRationalQuadraticCoupling(num_bins=4, tails='circular', tail_bound=pi), 2 columns; MLP [5] tanh"
    base = torch.distributions.Uniform(-bound, bound, validate_args=False)
    peer = Normflows(couplings, base, dim, box=bound)
    return Case("normflows", call, peer, layers, base=Layer("uniform", {"low": -bound, "high": bound}, {}))


class Block(torch.nn.Module):
    """A layer whose forward is that of the density, without a context."""

    def __init__(self, forward, inverse):
        super().__init__()
        self.forward, self.inverse = forward, inverse


def normflows_coupling(rng):
    """Glow's coupling, and a spline coupling with splines of their own for the columns that it keeps."""
    dim, bins, bound = 4, 3, 2.5
    mlp = nflows.nn.nets.MLP([2], [4], [6], torch.tanh)
    affine = randomise(normflows.flows.AffineCouplingBlock(mlp, scale_map="sigmoid"), rng)

    def net(inputs, outputs):
        made = Conditioner(inputs, outputs, context=0, hidden=[5], activation=torch.tanh)
        made.forward = lambda kept, context: made.mlp(kept)
        return made

    made = normflows.flows.neural_spline.coupling.PiecewiseRationalQuadraticCoupling
    arguments = {"num_bins": bins, "tails": "linear", "tail_bound": bound, "apply_unconditional_transform": True}
    splines = randomise(made(torch.tensor([0, 1, 0, 1]), net, **arguments), rng)

    weights, biases = linears(mlp)
    biases[-1][1::2] += 2
    attributes = conditioner("tanh", "reciprocal_sigmoid")
    layers = [coupling(attributes, [1, 1, 0, 0], network(weights, biases, scale_first(2)))]
    outputs = spline_outputs(*linears(splines.transform_net), 2, bins)
    layers.append(coupling(spline(bins, bound, "linear", "tanh"), [1, 0, 1, 0], network(*outputs)))
    own = splines.unconditional_transform
    names = "unnormalized_widths", "unnormalized_heights", "unnormalized_derivatives"
    raw = np.concatenate([array(getattr(own, name)) for name in names], axis=1)
    raw[:, 2 * bins :] -= np.log(np.expm1(1 - 1e-3))
    columns = {"columns": array(splines.identity_features), "parameters": raw}
    layers.append(Layer("elementwise", spline_map(bins, -bound, bound, "linear"), columns))
    call = (
        "AffineCouplingBlock(scale_map='sigmoid') and PiecewiseRationalQuadraticCoupling(num_bins=3, tails='linear', "
        "tail_bound=2.5, apply_unconditional_transform=True), from data to noise; 4 columns; MLP [6] and [5] tanh"
    )
    peer = Normflows([affine, splines], torch.distributions.Normal(0.0, 1.0), dim)
    return Case("normflows", call, peer, layers)


# ----------------------------------------------------------------------------------------------------- FrEIA and Pyro


def freia_glow(rng):
    import FrEIA.modules

    dim, clamp = 5, 2.0
    block = FrEIA.modules.GLOWCouplingBlock(
        [(dim,)], subnet_constructor=lambda a, b: nflows.nn.nets.MLP([a], [b], [6], torch.tanh), clamp=clamp
    )
    randomise(block, rng)
    layer = Block(
        lambda x: (lambda y, j: (y[0], j))(*block([x])), lambda z: (lambda y, j: (y[0], j))(*block([z], rev=True))
    )
    layers, first = [], np.arange(dim) < block.split_len1
    for kept, net in ((~first, block.subnet2), (first, block.subnet1)):
        moved = dim - kept.sum()
        rows = np.arange(2 * moved).reshape(2, moved).T.ravel()  # all a, then all t
        layers.append(coupling(conditioner("tanh", "atan", 0.636 * clamp), kept, network(*linears(net), rows)))
    peer = Normflows([layer], torch.distributions.Normal(0.0, 1.0), dim)
    return Case("FrEIA", "GLOWCouplingBlock(clamp=2), 5 columns; MLP [6] tanh", peer, layers)


def pyro_flow(rng):
    """From noise to data, as Pyro has it: so the layers are inverse, and the last one is the first."""
    import pyro.distributions.transforms as transforms
    import pyro.nn

    dim, split, bins, bound = 3, 1, 4, 3.0
    affine = transforms.AffineAutoregressive(pyro.nn.AutoRegressiveNN(dim, [7, 6], permutation=torch.tensor([1, 2, 0])))
    hyper = pyro.nn.DenseNN(split, [5], [(dim - split) * n for n in (bins, bins, bins - 1)])
    outer = transforms.SplineCoupling(dim, split, hyper, bins, bound, order="quadratic")
    arrays_of_hyper, arn = linears(hyper), affine.arn
    for module in affine, outer:
        randomise(module, rng)

    def run(transform, z):
        y = transform(z)
        log_det = transform.log_abs_det_jacobian(z, y)
        return y, log_det.sum(dim=1) if log_det.dim() > 1 else log_det

    def back(transform, y):
        z = transform._inverse(y)
        return z, -run(transform, z)[1]

    parts = [Block(partial(back, t), partial(run, t)) for t in (outer, affine)]
    peer = Normflows(parts, torch.distributions.Normal(0.0, 1.0), dim)

    offset = np.log(np.expm1(1 - 1e-3))

    def raw(widths, heights, derivatives):
        return np.concatenate([widths, heights, derivatives - offset], axis=1)

    map_ = spline_map(bins, -bound, bound, "linear", boundary_derivative=1 - 1e-3)
    weights, biases = linears(hyper)
    assert len(weights) == len(arrays_of_hyper[0]) == 2
    moved = dim - split
    cuts = [moved * bins, 2 * moved * bins]
    blocks = [rows.reshape(moved, -1, weights[-1].shape[1]) for rows in np.split(weights[-1], cuts)]
    weights[-1] = np.concatenate(blocks, axis=1).reshape(-1, weights[-1].shape[1])
    biases[-1] = raw(*(rows.reshape(moved, -1) for rows in np.split(biases[-1], cuts))).ravel()
    own = outer.lower_spline
    names = "unnormalized_widths", "unnormalized_heights", "unnormalized_derivatives"
    columns = {"columns": np.arange(split), "parameters": raw(*(array(getattr(own, name)) for name in names))}
    layers = [
        # Of the columns before their own splines.
        Layer("elementwise", {**map_, "inverse": 1}, columns),
        coupling({"activation": "relu", **map_, "inverse": 1}, np.arange(dim) < split, network(weights, biases)),
    ]

    weights, biases = linears(arn)
    masks = [array(m.mask) == 1 for m in arn.layers]
    degrees = [masks[0].sum(axis=1)]
    for mask in masks[1:-1]:
        degrees.append(np.where(mask, degrees[-1], 0).max(axis=1))
    rows = np.arange(2 * dim).reshape(2, dim)[::-1].T.ravel()  # all t, then all a
    masks[-1] = masks[-1][rows]
    attributes = conditioner("relu", "clamped_exp", inverse=1) | {"log_scale_low": -5.0, "log_scale_high": 3.0}
    layers.append(autoregressive(attributes, array(arn.permutation), degrees, network(weights, biases, rows), masks))
    call = (
        "AffineAutoregressive(AutoRegressiveNN(3, [7, 6])) and SplineCoupling(3, 1, DenseNN [5], count_bins=4, "
        "order='quadratic'), from noise to data"
    )
    return Case("pyro-ppl", call, peer, layers)


# ------------------------------------------------------------------------------------------------- torch.distributions


class Distribution(Torch):
    """A distribution given the context, as a base without layers: x is z."""

    def __init__(self, given, dim, context_dim):
        self.given, self.dim, self.context_dim = given, dim, context_dim

    def density(self, x, context):
        return self.given(context).log_prob(x)

    def to_noise(self, x, context):
        return np.array(x), np.zeros(len(x))

    from_noise = to_noise


def torch_student_t(rng):
    dim, t = 3, torch.distributions
    log_df = rng.normal(1, 1, dim)
    peer = Distribution(lambda context: t.Independent(t.StudentT(torch.exp(tensor(log_df))), 1), dim, 0)
    base = Layer("student_t", {}, {"log_df": log_df})
    return Case("torch", "distributions.StudentT, 3 columns", peer, [], base=base)


def torch_mixture(rng):
    dim, context_dim, parts, t = 2, 2, 3, torch.distributions
    mlp = randomise(nflows.nn.nets.MLP([context_dim], [parts + 2 * parts * dim], [6], torch.tanh), rng)

    def given(context):
        logits, means, log_scales = torch.split(mlp(context), [parts, parts * dim, parts * dim], dim=1)
        normal = t.Normal(means.reshape(-1, parts, dim), torch.exp(log_scales).reshape(-1, parts, dim))
        return t.MixtureSameFamily(t.Categorical(logits=logits), t.Independent(normal, 1))

    base = Layer("mixture", {"components": parts, "activation": "tanh"}, network(*linears(mlp)))
    call = "distributions.MixtureSameFamily of Normal, 3 components, 2 columns; MLP [6] tanh of 2 columns of context"
    return Case("torch", call, Distribution(given, dim, context_dim), [], base=base)


# -------------------------------------------------------------------------------------------------------------- flowjax


class Flowjax:
    def __init__(self, flow, dim, context_dim):
        self.flow, self.dim, self.context_dim = unwrap(flow), dim, context_dim

    def log_prob(self, x, context):
        return np.array(self.flow.log_prob(x, context))

    def to_noise(self, x, context):
        return self._map(self.flow.bijection.inverse_and_log_det, x, context)

    def from_noise(self, z, context):
        return self._map(self.flow.bijection.transform_and_log_det, z, context)

    def gradient(self, x, context):
        which = 0 if context is None else (0, 1)
        gradients = jax.vmap(jax.grad(self.flow.log_prob, which), (0, None if context is None else 0))(x, context)
        return [np.array(g) for g in (gradients if isinstance(gradients, tuple) else [gradients])]

    def _map(self, function, values, context):
        return map(np.array, jax.vmap(function, (0, None if context is None else 0))(values, context))


def flowjax_flow(call, make, dim, context_dim, rng, activation, rule=("softplus", 1.0, 1e-2), inverse=0, spline=None, **arguments):
    """A masked_autoregressive_flow or coupling_flow; inverse for invert=False, where a layer maps noise to data. spline:
    attributes of another transformer than the affine one, and what makes its outputs Diffeo's.
    """
    flow = make(
        jax.random.key(7),
        base_dist=StandardNormal((dim,)),
        cond_dim=context_dim or None,
        invert=not inverse,
        **arguments,
    )
    weights, rest = eqx.partition(flow, eqx.is_inexact_array)
    leaves, tree = jax.tree_util.tree_flatten(weights)
    assert all(leaf.ndim in (2, 3) for leaf in leaves)  # stacked weights and biases, and nothing else
    leaves = [jnp.array(rng.normal(0, WEIGHT, leaf.shape)) for leaf in leaves]
    flow = eqx.combine(jax.tree_util.tree_unflatten(tree, leaves), rest)

    attributes = conditioner(activation, *rule, inverse=inverse)
    if spline:
        attributes = {"activation": activation, **spline[0]}
    chain = (flow.bijection if inverse else flow.bijection.bijection).bijection  # a Scan: leading axes count layers
    map_, permute = chain.bijections
    columns = permute.permutation[0] if hasattr(permute, "permutation") else [np.arange(dim)[::-1]] * leaves[0].shape[0]
    layers = []
    for i in range(leaves[0].shape[0]):
        shuffle = permutation(columns[i], inverse)
        if make is flowjax.flows.coupling_flow:
            mlp, rows = map_.conditioner.layers, scale_first(dim - dim // 2)
            weights, biases = [np.array(m.weight[i]) for m in mlp], [np.array(m.bias[i]) for m in mlp]
            arrays = network(*spline[1](weights, biases)) if spline else network(weights, biases, rows)
            layers += [coupling(attributes, np.arange(dim) < dim // 2, arrays), shuffle]
            continue
        mlp, rows = map_.masked_autoregressive_mlp.layers, scale_first(dim)
        masks = [np.array(m.weight.args[0][i]) for m in mlp]
        arrays = network([m.weight.args[1][i] for m in mlp], [m.bias[i] for m in mlp], rows)
        width = len(masks[0])
        degree = np.arange(width) % dim if context_dim else 1 + np.arange(width) % (dim - 1)  # their ranks, plus 1
        masks[-1] = masks[-1][rows]
        layers += [autoregressive(attributes, np.arange(dim), [degree] * (len(mlp) - 1), arrays, masks), shuffle]
    if inverse:
        layers.reverse()
    return Case("flowjax", call, Flowjax(flow, dim, context_dim), layers)


def flowjax_17_spline(**arguments):
    """The spline of flowjax 17, whose other parts have not changed."""
    file = Path(os.environ["FLOWJAX17"]) / "flowjax/bijections/rational_quadratic_spline.py"
    module_spec = importlib.util.spec_from_file_location("flowjax_17_spline", file)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module.RationalQuadraticSpline(**arguments)


def flowjax_17_outputs(columns, knots):
    """The first of its widths is halved, which leaves the other half to one bin more at the end."""

    def outputs(weights, biases):
        def widened(rows, less):
            rows = rows.reshape(columns, -1, *rows.shape[1:])
            parts = []
            for raw in (rows[:, :knots], rows[:, knots : 2 * knots]):
                raw = np.concatenate([raw, raw[:, :1]], axis=1)
                raw[:, [0, -1]] -= less
                parts.append(raw)
            return np.concatenate([*parts, rows[:, 2 * knots :]], axis=1).reshape(-1, *rows.shape[2:])

        weights[-1], biases[-1] = widened(weights[-1], 0), widened(biases[-1], np.log(2))
        return weights, biases

    return outputs


def flowjax_triangular(rng):
    dim, knots = 3, 4
    arguments = {"base_dist": StandardNormal((dim,)), "flow_layers": 2, "knots": knots, "tanh_max_val": 1.5}
    flow = flowjax.flows.triangular_spline_flow(jax.random.key(7), **arguments)
    weights, rest = eqx.partition(flow, eqx.is_inexact_array)
    weights = jax.tree.map(lambda leaf: jnp.array(rng.normal(0, WEIGHT, leaf.shape)), weights)
    flow = eqx.combine(weights, rest)
    layers = []
    for i in range(2):
        chain = jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_array(leaf) else leaf, flow.bijection.bijection.bijection)
        sandwich, affine, permute = chain.bijections
        inner = sandwich.inner.bijection
        raw = [inner.x_pos.arr, inner.y_pos.arr, inner.derivatives.args[0] - np.log(np.expm1(1 - 1e-3))]
        ends = {"columns": np.arange(dim), "bound": np.full(dim, 1.5)}
        splines = {"columns": np.arange(dim), "parameters": np.concatenate(raw, axis=1)}
        matrix = np.array(unwrap(affine).triangular)
        arrays = {"permutation": np.arange(dim), "lower": np.tril(matrix / np.diag(matrix), -1)}
        arrays |= {"upper": np.zeros((dim, dim)), "log_scale": np.log(np.abs(np.diag(matrix)))}
        arrays |= {"sign": np.sign(np.diag(matrix)), "bias": np.array(affine.loc)}
        layers += [
            Layer("domain", {"map": "leaky_tanh"}, ends),
            Layer("elementwise", spline_map(knots + 1, -1.0, 1.0, "free", 1e-3 / 2), splines),
            Layer("domain", {"map": "leaky_tanh", "inverse": 1}, ends),
            Layer("lu", {}, arrays),
            permutation(permute.permutation[0]),
        ]
    call = "triangular_spline_flow(flow_layers=2, knots=4, tanh_max_val=1.5), 3 columns"
    return Case("flowjax", call, Flowjax(flow, dim, 0), layers)


def flowjax_affine(scale):
    """The affine transformer of flowjax with another rule for its scale."""
    return eqx.tree_at(lambda affine: affine.scale, Affine(), Parameterize(scale, jnp.zeros(())))


# ---------------------------------------------------------------------------------------------------------------- cases


def case(name, rng):
    torch.manual_seed(7)  # for random orders and permutations
    nn, maf, couplings = torch.nn, flowjax.flows.masked_autoregressive_flow, flowjax.flows.coupling_flow
    match name:
        case "zuko-maf":
            flow = zuko.flows.MAF(5, transforms=3, hidden_features=(12, 9))
            return zuko_maf("MAF(5, transforms=3, hidden_features=(12, 9))", flow, 5, 0, "relu", rng)
        case "zuko-maf-context":
            flow = zuko.flows.MAF(4, 3, transforms=3, randperm=True, hidden_features=(8, 11), activation=nn.ELU)
            call = "MAF(4, 3, transforms=3, randperm=True, hidden_features=(8, 11), activation=ELU)"
            return zuko_maf(call, flow, 4, 3, "elu", rng)
        case "zuko-maf-one-column":
            flow = zuko.flows.MAF(1, 2, transforms=3, hidden_features=(8, 8), activation=nn.Sigmoid)
            call = "MAF(1, 2, transforms=3, hidden_features=(8, 8), activation=Sigmoid)"
            return zuko_one_column(call, flow, 2, "sigmoid", rng)
        case "zuko-realnvp":
            flow = zuko.flows.RealNVP(2, transforms=4, hidden_features=(16,), activation=nn.Tanh)
            call = "RealNVP(2, transforms=4, hidden_features=(16,), activation=Tanh)"
            return zuko_coupling(call, flow, 2, 0, "tanh", rng)
        case "zuko-nice-context":
            flow = zuko.flows.NICE(5, 2, transforms=3, randmask=True, hidden_features=(10, 8), activation=nn.SiLU)
            call = "NICE(5, 2, transforms=3, randmask=True, hidden_features=(10, 8), activation=SiLU)"
            return zuko_coupling(call, flow, 5, 2, "silu", rng)
        case "zuko-residual":
            hidden = {"hidden_features": (8, 8, 11), "activation": nn.Tanh, "residual": True}
            flow = zuko.flows.MAF(4, 2, transforms=2, randperm=True, **hidden)
            call = "MAF(4, 2, transforms=2, randperm=True, hidden_features=(8, 8, 11), activation=Tanh, residual=True)"
            return zuko_residual(call, flow, 4, 2, "tanh", rng)
        case "nflows-maf":
            flow = nflows.flows.MaskedAutoregressiveFlow(6, 12, 3, 1, use_residual_blocks=False)
            return nflows_maf("MaskedAutoregressiveFlow(6, 12, 3, 1, use_residual_blocks=False)", flow, 6, "relu", rng)
        case "nflows-coupling-context":
            return nflows_coupling(rng)
        case "nflows-residual":
            return nflows_residual(rng)
        case "nflows-residual-coupling":
            return nflows_residual_coupling(rng)
        case "normflows-residual":
            return normflows_residual(rng)
        case "flowjax-maf":
            arguments = {"flow_layers": 3, "nn_width": 12, "nn_depth": 1, "nn_activation": jax.nn.gelu}
            call = "masked_autoregressive_flow(flow_layers=3, nn_width=12, nn_activation=gelu), 2 columns"
            return flowjax_flow(call, maf, 2, 0, rng, "gelu", **arguments)
        case "flowjax-maf-context":
            arguments = {"flow_layers": 3, "nn_width": 10, "nn_depth": 2}
            call = "masked_autoregressive_flow(cond_dim=2, flow_layers=3, nn_width=10, nn_depth=2), 3 columns"
            return flowjax_flow(call, maf, 3, 2, rng, "relu", **arguments)
        case "flowjax-iaf-context":
            arguments = {"flow_layers": 2, "nn_width": 10, "nn_depth": 2, "nn_activation": jax.nn.tanh}
            arguments["transformer"] = flowjax_affine(jnp.exp)
            call = (
                "masked_autoregressive_flow(cond_dim=1, flow_layers=2, nn_width=10, nn_depth=2, nn_activation=tanh, "
                "invert=False, transformer with scale exp), 4 columns"
            )
            return flowjax_flow(call, maf, 4, 1, rng, "tanh", ("exp",), inverse=1, **arguments)
        case "flowjax-coupling":
            arguments = {"flow_layers": 3, "nn_width": 10, "nn_depth": 1}
            arguments["transformer"] = flowjax_affine(lambda a: jnp.exp(0.5 * jnp.tanh(a / 0.5)))
            call = "coupling_flow(flow_layers=3, nn_width=10, transformer with scale exp(tanh(a / 0.5) / 2)), 6 columns"
            return flowjax_flow(call, couplings, 6, 0, rng, "relu", ("tanh", 0.5), **arguments)
        case "flowjax-coupling-context":
            arguments = {"flow_layers": 3, "nn_width": 10, "nn_depth": 2, "nn_activation": jax.nn.softplus}
            call = (
                "coupling_flow(cond_dim=2, flow_layers=3, nn_width=10, nn_depth=2, nn_activation=softplus), 5 columns"
            )
            return flowjax_flow(call, couplings, 5, 2, rng, "softplus", **arguments)
        case "nflows-spline-coupling-context":
            return nflows_spline_coupling(rng)
        case "nflows-spline-autoregressive":
            return nflows_spline_autoregressive(rng)
        case "normflows-planar":
            return normflows_planar(rng)
        case "normflows-circular":
            return normflows_circular(rng)
        case "zuko-nsf-context":
            arguments = {"bins": 4, "transforms": 2, "hidden_features": (7, 6)}
            flow = zuko.flows.NSF(3, 2, **arguments)
            call = "NSF(3, 2, bins=4, transforms=2, hidden_features=(7, 6))"
            return zuko_maf(call, flow, 3, 2, "relu", rng, zuko_spline(4, 5.0, "linear"))
        case "zuko-ncsf":
            flow = zuko.flows.NCSF(2, bins=3, transforms=2, hidden_features=(8,))
            pi = float(np.pi)
            base = Layer("uniform", {"low": -pi - 1e-5, "high": pi + 1e-5}, {})
            call = "NCSF(2, bins=3, transforms=2, hidden_features=(8,))"
            return zuko_maf(call, flow, 2, 0, "relu", rng, zuko_spline(3, pi, "half_turn"), base, pi)
        case "nflows-general-context":
            return nflows_general(rng)
        case "normflows-coupling":
            return normflows_coupling(rng)
        case "freia-glow":
            return freia_glow(rng)
        case "pyro":
            return pyro_flow(rng)
        case "flowjax-spline":
            map_ = spline_map(5, -2.0, 2.0, "free", 1e-3 / 4), lambda weights, biases: (weights, biases)
            arguments = {"flow_layers": 2, "nn_width": 6, "nn_depth": 1}
            arguments["transformer"] = flowjax.bijections.RationalQuadraticSpline(knots=4, interval=2)
            call = "coupling_flow(flow_layers=2, nn_width=6, transformer RationalQuadraticSpline(knots=4, interval=2)), 3 columns"
            return flowjax_flow(call, couplings, 3, 0, rng, "relu", spline=map_, **arguments)
        case "flowjax-17-spline":
            minimum = 1e-2 / 4 / (1 + 1e-2)
            map_ = spline_map(5, -2.0, 2.0, "free", minimum, half_ends=1), flowjax_17_outputs(2, 4)
            arguments = {"flow_layers": 2, "nn_width": 6, "nn_depth": 1}
            arguments["transformer"] = flowjax_17_spline(knots=4, interval=2)
            call = "as flowjax-spline, with the spline of flowjax 17.2.1"
            return flowjax_flow(call, couplings, 3, 0, rng, "relu", spline=map_, **arguments)
        case "flowjax-triangular-spline":
            return flowjax_triangular(rng)
        case "torch-student-t":
            return torch_student_t(rng)
        case "torch-mixture-context":
            return torch_mixture(rng)
    raise SystemExit(f"there is no case {name}")


NAMES = [
    "zuko-maf", "zuko-maf-context", "zuko-maf-one-column", "zuko-realnvp", "zuko-nice-context", "nflows-maf",
    "nflows-coupling-context", "flowjax-maf", "flowjax-maf-context", "flowjax-iaf-context", "flowjax-coupling",
    "flowjax-coupling-context", "nflows-spline-coupling-context", "nflows-spline-autoregressive", "normflows-planar",
    "normflows-circular", "torch-student-t", "torch-mixture-context", "zuko-residual", "nflows-residual",
    "nflows-residual-coupling", "normflows-residual",
    "normflows-circular", "torch-student-t", "torch-mixture-context", "zuko-nsf-context", "zuko-ncsf",
    "nflows-general-context", "normflows-coupling", "freia-glow", "pyro", "flowjax-spline", "flowjax-17-spline",
    "flowjax-triangular-spline",
]  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- writing


def group_at(parent, path):
    """The group, made one by one on the way: HDF5 dates those that it makes itself."""
    for name in path.split("/"):
        parent = parent[name] if name in parent else parent.create_group(name)
    return parent


def component(group, layer):
    group.attrs["kind"] = layer.kind
    for name, value in layer.attributes.items():
        group.attrs[name] = value
    for name, values in layer.arrays.items():
        folder, _, last = name.rpartition("/")
        (group_at(group, folder) if folder else group)[last] = values


def write(path, made, rng):
    """The weight file; by the library itself /self_test log_prob of x given context, and in /golden

    z, log_det             where x goes, log abs det dz/dx
    gradient               d log_prob / dx
    gradient_context       d log_prob / dcontext, if there is a context
    noise                  other values of z, and by the library's inverse, given the same context:
    from_noise             where noise goes (without an inverse: noise is where from_noise goes)
    from_noise_log_det     log abs det of that
    """
    peer = made.peer
    spread = np.linspace(0.2, 4, ROWS)[:, None]  # the last rows are far out
    x, noise = spread * rng.normal(size=(ROWS, peer.dim)), spread * rng.normal(size=(ROWS, peer.dim))
    context = spread * rng.normal(size=(ROWS, peer.context_dim)) if peer.context_dim else None
    if getattr(peer, "box", None):  # angles, say
        x, noise = (peer.box * rng.uniform(-1, 1, (ROWS, peer.dim)) for _ in range(2))
    if peer.from_noise is None:
        from_noise = noise
        noise, log_det_there = peer.to_noise(from_noise, context)
        from_noise_log_det = -log_det_there
    else:
        from_noise, from_noise_log_det = peer.from_noise(noise, context)
    z, log_det = peer.to_noise(x, context)
    gradients = dict(zip(("gradient", "gradient_context"), peer.gradient(x, context), strict=False))

    with h5py.File(path, "w", libver=("v110", "v110")) as f:  # half the size of the default
        f.attrs.update(format="diffeo", format_version=[1, 0], created_by="Tests/golden/make.py", dtype="float64")
        f.attrs.update(dim=peer.dim, context_dim=peer.context_dim, event_shape=[peer.dim])
        component(f.create_group("base"), made.base or Layer("standard_normal", {}, {}))
        if made.context is not None:
            component(f.create_group("context"), made.context)
        f.create_group("layers")
        for i, layer in enumerate(made.layers):
            component(group_at(f, f"layers/{i:03}"), layer)
        f.create_group("metadata").attrs.update(library=f"{made.library} {version(made.library)}", flow=made.call)
        groups = {
            "self_test": {"x": x, "log_prob": peer.log_prob(x, context)},
            "golden": {
                "z": z, "log_det": log_det, **gradients,
                "noise": noise, "from_noise": from_noise, "from_noise_log_det": from_noise_log_det,
            },
        }  # fmt: skip
        if context is not None:
            groups["self_test"]["context"] = context
        for group, arrays in groups.items():
            for name, values in arrays.items():
                assert values.dtype == np.float64
                assert np.isfinite(values).all()
                group_at(f, group)[name] = values


def main(names):
    for name in names or NAMES:
        rng = np.random.default_rng(list(name.encode()))
        path = FOLDER / f"{name}.h5"
        made = case(name, rng)
        write(path, made, rng)
        print(f"| `{path.name}` | {made.library} {version(made.library)} | {made.call} |")


if __name__ == "__main__":
    main(sys.argv[1:])
