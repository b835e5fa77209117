"""Flows inside JAX: functions that work under `jit`, `grad` and `vmap`.

``import diffeo.jax`` needs JAX; flows run on the CPU, in their own dtype. They can be differentiated once, in reverse
mode. Compiled code calls the library itself, by a custom call of XLA: that is compiled when the first `Flow` is made,
which takes some ten seconds and a C++ compiler (``CXX``, or one on the path), and kept in ``~/.cache/diffeo``, or
``$XDG_CACHE_HOME/diffeo``. Where that cannot be, it calls back to Python. `default_calls` says which of the two it is,
and why. The results are the same, bit for bit. Where shapes have dim below, those of images have (channels, height,
width).
"""

from __future__ import annotations

from functools import partial
from itertools import compress
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from . import _xla
from . import flow as _flow
from ._vjp import Of
from .errors import InvalidArgumentError, ShapeError, UnsupportedError

__all__ = ["Calls", "Flow", "default_calls"]

Kind: TypeAlias = Literal["ffi", "callback"]
_OF: tuple[Of, ...] = ("parameters", "rows", "context")  # what an operand is called there
_FUNCTIONS = ("log_prob", "to_noise", "from_noise", "sample")  # by their numbers in _xla.cc


class Calls(NamedTuple):
    """How the library is called, and why so; see `default_calls`.

    Attributes
    ----------
    kind : {"ffi", "callback"}
        A custom call of XLA, or `jax.pure_callback`.
    why : str
        Where the library of the custom calls is; or why there is none.
    """

    kind: Kind
    why: str


def default_calls() -> Calls:
    """Tell how flows are called where nothing else is said: by a custom call of XLA, where that can be.

    The first time in a process it loads the custom calls, and compiles them where that has not been done before.

    Returns
    -------
    Calls

    Examples
    --------
    >>> diffeo.jax.default_calls()                                               # doctest: +SKIP
    Calls(kind='callback', why='there is no C++ compiler: no c++, g++ or clang++, nor is CXX set')
    """
    if (backend := jax.default_backend()) != "cpu":
        return Calls("callback", f"the backend of JAX is {backend}, and the custom calls are for the CPU")
    loaded, why = _xla.library()
    return Calls("callback" if loaded is None else "ffi", why)


@jax.tree_util.register_static
class _Wanted(NamedTuple):
    """Which operands a loss is differentiated by."""

    weights: bool
    rows: bool
    context: bool


