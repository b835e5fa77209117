"""Both sides of a conversion on the same rows: what differs is not handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..flow import Flow
from . import _layers
from ._error import ConversionError
from ._layers import Layer
from ._network import Mask, Network, Real, real
from ._report import Report, small_scales

Mapped: TypeAlias = tuple[Real, Real]
Map: TypeAlias = Callable[[Real, Real | None], Mapped]
Rows: TypeAlias = tuple[Real, "Real | None"]  # and their context
ROWS = 64
SAMPLES = 256  # on which float32 is judged
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
EPS = {"float64": 2.0**-52, "float32": 2.0**-23}
CONDITIONED = 1e-6  # where rounding changes more than this of a row, there is nothing to compare
COMPARED = 0.25  # of the rows at least
TRIALS = 8  # of what rounding does
LUCKY = 0.25  # of the rows at most seem to lose less to rounding than they do
OWN_ERROR = 4  # times what the library itself loses to float32 is allowed in float32


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


def standard_normal(z: Real, context: Real | None) -> Real:
    """Log-densities of noise."""
    total: Real = -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1)
    return total


def standardized(path: str, mean: Real, std: Real) -> Step:
    """A z-score of the columns that a library has beside its flow."""
    log_det = float(np.log(std).sum())

    def forward(x: Real, context: Real | None) -> Mapped:
        return (x - mean) / std, np.full(len(x), -log_det)

    def backward(z: Real, context: Real | None) -> Mapped:
        return z * std + mean, np.full(len(z), log_det)

    return Step(path, "the z-score", [_layers.standardize(mean, std)], forward, backward)


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
    context_layer: Layer | None = None  # standardises the context
    embedding: Layer | None = None  # of the context then
    box: tuple[float, float] | None = None  # where data lies, if it is bounded
    shape: tuple[int, ...] = ()  # of images: channels, height, width. What is compared are their rows
    # Contexts that the flow is made for: these, and this matrix times standard normal numbers. None: such numbers
    contexts: tuple[Real, Real] | None = None
    in_float32: Callable[[Real, Real | None], Real] | None = None  # log_prob as the library has it in float32
    by_hand: tuple[str, ...] = ()  # sentences on what its holder did and the flow does not
    notes: tuple[str, ...] = ()  # sentences on what else there is to know

    @property
    def context_dim(self) -> int:
        """Columns of the context."""
        if self.context is not None:
            return self.context
        if self.embedding is not None and self.embedding.network is not None:
            return self.embedding.network.inputs
        networks = [self.base.network]
        for step in self.steps:
            for layer in step.layers:
                networks += [layer.network, layer.scale_network]
        return max((n.context for n in networks if isinstance(n, Network)), default=0)

    def rounding(self, x: Real, context: Real | None, strict: bool = False) -> Rounding:
        """What both sides may be off by at these rows."""
        return Rounding(self.name, self.flow, x, context, strict)

    def flow(self, dtype: str, **more: Any) -> Flow:
        """The flow in Diffeo."""
        layers = [layer for step in self.steps for layer in step.layers]
        more |= {"context_layer": self.context_layer, "embedding": self.embedding}
        return _layers.flow(layers, self.base, self.dim, self.context_dim, dtype=dtype, **more)


def chained(*maps: Map) -> Map:
    """A library's own maps one after the other; it may itself add their log-determinants in float32."""

    def run(x: Real, context: Real | None) -> Mapped:
        total = np.zeros(len(x))
        for each in maps:
            lost = np.isnan(x).any(axis=1, keepdims=True)  # of which a spline may make numbers again
            x, log_det = each(x, context)
            x, total = np.where(lost, np.nan, x), total + log_det
        return x, total

    return run


def both_ways(steps: Sequence[Step]) -> tuple[Map, Map]:
    """A chain's own maps to noise and from it."""
    return chained(*(step.forward for step in steps)), chained(*(step.backward for step in reversed(steps)))


