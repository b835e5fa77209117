"""The lines of docs/scale.md run, and come to what the page says."""

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

diffeo = pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/scale.md").read_text(encoding="utf-8")


def test_dask(tmp_path):
    pytest.importorskip("dask.array", reason="Dask is not installed")
    pytest.importorskip("h5py", reason="h5py is not installed")
    (block,) = re.findall(r"```python\n(.*?)```", TEXT[TEXT.index("\n## Dask\n") :], re.DOTALL)
    names = {}
    with contextlib.chdir(tmp_path):
        exec(compile(block, "docs/scale.md", "exec"), names)
    assert len(names["flows"]) == 2
    found = names["found"]
    assert found.log_evidence == pytest.approx(0, abs=0.02)
    assert found.pareto_k < 0.7
    assert np.allclose(names["samples"].mean(axis=0), [0, 1], atol=0.1)
