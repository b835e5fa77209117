"""flowjax: compiled by XLA ahead of the measurement, its weights masked ahead of it too."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

import numpy as np
from cases import BINS, BOUND, Case

from . import (
    LEAST_NORMS,
    NORMS,
    Infer,
    Inference,
    Learn,
    Learnt,
    Pair,
    Run,
    UnavailableError,
    check,
    early_stopping,
    timed,
)


def setup(threads: int) -> None:
    """Threads are set in the environment, by the parent."""
    import flowjax  # noqa: F401


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("flowjax", "jax", "equinox")}


@cache
def _flow(architecture: str, transforms: int, dim: int, hidden: int, dtype: str) -> Any:
    import jax
    from flowjax import flows
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal

    make = flows.masked_autoregressive_flow if architecture == "maf" else flows.coupling_flow
    base = Normal(jax.numpy.zeros(dim))
    sizes: dict[str, Any] = {"flow_layers": transforms, "nn_width": hidden, "nn_depth": 2}
    if architecture == "nsf":
        sizes["transformer"] = RationalQuadraticSpline(knots=BINS, interval=BOUND)
    return make(jax.random.key(0), base_dist=base, **sizes)


def build(case: Case, rows: int) -> Run:
    import equinox
    import jax
    import paramax

    jax.config.update("jax_enable_x64", case.dtype == "float64")
    flow = _flow(case.architecture, case.transforms, case.dim, case.hidden, case.dtype)
    x = jax.numpy.asarray(np.random.default_rng(0).normal(size=(rows, case.dim)), case.dtype)
    if case.task == "train":
        return _training(flow, x)
    masked = paramax.unwrap(flow)
    argument = x if case.task == "log_prob" else jax.random.key(1)

    @equinox.filter_jit
    def function(flow: Any, argument: Any) -> Any:
        return flow.log_prob(argument) if case.task == "log_prob" else flow.sample(argument, (rows,))

    check(function(masked, argument), rows)
    return timed(lambda: function(masked, argument).block_until_ready())


def _training(flow: Any, x: Any) -> Run:
    """The library's own step, on one batch that is there already."""
    import equinox
    import jax
    import optax
    import paramax
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import step

    def is_fixed(leaf: Any) -> bool:
        return isinstance(leaf, paramax.NonTrainable)

    params, static = equinox.partition(flow, equinox.is_inexact_array, is_leaf=is_fixed)
    wait: Any = jax.block_until_ready
    optimizer, loss = optax.adam(1e-3), MaximumLikelihoodLoss()
    state = optimizer.init(params)

    def call() -> None:
        nonlocal params, state
        params, state, _ = step(params, static, x, optimizer=optimizer, opt_state=state, loss_fn=loss)
        wait(params)

    return timed(call)


@cache
def _compiled(lr: float, steps: int, clip_quantile: float) -> tuple[Any, Any, Any]:
    """Beginning, epoch and density: the same functions for all seeds, so that they are compiled once for a size."""
    import equinox
    import jax
    import optax
    import paramax
    from flowjax.train.losses import MaximumLikelihoodLoss

    optimizer, loss = optax.adam(optax.cosine_decay_schedule(lr, steps)), MaximumLikelihoodLoss()

    def begin(params: Any) -> Any:
        return optimizer.init(params), jax.numpy.full(NORMS, jax.numpy.inf), jax.numpy.int32(0)

    def cut(gradient: Any, norms: Any, count: Any) -> Any:
        """To the quantile of the latest norms: those that are not there yet are inf, and sorted last."""
        norm, known = optax.global_norm(gradient), jax.numpy.minimum(count, NORMS)
        place = jax.numpy.floor(clip_quantile * known).astype(int)
        limit = jax.numpy.where(count < LEAST_NORMS, jax.numpy.inf, jax.numpy.sort(norms)[place])
        factor = jax.numpy.where(norm > limit, limit / norm, 1.0)
        return jax.tree.map(lambda leaf: leaf * factor, gradient), norms.at[count % NORMS].set(norm), count + 1

    @equinox.filter_jit
    def epoch(params: Any, static: Any, state: Any, data: Any, order: Any) -> Any:
        def step(carry: Any, batch: Any) -> Any:
            params, (state, norms, count) = carry
            gradient = jax.grad(loss)(params, static, *(part[batch] for part in data))
            gradient, norms, count = cut(gradient, norms, count)
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), (state, norms, count)), None

        return jax.lax.scan(step, (params, state), order)[0]

    @equinox.filter_jit
    def log_prob(params: Any, static: Any, data: Any) -> Any:
        return paramax.unwrap(equinox.combine(params, static)).log_prob(*data)

    return begin, epoch, log_prob


