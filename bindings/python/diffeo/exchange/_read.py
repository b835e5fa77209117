"""A flow of Diffeo as plain arrays, and as the layers that the converters are written in."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np

from ..flow import Flow, from_bytes
from . import _layers
from ._error import ConversionError
from ._layers import Layer, Transformer
from ._network import Block, Dense, Integer, Mask, Network, Real, constant, real


def to_numpy(flow: Flow) -> dict[str, Any]:
    """Return what the weight file of a flow says: arrays by name, and the attributes of each group.

    An array is found by its path, ``"layers/000/network/0/weight"``. The attributes of a group are a dict under the
    path of the group, ``"layers/000"``, with text as str and numbers as int, float or lists; those of the whole file
    are under ``"/"``. Names, shapes and formulas are those of docs/weight-file.md.

    Parameters
    ----------
    flow : Flow
        Any flow: there is none that this cannot say.

    Returns
    -------
    dict
        Copies: changing them does not change the flow.
    """
    if not isinstance(flow, Flow):
        path = isinstance(flow, (str, os.PathLike))
        hint = ": diffeo.load reads one from a file" if path else ", such as diffeo.convert gives"
        raise TypeError(f"it takes a flow of Diffeo, not {type(flow).__qualname__}{hint}")
    with _opened(BytesIO(flow.to_bytes()), "r") as file:
        found: dict[str, Any] = {"/": _attributes(file)}

        def visit(name: str, item: Any) -> None:
            if hasattr(item, "shape"):
                found[name] = item[()]
            elif item.attrs:
                found[name] = _attributes(item)

        file.visititems(visit)
    return found


def _opened(file: BytesIO, mode: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("diffeo.exchange reads weight files with h5py: pip install h5py") from error
    return h5py.File(file, mode)


def _attributes(item: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.attrs.items()}


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    return value.decode() if isinstance(value, bytes) else value


def in_dtype(flow: Flow, dtype: str) -> Flow:
    """The same weights in a flow that computes in float32 or float64."""
    file = BytesIO(flow.to_bytes())
    with _opened(file, "r+") as root:
        root.attrs["dtype"] = dtype
        if "self_test" in root:  # its numbers are those of the other dtype
            del root["self_test"]
    return from_bytes(file.getvalue())


def in_float64(flow: Flow) -> Flow:
    """The same weights in a flow that computes in float64."""
    return in_dtype(flow, "float64")


# ---------------------------------------------------------------------------------------------------------------- flow


@dataclass(frozen=True)
class Parts:
    """A flow as its layers, from data to noise. A context that is standardised is so by the networks that read it."""

    flow: Flow
    layers: list[Layer]
    base: Layer

    @property
    def dim(self) -> int:
        """Columns of the data."""
        return self.flow.dim

    @property
    def context(self) -> int:
        """Columns of the context."""
        return self.flow.context_dim


def path_of(index: int) -> str:
    """Of a layer, in the weight file."""
    return f"layers/{index:03}"


def parts(flow: Flow) -> Parts:
    """The layers of a flow."""
    found = to_numpy(flow)
    if "embedding" in found:
        raise ConversionError("embedding", "network", "flows with an embedding of their context are not exported")
    for path, said in found.items():
        if isinstance(said, dict) and said.get("layer_norm_epsilon"):
            raise ConversionError(path, said["kind"], "layer normalisation in networks is not exported")

    def component(path: str) -> Layer:
        inside = {name[len(path) + 1 :]: value for name, value in found.items() if name.startswith(path + "/")}
        arrays = {name: value for name, value in inside.items() if isinstance(value, np.ndarray)}
        return _component(found[path], arrays, flow.dim, flow.context_dim, path)

    layers, base = [component(path_of(i)) for i in range(flow.layer_count)], component("base")
    if "context" in found:
        scale, shift = elementwise(component("context"))
        layers, base = [_given(layer, scale, shift) for layer in layers], _given(base, scale, shift)
    return Parts(flow, layers, base)


def _component(attributes: Mapping[str, Any], arrays: Mapping[str, Any], dim: int, context: int, path: str) -> Layer:
    said = dict(attributes)
    kind, inverse = said.pop("kind"), bool(said.pop("inverse", 0))
    if kind == "made":
        return _made(said, arrays, dim, context, path)
    if "shape" in arrays:  # a layer of images
        return Layer(kind, lists={"shape": arrays["shape"]}, inverse=inverse)
    if said.pop("direct", 0):
        raise ConversionError(path, kind, "its network has direct connections, which are not converted")
    lists = {name: values for name, values in arrays.items() if values.dtype.kind in "iu" and "/" not in name}
    parameters = {name: real(values) for name, values in arrays.items() if name not in lists and "network/" not in name}
    transformer = _transformer(said, path) if kind in ("coupling", "autoregressive", "elementwise") else None
    network = scale = None
    if "hidden" in lists:
        degrees = None
        columns = 0
        if kind == "coupling":
            columns = int(lists["mask"].sum())
        elif kind == "autoregressive":
            columns = dim
            order, *hidden = (lists[name] for name in _masked(len(lists["hidden"])))
            degrees = [_rank(order), *hidden]
        if transformer is not None and on_circle(transformer):
            columns *= 2
        network = _network(said, arrays, "network", lists["hidden"], columns, context, degrees)
        if "scale_activation" in said:
            again = {**said, "activation": said.pop("scale_activation")}
            scale = _network(again, arrays, "scale_network", lists["hidden"], columns, context, None)
        for name in ("activation", "blocks", "context_mode", "normalized", "dropout"):
            said.pop(name, None)
        lists.pop("hidden")
    return Layer(kind, said, lists, parameters, inverse, network, scale, transformer=transformer)


def _made(said: dict[str, Any], arrays: Mapping[str, Any], dim: int, context: int, path: str) -> Layer:
    """A MADE as its masks show it: a network for each of them."""
    if said.get("direct"):
        raise ConversionError(path, "made", "its network has direct connections, which are not converted")
    count, hidden = int(said.get("masks", 1)), arrays["hidden"]
    networks = []
    for order, *degrees in zip(*(np.split(arrays[name], count) for name in _masked(len(hidden))), strict=True):
        networks.append(_network(said, arrays, "network", hidden, dim, context, [_rank(order), *degrees]))
    match said["conditional"]:
        case "gaussian":
            transformer = _transformer(dict(said), path)
        case "mixture":
            transformer = _transformer(
                {"transformer": "mixture_cdf", "family": "normal", "target": "uniform", **said}, path
            )
        case _:
            transformer = Transformer({"transformer": "bernoulli"}, (0.0,))
    orders = {"order": arrays["order"]}
    return Layer("made", lists=orders, transformer=transformer, masks=tuple(networks))


def _masked(hidden: int) -> list[str]:
    return ["order", *(f"degrees_{i}" for i in range(hidden))]


def _rank(order: Integer) -> Integer:
    """The degrees of the columns."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    return rank


