"""Flows of Diffeo as distributions of flowjax 19: the table below is the way back of flowjax.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from flowjax import bijections, distributions

from . import _layers, _read
from ._check import Map, Mapped, Step, agree, same_density
from ._equinox import Circle, Constructor, Fixed, Given, Joined, Mean, Whole, array, network, new, vectors, words
from ._error import NoCounterpartError
from ._export import Exported, maker, refuse_images
from ._layers import Layer
from ._network import Integer, Network, Real, real
from ._read import Parts
from .flowjax import double

# ---------------------------------------------------------------------------------------------------------- bijections


def _given(parts: Parts) -> tuple[int] | None:
    return (parts.context,) if parts.context else None


def _among(columns: Integer, part: Any) -> Any:
    """A bijection of columns that are put into this order before it, and back behind it."""
    if np.array_equal(columns, np.arange(len(columns))):
        return part
    return bijections.Chain([_permute(columns), part, _permute(np.argsort(columns))])


def _permute(columns: Integer) -> Any:
    return bijections.Permute(jnp.asarray(columns))


def _conditioner(layer: Layer, nets: list[Network], columns: int, per: int) -> Any:
    """The network of a layer with flowjax' order of the parameters: of affine maps shifts come first."""
    assert layer.transformer is not None
    if len(nets) > 1:  # shifts, and what scales are made of
        return Joined((network(nets[0]), network(nets[1])))
    net = nets[0]
    if layer.transformer.attributes["transformer"] == "affine" and per == 2:
        net = net.select(np.arange(net.outputs).reshape(-1, 2)[:, ::-1].ravel())
    if not _read.on_circle(layer.transformer) or not columns:
        return network(net)
    said: dict[str, Any] = dict(layer.transformer.attributes)
    return Circle(network(net), said["low"], said["high"], columns)


def _coupling(layer: Layer, parts: Parts) -> Any:
    assert layer.transformer is not None
    mask, per = layer.lists["mask"], layer.transformer.parameters
    kept, moved = np.flatnonzero(mask), np.flatnonzero(mask == 0)
    nets = [n.given(parts.context) for n in (layer.network, layer.scale_network) if n is not None]
    part = new(
        bijections.Coupling, shape=(parts.dim,), cond_shape=_given(parts), untransformed_dim=len(kept), dim=parts.dim,
        transformer_constructor=Constructor(words(layer.transformer)),
        conditioner=_conditioner(layer, nets, len(kept), per),
    )  # fmt: skip
    return _among(np.concatenate([kept, moved]), part)


def _autoregressive(layer: Layer, parts: Parts) -> Any:
    assert layer.network is not None
    assert layer.transformer is not None
    inverted = bool(layer.attributes.get("inverse_map", 0))
    net = layer.network.given(parts.context)
    return _masked(layer, net, layer.lists["order"], parts, inverted)


def _masked(layer: Layer, net: Network, order: Integer, parts: Parts, inverted: bool = False) -> Any:
    """Flowjax takes columns in their natural order."""
    assert layer.transformer is not None
    per, encoded = layer.transformer.parameters, 2 if _read.on_circle(layer.transformer) else 1
    net = net.reading(_layers.each_of(order, encoded)).select(_layers.each_of(order, per))
    part = new(
        bijections.MaskedAutoregressive, shape=(parts.dim,), cond_shape=_given(parts),
        transformer_constructor=Constructor(words(layer.transformer), inverted),
        masked_autoregressive_mlp=_conditioner(layer, [net], parts.dim, per),
    )  # fmt: skip
    return _among(order, part)


def _elementwise(layer: Layer, parts: Parts) -> Any:
    return _coupling(_read.as_coupling(layer, parts.dim), parts)


def _affine(scale: Real, shift: Real) -> Any:
    """Flowjax' own are positive, a softplus; scales of -1 are not trained."""
    if (scale > 0).all():
        return bijections.Affine(array(shift), array(scale))
    made = bijections.Affine(array(shift), jnp.ones(len(shift)))
    return eqx.tree_at(lambda part: part.scale, made, paramax.NonTrainable(array(scale)))


def _diagonal(layer: Layer, parts: Parts) -> Any:
    scale, shift = _read.elementwise(layer)
    part = _affine(scale, shift)
    return paramax.non_trainable(part) if layer.kind == "standardize" else part


def _dequantize(layer: Layer, parts: Parts) -> Any:
    return paramax.non_trainable(_affine(1 / _read.levels(layer, parts.dim), np.zeros(parts.dim)))


