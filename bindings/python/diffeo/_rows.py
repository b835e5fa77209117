"""Rows that are read when they are needed: arrays on disk, columns of tables, iterators."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ctypes import c_void_p, memmove
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _abi
from ._abi import Array, typed
from ._arrays import Image, image_events, in_order, labels, unreadable
from ._columns import Cells, Column, check_names, encoded, table, widened
from .errors import FileError, NumericError, ShapeError

Names: TypeAlias = tuple[str, ...] | None
Prepare: TypeAlias = Callable[[Array, int], Array]  # of rows, and the number of the first
PIECE = 1 << 22  # bytes of rows that are looked at together, about


def is_lazy(value: object) -> bool:
    """Whether this is read piece by piece: an array on disk, several columns by name or in a list, an iterator.

    Arrays on disk are memory maps and whatever has a shape, a dtype and slices and is no array in memory: data sets of
    h5py, arrays of zarr, variables of netCDF4.
    """
    if isinstance(value, Mapping):
        return True
    if isinstance(value, list):
        return len(value) > 0 and all(_is_stored(each) and len(each.shape) == 1 for each in value)
    return _is_stored(value) or isinstance(value, Iterator)


def is_counts(value: object) -> bool:
    """Whether this is an array of whole numbers: read piece by piece, it is never as large as the numbers of a flow."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "bui"


def _is_stored(value: Any) -> bool:
    if isinstance(value, np.memmap):
        return True
    in_memory = isinstance(value, np.ndarray | np.generic) or hasattr(value, "__dlpack__") or hasattr(value, "to_numpy")
    return not in_memory and all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__"))


class Stored:
    """Rows [n, columns] of something with slices, in a dtype of one's own: of an array, of records, or of columns."""

    def __init__(
        self,
        value: Any,
        columns: int,
        name: str,
        dtype: np.dtype[Any],
        expected: Names = None,
        image: Image = None,
        prepare: Prepare | None = None,
        becomes: int | None = None,
    ) -> None:
        """Prepared, rows have as many columns as `becomes` says."""
        self.name, self.columns, self._width, self._prepare = name, becomes or columns, columns, prepare
        # What is prepared is rounded once, as with arrays.
        self._dtype, self._given = (np.dtype(np.float64) if prepare else dtype), dtype
        self._parts: list[Any]
        self._fields: Names = None
        labels: Names = None
        if isinstance(value, Mapping):
            labels, self._parts = tuple(map(str, value)), list(value.values())
        elif isinstance(value, list):
            self._parts = value
        else:
            self._parts = [value]
            self._fields = labels = getattr(value.dtype, "names", None)
        if labels and expected:
            labels = self._in_order(labels, expected)
        self.labels = labels
        lengths = {part.shape[0] if part.shape else 1 for part in self._parts}
        if len(lengths) > 1:
            raise ShapeError(f"columns of {name} have {' and '.join(map(str, sorted(lengths)))} rows")
        self.count = lengths.pop() if lengths else 0
        shape = value.shape if len(self._parts) == 1 and not labels else (self.count, len(labels or self._parts))
        if len(shape) == 1 and columns == 1:
            shape = (*shape, 1)
        if image and tuple(shape[1:]) in image_events(image):
            shape = (self.count, columns)
        if image and tuple(shape[1:]) != (columns,):
            raise ShapeError(f"{name} has shape {tuple(shape)}, expected (n, {', '.join(map(str, image))})")
        if len(shape) != 2:
            raise ShapeError(f"{name} has shape {tuple(shape)}, expected (n, {columns})")
        if shape[1] != columns:
            raise ShapeError(f"{name} has {shape[1]} columns, expected {columns}")

    def _in_order(self, given: tuple[str, ...], expected: tuple[str, ...]) -> tuple[str, ...]:
        check_names(given, expected, self.name)
        if self._fields:
            self._fields = expected
        else:
            self._parts = [self._parts[given.index(label)] for label in expected]
        return expected

    def __len__(self) -> int:
        return self.count

    def read(self, first: int, count: int) -> Array:
        """So many rows, [count, columns], C-contiguous: as they are, or prepared."""
        rows = self._read(first, count)
        return np.ascontiguousarray(self._prepare(rows, first), self._given) if self._prepare else rows

    def _read(self, first: int, count: int) -> Array:
        if len(self._parts) == 1 and not self._fields:
            return self._numbers(self._parts[0][first : first + count], first, count).reshape(count, self._width)
        rows = np.empty((count, self._width), self._dtype)
        if self._fields:
            records = np.asarray(self._parts[0][first : first + count])
            columns = [records[field] for field in self._fields]
        else:
            columns = [part[first : first + count] for part in self._parts]
        for i, column in enumerate(columns):
            rows[:, i] = self._numbers(column, first, count, i)
        return rows

    def _numbers(self, value: Any, first: int, count: int, column: int = 0) -> Array:
        """Of all columns, or of one with this number."""
        if isinstance(value, np.ma.MaskedArray):
            if np.ma.is_masked(value):
                raise TypeError(f"{self.name} has masked numbers in rows {first} to {first + count - 1}")
            value = value.data
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"{self.name} must hold real numbers, not {array.dtype}")
        if array.shape[:1] != (count,):
            raise ShapeError(f"{self.name} gave {len(array)} rows for {first} to {first + count - 1}")
        try:
            with np.errstate(over="raise"):
                return np.require(array, self._dtype, ["C_CONTIGUOUS", "ALIGNED"])
        except FloatingPointError:
            raise self._beyond(array.reshape(count, -1), first, column) from None
        except (TypeError, ValueError) as error:
            if text := unreadable(value, array, self.name):
                raise type(error)(text) from None
            raise

    def _beyond(self, array: Array, first: int, column: int) -> NumericError:
        """What to say of the first number that the dtype has no place for."""
        with np.errstate(over="ignore"):
            row, j = np.argwhere(np.isfinite(array) & ~np.isfinite(array.astype(self._dtype)))[0]
        which = repr(self.labels[column + j]) if self.labels else str(column + j)
        return NumericError(
            f"{self.name} has {array[row, j]} at row {first + row}, column {which}, which {self._dtype}, the dtype of "
            "this flow, cannot hold"
        )


