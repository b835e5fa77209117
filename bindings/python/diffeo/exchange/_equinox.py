"""What flowjax has no class for: networks, maps of one number, layers and bases of docs/weight-file.md in equinox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import paramax
from flowjax.bijections import AbstractBijection, Affine, Loc, RationalQuadraticSpline
from flowjax.distributions import AbstractDistribution

from . import _formulas
from ._layers import Layer, Transformer
from ._network import Dense, Network, Real

Words = tuple[tuple[str, Any], ...]  # attributes as what can be hashed


def _tail(u: Any) -> Any:
    r = 1.0 / (u + 4.0)
    return jnp.polyval(jnp.asarray(_formulas.NORMAL_TAIL["float64"][::-1], u.dtype), 1.0 - 8.0 * r) * r


def _repeated(count: int, step: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
    start = jax.tree_util.tree_map(jax.lax.stop_gradient, state)
    found: tuple[Any, ...] = jax.lax.fori_loop(0, count, lambda i, now: step(*now), start)
    return found


# What formulas are computed with
MATHS = SimpleNamespace(
    exp=jnp.exp, log=jnp.log, log1p=jnp.log1p, expm1=jnp.expm1, sqrt=jnp.sqrt, tanh=jnp.tanh, sin=jnp.sin,
    sigmoid=jax.nn.sigmoid, softplus=lambda a: jnp.logaddexp(a, 0.0), atan=jnp.arctan, floor=jnp.floor,
    minimum=jnp.minimum, maximum=jnp.maximum, where=jnp.where, normal_tail=_tail,
    indicator=lambda condition, like: condition.astype(like.dtype),
    const=lambda values, like: jnp.asarray(values, like.dtype),
    nan=lambda like: jnp.full_like(like, jnp.nan),
    eps=lambda like: float(jnp.finfo(like.dtype).eps),
    wide=lambda x: x[..., None], between=lambda x: x[..., None, :],
    part=lambda x, start, stop: x[..., start:stop], pick=lambda x, index: x[..., index],
    sum=lambda x: x.sum(-1), most=lambda x: x.max(-1), softmax=jax.nn.softmax,
    times=lambda x, matrix: x @ jnp.asarray(matrix, x.dtype),
    repeat=_repeated, still=jax.lax.stop_gradient,
    carried=lambda a, by: jax.lax.stop_gradient(a) + (by - jax.lax.stop_gradient(by)),
)  # fmt: skip
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "silu": jax.nn.silu,
    "leaky_relu": jax.nn.leaky_relu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "gelu_erf": jax.tree_util.Partial(jax.nn.gelu, approximate=False),
    "mish": jax.nn.mish,
    "hard_silu": jax.nn.hard_silu,
}


def new(kind: Any, **fields: Any) -> Any:
    """A module by its fields, where its constructor would draw weights."""
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


# ------------------------------------------------------------------------------------------------------------ networks


def linear(dense: Dense) -> Any:
    """A linear layer; a mask is kept as flowjax keeps its own."""
    outputs, inputs = dense.weight.shape
    weight: Any = jnp.asarray(dense.weight)
    if not dense.sees.all():
        weight = paramax.Parameterize(jnp.where, jnp.asarray(dense.sees), weight, 0)
    return new(
        eqx.nn.Linear, weight=weight, bias=jnp.asarray(dense.bias), in_features=inputs, out_features=outputs,
        use_bias=True,
    )  # fmt: skip


class Net(eqx.Module):  # type: ignore[misc]
    """A network of residual blocks, or one to whose first layer the context is added."""

    layers: tuple[Any, ...]
    blocks: tuple[dict[str, Any], ...]
    added: Any
    inputs: int = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """Of columns, then context."""
        act, c = ACTIVATIONS[self.activation], x[self.inputs :]
        first, *others = self.layers
        h = first(x) if self.added is None else first(x[: self.inputs]) + act(self.added(c))
        for block in self.blocks:
            h = block["link"](h) if block["link"] is not None else h
            y = h if block["scale"] is None else block["scale"] * h + block["shift"]
            y = block["inner"](act(y) if self.kind == "preactivation" else y)
            y = block["outer"](act(y if block["context"] is None else y + block["context"] @ c))
            h = h + (y if block["gate"] is None else y * jax.nn.sigmoid(block["gate"](c)))
        for layer in others:
            h = layer(h if self.kind != "plain" else act(h))
        return h


class Joined(eqx.Module):  # type: ignore[misc]
    """Two networks whose outputs take turns: scales, then shifts, or the other way round."""

    nets: tuple[Any, Any]

    def __call__(self, x: Any) -> Any:
        """Outputs in pairs."""
        return jnp.stack([net(x) for net in self.nets], axis=-1).ravel()


class Circle(eqx.Module):  # type: ignore[misc]
    """A network that reads cosine and sine of angles in place of these."""

    net: Any
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    columns: int = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """Its outputs."""
        angle = (x[: self.columns] - self.low) * (2 * np.pi / (self.high - self.low))
        both = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1).ravel()
        return self.net(jnp.concatenate([both, x[self.columns :]]))


def network(net: Network) -> Any:
    """A plain one is an MLP of equinox."""
    layers = tuple(linear(dense) for dense in net.dense)
    if net.kind == "plain" and net.context_layer is None:
        widths = [layer.out_features for layer in layers[:-1]] or [0]
        return new(
            eqx.nn.MLP, layers=layers, activation=ACTIVATIONS[net.activation], final_activation=_same,
            use_bias=True, use_final_bias=True, in_size=layers[0].in_features, out_size=layers[-1].out_features,
            width_size=max(widths), depth=len(layers) - 1, scan=False,
        )  # fmt: skip
    blocks = []
    for block in net.blocks:
        found = {name: getattr(block, name) for name in ("scale", "shift", "context")}
        made = {name: None if value is None else jnp.asarray(value) for name, value in found.items()}
        dense = {name: getattr(block, name) for name in ("link", "inner", "outer", "gate")}
        blocks.append(made | {name: None if value is None else linear(value) for name, value in dense.items()})
    added = None if net.context_layer is None else linear(net.context_layer)
    return Net(layers, tuple(blocks), added, net.inputs, net.kind, net.activation)


def _same(x: Any) -> Any:
    return x


# -------------------------------------------------------------------------------------------------- maps of one number


class ElementMap(AbstractBijection):  # type: ignore[misc]
    """A map of one number that flowjax does not have."""

    parameters: Any
    words: Words = eqx.field(static=True)
    shape: tuple[int, ...] = ()
    cond_shape: None = None

    def _run(self, x: Any, inverse: bool) -> tuple[Any, Any]:
        y, log_slope = _formulas.element_map(MATHS, transformer(self.words), self.parameters, x, inverse)
        return y, jnp.broadcast_to(log_slope, ())

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[Any, Any]:
        """The map."""
        return self._run(x, False)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[Any, Any]:
        """Its inverse."""
        return self._run(y, True)


def words(made: Transformer) -> Words:
    """Of a transformer."""
    return (*made.attributes.items(), ("parameters", made.parameters))


def transformer(of: Words) -> Transformer:
    """From its words."""
    said = dict(of)
    return Transformer(said, (0.0,) * said.pop("parameters"))


class Constructor(eqx.Module):  # type: ignore[misc]
    """From parameters to the map of one number, flowjax' own where it has one; of affine maps the shift comes first."""

    words: Words = eqx.field(static=True)
    inverted: bool = eqx.field(static=True, default=False)

    def __call__(self, parameters: Any) -> Any:
        """The map."""
        from flowjax.bijections import Invert

        made = self._map(transformer(self.words), parameters)
        return Invert(made) if self.inverted else made

    def _map(self, of: Transformer, parameters: Any) -> Any:
        said: dict[str, Any] = dict(of.attributes)
        if said.get("scale") == "additive":
            return new(Loc, loc=parameters[0], shape=())
        if said["transformer"] == "affine":
            scale, shift = _formulas.scale_and_shift(MATHS, of, parameters[1], parameters[0])
            return new(Affine, loc=shift, scale=scale, shape=())
        if said["transformer"] == "rational_quadratic" and said["boundary"] in ("linear", "free"):
            low, high = said["low"], said["high"]
            widths, heights, slopes = _formulas.knots(MATHS, said, parameters)
            ends = [jnp.concatenate([jnp.zeros(1, s.dtype), jnp.cumsum(s)[:-1]]) + low for s in (widths, heights)]
            x, y = (jnp.append(end, jnp.asarray(high, end.dtype)) for end in ends)
            return new(
                RationalQuadraticSpline, knots=said["bins"] - 1, interval=(low, high), x_pos=x, y_pos=y,
                derivatives=slopes,
            )  # fmt: skip
        return ElementMap(parameters, self.words)


