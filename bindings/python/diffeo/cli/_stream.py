"""Results that are written by the piece, for any number of rows, and that an interrupted command goes on with.

All rows go to OUT.part first, numbers behind a header that says which command made them. When the last one is there it
becomes OUT, in the format that OUT is named after.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _columns
from .._abi import Array
from .._columns import Column
from .._extras import optional
from ..errors import InvalidArgumentError
from ._data import check_output as check_named
from ._show import Progress, dumps

_HEADER = 1 << 16
_FORMATS = (".npy", ".csv", ".tsv", ".parquet", ".pq", ".h5", ".hdf5")


@dataclass(frozen=True)
class Block:
    """Columns of a result that belong together: a data set of HDF5. One without columns is one number a row."""

    name: str
    columns: tuple[Column, ...] | None = None

    @property
    def width(self) -> int:
        """Numbers a row."""
        return 1 if self.columns is None else len(self.columns)


def flow_digest(path: str) -> str:
    """Which flow a file holds."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_output(path: str, *read: str | None) -> None:
    """Refuse what rows cannot be written to, before anything is computed; read: what the command reads."""
    if path != "-":
        check_named(path, _FORMATS, "not .npy, .csv, .parquet or .h5", *read)


def write(
    path: str,
    blocks: Sequence[Block],
    dtype: np.dtype[Any],
    about: dict[str, Any],
    pieces: Callable[[int], Iterator[Array]],
    *,
    total: int | None,
    resume: bool,
    quiet: bool,
) -> int:
    """Write what `pieces` gives from a row on, [rows, numbers of all blocks]; the number of rows.

    about: what must be the same for a part to be gone on with.
    """
    width = sum(block.width for block in blocks)
    if path == "-":
        return _to_stdout(blocks, pieces)
    part = f"{path}.part"
    size = width * dtype.itemsize
    header = dumps(about | {"numbers": width, "dtype": dtype.str}).encode()
    if len(header) > _HEADER:
        header = hashlib.sha256(header).hexdigest().encode()
    header = header.ljust(_HEADER)
    done = _rows_done(part, header, size) if resume else 0
    with open(part, "r+b" if done else "wb") as file:
        if not done:
            file.write(header)
        file.truncate(_HEADER + done * size)
        file.seek(0, os.SEEK_END)
        with Progress(total, done, quiet) as progress:
            for rows in pieces(done):
                file.write(np.ascontiguousarray(rows, dtype).tobytes())
                file.flush()
                done += len(rows)
                progress.update(len(rows))
    _finish(part, path, blocks, dtype, done)
    return done


def _rows_done(part: str, header: bytes, size: int) -> int:
    if not os.path.exists(part):
        return 0
    with open(part, "rb") as file:
        found = file.read(_HEADER)
    if len(found) < _HEADER:
        return 0
    if found != header:
        raise InvalidArgumentError(f"{part} is of another command, or of other data: without --resume it begins anew")
    return (os.path.getsize(part) - _HEADER) // size


def _finish(part: str, path: str, blocks: Sequence[Block], dtype: np.dtype[Any], count: int) -> None:
    """From the part to the file, which has its name when all is in it."""
    width = sum(block.width for block in blocks)
    lower = path.lower()
    flat = len(blocks) == 1 and blocks[0].columns is None
    hdf5 = lower.endswith((".h5", ".hdf5"))
    whole = f"{path}.part.whole"
    write: Any = _write_npy if lower.endswith(".npy") else _write_h5 if hdf5 else _write_table
    try:
        with open(part, "rb") as file:
            file.seek(_HEADER)

            def pieces() -> Iterator[Array]:
                while raw := file.read((1 << 15) * width * dtype.itemsize):
                    yield np.frombuffer(raw, dtype).reshape(-1, width)

            write(whole, lower, blocks, dtype, (count,) if flat else (count, width), pieces())
        os.replace(whole, path)
    finally:
        if os.path.exists(whole):
            os.unlink(whole)
    os.unlink(part)


def _write_npy(
    whole: str, _: str, __: Sequence[Block], dtype: np.dtype[Any], shape: tuple[int, ...], pieces: Iterator[Array]
) -> None:
    with open(whole, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for rows in pieces:
            file.write(rows.tobytes())


def _write_h5(
    whole: str, _: str, blocks: Sequence[Block], dtype: np.dtype[Any], shape: tuple[int, ...], pieces: Iterator[Array]
) -> None:
    h5py = optional("h5py", f"writing {whole.removesuffix('.part.whole')}", "cli")
    with h5py.File(whole, "w") as file:
        sets = []
        for block in blocks:
            sizes = shape[:1] if block.columns is None else (shape[0], block.width)
            sets.append(file.create_dataset(block.name, sizes, dtype))
            if block.columns is not None:
                sets[-1].attrs["columns"] = [str(column) for column in block.columns]
        first = 0
        for rows in pieces:
            left = 0
            for block, target in zip(blocks, sets, strict=True):
                values = rows[:, left : left + block.width]
                target[first : first + len(rows)] = values[:, 0] if block.columns is None else values
                left += block.width
            first += len(rows)


def _write_table(
    whole: str, path: str, blocks: Sequence[Block], dtype: np.dtype[Any], _: tuple[int, ...], pieces: Iterator[Array]
) -> None:
    optional("pandas", f"writing {whole.removesuffix('.part.whole')}", "cli")
    if not path.endswith((".parquet", ".pq")):
        with open(whole, "w", encoding="utf-8") as file:
            for i, rows in enumerate(pieces):
                _csv(rows, blocks, file, header=i == 0, separator="\t" if path.endswith(".tsv") else ",")
            if file.tell() == 0:
                _csv(np.empty((0, sum(block.width for block in blocks)), dtype), blocks, file, header=True)
        return
    arrow, parquet = (optional(name, f"writing {path}", "cli") for name in ("pyarrow", "pyarrow.parquet"))
    writer = None
    try:
        for rows in pieces:
            table = arrow.Table.from_pandas(_frame(rows, blocks), preserve_index=False)
            writer = writer or parquet.ParquetWriter(whole, table.schema)
            writer.write_table(table)
        if writer is None:
            empty = _frame(np.empty((0, sum(block.width for block in blocks)), dtype), blocks)
            parquet.write_table(arrow.Table.from_pandas(empty, preserve_index=False), whole)
    finally:
        if writer is not None:
            writer.close()


def _frame(rows: Array, blocks: Sequence[Block]) -> Any:
    names = [name for block in blocks for name in (block.columns or (block.name,))]
    return _columns.frame("pandas", rows, names)


def _csv(rows: Array, blocks: Sequence[Block], file: Any, header: bool, separator: str = ",") -> None:
    digits = "%.9g" if rows.dtype == np.float32 else "%.17g"
    _frame(rows, blocks).to_csv(file, index=False, header=header, float_format=digits, sep=separator)


def _to_stdout(blocks: Sequence[Block], pieces: Callable[[int], Iterator[Array]]) -> int:
    optional("pandas", "writing text", "cli")
    if sys.stdout is None:
        raise InvalidArgumentError("there is no stdout to write to")
    done = 0
    for rows in pieces(0):
        _csv(rows, blocks, sys.stdout, header=done == 0)
        done += len(rows)
    sys.stdout.flush()
    return done