def _lu(layer: Layer, parts: Parts) -> Any:
    """With S the signs of the diagonal, L U = S (S L S) (S U), in brackets triangular matrices with a positive one."""
    if layer.kind == "linear":
        layer = _layers.linear(layer.parameters["weight"], layer.parameters["bias"])
    p, order = layer.parameters, layer.lists["permutation"]
    sign, zero = p["sign"], np.zeros(parts.dim)
    lower = sign[:, None] * (np.tril(p["lower"], -1) + np.diag(np.ones(parts.dim))) * sign
    upper = sign[:, None] * np.triu(p["upper"], 1) + np.diag(np.exp(p["log_scale"]))
    chain = [
        bijections.TriangularAffine(array(zero), array(upper), lower=False),
        bijections.TriangularAffine(array(zero), array(lower)),
    ]
    if not np.array_equal(order, np.arange(parts.dim)):
        chain.append(_permute(order))
    return bijections.Chain([*chain, _affine(sign[order], p["bias"])])


def _householder(layer: Layer, parts: Parts) -> Any:
    return bijections.Chain([bijections.Householder(array(v)) for v in layer.parameters["vectors"][::-1]])


def _domain(layer: Layer, parts: Parts) -> Any:
    """Flowjax' own where it is one of all columns, with the same ends."""
    name, p, columns = str(layer.attributes["map"]), layer.parameters, layer.lists["columns"]
    ends = {key: set(values.tolist()) for key, values in p.items()}
    shape = (parts.dim,)
    if len(columns) == parts.dim:
        match name:
            case "logit" if ends == {"low": {0.0}, "high": {1.0}}:
                return bijections.Invert(bijections.Sigmoid(shape))
            case "log" if ends == {"low": {0.0}}:
                return bijections.Invert(bijections.Exp(shape))
            case "leaky_tanh" if len(ends["bound"]) == 1:
                return bijections.LeakyTanh(float(p["bound"][0]), shape)
    constants = {key: array(values) for key, values in p.items()}
    return Fixed(constants, "domain", (("map", name),), tuple(columns.tolist()), shape)


def _wrap(layer: Layer, parts: Parts) -> Any:
    attributes = tuple(
        (name, float(str(layer.attributes[name]))) for name in ("low", "high") if name in layer.attributes
    )
    constants = {key: array(values) for key, values in layer.parameters.items()}
    columns = layer.lists.get("columns", np.arange(parts.dim))
    return Fixed(constants, "wrap", attributes, tuple(columns.tolist()), (parts.dim,))


def _planar(layer: Layer, parts: Parts) -> Any:
    """Not flowjax' own, which has another constraint and no inverse."""
    names, dim = {"planar": ("u", "w", "b"), "radial": ("x0", "alpha", "beta")}[layer.kind], parts.dim
    shapes: list[tuple[int, ...]] = [(dim,), (dim,), ()] if layer.kind == "planar" else [(dim,), (), ()]
    given = None if layer.network is None else _given(parts)
    return Whole(vectors(layer, names, shapes), layer.kind, (dim,), given)


TABLE: dict[str, Callable[[Layer, Parts], Any]] = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "elementwise": _elementwise,
    "permutation": lambda layer, parts: _permute(layer.lists["permutation"]),
    "lu": _lu,
    "linear": _lu,
    "householder": _householder,
    "actnorm": _diagonal,
    "batch_norm": _diagonal,
    "standardize": _diagonal,
    "dequantize": _dequantize,
    "domain": _domain,
    "wrap": _wrap,
    "planar": _planar,
    "radial": _planar,
}


def _directed(make: Callable[[Layer, Parts], Any]) -> Callable[[Layer, Parts], Any]:
    def made(layer: Layer, parts: Parts) -> Any:
        part = make(replace(layer, inverse=False), parts)
        return bijections.Invert(part) if layer.inverse else part

    return made


# --------------------------------------------------------------------------------------------------------------- bases


def _normal(base: Layer, parts: Parts) -> Any:
    if base.network is not None:
        return _given_base(base, parts, ("mean", "log_scale"), [(parts.dim,), (parts.dim,)])
    return distributions.Normal(array(base.parameters["mean"]), array(np.exp(base.parameters["log_scale"])))


def _given_base(base: Layer, parts: Parts, names: Any, shapes: Any) -> Any:
    return Given(vectors(base, names, shapes), base.kind, (parts.dim,), _given(parts))


def _uniform(base: Layer, parts: Parts) -> Any:
    low, high = (np.full(parts.dim, float(real(base.attributes[name]))) for name in ("low", "high"))
    return distributions.Uniform(array(low), array(high))


def _student_t(base: Layer, parts: Parts) -> Any:
    if base.network is not None:
        return _given_base(base, parts, ("log_df",), [(parts.dim,)])
    df = np.clip(np.exp(base.parameters["log_df"]), 0.1, 1e8)
    return distributions.StudentT(array(df), jnp.zeros(parts.dim), jnp.ones(parts.dim))


