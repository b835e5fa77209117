"""nflows 0.14 and its later sources, nsf, and glasflow: Durkan, Bekasov, Murray, Papamakarios 2019 and 2020.

Its transforms go from data to noise in the order of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _layers
from ._bases import box_uniform, standard_noise
from ._check import Map, Mapped, Source, Step, reverse
from ._convolutions import AnyNetwork
from ._embedding import embedding, inputs_of, is_scale
from ._error import ConversionError
from ._file import Scalar
from ._images import FeatureMap, ImageReader, coupling, plain_convolutions, residual_convolutions, squeeze
from ._layers import Layer, Transformer
from ._network import Block, Dense, Network, Real, real
from ._probe import Scale, sigmoid_scale, softplus, softplus_scale
from ._probe import scale as probe_scale
from ._torch import (
    Reader,
    activated,
    activation,
    array,
    double,
    exported,
    in_double,
    in_float32,
    integers,
    is_linear,
    leaf,
    linear,
    narrowed,
    network_of,
    normalisation,
    plain,
    read,
    scale_and_shift,
    tensor,
)

MODULES = ("nflows", "glasflow", "nde", "nessai")

# ------------------------------------------------------------------------------------------------------------ networks


def residual_net(net: Any, path: str, *, inputs: int | None = None, glu: bool = True) -> Network:
    """A ResidualNet, a MADE, or dingo's: first, blocks, which matrices between may widen, and last.

    dingo's first matrix reads no context: of `inputs` columns, if they are said.
    """
    links = list(getattr(net, "resize_layers", ()))
    last = linear(net.final_layer if hasattr(net, "final_layer") else links[-1])
    blocks = [_block(block, f"{path}.blocks.{i}", glu) for i, block in enumerate(net.blocks)]
    for i, link in enumerate(links[: len(blocks) - 1]):
        blocks[i + 1] = replace(blocks[i + 1], link=linear(link)) if is_linear(link) else blocks[i + 1]
    names = {activation(b.activation, f"{path}.blocks.{i}", b) for i, b in enumerate(net.blocks)}
    epsilons = {float(norm.eps) for b in net.blocks for norm in getattr(b, "layer_norm_layers", ())} or {0.0}
    if len(names) > 1 or len(epsilons) > 1:
        raise ConversionError(path, net, "its blocks have different activations, or normalisations")
    gates = [block.gate for block in blocks if block.gate is not None]
    context = getattr(net, "context_features", None) or (gates[0].weight.shape[1] if gates else 0)
    first = linear(net.initial_layer)
    if inputs is not None and inputs == first.weight.shape[1] and context:
        first = first.columns(np.concatenate([np.arange(inputs), np.full(context, -1)]))
    mode = "gate" if context and glu and blocks else "input"
    rates = {float(b.dropout.p) for b in net.blocks if hasattr(b, "dropout")} - {1.0}
    return Network(
        (first, last), names.pop() if names else "relu", context, "preactivation", tuple(blocks), mode,
        dropout=max(rates, default=0.0), layer_norm=epsilons.pop(),
    )  # fmt: skip


def _context_layer(part: Any) -> Dense | None:
    """What reads the context; one that is made for no columns is never called."""
    found = linear(part.context_layer) if hasattr(part, "context_layer") else None
    return found if found is not None and found.weight.size else None


def _block(block: Any, path: str, glu: bool) -> Block:
    inner, outer = (linear(each) for each in block.linear_layers)
    context = _context_layer(block)
    found = Block(inner, outer)
    if hasattr(block, "batch_norm_layers"):
        first, second = (normalisation(norm) for norm in block.batch_norm_layers)
        if context is not None and not glu:
            context = context.then(second[0], np.zeros(len(second[0])))
        found = Block(inner.then(*second), outer, scale=first[0], shift=first[1])
    elif hasattr(block, "layer_norm_layers"):
        first, second = (scale_and_shift(norm) for norm in block.layer_norm_layers)
        found = Block(inner, outer, scale=first[0], shift=first[1], inner_norm=second)
    if context is None:
        return found
    if glu:
        return replace(found, gate=context)
    added = Dense(found.inner.weight, found.inner.bias + context.bias, found.inner.sees)
    return replace(found, inner=added, context=context.weight)


def made(net: Any, path: str) -> Network:
    """A MADE, of residual or of feed-forward blocks."""
    if exported(net):
        return network_of(net, path)
    context = _context_layer(net)
    if all(hasattr(block, "linear_layers") for block in net.blocks) and len(net.blocks):
        network = residual_net(net, path, glu=False)
    else:
        dense = [linear(net.initial_layer)]
        for block in net.blocks:
            masked = linear(block.linear)
            if block.batch_norm is not None:
                masked = masked.after(*normalisation(block.batch_norm))
            dense.append(masked)
        layers = *dense, linear(net.final_layer)
        if context is None:
            network = Network(*activated(layers, [net.activation] * len(dense), path, net))
        else:  # of which it is the activation, too
            network = Network(layers, activation(net.activation, path, net))
        if not len(net.blocks) and getattr(net, "use_residual_blocks", False):
            raise ConversionError(path, net, "it has no hidden layers, and no activation either")
    if context is None:
        return network
    return replace(network, context=context.weight.shape[1], context_mode="shift", context_layer=context)


def _network(net: Any, inputs: int, path: str) -> Network:
    if exported(net):
        return network_of(net, path)
    if _is_residual(net):
        if "Conv" in type(net).__name__:
            raise ConversionError(path, net, "a network of images in a flow of vectors")
        if not len(net.blocks):
            raise ConversionError(path, net, "it has no blocks")
        return residual_net(net, path, inputs=inputs)
    return plain(net, inputs, path)


# ---------------------------------------------------------------------------------------------------------- transforms


def interleaved(columns: int) -> Any:
    """Rows a, t for each column from all t and then all a."""
    return np.stack([np.arange(columns, 2 * columns), np.arange(columns)], axis=1).ravel()


def with_scale(network: AnyNetwork, scale: Scale) -> AnyNetwork:
    """Its outputs a, t with our a."""
    count = network.outputs // 2
    factor, offset = np.tile([scale.factor, 1.0], count), np.tile([scale.offset, 0.0], count)
    return network.select(np.arange(2 * count), factor, offset)


def _coupling_mask(part: Any) -> Any:
    mask = np.zeros(part.features, np.int64)
    mask[integers(part.identity_features)] = 1
    return mask


def _affine_coupling(part: Any, path: str) -> list[Step]:
    mask = _coupling_mask(part)
    network = _network(part.transform_net, int(mask.sum()), f"{path}.transform_net")
    transformer, network = _affine_outputs(part, path, network, int((1 - mask).sum()))
    layers = [_layers.coupling(mask, transformer, network)]
    return leaf(part, path, layers + _kept(part, path, mask))


def _affine_outputs(part: Any, path: str, network: AnyNetwork, moved: int) -> tuple[Transformer, AnyNetwork]:
    """The map of an affine coupling, and its network with outputs for it."""
    if network.outputs == moved:
        return _layers.affine("additive"), network
    function = getattr(part, "scale_activation", None)
    scale: Scale | None = sigmoid_scale(2.0, 1e-3)
    if function is not None:
        with double():
            scale = probe_scale(lambda a: array(function(tensor(a))))
    if scale is None:
        raise ConversionError(path, part, "its scale_activation is none that Diffeo knows")
    return scale.transformer, with_scale(network.select(interleaved(moved)), scale)


def _kept(part: Any, path: str, mask: Any) -> list[Layer]:
    """What happens to the columns that the network reads, after it has read them."""
    if getattr(part, "unconditional_transform", None) is None:
        return []
    where = f"{path}.unconditional_transform"
    steps = read(TABLE, part.unconditional_transform, where)
    wide = [step.on(np.flatnonzero(mask), len(mask)) for step in steps]
    return [layer for step in wide for layer in step.layers]


def spline_transformer(part: Any, path: str) -> Transformer:
    """The spline of a part that says bins, tails and minima in nflows' words."""
    tails = part.tails
    if isinstance(tails, (list, tuple)):
        if len(set(tails)) > 1:
            raise ConversionError(path, part, "columns with different tails in one layer")
        tails = tails[0]
    bound = part.tail_bound
    if hasattr(bound, "detach"):
        if len(set(array(bound).ravel())) > 1:
            raise ConversionError(path, part, "columns with different bounds in one layer")
        bound = float(array(bound).ravel()[0])
    boundary = {"linear": "linear", "circular": "periodic", None: "interval"}.get(tails)
    if boundary is None:
        raise ConversionError(path, part, f"tails {tails!r}")
    low, high = (0.0, 1.0) if tails is None else (-bound, bound)
    bins = part.num_bins if hasattr(part, "num_bins") else part.unnormalized_widths.shape[-1]
    minima = {"min_width": part.min_bin_width, "min_height": part.min_bin_height}
    return _layers.spline(bins, low, high, boundary, **minima, min_derivative=part.min_derivative)


