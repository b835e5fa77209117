"""How the shared library is found."""

import os
import subprocess
import sys
from pathlib import Path

import diffeo
import pytest
from diffeo._abi import VERSION_NUMBER


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_missing_library_is_an_import_error():
    ended = run("import diffeo", DIFFEO_LIBRARY="/nowhere/libdiffeo.so")
    assert "ImportError: diffeo needs its shared library, which is not at /nowhere/libdiffeo.so:" in ended.stderr


def test_something_else_is_an_import_error(tmp_path):
    (tmp_path / "libdiffeo.so").write_text("not a library")
    ended = run("import diffeo", DIFFEO_LIBRARY=str(tmp_path / "libdiffeo.so"))
    assert "ImportError" in ended.stderr
    assert "is not a usable diffeo library" in ended.stderr


def test_another_version_is_an_import_error(tmp_path):
    source = tmp_path / "other.c"
    source.write_text("int diffeo_version_number(void) { return 9900; }")
    try:
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", tmp_path / "other.so"], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    ended = run("import diffeo", DIFFEO_LIBRARY=str(tmp_path / "other.so"))
    assert "ImportError" in ended.stderr
    assert f"is version 9900 of diffeo, this package is made for {VERSION_NUMBER}" in ended.stderr


def test_what_diffeo_jax_compiles_is_there():
    package = Path(diffeo.__file__).resolve().parent
    assert (package / "_xla.cc").is_file()
    assert (package / "diffeo.h").is_file() or (package.parents[2] / "include/diffeo.h").is_file()


def test_the_number_of_threads_from_the_environment():
    program = "import diffeo; print(diffeo.get_num_threads())"
    assert run(program, DIFFEO_NUM_THREADS="3").stdout == "3\n"
    ended = run(program, DIFFEO_NUM_THREADS="many")
    assert "DIFFEO_NUM_THREADS must be a whole number from 1 to 256, not 'many'" in ended.stderr


def test_the_end_of_the_interpreter_is_clean():
    """With a workspace, flows and a daemon thread at work."""
    program = """
import threading, time
import diffeo
diffeo.set_num_threads(2)
flow = diffeo.maf(dim=4)
def work():
    while True:
        flow.sample(1000, seed=1)
threading.Thread(target=work, daemon=True).start()
flow.sample(1000, seed=1)
time.sleep(0.2)
"""
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_importing_stays_light():
    program = "import sys, diffeo; print([name for name in ('pandas', 'tqdm', 'h5py', 'scipy') if name in sys.modules])"
    assert run(program).stdout == "[]\n"
