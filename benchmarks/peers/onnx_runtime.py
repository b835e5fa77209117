"""ONNX Runtime, on the flow of nflows_torch exported with any number of rows; samples from noise drawn with NumPy."""

from __future__ import annotations

import importlib.metadata
import io
import warnings
from functools import cache
from typing import Any

import numpy as np
from cases import Case

from . import Run, UnavailableError, check, nflows_torch, timed

_threads = 1


def setup(threads: int) -> None:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401

    global _threads
    _threads = threads
    nflows_torch.setup(threads)


def versions() -> dict[str, str]:
    return {"onnxruntime": importlib.metadata.version("onnxruntime")}


@cache
def _session(task: str, architecture: str, transforms: int, dim: int, hidden: int, dtype: str) -> Any:
    import onnxruntime
    import torch

    flow = nflows_torch.flow(architecture, transforms, dim, hidden).to(getattr(torch, dtype))

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flow = flow

        def forward(self, x: Any) -> Any:
            return self.flow.log_prob(x) if task == "log_prob" else self.flow._transform.inverse(x)[0]

    file: Any = io.BytesIO()
    axes = {"x": {0: "rows"}, "y": {0: "rows"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # the exporter that traces: the newer one gives no faster graph here, and for samples takes minutes
        torch.onnx.export(
            Exported().eval(), (torch.randn(16, dim, dtype=getattr(torch, dtype)),), file,
            dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


def build(case: Case, rows: int) -> Run:
    if case.task == "train":
        raise UnavailableError("does not train")
    session = _session(case.task, case.architecture, case.transforms, case.dim, case.hidden, case.dtype)
    random = np.random.default_rng(0)

    def normal() -> Any:
        return random.standard_normal((rows, case.dim), np.float32).astype(case.dtype, copy=False)

    x = normal()

    def call() -> Any:
        return session.run(None, {"x": x if case.task == "log_prob" else normal()})[0]

    check(call(), rows)
    return timed(call)
