"""Diffeo called from C, one row at a time: what is left of the latency without Python."""

from __future__ import annotations

from calls import Calls, folder
from cases import Case

from . import Run, UnavailableError, diffeo_python

setup, versions = diffeo_python.setup, diffeo_python.versions


def build(case: Case, rows: int) -> Run:
    if case.rows != 1 or case.task == "train":
        raise UnavailableError("measured for single rows only")
    file = folder() / "flow.h5"
    diffeo_python.flow(case.architecture, case.transforms, case.dim, case.hidden).save(file)
    return Calls(file, case.task, rows).run  # its program ends with the pipe
