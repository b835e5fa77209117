"""Both sides of a conversion on the same rows: what differs is not handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from ..flow import Flow
from . import _layers
from ._error import ConversionError
from ._layers import Layer, Network, Real

Mapped: TypeAlias = tuple[Real, Real]
Map: TypeAlias = Callable[[Real, Real | None], Mapped]
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


def convert(source: Source, dtype: str | None = None, rows: int = ROWS, seed: int = 0) -> Flow:
    """The flow of Diffeo that computes what the source does; a `ConversionError` if it does not."""
    x, context = _rows(source, rows, seed)
    x, log_prob = _agree(source, source.flow("float64"), x, context, TOLERANCE["float64"])
    chosen = dtype or source.dtype
    metadata = {"converted_from": f"{source.library}: {source.name}", **source.notes}
    flow = source.flow(chosen, metadata=metadata)
    if chosen != "float64":
        _compare(source, f"log_prob in {chosen}", flow.log_prob(x, context), log_prob, TOLERANCE[chosen])
    return flow


def _rows(source: Source, rows: int, seed: int) -> tuple[Real, Real | None]:
    """Rows such as the flow makes, some of them wider: noise sent back, so that all parts see what they may meet."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.3, 2.5, rows)[:, None]
    context = rng.normal(size=(rows, source.context_dim)) if source.context_dim else None
    if source.box is not None:
        return rng.uniform(*source.box, (rows, source.dim)), context
    return spread * rng.normal(size=(rows, source.dim)), context


def _agree(source: Source, flow: Flow, x: Real, context: Real | None, tolerance: float) -> Mapped:
    """Raise where the two sides differ; the rows and their log-densities by the library.

    On the way back a library may be unable to go, or it and we may be
    right to different digits, where a small change of the noise is a large one of the data: then what we found must be
    taken to the same noise by the library. One that can only sample is compared on what it samples.
    """
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
        _compare(source, "to_noise", ours[0], z, tolerance)
        _compare(source, "the log-determinant", ours[1], log_det, tolerance)
    except ConversionError:
        _blame(source, x, context, z, tolerance)
        raise
    _compare(source, "log_prob", flow.log_prob(x, context), log_prob, tolerance)

    finite = np.isfinite(z).all(axis=1)
    rows = x, log_prob
    z, given = z[finite], None if context is None else context[finite]
    found, log_det = flow.from_noise(z, given)
    try:
        theirs = source.from_noise(z, given)
        _compare(source, "from_noise", found, theirs[0], tolerance)
        _compare(source, "the log-determinant of from_noise", log_det, theirs[1], tolerance)
    except (ConversionError, NotImplementedError):
        again, log_det_again = source.to_noise(found, given)
        _compare(source, "to_noise of from_noise", again, z, tolerance)
        _compare(source, "the log-determinant of from_noise", log_det, -log_det_again, tolerance)
    return rows


def _differ(ours: Real, theirs: Real, tolerance: float) -> float:
    """The worst error above the tolerance, or 0."""
    same = np.isfinite(theirs) | np.isfinite(ours)
    same &= ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    error = np.abs(ours - theirs)[same] / (1 + np.abs(theirs[same]))
    worst = float(np.max(error, initial=0.0))
    return worst if not worst <= tolerance else 0.0


def _compare(source: Source, what: str, ours: Real, theirs: Real, tolerance: float) -> None:
    if worst := _differ(ours, theirs, tolerance):
        raise ConversionError("", source.name, f"{what} differs from that of {source.library} by {worst:.1e}")


def _blame(source: Source, x: Real, context: Real | None, z: Real, tolerance: float) -> None:
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
        worst = _differ(ours[0], after, tolerance) or _differ(ours[1], log_det, tolerance)
        if worst:
            raise ConversionError(step.path, step.part, f"its results differ from those of Diffeo by {worst:.1e}")
