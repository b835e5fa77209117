"""Vector-Jacobian products: what the methods `*_vjp` of a flow have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _abi
from ._abi import Array, typed
from ._arrays import Image, Rows, pointer_and_count, real_array
from ._threads import workspace
from .errors import InvalidArgumentError, ShapeError

Of: TypeAlias = Literal["rows", "context", "parameters"]
ALL: tuple[Of, ...] = ("rows", "context", "parameters")


class Differentiable(Protocol):
    """What is needed of a `Flow`."""

    _handle: _abi.Handle

    @property
    def context_dim(self) -> int: ...
    @property
    def parameter_count(self) -> int: ...


class Gradients(NamedTuple):
    """Derivatives of a loss in what a function of a flow was given; None for what was not asked for or is not there.

    `rows` are those of x, or z, [n, dim], or images as they were given; `context` [n, context_dim], a row for each row,
    also when one row of context serves all; `parameters` [parameter_count], in the order of `Flow.parameters`, 0 for
    constants and for weights that a mask hides.
    """

    rows: Array | None
    context: Array | None
    parameters: Array | None


def cotangent(
    value: npt.ArrayLike | None, shape: tuple[int, ...], dtype: np.dtype[Any], name: str, image: Image = None
) -> Array | None:
    """What a loss is differentiated by, in the shape of what the function gives, or None for zeros.

    image: the shape that a row may have instead.
    """
    if value is None:
        return None
    array = real_array(value, name, dtype).astype(dtype, copy=False)
    if array.shape == ():
        array = np.full(shape, array)
    elif image and array.shape in ((shape[0], *image), image if shape[0] == 1 else None):
        array = array.reshape(shape)
    if array.shape not in (shape, shape[1:] if shape[0] == 1 else shape):
        raise ShapeError(f"{name} has shape {array.shape}, expected {shape}")
    return np.ascontiguousarray(array).reshape(shape)


def pulled_back(
    flow: Differentiable,
    function: str,
    before: tuple[object, ...],
    count: int,
    given: Rows | None,
    dtype: np.dtype[Any],
    cotangents: tuple[Array | None, ...],
    of: Collection[Of],
    *,
    rows: tuple[int, ...] | None,
) -> Gradients:
    """Call the function: `before` is what comes before the context, outputs of its own are left out.

    rows: the shape of their gradient, None for a function that has none.
    """
    if unknown := [name for name in of if name not in ALL]:
        raise InvalidArgumentError(f"of has {unknown[0]!r}, expected some of {', '.join(map(repr, ALL))}")
    g_rows = np.empty(rows, dtype) if rows is not None and "rows" in of else None
    g_context = np.empty((count, flow.context_dim), dtype) if given is not None and "context" in of else None
    g_parameters = np.zeros(flow.parameter_count, dtype) if "parameters" in of else None
    own: tuple[None, ...] = (None,) * (1 if function == "log_prob" else 2)
    wanted = (g_context, g_parameters) if rows is None else (g_rows, g_context, g_parameters)
    typed(f"diffeo_flow_{function}_vjp", dtype)(
        flow._handle, *before, *pointer_and_count(given), *cotangents, workspace(), *own, *wanted
    )
    return Gradients(g_rows, g_context, g_parameters)
