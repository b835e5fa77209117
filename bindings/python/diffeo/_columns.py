"""Columns that have names, kinds and units: what a flow keeps of them, and what they ask of rows."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ._abi import Array
from .errors import Error, InvalidArgumentError, ShapeError

Kind: TypeAlias = Literal["real", "positive", "interval", "angle", "count", "category"]
FrameName: TypeAlias = Literal["pandas", "polars"]
KINDS: tuple[str, ...] = get_args(Kind)
_SHOWN = 5  # rows in a message, at most


class Column(str):
    """The name of a column, which knows its kind: a str, equal to any other with the same text.

    Parameters
    ----------
    name : str
    kind : {"real", "positive", "interval", "angle", "count", "category"}
        Any number; above `low`; between `low` and `high`; modulo a full turn from `low` to `high`; 0, 1, 2, ...;
        0 to `levels` - 1, or one of `values`.
    low, high : float, optional
        Of positive by default 0; an interval needs both; a turn is by default from -pi to pi.
    levels : int, optional
        Of a category, 2 or more; `diffeo.for_table` takes them from the data where they are not given.
    values : sequence of str, optional
        What the numbers 0, 1, ... of a category stand for, in place of `levels`.
    unit : str, optional
        In your words.

    Examples
    --------
    >>> phi = diffeo.Column("phi", "angle", low=0, high=360, unit="deg")
    >>> phi == "phi", phi.kind, phi.period
    (True, 'angle', 360.0)
    >>> diffeo.Column.parse("phi[deg]:angle:0:360") == phi
    True
    """

    kind: Kind
    low: float | None
    high: float | None
    levels: int | None
    values: tuple[str, ...] | None
    unit: str | None

    def __new__(
        cls,
        name: str,
        kind: Kind = "real",
        *,
        low: float | None = None,
        high: float | None = None,
        levels: int | None = None,
        values: Sequence[str] | None = None,
        unit: str | None = None,
    ) -> Column:
        """Check what the kind needs, and what it has not."""
        if kind not in KINDS:
            raise ValueError(f"column {name!r}: kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
        self = super().__new__(cls, name)
        self.kind, self.unit = kind, unit
        self.values = tuple(map(str, values)) if values is not None else None
        ends = {"positive": (0.0, None), "angle": (-math.pi, math.pi)}.get(kind, (None, None))
        self.low, self.high = (
            default if end is None else float(end) for end, default in zip((low, high), ends, strict=True)
        )
        self.levels = levels if self.values is None else len(self.values)
        self._check(one_end=(low is None) != (high is None))
        return self

    def _check(self, one_end: bool) -> None:
        wanted = {"positive": ("low",), "interval": ("low", "high"), "angle": ("low", "high")}
        for name in ("low", "high", "levels"):
            value = getattr(self, name)
            if name == "levels" and self.kind == "category":
                continue
            if (value is not None) != (name in wanted.get(self.kind, ())):
                problem = f"needs {name}" if value is None else f"has no {name}"
                raise ValueError(f"column {str(self)!r}: the kind {self.kind!r} {problem}")
            if value is not None and not math.isfinite(value):
                raise ValueError(f"column {str(self)!r}: {name} is {value}; it must be finite")
        if self.kind == "angle" and one_end:
            raise ValueError(f"column {str(self)!r}: a turn has two ends, low and high, or neither, and is -pi to pi")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"column {str(self)!r}: low is {self.low:g} and high {self.high:g}; it must be above low")
        if self.levels is not None and not 2 <= self.levels <= 1 << 20:
            raise ValueError(f"column {str(self)!r} has {self.levels} levels; it must be 2 to {1 << 20}")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError(f"column {str(self)!r}: values are not all different")

    @classmethod
    def parse(cls, text: str) -> Column:
        """Make one of ``name[unit]:kind:numbers``: ``mass[GeV]:positive``, ``x:interval:0:1``, ``phi:angle:0:360``.

        Numbers are low and high, of positive low, of a category levels, or its values: ``colour:category:red|green``.
        """
        name, *rest = text.split(":")
        name, bracket, unit = name.partition("[")
        if bracket and not unit.endswith("]"):
            raise ValueError(f"column {text!r}: a unit ends with ], as in mass[GeV]:positive")
        more: dict[str, Any] = {"unit": unit[:-1]} if bracket else {}
        return cls._of(name, rest[0] if rest else "real", rest[1:], more)

    @classmethod
    def of(cls, name: str, kind: Any) -> Column:
        """Make one of a kind, of ``"angle:0:360"``, of ``("interval", 0, 1)``, or take a `Column` under this name."""
        if isinstance(kind, Column):
            return cls.from_json(kind.to_json() | {"name": name})
        first, *numbers = kind.split(":") if isinstance(kind, str) else kind
        return cls._of(name, first, numbers, {})

    @classmethod
    def _of(cls, name: str, kind: Any, numbers: Sequence[Any], more: dict[str, Any]) -> Column:
        try:
            if kind == "category" and len(numbers) == 1:
                levels = str(numbers[0])
                more |= {"values": levels.split("|")} if "|" in levels else {"levels": int(levels)}
            elif kind in ("angle", "interval") and len(numbers) == 1:
                raise ValueError
            else:
                more |= dict(zip(("low", "high"), map(float, numbers), strict=len(numbers) > 2))
        except ValueError:
            shown = ":".join(map(str, (kind, *numbers)))
            raise ValueError(f"column {name!r}: {shown!r} is no kind with its numbers, as angle:0:360 is") from None
        return cls(name, kind, **more)

    @property
    def period(self) -> float | None:
        """A full turn of an angle, else None."""
        return self.high - self.low if self.kind == "angle" and self.high is not None and self.low is not None else None

    @property
    def width(self) -> int:
        """Columns that a context has for it: one for each level of a category, cosine and sine of an angle."""
        return (self.levels or 1) if self.kind == "category" else 2 if self.kind == "angle" else 1

    @property
    def discrete(self) -> bool:
        """Whether there is a number in each cell [n, n + 1) only."""
        return self.kind in ("count", "category")

    def to_json(self) -> dict[str, Any]:
        """What docs/weight-file.md says: without what is not there."""
        said: dict[str, Any] = {"name": str(self), "kind": self.kind}
        for name in ("low", "high", "levels", "values", "unit"):
            if (value := getattr(self, name)) is not None and not (name == "levels" and self.values):
                said[name] = list(value) if name == "values" else value
        return said

    @classmethod
    def from_json(cls, said: Any) -> Column:
        """Of such an object, or of a name alone; a kind that this version does not know is real."""
        if isinstance(said, str):
            return cls(said)
        known = {name: said[name] for name in ("kind", "low", "high", "levels", "values", "unit") if name in said}
        if known.get("kind", "real") not in KINDS:
            known = {}
        return cls(said["name"], **known)

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        said = self.to_json()
        return (said.pop("name"),), said

    def describe(self) -> str:
        """In words: the name, the unit, the kind."""
        text = f"{self}{f' [{self.unit}]' if self.unit else ''}"
        match self.kind:
            case "real":
                return text
            case "positive":
                return f"{text}: above {self.low:g}"
            case "interval":
                return f"{text}: {self.low:g} to {self.high:g}"
            case "angle":
                return f"{text}: angle of {self.low:g} to {self.high:g}"
            case "count":
                return f"{text}: count"
        return f"{text}: one of {', '.join(self.values) if self.values else self.levels or 'some'}"


Columns: TypeAlias = tuple[Column, ...]


def dumped(columns: Sequence[str]) -> str:
    """The JSON that the metadata of a flow holds: names, and objects where more is known."""
    plain = [str(each) if not isinstance(each, Column) or _bare(each) else each.to_json() for each in columns]
    return json.dumps(plain, ensure_ascii=False)


def _bare(column: Column) -> bool:
    return column.kind == "real" and column.unit is None


def loaded(text: str) -> Columns | None:
    """The columns that metadata speak of; None for what is something else."""
    try:
        return tuple(Column.from_json(each) for each in json.loads(text))
    except (ValueError, TypeError, KeyError):
        return None


# ------------------------------------------------------------------------------------------------------------- rows


def table(value: Any, columns: Columns | None, name: str) -> Any:
    """A data frame whose categories are words as numbers, its columns in order; all else as it is."""
    if not columns or not is_frame(value) or not any(each.values for each in columns):
        return value
    check_names(tuple(map(str, value.columns)), columns, name)
    rows = np.empty((len(value), len(columns)))
    for j, column in enumerate(columns):
        rows[:, j] = _of_frame(value, column, name)
    return rows


def _of_frame(frame: Any, column: Column, name: str) -> Array:
    """The numbers of a column, in place of words where it has some."""
    found = np.asarray(frame[str(column)])
    if column.values:
        return codes(found, column, name)
    if found.dtype.kind not in "biufO":
        raise TypeError(f"{name} must hold real numbers, not {found.dtype} in column {str(column)!r}")
    numbers = np.empty(len(found))
    for row, each in enumerate(found):
        try:
            numbers[row] = math.nan if missing(each) else float(each)
        except (TypeError, ValueError) as error:
            text = f"{name} must hold real numbers, not {each!r} in row {row}, column {str(column)!r}"
            raise type(error)(text) from None
    return numbers


def encoded(value: Any, columns: Columns | None, count: int, name: str, first: int | None = 0) -> Any:
    """A context of these columns as the numbers that a flow with `count` columns of it reads; what they are stays.

    A category becomes levels columns of 0 and one 1, an angle its cosine and its sine. first: as in `place`.
    """
    if value is None or not columns or not widened(columns, count):
        return table(value, columns, name)
    if is_frame(value):
        check_names(tuple(map(str, value.columns)), columns, name)
        rows = np.stack([_of_frame(value, column, name) for column in columns], axis=1)
    else:
        rows = np.asarray(value)
        if rows.ndim == 0 or rows.shape[-1] != len(columns) or rows.dtype.kind not in "biuf":
            return value
        rows = rows.astype(float)
    return np.concatenate([_encoded(rows[..., j], column, name, first) for j, column in enumerate(columns)], axis=-1)


def widened(columns: Sequence[Column], count: int) -> bool:
    """Whether so many columns of a context are what these become."""
    return count != len(columns) and count == sum(column.width for column in columns)


def _encoded(values: Array, column: Column, name: str, first: int | None) -> Array:
    if column.kind == "angle":
        turns = (values - (column.low or 0.0)) * (2 * math.pi / (column.period or 1))
        return np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    if column.kind == "category" and column.levels is not None:
        check_rows(values.reshape(-1, 1), (column,), name, first if values.ndim else None)
        one_hot: Array = (values[..., None] == np.arange(column.levels)).astype(float)
        return one_hot
    return values[..., None]


def codes(words: Any, column: Column, name: str, first: int | None = 0) -> Array:
    """The numbers of words; those that are numbers already stay. first: as in `check_rows`."""
    found = np.asarray(words)
    if found.dtype.kind not in "biufOUST":
        raise InvalidArgumentError(f"{name} has {found.dtype} in column {str(column)!r}, which are no numbers")
    numbers = {word: float(i) for i, word in enumerate(column.values or ())}
    if not numbers or (found.dtype.kind in "biuf" and not any(map(_as_number, numbers))):
        return found.astype(float)
    said = [word if missing(word) else _word(word) for word in found]
    rows = np.array([i for i, word in enumerate(said) if not missing(word) and word not in numbers], int)
    if len(rows):
        text = f"{said[rows[0]]!r} in {place(rows, column, first)}"
        raise InvalidArgumentError(f"{name} has {text}, none of {', '.join(numbers)}")
    return np.array([math.nan if missing(word) else numbers[word] for word in said])


def levels(words: Iterable[Any]) -> dict[str, Any]:
    """What a category is of which these occur: so many levels, of numbers from 0 on, or values."""
    found = {_word(word) for word in words if not missing(word)}
    numbers = [_as_number(word) for word in found]
    if all(number is not None and number >= 0 and number.is_integer() for number in numbers):
        count = int(max(filter(None, numbers), default=0)) + 1
        if count <= 2 * max(len(found), 1):
            return {"levels": max(2, count)}
    known = sorted(found, key=lambda word: (_as_number(word) is None, _as_number(word) or 0.0, word))
    return {"values": known}


def _word(value: Any) -> str:
    """As text: a whole number in floating point is one."""
    return f"{value:.0f}" if isinstance(value, (float, np.floating)) and value.is_integer() else str(value)


def _as_number(word: str) -> float | None:
    try:
        found = float(word)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def missing(word: Any) -> bool:
    """None, NaN, and NA of pandas, of which nobody knows whether it is itself."""
    return word is None or (not isinstance(word, str) and (type(word).__name__ == "NAType" or bool(word != word)))


def check_names(given: Sequence[str], expected: Sequence[str], name: str) -> None:
    """Refuse names that are missing, and names that are unknown."""
    missing = [repr(str(label)) for label in expected if label not in given]
    unknown = [repr(str(label)) for label in given if label not in expected]
    twice = sorted({repr(str(label)) for label in given if given.count(label) > 1})
    if missing or unknown or twice:
        all_wrong = (missing, "missing"), (unknown, "unknown"), (twice, "more than once")
        parts = [f"{', '.join(some)} {word}" for some, word in all_wrong if some]
        known = ", ".join(repr(str(label)) for label in expected)
        raise InvalidArgumentError(
            f"{name} has other columns than {known}, which this flow was trained on: {'; '.join(parts)}"
        )


def listed(rows: Sequence[Any] | npt.NDArray[np.integer[Any]]) -> str:
    """Numbers of rows in words: row 3; rows 3, 5 and 9; rows 1, 2, 3, 4, 5 and 12 more."""
    numbers = [str(int(row)) for row in rows[:_SHOWN]]
    if len(rows) == 1:
        return f"row {numbers[0]}"
    if len(rows) > _SHOWN:
        return f"rows {', '.join(numbers)} and {len(rows) - _SHOWN:,} more"
    return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"


_NUMBERED = re.compile(r"\bcolumn (\d+)\b")


@contextmanager
def by_name(columns: Columns | None, context: Columns | None, context_dim: int) -> Iterator[None]:
    """What errors of the library say of a column by its number they say by its name, where it has one."""
    try:
        yield
    except Error as error:
        about = re.match(r"(?:row \d+ of )?(?:the validation's )?(x|context)\b", str(error))
        known = None if about is None else columns if about[1] == "x" else context
        if not known or (known is context and len(known) != context_dim):
            raise
        text = _NUMBERED.sub(lambda found: f"column {str(known[int(found[1])])!r}", str(error))
        raise type(error)(text) from None


def place(rows: npt.NDArray[np.integer[Any]], column: Column, first: int | None) -> str:
    """Where values are: row 3, column 'a'. first: the number of the first row; None of one that has no number."""
    return f"{'' if first is None else f'{listed(first + rows)}, '}column {str(column)!r}"


def check_rows(array: Array, columns: Columns, name: str, first: int | None = 0) -> None:
    """Refuse what is missing, and what a column of its kind cannot be; first: as in `place`."""
    for j, column in enumerate(columns):
        values = array[:, j]
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            raise InvalidArgumentError(
                f"{name} has missing values in column {str(column)!r}, {listed(first + missing)}: leave these rows out"
                if first is not None
                else f"{name} has no value in column {str(column)!r}"
            )
        refused, needed = _refused(values, column)
        rows = np.flatnonzero(refused)
        if len(rows):
            raise InvalidArgumentError(
                f"{name} has {values[rows[0]]:g} in {place(rows, column, first)}: it must be {needed}"
            )


def _refused(values: Array, column: Column) -> tuple[npt.NDArray[np.bool_], str]:
    refused = ~np.isfinite(values)
    low = -math.inf if column.low is None else column.low
    high = math.inf if column.high is None else column.high
    levels = column.levels or math.inf
    match column.kind:
        case "positive":
            return refused | (values <= low), f"above {low:g}"
        case "interval":
            return refused | (values <= low) | (values >= high), f"between {low:g} and {high:g}"
        case "count" | "category":
            needed = "0 or more" if column.levels is None else f"0 to {column.levels - 1}"
            whole = (values >= 0) & (values < levels) & (values == np.floor(values))
            return refused | ~whole, f"a whole number, {needed}"
    return refused, "finite"


class Cells:
    """Discrete columns: a number n of theirs stands for the cell from n to n + 1, over which the flow has a density."""

    def __init__(self, columns: Columns) -> None:
        self.columns = tuple((j, column) for j, column in enumerate(columns) if column.discrete)

    def __bool__(self) -> bool:
        return bool(self.columns)

    def middle(self, array: Array, name: str) -> Array:
        """The middles of the cells."""
        moved = self.checked(array, name).copy()
        moved[:, [j for j, _ in self.columns]] += array.dtype.type(0.5)
        return moved

    def checked(self, array: Array, name: str, first: int = 0) -> Array:
        """The rows, whose numbers have to be those of cells."""
        for j, column in self.columns:
            refused, needed = _refused(array[:, j], column)
            wrong = np.flatnonzero(refused & ~np.isnan(array[:, j]))
            if len(wrong):
                text = f"{array[wrong[0], j]:g} in {place(wrong, column, first)}"
                raise InvalidArgumentError(f"{name} has {text}: it must be {needed}")
        return array

    def check_levels(self, levels: Sequence[int | None]) -> None:
        """Refuse to train columns that no layer dequantises: a density would grow without bound on whole numbers."""
        for j, column in self.columns:
            if levels[j] is None:
                raise InvalidArgumentError(
                    f"column {str(column)!r} is a {column.kind}, but no layer of this flow dequantises it: let "
                    "diffeo.for_table make the flow, or begin its spec with add_dequantize"
                )


def uniform(numbers: npt.NDArray[np.uint64]) -> Array:
    """SplitMix64 of whole numbers as the middles of 2^20 parts of [0, 1): Steele, Lea, Flood, OOPSLA 2014."""
    with np.errstate(over="ignore"):
        bits = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
        bits ^= bits >> np.uint64(31)
    return ((bits >> np.uint64(44)).astype(np.float64) + 0.5) / 2.0**20


def as_data(array: Array, columns: Columns | None) -> Array:
    """What a flow gives as data of their kinds, in place: counts are whole, angles within their turn."""
    for j, column in enumerate(columns or ()):
        values = array[..., j]
        if column.discrete:
            array[..., j] = np.clip(np.floor(values), 0, (column.levels or math.inf) - 1)
        elif column.period is not None:
            low, high = values.dtype.type(column.low), values.dtype.type(column.high)
            # Rounding may lead to the end of the turn, which is its beginning.
            wrapped = low + np.mod(values - low, high - low)
            array[..., j] = np.where((values >= low) & (values < high), values, np.where(wrapped < high, wrapped, low))
    return array


# ----------------------------------------------------------------------------------------------------------- frames


def is_frame(value: object) -> bool:
    """Whether this is a data frame of pandas or polars; neither is imported to find out."""
    return _frames_of(value) is not None


def _frames_of(value: object) -> Any:
    """The library that it is a frame of, if one."""
    for name in get_args(FrameName):
        library = sys.modules.get(name)
        if library is not None and isinstance(value, getattr(library, "DataFrame", ())):
            return library
    return None


def like(frame: Any, array: Array, names: Sequence[str] | None) -> Any:
    """The rows as a frame of the same library, of pandas with its index where that has as many rows."""
    library = _frames_of(frame)
    index = getattr(frame, "index", None)
    return _framed(library, array, names or list(frame.columns), index if len(frame) == len(array) else None)


def frame(library: FrameName, array: Array, names: Sequence[str]) -> Any:
    """The rows as a frame of a library by name, which the caller asked for: imported here."""
    if library not in get_args(FrameName):
        raise ValueError(f"frame must be one of 'pandas', 'polars', not {library!r}")
    return _framed(__import__(library), array, names, None)


def _framed(library: Any, array: Array, names: Sequence[Any], index: Any) -> Any:
    columns: dict[Any, Any] = {}
    for j, name in enumerate(names):
        values = array[:, j]
        if isinstance(name, Column) and name.values:
            columns[str(name)] = [name.values[int(code)] for code in values] if _whole(values) else values
        elif isinstance(name, Column) and name.discrete and _whole(values):
            columns[str(name)] = values.astype(np.int64)
        else:
            columns[str(name) if isinstance(name, str) else name] = values
    if library.__name__ == "pandas":
        return library.DataFrame(columns, index=index)
    return library.DataFrame({str(name): values for name, values in columns.items()})


def _whole(values: Array) -> bool:
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all() and (values >= 0).all())


def named(columns: Iterable[str] | Mapping[str, Any] | None, count: int, of: str) -> Columns | None:
    """Columns from names, or from names with kinds; None for none."""
    if columns is None:
        return None
    if isinstance(columns, Mapping):
        found = tuple(Column.of(name, kind) for name, kind in columns.items())
    else:
        found = tuple(each if isinstance(each, Column) else Column(each) for each in columns)
    if len(found) != count and not (of == "context_columns" and widened(found, count)):
        raise ShapeError(f"{of} has {len(found)} names, this flow has {count} columns")
    if len(set(found)) < len(found):
        raise ValueError(f"{of}: names are not all different")
    return found