def spline_outputs(transformer: Transformer, columns: int, root: float = 1.0) -> tuple[Any, Any]:
    """Factor and offset that make our outputs of theirs: widths and heights are divided by the root, and ours have
    derivative 1 at 0.
    """
    bins, per = int(str(transformer.attributes["bins"])), transformer.parameters
    minimum = float(str(transformer.attributes["min_derivative"]))
    factor = np.where(np.arange(per) < 2 * bins, 1 / root, 1.0)
    offset = np.where(np.arange(per) < 2 * bins, 0.0, -np.log(np.expm1(1 - minimum)))
    return np.tile(factor, columns), np.tile(offset, columns)


def _root(net: Any) -> float:
    return float(np.sqrt(getattr(net, "hidden_features", None) or getattr(net, "hidden_channels", None) or 1))


def _spline_coupling(part: Any, path: str) -> list[Step]:
    mask = _coupling_mask(part)
    network = _network(part.transform_net, int(mask.sum()), f"{path}.transform_net")
    transformer, network = _spline_network(part, path, network, int((1 - mask).sum()))
    return leaf(part, path, [_layers.coupling(mask, transformer, network), *_kept(part, path, mask)])


def _spline_network(part: Any, path: str, network: AnyNetwork, moved: int) -> tuple[Transformer, AnyNetwork]:
    """The spline of a coupling, and its network with outputs for it."""
    transformer = spline_transformer(part, path)
    outputs = spline_outputs(transformer, moved, _root(part.transform_net))
    return transformer, network.select(np.arange(network.outputs), *outputs)


