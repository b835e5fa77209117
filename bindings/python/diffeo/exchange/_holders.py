"""Modules that hold a flow of a library, and what else of their density is in them: an embedding of the context.

Estimators of sbi, lampe and dingo, Lightning modules, those of one's own. They are known by what they compute: a holder
whose density is that of its flow, given the context or what one of its other modules makes of it, is that flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from . import _layers, _mdn
from ._check import Map, Mapped, Source, Step, preceded
from ._error import ConversionError
from ._network import Real, real
from ._torch import array, double, in_double, in_float32, is_linear, narrowed, tensor
from .nflows import Embedded, derive, embedded

Score: TypeAlias = Callable[..., Any]  # of a holder, x and perhaps the context

# Densities that are not `log_prob`, by package and class
SCORES: dict[tuple[str, str], Score] = {
    ("lampe", "NPE"): lambda holder, x, *context: holder(x, *context),
    ("lampe", "NLE"): lambda holder, x, *context: holder(*context, x),
}
# What may be the density of a holder without `log_prob`, as those in lampe's guide: what it gives, or its distribution
CALLS: tuple[Score, ...] = (
    lambda holder, x, *context: holder(x, *context),
    lambda holder, x, *context: holder(*context, x),
    lambda holder, x, *context: holder(*context).log_prob(x),
)
# Attributes that are all of a holder, by package and class: what is around the flow is not its own
INSIDE = {
    ("torch", "OptimizedModule"): "_orig_mod",
    ("torch", "DataParallel"): "module",
    ("torch", "DistributedDataParallel"): "module",
    ("pocomc", "Flow"): "flow",
    ("nessai", "FlowModel"): "model",
    ("nessai", "ImportanceFlowModel"): "model",
    ("nessai", "GlasflowWrapper"): "_flow",
}
# What is known not to convert, by package and class, or by package alone
REFUSED = {
    ("sbi", "ConditionalVectorFieldEstimator"): "a flow that is continuous in time",
    ("sbi", "TabPFNFlow"): "a network that has its training data as a context",
}
ROWS = 5


def _scaled(sampler: Any, read: Callable[[Any], Source]) -> Source:
    """A Sampler of pocoMC: its scaler takes what is bounded to the line and standardises it, its flow goes on."""
    scaler, inner = sampler.scaler, read(sampler.flow)
    one, both = scaler.mask_left | scaler.mask_right, scaler.mask_both
    low = np.where(scaler.mask_right, -real(scaler.high), real(scaler.low))
    layers = []
    if scaler.mask_right.any():
        layers.append(_layers.linear(np.diag(np.where(scaler.mask_right, -1.0, 1.0))))
    if one.any():
        layers.append(_layers.domain("log", np.flatnonzero(one), low=low[one]))
    if both.any():
        columns = np.flatnonzero(both)
        layers.append(_layers.domain("logit", columns, low=real(scaler.low)[both], high=real(scaler.high)[both]))
        layers += [_layers.domain("logistic_to_normal", columns)] if scaler.transform == "probit" else []
    if scaler.scale and scaler.diagonal:
        layers.append(_layers.standardize(real(scaler.mu), real(scaler.sigma)))
    elif scaler.scale:
        layers.append(_layers.linear(real(scaler.L_inv), -real(scaler.L_inv) @ real(scaler.mu)))

    def forward(x: Real, context: Real | None) -> Mapped:
        with np.errstate(all="ignore"):
            u = real(scaler.forward(x, check_input=False))
            return u, -real(scaler.inverse(u)[1])

    def backward(u: Real, context: Real | None) -> Mapped:
        x, log_det = scaler.inverse(u)
        return real(x), real(log_det)

    # Its scaler computes in float64, and near the end of an interval float32 has not the digits.
    made = preceded(
        replace(inner, dtype="float64"),
        Step("scaler", scaler, layers, forward, backward),
        "pocomc",
        type(sampler).__qualname__,
    )
    folded = [name for name in ("periodic", "reflective") if getattr(scaler, name, None)]
    made.by_hand += tuple(f"columns that are {name}: x is not folded back into its interval" for name in folded)
    return made


def _bounded(estimate: Any, read: Callable[[Any], Source]) -> Source:
    """A DensityEstimate of denmarf: a logit of the interval of each column, if it is bounded, and its model.

    Its own logit rounds to float32, and moves what is on an end by 1e-4; here it is the formula.
    """
    if estimate.model is None:
        raise ConversionError("", estimate, "it has no model yet: it is not fitted")
    inner, name = read(estimate.model), type(estimate).__qualname__
    if not estimate.bounded:
        return replace(inner, name=name)
    bounds, ends = estimate.transformation, ("lower_bounds", "upper_bounds")
    dim = (inner.dim,)
    low, high = (np.broadcast_to(real(getattr(bounds, each, i)), dim).copy() for i, each in enumerate(ends))

    def forward(x: Real, context: Real | None) -> Mapped:
        below, above = (np.log(each / (high - low)) for each in (x - low, high - x))
        return below - above, -(below + above + np.log(high - low)).sum(axis=1)

    def backward(u: Real, context: Real | None) -> Mapped:
        x = low + (high - low) / (1 + np.exp(-u))
        return x, -forward(x, context)[1]

    layer = _layers.domain("logit", np.arange(inner.dim), low=low, high=high)
    step = Step("transformation", bounds, [layer], forward, backward)
    return preceded(replace(inner, dtype="float64"), step, "denmarf", name)  # near an end float32 has not the digits


# What is no module and has more than a flow, by package and class
WHOLE = {
    ("pocomc", "Sampler"): _scaled,
    ("denmarf", "DensityEstimate"): _bounded,
    ("sbi", "MixtureDensityEstimator"): _mdn.source,
}


def whole(value: Any) -> Callable[[Any, Callable[[Any], Source]], Source] | None:
    """How it is read, or None."""
    return next((WHOLE[each] for each in named(value) if each in WHOLE), None)


def named(value: Any) -> Iterator[tuple[str, str]]:
    """Package and name of its classes, the own one first."""
    for kind in type(value).__mro__:
        yield kind.__module__.partition(".")[0], kind.__name__


def refusal(value: Any) -> str:
    """Why it does not convert, if that is known."""
    found = (REFUSED.get(each, REFUSED.get((each[0], ""), "")) for each in named(value))
    return next(filter(None, found), "")


def inside(value: Any) -> Any:
    """What wrappers hold that do nothing to it."""
    while (attribute := next((INSIDE[each] for each in named(value) if each in INSIDE), None)) is not None:
        held = getattr(value, attribute, None)
        if held is None:
            raise ConversionError("", value, f"it has no .{attribute} yet: make it, or load what was trained")
        value = held
    return value


def score(value: Any) -> Score | None:
    """The density of a module, or None."""
    if not hasattr(value, "named_modules"):
        return None
    for each in named(value):
        if each in SCORES:
            return SCORES[each]
    if callable(getattr(value, "log_prob", None)):
        return lambda holder, x, *context: holder.log_prob(x, *context)
    return None


def beside(value: Any, path: str) -> list[str]:
    """Modules, parameters and buffers on the way to a part that are no part of it, with their classes."""
    found, at = [], ""
    for name in path.split("."):
        tensors = (getattr(value, "_parameters", {}), getattr(value, "_buffers", {}))
        found += [f"{at}{each}" for group in tensors for each, held in group.items() if held is not None]
        module, home = hasattr(value, "named_children"), type(value).__module__.partition(".")[0]
        for other, child in value.named_children() if module else getattr(value, "__dict__", {}).items():
            own = hasattr(child, "named_modules") or (not module and type(child).__module__.startswith(f"{home}."))
            if other != name and own and type(child).__name__ != "Identity":
                found.append(f"{at}{other} ({type(child).__qualname__})")
        value, at = value[int(name)] if name.isdigit() else getattr(value, name), f"{at}{name}."
    return found


def source(holder: Any, path: str, read: Callable[[Any], Source]) -> Source | None:
    """What a holder is whose flow is at this path; `read` gives that of the flow.

    None if it has no `log_prob`, and what it gives as it is called is no density of the flow.
    """
    original, (holder, dtype) = holder, in_double(holder)
    derive(holder)
    own = score(holder)
    flow = holder.get_submodule(path)
    inner, others = read(flow), beside(holder, path)
    nets = [None, *(holder.get_submodule(name.partition(" ")[0]) for name in others if " " in name)]
    tried = product((own,) if own is not None else CALLS, nets)
    found = next(((each, net) for each, net in tried if _same(holder, each, inner, net)), None)
    if found is None and own is None:
        return None
    if found is None:
        more = (
            f", or of what its modules make of the context: beside .{path} it has {', '.join(others)}" if others else ""
        )
        reason = f"its density is not that of the flow that it has at .{path}, given the context{more}"
        raise ConversionError("", holder, reason)
    density, chosen = found
    if chosen is not None and (inner.context_layer is not None or inner.embedding is not None):
        raise ConversionError("", holder, f"its flow at .{path} has an embedding of its own besides")
    where = next((name for name, part in holder.named_modules() if part is chosen), "")
    given = Embedded(inner.steps, inner.base, inner.context_layer, inner.embedding, inner.contexts)
    if chosen is not None:
        given = embedded(chosen, inner.steps, inner.base, where)

    def log_prob(module: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                given = () if context is None else (tensor(context),)
                return array(density(module, tensor(x.reshape(len(x), *(inner.shape or (-1,)))), *given)).reshape(
                    len(x)
                )

        return run

    def fed(function: Map) -> Map:
        return lambda x, context: function(x, _embed(chosen, context))

    made = Source(
        next(named(holder))[0], type(holder).__qualname__, inner.dim, given.steps, given.base, log_prob(holder),
        lambda z, context: inner.base_log_prob(z, _embed(chosen, context)),
        fed(inner.to_noise), fed(inner.from_noise), dtype,
    )  # fmt: skip
    made.context_layer, made.embedding, made.contexts = given.context_layer, given.embedding, given.contexts
    made.context = inner.context if given.embedding is None else None
    made.box, made.shape, made.by_hand, made.notes = inner.box, inner.shape, inner.by_hand, inner.notes
    made.in_float32 = in_float32(narrowed(original), log_prob)
    return made


def _embed(net: Any, context: Real | None) -> Real | None:
    if net is None or context is None:
        return context
    with double():
        return array(net(tensor(context)))


def _same(holder: Any, density: Score, inner: Source, net: Any) -> bool:
    """Whether the density is that of the flow, given what a network makes of the context."""
    rng, width = np.random.default_rng(0), inner.context_dim
    if net is not None:
        width = next((part.weight.shape[1] for part in net.modules() if is_linear(part)), width)
    context = rng.normal(size=(ROWS, width)) if width else None
    z = rng.normal(size=(ROWS, inner.dim))
    try:
        given = _embed(net, context)
        try:
            x, _ = inner.from_noise(z, given)
        except NotImplementedError:
            x = z
        with double():
            words = () if context is None else (tensor(context),)
            theirs = array(density(holder, tensor(x), *words)).reshape(ROWS)
        return bool(np.allclose(inner.log_prob(x, given), theirs, rtol=1e-6, atol=1e-6))
    except Exception:  # of modules that are no embedding, and of whatever they raise
        return False
