"""Both sides of a conversion on the same rows: what differs is not handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from ..flow import Flow
from . import _layers
from ._error import ConversionError
from ._layers import Layer, Network, Real, real

Mapped: TypeAlias = tuple[Real, Real]
Map: TypeAlias = Callable[[Real, Real | None], Mapped]
Rows: TypeAlias = tuple[Real, "Real | None"]  # and their context
ROWS = 64
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


@dataclass(frozen=True)
class Step:
    """A part of a flow as its library has it, from data to noise, and the layers it becomes.

    `forward` and `backward` are the library's own; `columns` are those that it acts on, if not all.
    """

    path: str
    part: Any
    layers: Sequence[Layer]
    forward: Map
    backward: Map

    def inverted(self) -> Step:
        """The same from noise to data."""
        layers = [layer.inverted() for layer in reversed(self.layers)]
        return replace(self, layers=layers, forward=self.backward, backward=self.forward)

    def on(self, columns: Any, dim: int) -> Step:
        """The same on some columns of a wider flow."""
        chosen = np.asarray(columns, np.int64)
        layers = []
        for layer in self.layers:
            wide = _layers.embed(layer, chosen, dim)
            if wide is None:
                raise ConversionError(self.path, self.part, f"a layer '{layer.kind}' cannot act on some columns only")
            layers.append(wide)

        def widened(function: Map) -> Map:
            def run(x: Real, context: Real | None) -> Mapped:
                z = x.copy()
                z[:, chosen], log_det = function(x[:, chosen], context)
                return z, log_det

            return run

        return replace(self, layers=layers, forward=widened(self.forward), backward=widened(self.backward))


def reverse(steps: Iterable[Step]) -> list[Step]:
    """A chain the other way round."""
    return [step.inverted() for step in reversed(list(steps))]


@dataclass
class Source:
    """A flow of another library: its parts and what it computes, in float64."""

    library: str
    name: str
    dim: int
    steps: list[Step]
    base: Layer
    log_prob: Callable[[Real, Real | None], Real]
    base_log_prob: Callable[[Real, Real | None], Real]
    to_noise: Map
    from_noise: Map
    dtype: str = "float64"
    context: int | None = None  # None: what the networks read
    context_layer: Layer | None = None
    box: tuple[float, float] | None = None  # where data lies, if it is bounded
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def context_dim(self) -> int:
        """Columns of the context."""
        if self.context is not None:
            return self.context
        networks = [self.base.network]
        for step in self.steps:
            for layer in step.layers:
                networks += [layer.network, layer.scale_network]
        return max((n.context for n in networks if isinstance(n, Network)), default=0)

    def flow(self, dtype: str, **more: Any) -> Flow:
        """The flow in Diffeo."""
        layers = [layer for step in self.steps for layer in step.layers]
        return _layers.flow(
            layers, self.base, self.dim, self.context_dim, context_layer=self.context_layer, dtype=dtype, **more
        )


def convert(source: Source, dtype: str | None = None) -> Flow:
    """The flow of Diffeo that computes what the source does; a `ConversionError` if it does not."""
    x, context, log_prob = agree(source, source.flow("float64"))
    chosen = dtype or source.dtype
    metadata = {"converted_from": f"{source.library}: {source.name}", **source.notes}
    flow = source.flow(chosen, metadata=metadata)
    if chosen != "float64" and (worst := _differ(flow.log_prob(x, context), log_prob, TOLERANCE[chosen])):
        reason = f"log_prob in {chosen} is off by {worst:.1e}: this flow needs more digits, dtype='float64'"
        raise ConversionError("", source.name, reason)
    return flow


def same_density(
    library: str, name: str, log_prob: Callable[[Real, Real | None], Real], flow: Flow, wide: Flow, on: Rows
) -> None:
    """Raise where a library in the dtype of the flow gives another log_prob than the flow does in float64, `wide`.

    Some flows magnify the rounding of float32 beyond 1e-4: then 8 times what Diffeo itself loses is allowed.
    """
    x, context = (None if each is None else each.astype(flow.dtype) for each in on)
    assert x is not None
    exact = wide.log_prob(x.astype(np.float64), None if context is None else context.astype(np.float64))
    tolerance = TOLERANCE[flow.dtype.name]
    if flow.dtype == np.float32:
        lost = _differ(real(flow.log_prob(x, context)), exact, 0.0)
        tolerance = max(tolerance, 8 * lost if np.isfinite(lost) else 0.0)
    if worst := _differ(log_prob(x, context), exact, tolerance):
        raise ConversionError("", name, f"log_prob in {flow.dtype} differs from that of {library} by {worst:.1e}")


def rows(dim: int, context_dim: int, box: tuple[float, float] | None = None) -> Rows:
    """Rows such as the flow makes, some of them wider: noise sent back, so that all parts see what they may meet."""
    rng = np.random.default_rng(0)
    spread = np.linspace(0.3, 2.5, ROWS)[:, None]
    context = rng.normal(size=(ROWS, context_dim)) if context_dim else None
    if box is not None:
        return rng.uniform(*box, (ROWS, dim)), context
    return spread * rng.normal(size=(ROWS, dim)), context


def agree(source: Source, flow: Flow) -> tuple[Real, Real | None, Real]:
    """Raise where the two sides differ; the rows, their context, and their log-densities by the library.

    On the way back a library may be unable to go, or it and we may be right to different digits, where a small
    change of the noise is a large one of the data: then what we found must be taken to the same noise by the
    library. One that can only sample is compared on what it samples.
    """
    x, context = rows(source.dim, source.context_dim, source.box)
    inside = flow.from_noise(x, context)[0]  # in the support, at least if all is well
    try:
        z, log_det = source.to_noise(x, context)
        beyond = ~np.isfinite(z).all(axis=1)
        if beyond.any() or source.box is not None:
            x = np.where((beyond | (np.arange(len(x)) % 2 == 1))[:, None], inside, x)
            z, log_det = source.to_noise(x, context)
        log_prob = source.log_prob(x, context)
    except NotImplementedError:
        z = x
        x, back = source.from_noise(z, context)
        log_det = -back
        log_prob = source.base_log_prob(z, context) + log_det
    except Exception:  # libraries raise what they like for rows beyond the support
        x = inside
        z, log_det = source.to_noise(x, context)
        log_prob = source.log_prob(x, context)
    ours = flow.to_noise(x, context)
    try:
        _compare(source, "to_noise", ours[0], z)
        _compare(source, "the log-determinant", ours[1], log_det)
    except ConversionError:
        _blame(source, x, context, z)
        raise
    _compare(source, "log_prob", flow.log_prob(x, context), log_prob)

    finite = np.isfinite(z).all(axis=1)
    scored = x, context, log_prob
    z, given = z[finite], None if context is None else context[finite]
    found, log_det = flow.from_noise(z, given)
    try:
        theirs = source.from_noise(z, given)
        _compare(source, "from_noise", found, theirs[0])
        _compare(source, "the log-determinant of from_noise", log_det, theirs[1])
    except (ConversionError, NotImplementedError):
        again, log_det_again = source.to_noise(found, given)
        _compare(source, "to_noise of from_noise", again, z)
        _compare(source, "the log-determinant of from_noise", log_det, -log_det_again)
    return scored


def _differ(ours: Real, theirs: Real, tolerance: float = TOLERANCE["float64"]) -> float:
    """The worst error above the tolerance, or 0."""
    same = np.isfinite(theirs) | np.isfinite(ours)
    same &= ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    error = np.abs(ours - theirs)[same] / (1 + np.abs(theirs[same]))
    worst = float(np.max(error, initial=0.0))
    return worst if not worst <= tolerance else 0.0


def _compare(source: Source, what: str, ours: Real, theirs: Real) -> None:
    if worst := _differ(ours, theirs):
        raise ConversionError("", source.name, f"{what} differs from that of {source.library} by {worst:.1e}")


def _blame(source: Source, x: Real, context: Real | None, z: Real) -> None:
    """Raise for the first part whose results differ."""
    base = Layer("standard_normal")
    passes: list[tuple[Step, Real, Real, Real]] = []
    try:
        for step in source.steps:
            after, log_det = step.forward(x, context)
            passes.append((step, x, after, log_det))
            x = after
    except NotImplementedError:  # it can only sample
        passes = []
        for step in reversed(source.steps):
            before, log_det = step.backward(z, context)
            passes.insert(0, (step, before, z, -log_det))
            z = before
    for step, before, after, log_det in passes:
        alone = _layers.flow(step.layers, base, source.dim, source.context_dim, context_layer=source.context_layer)
        ours = alone.to_noise(before, context)
        worst = _differ(ours[0], after) or _differ(ours[1], log_det)
        if worst:
            raise ConversionError(step.path, step.part, f"its results differ from those of Diffeo by {worst:.1e}")
