"""The command line: files in, files out, and what goes wrong in a sentence."""

import gzip
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import diffeo
import numpy as np
import pytest
from diffeo import cli
from diffeo.cli import _data, main

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
pandas = pytest.importorskip("pandas", reason="pandas is not installed")

N = 900
RNG = np.random.default_rng(0)
LABEL = RNG.choice(["b", "a", "c"], N)
PHI = RNG.vonmises(2.0 + (LABEL == "b"), 2.0)
FRAME = pandas.DataFrame(
    {
        "mass": np.exp(0.5 * RNG.normal(size=N) + np.cos(PHI)),
        "phi": PHI,
        "n": RNG.poisson(3, N),
        "label": LABEL,
        "w": RNG.uniform(0.5, 1.5, N),
    }
)
KINDS = ["--columns", "mass[GeV]:positive,phi:angle,n:count", "--context", "label:category", "--weights", "w"]
SMALL = ["--epochs", "2", "--transforms", "1", "--hidden", "8", "-q"]


def write(frame, path):
    """A file of the format that it is named after."""
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".tsv":
            frame.to_csv(path, index=False, sep="\t")
        case ".parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
            frame.to_parquet(path, row_group_size=200)
        case ".npy":
            np.save(path, frame.to_records(index=False).astype([(c, "U1" if c == "label" else "f8") for c in frame]))
        case ".h5":
            with h5py.File(path, "w") as file:
                for name in frame:
                    file[name] = frame[name].to_numpy(str).astype("S") if name == "label" else frame[name].to_numpy()
    return str(path)


