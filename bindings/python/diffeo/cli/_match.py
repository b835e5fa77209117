"""Which columns of a file a flow takes: its own by name, else the first ones."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence

from .. import _columns
from .._abi import Array
from .._columns import Column, Columns
from ..errors import InvalidArgumentError
from ..flow import Flow
from . import _data, _show, _stream


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of commands that read rows for a flow."""
    parser.add_argument("flow", metavar="FLOW", help="a weight file, such as diffeo fit writes")
    parser.add_argument("data", metavar="DATA", help="rows: .npy, .csv, .tsv, .parquet or .h5")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="a file of one of these; - is text on stdout"
    )
    parser.add_argument(
        "--columns",
        metavar="NAMES",
        help="the columns of the data, in the order of the flow, if it has other names or none",
    )
    parser.add_argument("--context", metavar="NAMES", help="likewise those of the context")
    dataset(parser)
    parser.add_argument("--resume", action="store_true", help="go on with what an interrupted command left behind")


def dataset(parser: argparse.ArgumentParser) -> None:
    """Of commands that read HDF5."""
    parser.add_argument(
        "--dataset",
        action="append",
        metavar="NAME",
        help="of an HDF5 file, in place of all; may be given several times",
    )


def split(text: str | None, known: Sequence[str] = ()) -> list[str]:
    """Entries between commas, each of which begins with a name; known names may have commas of their own.

    So may the values of a category: what is behind them and begins with no known name is theirs.
    """
    parts = text.split(",") if text else []
    found: list[str] = []
    while parts:
        count = next((n for n in range(len(parts), 0, -1) if _begins(",".join(parts[:n]), known, n)), 0)
        entry = ",".join(parts[: count or 1])
        if count == 0 and found and ":category:" in found[-1] and known:
            found[-1] += f",{entry}"
        elif entry.strip():
            found.append(entry.strip())
        del parts[: count or 1]
    return found


def _begins(entry: str, known: Sequence[str], parts: int) -> bool:
    """Whether it is a known name, with all of its commas, and what may be said of that."""
    name, _ = cut(entry.strip(), known)
    return name in known and name.count(",") == parts - 1


def cut(entry: str, known: Sequence[str]) -> tuple[str, str]:
    """The name that an entry begins with, and the rest: the longest known one, else up to a bracket or colon."""
    fitting = [name for name in known if entry.startswith(name) and entry[len(name) : len(name) + 1] in ("", ":", "[")]
    name = max(fitting, key=len, default=re.split(r"[:\[]", entry, maxsplit=1)[0])
    return name, entry[len(name) :]


def column(entry: str, known: Sequence[str]) -> Column:
    """What an entry says of a column, as `Column.parse`."""
    name, rest = cut(entry, known)
    if name not in known:
        return Column.parse(entry)
    try:
        return Column.from_json(Column.parse(f"?{rest}").to_json() | {"name": name})
    except ValueError as error:
        raise InvalidArgumentError(str(error).replace("'?", f"'{name}", 1)) from None


def named(source: _data.Source, columns: Sequence[Column]) -> bool:
    """Whether these columns are to be found by name in a file, and not by place."""
    names = set(map(str, columns))
    there = names & set(source.names)
    # Numbers are no names, but where the file has numbers, too.
    return there == names or ((source.named or bool(there)) and not all(map(str.isdigit, names)))


class Matched:
    """A flow, a file, and the columns of the one in the other."""

    def __init__(self, flow: Flow, path: str, options: argparse.Namespace, weights: str | None = None) -> None:
        """weights: a column that is neither data nor context."""
        self.flow, self.path = flow, path
        self.source = _data.opened(path, options.dataset)
        self.weights = _data.weights(self.source, weights, path)
        left = [name for name in self.source.names if name not in self.weights]
        wide = flow.context_dim if flow.context_columns is None else len(flow.context_columns)
        known_x = flow.columns or tuple(Column(str(i)) for i in range(flow.dim))
        known_context = flow.context_columns or tuple(Column(str(i)) for i in range(wide))
        known = (*self.source.names, *self.source.groups)
        by_name = flow.columns is not None and named(self.source, (*flow.columns, *(flow.context_columns or ())))
        x = split(options.columns, known) or (list(map(str, known_x)) if by_name else None)
        context = split(options.context, known) or (
            list(map(str, known_context)) if by_name and flow.context_columns is not None else None
        )
        if x is None:
            rest = [name for name in left if name not in (context or ())]
            needed = flow.dim + (wide if context is None else 0)
            if len(rest) != needed:
                and_context = f" and a context of {wide}" if needed > flow.dim else ""
                raise InvalidArgumentError(
                    f"{path} has {len(rest)} columns, the flow has dim {flow.dim}{and_context}: name them by --columns"
                )
            x, rest = rest[: flow.dim], rest[flow.dim :]
            context = rest if context is None else context
        elif context is None:
            context = [name for name in left if name not in x] if wide else []
        self.x = self._columns(x, known_x, "--columns", f"dim {flow.dim}")
        self.context = self._columns(context, known_context, "--context", f"a context of {wide}")

    def _columns(self, names: Sequence[str], known: Columns, option: str, needed: str) -> Columns:
        found = _data.chosen(self.source, names, self.path)
        if len(found) != len(known):
            raise InvalidArgumentError(
                f"{self.path}: {len(found)} columns ({', '.join(found) or 'none'}), the flow has {needed}: see {option}"
            )
        return tuple(
            Column.from_json(column.to_json() | {"name": name}) for name, column in zip(found, known, strict=True)
        )

    def write(
        self, options: argparse.Namespace, blocks: Sequence[_stream.Block], pieces: Callable[[int], Iterator[Array]]
    ) -> int:
        """The result of a command for these rows, as `_stream.write` has it; the number of rows."""
        about = {
            "command": options.command,
            "flow": _stream.flow_digest(options.flow),
            "data": _data.fingerprint(self.path, options.dataset),
            "columns": [*map(str, self.x + self.context)],
        }
        rows = _stream.write(
            options.output, blocks, self.flow.dtype, about, pieces,
            total=self.source.count, resume=options.resume, quiet=options.quiet,
        )  # fmt: skip
        _show.wrote(options.output, rows, options.quiet)
        return rows

    def batches(self, first: int = 0) -> Iterator[tuple[Array, Array | None]]:
        """Rows x and their contexts, as the flow takes them."""
        for array in _data.batches(self.source, (*self.x, *self.context), self.path, first):
            yield self.split(array, first)
            first += len(array)

    def split(self, array: Array, first: int = 0) -> tuple[Array, Array | None]:
        """Columns of x, and those of the context as numbers that a flow reads."""
        if not self.context:
            return array, None
        width = len(self.x)
        return array[:, :width], _columns.encoded(
            array[:, width:], self.context, self.flow.context_dim, self.path, first
        )