def preceded(inner: Source, step: Step, library: str, name: str) -> Source:
    """A flow with a step before it, from data."""

    def given(density: Callable[[Real, Real | None], Real] | None) -> Any:
        def log_prob(x: Real, context: Real | None) -> Real:
            assert density is not None
            u, log_det = step.forward(x, context)
            return density(u, context) + log_det

        return log_prob if density is not None else None

    return replace(
        inner, library=library, name=name, steps=[step, *inner.steps], log_prob=given(inner.log_prob),
        to_noise=chained(step.forward, inner.to_noise), from_noise=chained(inner.from_noise, step.backward),
        in_float32=given(inner.in_float32), box=None,
    )  # fmt: skip


def followed(inner: Source, step: Step) -> Source:
    """A flow whose noise, as its library has it, a last step takes to that of its base here."""

    def base_log_prob(z: Real, context: Real | None) -> Real:
        u, log_det = step.backward(z, context)
        return inner.base_log_prob(u, context) + log_det

    return replace(
        inner, steps=[*inner.steps, step], base_log_prob=base_log_prob, to_noise=chained(inner.to_noise, step.forward),
        from_noise=chained(step.backward, inner.from_noise), box=None,
    )  # fmt: skip


def convert(source: Source, dtype: str | None = None) -> Flow:
    """The flow of Diffeo that computes what the source does; a `ConversionError` if it does not."""
    wide, chosen = source.flow("float64"), dtype or source.dtype
    found = agree(source, wide)
    report = Report(f"{source.library}: {source.name}", chosen, len(found.x), found.left_out, found.error)
    if chosen == "float32":
        report = _in_float32(source, source.flow(chosen), wide, found, report)
    notes = source.notes + small_scales(layer for step in source.steps for layer in step.layers)
    report = replace(report, by_hand=source.by_hand, notes=notes)
    metadata = {"converted_from": report.source, "conversion": report.to_json()}
    return source.flow(chosen, metadata=metadata, shape=source.shape)


def _in_float32(source: Source, flow: Flow, wide: Flow, found: Agreement, report: Report) -> Report:
    """The report with the errors of both sides in float32; an error if ours is too large for the library's own.

    On samples: far out both may lose what they like.
    """
    x, context, exact = _scored_samples(source, wide) or (found.x, found.context, found.log_prob)
    with np.errstate(all="ignore"):
        ours, theirs = real(flow.log_prob(x, context)), _own_float32(source, x, context)
        noise, log_det = flow.to_noise(x, context)
    inside = _finite(noise, log_det) & ~np.isnan(ours) & (np.abs(exact) <= np.finfo(np.float32).max)
    if theirs is not None:
        inside &= np.isfinite(theirs)
    _enough(source, inside, "float32")
    own = None if theirs is None else _differ(theirs[inside], exact[inside], 0.0)
    error = _differ(ours[inside], exact[inside], 0.0)
    if not error <= max(TOLERANCE["float32"], OWN_ERROR * (own or 0.0)):
        reason = f"log_prob in float32 is off by {error:.1e}" + ("" if own is None else f", its own by {own:.1e}")
        raise ConversionError("", source.name, f"{reason}: this flow needs more digits, dtype='float64'")
    rows, left_out = report.rows + int(inside.sum()), report.left_out + int((~inside).sum())
    return replace(report, rows=rows, left_out=left_out, float32=error, source_float32=own)


def _scored_samples(source: Source, flow: Flow) -> tuple[Real, Real | None, Real] | None:
    """Samples in the support of both sides, their context, and what the library makes of them in float64, if it can."""
    context = contexts(flow, source.contexts, SAMPLES)
    x = real(flow.sample(SAMPLES, context, seed=1))
    try:
        exact = source.log_prob(x, context)
    except Exception:  # of samples at the end of the support, or of all
        return None
    inside = _finite(x, exact)
    return (x[inside], None if context is None else context[inside], exact[inside]) if inside.any() else None