def _affine_autoregressive(part: Any, path: str) -> list[Step]:
    last = getattr(part.autoregressive_net, "last", None)
    if exported(part.autoregressive_net) and last is not None:
        network = network_of(part.autoregressive_net, f"{path}.autoregressive_net")
        columns = integers(last.columns)
        kept = columns == network.outputs // last.transformer.parameters
        if not kept.any() and np.array_equal(columns, np.arange(part.features)):
            return leaf(part, path, [_layers.autoregressive(part.features, last.transformer, network)])
        network = network.reading(np.flatnonzero(kept))
        return leaf(part, path, [_layers.coupling(kept.astype(np.int64), last.transformer, network)])
    network = made(part.autoregressive_net, f"{path}.autoregressive_net")
    scale = softplus_scale(getattr(part, "_epsilon", 1e-3))
    layer = _layers.autoregressive(part.features, scale.transformer, with_scale(network, scale))
    return leaf(part, path, [layer])


def _spline_autoregressive(part: Any, path: str) -> list[Step]:
    network = made(part.autoregressive_net, f"{path}.autoregressive_net")
    transformer = spline_transformer(part, path)
    dim = network.inputs
    outputs = spline_outputs(transformer, dim, _root(part.autoregressive_net))
    network = network.with_last(lambda last: last.then(*outputs))
    return leaf(part, path, [_layers.autoregressive(dim, transformer, network)])


def _spline_cdf(part: Any, path: str) -> list[Step]:
    return leaf(part, path, [_splines(part, path)])


def _splines(part: Any, path: str) -> Layer:
    """The splines of a PiecewiseRationalQuadraticCDF, one a number."""
    transformer = spline_transformer(part, path)
    names = "unnormalized_widths", "unnormalized_heights", "unnormalized_derivatives"
    arrays = [array(getattr(part, name)) for name in names]
    values = np.concatenate([each.reshape(-1, each.shape[-1]) for each in arrays], axis=1)
    factor, offset = spline_outputs(transformer, len(values))
    return _layers.elementwise(transformer, values * factor.reshape(values.shape) + offset.reshape(values.shape))


def triangles(part: Any) -> tuple[Any, Any]:
    """Matrices of the entries below and above the diagonal."""
    lower, upper = np.zeros((2, part.features, part.features))
    if hasattr(part, "lower_entries"):
        lower[np.tril_indices(part.features, -1)] = array(part.lower_entries)
    upper[np.triu_indices(part.features, 1)] = array(part.upper_entries)
    return lower, upper


