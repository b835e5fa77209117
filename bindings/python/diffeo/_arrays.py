"""From what users pass to what the library takes: arrays, whole numbers, names of options."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from ctypes import Array as CArray
from ctypes import c_double, c_int64
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from ._abi import DTYPES, Array
from ._columns import check_names
from .errors import ShapeError

Integers: TypeAlias = Sequence[SupportsIndex] | npt.NDArray[np.integer[Any]]
Image: TypeAlias = tuple[int, ...] | None  # channels, height and width of a flow of images
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows, and the shape it was written in.

    ``array`` is [n, columns], ``batch`` the shape of one number a row: (n,), or () for a single row. ``event`` is the
    shape of a row: (columns,), that of an image, or () where a single column was written without its axis.
    """

    array: Array
    batch: tuple[int, ...]
    event: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.array)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype


def real_array(value: npt.ArrayLike, name: str, otherwise: np.dtype[Any]) -> Array:
    """Any array-like as a C-contiguous, aligned array of native float32 or float64; itself if it is one.

    Arrays and data frames of one of the two dtypes keep it; everything else becomes `otherwise`.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill or drop what is masked first")
    array = np.asarray(value)
    if array.dtype.kind not in "biufO":
        where = unreadable(value, array, name) if array.dtype.kind in "US" else None
        raise TypeError(where or f"{name} must hold real numbers, not {array.dtype}")
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _FLOATS or not hasattr(value, "__array__"):
        dtype = otherwise
    try:
        return np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    except (TypeError, ValueError) as error:
        if text := unreadable(value, array, name):
            raise type(error)(text) from None
        raise


def unreadable(value: object, array: npt.NDArray[Any], name: str) -> str | None:
    """A sentence with the first entry that is not a number, and where it is."""
    for place, entry in np.ndenumerate(array):
        try:
            float(entry)
        except (TypeError, ValueError):
            if not place:
                return f"{name} must hold real numbers, not {entry!r}"
            row = f"row {place[0]}" if array.ndim == 2 else f"entry {', '.join(map(str, place))}"
            column = f", column {place[1]}" if array.ndim == 2 else ""
            known = labels(value, array.shape[-1])
            if known:
                column = f", column {known[place[-1]]!r}"
            shown = entry.item() if isinstance(entry, np.generic) else entry
            return f"{name} must hold real numbers, not {shown!r} in {row}{column}"
    return None


def labels(value: object, count: int) -> tuple[str, ...] | None:
    """The names of the columns of a data frame of any library, or of a row of one; None for other things.

    Numbers in the place of names, as pandas has them by default, and names that are not unique are none.
    """
    if not hasattr(value, "to_numpy"):
        return None
    found = getattr(value, "columns", None)
    if found is None and count > 1:
        found = getattr(value, "index", None)  # of a pandas Series
    try:
        names = tuple(found) if found is not None else ()
    except TypeError:
        return None
    if len(names) == 0 or not all(isinstance(label, str) for label in names) or len(set(names)) < len(names):
        return None
    return names


def in_order(array: Array, given: tuple[str, ...], expected: tuple[str, ...], name: str) -> Array:
    """The columns `given` put into the order `expected`."""
    if given == expected:
        return array
    check_names(given, expected, name)
    return np.ascontiguousarray(array[..., [given.index(label) for label in expected]])


def rows(
    value: npt.ArrayLike,
    columns: int,
    dtype: np.dtype[Any],
    name: str,
    column_name: str,
    names: tuple[str, ...] | None = None,
    image: Image = None,
    many: bool = False,
) -> Rows:
    """Rows of so many columns from [n, columns], from one row [columns] or, for one column, from [n] or a number.

    names: of the columns; a data frame that has them in another order is put right. image: [n, *image] and one image
    will do as well. many: the first axis counts rows, so that images of one channel may be without its axis.
    """
    given = labels(value, columns) if names else None
    if names and given:
        check_names(given, names, name)  # before the numbers: words may be in a column that is too many
    array = real_array(value, name, dtype)
    if names and given:
        array = in_order(array, given, names, name)
    if image and array.ndim in (3, 4) and array.shape[-3:] == image:
        batch, event = array.shape[:-3], image
    elif image and many and array.shape[1:] in image_events(image):
        batch, event = array.shape[:1], array.shape[1:]
    elif image and array.shape[-1:] != (columns,):
        raise ShapeError(f"{name} has shape {array.shape}, expected {image_shapes(image)}")
    elif array.ndim == 2:
        batch, event = array.shape[:1], array.shape[1:]
    elif array.ndim < 2 and columns == 1:
        batch, event = array.shape, ()
    elif array.ndim == 1:
        batch, event = (), array.shape
    else:
        raise ShapeError(f"{name} has shape {array.shape}, expected (n, {columns}) or ({columns},)")
    if array.ndim < 3 and event not in ((), (columns,)):
        raise ShapeError(f"{name} has {event[0]} columns, this flow has {column_name} {columns}")
    return Rows(array if array.ndim == 2 else array.reshape(-1, columns), batch, event)


def by_row(array: npt.NDArray[Any]) -> Rows:
    """Many rows of any shape as they are, in any type."""
    return Rows(array.reshape(len(array), -1), array.shape[:1], array.shape[1:])


def image_events(image: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The axes that an image may have where there are many."""
    return [image, image[1:]] if image[0] == 1 else [image]


