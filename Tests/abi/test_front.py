"""diffeo.hpp: compiles without a warning with each compiler, standard and with Eigen, and does what diffeo.h does."""

import os
import re
from pathlib import Path

import pytest
from support import HERE, INCLUDE, PROJECT, SONAME, compilers, declared, needs, run

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wold-style-cast"]
WARNINGS += ["-Wnon-virtual-dtor", "-Werror"]
EIGEN = Path("/usr/include/eigen3")
CASES = [(compiler, standard) for compiler in compilers("g++", "clang++") for standard in ("c++17", "c++20")]
each_compiler = pytest.mark.parametrize(
    ("compiler", "standard"), CASES, ids=[f"{Path(compiler).name}-{standard}" for compiler, standard in CASES]
)


def compiled(compiler, standard, source, library, folder, *flags):
    program = folder / "front"
    command = [compiler, f"-std={standard}", *WARNINGS, *INCLUDE, *flags, source, "-o", program]
    run(*command, library, "-pthread")
    return program


@pytest.fixture
def by_soname(library, tmp_path):
    """A folder with the library by its SONAME, which programs look for, as their environment."""
    (tmp_path / SONAME).symlink_to(library)
    return os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}


def test_there_is_a_compiler():
    if not CASES:
        pytest.skip("g++ not installed: scripts/setup-tests installs what tests use")


@each_compiler
def test_front(compiler, standard, library, by_soname, tmp_path):
    program = compiled(compiler, standard, HERE / "front.cpp", library, tmp_path)
    assert run(program, tmp_path, env=by_soname) == "ok\n"


@needs(f"{EIGEN}/Eigen/Dense")
@pytest.mark.parametrize("compiler", compilers("g++", "clang++"), ids=lambda path: Path(path).name)
def test_front_with_eigen(compiler, library, by_soname, tmp_path):
    flags = ["-DWITH_EIGEN", "-isystem", EIGEN]
    program = compiled(compiler, "c++17", HERE / "front.cpp", library, tmp_path, *flags)
    assert run(program, tmp_path, env=by_soname) == "ok\n"


def test_every_function_has_a_method():
    """But those of which get() is the way, and what C++ calls as it is."""
    used = set(re.findall(r"\bdiffeo_\w+", (PROJECT / "include/diffeo.hpp").read_text()))
    assert [name for name in declared() if name not in used] == [
        "diffeo_version_number",
        "diffeo_version_string",
        "diffeo_status_name",
        "diffeo_rows_create_f32",
        "diffeo_rows_create_f64",
        "diffeo_flow_log_prob_file",
        "diffeo_flow_sample_file",
    ]


def options_program():
    """Each option is the library's unless it is set, and then arrives in the struct of C: by abi/diffeo.abi."""
    lines = ["#include <diffeo.hpp>", "#include <cstring>", "int main() {"]
    for name, c_fields in structs().items():
        lines.append(f"  {{ diffeo::{name}_options::in_c made(diffeo::{name}_options{{}}); diffeo_{name}_options c;")
        lines.append(f"    diffeo_{name}_options_init(&c, sizeof c);")
        lines.append("    if (std::memcmp(made.get(), &c, sizeof c)) return 1; }")
        for number, (field, kind) in enumerate(c_fields.items(), 1):
            known = [count for count in (f"{field}_count", f"{field.removesuffix('s')}_count") if count in c_fields]
            if field == "struct_size" or field.startswith("reserved") or field.endswith("_count"):
                continue
            if "diffeo_" in kind:
                inner = re.search(r"diffeo_(\w+)", kind)[1]
                value, check = f"diffeo::{inner}{{}}", f"c.{field} && c.{field}->struct_size == sizeof *c.{field}"
            elif kind == "const char *":
                value, check = '"words"', f'!std::strcmp(c.{field}, "words")'
            elif kind.endswith("*"):
                value, check = "{7, 8, 9}", f"c.{field}[0] == 7 && c.{field}[2] == 9"
                check += "".join(f" && c.{count} == 3" for count in known)
            else:
                value, check = str(number), f"c.{field} == {number}"
            lines.append(f"  {{ const auto options = diffeo::{name}_options().set_{field}({value});")
            lines.append(f"    const diffeo::{name}_options::in_c made(options); const auto &c = *made.get();")
            lines.append(f"    if (!({check})) return 2; }}")
    return "\n".join([*lines, "}", ""])


def structs():
    """Those of options, with their fields: {'network': {'struct_size': 'size_t', ...}, ...}."""
    found = {}
    for line in (PROJECT / "abi/diffeo.abi").read_text().splitlines():
        if match := re.fullmatch(r"field diffeo_(\w+)_options\.(\w+) offset \d+ size \d+ type (.*)", line):
            found.setdefault(match[1], {})[match[2]] = match[3]
    return found


@each_compiler
def test_every_option_arrives(compiler, standard, library, by_soname, tmp_path):
    assert len(structs()) > 10
    source = tmp_path / "options.cpp"
    source.write_text(options_program())
    run(compiled(compiler, standard, source, library, tmp_path), env=by_soname)


@each_compiler
def test_without_exceptions_it_says_so(compiler, standard, tmp_path):
    source = tmp_path / "none.cpp"
    source.write_text("#include <diffeo.hpp>\n")
    command = [compiler, f"-std={standard}", "-fno-exceptions", "-fsyntax-only", "-Wfatal-errors", *INCLUDE, source]
    with pytest.raises(pytest.fail.Exception, match=r"use diffeo\.h"):
        run(*command)


@each_compiler
def test_the_program_of_the_documents(compiler, standard, library, by_soname, tmp_path):
    (code,) = re.findall(r"```cpp\n(.*?)```", (PROJECT / "docs/languages.md").read_text(), re.DOTALL)
    source = tmp_path / "program.cpp"
    source.write_text(code)
    printed = run(compiled(compiler, standard, source, library, tmp_path), env=by_soname, cwd=tmp_path)
    assert re.fullmatch(r"dim 2: \S+\n", printed)
