"""FrEIA: Ardizzone and others. A SequenceINN of vectors or images, from data to noise as it runs without `rev`, or a
GraphINN that is a chain.

It is no distribution: the noise is taken to be standard normal. Networks are whatever their users gave it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Mapped, Source, Step, reverse, standard_normal
from ._error import ConversionError
from ._images import FeatureMap, plain_convolutions, squeeze
from ._images import coupling as convolutional
from ._images import matrix as weights
from ._layers import Layer, Transformer
from ._network import Integer, Network, Real
from ._probe import Scale
from ._probe import scale as probe_scale
from ._torch import Reader, array, double, in_double, in_float32, integers, narrowed, plain, read, tensor
from .nflows import with_scale
from .normflows import as_wide

MODULES = ("FrEIA",)


def _at(part: Any) -> FeatureMap:
    """What a part is given: all columns."""
    return FeatureMap(int(np.prod(part.shape_in)), part.shape_in)


def _leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    """Of images layers of channels are at each place."""

    def run(rev: bool) -> Any:
        def function(x: Any, context: Any) -> Any:
            (z,), log_det = part((x,), **({"c": [context]} if part.dims_c else {}), rev=rev)
            return z, log_det

        return function

    at = _at(part)
    if len(at.shape) == 3:
        if part.dims_c:
            raise ConversionError(path, part, "its condition is images, ours a vector")
        layers = tuple(at.layer(each) for each in layers)
    return [at.step(part, path, layers, run(False), run(True), at.shaped(*part.shape_out))]


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


def _coupling(part: Any, path: str, kept: Any, name: str, transformer: Transformer, finish: Any) -> Layer:
    """A coupling with one network, whose outputs `finish` puts in our order."""
    module, inputs, where = getattr(part, name), int(kept.sum()), f"{path}.{name}"
    if len(part.shape_in) == 3:
        return convolutional(kept, transformer, finish(plain_convolutions(module, inputs, where)))
    return _layers.coupling(kept, transformer, finish(plain(module, inputs, where)))


def _one_net(part: Any, path: str, name: str, kept: Any) -> Layer:
    scale, moved = _scale(part, path), int((~kept).sum())
    return _coupling(
        part, path, kept, name, scale.transformer, lambda network: with_scale(network.select(_blocks(moved)), scale)
    )


def _glow(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    return _leaf(part, path, _one_net(part, path, "subnet2", second), _one_net(part, path, "subnet1", first))


def _one_sided(part: Any, path: str) -> list[Step]:
    return _leaf(part, path, _one_net(part, path, "subnet", _halves(part)[0]))


def _conditional(part: Any, path: str) -> list[Step]:
    return _leaf(part, path, _one_net(part, path, "subnet", np.zeros(part.channels, bool)))


def _two_nets(part: Any, path: str, number: int, kept: Any) -> Layer:
    if len(part.shape_in) == 3:
        return _two_convolutional_nets(part, path, number, kept)
    nets = [plain(getattr(part, f"subnet_{n}{number}"), int(kept.sum()), f"{path}.subnet_{n}{number}") for n in "st"]
    scale = _scale(part, path)
    count = nets[0].outputs
    a, t = nets[0].select(np.arange(count), scale.factor, scale.offset), nets[1]
    if len(a.widths) != len(t.widths):
        raise ConversionError(path, part, "its two networks have different numbers of layers")
    if a.layer_norm != t.layer_norm or (a.layer_norm and a.widths != t.widths):
        raise ConversionError(path, part, "its two networks have different layer normalisations")
    return _layers.coupling(kept, scale.transformer, as_wide(t, a), as_wide(a, t))


def _two_convolutional_nets(part: Any, path: str, number: int, kept: Any) -> Layer:
    """Two networks side by side are one."""
    s, t = (
        plain_convolutions(getattr(part, f"subnet_{n}{number}"), int(kept.sum()), f"{path}.subnet_{n}{number}")
        for n in "st"
    )
    both, scale = s.beside(t), _scale(part, path)
    if both is None:
        raise ConversionError(path, part, "its two networks have different numbers of layers, or activations")
    return convolutional(kept, scale.transformer, with_scale(both.select(_blocks(s.outputs)), scale))


def _rnvp(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    return _leaf(part, path, _two_nets(part, path, 2, second), _two_nets(part, path, 1, first))


def _nice(part: Any, path: str) -> list[Step]:
    first, second = _halves(part)
    layers = [
        _coupling(part, path, kept, name, _layers.affine("additive"), lambda network: network)
        for name, kept in (("F", second), ("G", first))
    ]
    return _leaf(part, path, *layers)


def _all_in_one(part: Any, path: str) -> list[Step]:
    """Coupling, a global affine map, and a permutation or rotation."""
    if part.GIN:
        raise ConversionError(path, part, "a GIN block, whose scales depend on one another")
    first = np.arange(part.in_channels) < part.splits[0]
    count, clamp = part.splits[1], float(part.clamp)
    factor = np.tile([0.1 * clamp, 0.1], count)
    transformer = _layers.affine("tanh", bound=clamp)
    with double():
        scale = array(part.global_scale_activation(part.global_scale)).ravel()
        matrix = array(part._construct_householder_permutation() if part.householder else part.w_perm)
    matrix = matrix.reshape(part.in_channels, part.in_channels)
    layers = [
        _coupling(part, path, first, "subnet", transformer, lambda network: network.select(_blocks(count), factor)),
        _layers.elementwise_affine(np.log(scale), array(part.global_offset).ravel()),
        _orthogonal(matrix),
    ]
    layers = [*([_orthogonal(matrix.T)] if part.reverse_pre_permute else []), *layers]
    return _counted(part, _leaf(part, path, *layers))


def _uncounted(part: Any) -> float:
    """The log-determinant of its constant matrices as they are stored, less what FrEIA takes it to be.

    That is 0 for rotations, which are rounded, and another rounded number for those that somebody gave.
    """
    places = int(np.prod(part.shape_in[1:]))
    if type(part).__name__ in CONSTANT:
        with double():
            counted = part((tensor(np.zeros((1, *part.shape_in))),))[1]
        return places * float(np.linalg.slogdet(_matrix(part)[0])[1]) - float(np.asarray(counted).ravel()[0])
    if getattr(part, "w_perm", None) is None or part.householder:
        return 0.0
    matrix = array(part.w_perm)
    log_det = float(np.linalg.slogdet(matrix.reshape(len(matrix), -1))[1])
    return places * log_det * (2 if part.reverse_pre_permute else 1)


def _counted(part: Any, steps: list[Step]) -> list[Step]:
    """The same with the whole log-determinant."""
    more, less = _plus(_uncounted(part)), _plus(-_uncounted(part))
    return [replace(step, forward=more(step.forward), backward=less(step.backward)) for step in steps]


def _matrix(part: Any) -> tuple[Real, Real]:
    """Matrix and shift of a part that is affine, at each place of an image: what it makes of unit vectors."""
    channels, *places = part.shape_in
    units = np.concatenate([np.zeros((1, channels)), np.eye(channels)]).reshape(-1, channels, *(1 for _ in places))
    with double():
        shift, *columns = array(part((tensor(units),))[0][0]).reshape(channels + 1, channels)
    return np.stack(columns, axis=1) - shift[:, None], shift


def _affine(part: Any, path: str) -> list[Step]:
    """A constant matrix, whatever it is made of."""
    if part.dims_c:
        raise ConversionError(path, part, "its matrix is made of a condition")
    matrix, shift = _matrix(part)
    scale = np.diag(matrix)
    if len(part.shape_in) == 3:
        layer = weights(matrix)
    elif np.array_equal(matrix, np.diag(scale)) and (scale > 0).all():
        layer = _layers.elementwise_affine(np.log(scale), shift)
    else:
        layer = _layers.linear(matrix, shift)
    return _counted(part, _leaf(part, path, layer))


def _plus(constant: float) -> Callable[[Map], Map]:
    """A map with a constant more in its log-determinant."""

    def more(function: Map) -> Map:
        def run(x: Real, context: Real | None) -> Mapped:
            z, log_det = function(x, context)
            return z, log_det + constant

        return run

    return more


def _orthogonal(matrix: Real) -> Layer:
    order = np.argmax(matrix, axis=1)
    if np.array_equal(matrix, np.eye(len(matrix))[order]):
        return _layers.permutation(order)
    return _layers.linear(matrix)


def _act_norm(part: Any, path: str) -> list[Step]:
    """Its words for scale and shift have changed between releases: what it does to two rows tells."""
    if getattr(part, "init_on_next_batch", False) or not getattr(part, "is_initialized", True):
        raise ConversionError(path, part, "it has not seen data yet, from which it would take its scale")
    shape = part.shape_in
    with double():
        zero, one = (array(part((tensor(np.full((1, *shape), value)),))[0][0])[0] for value in (0.0, 1.0))
    scale, shift = (each.reshape(shape[0], -1)[:, 0] for each in (one - zero, zero))  # of a channel all the same
    return _leaf(part, path, _layers.elementwise_affine(np.log(scale), shift))


def _downsampling(part: Any, path: str) -> list[Step]:
    """Squares of 2 x 2 places to channels: as a squeeze and what it makes of the channels after it."""
    at = _at(part)
    channels = at.shape[0]
    squares = np.eye(4 * channels).reshape(4 * channels, channels, 2, 2)
    with double():
        matrix = array(part((tensor(squares),))[0][0]).reshape(4 * channels, 4 * channels).T
    places = np.arange(4 * channels).reshape(channels, 4).T.ravel()
    then = at.shaped(*part.shape_out)
    order, layers = "channels", []
    if np.array_equal(matrix, np.eye(4 * channels)[places]):
        order = "places"
    elif not np.array_equal(matrix, np.eye(4 * channels)):
        layers = [then.layer(weights(matrix))]
    (step,) = _leaf(part, path)
    return [replace(step, layers=[at.layer(squeeze(order)), *layers])]


def _upsampling(part: Any, path: str) -> list[Step]:
    """The inverse of a downsampling, which it is derived from."""
    below = copy.copy(part)
    below.__class__ = type(part).__mro__[1]
    below.shape_in, below.shape_out = part.shape_out, part.shape_in
    return [replace(step, part=part) for step in reverse(_downsampling(below, path))]


def _sigmoid(part: Any, path: str) -> list[Step]:
    if len(part.shape_in) == 3:
        raise ConversionError(path, part, "it takes images to the unit interval")
    return _leaf(part, path, _layers.domain("logit", low=0, high=1).inverted())


def _shape_only(part: Any, path: str) -> list[Step]:
    return []


CONSTANT = ("FixedLinearTransform", "Fixed1x1Conv", "HouseholderPerm", "OrthogonalTransform")

TABLE: dict[str, Reader] = {
    **dict.fromkeys(CONSTANT, _affine),
    "GLOWCouplingBlock": _glow,
    "RNVPCouplingBlock": _rnvp,
    "NICECouplingBlock": _nice,
    "AffineCouplingOneSided": _one_sided,
    "ConditionalAffineTransform": _conditional,
    "AllInOneBlock": _all_in_one,
    "ActNorm": _act_norm,
    "IRevNetUpsampling": _upsampling,
    "IRevNetDownsampling": _downsampling,
    "HaarUpsampling": _upsampling,
    "HaarDownsampling": _downsampling,
    "InvertibleSigmoid": _sigmoid,
    "Flatten": _shape_only,
    "Reshape": _shape_only,
    "PermuteRandom": lambda part, path: _leaf(part, path, _layers.permutation(integers(part.perm))),
}


def _conditions(flow: Any) -> list[list[int]]:
    """Which conditions each part has: numbers in the list of those that there are.

    In a SequenceINN a list stands for rows of a tensor, as some have it: for the tensor itself if it counts them all.
    """
    if hasattr(flow, "node_list"):
        nodes = {id(node.module): node for node in flow.node_list}
        return [[flow.condition_nodes.index(each) for each in nodes[id(part)].conditions] for part in flow.module_list]
    found = []
    for each in flow.conditions:
        rows = isinstance(each, list)
        if rows and each != list(range(len(each))):
            raise ConversionError("", flow, f"its condition is the rows {each} of a tensor, not all of them in order")
        found.append([] if each is None else [-1 if rows else int(each)])
    used = sorted({each for some in found for each in some})
    if -1 in used and len(used) > 1:
        raise ConversionError("", flow, "its conditions are a tensor and parts of it")
    return [[used.index(each) for each in some] for some in found]


def _columns(flow: Any, conditions: list[list[int]]) -> list[Integer]:
    """Of the context, which has the conditions side by side: those of each."""
    widths = {k: node.output_dims[0] for k, node in enumerate(getattr(flow, "condition_nodes", ()))}
    for part, some in zip(flow.module_list, conditions, strict=True):
        widths |= dict(zip(some, part.dims_c or (), strict=True))
    ends = np.cumsum([0, *(int(np.prod(widths[k])) for k in sorted(widths))])
    return [np.arange(*pair) for pair in pairwise(ends)]


def _reading(step: Step, columns: Integer, width: int) -> Step:
    """A step that reads these columns of a context."""
    matrix = np.eye(width)[columns]

    def wide(network: Network | None) -> Network | None:
        return None if network is None else network.embedding(matrix, np.zeros(len(columns)))

    def of(function: Map) -> Map:
        return lambda x, context: function(x, None if context is None else context[:, columns])

    layers = [replace(each, network=wide(each.network), scale_network=wide(each.scale_network)) for each in step.layers]
    return replace(step, layers=layers, forward=of(step.forward), backward=of(step.backward))


def _given(flow: Any, conditions: list[list[int]]) -> Any:
    """A copy with these conditions."""
    made = copy.copy(flow)
    made.__dict__ = {**flow.__dict__, "conditions": [some[0] if some else None for some in conditions]}
    return made


def _chain(graph: Any) -> list[tuple[int, ...]]:
    """The shapes between the modules of a graph, which must be one after the other."""
    apart = [node for node in graph.node_list if node not in graph.condition_nodes]
    for before, node in pairwise(apart):
        if [each for each, _ in node.inputs] != [before]:
            names = (type(each.module or each).__name__ for each in (node, before))
            raise ConversionError("", graph, "its {} does not follow on {} alone, as in a chain".format(*names))
    return [node.output_dims[0] for node in apart[:-1]]


def source(flow: Any) -> Source:
    """What a SequenceINN is, or a GraphINN that is a chain."""
    if not hasattr(flow, "module_list"):
        raise ConversionError("", flow, "only a SequenceINN or a GraphINN is converted")
    original = flow
    flow, dtype = in_double(flow)
    graph = hasattr(flow, "node_list")
    shapes = [tuple(int(size) for size in shape) for shape in (_chain(flow) if graph else flow.shapes)]
    if len(shapes[0]) not in (1, 3):
        raise ConversionError("", flow, f"its inputs have the shape {shapes[0]}, not that of vectors or images")
    conditions = _conditions(flow)
    columns = _columns(flow, conditions)
    if not graph:
        original, flow = _given(original, conditions), _given(flow, conditions)
    steps = []
    for i, each in enumerate(flow.module_list):
        each.shape_in, each.shape_out = shapes[i], shapes[i + 1]
        found = read(TABLE, each, f"module_list.{i}")
        if len(columns) > 1 and conditions[i]:
            own = np.concatenate([columns[k] for k in conditions[i]])
            found = [_reading(step, own, sum(map(len, columns))) for step in found]
        steps += found

    uncounted = sum(_uncounted(each) for each in flow.module_list)

    def run(module: Any, rev: bool) -> Map:
        at = FeatureMap(int(np.prod(shapes[0])), shapes[-1] if rev else shapes[0])

        def one(x: Any, context: Any) -> Any:
            given = {"c": [context[:, each] for each in columns]} if columns else {}
            z, log_det = module(x, **given, rev=rev)
            return z[0] if isinstance(z, (list, tuple)) else z, log_det

        return _plus(-uncounted if rev else uncounted)(at.run(one))

    def density(module: Any) -> Callable[[Real, Real | None], Real]:
        forward = run(module, False)

        def log_prob(x: Real, context: Real | None) -> Real:
            z, log_det = forward(x, context)
            return standard_normal(z, context) + log_det

        return log_prob

    dim, base, name = int(np.prod(shapes[0])), Layer("standard_normal"), "GraphINN" if graph else "SequenceINN"
    maps = run(flow, False), run(flow, True)
    made = Source("FrEIA", name, dim, steps, base, density(flow), standard_normal, *maps, dtype)
    made.in_float32 = in_float32(narrowed(original), density)
    if abs(uncounted) > 1e-12:
        made.notes = (
            f"FrEIA has the determinants of constant matrices rounded, those of rotations as 1; of matrices as stored "
            f"their logarithms are {uncounted:.1e} more, which log_prob has here and has not there",
        )
    made.shape = shapes[0] if len(shapes[0]) == 3 else ()
    return made
