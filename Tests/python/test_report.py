"""The lines of docs/report.md run, and come to what the page says."""

import re
from pathlib import Path

import pytest

for library in ("sklearn", "scipy", "matplotlib"):
    pytest.importorskip(library, reason=f"{library} is not installed")

from diffeo.report import _page

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/report.md").read_text(encoding="utf-8")


def test_the_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "docs/report.md", "exec"), names)
    assert (tmp_path / "corner.png").is_file()
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    known = {each.name for each in names["report"].tests}
    table = TEXT.split("## What is in it")[1].split("## What a verdict means")[0]
    told = set()
    for names_of_row in re.findall(r"\| (`[^|]*) \|", table):
        group, *rest = re.findall(r"`([^`]*)`", names_of_row)
        prefix = group.split(": ")[0] + ": " if ": " in group else ""
        told |= {group, *(prefix + each for each in rest)}
    # Those of a flow with a context are in no report without one.
    assert told - known == {"noise: context", "ranks", "random regions"}
    assert known <= told


def test_the_picture_is_there():
    for picture in re.findall(r"\]\((images/[^)]*)\)", TEXT):
        assert (ROOT / "docs" / picture).is_file()


def test_verdicts_are_called_what_the_page_calls_them():
    for words in _page._WORDS.values():
        assert f"*{words.capitalize()}*" in TEXT