def image_shapes(image: tuple[int, ...]) -> str:
    """What images may be given as."""
    return f"(n, {', '.join(map(str, image))}) or {image}"


def context_rows(
    value: npt.ArrayLike | None,
    columns: int,
    count: int,
    dtype: np.dtype[Any],
    of: str = "x",
    name: str = "context",
    names: tuple[str, ...] | None = None,
) -> Rows | None:
    """The context of `count` rows, in this dtype: one row for all or one for each; None for a flow without context."""
    if value is None:
        if columns == 0:
            return None
        raise ShapeError(f"{name} is missing: this flow has context_dim {columns}")
    if columns == 0:
        raise ShapeError(f"{name} given, but this flow has context_dim 0")
    given = rows(value, columns, dtype, name, "context_dim", names)
    if len(given) not in (1, count):
        raise ShapeError(f"{name} has {len(given)} rows, {of} has {count}: give one row for all, or one for each")
    return Rows(np.require(given.array, dtype), given.batch, given.event)


def pointer_and_count(context: Rows | None) -> tuple[Array | None, int]:
    """The two arguments of the C functions for a context."""
    return (None, 0) if context is None else (context.array, len(context))


def vector(value: npt.ArrayLike, length: int, name: str, dtype: np.dtype[Any]) -> Array:
    """A 1-D array of so many values."""
    array = real_array(value, name, dtype)
    if array.shape != (length,):
        raise ShapeError(f"{name} has shape {array.shape}, expected ({length},)")
    return array


def integer(value: SupportsIndex, name: str, low: int = -(2**63), high: int = 2**63 - 1) -> int:
    """A whole number in a range: ctypes would wrap others silently. Narrower ones are the library's to say."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {number}")
    return number


def real(value: SupportsFloat, name: str) -> float:
    """A number, as ctypes takes it."""
    try:
        return c_double(value).value  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a number, not {value!r}") from None


def seed64(value: SupportsIndex) -> int:
    """A seed: any unsigned number of 64 bits."""
    return integer(value, "seed", 0, 2**64 - 1)


def sequence(values: Integers | SupportsIndex) -> Integers:
    """One whole number as a sequence of it; a sequence as it is."""
    try:
        return (operator.index(values),)  # type: ignore[arg-type]
    except TypeError:
        return values  # type: ignore[return-value]


def int64s(values: Integers, name: str) -> CArray[c_int64]:
    """Whole numbers as a C array."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be whole numbers, not {values!r}")
    numbers = [integer(value, name) for value in values]
    return (c_int64 * len(numbers))(*numbers)


def image_shape(value: Integers) -> tuple[int, int, int]:
    """Channels, height and width."""
    sizes = [*int64s(value, "shape")]
    if len(sizes) != 3:
        raise ShapeError(f"shape has {len(sizes)} entries, expected 3: channels, height, width")
    return sizes[0], sizes[1], sizes[2]


def choice(value: str, table: dict[str, int], name: str) -> int:
    """The C value of an option's name."""
    if not isinstance(value, str) or value not in table or value == "given":
        names = ", ".join(repr(key) for key in table if key != "given")
        raise ValueError(f"{name} must be one of {names}, not {value!r}")
    return table[value]


def dtype_code(value: npt.DTypeLike) -> int:
    """The C value of float32 or float64."""
    try:
        name = np.dtype(value).name
    except TypeError:
        raise TypeError(f"dtype must be one of 'float32', 'float64', not {value!r}") from None
    return choice(name, DTYPES, "dtype")
