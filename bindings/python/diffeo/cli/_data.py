"""Files of rows, read in batches: .npy, .csv, .parquet and HDF5."""

from __future__ import annotations

import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _columns
from .._abi import Array
from .._columns import Column
from .._extras import optional
from .._files import folder
from ..errors import InvalidArgumentError
from . import _text

BATCH = 1 << 15  # rows that are in memory together
Values: TypeAlias = npt.NDArray[Any]  # [rows], of numbers or of words
_LISTS = (list, tuple, dict, np.ndarray)


class Source(Protocol):
    """Rows in a file. `names` are None where columns have none: then they are "0", "1" and so on."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""

    @property
    def named(self) -> bool:
        """Whether the file has these names."""

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Columns by the name of the data set that they are in."""

    @property
    def count(self) -> int | None:
        """Rows; None where only reading tells."""

    def batches(self, wanted: Sequence[str], first: int = 0) -> Iterator[list[Values]]:
        """Some columns of the rows from number `first` on."""


class _Arrays:
    """Columns that are arrays, on disk or in memory: what .npy and HDF5 have."""

    def __init__(
        self,
        columns: dict[str, tuple[Any, Any]],
        named: bool,
        path: str,
        groups: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._columns, self.named, self.groups = columns, named, groups or {}
        lengths = {len(array) for array, _ in columns.values()}
        if len(lengths) > 1:
            sets = {name: labels[0] for name, labels in self.groups.items()} or {name: name for name in columns}
            shown = ", ".join(f"{name} {len(columns[label][0])}" for name, label in list(sets.items())[:8])
            raise InvalidArgumentError(
                f"{path} has data sets with different numbers of rows ({shown}): name some by --dataset"
            )
        if not columns:
            raise InvalidArgumentError(f"{path} has no data set with rows of numbers")
        self.count: int | None = lengths.pop()
        self.names = tuple(columns)

    def batches(self, wanted: Sequence[str], first: int = 0) -> Iterator[list[Values]]:
        end = self.count or 0
        for start in range(first, end, BATCH):
            stop = min(start + BATCH, end)
            read: dict[int, Values] = {}
            found = []
            for name in wanted:
                array, part = self._columns[name]
                if id(array) not in read:
                    read[id(array)] = np.asarray(array[start:stop])
                rows = read[id(array)]
                found.append(_words(rows if part is None else rows[part] if isinstance(part, str) else rows[:, part]))
            yield found


def _words(values: Values) -> Values:
    """Text of HDF5 is bytes."""
    if values.dtype.kind not in "SO":
        return values
    return np.array([each.decode() if isinstance(each, bytes) else each for each in values], object)


class _Table:
    """Of text, by pandas, in pieces."""

    count: int | None = None
    groups: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, path: str) -> None:
        self._path, self._pandas = path, optional("pandas", f"reading {path}", "cli")
        self._layout = _text.layout(path)
        self.named = self._layout.named
        self.names = _with_names(self._layout.names, path)

    def batches(self, wanted: Sequence[str], first: int = 0) -> Iterator[list[Values]]:
        places = [self._layout.names.index(name) for name in wanted]
        # Rows are read to be skipped: lines may be empty, and cells may have more than one.
        for piece in _text.pieces(self._pandas, self._path, self._layout, BATCH):
            start, first = min(first, len(piece)), max(0, first - len(piece))
            if start < len(piece):
                yield [piece[place].to_numpy()[start:] for place in places]


def _with_names(names: Sequence[str], path: str) -> tuple[str, ...]:
    """The columns that can be told of; what has no name numbers rows, or ends lines."""
    if left := len(names) - len(named := tuple(name for name in names if name)):
        column = "a column" if left == 1 else f"{left} columns"
        warnings.warn(f"{path} has {column} without a name: left out", stacklevel=2)
    return named


class _Parquet:
    named = True
    groups: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, path: str) -> None:
        parquet = optional("pyarrow.parquet", f"reading {path}", "cli")
        self._file = parquet.ParquetFile(path)
        names = self._file.schema_arrow.names
        _text.check_unique(names, path)
        # An index of pandas that has no name.
        self.names = tuple(name for name in names if not re.fullmatch(r"__index_level_\d+__", name))
        self.count: int | None = self._file.metadata.num_rows

    def batches(self, wanted: Sequence[str], first: int = 0) -> Iterator[list[Values]]:
        groups, skipped = list(range(self._file.num_row_groups)), first
        while groups and skipped >= (rows := self._file.metadata.row_group(groups[0]).num_rows):
            skipped -= rows
            groups.pop(0)
        if not groups:
            return
        for batch in self._file.iter_batches(BATCH, row_groups=groups, columns=list(dict.fromkeys(wanted))):
            start, skipped = min(skipped, len(batch)), max(0, skipped - len(batch))
            if start < len(batch):
                yield [batch.column(name).to_numpy(zero_copy_only=False)[start:] for name in wanted]