def lu(part: Any) -> Layer:
    """An LULinear."""
    diagonal = softplus(array(part.unconstrained_upper_diag)) + part.eps
    return _layers.lu(*triangles(part), diagonal, array(part.bias))


def _reflections(part: Any) -> Layer:
    return _layers.householder(array(part.q_vectors)[::-1])


def _qr(part: Any, path: str) -> list[Step]:
    diagonal = np.exp(array(part.log_upper_diag))
    layers = [_layers.lu(*triangles(part), diagonal), _reflections(part.orthogonal)]
    return leaf(part, path, [*layers, _shift(array(part.bias))])


def _svd(part: Any, path: str) -> list[Step]:
    middle = _layers.elementwise_affine(array(part.log_diagonal), np.zeros(part.features))
    layers = [_reflections(part.orthogonal_2), middle, _reflections(part.orthogonal_1), _shift(array(part.bias))]
    return leaf(part, path, layers)


def _shift(values: Any) -> Layer:
    return _layers.elementwise_affine(np.zeros(len(values)), values)


def _batch_norm(part: Any, path: str) -> list[Step]:
    gamma = softplus(array(part.unconstrained_weight)) + part.eps
    statistics = array(part.running_mean), array(part.running_var)
    return leaf(part, path, [_layers.batch_norm(gamma, array(part.bias), *statistics, part.eps, part.momentum)])


def _pointwise_affine(part: Any, path: str) -> list[Step]:
    scale, shift = np.broadcast_arrays(array(part._scale), array(part._shift))
    if scale.ndim > 1:
        raise ConversionError(path, part, "constants of images in a flow of vectors")
    return leaf(part, path, [_layers.elementwise_affine(np.log(scale), shift)])


def _composite(part: Any, path: str) -> list[Step]:
    return [step for i, each in enumerate(part._transforms) for step in read(TABLE, each, f"{path}._transforms.{i}")]


def _multiscale(part: Any, path: str) -> list[Step]:
    """The first half of what each transform gives is done, the second goes on."""
    if part._split_dim != 1 or any(len(shape) != 1 for shape in part._output_shapes):
        raise ConversionError(path, part, "a transform of images in a flow of vectors")
    dim = sum(int(np.prod(shape)) for shape in part._output_shapes)
    steps, done = [], 0
    for i, each in enumerate(part._transforms):
        for step in read(TABLE, each, f"{path}._transforms.{i}"):
            steps.append(step.on(np.arange(done, dim), dim))
        done += int(np.prod(part._output_shapes[i]))
    return steps


def _inverse(part: Any, path: str) -> list[Step]:
    return reverse(read(TABLE, part._transform, f"{path}._transform"))


def _sigmoid(part: Any, path: str) -> list[Step]:
    """sigmoid(temperature x); its inverse cuts off what is within eps of 0 and 1, ours does not."""
    scale = np.log(array(part.temperature).ravel()[0])
    layers = [_layers.elementwise_affine(scale, 0), _layers.domain("logit", low=0, high=1).inverted()]
    return leaf(part, path, layers)


def _tanh(part: Any, path: str) -> list[Step]:
    """tanh(x) is 2 sigmoid(2 x) - 1."""
    return leaf(
        part, path, [_layers.elementwise_affine(np.log(2), 0), _layers.domain("logit", low=-1, high=1).inverted()]
    )


TABLE: dict[str, Reader] = {
    "CompositeTransform": _composite,
    "MultiscaleCompositeTransform": _multiscale,
    "InverseTransform": _inverse,
    "AffineCouplingTransform": _affine_coupling,
    "PiecewiseRationalQuadraticCouplingTransform": _spline_coupling,
    "MaskedAffineAutoregressiveTransform": _affine_autoregressive,
    "MaskedPiecewiseRationalQuadraticAutoregressiveTransform": _spline_autoregressive,
    "PiecewiseRationalQuadraticCDF": _spline_cdf,
    "LULinear": lambda part, path: leaf(part, path, [lu(part)]),
    "QRLinear": _qr,
    "SVDLinear": _svd,
    "NaiveLinear": lambda part, path: leaf(part, path, [_layers.linear(array(part._weight), array(part.bias))]),
    "HouseholderSequence": lambda part, path: leaf(part, path, [_reflections(part)]),
    "ActNorm": lambda part, path: leaf(
        part, path, [_layers.elementwise_affine(array(part.log_scale), array(part.shift))]
    ),
    "BatchNorm": _batch_norm,
    "Permutation": lambda part, path: leaf(part, path, [_layers.permutation(integers(part._permutation))]),
    "PointwiseAffineTransform": _pointwise_affine,
    "IdentityTransform": lambda part, path: [],
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "LogTanh": lambda part, path: leaf(part, path, [_layers.domain("log_tanh", bound=part.cut_point)]),
    "LeakyReLU": lambda part, path: leaf(part, path, [_layers.domain("leaky_relu", slope=part.negative_slope)]),
}

