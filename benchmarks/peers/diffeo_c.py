"""Diffeo called from C, one row at a time: what is left of the latency without Python."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from cases import Case

from . import Run, UnavailableError, diffeo_python

_ROOT = Path(__file__).resolve().parents[2]
setup, versions = diffeo_python.setup, diffeo_python.versions


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="diffeo-benchmarks-")


@cache
def _program() -> Path:
    program = Path(_folder().name) / "one_row"
    includes = [f"-I{_ROOT / 'include'}", f"-I{_ROOT / 'bindings/c'}"]
    source = _ROOT / "benchmarks/one_row.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", *includes, source, "-o", program, "-ldl"], check=True)
    return program


def build(case: Case, rows: int) -> Run:
    if case.rows != 1 or case.task == "train":
        raise UnavailableError("measured for single rows only")
    file = Path(_folder().name) / "flow.h5"
    diffeo_python.flow(case.architecture, case.transforms, case.dim, case.hidden).save(file)
    process = subprocess.Popen([_program(), file, case.task], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    questions, answers = process.stdin, process.stdout  # the program ends with the pipe

    def run(repeats: int) -> float:
        questions.write(f"{repeats}\n")
        questions.flush()
        return float(answers.readline())

    return run
