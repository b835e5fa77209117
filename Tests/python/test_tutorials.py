"""The lines of docs/tutorials run, and come to what the pages say."""

import contextlib
import os
import re
import subprocess
import warnings
from pathlib import Path

import pytest

diffeo = pytest.importorskip("diffeo")

from diffeo._abi import SONAME  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("DIFFEO_LIBRARY", ROOT / ".build/release/libdiffeo.so"))


def blocks(page, language):
    text = (ROOT / "docs/tutorials" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_python(page, folder):
    """All lines of a page, one block after the other, as one program; its names."""
    names = {}
    with contextlib.chdir(folder):
        for block in blocks(page, "python"):
            exec(compile(block, f"{page}.md", "exec"), names)
    return names


def run_c(page, name, folder):
    """The page's program, compiled and run by its commands in a folder with the library."""
    (program,) = blocks(page, "c")
    (folder / name).write_text(program)
    for link in (SONAME, "libdiffeo.so"):
        (folder / link).symlink_to(LIBRARY.resolve())
    flags = f"-Wall -Wextra -Werror -I{ROOT / 'include'} -I{ROOT / 'bindings/c'} -L{folder} -ldiffeo"
    (commands,) = blocks(page, "sh")
    commands, found = re.subn(r"\$\(pkg-config [^)]*\)", lambda _: flags, commands)
    assert found == 1
    done = subprocess.run(
        ["sh", "-e", "-c", commands], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_flow_in_c(tmp_path):
    said = run_c("first-flow-in-c", "first.c", tmp_path)
    on, off = map(float, re.search(r"log p\(1, 1\) = (\S+), log p\(1, -3\) = (\S+)\n", said).groups())
    assert -2.1 < on < -1.1
    assert off < on - 10
    samples = diffeo.load(tmp_path / "banana.h5").sample(3, seed=1)
    assert re.findall(r"sample \d: (\S+) (\S+)", said) == [(f"{a:.2f}", f"{b:.2f}") for a, b in samples]


def test_first_flow_in_python(tmp_path):
    for needed in ("scipy", "sklearn", "matplotlib"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    names = run_python("first-flow-in-python", tmp_path)
    assert names["gain"] > 0.2
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert names["report"].flagged == []


def test_posterior_of_an_event_generator(tmp_path):
    pytest.importorskip("scipy", reason="SciPy is not installed")
    names = run_python("posterior-of-an-event-generator", tmp_path)
    assert names["p"].min() > 1e-3
    assert names["known"] > 3.4
    assert (abs(names["mean"] - names["truth"]) < 4 * names["deviation"]).all()
    assert ((names["samples"] >= names["LOW"]) & (names["samples"] <= names["HIGH"])).all()
    assert (tmp_path / "posterior.h5").is_file()


@pytest.mark.slow
def test_from_pytorch_to_a_robot(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: make test-exchange")
    pytest.importorskip("zuko", reason="zuko is not installed: make test-exchange")
    pytest.importorskip("h5py", reason="h5py is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = run_python("from-pytorch-to-a-robot", tmp_path)
    assert abs(names["ours"] - names["theirs"]).max() < 1e-3
    x, y = map(float, run_c("from-pytorch-to-a-robot", "robot.c", tmp_path).split())
    assert min(abs(x - 1.5) + abs(y + 1.5), abs(x + 0.5) + abs(y - 0.5)) < 0.8  # of either side


def test_the_robot_says_what_is_missing(tmp_path):
    """Without a policy, and before that without a library: neither is a crash."""
    (program,) = blocks("from-pytorch-to-a-robot", "c")
    (tmp_path / "robot.c").write_text(program)
    built = ["cc", "-std=gnu99", f"-I{ROOT / 'include'}", f"-I{ROOT / 'bindings/c'}", "robot.c", "-o", "robot", "-ldl"]
    subprocess.run(built, cwd=tmp_path, check=True)
    for argument, sentence in (("./nothing.so", "no flows today: .*nothing.so"), (LIBRARY.resolve(), "policy.h5")):
        done = subprocess.run(["./robot", argument], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        assert re.search(sentence, done.stderr)
