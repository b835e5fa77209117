"""flowjax 17 and 19: Ward. Its bijections go from noise to data; most flows wrap one in Invert.

Readers below give the steps of a bijection in the direction of its `transform`. Layers of a scan have their parameters
stacked. What a network gives are differences to the parameters with which its transformer was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from . import _layers
from ._check import Map, Mapped, Source, Step, both_ways, reverse
from ._error import ConversionError
from ._layers import Layer, Transformer
from ._network import Dense, Network, Real, inverse_softplus, real
from ._probe import ACTIVATIONS
from ._probe import activation as probe_activation
from ._probe import scale as probe_scale

MODULES = ("flowjax",)
Reader: TypeAlias = Callable[[Any, str], list[Step]]


_DTYPE = ContextVar("dtype", default="float64")


def computed_in() -> str:
    """The dtype of `double`."""
    return _DTYPE.get()


@contextmanager
def double() -> Iterator[None]:
    """JAX in float64, or in float32 in a function by `in_float32`."""
    import jax

    home = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
    with home.enable_x64(_DTYPE.get() == "float64"):
        yield


def in_float32(function: Callable[[Real, Real | None], Real]) -> Callable[[Real, Real | None], Real]:
    """What a library itself computes in float32: there JAX makes it of whatever is in float64."""

    def run(x: Real, context: Real | None) -> Real:
        token = _DTYPE.set("float32")
        try:
            return function(x, context)
        finally:
            _DTYPE.reset(token)

    return run


def in_double(tree: Any) -> tuple[Any, str]:
    """A copy in float64, and the dtype of the original."""
    import jax
    import jax.numpy as jnp

    found = set()

    def constants(leaf: Any) -> bool:
        return type(leaf).__name__ == "LeakyTanh"

    def wide(leaf: Any) -> Any:
        if constants(leaf):  # made in float32
            return type(leaf)(leaf.max_val, leaf.shape)
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating):
            found.add(str(leaf.dtype))
            return jnp.asarray(np.asarray(leaf), jnp.float64)
        return leaf

    return jax.tree_util.tree_map(wide, tree, is_leaf=constants), "float64" if "float64" in found else "float32"


def single(tree: Any) -> Any:
    """The same in float32, where that is what is computed in."""
    import jax
    import jax.numpy as jnp

    if _DTYPE.get() == "float64":
        return tree

    def narrow(leaf: Any) -> Any:
        return leaf.astype(jnp.float32) if isinstance(leaf, jax.Array) and leaf.dtype == np.float64 else leaf

    return jax.tree_util.tree_map(narrow, tree)


def mapped(function: Callable[..., Any]) -> Map:
    """A function of one row as one of many."""

    def run(x: Real, context: Real | None) -> Mapped:
        import jax

        with double():
            if context is None:
                z, log_det = jax.vmap(function)(x)
            else:
                z, log_det = jax.vmap(function)(x, context)
            return real(z), real(log_det)

    return run


def _maps(part: Any) -> tuple[Map, Map]:
    """A part without a context ignores it."""

    def direction(name: str) -> Map:
        function = getattr(part, name)
        run = mapped(_of_one_column(function) if part.shape == () else function)
        return run if part.cond_shape is not None else lambda x, context: run(x, None)

    return direction("transform_and_log_det"), direction("inverse_and_log_det")


def _of_one_column(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a number as one of a row of it."""

    def run(x: Any, *context: Any) -> Any:
        z, log_det = function(x[0], *context)
        return z[None], log_det

    return run


def leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    """A step of these layers."""
    return [Step(path, part, list(layers), *_maps(part))]


def read(table: Mapping[str, Reader], part: Any, path: str) -> list[Step]:
    """The steps of a part, by the first of its classes that the table names."""
    for kind in type(part).__mro__:
        if kind.__name__ in table:
            return table[kind.__name__](part, path)
    raise ConversionError(path, part, "Diffeo has no layer for it")


# ------------------------------------------------------------------------------------------------------------ networks


def _mlp(net: Any, context: int, path: str, *, masked: bool = False) -> Network:
    import jax.numpy as jnp

    if type(net).__name__ != "MLP":
        raise ConversionError(path, net, "the network is not an MLP of equinox")
    dense = []
    for each in net.layers:
        weight = real(each.weight)
        dense.append(Dense.of(weight, None if each.bias is None else real(each.bias), weight != 0 if masked else None))
    if not np.allclose(net.final_activation(jnp.linspace(-3, 3, 7)), np.linspace(-3, 3, 7)):
        raise ConversionError(path, net, "the network has an activation at its end")
    name: str | None = "relu"
    if len(dense) > 1:
        name = probe_activation(lambda a: activated(net.activation, a))
    if name is None:
        raise ConversionError(path, net, f"the activation is none of {', '.join(ACTIVATIONS)}")
    return Network(tuple(dense), name, context)


