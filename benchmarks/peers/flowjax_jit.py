"""flowjax: compiled by XLA ahead of the measurement, its weights masked ahead of it too."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

import numpy as np
from cases import BINS, BOUND, Case

from . import Run, check, timed


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