def _own_float32(source: Source, x: Real, context: Real | None) -> Real | None:
    """What the library computes in float32, or nothing if it cannot."""
    if source.in_float32 is None:
        return None
    try:
        return source.in_float32(x, context)
    except Exception:  # libraries raise what they like for rows beyond the support, which may be a rounding away
        return None


def _finite(*values: Real) -> Mask:
    """The rows whose numbers all are."""
    found: Mask = np.logical_and.reduce([np.isfinite(each).reshape(len(each), -1).all(axis=1) for each in values])
    return found


def _enough(source: Source, inside: Mask, dtype: str) -> None:
    if inside.mean() < COMPARED:
        reason = f"{inside.sum()} of {len(inside)} rows stay in the range of {dtype} on both sides: nothing to compare"
        raise ConversionError("", source.name, reason)


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


def rows(
    flow: Flow, box: tuple[float, float] | None = None, given: tuple[Real, Real] | None = None
) -> tuple[Real, Real | None, Mask]:
    """Samples of the flow and wide rows in turn, so that all parts see their data and what else they may meet.

    Wide rows are up to some deviations of the samples from their middle, column by column; `box` is where there are
    data at all. Also their context, and which rows are samples.
    """
    context, rng = contexts(flow, given), np.random.default_rng(0)
    made = samples(flow, context)
    if box is not None:
        wide = rng.uniform(*box, (ROWS, flow.dim))
    else:
        centre, spread = _spread(made)
        wide = centre + spread * np.linspace(0.3, 2.5, ROWS)[:, None] * rng.normal(size=(ROWS, flow.dim))
    x, own = _in_turn(made, wide)
    return x, context, own


def contexts(flow: Flow, given: tuple[Real, Real] | None, count: int = ROWS) -> Real | None:
    """Standard normal numbers, or what a matrix makes of them around a centre."""
    if not flow.context_dim:
        return None
    centre, matrix = given or (np.zeros(flow.context_dim), np.eye(flow.context_dim))
    made: Real = centre + np.random.default_rng(2).normal(size=(count, matrix.shape[1])) @ matrix.T
    return made


def _spread(made: Real) -> tuple[Real, Real]:
    """The middle of each column and half the width of the middle two thirds: a normal one's standard deviation."""
    finite = made[np.isfinite(made).all(axis=1)]
    if len(finite) < 2:
        return np.zeros(made.shape[1]), np.ones(made.shape[1])
    low, centre, high = np.quantile(finite, [0.16, 0.5, 0.84], axis=0)
    return centre, np.where(high > low, 0.5 * (high - low), 1.0)


def samples(flow: Flow, context: Real | None) -> Real:
    """What the flow makes: in the support, at least if all is well."""
    return real(flow.sample(ROWS, context, seed=0))


def _in_turn(own: Real, wide: Real) -> tuple[Real, Mask]:
    """Every other row of each, and which are the own ones, which must be finite."""
    odd: Mask = np.arange(len(own)) % 2 == 1
    usable: Mask = np.logical_and(odd, np.isfinite(own).all(axis=1))
    return np.where(usable[:, None], own, wide), usable


@dataclass(frozen=True)
class Agreement:
    """Rows on which both sides agree, with the densities of the library."""

    x: Real
    context: Real | None
    log_prob: Real
    left_out: int  # other rows: a side left the range of float64, or rounding most of its digits
    error: float  # the largest of log_prob, relative to 1 + |log_prob|