def sequential(net: Any, dense: Sequence[Dense], between: Sequence[Any], path: str) -> Network:
    """A network of linear layers, and of what is between them: one activation."""
    names = {probe_activation(lambda a, each=each: activated(each, a)) for each in between}  # type: ignore[misc]
    name = names.pop() if len(names) == 1 else None if names else "relu"
    if name is None:
        raise ConversionError(path, net, f"the activation is not one of {', '.join(ACTIVATIONS)}")
    return Network(tuple(dense), name)


def activated(function: Any, values: Real) -> Real:
    """Equinox may keep an activation for each unit, stacked."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    arrays = [each for each in jax.tree_util.tree_leaves(function) if eqx.is_array(each)]
    if arrays:
        function = jax.tree_util.tree_map(lambda each: each[0] if eqx.is_array(each) else each, function)
    return real(function(jnp.asarray(values)))


def _transformer(part: Any, outputs: int, path: str) -> tuple[Transformer, Any, Real, Real]:
    """The map of one number, which of its differences each of our outputs is, and factor and offset of those."""
    import jax
    import jax.numpy as jnp

    build = part.transformer_constructor
    made = build(jnp.zeros(outputs))
    if _unwrapped(made) is not made:
        build = lambda values: _unwrapped(part.transformer_constructor(values))  # noqa: E731
        made = build(jnp.zeros(outputs))
    match type(made).__name__:
        case "Affine":
            at = jax.vmap(lambda a: build(jnp.stack([jnp.zeros_like(a), a])).scale)
            scale = probe_scale(lambda a: real(at(jnp.asarray(a))))
            if scale is None:
                raise ConversionError(path, made, "its scale is none that Diffeo knows")
            index, factor, offset = [1, 0], [scale.factor, 1.0], [scale.offset, float(made.loc)]
            if scale.transformer.attributes["scale"] == "additive":
                return scale.transformer, [0], real([1.0]), real([float(made.loc)])
            return scale.transformer, index, real(factor), real(offset)
        case "Loc":
            return _layers.affine("additive"), [0], real([1.0]), real([float(made.loc)])
        case "RationalQuadraticSpline":
            return _spline(made, build, outputs, path)
        case other:
            raise ConversionError(path, part, f"the transformer {other}")


def _spline(made: Any, build: Any, outputs: int, path: str) -> tuple[Transformer, Any, Real, Real]:
    """Flowjax 19 has a number for each width; in 17 the first one is halved, for the first and the last bin."""
    import jax.numpy as jnp

    bins, (low, high) = len(made.x_pos) - 1, (float(end) for end in made.interval)
    old = outputs == 3 * bins - 1
    count = bins - int(old)
    index = np.arange(outputs)
    if old:
        widths = np.append(np.arange(count), 0)
        index = np.concatenate([widths, widths + count, index[2 * count :]])
    # With all weight on the first width the second has its minimum
    extreme = jnp.zeros(outputs).at[jnp.array([0, count])].set(1e4).at[outputs - 1].set(-1e4)
    far = build(extreme)
    gaps = {name: np.diff(real(each)) / (high - low) for name, each in (("x", made.x_pos), ("y", made.y_pos))}
    least = {name: float(each[2] - each[1]) / (high - low) for name, each in (("x", far.x_pos), ("y", far.y_pos))}
    if old and count == 1:
        least = {"x": 1e-3, "y": 1e-3}  # both bins are half of the interval, whatever their minimum
    minimum = float(far.derivatives[-1])
    words: dict[str, Any] = {"min_width": least["x"], "min_height": least["y"], "min_derivative": minimum}
    if old:
        words["half_ends"] = 1
    # What they are to begin with is added: softmax forgets a common summand
    offset = np.zeros(len(index))
    for k, name in enumerate(("x", "y")):
        floor = np.full(bins, least[name])
        if old:
            floor[[0, -1]] /= 2
        offset[k * bins : (k + 1) * bins] = np.log((gaps[name] - floor) / (1 - floor.sum()))
    first = inverse_softplus(real(made.derivatives) - minimum)
    offset[2 * bins :] = first - np.log(np.expm1(1 - minimum))
    return _layers.spline(bins, low, high, "free", **words), index, np.ones(len(index)), offset


def _set(network: Network, columns: int, found: tuple[Transformer, Any, Real, Real]) -> Network:
    """Our outputs for each column."""
    _, index, factor, offset = found
    per = network.outputs // columns
    rows = (np.arange(columns)[:, None] * per + np.asarray(index)).ravel()
    return network.select(rows, np.tile(factor, columns), np.tile(offset, columns))


# ---------------------------------------------------------------------------------------------------------- bijections


def _context(part: Any) -> int:
    return 0 if part.cond_shape is None else int(part.cond_shape[0])


def _autoregressive(part: Any, path: str) -> list[Step]:
    (dim,) = part.shape
    network = _mlp(part.masked_autoregressive_mlp, _context(part), f"{path}.masked_autoregressive_mlp", masked=True)
    found = _transformer(part, network.outputs // dim, path)
    return leaf(part, path, _layers.autoregressive(dim, found[0], _set(network, dim, found)))


def _coupling(part: Any, path: str) -> list[Step]:
    network = _mlp(part.conditioner, _context(part), f"{path}.conditioner")
    moved = part.dim - part.untransformed_dim
    found = _transformer(part, network.outputs // moved, path)
    mask = np.arange(part.dim) < part.untransformed_dim
    return leaf(part, path, _layers.coupling(mask, found[0], _set(network, moved, found)))


def _affine(part: Any, path: str) -> list[Step]:
    scale, loc = np.broadcast_arrays(real(part.scale), real(part.loc))
    if (scale <= 0).any():
        return leaf(part, path, _layers.linear(np.diag(scale), loc))
    return leaf(part, path, _layers.elementwise_affine(np.log(scale), loc))


def _triangular(part: Any, path: str) -> list[Step]:
    matrix = real(part.triangular)
    diagonal, zero = np.diag(matrix), np.zeros(matrix.shape)
    if part.lower:
        layer = _layers.lu(matrix / diagonal, zero, diagonal, real(part.loc))
    else:
        layer = _layers.lu(zero, matrix, diagonal, real(part.loc))
    return leaf(part, path, layer)


def _planar(part: Any, path: str) -> list[Step]:
    """With another constraint than ours: -1 + log(1 + softplus(w u)) where we have softplus(w u) - 1."""
    if part.negative_slope is not None or part.params is None:
        what = "leaky ReLU" if part.params is not None else "parameters from a network of the context"
        raise ConversionError(path, part, f"{what} in place of tanh and trained vectors")
    dim = part.shape[0]
    w, u, b = np.split(real(part.params), [dim, 2 * dim])
    product = w @ u
    wanted = np.log(np.logaddexp(0.0, product))  # its softplus is log(1 + softplus(product))
    u = u + (wanted - product) * w / (w @ w)
    return leaf(part, path, Layer("planar", parameters={"u": u, "w": w, "b": b}))


def _additive_condition(part: Any, path: str) -> list[Step]:
    (dim,), context = part.shape, _context(part)
    if type(part.module).__name__ == "Linear":
        bias = None if part.module.bias is None else real(part.module.bias)
        network = Network((Dense.of(real(part.module.weight), bias),), context=context)
    else:
        network = _mlp(part.module, context, f"{path}.module")
    return leaf(part, path, _layers.coupling(np.zeros(dim, np.int64), _layers.affine("additive"), network))


def _vmap(part: Any, path: str) -> list[Step]:
    inner = part.bijection
    if inner.shape != () or part.cond_shape is not None:
        raise ConversionError(path, part, f"it maps {type(inner).__name__} of shape {inner.shape}")
    dim = part.axis_size
    match type(inner).__name__:
        case "Affine":
            scale, loc = (np.array(np.broadcast_to(real(each), dim)) for each in (inner.scale, inner.loc))
            return leaf(part, path, _layers.elementwise_affine(np.log(scale), loc))
        case "RationalQuadraticSpline":
            return leaf(part, path, _spline_layer(inner, dim))
        case other:
            raise ConversionError(path, part, f"it maps {other}")


def _spline_layer(inner: Any, dim: int) -> Layer:
    """Splines of each column, from their positions and derivatives: minima are not needed any more."""
    x, y, d = (np.atleast_2d(real(each)) for each in (inner.x_pos, inner.y_pos, inner.derivatives))
    bins, (low, high) = x.shape[1] - 1, (float(end) for end in inner.interval)
    least = {"min_width": 1e-6, "min_height": 1e-6, "min_derivative": 1e-6}
    transformer = _layers.spline(bins, low, high, "free", **least)
    parts = [np.log((np.diff(each) / (high - low) - 1e-6) / (1 - 1e-6 * bins)) for each in (x, y)]
    parts.append(inverse_softplus(d - 1e-6) - np.log(np.expm1(1 - 1e-6)))
    values = np.concatenate(parts, axis=1)
    return _layers.elementwise(transformer, np.broadcast_to(values, (dim, values.shape[1])))


def _domain(name: str, **constants: float) -> Reader:
    """A map of each column from the whole line to a domain."""
    return lambda part, path: leaf(part, path, _layers.domain(name, **constants).inverted())


def _tanh(part: Any, path: str) -> list[Step]:
    """tanh(x) is 2 sigmoid(2 x) - 1."""
    return leaf(
        part, path, _layers.elementwise_affine(np.log(2), 0), _layers.domain("logit", low=-1, high=1).inverted()
    )


def stacked(tree: Any) -> Iterator[Any]:
    """The parts of a tree whose arrays are stacked along their first axis."""
    import equinox as eqx
    import jax

    arrays = [each for each in jax.tree_util.tree_leaves(tree) if eqx.is_array(each)]
    for i in range(len(arrays[0]) if arrays else 0):
        yield jax.tree_util.tree_map(lambda each, i=i: each[i] if eqx.is_array(each) else each, tree)


def _scan(part: Any, path: str) -> list[Step]:
    steps = (read(TABLE, one, f"{path}.bijection[{i}]") for i, one in enumerate(stacked(part.bijection)))
    return [step for each in steps for step in each]


def _chain(part: Any, path: str) -> list[Step]:
    return [step for i, each in enumerate(part.bijections) for step in read(TABLE, each, f"{path}.bijections[{i}]")]


def _sandwich(part: Any, path: str) -> list[Step]:
    outer, inner = read(TABLE, part.outer, f"{path}.outer"), read(TABLE, part.inner, f"{path}.inner")
    return [*outer, *inner, *reverse(outer)]


def _indexed(part: Any, path: str) -> list[Step]:
    (dim,) = part.shape
    columns = np.arange(dim)[np.asarray(part.idxs) if hasattr(part.idxs, "shape") else part.idxs]
    return [step.on(columns, dim) for step in read(TABLE, part.bijection, f"{path}.bijection")]


def _concatenate(part: Any, path: str) -> list[Step]:
    sizes = [each.shape[0] for each in part.bijections]
    steps, dim = [], sum(sizes)
    for i, each in enumerate(part.bijections):
        columns = np.arange(sum(sizes[:i]), sum(sizes[: i + 1]))
        steps += [step.on(columns, dim) for step in read(TABLE, each, f"{path}.bijections[{i}]")]
    return steps


def _stack(part: Any, path: str) -> list[Step]:
    dim = len(part.bijections)
    if part.shape != (dim,):
        raise ConversionError(path, part, f"its shape is {part.shape}, not that of a vector")
    each = [read(TABLE, one, f"{path}.bijections[{i}]") for i, one in enumerate(part.bijections)]
    return [step.on([i], dim) for i, steps in enumerate(each) for step in steps]


def _permute(part: Any, path: str) -> list[Step]:
    if len(part.shape) != 1:
        raise ConversionError(path, part, f"its shape is {part.shape}, not that of a vector")
    return leaf(part, path, _layers.permutation(np.asarray(part.permutation[0])))


def _flip(part: Any, path: str) -> list[Step]:
    return leaf(part, path, _layers.permutation(np.arange(part.shape[0])[::-1]))


TABLE: dict[str, Reader] = {
    "Invert": lambda part, path: reverse(read(TABLE, part.bijection, f"{path}.bijection")),
    "NumericalInverse": lambda part, path: read(TABLE, part.bijection, f"{path}.bijection"),
    "Scan": _scan,
    "Chain": _chain,
    "Sandwich": _sandwich,
    "Indexed": _indexed,
    "Concatenate": _concatenate,
    "Stack": _stack,
    "Identity": lambda part, path: [],
    "MaskedAutoregressive": _autoregressive,
    "Coupling": _coupling,
    "Affine": _affine,
    "Loc": lambda part, path: leaf(part, path, _layers.elementwise_affine(0 * real(part.loc), real(part.loc))),
    "Scale": lambda part, path: leaf(
        part, path, _layers.elementwise_affine(np.log(real(part.scale)), 0 * real(part.scale))
    ),
    "TriangularAffine": _triangular,
    "Planar": _planar,
    "AdditiveCondition": _additive_condition,
    "Vmap": _vmap,
    "RationalQuadraticSpline": lambda part, path: leaf(part, path, _spline_layer(part, 1)),
    "Permute": _permute,
    "Flip": _flip,
    "Householder": lambda part, path: leaf(part, path, _layers.householder(real(part.unit_vec)[None])),
    "LeakyTanh": lambda part, path: leaf(part, path, _layers.domain("leaky_tanh", bound=part.max_val)),
    "Sigmoid": _domain("logit", low=0.0, high=1.0),
    "Exp": _domain("log", low=0.0),
    "SoftPlus": _domain("softplus", low=0.0),
    "Tanh": _tanh,
}

# --------------------------------------------------------------------------------------------------------------- bases


def _location_scale(base: Any) -> tuple[Real, Real]:
    loc, scale = np.broadcast_arrays(real(base.bijection.loc), real(base.bijection.scale))
    return np.atleast_1d(loc), np.atleast_1d(scale)


def _normal(base: Any, path: str) -> Layer:
    loc, scale = _location_scale(base)
    return Layer("normal", parameters={"mean": loc, "log_scale": np.log(scale)})


def _uniform(base: Any, path: str) -> Layer | None:
    low, size = _location_scale(base)
    if len(set(low)) == len(set(size)) == 1:
        return Layer("uniform", {"low": float(low[0]), "high": float(low[0] + size[0])})
    return None


def _mixture(base: Any, path: str) -> Layer:
    if type(base.dist).__name__ != "Normal":
        raise ConversionError(path, base, f"a mixture of {type(base.dist).__name__}, not of Normal")
    loc, scale = _location_scale(base.dist)
    weights = real(base.log_normalized_weights)
    values = {"logits": weights, "means": loc, "log_scales": np.log(scale)}
    return Layer("mixture", {"components": len(weights)}, parameters=values)


def _student(base: Any, path: str) -> Layer:
    return Layer("student_t", parameters={"log_df": np.log(np.atleast_1d(real(base.df)))})


BASES: dict[str, Callable[[Any, str], Layer | None]] = {
    "StandardNormal": lambda base, path: Layer("standard_normal"),
    "_StandardLogistic": lambda base, path: Layer("logistic"),
    "_StandardUniform": lambda base, path: Layer("uniform", {"low": 0.0, "high": 1.0}),
    "_StandardStudentT": _student,
    "Normal": _normal,
    "Uniform": _uniform,
    "VmapMixture": _mixture,
}

# ---------------------------------------------------------------------------------------------------------------- flow


def _unwrapped(tree: Any) -> Any:
    from paramax import contains_unwrappables, unwrap

    return unwrap(tree) if contains_unwrappables(tree) else tree


def source(flow: Any) -> Source:
    """What a distribution of flowjax is."""
    with double():
        return _source(flow)


def _source(flow: Any) -> Source:
    import jax

    whole, dtype = in_double(flow)
    rest, path, toward_noise = _unwrapped(whole), "", []
    if len(rest.shape) != 1:
        raise ConversionError("", flow, f"its shape is {rest.shape}, not that of vectors")
    while True:
        make = BASES.get(type(rest).__name__)
        base = None if make is None else make(rest, path)
        if base is not None:
            break
        if not hasattr(rest, "bijection") or not hasattr(rest, "base_dist"):
            raise ConversionError(path, rest, "Diffeo has no such base distribution")
        toward_noise += reverse(read(TABLE, rest.bijection, f"{path}.bijection".lstrip(".")))
        rest, path = rest.base_dist, f"{path}.base_dist".lstrip(".")
    maps = both_ways(toward_noise)

    def density(of: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                score = single(of)._log_prob
                return real(jax.vmap(score)(x) if of.cond_shape is None else jax.vmap(score)(x, context))

        return run

    made = Source(
        "flowjax",
        type(flow).__qualname__,
        whole.shape[0],
        toward_noise,
        base,
        density(_unwrapped(whole)),
        density(rest),
        *maps,
    )
    made.in_float32 = in_float32(made.log_prob)
    made.dtype, made.context = dtype, _context(whole)
    if base.kind == "uniform" and not toward_noise:
        made.box = float(str(base.attributes["low"])), float(str(base.attributes["high"]))
    return made
