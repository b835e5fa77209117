"""The guide of docs/exchange.md, from a PyTorch flow to a C program: the C half always, all of it with zuko."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import diffeo
import numpy as np
import pytest
from diffeo.__main__ import main
from diffeo._abi import SONAME

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/exchange.md").read_text()
BLOCKS = dict.fromkeys(("python", "c"))
for language in BLOCKS:
    section = GUIDE[GUIDE.index("## Five minutes") : GUIDE.index("## What converts")]
    BLOCKS[language] = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C program, linked with the library under test."""
    library = Path(os.environ.get("DIFFEO_LIBRARY", ROOT / ".build/release/libdiffeo.so")).resolve()
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("guide")
    (folder / "density.c").write_text(BLOCKS["c"][0])
    (folder / SONAME).symlink_to(library)  # its name for the linker
    built = folder / "density"
    subprocess.run(
        [compiler, "density.c", "-I", ROOT / "include", library, f"-Wl,-rpath,{folder}", "-o", built],
        cwd=folder,
        check=True,
    )

    said = subprocess.run([built], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (1, "usage: density FLOW.H5\n")

    def run(path):
        said = subprocess.run([built, path], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        return float(said.stdout)

    return run


X, CONTEXT = [[0.1, -0.2, 0.3]], [[1.0, 0.5]]


def test_the_c_half(program):
    fixture = Path(__file__).parent / "fixtures/zuko-guide.h5"
    expected = diffeo.load(fixture).log_prob(X, CONTEXT)
    np.testing.assert_allclose(program(fixture), expected[0], atol=1e-6)


def test_the_whole_guide(program, tmp_path):
    pytest.importorskip("zuko")
    torch = pytest.importorskip("torch")
    scope = {}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with contextlib.chdir(tmp_path), contextlib.redirect_stdout(None):
            for block in BLOCKS["python"]:
                exec(compile(block, "exchange.md", "exec"), scope)
        with torch.no_grad():
            expected = scope["their_flow"](torch.tensor(CONTEXT)).log_prob(torch.tensor(X)).numpy()
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_allclose(program(tmp_path / "flow.h5"), expected[0], rtol=1e-4, atol=1e-4)


def test_the_command_line(tmp_path):
    """A state dict, and a function that builds the flow."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("zuko")
    (tmp_path / "my_flow.py").write_text("import zuko\n\n\ndef build():\n    return zuko.flows.MAF(3, 2)\n")
    with contextlib.chdir(tmp_path):
        import zuko

        theirs = zuko.flows.MAF(3, 2).float()
        torch.save({"model": theirs.state_dict()}, "checkpoint.pt")
        command = [
            sys.executable,
            "-m",
            "diffeo",
            "convert",
            "checkpoint.pt",
            "--like",
            "my_flow:build",
            "-o",
            "flow.h5",
        ]
        said = subprocess.run(command, capture_output=True, text=True)
        assert said.returncode == 1
        assert said.stderr.endswith("; --key model does\n")
        said = subprocess.run([*command, "--key", "model"], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    x, context = torch.tensor(X, dtype=torch.float32), torch.tensor(CONTEXT, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(context).log_prob(x).numpy()
    np.testing.assert_allclose(diffeo.load(tmp_path / "flow.h5").log_prob(X, CONTEXT), expected, atol=1e-4)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line in a folder with a program, and a function that stores what it converts."""
    pytest.importorskip("torch")
    pytest.importorskip("zuko")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_flow", raising=False)
    (tmp_path / "my_flow.py").write_text(
        "import torch\nimport zuko\n\n\n"
        "def build(width=4):\n    return zuko.flows.MAF(3, 2, hidden_features=(width,))\n\n\n"
        "def sized(features):\n    return zuko.flows.MAF(features)\n\n\n"
        "def parallel():\n    return torch.nn.DataParallel(build())\n\n\n"
        "flow = build()\nwidth = 3\n"
    )

    def run(*arguments, like="my_flow:build"):
        return main(["convert", "checkpoint.pt", "--like", like, "-o", "flow.h5", *arguments])

    return run


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def renamed(pattern, by, state):
    return {re.sub(pattern, by, name): value for name, value in state.items()}


def numbered(match):
    return {"loc": "base._0", "scale": "base._1"}[match[1]]


CHECKPOINTS = {
    "plain": (lambda state: state, ()),
    "DataParallel": (lambda state: prefixed("module.", state), ()),
    "torch.compile": (lambda state: prefixed("_orig_mod.", state), ()),
    "both": (lambda state: prefixed("module._orig_mod.", state), ()),
    "arguments of a base by their number": (lambda state: renamed(r"base\.(loc|scale)", numbered, state), ()),
    "transforms of zuko before 1.0": (lambda state: renamed(r"^transform\.transforms", "transforms", state), ()),
    "both of these, in DataParallel": (
        lambda state: prefixed("module.", renamed(r"^transform\.", "", renamed(r"base\.(loc|scale)", numbered, state))),
        (),
    ),
    "Lightning": (
        lambda state: {"epoch": 3, "state_dict": {**prefixed("flow.", state), "loss": next(iter(state.values()))}},
        ("--key", "state_dict.flow"),
    ),
    "Lightning, compiled": (
        lambda state: {"state_dict": prefixed("flow._orig_mod.", state)},
        ("--key", "state_dict.flow"),
    ),
}


@pytest.mark.parametrize("like", ["my_flow:build", "my_flow:parallel", "my_flow:flow"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(command, name, like, capsys):
    import my_flow
    import torch

    theirs = my_flow.build().float()
    stored, arguments = CHECKPOINTS[name]
    torch.save(stored(theirs.state_dict()), "checkpoint.pt")
    if arguments:
        assert command(like=like) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert len(said) < 400
        assert "lacks" in said
        assert "--key state_dict.flow" in said
    assert command(*arguments, like=like) == 0
    assert ("build the flow with slope=1e-4" in capsys.readouterr().out) == (
        name == "arguments of a base by their number"
    )
    with torch.no_grad():
        expected = theirs(torch.tensor(CONTEXT).float()).log_prob(torch.tensor(X).float()).numpy()
    np.testing.assert_allclose(diffeo.load("flow.h5").log_prob(X, CONTEXT), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("store", "words", "reason"),
    [
        (lambda t, flow: t.save(flow, "checkpoint.pt"), {}, r"pickled zuko\S+, and only tensors are read: save the"),
        (
            lambda t, flow: t.save({"loss": np.float64(1), "model": flow.state_dict()}, "checkpoint.pt"),
            {},
            "pickled numpy.*only tensors",
        ),
        (lambda t, flow: Path("checkpoint.pt").write_text("junk"), {}, "is no checkpoint of PyTorch"),
        (lambda t, flow: Path("checkpoint.pt").write_text(""), {}, "is no checkpoint of PyTorch"),
        (lambda t, flow: None, {}, "No such file"),
        (lambda t, flow: t.save({"epoch": 3}, "checkpoint.pt"), {}, "nothing there; there are no tensors in it"),
        (
            lambda t, flow: t.save({"a": {"b": t.ones(2)}}, "checkpoint.pt"),
            {},
            r"lacks \S+, \S+ and \d+ more and has besides a\.b; --key can .* below a$",
        ),
        (
            lambda t, flow: t.save({"model": flow.state_dict()}, "checkpoint.pt"),
            {"key": "net"},
            "nothing there; --key model does",
        ),
        (
            lambda t, flow: t.save(type(flow)(3, 2, hidden_features=(5,)).state_dict(), "checkpoint.pt"),
            {},
            r"the shape of \S+ is \(5, \d\), that of the flow \(4, \d\)",
        ),
        (
            lambda t, flow: t.save(renamed(r"hyper\.0", "hyper.first", flow.state_dict()), "checkpoint.pt"),
            {},
            r"the shapes are the same, in this order: if only names have changed, rename \S+hyper\.first\.weight to "
            r"\S+hyper\.0\.weight, .* more$",
        ),
        (lambda t, flow: None, {"like": "my_flow:sized"}, "it wants features; a function without arguments"),
        (lambda t, flow: None, {"like": "zuko.flows:MAF"}, "it wants features"),
        (lambda t, flow: None, {"like": "my_flow:width"}, "it is int, not a function"),
    ],
)
def test_what_the_command_line_says(command, store, words, reason, capsys):
    import my_flow
    import torch

    store(torch, my_flow.build())
    key = ("--key", words["key"]) if "key" in words else ()
    assert command(*key, like=words.get("like", "my_flow:build")) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 600
    assert re.search(reason, said.strip()), said