def agree(source: Source, flow: Flow) -> Agreement:
    """Raise where the two sides differ; otherwise the rows.

    Rows where the noise or the log-determinant of either side is not finite are left out: beyond the support, or of
    the range of float64. Neither side is held to digits that the flow loses to rounding. On the way back, from noise
    at most twice as far out as that of samples, a library may be unable to go, or it and we may be right to different
    digits, where a small change of the noise is a large one of the data: then what we found must be taken to the same
    noise by the library. One that can only sample is compared on what it samples.
    """
    x, context, own = rows(flow, source.box, source.contexts)
    made = samples(flow, context)

    def scored(x: Real, context: Real | None) -> tuple[Real, ...]:
        return *source.to_noise(x, context), source.log_prob(x, context)

    with np.errstate(all="ignore"):
        if source.box is None:  # a library may raise where there is no density
            inside = _finite(*flow.to_noise(x, context)) | own
            x, own, given = x[inside], own[inside], None if context is None else context[inside]
        else:
            inside, given = np.ones(ROWS, bool), context
        try:
            z, log_det, log_prob = scored(x, given)
        except NotImplementedError:
            inside, given = np.ones(ROWS, bool), context
            z, own = _in_turn(real(flow.to_noise(made, context)[0]), rows(flow, source.box)[0])
            x, back = source.from_noise(z, context)
            log_det = -back
            log_prob = source.base_log_prob(z, context) + log_det
        except Exception:  # libraries raise what they like for rows beyond the support
            inside, given, x, own = np.ones(ROWS, bool), context, made, np.ones(ROWS, bool)
            try:
                z, log_det, log_prob = scored(x, context)
            except Exception as failure:  # of samples, too: it is not the rows
                reason = f"{source.library} itself cannot compute it: {failure}"
                raise ConversionError("", source.name, reason) from failure
        noise, log_det_ours = flow.to_noise(x, given)
        ours_log_prob = real(flow.log_prob(x, given))
    known = _finite(z, log_det, noise, log_det_ours) & ~np.isnan(log_prob) & ~np.isnan(ours_log_prob)
    _enough(source, known, "float64")
    x, z, log_det, log_prob, own = x[known], z[known], log_det[known], log_prob[known], own[known]
    context = None if given is None else given[known]
    ours = {
        "to_noise": noise[known], "the log-determinant": log_det_ours[known], "log_prob": ours_log_prob[known]
    }  # fmt: skip
    try:
        clear = _compare(source, ours, (z, log_det, log_prob), source.rounding(x, context, strict=True))
    except ConversionError:
        _blame(source, x, context, z)
        raise
    x, z, own, log_prob = x[clear], z[clear], own[clear], log_prob[clear]
    context = None if context is None else context[clear]
    error = _differ(ours["log_prob"][clear], log_prob, 0.0)

    found, log_det = flow.from_noise(z, context)
    reached = 2 * np.max(np.abs(z[own]), axis=0, initial=0.0) if own.any() else np.inf
    back = _finite(found, log_det) & (np.abs(z) <= reached).all(axis=1)
    _enough(source, back, "float64")
    z, found, log_det, given = z[back], found[back], log_det[back], None if context is None else context[back]
    try:
        ours = {"from_noise": found, "the log-determinant of from_noise": log_det}
        _compare(source, ours, source.from_noise(z, given))
    except (ConversionError, NotImplementedError):
        again, log_det_again = source.to_noise(found, given)
        ours = {"the noise of what from_noise finds": z, "the log-determinant of from_noise": -log_det}
        _compare(source, ours, (again, log_det_again), source.rounding(found, given))
    return Agreement(x, context, log_prob, ROWS - len(x), error)


