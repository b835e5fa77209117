"""The guide of docs/exchange.md, from a PyTorch flow to a C program: the C half always, all of it with zuko."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import diffeo
import numpy as np
import pytest

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
    (folder / "libdiffeo.so.0").symlink_to(library)  # its name for the linker
    built = folder / "density"
    subprocess.run(
        [compiler, "density.c", "-I", ROOT / "include", library, f"-Wl,-rpath,{folder}", "-o", built],
        cwd=folder,
        check=True,
    )

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
    import sys

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
        assert "Missing key" in said.stderr
        said = subprocess.run([*command, "--key", "model"], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    x, context = torch.tensor(X, dtype=torch.float32), torch.tensor(CONTEXT, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(context).log_prob(x).numpy()
    np.testing.assert_allclose(diffeo.load(tmp_path / "flow.h5").log_prob(X, CONTEXT), expected, atol=1e-4)