def learn(task: Learn) -> Learnt:
    """Flows as they come; the base is that of the library's examples, and its splines have no default interval."""
    import equinox
    import jax
    import paramax
    from flowjax import flows
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal

    x, context = task.train
    autoregressive = task.flow in ("maf", "spline_autoregressive")
    flow: Any = (flows.masked_autoregressive_flow if autoregressive else flows.coupling_flow)(
        jax.random.key(task.seed), base_dist=Normal(jax.numpy.zeros(x.shape[1])), flow_layers=task.transforms,
        cond_dim=None if context is None else context.shape[1], nn_width=task.hidden[0], nn_depth=len(task.hidden),
        transformer=RationalQuadraticSpline(knots=BINS, interval=BOUND) if "spline" in task.flow else None,
    )  # fmt: skip
    params, static = equinox.partition(
        flow, equinox.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )
    begin, steps, log_prob = _compiled(task.lr, task.steps, task.clip_quantile)
    state = begin(params)

    def given(rows: Pair) -> list[Any]:
        return [jax.numpy.asarray(part) for part in rows if part is not None]

    data = given(task.train)

    def epoch(order: Any) -> None:
        nonlocal params, state
        params, state = steps(params, static, state, data, jax.numpy.asarray(order.reshape(-1, task.batch_size)))

    def back(kept: Any) -> None:
        nonlocal params
        params = kept

    def density(rows: Pair) -> Any:
        return np.asarray(log_prob(params, static, given(rows)))

    return early_stopping(task, epoch, density, lambda: params, back)


def infer(task: Infer) -> Inference:
    """The library's bound, its gradient as it is by default; a hundred steps are one call of what XLA has compiled."""
    import equinox
    import jax
    import numpy
    import paramax

    params, static = equinox.partition(
        _sampler(task), equinox.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )
    optimizer, hundred, sample = _inference(task.target, task.lr, task.batch_size, task.steps)
    state, key, wait = optimizer.init(params), jax.random.key(1000 + task.seed), jax.block_until_ready

    def run(steps: int) -> None:
        nonlocal params, state, key
        for _ in range(steps // 100):
            key, now = jax.random.split(key)
            params, state = hundred(params, static, state, now)
        wait(params)

    def drawn(n: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        x, log_q = sample(params, static, jax.random.key(2000 + task.seed), n)
        return numpy.asarray(x, float), numpy.asarray(log_q, float)

    return Inference(run, drawn)


def _sampler(task: Infer) -> Any:
    """A flow whose fast direction is that of samples; the base is that of the library's examples."""
    import jax
    from flowjax import flows
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal

    given: dict[str, Any] = {
        "base_dist": Normal(jax.numpy.zeros(task.dim)), "flow_layers": task.transforms, "invert": False,
    }  # fmt: skip
    key, network = jax.random.key(task.seed), {"nn_width": task.hidden[0], "nn_depth": len(task.hidden)}
    if task.flow == "planar":
        return flows.planar_flow(key, **given)
    if task.flow == "iaf":
        return flows.masked_autoregressive_flow(key, **given, **network)
    if task.flow == "realnvp":
        return flows.coupling_flow(key, **given, **network)
    if task.flow == "spline":
        spline = RationalQuadraticSpline(knots=BINS, interval=BOUND)
        return flows.coupling_flow(key, **given, **network, transformer=spline)
    raise UnavailableError(f"flowjax has no {task.flow} flow")


@cache
def _inference(target: str, lr: float, batch_size: int, steps: int) -> tuple[Any, Any, Any]:
    """The same functions for all seeds, so that they are compiled once for a flow."""
    import inference_targets
    import equinox
    import jax
    import optax
    from flowjax.train.losses import ElboLoss

    optimizer = optax.adam(optax.cosine_decay_schedule(lr, steps))
    loss = ElboLoss(inference_targets.log_density(target, jax.numpy), batch_size)

    @equinox.filter_jit
    def hundred(params: Any, static: Any, state: Any, key: Any) -> Any:
        def step(carry: Any, key: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params, static, key), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), jax.random.split(key, 100))[0]

    @equinox.filter_jit
    def sample(params: Any, static: Any, key: Any, n: int) -> Any:
        return equinox.combine(params, static).sample_and_log_prob(key, (n,))

    return optimizer, hundred, sample