_AFFINE = ("scale", "scale_bound", "scale_epsilon", "log_scale_low", "log_scale_high")
_SPLINE = (
    "bins", "low", "high", "boundary", "min_width", "min_height", "min_derivative",
    "logit_bound", "derivative", "derivative_bound", "boundary_derivative", "half_ends", "encoding",
)  # fmt: skip
_OTHERS = {
    "mixture_cdf": ("components", "family", "target", "scale_bound", "scale", "scale_epsilon"),
    "sinh_arcsinh": ("scale_bound",),
}


def _transformer(said: dict[str, Any], path: str) -> Transformer:
    """The transformer, whose attributes are taken out."""
    kind = said.pop("transformer", "affine")
    if kind == "affine":
        words = {name: said.pop(name) for name in _AFFINE if name in said}
        more = {name: value for name, value in words.items() if name.startswith("log")}
        return _layers.affine(words["scale"], words["scale_bound"], words["scale_epsilon"], **more)
    if kind == "rational_quadratic":
        words = {name: said.pop(name) for name in _SPLINE if name in said}
        return _layers.spline(words.pop("bins"), words.pop("low"), words.pop("high"), words.pop("boundary"), **words)
    if kind not in _OTHERS:
        raise ConversionError(path, kind, "exporters do not know this map of one number")
    words = {name: said.pop(name) for name in _OTHERS[kind] if name in said}
    return Transformer({"transformer": kind, **words}, (0.0,) * (3 * words.get("components", 0) or 2))