# -------------------------------------------------------------------------------------------------------------- images


def read_images(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """The steps of a part of a flow of images: those of vectors where it has made vectors of them."""
    for kind in type(part).__mro__:
        if kind.__name__ in IMAGES and (len(at.shape) == 3 or kind.__name__ in SHAPES):
            return IMAGES[kind.__name__](part, path, at)
        if kind.__name__ in TABLE and (len(at.shape) == 1 or kind.__name__ in BY_NUMBER):
            return [step.on(at.columns, at.dim) for step in TABLE[kind.__name__](part, path)], at
    raise ConversionError(path, part, f"Diffeo has no layer for it on maps of {at.shape}")


def _by_channel(*layers: Callable[[Any], Layer]) -> ImageReader:
    def reader(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
        return [at.step(part, path, [at.layer(each(part)) for each in layers], part.forward, part.inverse)], at

    return reader


def _image_composite(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    steps: list[Step] = []
    for i, each in enumerate(part._transforms):
        more, at = read_images(each, f"{path}._transforms.{i}", at)
        steps += more
    return steps, at


def _image_multiscale(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """The first channels of what each transform gives are done, the larger half; the others go on."""
    if part._split_dim != 1:
        raise ConversionError(path, part, f"a split along dimension {part._split_dim}, not the channels")
    steps, whole = [], at
    for i, each in enumerate(part._transforms):
        more, at = read_images(each, f"{path}._transforms.{i}", at)
        steps += more
        if i < len(part._transforms) - 1:
            at = at.half(first=False, larger=False)
    return steps, whole.shaped(whole.size)


def _image_inverse(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    before = at.shaped(*_before(part._transform, at.shape))
    steps, _ = read_images(part._transform, f"{path}._transform", before)
    return reverse(steps), before


def _image_squeeze(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    if part.factor != 2:
        raise ConversionError(path, part, f"a squeeze by {part.factor}, ours is by 2")
    then = at.shaped(4 * at.shape[0], at.shape[1] // 2, at.shape[2] // 2)
    return [at.step(part, path, [at.layer(squeeze("channels"))], part.forward, part.inverse, then)], then


def _image_reshape(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    return [], at.shaped(*part.output_shape)


def _image_coupling(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    mask, net, where = _coupling_mask(part), part.transform_net, f"{path}.transform_net"
    kept, moved = np.flatnonzero(mask), int((1 - mask).sum())
    residual = hasattr(net, "initial_layer") and hasattr(net, "blocks")
    network = residual_convolutions(net, where) if residual else plain_convolutions(net, len(kept), where)
    read_outputs = _spline_network if hasattr(part, "num_bins") else _affine_outputs
    transformer, network = read_outputs(part, path, network, moved)
    layers = [at.layer(coupling(mask, transformer, network))]
    if part.unconditional_transform is not None:
        splines = _splines(part.unconditional_transform, f"{path}.unconditional_transform")
        if len(splines.lists["columns"]) < len(kept) * at.places:
            reason = "splines that places share: ours are one a number"
            raise ConversionError(path, part.unconditional_transform, reason)
        wide = _layers.embed(splines, at.columns_of(kept), at.dim)
        layers += [] if wide is None else [wide]
    return [at.step(part, path, layers, part.forward, part.inverse)], at


def _image_affine(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """One scale and shift, or some, of each number."""
    scale, shift = (np.broadcast_to(array(each), at.shape).ravel() for each in (part._scale, part._shift))
    wide = _layers.embed(_layers.elementwise_affine(np.log(scale), shift), at.columns, at.dim)
    return [at.step(part, path, [] if wide is None else [wide], part.forward, part.inverse)], at


def _before(part: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what a transform makes events of this shape of."""
    match type(part).__name__:
        case "CompositeTransform":
            for each in reversed(part._transforms):
                shape = _before(each, shape)
        case "MultiscaleCompositeTransform":
            shape = tuple(part._output_shapes[-1])
            for i in reversed(range(len(part._transforms))):
                shape = _before(part._transforms[i], shape)
                if i:
                    shape = (shape[0] + part._output_shapes[i - 1][0], *shape[1:])
        case "InverseTransform" if any(type(each).__name__ in RESHAPING for each in part.modules()):
            size = int(np.prod(shape))
            _, then = read_images(part._transform, "", FeatureMap(size, shape))
            shape = then.shape
        case "SqueezeTransform":
            shape = (shape[0] // part.factor**2, shape[1] * part.factor, shape[2] * part.factor)
        case "ReshapeTransform":
            shape = tuple(part.input_shape)
    return shape


IMAGES: dict[str, ImageReader] = {
    "CompositeTransform": _image_composite,
    "MultiscaleCompositeTransform": _image_multiscale,
    "InverseTransform": _image_inverse,
    "SqueezeTransform": _image_squeeze,
    "ReshapeTransform": _image_reshape,
    "AffineCouplingTransform": _image_coupling,
    "PiecewiseRationalQuadraticCouplingTransform": _image_coupling,
    "PointwiseAffineTransform": _image_affine,
    "OneByOneConvolution": _by_channel(lambda part: _layers.permutation(integers(part.permutation._permutation)), lu),
    "ActNorm": _by_channel(lambda part: _layers.elementwise_affine(array(part.log_scale), array(part.shift))),
    "Permutation": _by_channel(lambda part: _layers.permutation(integers(part._permutation))),
}
RESHAPING = {"MultiscaleCompositeTransform", "SqueezeTransform", "ReshapeTransform"}
SHAPES = {"CompositeTransform", "MultiscaleCompositeTransform", "InverseTransform", "ReshapeTransform"}
BY_NUMBER = {"IdentityTransform", "Sigmoid", "Tanh", "LogTanh", "LeakyReLU"}

# --------------------------------------------------------------------------------------------------------------- bases


def _standard_normal(base: Any, path: str) -> Layer:
    return Layer("standard_normal")


def _normal_of_variance(base: Any, path: str) -> Layer:
    """Nessai's MultivariateNormal: zero means, one variance."""
    count = int(np.prod(base._shape))
    return Layer("normal", parameters={"mean": np.zeros(count), "log_scale": np.full(count, 0.5 * np.log(base._var))})


def _diagonal_normal(base: Any, path: str) -> Layer:
    return Layer("normal", parameters={"mean": array(base.mean_).ravel(), "log_scale": array(base.log_std_).ravel()})


def _conditional_normal(base: Any, path: str) -> Layer:
    """Means, then logarithms of the standard deviations: in our order."""
    encoder, count = base._context_encoder, 2 * int(np.prod(base._shape))
    if hasattr(encoder, "modules"):
        network = plain(encoder, 0, f"{path}._context_encoder")
    else:  # the identity, unless the check says otherwise
        network = Network((Dense.of(np.eye(count)),), context=count)
    return Layer("normal", network=network)


def _made_mixture(base: Any, path: str) -> Layer:
    """A MADE of mixtures: logit, mean and a of the scale softplus(a) + epsilon, of one component after the other."""
    net, dim = base._made, _columns(base)
    if not all(hasattr(block, "linear_layers") for block in net.blocks) or not len(net.blocks):
        raise ConversionError(path, base, "a MADE of mixtures whose network is not of residual blocks")
    components, epsilon = int(net.num_mixture_components), float(net.epsilon)
    first = int(net.features) - dim
    outputs = np.arange(3 * components * int(net.features)).reshape(-1, components, 3)[first:]
    offset = np.zeros(outputs.shape)
    offset[..., 2] = -np.log(np.expm1(1 - epsilon))
    by_kind = [each.swapaxes(1, 2).ravel() for each in (outputs, offset)]
    network = _with_context_inside(made(net, f"{path}._made")).reading(first + np.arange(dim))
    network = network.select(by_kind[0], np.ones(outputs.size), by_kind[1])
    words: dict[str, Scalar] = {
        "conditional": "mixture", "components": components, "scale": "softplus", "scale_bound": 7.0,
        "scale_epsilon": epsilon,
    }  # fmt: skip
    return _layers.made(dim, 3 * components, network, words)


def _with_context_inside(network: Network) -> Network:
    """The first matrix of these MADE adds W c + b as it is, where others activate it."""
    added = network.context_layer
    if added is None:
        return network
    mode = "add" if network.blocks else "input"
    return replace(network, context_mode=mode, context_layer=None).with_first(lambda first: first.beside(added))


def _columns(base: Any) -> int:
    """Of a MADE of mixtures; sbi's has one before them that is 0, so that a network gives the first of them, too."""
    dummy = any(kind.__name__ == "MADEMoGWrapper" for kind in type(base).__mro__)
    return int(base._made.features) - dummy


BASES = {
    "StandardNormal": _standard_normal,
    "ConditionalDiagonalNormal": _conditional_normal,
    "DiagonalNormal": _diagonal_normal,
    "MultivariateNormal": _normal_of_variance,
    "BoxUniform": box_uniform,
    "MultivariateUniform": box_uniform,  # glasflow's, and so nessai's
    "MADEMoG": _made_mixture,
}


def read_base(table: Any, base: Any, path: str) -> Layer:
    """The base, by the first of its classes that the table names."""
    for kind in type(base).__mro__:
        if kind.__name__ in table:
            layer: Layer = table[kind.__name__](base, path)
            return layer
    raise ConversionError(path, base, "Diffeo has no such base distribution")


# ---------------------------------------------------------------------------------------------------------------- flow


def _affine(net: Any, width: int) -> tuple[Real, Real]:
    """The matrix and the shift of an embedding that is affine, by what it computes."""
    first = next((module for module in net.modules() if is_linear(module)), None)
    inputs = width if first is None else first.weight.shape[1]
    x = np.random.default_rng(0).normal(size=(32, inputs))

    def around(centre: Real) -> tuple[Real, Real]:
        far = 1024.0 * np.eye(inputs)
        with double():
            y = array(net(tensor(centre + np.concatenate([np.zeros((1, inputs)), far, -far, x]))))
        matrix = (y[1 : inputs + 1] - y[inputs + 1 : 2 * inputs + 1]).T / 2048
        if y.shape[1:] != (width,) or not np.allclose(y[2 * inputs + 1 :], x @ matrix.T + y[0], rtol=1e-9, atol=1e-9):
            raise ValueError("it is not affine")
        return matrix, y[0] - matrix @ centre

    matrix, shift = around(np.zeros(inputs))
    return around(-np.linalg.pinv(matrix) @ shift)  # where it gives small numbers, with all their digits


@dataclass(frozen=True)
class Embedded:
    """A flow that embeds its context: what standardises that and embeds it then, if the first matrices do not."""

    steps: list[Step]
    base: Layer
    context_layer: Layer | None = None
    embedding: Layer | None = None
    contexts: tuple[Real, Real] | None = None  # of which standard normal numbers are made


def embedded(net: Any, steps: list[Step], base: Layer, path: str = "_embedding_net") -> Embedded:
    """The same of a context that the flow embeds: affine embeddings go into the first matrices."""
    layers = [base, *(layer for step in steps for layer in step.layers)]
    width = max((layer.network.context for layer in layers if layer.network is not None), default=0)
    if net is None or not width:
        return Embedded(steps, base)

    def given(function: Map) -> Map:
        def run(x: Real, context: Real | None) -> Mapped:
            if context is not None:
                with double():
                    context = array(net(tensor(context)))
            return function(x, context)

        return run

    steps = [replace(step, forward=given(step.forward), backward=given(step.backward)) for step in steps]
    try:
        matrix, shift = _affine(net, width)
    except (TypeError, ValueError, RuntimeError, IndexError):
        first, network = embedding(net, inputs_of(net, width), _residual, path)
        scaled = None if first is None else _standardized(first.matrix, first.shift)
        contexts = None if first is None else (-first.shift / np.diag(first.matrix), np.diag(1 / np.diag(first.matrix)))
        return Embedded(steps, base, scaled, _layers.embedding(network), contexts)
    if np.array_equal(matrix, np.eye(width)) and not shift.any():
        return Embedded(steps, base)
    back = np.linalg.pinv(matrix)
    contexts = -back @ shift, back
    if scaled := _standardized(matrix, shift):
        return Embedded(steps, base, scaled, contexts=contexts)

    def folded(layer: Layer) -> Layer:
        return layer if layer.network is None else replace(layer, network=layer.network.embedding(matrix, shift))

    steps = [replace(step, layers=[folded(each) for each in step.layers]) for step in steps]
    return Embedded(steps, folded(base), contexts=contexts)


def _standardized(matrix: Real, shift: Real) -> Layer | None:
    """An affine map that is a standardisation."""
    if not is_scale(matrix):
        return None
    scale = np.diag(matrix)
    return _layers.standardize(-shift / scale, 1 / scale)


def _is_residual(net: Any) -> bool:
    named = hasattr(net, "initial_layer") and hasattr(net, "blocks")
    return named and (hasattr(net, "final_layer") or hasattr(net, "resize_layers"))


def _residual(net: Any, path: str) -> Network | None:
    """Of an embedding."""
    return residual_net(net, path) if _is_residual(net) else None


# Constants that follow from others and are kept rounded to float32: always, or once the flow was cast
DERIVED: dict[str, Callable[[Any], Any]] = {
    "_log_z": lambda base: 0.5 * np.prod(base._shape) * np.log(2 * np.pi * getattr(base, "_var", 1.0)),
    "log_negative_slope": lambda part: np.log(part.negative_slope),
    "_log_prob_value": lambda box: -np.log(array(box.high) - array(box.low)).sum(),
}


def derive(module: Any) -> None:
    """Make constants that follow from others anew, in float64."""
    for part in module.modules():
        for constant, value in DERIVED.items():
            if hasattr(part, constant):
                setattr(part, constant, tensor(real(value(part))))
        if getattr(vars(part).get("temperature"), "ndim", 0):
            part.temperature = part.temperature.double()


def source(flow: Any) -> Source:
    """What a flow of nflows is."""
    original = flow
    flow, dtype = in_double(flow)
    derive(flow)
    base = read_base(BASES, flow._distribution, "_distribution")
    noise = _shape(flow)
    shape = _before(flow._transform, noise)
    if len(noise) == len(shape) == 1:
        steps = read(TABLE, flow._transform, "_transform")
    else:
        steps, _ = read_images(flow._transform, "_transform", FeatureMap(int(np.prod(shape)), shape))
    given = embedded(getattr(flow, "_embedding_net", None), steps, base)

    def fed(function: Any) -> Any:
        def run(x: Any, context: Any) -> Any:
            net = getattr(flow, "_embedding_net", None)
            return function(x, context if net is None or context is None else net(context))

        return run

    def density(module: Any) -> Any:
        def log_prob(x: Any, context: Any) -> Any:
            with double():
                given = () if context is None else (tensor(context),)
                return array(module.log_prob(tensor(x.reshape(len(x), *shape)), *given))

        return log_prob

    def base_log_prob(z: Any, context: Any) -> Any:
        with double():
            given = tensor(context)
            net = getattr(flow, "_embedding_net", None)
            given = given if net is None or given is None else net(given)
            z = z.reshape(len(z), *noise)
            density = flow._distribution.log_prob(tensor(z), *(() if given is None else (given,)))
            return array(density)

    whole = FeatureMap(int(np.prod(shape)), shape), FeatureMap(int(np.prod(noise)), noise)
    functions = flow._transform.forward, flow._transform.inverse
    forward, backward = (at.run(fed(function)) for at, function in zip(whole, functions, strict=True))
    dim = whole[0].dim
    library = type(flow).__module__.partition(".")[0]
    name = type(flow).__qualname__
    box = (
        (float(real(base.attributes["low"])), float(real(base.attributes["high"]))) if base.kind == "uniform" else None
    )
    made = Source(
        library, name, dim, given.steps, given.base, density(flow), base_log_prob, forward, backward, dtype,
        context_layer=given.context_layer, embedding=given.embedding, contexts=given.contexts, box=box,
        shape=shape if len(shape) == 3 else (), in_float32=in_float32(narrowed(original), density),
    )  # fmt: skip
    return standard_noise(made, flow._distribution)


def _shape(flow: Any) -> tuple[int, ...]:
    """Of the noise."""
    base = flow._distribution
    shape = getattr(base, "_shape", None) or getattr(base, "event_shape", None)
    if hasattr(base, "_made"):  # a MADE of mixtures
        shape = (_columns(base),)
    if not shape or len(shape) not in (1, 3):
        reason = f"its shape is {shape}, not that of a vector or an image"
        raise ConversionError("_distribution", base, reason)
    return tuple(int(size) for size in shape)