# -------------------------------------------------------------------------------------------------------------- layers


class Fixed(AbstractBijection):  # type: ignore[misc]
    """A layer without networks: a map of some columns from their domain, or angles that are wrapped."""

    constants: dict[str, Any]
    kind: str = eqx.field(static=True)
    attributes: Words = eqx.field(static=True)
    columns: tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, ...]
    cond_shape: None = None

    def _run(self, x: Any, inverse: bool) -> tuple[Any, Any]:
        said, constants = dict(self.attributes), jax.lax.stop_gradient(self.constants)
        index = np.array(self.columns)
        if self.kind == "wrap":
            turned = _formulas.wrap(MATHS, Layer("wrap", said, parameters=constants), x[index], inverse)
            return x.at[index].set(turned), jnp.zeros(())
        y, log_slope = _formulas.domain(MATHS, said["map"], constants, x[index], inverse)
        return x.at[index].set(y), log_slope.sum()

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[Any, Any]:
        """The layer."""
        return self._run(x, False)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[Any, Any]:
        """Its inverse."""
        return self._run(y, True)


class Vectors(eqx.Module):  # type: ignore[misc]
    """Trained vectors, or those that a network makes of the context."""

    values: Any
    net: Any
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __call__(self, condition: Any) -> list[Any]:
        """Each in its shape."""
        values = self.values if self.net is None else self.net(condition)
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(jnp.split(values, ends), self.shapes, strict=True)]


