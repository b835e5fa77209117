"""The lines of docs/images.md run, and come to what the page says."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

diffeo = pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/images.md"


def test_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    whole, layers = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(whole, PAGE, "exec"), names)
    assert names["bits"].shape == (200,)
    assert np.isfinite(names["bits"]).all()
    assert names["x"].shape == (16, 1, 8, 8)
    assert names["between"].shape == (8, 1, 8, 8)
    np.testing.assert_allclose(names["between"][0], names["x"][0], rtol=1e-3, atol=1e-2)
    assert os.path.getsize("images.h5") > 0
    exec(compile(layers, PAGE, "exec"), names)
    assert capsys.readouterr().out == "(8, 2, 2)\n"
    assert names["flow"].sample(2, seed=1).shape == (2, 1, 8, 8)


def test_what_the_page_shows_is_there():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / "docs" / target).exists(), target
