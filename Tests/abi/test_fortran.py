"""diffeo.f90: it is what the header says, compiles without a warning, and works with floating-point traps on."""

import os
import re
from itertools import pairwise

import pytest
from support import HERE, PROJECT, SONAME, declared, needs, run

MODULE = PROJECT / "include/diffeo.f90"
# Results that are the same are compared.
FLAGS = ["-std=f2018", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wno-compare-reals"]
TRAPS = "-ffpe-trap=invalid,zero,overflow"
DESCRIBED = (PROJECT / "abi/diffeo.abi").read_text()

pytestmark = needs("gfortran")


@pytest.fixture
def built(library, tmp_path):
    """Compiles a program with the module and runs it."""
    (tmp_path / SONAME).symlink_to(library)

    def ran(source, *flags):
        run("gfortran", *FLAGS, *flags, MODULE, source, "-o", tmp_path / "front", library, cwd=tmp_path)
        return run(tmp_path / "front", tmp_path, env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}, cwd=tmp_path)

    return ran


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_front(level, built):
    assert built(HERE / "front.f90", level, TRAPS, "-fcheck=all") == "ok\n"


def test_functions_and_their_arguments():
    """In the order of the header."""
    text = re.sub(r"&\n\s*", "", MODULE.read_text())
    ours = dict(re.findall(r"\n    (?:function|subroutine) (\w+)\((.*)\) bind\(c, name='\1'\)", text))
    assert list(ours) == declared()
    for name, arguments in re.findall(
        r"DIFFEO_API[^()]*?(\w+)\(([^()]*)\);", (HERE / "../../include/diffeo.h").read_text()
    ):
        theirs = [] if arguments == "void" else [re.search(r"(\w+)\s*$", each)[1] for each in arguments.split(",")]
        assert ours[name] == ", ".join(theirs)


def test_structs_and_constants(built, tmp_path):
    """A program prints where fields are and what constants are: as abi/diffeo.abi has them."""
    fields = re.findall(r"^field (\w+)\.(\w+) offset (\d+) size (\d+)", DESCRIBED, re.M)
    enumerators = re.findall(r"^enumerator (\w+) (-?\d+)", DESCRIBED, re.M)
    structs = list(dict.fromkeys(name for name, *_ in fields))
    lines = ["program layouts", "use diffeo", "implicit none"]
    lines += [f"type({name}), target :: the_{name.removeprefix('diffeo_')}" for name in structs]
    for name, field, *_ in fields:
        the = f"the_{name.removeprefix('diffeo_')}"
        lines.append(f"print '(i0)', transfer(c_loc({the}%{field}), 0_c_intptr_t) - &")
        lines.append(f"  transfer(c_loc({the}), 0_c_intptr_t)")
        lines.append(f"print '(i0)', storage_size({the}%{field})/8")
    lines += [f"print '(i0)', {name}" for name, _ in enumerators]
    lines += [f"print '(i0)', c_sizeof(the_{name.removeprefix('diffeo_')})" for name in structs]
    source = tmp_path / "layouts.f90"
    source.write_text("\n".join([*lines, "end program", ""]))
    printed = built(source).split()
    expected = [number for *_, offset, size in fields for number in (offset, size)] + [
        value for _, value in enumerators
    ]
    ends = [this for this, after in pairwise([*fields, ("",)]) if this[0] != after[0]]
    assert printed == expected + [str(-(-(int(offset) + int(size)) // 8) * 8) for *_, offset, size in ends]


def test_the_program_of_the_documents(built, tmp_path):
    (code,) = re.findall(r"```fortran\n(.*?)```", (PROJECT / "docs/languages.md").read_text(), re.DOTALL)
    source = tmp_path / "first.f90"
    source.write_text(code)
    assert float(built(source, TRAPS)) < 0
    assert (tmp_path / "flow.h5").is_file()