def _mixture(base: Layer, parts: Parts) -> Any:
    count = int(str(base.attributes["components"]))
    if base.network is not None:
        shapes = [(count,), (count, parts.dim), (count, parts.dim)]
        return _given_base(base, parts, ("logits", "means", "log_scales"), shapes)
    p = base.parameters
    each = eqx.filter_vmap(distributions.Normal)(array(p["means"]), array(np.exp(p["log_scales"])))
    logits = p["logits"] - p["logits"].max()
    made = distributions.VmapMixture(each, jnp.ones(count))
    weights = paramax.Parameterize(jax.nn.log_softmax, array(logits))
    return eqx.tree_at(lambda part: part.log_normalized_weights, made, weights, is_leaf=_unwrappable)


def _unwrappable(leaf: Any) -> bool:
    return isinstance(leaf, paramax.AbstractUnwrappable)


def _made(base: Layer, parts: Parts) -> Any:
    """Conditionals are maps to normal or uniform noise."""
    assert base.transformer is not None
    kind = base.transformer.attributes["transformer"]
    if kind == "bernoulli":
        raise NoCounterpartError("its conditionals are those of numbers 0 and 1, which are no flow")
    dim, orders = parts.dim, base.lists["order"].reshape(len(base.masks), -1)
    made = []
    for net, order in zip(base.masks, orders, strict=True):
        noise = distributions.StandardNormal((dim,))
        if kind == "mixture_cdf":
            noise = distributions.Uniform(jnp.zeros(dim), jnp.ones(dim))
        bijection = _masked(base, net.given(parts.context), order, parts)
        made.append(distributions.Transformed(noise, bijections.Invert(bijection)))
    return made[0] if len(made) == 1 else Mean(tuple(made), (dim,), _given(parts))


BASES: dict[str, Callable[[Layer, Parts], Any]] = {
    "standard_normal": lambda base, parts: distributions.StandardNormal((parts.dim,)),
    "normal": _normal,
    "logistic": lambda base, parts: distributions.Logistic(jnp.zeros(parts.dim), jnp.ones(parts.dim)),
    "uniform": _uniform,
    "student_t": _student_t,
    "mixture": _mixture,
    "made": _made,
}

# ---------------------------------------------------------------------------------------------------------------- flow


def flow(parts: Parts) -> Any:
    """The distribution of flowjax, which computes what Diffeo does, in the dtype of the flow."""
    with double():
        return _flow(parts)


def _flow(parts: Parts) -> Any:
    paths = [_read.path_of(i) for i in range(len(parts.layers))]
    table = {kind: _directed(make) for kind, make in TABLE.items()}
    chain = [
        maker(table, layer, path, "flowjax")(layer, parts) for layer, path in zip(parts.layers, paths, strict=True)
    ]
    base = maker(BASES, parts.base, "base", "flowjax")(parts.base, parts)
    refuse_images(parts)
    whole = bijections.Chain(chain or [bijections.Identity((parts.dim,))])
    made = distributions.Transformed(base, bijections.Invert(whole))
    steps = [
        Step(path, layer.kind, [layer], *_both(part))
        for layer, path, part in zip(parts.layers, paths, chain, strict=True)
    ]

    def log_prob(of: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                return real(_density(of, jnp.asarray(x), None if context is None else jnp.asarray(context)))

        return run

    source = Exported(
        "flowjax", type(made).__qualname__, parts.dim, steps, parts.base, log_prob(made), log_prob(base), *_both(whole),
        context=parts.context, original=parts.flow,
    )  # fmt: skip
    if parts.base.kind == "uniform":
        words = parts.base.attributes
        source.box = float(real(words["low"])), float(real(words["high"]))
    wide = _read.in_float64(parts.flow)
    found = agree(source, wide)
    if parts.flow.dtype == np.float32:
        made = jax.tree_util.tree_map(_narrow, made)
        same_density("flowjax", "Transformed", log_prob(made), parts.flow, wide, (found.x, found.context))
    return made


@eqx.filter_jit  # type: ignore[untyped-decorator]
def _density(of: Any, x: Any, context: Any) -> Any:
    return of.log_prob(x, context) if of.cond_shape is not None else of.log_prob(x)


@eqx.filter_jit  # type: ignore[untyped-decorator]
def _image(part: Any, name: str, x: Any, context: Any) -> Any:
    given = None if part.cond_shape is None else context
    return jax.vmap(getattr(part, name), (0, None if given is None else 0))(x, given)


def _both(part: Any) -> tuple[Map, Map]:
    """What the library makes of rows, in both directions."""

    def direction(name: str) -> Map:
        def run(x: Real, context: Real | None) -> Mapped:
            with double():
                z, log_det = _image(part, name, jnp.asarray(x), None if context is None else jnp.asarray(context))
                return real(z), real(log_det)

        return run

    return direction("transform_and_log_det"), direction("inverse_and_log_det")


def _narrow(leaf: Any) -> Any:
    """For JAX that has no float64 and no int64."""
    names = {"float64": jnp.float32, "int64": jnp.int32}
    return leaf.astype(names[str(leaf.dtype)]) if isinstance(leaf, jax.Array) and str(leaf.dtype) in names else leaf