class Rows:
    """A handle of rows that a trainer reads, and what keeps them: arrays and the function that is called."""

    def __init__(self, x: Stored | None, context: Stored | None, weights: Stored | None, dtype: np.dtype[Any]) -> None:
        parts = [part for part in (x, context, weights) if part is not None]
        count = len(parts[0])
        for part in parts:
            if len(part) != count:
                raise ShapeError(f"{part.name} has {len(part)} rows, {parts[0].name} has {count}")
        self._failure: BaseException | None = None

        def read(_: Any, first: int, count: int, *targets: c_void_p) -> int:
            try:
                for part, target in zip((x, context, weights), targets, strict=True):
                    if part is not None:
                        rows = part.read(first, count)
                        memmove(target, rows.ctypes.data, rows.nbytes)
            except BaseException as failure:  # as itself, from the call that wants the rows
                self._failure = failure
                return 1
            return 0

        kind = _abi.ReadRowsF32 if dtype == np.float32 else _abi.ReadRowsF64
        self._read = kind(read)
        self.handle = _abi.create(
            _abi.Rows,
            typed("diffeo_rows_create", dtype),
            count,
            x.columns if x else 0,
            context.columns if context else 0,
            weights is not None,
            self._read,
            None,
        )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around calls that may read: what reading raised is raised."""
        try:
            yield
        except FileError:
            failure, self._failure = self._failure, None
            if failure is None:
                raise
            raise failure from None


def source(
    x: Any,
    context: Any,
    weights: Any,
    columns: tuple[int, int],
    dtype: np.dtype[Any],
    expected: tuple[Names, Names] = (None, None),
    of: str = "",
    image: Image = None,
    cells: Cells | None = None,
) -> tuple[Rows, tuple[Names, Names]]:
    """Rows with so many columns of x and of the context, and the names of the columns where they have any.

    image: the shape of a row of x, where it has one. cells: in which x has to be.
    """
    if isinstance(x, Iterator):
        if context is not None or weights is not None:
            raise ValueError(f"{of}x is an iterator: let it give (x, context, weights)")
        x, context, weights = spooled(x, *columns, dtype, image)
    name = f"{of}x"
    prepare: Prepare | None = (lambda rows, first: cells.checked(rows, name, first)) if cells else None
    data = Stored(_sliceable(x, expected[0], name), columns[0], name, dtype, expected[0], image, prepare)
    given = weighted = None
    if context is not None or columns[1]:
        given = stored_context(context, columns[1], len(data), dtype, expected[1], of)
    if weights is not None:
        weighted = stored(weights, 1, f"{of}weights", dtype)
    return Rows(data, given, weighted, dtype), (data.labels, given.labels if given else None)


def context_source(context: Any, columns: int, count: int, dtype: np.dtype[Any], expected: Names) -> Rows:
    """Rows of context alone, for samples."""
    return Rows(None, stored_context(context, columns, count, dtype, expected), None, dtype)


def stored(
    value: Any, columns: int, name: str, dtype: np.dtype[Any], expected: Names = None, image: Image = None
) -> Stored:
    """Rows of an array, be it on disk or in memory."""
    return Stored(_sliceable(value, expected, name), columns, name, dtype, expected, image)


def stored_context(
    value: Any, columns: int, count: int, dtype: np.dtype[Any], expected: Names = None, of: str = ""
) -> Stored:
    """The context of so many rows; one row is repeated for all."""
    if columns == 0:
        raise ShapeError(f"{of}context given, but this flow has context_dim 0")
    if value is None:
        raise ShapeError(f"{of}context is missing: this flow has context_dim {columns}")
    name = f"{of}context"
    value = _sliceable(value, expected, name)
    kinds = tuple(each for each in expected or () if isinstance(each, Column))
    width, prepare = columns, None
    if widened(kinds, columns):
        if _width(value, len(kinds)) == len(kinds):
            width, prepare = len(kinds), lambda part, first: encoded(part, kinds, columns, name, first)
        else:  # as the flow reads it already
            expected = None
    if isinstance(value, np.ndarray) and value.size == width and value.shape != (count, width):
        value = np.broadcast_to(value.reshape(1, -1), (count, width))
    rows = Stored(value, width, name, dtype, expected, prepare=prepare, becomes=columns)
    if len(rows) != count:
        raise ShapeError(f"{of}context has {len(rows)} rows, {of}x has {count}: give one row for all, or one for each")
    return rows


def _width(value: Any, otherwise: int) -> int:
    """Columns of many rows, or of one; of anything else `otherwise`."""
    fields = getattr(getattr(value, "dtype", None), "names", None)
    if isinstance(value, Mapping | list) or fields:
        return len(fields or value)
    return int(value.shape[-1]) if len(value.shape) == 2 or (value.ndim == 1 and otherwise > 1) else otherwise


def _sliceable(value: Any, expected: Names, name: str) -> Any:
    """What has slices; a data frame, which is in memory, as an array with the columns in their order."""
    if isinstance(value, Iterator):
        raise TypeError("an iterator of rows is for training alone, and is its x")
    if is_lazy(value):
        return value
    value = table(value, tuple(each for each in expected or () if isinstance(each, Column)), name)
    array, given = np.asarray(value), labels(value, len(expected)) if expected else None
    return in_order(array, given, expected, name) if expected and given else array


def spooled(
    value: Iterator[Any], columns: int, context_columns: int, dtype: np.dtype[Any], image: Image = None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """What an iterator gives, written to files that have no name and so go with the arrays: x, context, weights.

    It gives arrays of rows, or tuples (x, context) or (x, context, weights) of them.
    """
    files: list[Any] = []
    arrays: list[npt.NDArray[Any] | None] = [None, None, None]
    with ExitStack() as closing:  # a map has a descriptor of its own
        widths = (columns, context_columns, 1)
        names = ("x", "context", "weights")
        for piece in value:
            parts = piece if isinstance(piece, tuple) else (piece,)
            while len(parts) > 1 and parts[-1] is None:
                parts = parts[:-1]
            if not files:
                files = [closing.enter_context(tempfile.TemporaryFile(prefix="diffeo-")) for _ in parts]
            if len(parts) != len(files):
                raise ValueError(f"the iterator gave {len(parts)} arrays after {len(files)}")
            count = None
            for part, file, width, name in zip(parts, files, widths, names, strict=False):
                if part is None:
                    continue
                given = stored(part, width, name, dtype, image=image if name == "x" else None)
                rows = given.read(0, len(given))
                if count not in (None, len(rows)):
                    raise ShapeError(f"the iterator gave {len(rows)} rows of {name}, and {count} of x")
                count = len(rows)
                file.write(rows.tobytes())
        for i, (file, width) in enumerate(zip(files, widths, strict=False)):
            size = file.tell()
            file.flush()
            if size:
                arrays[i] = np.memmap(file, dtype, "r", shape=(size // (width * dtype.itemsize), width))
    x = np.empty((0, columns), dtype) if arrays[0] is None else arrays[0]
    return x, arrays[1], arrays[2]


def pieces(count: int, width: int, dtype: np.dtype[Any]) -> Iterator[tuple[int, int]]:
    """First row and number of rows of pieces of so many rows."""
    size = max(1024, min(1 << 16, PIECE // (max(width, 1) * dtype.itemsize)))
    for first in range(0, count, size):
        yield first, min(size, count - first)
