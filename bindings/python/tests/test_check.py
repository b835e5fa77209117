"""diffeo check: reports of files."""

import json

import diffeo
import numpy as np
import pytest
from diffeo.cli import main

pandas = pytest.importorskip("pandas", reason="pandas is not installed")
for library in ("sklearn", "scipy", "matplotlib"):
    pytest.importorskip(library, reason=f"{library} is not installed")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A flow that is right, its rows among other columns, and rows that are not its own."""
    monkeypatch.chdir(tmp_path)
    flow = diffeo.Spec(2, dtype="float64").add_standardize([0.0, 0.0], [1.0, 2.0]).build()
    flow.columns = ["a", "b"]
    flow.save("flow.h5")
    x = np.random.default_rng(1).normal(size=(2500, 2)) * [1, 2]
    pandas.DataFrame({"b": x[:, 1], "w": 1.0, "a": x[:, 0]}).to_csv("right.csv", index=False)
    pandas.DataFrame({"b": x[:, 1] + 0.4, "w": 1.0, "a": x[:, 0]}).to_csv("wrong.csv", index=False)
    return tmp_path


def test_right_and_wrong(files, capsys):
    assert main(["check", "flow.h5", "right.csv", "-o", "right.html", "--weights", "w", "--rows", "2000"]) == 0
    assert "None of 13 tests tells these 2,000 rows from the flow." in capsys.readouterr().out
    page = (files / "right.html").read_text(encoding="utf-8")
    assert "2,000 of 2,500 rows are looked at, drawn by the seed." in page
    assert "<h1>flow.h5</h1>" in page
    assert main(["check", "flow.h5", "wrong.csv", "-o", "wrong.json", "--train", "right.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "noise: mean" in found["flagged"]
    assert found["rows"] == 2500
    written = json.loads((files / "wrong.json").read_text(encoding="utf-8"))
    assert written["likelihood"]["fitted_on"] == "the training rows"
    assert written["worst"][0]["name"].startswith("row ")


def test_rows_are_drawn_in_batches_as_in_one(files, monkeypatch):
    reports = []
    for batch in (1 << 15, 300):
        monkeypatch.setattr("diffeo.cli._data.BATCH", batch)
        assert main(["check", "flow.h5", "right.csv", "-o", "a.json", "--rows", "500", "-q"]) == 0
        reports.append(json.loads((files / "a.json").read_text(encoding="utf-8")) | {"timing": None})
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flow.h5", "right.csv", "-o", "report.pdf"], "report.pdf is neither .html nor .json"),
        (["flow.h5", "right.csv", "--rows", "50"], "--rows is 50, it must be 100 or more"),
        (["flow.h5", "right.csv", "--rows", "0"], "--rows is 0"),
        (["flow.h5", "bad.csv"], "bad.csv has nan in row 3, column 'b'"),
        (["flow.h5", "right.csv", "--weights", "v"], "no column 'v'"),
        (["flow.h5", "few.csv"], "x has 20 rows; a report wants 100"),
        (["flow.h5", "right.csv", "-o", "nowhere/a.html"], "nowhere"),
    ],
)
def test_what_is_refused(files, capsys, arguments, message):
    frame = pandas.read_csv("right.csv")
    frame.head(20).to_csv("few.csv", index=False)
    frame.loc[3, "b"] = np.nan
    frame.to_csv("bad.csv", index=False)
    assert main(["check", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_the_learning_curve_of_diffeo_fit_is_in_the_report(files, capsys):
    assert main(["fit", "right.csv", "-o", "new.h5", "--drop", "w", "--epochs", "2", "--hidden", "8", "-q"]) == 0
    assert main(["check", "new.h5", "right.csv", "-o", "new.json", "-q"]) == 0
    assert json.loads((files / "new.json").read_text(encoding="utf-8"))["history"]["epoch"] == [1, 2]