def run(*arguments):
    """A command that works; what it prints for machines."""
    return main([str(each) for each in arguments])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with data.csv and flow.h5."""
    folder = tmp_path_factory.mktemp("cli")
    write(FRAME, folder / "data.csv")
    assert run("fit", folder / "data.csv", "-o", folder / "flow.h5", *KINDS, *SMALL) == 0
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".npy", ".h5"])
def test_every_format_gives_the_same(fitted, tmp_path, suffix):
    data = write(FRAME, tmp_path / f"data{suffix}")
    assert run("fit", data, "-o", tmp_path / "flow.h5", *KINDS, *SMALL) == 0
    flow, other = diffeo.load(tmp_path / "flow.h5"), diffeo.load(fitted / "flow.h5")
    # HDF5 has its data sets in the order of their names.
    assert flow.columns == (("mass", "n", "phi") if suffix == ".h5" else ("mass", "phi", "n"))
    assert {column: column.kind for column in flow.columns} == {"mass": "positive", "phi": "angle", "n": "count"}
    assert flow.columns[0].unit == "GeV"
    assert flow.context_columns[0].values == ("a", "b", "c")
    # Text has all digits of the numbers, and so the training has all bits.
    if suffix != ".h5":
        np.testing.assert_array_equal(flow.parameters(), other.parameters())
    expected = flow.log_prob(FRAME[["mass", "phi", "n"]], FRAME[["label"]])
    out = tmp_path / f"scores{suffix}"
    assert run("score", tmp_path / "flow.h5", data, "-o", out, "-q") == 0
    found = read(out, "log_prob")
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not list(tmp_path.glob("*.part*"))


def read(path, name):
    """A column of a result."""
    source = _data.opened(str(path))
    name = name if name in source.names else source.names[0]
    return np.concatenate([part[0] for part in source.batches([name])])


def test_scores_are_on_stdout(fitted, capsys):
    assert run("score", fitted / "flow.h5", fitted / "data.csv", "-o", "-") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "log_prob"
    flow = diffeo.load(fitted / "flow.h5")
    expected = flow.log_prob(FRAME[["mass", "phi", "n"]].to_numpy().astype("f4"), FRAME[["label"]])
    np.testing.assert_allclose(np.array(lines[1:], float), expected, rtol=1e-4)


def test_a_table_beside_a_gaussian(fitted, tmp_path, capsys):
    arguments = ["fit", fitted / "data.csv", "-o", tmp_path / "flow.h5", *KINDS, "--epochs", "25", "--hidden", "32"]
    assert run(*arguments, "--lr", "3e-3") == 0
    out, err = capsys.readouterr()
    assert re.search(r"^epoch 1/25, train ", err, re.MULTILINE)
    rows = re.findall(r"^(training|test) +([\d,]+) +(\S+) ± (\S+) +(\S+) ± (\S+) +(\S+) ± (\S+)$", out, re.MULTILINE)
    assert [row[0] for row in rows] == ["training", "test"]
    assert sum(int(row[1]) for row in rows) == N
    assert float(rows[1][6]) > 0.5
    assert run(*arguments, "--lr", "3e-3", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["log_prob"]["test"]["flow"]["mean"] == pytest.approx(float(rows[1][2]), abs=1e-3)
    assert found["log_prob"]["test"]["rows"] == int(rows[1][1])
    assert found["epochs"] == 25


def test_the_gaussian_is_that_of_the_rows(tmp_path, capsys):
    """Of normal rows given a context no flow is better, and none is by much worse: the number is known."""
    rng = np.random.default_rng(1)
    c = rng.normal(size=(4000, 1))
    x = rng.normal(size=(4000, 2)) * [1, 3] + c * [1, 2]
    np.save(tmp_path / "x.npy", np.column_stack([x, c]))
    arguments = [
        "fit",
        tmp_path / "x.npy",
        "-o",
        tmp_path / "f.h5",
        "--context",
        "2",
        "--flow",
        "maf",
        *SMALL,
        "--json",
    ]
    assert run(*arguments) == 0
    found = json.loads(capsys.readouterr().out)["log_prob"]["test"]["gaussian"]
    expected = -0.5 * 2 * (1 + np.log(2 * np.pi)) - np.log(3)
    assert abs(found["mean"] - expected) < 4 * found["standard_error"] + 0.01
    assert 0.02 < found["standard_error"] < 0.1
    assert diffeo.load(tmp_path / "f.h5").context_columns == ("2",)


def test_flows_and_options_by_name(fitted, tmp_path):
    drop = ["--drop", "label,w,phi"]
    for flow, more in [("maf", []), ("realnvp", ["--dtype", "float64"]), ("cdf_flow", ["--components", "3"])]:
        out = tmp_path / f"{flow}.h5"
        arguments = ["--flow", flow, "--columns", "mass:positive,n:count", *drop, *SMALL, "--seed", "3", *more]
        assert run("fit", fitted / "data.csv", "-o", out, *arguments) == 0
        assert diffeo.load(out).columns == ("mass", "n")
    assert diffeo.load(tmp_path / "realnvp.h5").dtype == np.float64


def test_rows_that_memory_does_not_hold_train_alike(fitted, tmp_path):
    arguments = ["fit", fitted / "data.csv", *KINDS, *SMALL]
    for name, memory in ("a", 100), ("b", 0.02):
        assert run(*arguments, "-o", tmp_path / f"{name}.h5", "--memory", memory) == 0
    a, b = (diffeo.load(tmp_path / f"{name}.h5") for name in "ab")
    assert a.columns == b.columns
    assert abs(a.log_prob(FRAME[["mass", "phi", "n"]], FRAME[["label"]]).mean()) < 20
    assert np.isfinite(b.log_prob(FRAME[["mass", "phi", "n"]], FRAME[["label"]])).all()


def test_the_same_training_makes_the_same_file(fitted, tmp_path):
    out = tmp_path / "flow.h5"
    assert run("fit", fitted / "data.csv", "-o", out, *KINDS, *SMALL) == 0
    assert out.read_bytes() == (fitted / "flow.h5").read_bytes()


def test_a_mistaken_command_leaves_the_checkpoint(fitted, tmp_path):
    checkpoint = tmp_path / "flow.h5.checkpoint"
    checkpoint.write_bytes(b"of a long training")
    assert run("fit", fitted / "data.csv", "-o", tmp_path / "flow.h5", *KINDS, "--drop", "nothing") == 1
    assert checkpoint.exists()


def test_an_interrupted_training_goes_on(fitted, tmp_path, monkeypatch, capsys):
    arguments = ["fit", fitted / "data.csv", *KINDS, "--epochs", "4", "--transforms", "1", "--hidden", "8", "-q"]
    assert run(*arguments, "-o", tmp_path / "whole.h5") == 0
    log = diffeo._training.log
    epochs = []

    def interrupt(line, values):
        epochs.append(values["epoch"])
        if len(epochs) == 2:
            raise KeyboardInterrupt
        log(line, values)

    out = tmp_path / "flow.h5"
    monkeypatch.setattr(diffeo._training, "log", interrupt)
    assert run(*arguments, "-o", out) == 130
    assert capsys.readouterr().err == "diffeo: interrupted: the same command with --resume goes on\n"
    assert not out.exists()
    assert run(*arguments, "-o", out, "--resume") == 0
    assert epochs == [1, 2, 3, 4]
    found, whole = diffeo.load(out), diffeo.load(tmp_path / "whole.h5")
    told = [json.loads(flow.metadata.pop("diffeo.history"))["epoch"] for flow in (found, whole)]
    assert told == [[3, 4], [1, 2, 3, 4]]  # of the part that went on
    assert found.to_bytes() == whole.to_bytes()
    assert not Path(f"{out}.checkpoint").exists()
    assert run(*arguments, "-o", out, "--resume") == 1
    assert "is finished" in capsys.readouterr().err


def test_sigterm_ends_a_training_in_good_order(fitted, tmp_path):
    out = tmp_path / "flow.h5"
    endless = ["--epochs", "1000000", "--patience", "0", "--hidden", "8"]
    arguments = ["fit", fitted / "data.csv", "-o", out, *KINDS, *endless]
    command = [sys.executable, "-m", "diffeo", *map(str, arguments), "-q"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        checkpoint, end = Path(f"{out}.checkpoint"), time.monotonic() + 120
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 143
    assert err == f"diffeo: stopped by SIGTERM: --resume goes on with {checkpoint}\n"
    assert diffeo.load(checkpoint).columns == ("mass", "phi", "n")  # the best flow so far, too
    assert not out.exists()


def test_sigterm_ends_rows_in_a_sentence(fitted, tmp_path):
    out = tmp_path / "x.npy"
    arguments = ["sample", fitted / "flow.h5", "-n", str(10**9), "--seed", "1", "--context", "a", "-o", out, "-q"]
    with subprocess.Popen([sys.executable, "-m", "diffeo", *map(str, arguments)], stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 120
        while not Path(f"{out}.part").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (143, b"diffeo: stopped by SIGTERM: the same command with --resume goes on\n")


@pytest.mark.parametrize("command", ["score", "to-noise"])
@pytest.mark.parametrize("suffix", [".npy", ".csv", ".h5", ".parquet"])
def test_interrupted_rows_go_on(fitted, tmp_path, monkeypatch, command, suffix, capsys):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    monkeypatch.setattr(_data, "BATCH", 100)
    data = write(FRAME, tmp_path / f"data{suffix}")
    arguments = [command, fitted / "flow.h5", data, "-q"]
    assert run(*arguments, "-o", tmp_path / f"whole{suffix}") == 0
    method = {"score": "log_prob", "to-noise": "to_noise"}[command]
    original, calls = getattr(diffeo.Flow, method), []

    def interrupt(*given):
        calls.append(len(given[1]))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(diffeo.Flow, method, interrupt)
    out = tmp_path / f"out{suffix}"
    assert run(*arguments, "-o", out) == 130
    assert not out.exists()
    part = Path(f"{out}.part")
    with part.open("ab") as file:  # as a process leaves it that is killed while it writes
        file.write(b"123")
    del calls[3:]
    calls += [0] * 10
    assert run(*arguments, "-o", out, "--resume") == 0
    assert sum(calls) == N
    assert out.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes() or suffix == ".h5"
    name = {"score": "log_prob", "to-noise": "log_det"}[command]
    np.testing.assert_array_equal(read(out, name), read(tmp_path / f"whole{suffix}", name))
    assert not part.exists()
    # Of other data it is not gone on with.
    calls[:] = []
    assert run(*arguments, "-o", out) == 130
    Path(data).touch()
    assert run(*arguments, "-o", out, "--resume") == 1
    assert "is of another command, or of other data" in capsys.readouterr().err


def test_noise_has_the_names_of_the_flow(fitted, tmp_path):
    assert run("to-noise", fitted / "flow.h5", fitted / "data.csv", "-o", tmp_path / "z.h5", "-q") == 0
    flow = diffeo.load(fitted / "flow.h5")
    z, log_det = flow.to_noise(FRAME[["mass", "phi", "n"]].to_numpy(), FRAME[["label"]])
    with h5py.File(tmp_path / "z.h5") as file:
        np.testing.assert_allclose(file["z"][:], z, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(file["log_det"][:], log_det, rtol=1e-4, atol=1e-4)
        assert list(file["z"].attrs["columns"]) == ["mass", "phi", "n"]
    assert run("to-noise", fitted / "flow.h5", fitted / "data.csv", "-o", tmp_path / "z.csv", "-q") == 0
    assert list(pandas.read_csv(tmp_path / "z.csv")) == ["mass", "phi", "n", "log_det"]


def test_samples(fitted, tmp_path, capsys):
    flow = diffeo.load(fitted / "flow.h5")
    expected = flow.sample(700, pandas.DataFrame({"label": ["b"] * 700}), seed=5).to_numpy()
    for suffix in ".csv", ".npy", ".h5":
        out = tmp_path / f"x{suffix}"
        assert run("sample", fitted / "flow.h5", "-n", 700, "--seed", 5, "--context", "label=b", "-o", out, "-q") == 0
        source = _data.opened(str(out))
        found = np.concatenate([np.column_stack(parts) for parts in source.batches(source.names)])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert list(pandas.read_csv(tmp_path / "x.csv").dtypes.astype(str))[2] == "int64"
    # A sample file is data again.
    assert (
        run("sample", fitted / "flow.h5", "-n", 0, "--seed", 5, "--context", "b", "-o", tmp_path / "no.csv", "-q") == 0
    )
    assert (tmp_path / "no.csv").read_text() == "mass,phi,n\n"
    assert run("sample", fitted / "flow.h5", "-n", 3, "--context", "a", "-o", tmp_path / "x.npy", "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed"] > 0


def test_samples_of_many_contexts(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(_data, "BATCH", 64)
    flow = diffeo.load(fitted / "flow.h5")
    labels = FRAME[["label"]][:150]
    write(labels, tmp_path / "c.csv")
    arguments = ["sample", fitted / "flow.h5", "--context-data", tmp_path / "c.csv", "--seed", 2, "-q", "--log-prob"]
    assert run(*arguments, "-n", 5, "-o", tmp_path / "x.npy") == 0
    x, log_prob = flow.sample_and_log_prob(750, labels.loc[labels.index.repeat(5)], seed=2)
    found = np.load(tmp_path / "x.npy")
    np.testing.assert_allclose(found[:, :3], x, rtol=1e-6)
    np.testing.assert_allclose(found[:, 3], log_prob, rtol=1e-5)
    original, calls = diffeo.Flow.sample_and_log_prob, []

    def interrupt(*given, **options):
        calls.append(given[1])
        if len(calls) == 6:
            raise KeyboardInterrupt
        return original(*given, **options)

    monkeypatch.setattr(diffeo.Flow, "sample_and_log_prob", interrupt)
    assert run(*arguments, "-n", 5, "-o", tmp_path / "y.npy") == 130
    assert run(*arguments, "-n", 5, "-o", tmp_path / "y.npy", "--resume") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), found)
    assert run(*arguments[:-1], "-o", tmp_path / "one.npy") == 0
    assert np.load(tmp_path / "one.npy").shape == (150, 3)


def test_samples_without_a_seed_are_not_gone_on_with(fitted, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(diffeo.Flow, "sample_and_log_prob", interrupt)
    arguments = ["sample", fitted / "flow.h5", "-n", 5, "--context", "a", "-o", tmp_path / "x.npy", "-q"]
    assert run(*arguments) == 130
    assert capsys.readouterr().err == "diffeo: interrupted\n"
    assert run(*arguments, "--seed", 1) == 130
    assert "--resume goes on" in capsys.readouterr().err


def test_files_larger_than_memory_are_scored_in_little(tmp_path):
    rows = 400_000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "f8", (rows, 8))
    for start in range(0, rows, 50_000):
        x[start : start + 50_000] = np.random.default_rng(start).normal(size=(50_000, 8))
    x.flush()
    diffeo.maf(8, transforms=1, hidden=4).save(tmp_path / "flow.h5")
    peaks = []
    for command, out in ("score", "s.h5"), ("to-noise", "z.npy"):
        tracemalloc.start()
        assert run(command, tmp_path / "flow.h5", tmp_path / "x.npy", "-o", tmp_path / out, "-q") == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < x.nbytes / 1.5
    assert np.load(tmp_path / "z.npy", mmap_mode="r").shape == (rows, 9)


def test_info(fitted, capsys):
    assert run("info", fitted / "flow.h5") == 0
    text = capsys.readouterr().out
    for part in "autoregressive", "column 0: mass [GeV]: above 0", "column of the context 0: label: one of a, b, c":
        assert part in text
    assert re.search(r"self-test: passed, \d+ rows", text)
    assert run("info", fitted / "flow.h5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dim"], found["context_dim"], found["dtype"]) == (3, 3, "float32")
    assert found["columns"][0] == {"name": "mass", "kind": "positive", "low": 0.0, "unit": "GeV"}
    assert found["self_test_rows"] > 0


def test_export(fitted, tmp_path):
    assert run("export", fitted / "flow.h5", "--numpy", tmp_path / "flow.npz", "-q") == 0
    found = np.load(tmp_path / "flow.npz")
    expected = diffeo.exchange.to_numpy(diffeo.load(fitted / "flow.h5"))
    attributes = json.loads(str(found["attributes"]))
    assert attributes["/"]["dim"] == 3
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[name], value)
        else:
            assert attributes[name] == value


def test_export_of_a_graph(fitted, tmp_path, capsys):
    pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    flow = diffeo.maf(2, transforms=2, hidden=8)
    flow.save(tmp_path / "maf.h5")
    assert run("export", tmp_path / "maf.h5", "--onnx", tmp_path / "maf.onnx", "--json") == 0
    x = RNG.normal(size=(5, 2)).astype("f4")
    (found,) = runtime.InferenceSession(tmp_path / "maf.onnx").run(None, {"x": x})
    np.testing.assert_allclose(found, flow.log_prob(x), rtol=1e-4, atol=1e-5)
    assert run("export", fitted / "flow.h5", "--onnx", tmp_path / "no.onnx") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_hdf5_with_matrices(tmp_path, monkeypatch, capsys):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["c"] = RNG.normal(size=(200, 2)), RNG.normal(size=(200, 2))
        file["other"] = np.zeros(7)
    data = tmp_path / "data.h5"
    choose = ["--dataset", "x", "--dataset", "c"]
    assert run("fit", data, "-o", tmp_path / "f.h5", *choose, "--context", "c", "--flow", "maf", *SMALL) == 0
    flow = diffeo.load(tmp_path / "f.h5")
    assert (flow.columns, flow.context_columns) == (("x.0", "x.1"), ("c.0", "c.1"))
    assert run("score", tmp_path / "f.h5", data, *choose, "-o", tmp_path / "s.npy", "-q") == 0
    # A part of other data sets is not gone on with.
    with h5py.File(data, "a") as file:
        file["y"] = np.zeros((200, 4))
        file["z"] = np.ones((200, 4))

    def interrupt(*_):
        raise KeyboardInterrupt

    arguments = ["score", tmp_path / "f.h5", data, "-o", tmp_path / "s.npy"]
    with monkeypatch.context() as patch:
        patch.setattr(diffeo.Flow, "log_prob", interrupt)
        assert run(*arguments, "--dataset", "y") == 130
    assert run(*arguments, "--dataset", "z", "--resume") == 1
    assert "is of another command, or of other data" in capsys.readouterr().err
    # Columns of another file, by order.
    np.save(tmp_path / "data.npy", np.zeros((5, 4)))
    assert run("score", tmp_path / "f.h5", tmp_path / "data.npy", "-o", tmp_path / "s.npy", "-q") == 0
    assert np.load(tmp_path / "s.npy").shape == (5,)


NUMBERS = np.round(RNG.normal(size=(40, 3)), 3)
WRITTEN = {  # by programs: name of the file, its beginning, a row, the names expected and whether the file has them
    "semicolons": ("a.csv", "a;b;c\n", "{};{};{}", "a b c", True),
    "commas in numbers": ("a.csv", "a;b;c\n", "{};{};{}", "a b c", True),
    "tabs": ("a.csv", "a\tb\tc\n", "{}\t{}\t{}", "a b c", True),
    "compressed": ("a.tsv.gz", "a\tb\tc\n", "{}\t{}\t{}", "a b c", True),
    "spaces": ("a.txt", '"a" "b"  "c"\n', " {}  {} {}", "a b c", True),
    "NumPy": ("a.txt", "", "{} {} {}", "0 1 2", False),
    "NumPy with names": ("a.csv", "# a,b,c\n", "{},{},{}", "a b c", True),
    "comments": ("a.csv", "# by me\n#\na,b,c\n\n", "{},{},{}", "a b c", True),
    "a mark of the order of bytes": ("a.csv", "\ufeffa,b,c\n", "{},{},{}", "a b c", True),
    "lines of Windows": ("a.csv", "a,b,c\r\n", "{},{},{}\r", "a b c", True),
    "empty lines": ("a.csv", "a,b,c\n\n", "{},{},{}\n", "a b c", True),
    "no header": ("a.csv", "", "{},{},{}", "0 1 2", False),
    "line breaks in names": ("a.csv", '# 5" and more\n"a\nof""x""",b,c\n', "{},{},{}", 'a\nof"x" b c', True),
    "quotes within names": ("a.csv", '5"pipe,b,c\n', "{},{},{}", '5"pipe b c', True),
    "told: numbers for names": ("a.csv", "0,1,2\n", "{},{},{}", "0 1 2", False),
    "told: an end of each line": ("a.csv", "a,b,c,\n", "{},{},{},", "a b c", True),
    "told: an end of each row": ("a.csv", "a,b,c\n", "{},{},{},", "a b c", True),
    "told: an index": ("a.csv", ",a,b,c\n", "7,{},{},{}", "a b c", True),
    "told: names of rows": ("a.csv", '"a","b","c"\n', '"row",{},{},{}', "a b c", True),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_text_is_read_as_programs_write_it(tmp_path, how, recwarn):
    name, head, row, names, named = WRITTEN[how]
    whole = head + "\n".join(row.format(*numbers) for numbers in NUMBERS)
    whole = whole.replace(".", ",") if how == "commas in numbers" else whole
    path = tmp_path / name
    path.write_bytes(gzip.compress(whole.encode()) if name.endswith(".gz") else whole.encode())
    source = _data.opened(str(path))
    assert (source.names, source.named) == (tuple(names.split(" ")), named)
    found = [np.column_stack(part) for part in source.batches(source.names)]
    np.testing.assert_array_equal(np.concatenate(found), NUMBERS)
    # From a row on, and not from a line.
    (rest,) = source.batches(source.names[1:], 7)
    np.testing.assert_array_equal(np.column_stack(rest), NUMBERS[7:, 1:])
    assert len(recwarn) == how.startswith("told")


