"""The lines of docs/command-line.md run, and come to what the page says."""

import contextlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

pandas = pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("h5py", reason="h5py is not installed")
cli = pytest.importorskip("diffeo.cli")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")


def lines():
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()]


def test_the_page_runs(tmp_path, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with contextlib.chdir(tmp_path):
        exec(compile(program, "docs/command-line.md", "exec"), {})
        for line in lines():
            command, *arguments = shlex.split(line)
            assert command == "diffeo"
            if any(each.endswith(".parquet") for each in arguments):
                try:
                    import pyarrow  # noqa: F401
                except ImportError:
                    continue
            assert cli.main(arguments) == 0, line
        out = capsys.readouterr().out
        assert "Gaussian" in out
        assert len(pandas.read_csv("scores.csv")) == 3000
        assert np.load("by-row.npy").shape == (6000, 3)
        assert "mass,phi,hits,log_prob\n" in out
        assert not list(tmp_path.glob("*.part"))
        assert not list(tmp_path.glob("*.checkpoint"))


def test_every_command_is_on_the_page():
    for name in cli.COMMANDS:
        assert re.search(rf"(diffeo |`){name}\b", TEXT), name


def test_the_shown_statuses_are_those_of_the_help():
    shown = re.findall(r"^\| (\d[\d, ]*) \|", TEXT, re.MULTILINE)
    assert re.findall(r"\d+", " ".join(shown)) == re.findall(r"\d+", cli.parser().epilog)