class Flow:
    """A `diffeo.Flow` as pure functions of its trained numbers.

    Weights that masks hide, means, widths and flags are constants, and not among `weights`. JAX computes in float32
    unless ``jax_enable_x64`` is set; a float64 flow wants it.

    Parameters
    ----------
    flow : diffeo.Flow
    calls : {"ffi", "callback"}, optional
        By default that of `default_calls`.

    Attributes
    ----------
    calls : {"ffi", "callback"}
    weights : jax.Array
        What a training moves, 1-D: the first argument of every function, for an optimizer to change.

    Raises
    ------
    UnsupportedError
        For ``calls="ffi"`` where there are no custom calls, with the reason.

    Examples
    --------
    >>> import diffeo.jax                                                        # doctest: +SKIP
    >>> flow = diffeo.jax.Flow(diffeo.maf(dim=2))                                # doctest: +SKIP
    >>> loss = lambda weights: -flow.log_prob(weights, x).mean()                 # doctest: +SKIP
    >>> gradient = jax.jit(jax.grad(loss))(flow.weights)                         # doctest: +SKIP
    """

    def __init__(self, flow: _flow.Flow, *, calls: Kind | None = None) -> None:
        if calls not in (None, "ffi", "callback"):
            raise InvalidArgumentError(f"calls must be one of 'ffi', 'callback', not {calls!r}")
        self.calls: Kind = calls or default_calls().kind
        self._flow = flow
        self._dtype = jax.dtypes.canonicalize_dtype(flow.dtype)
        self._values = flow.parameters()
        self._trained = flow.trained_parameters()
        self._last: tuple[Any, _flow.Flow] | None = None
        self.weights = jnp.asarray(self._values[self._trained])
        if self.calls == "ffi":
            try:
                self._number = np.int64(_xla.number_of(flow, self))
            except _xla.UnavailableError as error:
                raise UnsupportedError(f"there are no custom calls of XLA: {error}") from None
        self._call = jax.custom_vjp(self._evaluated, nondiff_argnums=(0, 1))
        self._call.defvjp(self._recorded, self._pulled_back, symbolic_zeros=True)

    def log_prob(self, weights: Any, x: Any, context: Any = None) -> Any:
        """Log-density of x [..., dim] in nats, [...], given the context [..., context_dim]."""
        rows, given, shape = self._rows(x, context)
        return self._call("log_prob", len(rows), self._cast(weights), rows, given)[0].reshape(shape)

    def to_noise(self, weights: Any, x: Any, context: Any = None) -> tuple[Any, Any]:
        """Map data to noise [..., dim], and give log abs(det dz/dx), [...]."""
        rows, given, shape = self._rows(x, context)
        z, log_det = self._call("to_noise", len(rows), self._cast(weights), rows, given)
        return z.reshape(*shape, *self._flow.shape), log_det.reshape(shape)

    def from_noise(self, weights: Any, z: Any, context: Any = None) -> tuple[Any, Any]:
        """Map noise to data [..., dim], and give log abs(det dx/dz), [...]."""
        rows, given, shape = self._rows(z, context)
        x, log_det = self._call("from_noise", len(rows), self._cast(weights), rows, given)
        return x.reshape(*shape, *self._flow.shape), log_det.reshape(shape)

    def sample_and_log_prob(self, weights: Any, key: Any, n: int, context: Any = None) -> tuple[Any, Any]:
        """Draw [n, dim] and give log-densities [n], differentiable in weights and context.

        The key gives the seed; the context is [n, context_dim] or [context_dim].
        """
        self._check_context(context)
        seed = jax.random.bits(key, (2,), jnp.uint32)
        given = self._cast(jnp.zeros((n, 0)) if context is None else context)
        given = jnp.broadcast_to(given, (n, self._flow.context_dim))
        x, log_prob = self._call("sample", n, self._cast(weights), seed, given)
        return x.reshape(n, *self._flow.shape), log_prob

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

    def _cast(self, value: Any) -> Any:
        return jnp.asarray(value, self._dtype)

    def _rows(self, x: Any, context: Any) -> tuple[Any, Any, tuple[int, ...]]:
        self._check_context(context)
        event, context_dim = self._flow.shape, self._flow.context_dim
        x = self._cast(x)
        if x.shape[-len(event) :] != event:
            of = f"dim {event[0]}" if len(event) == 1 else f"shape {event}"
            raise ShapeError(f"x has shape {x.shape}, this flow has {of}")
        shape = x.shape[: -len(event)]
        if context is not None:
            context = self._cast(context)
            if context.shape[-1:] != (context_dim,):
                raise ShapeError(f"context has shape {context.shape}, this flow has context_dim {context_dim}")
            shape = jnp.broadcast_shapes(shape, context.shape[:-1])
            context = jnp.broadcast_to(context, (*shape, context_dim)).reshape(-1, context_dim)
        rows = jnp.broadcast_to(x, (*shape, *event)).reshape(-1, self._flow.dim)
        return rows, self._cast(jnp.zeros((len(rows), 0))) if context is None else context, shape

    # A function as JAX sees it is one of weights, n rows (of a sample: the two halves of its seed) and their contexts.

    def _evaluated(self, name: str, n: int, weights: Any, rows: Any, context: Any) -> Any:
        logs = jax.ShapeDtypeStruct((n,), self._dtype)
        shapes = (logs,) if name == "log_prob" else (jax.ShapeDtypeStruct((n, self._flow.dim), self._dtype), logs)
        operands = weights, rows, context
        if self.calls == "callback":
            return jax.pure_callback(partial(self._evaluate, name, n), shapes, *operands, vmap_method="sequential")
        return self._custom_call(_xla.EVALUATION, shapes, operands, function=_FUNCTIONS.index(name), n=n)

    def _recorded(self, name: str, n: int, weights: Any, rows: Any, context: Any) -> Any:
        wanted = _Wanted(weights.perturbed, rows.perturbed, context.perturbed and self._flow.context_dim > 0)
        operands = weights.value, rows.value, context.value
        return self._evaluated(name, n, *operands), (wanted, operands)

    def _pulled_back(self, name: str, n: int, kept: Any, cotangents: Any) -> Any:
        wanted, operands = kept
        g = [None if isinstance(each, SymbolicZero) else each for each in cotangents]
        if name == "log_prob":  # of the values, which it has not, and of the logarithms
            g.insert(0, None)
        given = tuple(each is not None for each in g)
        if not any(given):
            return (None,) * len(operands)
        shapes = tuple(jax.ShapeDtypeStruct(each.shape, each.dtype) for each in compress(operands, wanted))
        operands += tuple(compress(g, given))
        if self.calls == "callback":
            pull = partial(self._differentiate, name, n, given, wanted)
            found = jax.pure_callback(pull, shapes, *operands, vmap_method="sequential")
        else:
            found = self._custom_call(
                _xla.DERIVATIVE, shapes, operands, function=_FUNCTIONS.index(name), n=n,
                cotangents=_bits(given), wanted=_bits(wanted),
            )  # fmt: skip
        each = iter(found)
        return tuple(next(each) if is_wanted else None for is_wanted in wanted)

    def _custom_call(self, target: str, shapes: Any, operands: Any, **attributes: int) -> Any:
        call = jax.ffi.ffi_call(target, shapes, vmap_method="expand_dims")
        return call(*operands, flow=self._number, **{name: np.int64(each) for name, each in attributes.items()})

    # The same in Python, with arrays of NumPy.

    def _evaluate(self, name: str, n: int, weights: Any, rows: Any, context: Any) -> Any:
        flow, given = self.flow(weights), self._given(context)
        if name == "sample":
            x, log_prob = flow.sample_and_log_prob(n, given, seed=_seed(rows))
            found = x.reshape(n, flow.dim), log_prob
        else:
            found = getattr(flow, name)(self._array(rows), given)
        return tuple(np.asarray(each, self._dtype) for each in (found if isinstance(found, tuple) else (found,)))

    def _differentiate(
        self, name: str, n: int, given: Any, wanted: _Wanted, weights: Any, rows: Any, context: Any, *g: Any
    ) -> Any:
        flow, each = self.flow(weights), iter(g)
        g_values, g_logs = (self._array(next(each)) if is_given else None for is_given in given)
        of: list[Of] = list(compress(_OF, wanted))
        if name == "log_prob":
            found = flow.log_prob_vjp(self._array(rows), self._given(context), g_log_prob=self._array(g[-1]), of=of)
        elif name == "to_noise":
            found = flow.to_noise_vjp(self._array(rows), self._given(context), g_z=g_values, g_log_det=g_logs, of=of)
        elif name == "from_noise":
            found = flow.from_noise_vjp(self._array(rows), self._given(context), g_x=g_values, g_log_det=g_logs, of=of)
        else:
            found = flow.sample_vjp(n, self._given(context), seed=_seed(rows), g_x=g_values, g_log_prob=g_logs, of=of)
        parameters = found.parameters[self._trained] if found.parameters is not None else None
        parts = compress((parameters, found.rows, found.context), wanted)
        return tuple(np.asarray(part, self._dtype) for part in parts)

    def _array(self, value: Any) -> Any:
        return np.ascontiguousarray(value, self._flow.dtype)

    def _given(self, context: Any) -> Any:
        return self._array(context) if self._flow.context_dim else None


def _bits(flags: tuple[bool, ...]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _seed(words: Any) -> int:
    low, high = (int(word) for word in np.asarray(words))
    return low | high << 32
