"""How a training is shown: bars, lines, records of the logger."""

import logging
import re
import subprocess
import sys

import diffeo
import numpy as np
import pytest
from diffeo import _abi, _progress

X = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)


def fit(x=X, **options):
    flow = diffeo.maf(dim=2, transforms=1, hidden=8, seed=1)
    return flow.fit(x, **{"max_epochs": 4, "batch_size": 100, "patience": 0} | options)


def report(epoch, seconds, batch=0, state="epoch_end"):
    return _abi.TrainReport(
        epoch=epoch,
        seconds=seconds,
        batch=batch,
        batches_per_epoch=10,
        state=_abi.STATES[state],
        validation_log_prob=-1.0,
    )


def epochs(text):
    """Of each line."""
    return re.findall(r"^epoch ([\d.]+)/\d+, train ", text, flags=re.MULTILINE)


def test_a_bar_is_shown_on_a_terminal(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.replace("\r", "\n").rstrip().splitlines()[-1]
    assert re.search(r"█\| epoch 4/4, train -\d\.\d{4}, validation -\d\.\d{4}, [\d,]+ rows/s, \d+ % of steps cut", last)


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_are_shown_in_a_log_or_without_tqdm(capsys, monkeypatch, terminal):
    if terminal:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fit(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert epochs(err) == ["1", "4"]


@pytest.mark.parametrize(
    ("seconds", "reports", "shown"),
    [
        # An epoch takes one second: the first, then every ten seconds, then the last.
        (10.0, [report(i, float(i)) for i in range(1, 26)], ["1", "11", "21", "25"]),
        # ... 10 ms.
        (10.0, [report(i, 0.01 * i) for i in range(1, 2001)], ["1", "1001", "2000"]),
        # ... 60 s: within epochs, too.
        (
            20.0,
            [report(i // 10, 6.0 * i, i % 10, "running") for i in range(1, 21)],
            ["0.4", "0.8", "1.2", "1.6", "2.0"],
        ),
        # Every one, that of the end once.
        (0.5, [report(i, float(i)) for i in range(1, 4)], ["1", "2", "3"]),
        (10.0, [], []),
    ],
)
def test_lines_are_as_far_apart_as_was_said(capsys, seconds, reports, shown):
    lines = _progress.display(
        seconds, len(reports), lambda r: _progress.describe(r, len(reports), within=True), _progress.epochs
    )
    for each in reports:
        lines.update(each)
    lines.close()
    assert epochs(capsys.readouterr().err) == shown


def test_many_short_epochs_make_few_lines_in_a_pipe():
    program = (
        "import diffeo, numpy as np\n"
        "x = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)\n"
        "diffeo.maf(dim=1, transforms=1, hidden=4).fit(x, max_epochs=2000, patience=0, validation=0, threads=1)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    shown = epochs(run.stderr)
    assert len(shown) == len(run.stderr.splitlines()) < 30
    assert (shown[0], shown[-1]) == ("1", "2000")


def test_the_last_line_comes_when_training_is_stopped(capsys):
    fit(progress=100.0, on_progress=lambda trainer: trainer.report.epoch == 3)
    assert epochs(capsys.readouterr().err) == ["1", "3"]


@pytest.mark.parametrize("silent", [False, 0, np.False_])
def test_nothing_is_shown_when_not_wanted(capfd, silent):
    fit(progress=silent)
    assert capfd.readouterr() == ("", "")


def test_what_progress_may_be():
    for wrong in -1.0, float("nan"):
        with pytest.raises(ValueError, match="progress must be True, False or a number of seconds above 0"):
            fit(progress=wrong)
    with pytest.raises(TypeError, match="progress must be a number"):
        fit(progress="much")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "epoch 3/9, train -1.2500, 0 rows/s"),
        ({"validation_log_prob": -1.5}, "epoch 3/9, train -1.2500, validation -1.5000, 0 rows/s"),
        ({"skipped_steps": 1200}, "epoch 3/9, train -1.2500, 1,200 steps skipped, 0 rows/s"),
        ({"train_log_prob": -1e30, "skipped_steps": 1}, "epoch 3/9, train -1e+30, 1 step skipped, 0 rows/s"),
        ({"cut_steps": 20, "steps": 200}, "epoch 3/9, train -1.2500, 0 rows/s, 10 % of steps cut"),
        ({"seconds_left": 59.6}, "epoch 3/9, train -1.2500, 1:00 left, 0 rows/s"),
        ({"seconds_left": 4000.0}, "epoch 3/9, train -1.2500, 1:06:40 left, 0 rows/s"),
        ({"seconds_left": 60.0, "state": _abi.STATES["patience"]}, "epoch 3/9, train -1.2500, 0 rows/s"),
    ],
)
def test_what_a_line_says(values, text):
    first = {"epoch": 3, "train_log_prob": -1.25, "validation_log_prob": float("nan"), "seconds_left": -1.0}
    assert _progress.describe(_abi.TrainReport(**first | values), 9) == text


def test_the_logger_has_a_record_for_each_epoch(caplog):
    caplog.set_level(logging.INFO, "diffeo")
    history = fit(progress=False)
    records = [record for record in caplog.records if record.name == "diffeo"]
    assert [record.levelno for record in records] == [logging.INFO] * 4
    assert [record.epoch for record in records] == history.epoch
    assert [record.train_log_prob for record in records] == history.train_log_prob
    assert [record.validation_log_prob for record in records] == history.validation_log_prob
    assert records[-1].state == "max_epochs"
    assert records[-1].getMessage().startswith(f"epoch 4/4, train {history.train_log_prob[-1]:.4f}, validation ")


def test_a_program_that_does_not_listen_hears_nothing(capfd):
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("diffeo").handlers)
    fit(progress=False)
    assert capfd.readouterr() == ("", "")
