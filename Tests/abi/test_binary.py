"""The shared library as a file: what it exports, what it needs, how large it is."""

import platform
import re

import pytest
from support import HEADER, NODE, PROJECT, SONAME, declared, needs, run

NEEDED = r"libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1|ld-linux\S+"
GLIBC = r"glibc (2\.\d+) or newer"  # as the documents say it
pytestmark = needs("nm", "readelf", "strip")


@pytest.fixture(scope="module")
def dynamic(library):
    return run("readelf", "-dW", library)


def test_exports_the_functions_of_the_header_at_its_node_and_nothing_else(library):
    table = run("nm", "-D", "--defined-only", "--extern-only", library)
    exported = set(re.findall(r"^\S* [A-Z] (\S+)", table, re.M))
    assert exported - {NODE} == {f"{name}@@{NODE}" for name in declared()}


def test_needs_the_c_library_only(dynamic):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert not [name for name in needed if not re.fullmatch(NEEDED, name)]


def test_leaves_hdf5_to_nobody_else(library):
    """Its functions are inside, or opened where no other HDF5 can take their place."""
    assert not re.findall(r" U (H5\w+)", run("nm", "-D", "--undefined-only", library))


def version(text):
    return tuple(map(int, text.split(".")))


def test_needs_no_newer_glibc_than_it_says(library):
    """Not of our own: what the linker takes in, of the Swift runtime and of what stands beside it, counts too."""
    (oldest,) = re.findall(GLIBC, HEADER.read_text())
    if version(platform.libc_ver()[1]) >= (2, 38):
        pytest.skip("built where functions that the Swift runtime calls, such as fmod, have newer versions than 2.36")
    needed = re.findall(r" U (\w+)@+GLIBC_([\d.]+)$", run("nm", "-D", "--undefined-only", library), re.M)
    assert needed
    assert not [f"{name} of {since}" for name, since in needed if version(since) > version(oldest)]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/install.md"])
def test_documents_name_the_glibc_of_the_header(name):
    assert set(re.findall(GLIBC, (PROJECT / name).read_text())) == set(re.findall(GLIBC, HEADER.read_text()))


def test_soname(dynamic):
    assert re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) == [SONAME]


def test_searches_nowhere_but_beside_itself(dynamic):
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic)
    assert not [path for path in paths if path != "$ORIGIN"]


def test_size_stripped(library, tmp_path):
    """At most 11 MB, and 12 with HDF5 and libstdc++ inside."""
    run("strip", "--strip-unneeded", "-o", tmp_path / "libdiffeo.so", library)
    bytes_ = (tmp_path / "libdiffeo.so").read_bytes()
    assert len(bytes_) <= (12e6 if b"H5Dchunk.c" in bytes_ else 11e6)


def test_no_foundation_inside(library):
    assert not re.findall(r"\S*(?:10Foundation|20FoundationEssentials)\S*", run("nm", library))


def test_kernels_have_no_weak_functions(library):
    """One of the AVX-512 objects, kept by the linker for all, would run on machines without AVX-512."""
    objects = sorted(library.parent.glob("Kernels*.build/**/*.o"))
    if not objects:
        pytest.skip(f"there are no objects beside {library}: it was not built here")
    weak = [
        f"{path.parent.name}/{path.name}: {name}"
        for path in objects
        for name in re.findall(r" FUNC +WEAK +\S+ +(?!UND)\S+ (\S+)", run("readelf", "-sW", path))
    ]
    assert not weak
