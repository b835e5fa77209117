"""Flows inside JAX: functions that work under `jit`, `grad` and `vmap`, by calls back to the library.

``import diffeo.jax`` needs JAX; flows run on the CPU, in their own dtype. They can be differentiated once, in reverse
mode.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import flow as _flow
from ._vjp import ALL
from .errors import ShapeError

__all__ = ["Flow"]


class Flow:
    """A `diffeo.Flow` as pure functions of its trained numbers.

    Weights that masks hide, means, widths and flags are constants, and not among `weights`. JAX computes in float32
    unless ``jax_enable_x64`` is set; a float64 flow wants it.

    Parameters
    ----------
    flow : diffeo.Flow

    Attributes
    ----------
    weights : jax.Array
        What a training moves, 1-D: the first argument of every function, for an optimizer to change.

    Examples
    --------
    >>> import diffeo.jax                                                        # doctest: +SKIP
    >>> flow = diffeo.jax.Flow(diffeo.maf(dim=2))                                # doctest: +SKIP
    >>> loss = lambda weights: -flow.log_prob(weights, x).mean()                 # doctest: +SKIP
    >>> gradient = jax.jit(jax.grad(loss))(flow.weights)                         # doctest: +SKIP
    """

    def __init__(self, flow: _flow.Flow) -> None:
        self._flow = flow
        self._values = flow.parameters()
        self._trained = flow.trained_parameters()
        self._last: tuple[Any, _flow.Flow] | None = None
        self.weights = jnp.asarray(self._values[self._trained])
        self._call = jax.custom_vjp(self._evaluated, nondiff_argnums=(0, 1))
        self._call.defvjp(self._recorded, self._pulled_back)

    def log_prob(self, weights: Any, x: Any, context: Any = None) -> Any:
        """Log-density of x [..., dim] in nats, [...], given the context [..., context_dim]."""
        rows, given, shape = self._rows(x, context)
        return self._call("log_prob", 0, weights, rows, given)[0].reshape(shape)

    def to_noise(self, weights: Any, x: Any, context: Any = None) -> tuple[Any, Any]:
        """Map data to noise [..., dim], and give log abs(det dz/dx), [...]."""
        rows, given, shape = self._rows(x, context)
        z, log_det = self._call("to_noise", 0, weights, rows, given)
        return z.reshape(*shape, self._flow.dim), log_det.reshape(shape)

    def from_noise(self, weights: Any, z: Any, context: Any = None) -> tuple[Any, Any]:
        """Map noise to data [..., dim], and give log abs(det dx/dz), [...]."""
        rows, given, shape = self._rows(z, context)
        x, log_det = self._call("from_noise", 0, weights, rows, given)
        return x.reshape(*shape, self._flow.dim), log_det.reshape(shape)

    def sample_and_log_prob(self, weights: Any, key: Any, n: int, context: Any = None) -> tuple[Any, Any]:
        """Draw [n, dim] and give log-densities [n], differentiable in weights and context.

        The key gives the seed; the context is [n, context_dim] or [context_dim].
        """
        seed = jax.random.bits(key, (2,), jnp.uint32)
        given = jnp.zeros((n, 0)) if context is None else jnp.broadcast_to(context, (n, self._flow.context_dim))
        self._check_context(context)
        x, log_prob = self._call("sample", n, weights, seed, given)
        return x, log_prob

    def sample(self, weights: Any, key: Any, n: int, context: Any = None) -> Any:
        """Draw [n, dim], as `sample_and_log_prob`."""
        return self.sample_and_log_prob(weights, key, n, context)[0]

    def flow(self, weights: Any) -> _flow.Flow:
        """Return a `diffeo.Flow` with these weights, to be saved or handed to other languages."""
        given = np.asarray(weights)
        last = self._last
        if last is None or not np.array_equal(last[0], given):
            values = self._values.copy()
            values[self._trained] = given
            last = self._last = given.copy(), self._flow.with_parameters(values)
        return last[1]

    def _check_context(self, context: Any) -> None:
        if (context is None) != (self._flow.context_dim == 0):
            raise ShapeError(f"this flow has a context of {self._flow.context_dim} columns")

    def _rows(self, x: Any, context: Any) -> tuple[Any, Any, tuple[int, ...]]:
        self._check_context(context)
        dim, context_dim = self._flow.dim, self._flow.context_dim
        x = jnp.asarray(x)
        if x.shape[-1:] != (dim,):
            raise ShapeError(f"x has shape {x.shape}, this flow has dim {dim}")
        shape = x.shape[:-1]
        if context is not None:
            context = jnp.asarray(context)
            if context.shape[-1:] != (context_dim,):
                raise ShapeError(f"context has shape {context.shape}, this flow has context_dim {context_dim}")
            shape = jnp.broadcast_shapes(shape, context.shape[:-1])
            context = jnp.broadcast_to(context, (*shape, context_dim)).reshape(-1, context_dim)
        rows = jnp.broadcast_to(x, (*shape, dim)).reshape(-1, dim)
        return rows, jnp.zeros((len(rows), 0)) if context is None else context, shape

    def _evaluated(self, name: str, n: int, weights: Any, rows: Any, context: Any) -> Any:
        count = n if name == "sample" else len(rows)
        dtype = jax.dtypes.canonicalize_dtype(self._flow.dtype)
        logs = jax.ShapeDtypeStruct((count,), dtype)
        shapes = (logs,) if name == "log_prob" else (jax.ShapeDtypeStruct((count, self._flow.dim), dtype), logs)

        def evaluate(weights: Any, rows: Any, context: Any) -> Any:
            flow, given = self.flow(weights), self._given(context)
            if name == "sample":
                found = flow.sample_and_log_prob(count, given, seed=_seed(rows))
            else:
                found = getattr(flow, name)(self._array(rows), given)
            return tuple(np.asarray(each, dtype) for each in (found if isinstance(found, tuple) else (found,)))

        return jax.pure_callback(evaluate, shapes, weights, rows, context, vmap_method="sequential")

    def _recorded(self, name: str, n: int, weights: Any, rows: Any, context: Any) -> Any:
        return self._evaluated(name, n, weights, rows, context), (weights, rows, context)

    def _pulled_back(self, name: str, n: int, kept: Any, cotangents: Any) -> Any:
        weights, rows, context = kept
        shapes = tuple(jax.ShapeDtypeStruct(each.shape, each.dtype) for each in (weights, rows, context))
        if name == "sample":
            shapes = (shapes[0], shapes[2])

        def pull(weights: Any, rows: Any, context: Any, *g: Any) -> Any:
            flow, given = self.flow(weights), self._given(context)
            if name == "log_prob":
                found = flow.log_prob_vjp(self._array(rows), given, g_log_prob=self._array(g[0]))
            elif name == "sample":
                found = flow.sample_vjp(
                    n, given, seed=_seed(rows), g_x=self._array(g[0]), g_log_prob=self._array(g[1]), of=ALL[1:]
                )
            elif name == "to_noise":
                found = flow.to_noise_vjp(self._array(rows), given, g_z=self._array(g[0]), g_log_det=self._array(g[1]))
            else:
                found = flow.from_noise_vjp(
                    self._array(rows), given, g_x=self._array(g[0]), g_log_det=self._array(g[1])
                )
            assert found.parameters is not None
            parts: list[Any] = [found.parameters[self._trained]]
            if name != "sample":
                parts.append(found.rows)
            parts.append(np.zeros(context.shape) if found.context is None else found.context)
            return tuple(np.asarray(each, shape.dtype) for each, shape in zip(parts, shapes, strict=True))

        found = jax.pure_callback(pull, shapes, weights, rows, context, *cotangents, vmap_method="sequential")
        if name == "sample":  # its rows are a seed, whole numbers
            return found[0], np.zeros(rows.shape, jax.dtypes.float0), found[1]
        return found

    def _array(self, value: Any) -> Any:
        return np.ascontiguousarray(value, self._flow.dtype)

    def _given(self, context: Any) -> Any:
        return self._array(context) if self._flow.context_dim else None


def _seed(words: Any) -> int:
    low, high = (int(word) for word in np.asarray(words))
    return low | high << 32
