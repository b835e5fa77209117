"""What is asked of a flow by all that looks at it from outside: diagnostics, pictures, reports."""

from __future__ import annotations

from typing import Any, Protocol, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import Rows


class Judged(Protocol):
    """The part of a `Flow` that is asked."""

    @property
    def dim(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def context_dim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def columns(self) -> tuple[str, ...] | None: ...

    @property
    def context_columns(self) -> tuple[str, ...] | None: ...

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> Array: ...

    def to_noise(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]: ...

    def from_noise(self, z: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]: ...

    def sample(
        self, n: SupportsIndex, context: npt.ArrayLike | None = None, *, seed: SupportsIndex | None = None
    ) -> Array: ...

    def _inputs(self, x: npt.ArrayLike, context: npt.ArrayLike | None) -> tuple[Rows, Rows | None]: ...


def base(flow: Judged) -> str:
    """What the summary of a flow says of its base, such as ``logistic`` or ``uniform: on [0.0, 1.0]``."""
    return str(flow).rstrip().rpartition("\n")[2].split(maxsplit=1)[1]


def layer_kinds(flow: Judged) -> list[str]:
    """The kinds of the layers, first that of the data."""
    lines = [line.split(maxsplit=1) for line in str(flow).splitlines()]
    return [line[1].split(":")[0] for line in lines if len(line) == 2 and line[0].isdigit()]