def on_circle(transformer: Transformer) -> bool:
    """Whether networks read the cosine and the sine of each column."""
    said = transformer.attributes
    return said.get("boundary") == "periodic" and said.get("encoding") != "numbers"


def _network(
    said: Mapping[str, Any],
    arrays: Mapping[str, Any],
    prefix: str,
    hidden: Integer,
    columns: int,
    context: int,
    degrees: list[Integer] | None,
) -> Network:
    """A network, and which of its weights are used if there are degrees: first those of the columns."""

    def dense(name: str, mask: Mask | None = None) -> Dense:
        return Dense.of(arrays[f"{prefix}/{name}/weight"], arrays.get(f"{prefix}/{name}/bias"), mask)

    def between(after: int, before: int) -> Mask | None:
        """Of the units after, which sees what before: -1 is what the network reads, -2 its outputs."""
        if degrees is None:
            return None
        if before == -1:
            own = np.repeat(degrees[0], columns // len(degrees[0]))
            first = own if mode == "shift" else np.concatenate([own, np.zeros(context, np.int64)])
        else:
            first = degrees[before + 1]
        if after == -2:
            outputs = len(arrays[f"{prefix}/{count}/bias"])
            last = np.repeat(degrees[0], outputs // len(degrees[0]))
            return np.asarray(last[:, None] > first)
        return np.asarray(degrees[after + 1][:, None] >= first)

    count, mode = len(hidden), said.get("context_mode", "input")
    kind = said.get("blocks", "plain")
    names = ("activation", "context_mode", "dropout")
    words = {name: said[name] for name in names if name in said}
    last = dense(f"{count}", between(-2, count - 1))
    added = dense("context") if mode == "shift" else None
    if kind == "plain":
        layers = [dense(f"{i}", between(i, i - 1)) for i in range(count)]
        return Network((*layers, last), context=context, context_layer=added, **words)
    blocks = []
    values: dict[str, Real | None] = defaultdict(lambda: None, {key: real(value) for key, value in arrays.items()})
    for i in range(count):
        within = between(i, i)
        links = i > 0 and f"{prefix}/{i}/weight" in arrays
        name = f"{prefix}/{i}"
        blocks.append(
            Block(
                dense(f"{i}/inner", within),
                dense(f"{i}/outer", within),
                dense(f"{i}", between(i, i - 1)) if links else None,
                dense(f"{i}/gate") if f"{name}/gate/weight" in arrays else None,
                values[f"{name}/context/weight"],
                values[f"{name}/scale"],
                values[f"{name}/shift"],
            )
        )
    first = dense("0", between(0, -1))
    return Network((first, last), context=context, kind=kind, blocks=tuple(blocks), context_layer=added, **words)


# ------------------------------------------------------------------------------------------------------------- context


def _given(layer: Layer, scale: Real, shift: Real) -> Layer:
    """The same for a context c where it was made for scale c + shift."""
    networks = [None if n is None else _scaled(n, scale, shift) for n in (layer.network, layer.scale_network)]
    masks = tuple(_scaled(n, scale, shift) for n in layer.masks)
    return replace(layer, network=networks[0], scale_network=networks[1], masks=masks)


def _scaled(network: Network, scale: Real, shift: Real) -> Network:
    blocks = []
    for block in network.blocks:
        inner, added = block.inner, block.context
        if added is not None:
            inner, added = replace(inner, bias=inner.bias + added @ shift), added * scale
        gate = None if block.gate is None else block.gate.after(scale, shift)
        blocks.append(replace(block, inner=inner, context=added, gate=gate))
    if network.context_layer is not None:
        return replace(network, context_layer=network.context_layer.after(scale, shift), blocks=tuple(blocks))
    wide = np.concatenate([np.ones(network.inputs), scale]), np.concatenate([np.zeros(network.inputs), shift])
    return replace(network.with_first(lambda first: first.after(*wide)), blocks=tuple(blocks))


# ----------------------------------------------------------------------------------------------------------- constants


def elementwise(layer: Layer) -> tuple[Real, Real]:
    """Scale and shift of a layer `standardize`, `actnorm` or `batch_norm`, whatever its direction."""
    p = layer.parameters
    match layer.kind:
        case "standardize":
            scale = 1 / p["std"]
            shift = -p["mean"] * scale
        case "actnorm":
            scale = np.exp(p["log_scale"])
            shift = p.get("shift", np.zeros(len(scale)))
        case _:
            scale = np.exp(p["log_gamma"]) / np.sqrt(p["variance"] + real(layer.attributes["epsilon"]))
            shift = p["beta"] - p["mean"] * scale
    return (1 / scale, -shift / scale) if layer.inverse else (scale, shift)


def levels(layer: Layer, dim: int) -> Real:
    """What a layer `dequantize` divides each column by."""
    found = np.ones(dim)
    given = layer.lists["levels"] if "columns" in layer.lists else int(str(layer.attributes["levels"]))
    found[layer.lists.get("columns", slice(None))] = np.maximum(given, 1)
    return found


def matrix(layer: Layer) -> tuple[Real, Real]:
    """Matrix and bias of a layer `lu`, `linear` or `householder`, whatever its direction."""
    p = layer.parameters
    if layer.kind == "linear":
        found, bias = p["weight"], p["bias"]
    elif layer.kind == "lu":
        dim = len(p["bias"])
        lower = np.tril(p["lower"], -1) + np.eye(dim)
        upper = np.triu(p["upper"], 1) + np.diag(p["sign"] * np.exp(p["log_scale"]))
        found, bias = (lower @ upper)[layer.lists["permutation"]], p["bias"]
    else:
        found = np.eye(p["vectors"].shape[1])
        for v in p["vectors"]:
            found = found - 2 * np.outer(found @ v, v) / (v @ v)
        bias = np.zeros(len(found))
    if layer.inverse:
        found = np.linalg.inv(found)
        bias = -found @ bias
    return found, bias


def log_determinant(layer: Layer) -> float:
    """That of such a matrix."""
    if layer.kind == "linear":
        found = float(np.linalg.slogdet(layer.parameters["weight"])[1])
    else:
        found = float(layer.parameters.get("log_scale", np.zeros(1)).sum())
    return -found if layer.inverse else found


def as_coupling(layer: Layer, dim: int) -> Layer:
    """A layer `elementwise` as a coupling layer whose network gives the same whatever it reads."""
    columns = layer.lists["columns"]
    mask = np.ones(dim, np.int64)
    mask[columns] = 0
    network, transformer = layer.network, layer.transformer
    inputs = (dim - len(columns)) * (2 if transformer is not None and on_circle(transformer) else 1)
    if network is None:
        network = constant(layer.parameters["parameters"], inputs)
    elif inputs:  # it reads the context only
        index = np.concatenate([np.full(inputs, -1), np.arange(network.context)])
        network = network.with_first(lambda first: first.columns(index))
    return replace(layer, kind="coupling", lists={"mask": mask}, parameters={}, network=network)
