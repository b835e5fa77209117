"""Text with rows: what its first lines say of the others."""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

from ..errors import InvalidArgumentError

_LOOKED_AT = 64  # lines
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
# A cell in quotes; and one that is not at its end yet.
_QUOTED = re.compile(r'(?:^|(?<=[,;\t]))\s*"(?:[^"]|"")*"(?=\s*(?:[,;\t]|$))')
_OPEN = re.compile(r'(?:^|(?<=[,;\t]))\s*"(?:[^"]|"")*$')


@dataclass(frozen=True)
class Layout:
    """How rows are written.

    names: of all columns, "" for one without; named: whether the file has them. skipped: lines of the file before the
    rows, where a name may have line breaks.
    """

    names: tuple[str, ...]
    named: bool
    separator: str
    decimal: str
    skipped: int


def is_number(text: str) -> bool:
    """Whether it is one as Python reads it, infinities and NaN among them."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def layout(path: str) -> Layout:
    """By the first lines of the file.

    Lines that begin with # are comments, and the last of them has the names where the next line has numbers, as NumPy
    writes them. A header of 0, 1, 2, ... is what pandas writes where there are no names.
    """
    with _opened(path, errors="replace") as file:
        lines, numbers = _whole(list(itertools.islice(file, _LOOKED_AT)), path)
    written = [i for i, line in enumerate(lines) if line.strip()]
    comments = list(itertools.takewhile(lambda i: lines[i].startswith("#"), written))
    body = written[len(comments) :]
    if not body:
        raise InvalidArgumentError(f"{path} has no rows")
    separator = _separator(lines[body[0]], path)
    cells = [_cells(lines[i], separator) for i in body]
    decimal = "," if separator != "," and any(_COMMA.fullmatch(cell) for row in cells for cell in row) else "."
    first, skipped, after = cells[0], numbers[body[0]], numbers[body[0] + 1]
    written_there = [_with_point(cell, decimal) for cell in first if cell]
    if len(written_there) > 1 and written_there == [str(i) for i in range(len(written_there))]:
        warnings.warn(f"{path}: its first line, 0 to {written_there[-1]}, is taken for a header", stacklevel=2)
        return Layout(_names(first, cells[1:2], path), False, separator, decimal, after)
    if not written_there or not all(map(is_number, written_there)):
        return Layout(_names(first, cells[1:2], path), True, separator, decimal, after)
    above = _cells(lines[comments[-1]].lstrip("#"), separator) if comments else []
    if len(above) == len(first) and not all(map(is_number, above)):
        return Layout(_names(above, cells[:1], path), True, separator, decimal, skipped)
    return Layout(tuple(map(str, range(len(first)))), False, separator, decimal, skipped)


def _whole(lines: list[str], path: str) -> tuple[list[str], list[int]]:
    """Lines, those in one that have a cell with line breaks; and how many lines of the file are before each."""
    found, numbers, held = [], [0], ""
    for i, line in enumerate(lines):
        held += line
        if not _OPEN.search(_QUOTED.sub("", held)):
            found.append(held)
            numbers.append(i + 1)
            held = ""
    if held and not found:
        raise InvalidArgumentError(f"{path} begins with a quote that no other one closes")
    return found, numbers


def _opened(path: str, errors: str) -> IO[str]:
    options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": errors, "newline": ""}
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    file: IO[str] = opened(path, "rt", **options)
    return file


def _separator(line: str, path: str) -> str:
    """A tab in .tsv files; else what is there of comma, semicolon and tab, outside of quotes, or spaces in .txt."""
    name = path.lower().removesuffix(".gz")
    if name.endswith(".tsv"):
        return "\t"
    bare = re.sub(r'"[^"]*"', "", line)
    # With semicolons a comma is one within numbers, or words.
    for separator in ";", "\t", ",":
        if separator in bare and (separator != ";" or bare.count(";") >= bare.count(",")):
            return separator
    return r"\s+" if name.endswith(".txt") else ","


def _cells(line: str, separator: str) -> list[str]:
    if separator == r"\s+":
        line, separator = " ".join(line.split()), " "
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _with_point(text: str, decimal: str) -> str:
    return text.replace(",", ".") if decimal == "," else text


def _names(header: Sequence[str], rows: Sequence[Sequence[str]], path: str) -> tuple[str, ...]:
    """One for each column: rows may have one more cell, names of rows before or nothing after the others."""
    names = [*header]
    more = len(rows[0]) - len(names) if rows else 0
    if more > 1:
        raise InvalidArgumentError(f"{path} has {len(names)} names in its header, and {len(rows[0])} cells in a row")
    if more == 1:
        names = [*names, ""] if rows[0][-1] == "" else ["", *names]
    check_unique(names, path)
    return tuple(names)


def check_unique(names: Sequence[str], path: str) -> None:
    """Refuse names that stand for two columns."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InvalidArgumentError(f"{path} has more than one column {', '.join(map(repr, twice))}")


def refused(error: Exception, path: str, skipped: int) -> InvalidArgumentError:
    """What pandas could not read, in a sentence; skipped: lines that it has not seen."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
        expected, line, saw = found.groups()
        where = int(line) + skipped
        return InvalidArgumentError(f"{path} has {saw} cells in line {where}, the lines before have {expected}")
    if found := re.search(r"EOF inside string starting at row (\d+)", str(error)):
        return InvalidArgumentError(f"{path} has a quote in row {found[1]} that no other one closes")
    return InvalidArgumentError(f"{path}: {error}")


def pieces(pandas: Any, path: str, found: Layout, rows: int) -> Iterator[Any]:
    """Frames of so many rows, with all columns."""
    try:
        with ExitStack() as closing:
            file = closing.enter_context(_opened(path, errors="strict"))
            for _ in range(found.skipped):  # by pandas a quote within a name would be one that opens
                next(file)
            yield from closing.enter_context(
                pandas.read_csv(
                    file,
                    chunksize=rows,
                    header=None,
                    names=range(len(found.names)),
                    sep=found.separator,
                    decimal=found.decimal,
                    skipinitialspace=True,
                )
            )
    except pandas.errors.EmptyDataError:
        return
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path} is no text in UTF-8: {error}") from None
    except pandas.errors.ParserError as error:
        raise refused(error, path, found.skipped) from None