def opened(path: str, datasets: Sequence[str] | None = None) -> Source:
    """The rows of a file, by how its name ends."""
    if not os.path.exists(path):
        raise FileNotFoundError(2, "no such file", path)
    if os.path.isdir(path):
        raise IsADirectoryError(21, "it is a folder", path)
    with _reading(path):
        return _by_name(path, datasets)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Whatever reads files and fails says which file it was."""
    try:
        yield
    except (InvalidArgumentError, MemoryError):
        raise
    except Exception as error:
        if path in str(error):
            raise
        raise InvalidArgumentError(f"{path} could not be read: {error}") from None


def _read(source: Source, names: Sequence[str], path: str, first: int = 0) -> Iterator[list[Values]]:
    """The columns with these names, some rows at a time, from row `first` on: a number or a word in each cell."""
    with _reading(path):
        for values in source.batches(names, first):
            for name, part in zip(names, values, strict=True):
                if part.ndim != 1 or (part.dtype.kind == "O" and any(isinstance(each, _LISTS) for each in part)):
                    raise InvalidArgumentError(f"{path} has lists in column {name!r}, which are no numbers")
            yield values


def _by_name(path: str, datasets: Sequence[str] | None) -> Source:
    lower = path.lower()
    if datasets and not lower.endswith((".h5", ".hdf5", ".hdf")):
        raise InvalidArgumentError(f"--dataset is for HDF5 files, which {path} is not")
    if lower.endswith(".npy"):
        return _npy(path)
    if lower.endswith((".h5", ".hdf5", ".hdf")):
        return _hdf5(path, datasets)
    if lower.endswith((".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")):
        return _Table(path)
    if lower.endswith((".parquet", ".pq")):
        return _Parquet(path)
    raise InvalidArgumentError(f"{path} is not .npy, .csv, .tsv, .parquet or .h5, by its name")


def _npy(path: str) -> Source:
    with open(path, "rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise InvalidArgumentError(f"{path} is no array of NumPy, as numpy.save writes it")
    array = np.load(path, mmap_mode="r")
    if array.dtype.names:
        return _Arrays({name: (array, name) for name in array.dtype.names}, True, path)
    if array.ndim == 1:
        return _Arrays({"0": (array, None)}, False, path)
    if array.ndim != 2:
        raise InvalidArgumentError(f"{path} has shape {array.shape}, expected rows and columns")
    return _Arrays({str(j): (array, j) for j in range(array.shape[1])}, False, path)


def _hdf5(path: str, datasets: Sequence[str] | None) -> Source:
    h5py = optional("h5py", f"reading {path}", "cli")
    file = h5py.File(path, "r")
    sets: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and 1 <= item.ndim <= 2:
            sets[name] = item

    file.visititems(visit)
    picked = [name.strip("/") for name in datasets or ()]
    if picked:
        sets = _picked(sets, picked, path)
    # The name of the only set, or of one that is picked, says which rows it has, as train and test do.
    several = len(sets) > 1 and not set(sets) <= set(picked)
    columns: dict[str, tuple[Any, Any]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    named = False
    for name, item in sets.items():
        parts: list[Any] = [None]
        labels: Sequence[str] = [name]
        known = several
        if item.dtype.names and item.ndim == 1:
            parts, labels, known = list(item.dtype.names), item.dtype.names, True
        elif item.ndim == 2:
            parts, given = list(range(item.shape[1])), _labels(item, file)
            known = given is not None or several
            prefix = "" if len(sets) == 1 else f"{name}."
            labels = given if given is not None else [f"{prefix}{j}" for j in parts]
        if any(label in columns for label in labels):
            labels = [f"{name}.{label}" for label in labels]
        columns |= {label: (item, part) for label, part in zip(labels, parts, strict=True)}
        groups[name] = tuple(labels)
        named = named or known
    return _Arrays(columns, named, path, groups)


def _picked(sets: Mapping[str, Any], names: Sequence[str], path: str) -> dict[str, Any]:
    """Data sets by name, and those in a group by its name: they are called then as they are within it."""
    found: dict[str, Any] = {}
    for name in names:
        within = {name: sets[name]} if name in sets else _within(name, sets)
        if not within:
            raise InvalidArgumentError(f"{path} has no data set {name}, but {', '.join(sets) or 'none'}")
        found |= {f"{name}/{each}" if each in found and each != name else each: item for each, item in within.items()}
    return found


def _within(group: str, sets: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(f"{group}/"): item for name, item in sets.items() if name.startswith(f"{group}/")}


def _labels(item: Any, file: Any) -> list[str] | None:
    """Names of the columns of a data set: its attribute `columns`, or its group's, or the file's; texts, or JSON."""
    for attributes in item.attrs, item.parent.attrs, file.attrs:
        said = attributes.get("columns", ())
        if isinstance(said, (str, bytes)):
            try:
                said = json.loads(said)
            except ValueError:
                continue
        found = [each.decode() if isinstance(each, bytes) else str(each) for each in np.atleast_1d(said)]
        if len(found) == item.shape[1] == len(set(found)):
            return found
    return None


def chosen(source: Source, wanted: Sequence[str], path: str) -> tuple[str, ...]:
    """Names that are there; that of a data set with two axes stands for all of its columns."""
    found: list[str] = []
    missing = []
    for name in wanted:
        if name in source.names:
            found.append(name)
        elif name in source.groups:
            found += source.groups[name]
        else:
            missing.append(name)
    if missing:
        raise InvalidArgumentError(
            f"{path} has no column {', '.join(map(repr, missing))}, but {', '.join(map(repr, source.names))}"
        )
    return tuple(found)


def weights(source: Source, name: str | None, path: str) -> tuple[str, ...]:
    """The column of the weights of rows, if one is named."""
    found = chosen(source, [name], path) if name else ()
    if len(found) > 1:
        raise InvalidArgumentError(f"--weights {name} are {len(found)} columns, it must be one")
    return found


def numbers(
    values: Sequence[Values], columns: Sequence[Column], path: str, first: int | None, advice: str = ""
) -> Array:
    """The columns side by side, [rows, columns], float64: categories by number.

    first: the number of the first row; None where there is but one, without a number. advice: where there are words.
    """
    array = np.empty((len(values[0]) if values else 0, len(columns)))
    for j, (part, column) in enumerate(zip(values, columns, strict=True)):
        try:
            array[:, j] = _columns.codes(part, column, path, first)
        except (TypeError, ValueError) as error:
            if isinstance(error, InvalidArgumentError):
                raise
            for row, each in enumerate(part):
                if not _columns.missing(each) and not _text.is_number(str(each)):
                    where = _columns.place(np.array([row]), column, first)
                    raise InvalidArgumentError(
                        f"{path} has {str(each)!r} in {where}, which is no number{advice}"
                    ) from None
            array[:, j] = [np.nan if _columns.missing(each) else float(each) for each in part]
    return array


def batches(source: Source, columns: Sequence[Column], path: str, first: int = 0, advice: str = "") -> Iterator[Array]:
    """Numbers of these columns, some rows at a time."""
    for values in _read(source, [str(column) for column in columns], path, first):
        yield numbers(values, columns, path, first, advice)
        first += len(values[0])


def with_levels(source: Source, columns: Sequence[Column], path: str) -> tuple[Column, ...]:
    """Categories of which nothing is said, with the words or numbers that the file has."""
    unknown = [column for column in columns if column.kind == "category" and column.levels is None]
    found: dict[str, set[Any]] = {str(column): set() for column in unknown}
    for values in _read(source, list(found), path) if found else ():
        for name, part in zip(found, values, strict=True):
            found[name] |= {each for each in part.tolist() if not _columns.missing(each)}
    return tuple(
        Column.from_json(column.to_json() | _columns.levels(found[str(column)])) if str(column) in found else column
        for column in columns
    )


class Spool(AbstractContextManager["Spool"]):
    """Rows in a temporary file without a name, so that any number fits: an array, or a memory map of them."""

    def __init__(self, columns: int) -> None:
        self._columns, self._file = columns, tempfile.TemporaryFile(prefix="diffeo-")  # noqa: SIM115

    def add(self, rows: Array) -> None:
        """More rows."""
        self._file.write(np.ascontiguousarray(rows, np.float64).tobytes())

    def rows(self, memory: int) -> Array:
        """All of them: in memory, if that many bytes hold them."""
        self._file.flush()
        size = self._file.tell()
        shape = size // (8 * max(self._columns, 1)), self._columns
        if size == 0:
            return np.empty((0, self._columns))
        mapped: Array = np.memmap(self._file, np.float64, "r", shape=shape)
        return np.array(mapped) if size <= memory else mapped

    def __exit__(self, *_: object) -> None:
        self._file.close()


def fingerprint(path: str, datasets: Sequence[str] | None) -> list[Any]:
    """What tells whether a file is still the same, without reading it, and the same data sets of it."""
    about = os.stat(path)
    return [os.path.basename(path), about.st_size, about.st_mtime_ns, datasets]


def check_output(path: str, endings: tuple[str, ...], wrong: str, *read: str | None) -> None:
    """Refuse, before anything is computed, the name of another format, a folder, and the files that are read."""
    if not path.lower().endswith(endings):
        raise InvalidArgumentError(f"{path} is {wrong}, by its name")
    if not os.path.isdir(within := folder(path)):
        raise FileNotFoundError(2, "no such folder", within)
    if os.path.isdir(path):
        raise IsADirectoryError(21, "it is a folder", path)
    try:
        tempfile.TemporaryFile(dir=within).close()
    except OSError as error:
        raise InvalidArgumentError(f"nothing can be written to {within}: {error.strerror}") from None
    for other in read:
        if other is not None and os.path.exists(other) and os.path.exists(path) and os.path.samefile(other, path):
            raise InvalidArgumentError(f"{path} would be written over {other}, which is read: give another name")


def check_weight_file(path: str, *read: str | None) -> None:
    """Refuse what no weight file should be called."""
    if any(0xDC80 <= ord(each) <= 0xDCFF for each in path):  # bytes that are none, as Python writes them
        raise InvalidArgumentError(f"{path!r} is no name in UTF-8, as that of a weight file must be")
    check_output(path, (".h5", ".hdf5", ".hdf"), "not .h5 or .hdf5, as a weight file is", *read)