def vectors(layer: Layer, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> Vectors:
    """Those of a layer or a base."""
    if layer.network is not None:
        return Vectors(None, network(layer.network), tuple(shapes))
    values = np.concatenate([np.ravel(layer.parameters[name]) for name in names])
    return Vectors(jnp.asarray(values), None, tuple(shapes))


class Whole(AbstractBijection):  # type: ignore[misc]
    """A planar or a radial layer, in both directions."""

    vectors: Vectors
    kind: str = eqx.field(static=True)
    shape: tuple[int, ...]
    cond_shape: tuple[int, ...] | None

    def _run(self, x: Any, condition: Any, inverse: bool) -> tuple[Any, Any]:
        a, b, c = self.vectors(condition)
        if self.kind == "planar":
            found: tuple[Any, Any] = _formulas.planar(MATHS, a, b, c, x, inverse)
            return found
        return _formulas.radial(MATHS, self.shape[0], a, b, c, x, inverse)

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[Any, Any]:
        """The layer."""
        return self._run(x, condition, False)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[Any, Any]:
        """Its inverse."""
        return self._run(y, condition, True)


# --------------------------------------------------------------------------------------------------------------- bases


class Given(AbstractDistribution):  # type: ignore[misc]
    """A base whose parameters a network makes of the context."""

    vectors: Vectors
    kind: str = eqx.field(static=True)
    shape: tuple[int, ...]
    cond_shape: tuple[int, ...] | None

    def _log_prob(self, x: Any, condition: Any = None) -> Any:
        values = self.vectors(condition)
        match self.kind:
            case "normal":
                return _formulas.normal(MATHS, x, *values).sum()
            case "student_t":
                return _formulas.student_t(MATHS, x, *values).sum()
        return _formulas.mixture(MATHS, x, *values)

    def _sample(self, key: Any, condition: Any = None) -> Any:
        values = self.vectors(condition)
        if self.kind == "student_t":
            return jr.t(key, jnp.exp(jnp.clip(values[0], np.log(0.1), np.log(1e8))), self.shape)
        if self.kind == "mixture":
            one, key = jr.split(key)
            component = jr.categorical(one, values[0])
            values = [each[component] for each in values[1:]]
        mean, log_scale = values
        return mean + jnp.exp(log_scale) * jr.normal(key, self.shape, mean.dtype)


class Mean(AbstractDistribution):  # type: ignore[misc]
    """One of several distributions, each as likely: the masks of a MADE."""

    parts: tuple[Any, ...]
    shape: tuple[int, ...]
    cond_shape: tuple[int, ...] | None

    def _log_prob(self, x: Any, condition: Any = None) -> Any:
        each = jnp.stack([part._log_prob(x, condition) for part in self.parts])
        return jax.nn.logsumexp(each) - float(np.log(len(self.parts)))

    def _sample(self, key: Any, condition: Any = None) -> Any:
        one, key = jr.split(key)
        each = [part._sample(key, condition) for part in self.parts]
        return jnp.stack(each)[jr.randint(one, (), 0, len(each))]


def array(values: Real) -> Any:
    """From NumPy, in the dtype that JAX computes in."""
    return jnp.asarray(np.asarray(values))
