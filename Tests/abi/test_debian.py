"""`make deb`: its packages, in a folder, serve a C program, Python and a shell; lintian has nothing to say."""

import os
import shutil
import subprocess

import pytest
from support import PROJECT, SONAME, compilers, needs, run

CONTROL = PROJECT / "packaging/debian/control"
# The project has no public address, which cannot be overridden where it is not a package that says so.
EXPECTED = "E: diffeo changes: bogus-mail-host "


def built_here():
    """Whether Debian has all that the packages are built with."""
    check = shutil.which("dpkg-checkbuilddeps")
    return bool(check) and subprocess.run([check, CONTROL], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not built_here(), reason="what builds packages of Debian is not installed: make deb"),
]


@pytest.fixture(scope="module")
def folder(library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    run(PROJECT / "scripts/deb", library, folder)
    assert len(list(folder.glob("*.deb"))) == 3
    return folder


@pytest.fixture(scope="module")
def root(folder):
    for package in folder.glob("*.deb"):
        run("dpkg-deb", "-x", package, folder / "root")
    return folder / "root"


@pytest.fixture
def clean(root):
    """An environment in which nothing leads to another Diffeo."""
    ours = {"PYTHONPATH": str(root / "usr/lib/python3/dist-packages"), "PATH": "/usr/bin:/bin"}
    return {name: value for name, value in os.environ.items() if not name.startswith("DIFFEO")} | ours


@needs("cc", "pkg-config")
def test_a_program_builds_and_runs(root, clean, tmp_path):
    (found,) = root.glob("usr/lib/*/pkgconfig")
    clean |= {"PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_LIBDIR": str(found)}
    flags = run("/usr/bin/pkg-config", "--cflags", "--libs", "diffeo", env=clean).split()
    run(compilers("cc")[0], PROJECT / "examples/torus.c", *flags, "-lm", "-o", tmp_path / "torus")
    run(tmp_path / "torus", env=clean | {"LD_LIBRARY_PATH": str(found.parent)}, cwd=tmp_path)


def test_python_has_the_library_of_the_other_package(root, clean):
    program = (
        "import diffeo; from diffeo import _abi; print(_abi._find()); print(diffeo.maf(dim=2).sample(1, seed=1).shape)"
    )
    path, shape = run("/usr/bin/python3", "-c", program, env=clean).split("\n")[:2]
    assert os.path.basename(path).startswith(SONAME)
    assert path.startswith(str(root / "usr/lib"))
    assert shape == "(1, 2)"


def test_the_command_and_its_page(root, clean):
    assert run(root / "usr/bin/diffeo", "--help", env=clean).startswith("usage: diffeo")
    (page,) = root.glob("usr/share/man/man1/diffeo.1*")
    if shutil.which("man"):
        told = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, env=clean)
        assert told.stderr == ""
        assert "diffeo to-noise" in told.stdout
    for name in ("bash-completion/completions/diffeo", "zsh/vendor-completions/_diffeo"):
        assert "to-noise" in (root / "usr/share" / name).read_text()


def test_the_library_wants_hdf5(folder, library):
    (package,) = folder.glob("libdiffeo[0-9]*.deb")
    wants = run("dpkg-deb", "-f", package, "Depends")
    assert ("libhdf5" in wants) == (b"libhdf5_serial.so." in library.read_bytes())


@needs("lintian")
def test_lintian(folder):
    (changes,) = folder.glob("*.changes")
    told = subprocess.run(["lintian", "-I", "--profile", "debian", changes], capture_output=True, text=True)
    assert [line for line in told.stdout.splitlines() if not line.startswith(EXPECTED)] == []
    assert told.stdout.count(EXPECTED) == 2
