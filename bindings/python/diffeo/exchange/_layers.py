"""Layers as a converter describes them, in the words of docs/weight-file.md, and flows made of them.

A flow is put together as the bytes of a weight file and loaded from there: what the file can say can be converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._abi import VERSION_STRING
from ..flow import Flow, from_bytes
from ._convolutions import Convolutions
from ._file import Group, Scalar, image
from ._masks import degrees
from ._network import Integer, Network, Real, real

# -------------------------------------------------------------------------------------------------------- transformers


@dataclass(frozen=True)
class Transformer:
    """The map of one number, by its attributes; `identity` are its parameters that change nothing."""

    attributes: Mapping[str, Scalar]
    identity: tuple[float, ...]

    @property
    def parameters(self) -> int:
        """How many numbers a column needs."""
        return len(self.identity)


def affine(scale: str, bound: float = 3.0, epsilon: float = 0.0, **more: float) -> Transformer:
    """The map s x + t with outputs a, t; additive: t."""
    attributes: dict[str, Scalar] = {"transformer": "affine", "scale": scale, "scale_bound": float(bound)}
    attributes |= {"scale_epsilon": float(epsilon), **{name: float(value) for name, value in more.items()}}
    if scale == "additive":
        return Transformer(attributes, (0.0,))
    at_one = {"sigmoid": np.log(1 - epsilon) - np.log(epsilon or 1e-300) - 2.0}
    return Transformer(attributes, (float(at_one.get(scale, 0.0)), 0.0))


def spline(bins: int, low: float, high: float, boundary: str = "linear", **minima: Any) -> Transformer:
    """A rational-quadratic spline with outputs widths, heights, derivatives; zeros are the identity."""
    attributes: dict[str, Scalar] = {
        "transformer": "rational_quadratic", "bins": bins, "low": float(low), "high": float(high),
        "boundary": boundary, "min_width": 1e-3, "min_height": 1e-3, "min_derivative": 1e-3, **minima,
    }  # fmt: skip
    derivatives = {"linear": bins - 1, "half_turn": bins - 1, "periodic": bins}.get(boundary, bins + 1)
    return Transformer(attributes, (0.0,) * (2 * bins + derivatives))


def linear_spline(bins: int, low: float, high: float, boundary: str = "linear", **more: Any) -> Transformer:
    """A spline of linear rational pieces, with the outputs of the other and lambdas behind them."""
    quadratic = spline(bins, low, high, boundary)
    attributes = {**quadratic.attributes, "transformer": "rational_linear", "min_lambda": 0.025, **more}
    return Transformer(attributes, quadratic.identity + (0.0,) * bins)


# -------------------------------------------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class Layer:
    """A component of a weight file."""

    kind: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    lists: Mapping[str, Integer] = field(default_factory=dict)
    parameters: Mapping[str, Real] = field(default_factory=dict)
    inverse: bool = False
    # What depends on the context_dim of the whole flow, and on the columns of the whole flow
    network: Network | None = None
    scale_network: Network | None = None
    convolutions: Convolutions | None = None
    transformer: Transformer | None = None
    masks: Sequence[Network] = ()  # of a base made: its network as each of the masks shows it

    def inverted(self) -> Layer:
        """The same the other way round."""
        return replace(self, inverse=not self.inverse)

    def group(self, context: int, dtype: str) -> Group:
        """What the weight file says of it."""
        group = Group({"kind": self.kind, **self.attributes})
        if self.kind not in (*BASES, "network"):
            group.attributes["inverse"] = int(self.inverse)
        if self.transformer is not None:
            group.attributes |= self.transformer.attributes
        parameters = dict(self.parameters)
        lists = dict(self.lists)
        if self.network is not None:
            network = self.network.given(context)
            group.attributes |= network.attributes()
            parameters |= network.parameters()
            lists["hidden"] = np.array(network.widths, np.int64)
        if self.scale_network is not None:
            group.attributes["scale_activation"] = self.scale_network.activation
            parameters |= self.scale_network.given(context).parameters("scale_network")
        if self.convolutions is not None:
            group.attributes |= self.convolutions.attributes()
            parameters |= self.convolutions.parameters(context)
            lists |= self.convolutions.lists()
        for name, values in lists.items():
            group.add(name, np.asarray(values, np.int64))
        for name, array in parameters.items():
            group.add(name, array.astype(dtype))
        return group


BASES = ("standard_normal", "normal", "logistic", "uniform", "student_t", "mixture", "beta", "made")


def embedding(network: Network) -> Layer:
    """A network of the context, whose outputs all layers and the base read in its place."""
    return Layer("network", {"features": network.outputs}, network=network)


def permutation(columns: npt.ArrayLike) -> Layer:
    """z_i = x_{columns_i}."""
    return Layer("permutation", lists={"permutation": np.asarray(columns, np.int64)})


def elementwise_affine(log_scale: npt.ArrayLike, shift: npt.ArrayLike) -> Layer:
    """Z = exp(log_scale) x + shift."""
    values = {"log_scale": real(log_scale), "shift": real(shift), "initialized": np.ones(1)}
    return Layer("actnorm", {"shift": 1}, parameters=values)


def scaling(scale: npt.ArrayLike, shift: npt.ArrayLike = 0.0) -> Layer:
    """Z = scale x + shift of each column, or of all alike, with scales of any sign but not 0."""
    s, t = np.broadcast_arrays(real(scale), real(shift))
    if (s > 0).all():
        return elementwise_affine(np.log(s), t)
    diagonal = s.ravel()
    zeros = np.zeros((len(diagonal), len(diagonal)))
    return lu(zeros, zeros, diagonal, t.ravel())


def standardize(mean: Real, std: Real) -> Layer:
    """Z = (x - mean) / std, of constants."""
    return Layer("standardize", parameters={"mean": mean, "std": std, "initialized": np.ones(1)})


def batch_norm(gamma: Real, beta: Real, mean: Real, variance: Real, epsilon: float, momentum: float = 0.1) -> Layer:
    """Gamma (x - mean) / sqrt(variance + epsilon) + beta."""
    values = {"log_gamma": np.log(gamma), "beta": beta, "mean": mean, "variance": variance, "initialized": np.ones(1)}
    return Layer("batch_norm", {"epsilon": epsilon, "momentum": momentum}, parameters=values)


def lu(
    lower: Real, upper: Real, diagonal: Real, bias: npt.ArrayLike = 0.0, order: npt.ArrayLike | None = None
) -> Layer:
    """L (U x) with its rows in this order, plus bias; the diagonal is that of U, L has ones."""
    dim = len(diagonal)
    rows = np.arange(dim) if order is None else np.asarray(order, np.int64)
    values = {
        "lower": np.tril(lower, -1), "upper": np.triu(upper, 1), "log_scale": np.log(np.abs(diagonal)),
        "sign": np.sign(diagonal), "bias": np.array(np.broadcast_to(real(bias), dim)),
    }  # fmt: skip
    return Layer("lu", lists={"permutation": rows}, parameters=values)


def linear(matrix: npt.ArrayLike, bias: npt.ArrayLike = 0.0) -> Layer:
    """Z = matrix x + bias by its LU decomposition with partial pivoting; a singular matrix is a ValueError."""
    rest = real(matrix)
    dim = len(rest)
    lower, order = np.zeros((dim, dim)), np.arange(dim)
    for k in range(dim):
        pivot = k + int(np.argmax(np.abs(rest[k:, k])))
        if rest[pivot, k] == 0:
            raise ValueError("the matrix is singular")
        for array in (rest, lower, order):
            array[[k, pivot]] = array[[pivot, k]]
        lower[k + 1 :, k] = rest[k + 1 :, k] / rest[k, k]
        rest[k + 1 :] -= np.outer(lower[k + 1 :, k], rest[k])
    # row k of L U is row order[k] of the matrix
    return lu(lower, rest, np.diag(rest).copy(), bias, np.argsort(order))


def householder(vectors: npt.ArrayLike) -> Layer:
    """A product of reflections, of which that of the last row acts first."""
    v = real(vectors)
    return Layer("householder", {"reflections": len(v)}, parameters={"vectors": v})


def domain(name: str, columns: npt.ArrayLike | None = None, **constants: npt.ArrayLike) -> Layer:
    """A map of some columns, or all, from their domain to the whole line."""
    if columns is None:
        return Layer("domain", {"map": name}, parameters={key: real(value) for key, value in constants.items()})
    chosen = np.asarray(columns, np.int64)
    values = {key: np.array(np.broadcast_to(real(value), len(chosen))) for key, value in constants.items()}
    return Layer("domain", {"map": name}, {"columns": chosen}, values)


def power(exponent: npt.ArrayLike) -> list[Layer]:
    """Z = x^p of positive x, which is exp(p log(x))."""
    log = domain("log", low=0.0)
    return [log, scaling(exponent), log.inverted()]


def spread(layer: Layer, dim: int) -> Layer:
    """A layer of all columns that was made without knowing how many they are: constants become one a column."""
    p = layer.parameters
    if layer.kind == "domain" and "columns" not in layer.lists:
        made = domain(str(layer.attributes["map"]), np.arange(dim), **p)
    elif layer.kind == "actnorm" and p["shift"].size == 1:
        made = elementwise_affine(*(np.full(dim, p[name].item()) for name in ("log_scale", "shift")))
    elif layer.kind == "lu" and p["bias"].size == 1:
        scale, shift = (np.full(dim, each.item()) for each in (p["sign"] * np.exp(p["log_scale"]), p["bias"]))
        made = scaling(scale, shift)
    else:
        return layer
    return replace(made, inverse=layer.inverse)


def coupling(mask: npt.ArrayLike, transformer: Transformer, network: Network, scale: Network | None = None) -> Layer:
    """The columns where the mask is 1 pass, and the network reads them."""
    lists = {"mask": np.asarray(mask, np.int64)}
    return Layer("coupling", lists=lists, network=network, scale_network=scale, transformer=transformer)


def autoregressive(dim: int, transformer: Transformer, network: Network) -> Layer:
    """Order and degrees are found from the zeros of the network, which must be masked."""
    lists, network = _ordered(dim, transformer.parameters, network)
    return Layer("autoregressive", lists=lists, network=network, transformer=transformer)


def made(dim: int, per_column: int, network: Network, attributes: Mapping[str, Scalar]) -> Layer:
    """A base whose conditionals a masked network gives, in the same way."""
    lists, network = _ordered(dim, per_column, network)
    return Layer("made", attributes, lists, network=network)


def _ordered(dim: int, per_column: int, network: Network) -> tuple[dict[str, Integer], Network]:
    order, hidden, network = degrees(dim, per_column, network)
    return {"order": order, **{f"degrees_{i}": each for i, each in enumerate(hidden)}}, network


def elementwise(transformer: Transformer, values: npt.ArrayLike) -> Layer:
    """Each column by itself, with parameters [columns, parameters of the transformer]."""
    parameters = real(values)
    lists = {"columns": np.arange(len(parameters))}
    return Layer("elementwise", lists=lists, parameters={"parameters": parameters}, transformer=transformer)


# -------------------------------------------------------------------------------------------------------------- subset


def embed(layer: Layer, columns: npt.ArrayLike, dim: int) -> Layer | None:
    """The layer acting on some columns of a wider flow, the others passing; None if its kind cannot be widened."""
    chosen = np.asarray(columns, np.int64)
    layer = spread(layer, len(chosen))
    if np.array_equal(chosen, np.arange(dim)):
        return layer
    others = np.setdiff1d(np.arange(dim), chosen)
    count = len(chosen)
    back = np.full(dim, -1)
    back[chosen] = np.arange(count)

    def vector(values: Real, otherwise: float = 0.0) -> Real:
        wide = np.full(dim, otherwise)
        wide[chosen] = values
        return wide

    def square(values: Real) -> Real:
        wide = np.zeros((dim, dim))
        wide[np.ix_(chosen, chosen)] = values
        return wide

    p = layer.parameters
    if layer.kind == "permutation" or layer.kind == "lu":
        order = np.arange(dim)
        order[chosen] = chosen[layer.lists["permutation"]]
        if layer.kind == "permutation":
            return replace(layer, lists={"permutation": order})
        if not np.array_equal(chosen, np.sort(chosen)):
            return None  # triangles would no longer be
        values = {name: square(p[name]) for name in ("lower", "upper")}
        values |= {"log_scale": vector(p["log_scale"]), "sign": vector(p["sign"], 1.0), "bias": vector(p["bias"])}
        return replace(layer, lists={"permutation": order}, parameters=values)
    if layer.kind == "actnorm":
        values = {"log_scale": vector(p["log_scale"]), "shift": vector(p["shift"]), "initialized": np.ones(1)}
        return replace(layer, parameters=values)
    if layer.kind == "batch_norm":
        log_scale = p["log_gamma"] - 0.5 * np.log(p["variance"] + float(layer.attributes["epsilon"]))  # type: ignore[arg-type]
        simple = elementwise_affine(log_scale, p["beta"] - p["mean"] * np.exp(log_scale))
        return embed(replace(simple, inverse=layer.inverse), chosen, dim)
    if layer.kind == "householder":
        wide = np.zeros((len(p["vectors"]), dim))
        wide[:, chosen] = p["vectors"]
        return replace(layer, parameters={"vectors": wide})
    if layer.kind in ("domain", "elementwise") and layer.network is None:
        named = chosen[layer.lists["columns"]]
        sort = np.argsort(named)
        return replace(layer, lists={"columns": named[sort]}, parameters={name: v[sort] for name, v in p.items()})
    if layer.network is None or layer.transformer is None:
        return None
    words = layer.transformer.attributes
    encoded = 2 if words.get("boundary") == "periodic" and words.get("encoding") != "numbers" else 1
    per = layer.transformer.parameters
    if layer.kind == "coupling":
        mask = np.ones(dim, np.int64)
        mask[chosen] = layer.lists["mask"]
        kept = chosen[layer.lists["mask"] == 1]
        place = {int(column): i for i, column in enumerate(kept)}
        inputs = np.array([place.get(int(column), -1) for column in np.flatnonzero(mask)], np.int64)
        reads = each_of(inputs, encoded)
        moved = chosen[layer.lists["mask"] == 0]
        outputs = each_of(np.argsort(moved), per)
        networks = [None if n is None else n.reading(reads) for n in (layer.network, layer.scale_network)]
        if layer.scale_network is None and networks[0] is not None:
            networks[0] = networks[0].select(outputs)
        elif not np.array_equal(moved, np.sort(moved)):
            return None
        return replace(layer, lists={"mask": mask}, network=networks[0], scale_network=networks[1])
    if layer.kind == "autoregressive":
        lists = dict(layer.lists)
        # the columns that pass come last: their constant outputs need nothing
        lists["order"] = np.concatenate([chosen[lists["order"]], others])
        network = layer.network.reading(each_of(back, encoded)).select(each_of(back, per))
        rest = np.zeros((dim, per))
        rest[others] = layer.transformer.identity
        network = network.with_last(lambda last: last.then(np.ones(len(last.bias)), rest.ravel()))
        return replace(layer, lists=lists, network=network)
    return None


def each_of(index: npt.ArrayLike, count: int) -> Integer:
    """Indices of `count` numbers for each entry, -1 staying -1."""
    i = np.asarray(index, np.int64)
    wide = i[:, None] * count + np.arange(count)
    return np.where(i[:, None] < 0, -1, wide).ravel()


# --------------------------------------------------------------------------------------------------------------- flows


def flow(
    layers: Sequence[Layer],
    base: Layer,
    dim: int,
    context: int = 0,
    *,
    shape: Sequence[int] = (),
    context_layer: Layer | None = None,
    embedding: Layer | None = None,
    dtype: str = "float64",
    metadata: Mapping[str, str] | None = None,
    test: Mapping[str, Real] | None = None,
) -> Flow:
    """A flow of these layers, from data to noise; with a self-test the loader compares the two sides.

    `shape` is that of an event, by default a vector. `context` are the columns of the context, of which an `embedding`
    makes what layers read.
    """
    read = context if embedding is None else int(str(embedding.attributes["features"]))
    root = Group(
        {
            "format": "diffeo", "format_version": [1, 0], "created_by": f"diffeo {VERSION_STRING} exchange",
            "dtype": dtype, "dim": dim, "context_dim": context, "event_shape": [*shape] or [dim],
        },
        {"base": base.group(read, dtype), "layers": Group()},
    )  # fmt: skip
    stack = root.children["layers"]
    assert isinstance(stack, Group)
    for i, layer in enumerate(layers):
        stack.children[f"{i:03}"] = spread(layer, dim).group(read, dtype)
    if context_layer is not None:
        root.children["context"] = context_layer.group(context, dtype)
    if embedding is not None:
        root.children["embedding"] = embedding.group(0, dtype)
    if metadata:
        root.children["metadata"] = Group(dict(metadata))
    if test:
        root.children["self_test"] = Group({}, {name: values.astype(dtype) for name, values in test.items()})
    return from_bytes(image(root))
