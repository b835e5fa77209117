"""zuko: Rozet and others. Its transforms go from data to noise in the order of the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _layers
from ._bases import standard_noise, torch_base
from ._check import Map, Mapped, Source, Step, reverse
from ._error import ConversionError
from ._layers import Layer, Transformer
from ._network import Block, Network, Real
from ._torch import (
    Reader,
    activation,
    array,
    chain,
    double,
    exported,
    in_double,
    in_float32,
    integers,
    is_linear,
    linear,
    mapped,
    narrowed,
    network_of,
    plain,
    read,
    tensor,
)
from ._transforms import TABLE as FIXED

MODULES = ("zuko",)


def _maps(part: Any) -> tuple[Map, Map]:
    """What a lazy transform does, and its inverse."""
    return mapped(lambda x, c: part(c).call_and_ladj(x)), mapped(lambda x, c: part(c).inv.call_and_ladj(x))


def _network(net: Any, context: int, path: str) -> Network:
    """Modules of an MLP; those of a residual one are linear layers and blocks in turn."""
    if exported(net):
        return network_of(net, path)
    modules = list(net)
    blocks = [module for module in modules if type(module).__name__ == "Residual"]
    if not blocks:
        dense, name, after = chain(modules, path, net)
        if after:
            raise ConversionError(path, net, f"the network ends with {type(after[-1]).__name__}")
        return Network(tuple(dense), name, context)
    first, *inside, last = modules
    found: list[Block] = []
    link = None
    for module in inside:
        if module in blocks:
            found.append(Block(linear(module[0]), linear(module[2]), link))
            link = None
        else:
            link = linear(module)
    if link is not None or not (is_linear(first) and is_linear(last)):
        raise ConversionError(path, net, "the network is not made of linear layers and residual blocks in turn")
    names = {activation(block[1], path, net) for block in blocks}
    return Network((linear(first), linear(last)), names.pop(), context, "residual", tuple(found))


def _inputs(net: Any) -> int:
    return 0 if exported(net) else int(net.in_features)


# A univariate map is code: it is recognised by what it makes of extreme parameters.


def _univariate(part: Any, path: str) -> tuple[Transformer, Any]:
    """The transformer, and which of theirs each of our outputs of a column is."""
    import torch

    ours = getattr(part.univariate, "keywords", {}).get("transformer")
    if isinstance(ours, Transformer):  # of an exporter
        return ours, [1, 0]
    with double():
        zeros = [torch.zeros(shape) for shape in part.shapes]
        made = part.univariate(*zeros)
        extreme = part.univariate(*(torch.full(shape, 1e300) for shape in part.shapes))
    match type(made).__name__:
        case "MonotonicAffineTransform":
            return _layers.affine("soft_clip", bound=float(extreme.log_scale)), [1, 0]
        case "AdditiveTransform":
            return _layers.affine("additive"), [0]
        case "MonotonicRQSTransform":
            return _spline(made, extreme, part, path, "linear")
        case "ComposedTransform":
            names = ", ".join(type(each).__name__ for each in made.transforms)
            if names == "CircularShiftTransform, MonotonicRQSTransform":
                return _spline(made.transforms[1], extreme.transforms[1], part, path, "half_turn")
            raise ConversionError(path, part, f"Diffeo has no transformer for its map of one number, {names}")
        case other:
            raise ConversionError(path, part, f"Diffeo has no transformer for its map of one number, {other}")


def _spline(made: Any, extreme: Any, part: Any, path: str, boundary: str) -> tuple[Transformer, Any]:
    bins, bound = part.shapes[0][0], float(made.horizontal[-1])
    if bins < 2:
        raise ConversionError(path, part, "a spline of one bin")
    slope = float(np.log(array(extreme.derivatives)[1:-1].max()))
    words = {
        "logit_bound": slope / 2,
        "derivative": "exp",
        "derivative_bound": slope,
        "min_width": 0.0,
        "min_height": 0.0,
    }
    transformer = _layers.spline(bins, -bound, bound, boundary, **words)
    return transformer, np.arange(transformer.parameters)


def _outputs(columns: int, per: int, index: Any) -> Any:
    return (np.arange(columns)[:, None] * per + np.asarray(index)).ravel()


def _autoregressive(part: Any, path: str) -> list[Step]:
    transformer, index = _univariate(part, path)
    dim = len(part.order) if exported(part.hyper) else part.hyper.out_features // part.total
    network = _network(part.hyper, _inputs(part.hyper) - dim, f"{path}.hyper")
    network = network.select(_outputs(dim, part.total, index))
    return [Step(path, part, [_layers.autoregressive(dim, transformer, network)], *_maps(part))]


def _coupling(part: Any, path: str) -> list[Step]:
    transformer, index = _univariate(part, path)
    mask = integers(part.mask)
    moved = int((1 - mask).sum())
    network = _network(part.hyper, _inputs(part.hyper) - int(mask.sum()), f"{path}.hyper")
    network = network.select(_outputs(moved, part.total, index))
    return [Step(path, part, [_layers.coupling(mask, transformer, network)], *_maps(part))]


def _elementwise(part: Any, path: str) -> list[Step]:
    """By the context alone, or by trained vectors."""
    transformer, index = _univariate(part, path)
    if hasattr(part, "hyper"):
        network = _network(part.hyper, _inputs(part.hyper), f"{path}.hyper")
        dim = network.outputs // part.total
        network = network.select(_outputs(dim, part.total, index))
        layer = _layers.coupling(np.zeros(dim, np.int64), transformer, network)
    else:
        values = np.concatenate([array(p).reshape(len(p), -1) for p in part.phi], axis=1)[:, index]
        layer = _layers.elementwise(transformer, values)
    return [Step(path, part, [layer], *_maps(part))]


def _unconditional(part: Any, path: str) -> list[Step]:
    with double():
        made = part()
    if type(made).__name__ == "DependentTransform":
        made = made.base
    match type(made).__name__:
        case "PermutationTransform":
            layer = _layers.permutation(integers(made.order))
        case "RotationTransform":
            layer = _layers.linear(array(made.R))
        case "LULinearTransform":
            lower, upper = array(made.L), array(made.U)
            diagonal = np.diag(lower)
            layer = _layers.lu(lower / diagonal, diagonal[:, None] * upper, diagonal)
        case "MonotonicAffineTransform":
            layer = _layers.elementwise_affine(array(made.log_scale), array(made.shift))
        case "AdditiveTransform":
            layer = _layers.elementwise_affine(np.zeros(len(made.shift)), array(made.shift))
        case _:
            return read(FIXED, made, path)
    return [Step(path, part, [layer], *_maps(part))]


def _composed(part: Any, path: str) -> list[Step]:
    return [step for i, each in enumerate(part.transforms) for step in read(TABLE, each, f"{path}.transforms.{i}")]


TABLE: dict[str, Reader] = {
    "LazyComposedTransform": _composed,
    "LazyInverse": lambda part, path: reverse(read(TABLE, part.transform, f"{path}.transform")),
    "MaskedAutoregressiveTransform": _autoregressive,
    "GeneralCouplingTransform": _coupling,
    "ElementWiseTransform": _elementwise,
    "UnconditionalTransform": _unconditional,
}


# --------------------------------------------------------------------------------------------------------------- bases


def _mixture(base: Any, path: str) -> Layer:
    """A GMM. Scales, or the diagonals of factors, are exp(diag) + epsilon; components may share them, columns too."""
    components, dim = (int(n) for n in base.shapes[1])
    full = base.covariance_type == "full" and dim > 1
    attributes: dict[str, Any] = {"components": components}
    attributes |= {"epsilon": float(base.epsilon)} if base.epsilon else {}
    attributes |= {"covariance": "full"} if full else {}
    names = ["logits", "means", "diagonals" if full or base.epsilon else "log_scales", "triangles"][: 4 if full else 3]
    widths = [1, dim, dim, dim * (dim - 1) // 2]
    # where among theirs each of ours is: what is shared is there once
    index, first = [np.arange(components)], components
    for theirs, width in zip(base.shapes[1:], widths[1 : len(names)], strict=False):
        own = np.arange(first, first + int(np.prod(theirs))).reshape(theirs)
        index.append(np.broadcast_to(own, (components, width)))
        first += own.size
    if hasattr(base, "hyper"):
        order = np.concatenate([each.ravel() for each in index])
        return Layer("mixture", attributes, network=plain(base.hyper, 0, f"{path}.hyper").select(order))
    values = np.concatenate([array(p).ravel() for p in base.phi])
    return Layer(
        "mixture", attributes, parameters={name: values[each] for name, each in zip(names, index, strict=True)}
    )


def _base(base: Any, path: str) -> Layer:
    if type(base).__name__ == "GMM":
        return _mixture(base, path)
    if type(base).__name__ in ("UnconditionalDistribution", "Unconditional"):
        with double():
            made = base()
        inside = getattr(made, "base_dist", made)
        match type(made).__name__:
            case "DiagNormal":
                mean, scale = array(inside.loc), array(inside.scale)
                if not mean.any() and (scale == 1).all():
                    return Layer("standard_normal")
                return Layer("normal", parameters={"mean": mean, "log_scale": np.log(scale)})
            case _:
                return torch_base(made, path)[0]
    raise ConversionError(path, base, "Diffeo has no such base distribution")


def source(flow: Any) -> Source:
    """What a flow of zuko is."""
    original = flow
    flow, dtype = in_double(flow)
    if hasattr(flow, "transform"):
        noise, steps, maps = flow.base, read(TABLE, flow.transform, "transform"), _maps(flow.transform)
        base = _base(noise, "base")
    else:  # a base by itself
        noise, steps, maps, base = flow, [], (_identity, _identity), _base(flow, "")

    def density(of: Any) -> Callable[[Real, Real | None], Real]:
        def log_prob(x: Real, context: Real | None) -> Real:
            with double():
                return array(of(tensor(context)).log_prob(tensor(x)))

        return log_prob

    name = type(flow).__qualname__
    made = Source("zuko", name, _dim(noise), steps, base, density(flow), density(noise), *maps, dtype)
    made.in_float32 = in_float32(narrowed(original), density)
    if not type(noise).__name__.startswith("Unconditional"):
        return made
    with double():
        return standard_noise(made, noise(None))


def _identity(x: Real, context: Real | None) -> Mapped:
    return x, np.zeros(len(x))


def _dim(noise: Any) -> int:
    for part in noise.modules():
        if type(part).__name__ == "GMM":
            return int(part.shapes[1][1])
    with double():
        return int(noise(None).event_shape[0])
