"""What the exporters to libraries of PyTorch share: layers by their kind, and both sides on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from . import _read
from ._check import TOLERANCE, Map, Source, Step, _agree, _rows
from ._error import ConversionError, NoCounterpartError
from ._layers import Layer, real
from ._read import Parts
from ._torch import double

Maker: TypeAlias = Callable[[Layer, Parts], Any]


def steps(
    parts: Parts, library: str, table: Mapping[str, Maker], maps: Callable[[Any], tuple[Map, Map]]
) -> list[tuple[Any, Step]]:
    """The modules of all layers, each with both sides of it."""
    found = []
    for i, layer in enumerate(parts.layers):
        module = make(table, layer, parts, _read.path_of(i), library)
        found.append((module, Step(_read.path_of(i), layer.kind, [layer], *maps(module))))
    return found


def make(table: Mapping[str, Maker], layer: Layer, parts: Parts, path: str, library: str) -> Any:
    """The module of a layer or of the base."""
    try:
        if layer.kind not in table:
            raise NoCounterpartError(f"it has no counterpart in {library}")
        with double():
            return table[layer.kind](layer, parts)
    except NoCounterpartError as error:
        raise ConversionError(path, layer.kind, str(error)) from error


def checked(
    library: str, flow: Any, parts: Parts, chain: Sequence[Step], maps: tuple[Map, Map], density: Any, base: Any
) -> Any:
    """The flow of the library, which computes what Diffeo does, in the dtype of the flow."""
    name = type(flow).__qualname__
    words = parts.base.attributes
    box = (float(real(words["low"])), float(real(words["high"]))) if parts.base.kind == "uniform" else None
    source = Source(
        library, name, parts.dim, list(chain), parts.base, density, base, *maps, context=parts.context, box=box
    )
    flow.eval()
    _agree(source, _read.in_float64(parts.flow), *_rows(source, 64, 0), TOLERANCE["float64"])
    return flow.double() if parts.flow.dtype == "float64" else flow.float()


def affine_only(layer: Layer) -> None:
    """Refuse what the parameters of an affine map or a spline do not say."""
    kind = layer.transformer.attributes["transformer"] if layer.transformer is not None else ""
    if kind not in ("affine", "rational_quadratic"):
        raise NoCounterpartError(f"its transformer is {kind}; affine maps and rational-quadratic splines are converted")
