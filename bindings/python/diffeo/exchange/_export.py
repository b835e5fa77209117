"""What the exporters share: layers by their kind, and both sides on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..flow import Flow
from . import _formulas, _read
from ._check import COMPARED, CONDITIONED, EPS, TOLERANCE, Map, Rows, Source, Step, _differ, agree, same_density
from ._error import ConversionError, NoCounterpartError
from ._layers import Layer
from ._network import Real, real
from ._read import Parts
from ._torch import array, computing, double, tensor

_MIXTURE: dict[str, Any] = {"covariance": "diagonal", "diagonal": "exp", "epsilon": 0.0}  # of `_formulas.mixture`
_MIXTURES = {"zuko": {"covariance": ("diagonal", "full"), "diagonal": ("exp",)}}  # what its own can be


def _without_formula(layer: Layer, library: str) -> str:
    """What of a layer or a base an exporter does not know, or nothing."""
    if "shape" in layer.lists:
        return "layers of images are not exported, but by to_numpy"
    if layer.kind == "domain" and layer.attributes["map"] not in _formulas.DOMAINS:
        return f"exporters do not know the map {layer.attributes['map']}"
    if layer.kind == "mixture":
        said = {**_MIXTURE, **layer.attributes}
        known: Mapping[str, Any] = _MIXTURES.get(library, {name: (usual,) for name, usual in _MIXTURE.items()})
        other = [f"{name} {said[name]}" for name, values in known.items() if said[name] not in values]
        return f"exporters do not know mixtures with {' and '.join(other)}" if other else ""
    return ""


def maker(table: Mapping[str, Callable[..., Any]], layer: Layer, path: str, library: str) -> Callable[..., Any]:
    """What the table makes of such a layer or base; if that cannot be had, the error says which one it is."""

    def made(*arguments: Any) -> Any:
        try:
            if reason := _without_formula(layer, library):
                raise NoCounterpartError(reason)
            if layer.kind not in table:
                raise NoCounterpartError(f"it has no counterpart in {library}")
            return table[layer.kind](*arguments)
        except NoCounterpartError as error:
            raise ConversionError(path, layer.kind, str(error)) from error

    return made


@dataclass
class Exported(Source):
    """A flow of ours that has become one of a library."""

    original: Flow | None = None

    def flow(self, dtype: str, **more: Any) -> Flow:
        """What it was."""
        assert self.original is not None
        return _read.in_dtype(self.original, dtype)


def refuse_images(parts: Parts) -> None:
    """Also where each layer by itself takes rows."""
    if len(parts.flow.shape) > 1:
        raise ConversionError("", parts.flow, f"it is a flow of images {parts.flow.shape}, which only to_numpy exports")


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
    source = Exported(
        library.name, name, parts.dim, chain, parts.base, log_prob(flow), log_prob(base), *library.maps(whole),
        context=parts.context, original=parts.flow,
    )  # fmt: skip
    if parts.base.kind == "uniform":
        source.box = float(real(words["low"])), float(real(words["high"]))
    refuse_images(parts)
    wide = _read.in_float64(parts.flow)
    found = agree(source, wide)
    if parts.flow.dtype == np.float32:
        flow = flow.float()
        same_density(library.name, name, log_prob(flow), parts.flow, wide, (found.x, found.context))
    return flow


def same_results(
    library: str, method: str, run: Callable[[Real, Real | None], Sequence[Real]], flow: Flow, wide: Flow, on: Rows
) -> None:
    """Raise where a method of the flow by a library, in the dtype of the flow, differs from that in float64, `wide`.

    Beyond `TOLERANCE` a row may differ by what rounding changes of it: a library rounds its first step as Diffeo, which
    orders its steps so that they cancel less, may not, and that is no better than with x rounded. What exceeds the
    dtype is infinite.
    """
    dtype, most = flow.dtype.name, np.finfo(flow.dtype).max

    def results(of: Flow, at: Real) -> list[Real]:
        found = getattr(of, method)(*(None if each is None else each.astype(of.dtype) for each in (at, context)))
        return [real(each) for each in (found if isinstance(found, tuple) else (found,))]

    x, context = (None if each is None else each.astype(dtype) for each in on)
    assert x is not None
    theirs = run(x, context)
    exact = [np.where(np.abs(each) > most, np.copysign(np.inf, each), each) for each in results(wide, x)]
    allowed: list[Real] = [np.zeros(1)] * len(exact)
    if any(_differ(a, b, TOLERANCE[dtype]) for a, b in zip(theirs, exact, strict=True)):
        narrow = flow if dtype == "float32" else _read.in_dtype(wide, "float32")
        allowed = _lost(results, narrow, x, exact)
    if any(np.isinf(each).mean() > 1 - COMPARED for each in allowed):
        raise ConversionError("", method, "rounding changes the numbers of most rows: nothing to compare")
    for name, value, expected, more in zip(METHOD_RESULTS[method], theirs, exact, allowed, strict=True):
        if worst := _differ(value, expected, TOLERANCE[dtype], more):
            raise ConversionError("", method, f"{name} in {dtype} differs from that of {library} by {worst:.1e}")


METHOD_RESULTS: Mapping[str, tuple[str, ...]] = {
    "log_prob": ("log_prob",), "to_noise": ("the noise", "its log-determinant"),
    "from_noise": ("the data", "its log-determinant"),
}  # fmt: skip


def _lost(results: Callable[[Flow, Real], list[Real]], narrow: Flow, x: Real, exact: list[Real]) -> list[Real]:
    """What each result of a row may lose, by what Diffeo's float32, `narrow`, makes of x and of x in its last bit.

    For x in float32 that is 8 times what is seen. Float64 loses 2^29 times less, of which 16 times are allowed; where
    that is more than six digits it is infinite.
    """
    rng, wide = np.random.default_rng(1), x.dtype == np.float64
    nudges = [np.zeros(x.shape), *(rng.integers(-1, 2, x.shape) for _ in range(4))]
    with np.errstate(all="ignore"):
        seen = [results(narrow, x * (1 + nudge * EPS["float32"])) for nudge in nudges]
        found: list[Real] = []
        for i, value in enumerate(exact):
            far = np.array([np.abs(other[i] - value) for other in seen])
            # in float32 a row at the end of the support is held to what its neighbours within lose
            far = np.where(np.isfinite(far), far, np.inf if wide else 0.0).max(axis=0)
            far = np.where(np.isfinite(value), far, 0.0) * (16 * EPS["float64"] / EPS["float32"] if wide else 8.0)
            if far.ndim > 1:
                far = np.broadcast_to(far.max(axis=1, keepdims=True), far.shape)
            beyond = (far > CONDITIONED * (1 + np.abs(value))) & wide
            found.append(np.where(beyond, np.inf, far))
    return found