@dataclass(frozen=True)
class Rounding:
    """What nobody can be held to at x, because a flow magnifies the rounding of its own steps.

    It is seen in float32, where the same steps lose as much times 2^29, in some trials with other last bits of x and of
    the parameters. `strict`: a quarter of the rows at least must keep most of their digits.
    """

    name: str
    make: Callable[[str], Flow]  # of a dtype
    x: Real
    context: Real | None
    strict: bool = False

    def lost(self) -> list[Real]:
        """What noise, log-determinant and density of a row may be off by; infinite where they have too few digits.

        That is a few times what is seen. The columns of a row are mixed on the way, so that its largest counts. Some
        rows seem to lose next to nothing, by luck in some trials: what a quarter of the rows loses, all may.
        """
        rng = np.random.default_rng(1)
        wide, narrow = self.make("float64"), self.make("float32")

        def run(flow: Flow, x: Real) -> list[Real]:
            noise, log_det = flow.to_noise(x, self.context)
            return [real(each) for each in (noise, log_det, flow.log_prob(x, self.context))]

        found, beyond = [], np.zeros(len(self.x), bool)
        with np.errstate(all="ignore"):
            exact = run(wide, self.x)
            nudged = [run(_nudged(narrow, rng), self.x * _last_bits(self.x.shape, rng)) for _ in range(TRIALS)]
            for i, value in enumerate(exact):
                far = np.max([np.abs(other[i] - value) for other in nudged], axis=0)
                far = np.where(np.isfinite(value), np.where(np.isnan(far), np.inf, far), 0.0)
                size = np.where(np.isfinite(value), np.abs(value), 0.0)
                if value.ndim > 1:
                    far, size = far.max(axis=1), size.max(axis=1)
                far = np.maximum(far, np.quantile(far, LUCKY, method="lower"))
                found.append(16 * far * EPS["float64"] / EPS["float32"] + TOLERANCE["float64"] * size)
                beyond |= ~(found[-1] <= CONDITIONED * (1 + size))
        if self.strict and beyond.mean() > 0.75:
            reason = "rounding changes the numbers of most rows"
            raise ConversionError("", self.name, f"{reason} by more than {CONDITIONED:.0e}: nothing to compare")
        noise, *others = (np.where(beyond, np.inf, most) for most in found)
        return [noise[:, None], *others]


def _last_bits(shape: tuple[int, ...], rng: np.random.Generator) -> Real:
    """Factors that change the last bit of float32, or not."""
    factors: Real = 1 + rng.integers(-1, 2, shape) * EPS["float32"]
    return factors


def _nudged(flow: Flow, rng: np.random.Generator) -> Flow:
    """With other last bits of what is trained: its steps round anew, as they do not where x is small in all of them."""
    values = flow.parameters()
    return flow.with_parameters(np.where(flow.trained_parameters(), values * _last_bits(values.shape, rng), values))


def _differ(ours: Real, theirs: Real, tolerance: float = TOLERANCE["float64"], lost: Real | float = 0.0) -> float:
    """The worst error above the tolerance and what is lost to rounding, or 0."""
    same = np.isfinite(theirs) | np.isfinite(ours)
    same &= ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    size = 1 + np.abs(theirs[same])
    error = np.abs(ours - theirs)[same] / size
    allowed = tolerance + np.broadcast_to(lost, theirs.shape)[same] / size
    return float(np.max(error[~(error <= allowed)], initial=0.0))


def _compare(
    source: Source, ours: Mapping[str, Real], theirs: Sequence[Real], rounding: Rounding | None = None
) -> Mask:
    """Raise for what differs; which rows keep enough digits to be compared."""
    clear: Mask = np.ones(len(theirs[0]), bool)
    if not any(_differ(a, b) for a, b in zip(ours.values(), theirs, strict=True)):
        return clear
    lost = rounding.lost() if rounding is not None else [np.zeros(1)] * 3
    for (what, values), expected, rounded in zip(ours.items(), theirs, lost, strict=False):
        if worst := _differ(values, expected, lost=rounded):
            raise ConversionError("", source.name, f"{what} differs from that of {source.library} by {worst:.1e}")
    return clear & np.isfinite(lost[-1])


def _blame(source: Source, x: Real, context: Real | None, z: Real) -> None:
    """Raise for the first part whose results differ."""
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
        make = partial(_alone, source, step)
        ours = make("float64").to_noise(before, context)
        lost = [np.zeros(1)] * 3
        if _differ(ours[0], after) or _differ(ours[1], log_det):
            lost = Rounding(source.name, make, before, context).lost()
        if worst := _differ(ours[0], after, lost=lost[0]) or _differ(ours[1], log_det, lost=lost[1]):
            raise ConversionError(step.path, step.part, f"its results differ from those of Diffeo by {worst:.1e}")


def _alone(source: Source, step: Step, dtype: str) -> Flow:
    return replace(source, steps=[step], base=Layer("standard_normal"), context=source.context_dim).flow(dtype)
