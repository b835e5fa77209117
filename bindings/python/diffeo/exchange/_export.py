"""What the exporters share: layers by their kind, and both sides on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _read
from ._check import Map, Source, Step, agree, same_density
from ._error import ConversionError, NoCounterpartError
from ._layers import Layer
from ._network import Real, real
from ._read import Parts
from ._torch import array, computing, double, tensor


def maker(table: Mapping[str, Callable[..., Any]], layer: Layer, path: str, library: str) -> Callable[..., Any]:
    """What the table makes of such a layer or base; if that cannot be had, the error says which one it is."""

    def made(*arguments: Any) -> Any:
        try:
            if "shape" in layer.lists:
                raise NoCounterpartError("layers of images are not exported, but by to_numpy")
            if layer.kind not in table:
                raise NoCounterpartError(f"it has no counterpart in {library}")
            return table[layer.kind](*arguments)
        except NoCounterpartError as error:
            raise ConversionError(path, layer.kind, str(error)) from error

    return made


@dataclass(frozen=True)
class Library:
    """A library of PyTorch: tables of functions of a layer and the parts, and how it computes."""

    name: str
    layers: Mapping[str, Callable[[Layer, Parts], Any]]
    bases: Mapping[str, Callable[[Layer, Parts], Any]]
    # of transforms, a base and dim: a flow, and its transform as a whole
    flow: Callable[[Sequence[Any], Any, int], tuple[Any, Any]]
    maps: Callable[[Any], tuple[Map, Map]]  # of a transform
    log_prob: Callable[[Any, Any, Any], Any]  # of a flow or a base, at tensors


def export(library: Library, parts: Parts) -> Any:
    """The flow of the library, which computes what Diffeo does, in the dtype of the flow."""
    with double():
        paths = [_read.path_of(i) for i in range(len(parts.layers))]
        made = [
            maker(library.layers, layer, path, library.name)(layer, parts)
            for layer, path in zip(parts.layers, paths, strict=True)
        ]
        base = maker(library.bases, parts.base, "base", library.name)(parts.base, parts)
        flow, whole = library.flow(made, base, parts.dim)
        flow = flow.double().eval()
    chain = [
        Step(path, layer.kind, [layer], *library.maps(part))
        for layer, path, part in zip(parts.layers, paths, made, strict=True)
    ]

    def log_prob(part: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with computing(x.dtype.name):
                return array(library.log_prob(part, tensor(x), tensor(context)))

        return run

    name, words = type(flow).__qualname__, parts.base.attributes
    source = Source(
        library.name, name, parts.dim, chain, parts.base, log_prob(flow), log_prob(base), *library.maps(whole),
        context=parts.context,
    )  # fmt: skip
    if parts.base.kind == "uniform":
        source.box = float(real(words["low"])), float(real(words["high"]))
    wide = _read.in_float64(parts.flow)
    found = agree(source, wide)
    if parts.flow.dtype == np.float32:
        flow = flow.float()
        same_density(library.name, name, log_prob(flow), parts.flow, wide, (found.x, found.context))
    return flow


def affine_only(layer: Layer) -> None:
    """Refuse what the parameters of an affine map or a spline do not say."""
    kind = layer.transformer.attributes["transformer"] if layer.transformer is not None else ""
    if kind not in ("affine", "rational_quadratic"):
        raise NoCounterpartError(f"its transformer is {kind}; affine maps and rational-quadratic splines are converted")