def test_an_index_of_pandas_is_no_column(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = FRAME[["mass", "n"]]
    frame.iloc[::-2].to_parquet(tmp_path / "rows.parquet")
    assert _data.opened(str(tmp_path / "rows.parquet")).names == ("mass", "n")
    frame.set_index("n").to_parquet(tmp_path / "named.parquet")
    assert _data.opened(str(tmp_path / "named.parquet")).names == ("mass", "n")


def test_names_may_be_anything(tmp_path, capsys):
    """Commas, brackets, colons: the names of the file say where one ends."""
    words = np.array(["red", "green, dark", "x"])[np.searchsorted(["a", "b", "c"], LABEL)]
    frame = pandas.DataFrame({"l, deg": PHI, "b [deg]": -PHI, "λ:c": FRAME["n"], "a": 2 * PHI, "w,o": words})
    frame.to_csv(tmp_path / "data.csv", index=False)
    kinds = "λ:c:count,l, deg[rad]:angle , b [deg]:interval:-9:9,w,o:category:red|green, dark|x,a"
    assert run("fit", tmp_path / "data.csv", "-o", tmp_path / "f.h5", "--columns", kinds, *SMALL) == 0
    flow = diffeo.load(tmp_path / "f.h5")
    assert [each.describe() for each in flow.columns] == [
        "l, deg [rad]: angle of -3.14159 to 3.14159", "b [deg]: -9 to 9", "λ:c: count", "a",
        "w,o: one of red, green, dark, x",
    ]  # fmt: skip
    given = ["--context", "w,o:category,l, deg:angle", "--drop", "b [deg],λ:c"]
    assert run("fit", tmp_path / "data.csv", "-o", tmp_path / "g.h5", *given, *SMALL) == 0
    flow = diffeo.load(tmp_path / "g.h5")
    assert (flow.columns, flow.context_columns) == (("a",), ("w,o", "l, deg"))
    sample = ["sample", tmp_path / "g.h5", "-n", "3", "--seed", "1", "-o", "-", "-q", "--context"]
    assert run(*sample, "l, deg=2,w,o=green, dark") == 0
    out = capsys.readouterr().out
    context = pandas.DataFrame({"w,o": ["green, dark"], "l, deg": [2.0]})
    expected = np.asarray(flow.sample(3, context, seed=1))[:, 0]
    np.testing.assert_allclose(np.array(out.split()[1:], float), expected, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_categories_that_are_numbers(tmp_path, suffix, capsys):
    """Numbers that are no 0, 1, 2, ... are values; as words where some are words, though a batch may have none."""
    n = 2 * _data.BATCH
    frame = pandas.DataFrame({"x": np.zeros(n), "year": RNG.choice([2001, 2020], n), "sign": RNG.choice([-1, 1], n)})
    frame["mixed"] = ["3"] * (n - 2) + ["1", "no"]
    frame["class"] = RNG.choice([0, 1, 3], n)
    write(frame, tmp_path / f"data{suffix}")
    source = _data.opened(str(tmp_path / f"data{suffix}"))
    columns = _data.with_levels(source, [diffeo.Column(name, "category") for name in list(frame)[1:]], "data")
    assert [each.values for each in columns] == [("2001", "2020"), ("-1", "1"), ("1", "3", "no"), None]
    assert columns[3].levels == 4
    found = np.concatenate(list(_data.batches(source, columns, "data")))
    np.testing.assert_array_equal(found[:, 0], frame["year"] == 2020)
    np.testing.assert_array_equal(found[:, 1], frame["sign"] == 1)
    np.testing.assert_array_equal(found[:, 2], [1.0] * (n - 2) + [0, 2])
    np.testing.assert_array_equal(found[:, 3], frame["class"])


def test_hdf5_with_names(tmp_path, capsys):
    x = RNG.normal(size=(300, 2))
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["train"], file["test"], file["label"] = x, x[:50], np.arange(300) % 2
        file.attrs["columns"] = '["energy", "b, c"]'
    data = tmp_path / "data.h5"
    chosen = ["--dataset", "train", "--dataset", "label", "--context", "label:category"]
    assert run("fit", data, "-o", tmp_path / "f.h5", *chosen, "--flow", "maf", *SMALL) == 0
    assert diffeo.load(tmp_path / "f.h5").columns == ("energy", "b, c")
    # Columns are found by name in another data set.
    drop = ["--dataset", "train", "--drop", "label", "--dataset", "label"]
    assert run("fit", data, "-o", tmp_path / "g.h5", *drop, "--flow", "maf", *SMALL) == 0
    assert run("score", tmp_path / "g.h5", data, "--dataset", "test", "-o", tmp_path / "s.npy", "-q") == 0
    assert np.load(tmp_path / "s.npy").shape == (50,)
    # Two data sets with the same names, and one by its name.
    with h5py.File(data, "a") as file:
        file["noise"] = -x
        file["noise"].attrs["columns"] = ["energy", "other"]
    source = _data.opened(str(data), ["train", "noise"])
    assert source.names == ("energy", "b, c", "noise.energy", "noise.other")
    assert _data.chosen(source, ["noise"], "data.h5") == ("noise.energy", "noise.other")
    assert run("fit", data, "-o", tmp_path / "h.h5", *SMALL) == 1
    assert "different numbers of rows (label 300, noise 300, test 50, train 300)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["info", "nothing.h5"], "nothing.h5: No such file or directory"),
        (["info", "data.csv"], "data.csv"),
        (["score", "flow.h5", "nothing.csv", "-o", "s.npy"], "nothing.csv: no such file"),
        (["score", "flow.h5", "data.csv", "-o", "s.xls"], "s.xls is not .npy, .csv, .parquet or .h5, by its name"),
        (["score", "flow.h5", "data.csv", "-o", "no/s.npy"], "no such folder"),
        (["score", "flow.h5", "flow.txt.gz", "-o", "s.npy"], "flow.txt.gz"),
        (["score", "flow.h5", "narrow.csv", "-o", "s.npy"], "narrow.csv has no column 'phi', 'n', but 'mass', 'label'"),
        (
            ["score", "flow.h5", "three.npy", "-o", "s.npy"],
            "three.npy has 3 columns, the flow has dim 3 and a context of 1",
        ),
        (["score", "flow.h5", "data.csv", "--columns", "mass", "-o", "s.npy"], "1 columns (mass), the flow has dim 3"),
        (
            ["score", "flow.h5", "words.csv", "-o", "s.npy"],
            "words.csv has 'red' in row 1, column 'mass', which is no num",
        ),
        (["score", "flow.h5", "blue.csv", "-o", "s.npy"], "'d' in row 0, column 'label', none of a, b, c"),
        (["sample", "flow.h5", "-o", "x.npy"], "the flow has a context (label): give --context or --context-data"),
        (["sample", "flow.h5", "--context", "b", "-o", "x.npy"], "-n is missing"),
        (["sample", "flow.h5", "-n", "3", "--context", "d", "-o", "x.npy"], "none of a, b, c"),
        (["sample", "flow.h5", "-n", "3", "--context", "lab=a", "-o", "x.npy"], "'label' missing; 'lab' unknown"),
        (["sample", "flow.h5", "-n", "-3", "--context", "a", "-o", "x.npy"], "-n is -3"),
        (["sample", "flow.h5", "-n", "3", "--context", "a", "-o", "x.npy", "--resume"], "--resume needs the --seed"),
        (["fit", "data.csv", "-o", "f.h5", "--columns", "mas:positive"], "has no column 'mas', but 'mass', 'phi'"),
        (["fit", "data.csv", "-o", "f.h5", "--columns", "mass:positively"], "kind must be one of 'real'"),
        (["fit", "data.csv", "-o", "f.h5", "--columns", "n:interval:0:3"], "data.csv has "),
        (["fit", "data.csv", "-o", "f.h5"], "column 'label', which is no number"),
        (["fit", "data.csv", "-o", "f.h5", "--flow", "maf", *KINDS], "maf has no angles: take spline_autoregressive"),
        (["fit", "data.csv", "-o", "f.h5", "--bins", "4", "--flow", "maf", *KINDS], "--bins is not for maf"),
        (["fit", "data.csv", "-o", "f.h5", "--hidden", "wide", *KINDS], "--hidden is wide, it must be whole numbers"),
        (["fit", "data.csv", "-o", "f.h5", "--test", "2", *KINDS], "--test is 2, it must be 0 or more, below 1"),
        (["fit", "data.csv", "-o", "f.h5", "--epochs", "-1", *KINDS], "--epochs is -1, it must be 0 or more"),
        (["fit", "holes.csv", "-o", "f.h5"], "holes.csv has missing values in column 'b', rows 1 and 3"),
        (["fit", "empty.csv", "-o", "f.h5"], "empty.csv has no rows"),
        (
            ["fit", "data.csv", "-o", "f.h5", "--weights", "w", "--drop", "w,label", "--columns", "w:count"],
            "column 'w' is",
        ),
        (["fit", "twice.csv", "-o", "f.h5"], "twice.csv has more than one column 'a'"),
        (["fit", "ragged.csv", "-o", "f.h5"], "ragged.csv has 3 cells in line 3, the lines before have 2"),
        (["fit", "wide.csv", "-o", "f.h5"], "wide.csv has 2 names in its header, and 5 cells in a row"),
        (["fit", "latin.csv", "-o", "f.h5"], "latin.csv is no text in UTF-8"),
        (["fit", "signed.csv", "-o", "f.h5", "--weights", "b"], "-2 in row 3, column 'b': a weight must be 0 or more"),
        (["fit", "huge.csv", "-o", "f.h5"], "1e+300 in row 2, column 'a': float32 cannot hold it"),
        (["fit", "data.csv", "-o", "f.h5"], "'label', which is no number: name a column of words as name:category"),
        (["fit", "complex.npy", "-o", "f.h5"], "complex.npy has complex128 in column '0', which are no numbers"),
        (["fit", "dates.npy", "-o", "f.h5"], "dates.npy has datetime64[s] in column 't', which are no numbers"),
        (["fit", "objects.npy", "-o", "f.h5"], "objects.npy could not be read: "),
        (["fit", "words.h5", "-o", "f.h5"], "words.h5 could not be read: "),
        (["fit", "words.npy", "-o", "f.h5"], "words.npy is no array of NumPy, as numpy.save writes it"),
        (["fit", "folder.h5", "-o", "f.h5"], "folder.h5: it is a folder"),
        (["fit", "folder.parquet", "-o", "f.h5"], "folder.parquet: it is a folder"),
        (["fit", "cut.csv.gz", "-o", "f.h5"], "cut.csv.gz could not be read: Compressed file ended"),
        (["fit", "open.csv", "-o", "f.h5"], "open.csv begins with a quote that no other one closes"),
        (["fit", "later.csv", "-o", "f.h5"], "later.csv has a quote in row 2 that no other one closes"),
        (["fit", "nested.npy", "-o", "f.h5"], "nested.npy has lists in column 'n', which are no numbers"),
        (["fit", "lists.h5", "-o", "f.h5"], "lists.h5 has lists in column 'v', which are no numbers"),
        (["fit", "elsewhere.h5", "-o", "f.h5"], "elsewhere.h5 could not be read: "),
        (["fit", "bytes.h5", "-o", "f.h5"], "bytes.h5 could not be read: 'utf-8' codec can't decode"),
        (["fit", "data.csv", "-o", "f\udcff.h5"], "is no name in UTF-8, as that of a weight file must be"),
        (["fit", "data.csv", "-o", "f.h5", "--columns", "phi:angle:6"], "'angle:6' is no kind with its numbers"),
        (["export", "flow.h5", "--numpy", "no/f.npz"], "no: no such folder"),
        (["fit", "data.csv", "-o", "no/f.h5"], "no: no such folder"),
        (["fit", "data.csv", "-o", "f.h5", "--threads", "0"], "--threads is 0, it must be 1 or more"),
        (["convert", "c.pt", "--like", "nothing", "-o", "f.h5"], "--like is 'nothing'"),
        (["convert", "c.pt", "--like", "nothing:f", "-o", "f.h5"], "--like nothing:f: No module named 'nothing'"),
        (["convert", "c.pt", "--like", "os:uname", "-o", "f.h5"], "has no state dict, as flows in PyTorch have"),
        (["check", "flow.h5", "data.csv", "--rows", "99"], "--rows is 99, it must be 100 or more"),
        (["fit", "data.csv", "-o", "/proc/f.h5", *KINDS], "nothing can be written to /proc: "),
        (["score", "flow.h5", "data.csv", "-o", "/proc/s.npy"], "nothing can be written to /proc: "),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_errors_are_one_sentence(fitted, monkeypatch, capsys, arguments, text, as_json):
    monkeypatch.chdir(fitted)
    FRAME[["mass", "label"]].to_csv("narrow.csv", index=False)
    np.save("three.npy", np.zeros((4, 3)))
    Path("words.csv").write_text("mass,phi,n,label\n1,2,3,a\nred,2,3,a\n")
    Path("blue.csv").write_text("mass,phi,n,label\n1,2,3,d\n")
    Path("holes.csv").write_text("a,b\n1,2\n1,\n3,4\n5,\n")
    Path("empty.csv").write_text("")
    Path("twice.csv").write_text("a,a\n1,2\n")
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    Path("wide.csv").write_text("a,b\n1,2,3,4,5\n")
    Path("latin.csv").write_bytes("a,é\n1,2\n".encode("latin-1"))
    Path("signed.csv").write_text("a,b\n1,2\n1,3\n3,4\n5,-2\n7,8\n")
    Path("huge.csv").write_text("a,b\n1,2\n1,3\n1e300,4\n5,2\n7,8\n")
    Path("words.h5").write_text("words")
    Path("words.npy").write_text("words")
    for name in "folder.h5", "folder.parquet":
        Path(name).mkdir(exist_ok=True)
    Path("cut.csv.gz").write_bytes(gzip.compress(b"a,b\n" + bytes(RNG.integers(48, 57, 999).astype(np.uint8)))[:200])
    Path("open.csv").write_text('"a,b\n1,2\n')
    Path("later.csv").write_text('a,b\n1,2\n3,4\n"5,6\n7,8\n')
    np.save("nested.npy", np.zeros(9, [("a", "f8"), ("n", "f8", 3)]))
    with h5py.File("lists.h5", "w") as file:
        file.create_dataset("v", 3, h5py.vlen_dtype("f8"))[:] = [np.ones(2)] * 3
    with h5py.File("elsewhere.h5", "w") as file:
        file.create_dataset("x", (3, 2), "f8", external=[("missing.bin", 0, 48)])
    with h5py.File("bytes.h5", "w") as file:
        file["x"] = np.array([b"\xff"] * 3)
    np.save("complex.npy", np.zeros((9, 2), complex))
    np.save("dates.npy", np.zeros(9, [("t", "M8[s]"), ("x", "f4")]))
    np.save("objects.npy", np.array([["a", 1]], object))
    assert main([*arguments, *(["--json"] if as_json else [])]) == 1
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1, err
    assert err.startswith("diffeo: ")
    assert text in err
    assert "Traceback" not in err
    assert not as_json or text in json.loads(out)["error"]
    assert not Path("f.h5").exists()


def ended(arguments, folder, **options):
    """Of a command in a process of its own: its status, and what it said on stderr."""
    done = subprocess.run([sys.executable, "-m", "diffeo", *arguments], cwd=folder, stderr=subprocess.PIPE, **options)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [["info", "flow.h5"], ["info", "flow.h5", "--json"], ["info", "no.h5", "--json"],
                  ["sample", "flow.h5", "-n", "9", "--context", "a", "-o", "-"]]
)  # fmt: skip
def test_a_reader_that_is_gone_and_a_full_disk(fitted, monkeypatch, arguments, unbuffered):
    """Whether Python writes at once or in the end, nothing but a sentence is said."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    wrong = "diffeo: no.h5: No such file or directory\n" if "no.h5" in arguments else ""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as gone:
        status, said = ended(arguments, fitted, stdout=gone)
    assert (status, said) == (1, wrong)
    with open("/dev/full", "wb") as full:
        status, said = ended(arguments, fitted, stdout=full)
    assert (status, said) == (1, wrong or "diffeo: No space left on device\n")


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["fit"], ["sample", "f.h5"], ["export", "f.h5"]])
def test_what_is_not_understood(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith("usage: diffeo")


def test_help_of_every_command(capsys):
    for name, module in cli.COMMANDS.items():
        with pytest.raises(SystemExit) as exit:
            main([name, "--help"])
        assert exit.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: diffeo {name} ")
        assert module.HELP[0].islower()
        assert not module.HELP.endswith(".")


@pytest.mark.parametrize(("command", "needs"), [(["completion", "bash"], "shtab"), (["man"], "argparse-manpage")])
def test_completion_and_man_page(command, needs, capsys, monkeypatch):
    module = needs.replace("-", "_")
    pytest.importorskip(module, reason=f"{needs} is not installed")
    assert main(command) == 0
    out = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert name.replace("-", "\\-") in out or name in out
    assert not re.findall(r"^\.[a-z]{3}.*", out, re.MULTILINE), "man takes it for a command: help begins with a dot"
    monkeypatch.setitem(sys.modules, module if needs == "shtab" else f"{module}.manpage", None)
    assert main(command) == 1
    assert f'needs {needs}: pip install "diffeo[shell]"' in capsys.readouterr().err


def test_the_module_is_the_command(fitted):
    command = [sys.executable, "-m", "diffeo", "info", str(fitted / "flow.h5"), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout)["dim"] == 3
    assert found.stderr == ""


def sets(path, **arrays):
    """An HDF5 file of these data sets; two underscores are a slash."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


def datasets(*names):
    return [each for name in names for each in ("--dataset", name)]


@pytest.mark.parametrize(
    ("train", "test", "more"),
    [
        (["train"], ["test"], []),
        (["train", "train_c"], ["test", "test_c"], ["--context", "train_c"]),
        (["train", "train_w"], ["test"], ["--weights", "train_w"]),
        (["train_w"], ["test_w"], []),
        (["g/train", "train_w"], ["g/test", "test_w"], []),
        (["in/train"], ["in/test"], ["--context", "c"]),
    ],
)
def test_data_sets_that_are_picked_have_any_name(tmp_path, monkeypatch, train, test, more):
    """Names such as train and test say which rows: their columns are the same ones, in the order of the command."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    arrays = {}
    for name in "train", "test":
        arrays |= {name: rng.normal(size=(150, 3)), f"{name}_c": rng.normal(size=(150, 2))}
        arrays |= {f"{name}_w": rng.uniform(1, 2, 150), f"g__{name}": rng.normal(size=150)}
        arrays |= {f"in__{name}__phi": rng.uniform(0, 1, 150), f"in__{name}__c": rng.normal(size=(150, 2))}
    sets("data.h5", **arrays)
    assert run("fit", "data.h5", *datasets(*train), "-o", "f.h5", *more, "--flow", "maf", *SMALL) == 0
    assert run("score", "f.h5", "data.h5", *datasets(*test), "-o", "s.npy", "-q") == 0
    flow = diffeo.load("f.h5")
    if train == ["in/train"]:
        assert flow.columns == ("phi",)
        assert flow.context_columns == ("c.0", "c.1")
        x, context = arrays["in__test__phi"][:, None], arrays["in__test__c"]
    else:
        parts = [arrays[name.replace("/", "__")] for name in test]
        rows = np.column_stack(parts)
        x, context = rows[:, : flow.dim], rows[:, flow.dim :] if more[:1] == ["--context"] else None
    np.testing.assert_allclose(np.load("s.npy"), flow.log_prob(x, context), rtol=1e-4)
    if context is not None:
        command = ["sample", "f.h5", "--context-data", "data.h5", "--seed", "1", "-o", "x.npy", "-q"]
        assert run(*command, *datasets(test[1] if len(test) > 1 else "in/test/c")) == 0
        np.testing.assert_array_equal(np.load("x.npy"), flow.sample(150, context=context, seed=1))


def test_names_that_a_file_has_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sets(
        "data.h5",
        train=np.random.default_rng(0).normal(size=(150, 2)),
        test=np.zeros((9, 2)),
        a=np.zeros(9),
        b=np.ones(9),
    )
    with h5py.File("data.h5", "r+") as file:
        file["train"].attrs["columns"] = ["b", "c"]
        file["test"].attrs["columns"] = ["c", "d"]
    assert run("fit", "data.h5", *datasets("train"), "-o", "f.h5", *SMALL) == 0
    assert run("score", "f.h5", "data.h5", *datasets("test"), "-o", "s.npy") == 1
    assert "data.h5 has no column 'b', but 'c', 'd'" in capsys.readouterr().err
    assert run("score", "f.h5", "data.h5", *datasets("b", "a"), "-o", "s.npy") == 1
    assert "data.h5 has no column 'c', but 'b', 'a'" in capsys.readouterr().err
    sets("other.h5", a=np.zeros(9), e=np.ones(9))
    assert run("score", "f.h5", "other.h5", "-o", "s.npy") == 1
    assert "other.h5 has no column 'b', 'c', but 'a', 'e'" in capsys.readouterr().err


def test_weights_of_a_check_are_no_context(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    sets("data.h5", x=rng.normal(size=(300, 2)), c=rng.normal(size=(300, 1)), w=rng.uniform(1, 2, 300))
    diffeo.maf(dim=2, context_dim=1, hidden=(8,)).save("f.h5")
    picked = datasets("x", "w", "c")
    assert run("check", "f.h5", "data.h5", *picked, "--weights", "w", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] < 300
    assert run("check", "f.h5", "data.h5", *picked, "--weights", "x", "--json") == 1
    assert "--weights x are 2 columns, it must be one" in capsys.readouterr().err


def test_no_epochs_have_no_likelihood(fitted, tmp_path, capsys):
    command = ["fit", fitted / "data.csv", "-o", tmp_path / "f.h5", *KINDS, "--epochs", "0", "--hidden", "8"]
    assert run(*command) == 0
    out = capsys.readouterr().out
    assert "0 epochs in 0.0 s, stopped by max_epochs; the flow has the weights it began with" in out
    assert "nan" not in out


@pytest.mark.parametrize("name", ["f.txt", "f.csv", "f.npy", "f.parquet", "f.json", "f.onnx", "f.h5.csv", "f"])
@pytest.mark.parametrize("command", [["fit", "data.csv"], ["convert", "nothing.pt", "--like", "no:module"]])
def test_a_weight_file_is_called_one(fitted, monkeypatch, capsys, command, name):
    monkeypatch.chdir(fitted)
    assert run(*command, "-o", name) == 1
    assert f"{name} is not .h5 or .hdf5, as a weight file is, by its name" in capsys.readouterr().err
    assert not Path(name).exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["export", "flow.h5", "--numpy", "f.onnx"], "f.onnx is not .npz, as a file of arrays is, by its name"),
        (["export", "flow.h5", "--onnx", "f.npz"], "f.npz is not .onnx, as an ONNX file is, by its name"),
        (["fit", "data.h5", "-o", "data.h5"], "data.h5 would be written over data.h5, which is read"),
        (["fit", "data.h5", "-o", "link.h5"], "link.h5 would be written over data.h5, which is read"),
        (["convert", "data.h5", "--like", "no:module", "-o", "./data.h5"], "./data.h5 would be written over data.h5"),
        (["score", "flow.h5", "data.csv", "-o", "flow.h5"], "flow.h5 would be written over flow.h5"),
        (["score", "flow.h5", "data.csv", "-o", "data.csv"], "data.csv would be written over data.csv"),
        (["to-noise", "flow.h5", "data.csv", "-o", "data.csv"], "data.csv would be written over data.csv"),
        (["sample", "flow.h5", "-n", "2", "--context", "a", "-o", "flow.h5"], "flow.h5 would be written over flow.h5"),
        (["sample", "flow.h5", "--context-data", "data.csv", "-o", "data.csv"], "data.csv would be written over data"),
        (["score", "flow.h5", "data.csv", "-o", "folder.csv"], "folder.csv: it is a folder"),
        (["fit", "data.csv", "-o", "folder.h5"], "folder.h5: it is a folder"),
        (["sample", "flow.h5", "-n", "2", "--context", "maybe", "-o", "-"], "has 'maybe' in column 'label', none of a"),
        (["sample", "numbers.h5", "-n", "2", "--context", "1,maybe", "-o", "-"], "has 'maybe' in column '1', which is"),
        (["sample", "numbers.h5", "-n", "2", "--context", "nan,1", "-o", "-"], "--context has no value in column '0'"),
        (["sample", "numbers.h5", "-n", "2", "--context", "1", "-o", "-"], "--context has 1 value, the flow has 2: 0"),
    ],
)
def test_no_file_is_lost_and_no_row_made_up(fitted, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(fitted)
    write(FRAME.drop(columns="label"), Path("data.h5"))
    Path("link.h5").unlink(missing_ok=True)
    Path("link.h5").symlink_to("data.h5")
    for folder in "folder.csv", "folder.h5":
        Path(folder).mkdir(exist_ok=True)
    diffeo.maf(dim=1, context_dim=2, hidden=(4,)).save("numbers.h5")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert run(*arguments) == 1
    assert text in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


@pytest.mark.parametrize("command", ["score", "sample", "check"])
def test_rows_are_counted_through_all_batches(fitted, tmp_path, monkeypatch, capsys, command):
    """A word that the flow does not know, in a row behind the first batch."""
    monkeypatch.setattr(_data, "BATCH", 64)
    frame = FRAME.copy()
    frame.loc[200, "label"] = "d"
    data, read = write(frame, tmp_path / "d.csv"), [fitted / "flow.h5"]
    arguments = [*read, "--context-data", data] if command == "sample" else [*read, data]
    assert run(command, *arguments, *([] if command == "check" else ["-o", tmp_path / "s.npy"])) == 1
    assert "d.csv has 'd' in row 200, column 'label', none of a, b, c" in capsys.readouterr().err
