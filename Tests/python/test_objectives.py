"""The lines of docs/objectives.md run, and come to what the page says."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

diffeo = pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/objectives.md").read_text(encoding="utf-8")


def test_python():
    inference, gaussians, descent, steps = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(compile(inference, "docs/objectives.md", "exec"), names)
    history = names["history"]
    assert history.elbo[-1] == pytest.approx(math.log(math.pi), abs=0.05) and history.pareto_k[-1] < 0.7
    assert np.isfinite(names["x"]).all()
    names = {"diffeo": diffeo}
    exec(compile(gaussians, "docs/objectives.md", "exec"), names)
    # Of a Gaussian with this precision a diagonal one misses half of log det diag - log det.
    precision = np.eye(10) + 0.8 * np.eye(10, k=1) / 2 + 0.8 * np.eye(10, k=-1) / 2
    evidence = 5 * math.log(2 * math.pi) - 0.5 * np.linalg.slogdet(precision)[1]

    def target(x):
        return -0.5 * np.einsum("ni,ij,nj->n", x, precision, x), -x @ precision

    for flow, missing in ((names["diagonal"], -0.5 * np.linalg.slogdet(precision)[1]), (names["full"], 0.0)):
        history = flow.fit_target(target, steps=1000, lr=1e-2, schedule="cosine", progress=False)
        assert history.elbo[-1] == pytest.approx(evidence - missing, abs=0.03)
    names = {}
    exec(compile(descent, "docs/objectives.md", "exec"), names)
    assert names["flow"].log_prob(names["x"]).mean() > diffeo.maf(dim=2, hidden=(32, 32)).log_prob(names["x"]).mean()
    names = {}
    exec(compile(steps, "docs/objectives.md", "exec"), names)
    learned, begun = (names["optimizer"].current, names["start"])
    assert learned.log_prob(names["x"]).mean() > begun.log_prob(names["x"]).mean()


def test_estimators_are_those_of_the_library():
    assert set(re.findall(r"^\| `(\w+)`(?: \(default\))? \| ", TEXT, re.MULTILINE)) >= set(diffeo._abi.ESTIMATORS)
