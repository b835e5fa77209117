#!/usr/bin/env python3
"""Flows inside JAX: what custom calls of XLA take, callbacks to Python, and the same in NumPy, on one thread.

    DIFFEO_LIBRARY=... PYTHONPATH=bindings/python python benchmarks/jax_calls.py [--rounds N] [--write]

They take turns. What counts is processor time of all threads, the least of each: others may use the machine meanwhile.
`--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffeo
import diffeo.jax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import Case
from machine import facts
from report import Table, markdown, plain, seconds_text, write

PIECE = 0.02  # seconds of a turn, at least one call
KINDS = ("ffi", "callback")


def turn(function: Callable[[], Any]) -> float:
    """Processor time of a call, over some calls."""
    start, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - start < PIECE:
        function()
        calls += 1
    return (time.process_time() - start) / calls


def functions(flow: diffeo.Flow, made: diffeo.jax.Flow, rows: int) -> dict[str, Callable[[], Any]]:
    """Log-densities, their gradient in the weights, and a step of Adam on their mean."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(rows, flow.dim)), jnp.float32)

    def loss(weights: Any) -> Any:
        return -made.log_prob(weights, x).mean()

    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(weights: Any, state: Any) -> Any:
        updates, state = optimizer.update(jax.grad(loss)(weights), state)
        return optax.apply_updates(weights, updates), state

    log_prob, gradient, now = jax.jit(made.log_prob), jax.jit(jax.grad(loss)), [(made.weights, None)]
    now[0] = made.weights, optimizer.init(made.weights)

    def take_step() -> None:
        now[0] = jax.block_until_ready(step(*now[0]))

    return {
        "log-density": lambda: log_prob(made.weights, x).block_until_ready(),
        "its gradient in the weights": lambda: gradient(made.weights).block_until_ready(),
        "step of Adam": take_step,
    }


def in_numpy(flow: diffeo.Flow, rows: int) -> dict[str, Callable[[], Any]]:
    x = np.random.default_rng(0).normal(size=(rows, flow.dim)).astype(np.float32)
    return {
        "log-density": lambda: flow.log_prob(x),
        "its gradient in the weights": lambda: flow.log_prob_vjp(x, g_log_prob=-1 / rows, of=["parameters"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What calls of flows take inside JAX.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    diffeo.set_num_threads(1)
    case = Case("maf", "log_prob", 6, 100, 256)
    flow = diffeo.maf(case.dim, transforms=case.transforms, hidden=(case.hidden, case.hidden))
    made = [diffeo.jax.Flow(flow, calls=kind) for kind in KINDS]
    table: Table = [["", "custom call", "callback", "times as fast", "NumPy"]]
    for rows in (1, 256, 16384):
        ways = [*(functions(flow, each, rows) for each in made), in_numpy(flow, rows)]
        for name in ways[0]:
            present = [way[name] for way in ways if name in way]
            for function in present:
                function()
            turns = [[turn(function) for function in present] for _ in range(arguments.rounds)]
            ffi, callback, *plainly = np.min(turns, axis=0)
            cells = [seconds_text(ffi), seconds_text(callback), f"{callback / ffi:.1f}"]
            cells += [seconds_text(seconds) for seconds in plainly] or [""]
            table.append([f"{name}, {rows:,} row{'s' if rows > 1 else ''}", *cells])
    here = "{date}, {cpu}, {cores} cores, {isa}".format(**facts())
    of = f"jax {jax.__version__}; {flow.parameter_count:,} parameters"
    print(f"{here}; {of}\n{plain(table)}")
    if arguments.write:
        page = Path(__file__).resolve().parent.parent / "docs/performance.md"
        write(page, {"jax": f"{here}; {of}:\n\n{markdown(table)}"})


if __name__ == "__main__":
    main()
