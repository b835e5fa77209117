"""Hosts of other languages: packages and programs of bindings/, run where the language is installed."""

import os
import re
import shutil

import pytest
from support import PROJECT, needs, run

BINDINGS = PROJECT / "bindings"


@pytest.fixture(scope="module")
def installed(library, tmp_path_factory):
    """The library in a prefix of its own, as `make install` puts it."""
    prefix = tmp_path_factory.mktemp("languages") / "diffeo"
    run(PROJECT / "scripts/install", library, prefix, "/")
    return prefix


@pytest.fixture(scope="module")
def environment(installed):
    """With which a prefix that is not the system's is found."""
    return os.environ | {
        "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig"),
        "LD_LIBRARY_PATH": str(installed / "lib"),
        "OMP_NUM_THREADS": "1",
    }


def blocks(language):
    """The programs of a language in the documents."""
    return re.findall(rf"```{language}\n(.*?)```", (PROJECT / "docs/languages.md").read_text(), re.DOTALL)


# -------------------------------------------------------------------------------------------------------------------- R


@pytest.fixture(scope="module")
def r_library(environment, tmp_path_factory):
    """The package, built from a copy, in a library of its own. It finds diffeo without LD_LIBRARY_PATH."""
    folder = tmp_path_factory.mktemp("r")
    shutil.copytree(BINDINGS / "r", folder / "diffeo")
    (folder / "library").mkdir()
    without = {name: value for name, value in environment.items() if name != "LD_LIBRARY_PATH"}
    run("R", "CMD", "INSTALL", f"--library={folder / 'library'}", folder / "diffeo", env=without, cwd=folder)
    return without | {"R_LIBS": str(folder / "library")}


@needs("R", "cc", "pkg-config")
def test_r(r_library, tmp_path):
    assert run("Rscript", BINDINGS / "r/tests/flows.R", env=r_library, cwd=tmp_path).endswith("ok\n")


@needs("R", "cc", "pkg-config")
def test_r_of_the_documents(r_library, tmp_path):
    (code,) = blocks("r")
    (tmp_path / "program.R").write_text(code)
    run("Rscript", "program.R", env=r_library, cwd=tmp_path)
    assert (tmp_path / "flow.h5").is_file()


# ----------------------------------------------------------------------------------------------------------------- Rust


@needs("rustc")
def test_rust(installed, environment, tmp_path):
    """By the compiler alone; Debian's rustc is 1.63."""
    rustc = "/usr/bin/rustc" if os.path.exists("/usr/bin/rustc") else "rustc"
    flags = ["--edition", "2021", "-D", "warnings", "-L", installed / "lib", "--out-dir", tmp_path]
    run(rustc, *flags, "--crate-type", "rlib", "--crate-name", "diffeo", BINDINGS / "rust/src/lib.rs")
    program = BINDINGS / "rust/examples/flows.rs"
    run(rustc, *flags, program, "--extern", f"diffeo={tmp_path / 'libdiffeo.rlib'}")
    assert run(tmp_path / "flows", tmp_path, env=environment) == "ok\n"


@needs("cargo", "pkg-config")
def test_rust_by_cargo(environment, tmp_path):
    """A program finds the library without LD_LIBRARY_PATH."""
    shutil.copytree(BINDINGS / "rust", tmp_path / "diffeo")
    without = {name: value for name, value in environment.items() if name != "LD_LIBRARY_PATH"}
    command = ["cargo", "run", "--quiet", "--offline", "--example", "flows", tmp_path]
    assert run(*command, env=without, cwd=tmp_path / "diffeo").endswith("ok\n")


def described():
    """(struct, field, offset, size) and (enumerator, number) of abi/diffeo.abi."""
    text = (PROJECT / "abi/diffeo.abi").read_text()
    fields = re.findall(r"^field (\w+)\.(\w+) offset (\d+) size (\d+)", text, re.M)
    return fields, re.findall(r"^enumerator (\w+) (-?\d+)", text, re.M)


@needs("rustc")
def test_rust_has_the_structs_and_constants_of_c(environment, installed, tmp_path):
    fields, enumerators = described()
    lines = ['#[path = "' + str(BINDINGS / "rust/src/sys.rs") + '"]', "mod sys;", "fn main() { unsafe {"]
    for struct, field, offset, size in fields:
        lines.append(f"let it = std::mem::MaybeUninit::<sys::{struct}>::zeroed(); let to = it.as_ptr();")
        lines.append(f"let at = std::ptr::addr_of!((*to).{field});")
        lines.append(f"assert_eq!((at as usize - to as usize, std::mem::size_of_val(&*at)), ({offset}, {size}));")
    lines += [f"assert_eq!(sys::{name}, {number});" for name, number in enumerators]
    (tmp_path / "layouts.rs").write_text("\n".join([*lines, "} }", ""]))
    flags = ["--edition", "2021", "-A", "dead_code", "-L", installed / "lib", "--out-dir", tmp_path]
    run("rustc", *flags, tmp_path / "layouts.rs")
    run(tmp_path / "layouts", env=environment)


# ------------------------------------------------------------------------------------------------------------------ Lua


@needs("luajit")
def test_lua_has_the_structs_and_constants_of_c(library, tmp_path):
    fields, enumerators = described()
    lines = ['local ffi, diffeo = require "ffi", require "diffeo"']
    lines += [f'assert(ffi.offsetof("{struct}", "{field}") == {offset})' for struct, field, offset, _ in fields]
    lines += [f"assert(diffeo.{name} == {number})" for name, number in enumerators]
    functions = (PROJECT / "abi/diffeo.symbols").read_text().split()
    lines += [f"assert(diffeo.{name})" for name in functions]
    (tmp_path / "layouts.lua").write_text("\n".join(lines))
    variables = {"DIFFEO_LIBRARY": str(library), "LUA_PATH": f"{BINDINGS / 'lua'}/?.lua"}
    run("luajit", tmp_path / "layouts.lua", env=os.environ | variables)


@needs("luajit")
def test_luajit(library, tmp_path):
    with_library = os.environ | {"DIFFEO_LIBRARY": str(library)}
    assert run("luajit", BINDINGS / "lua/flows.lua", tmp_path, env=with_library).endswith("ok\n")


@needs("luajit")
def test_luajit_finds_the_installed_library(environment, tmp_path):
    without = {name: value for name, value in environment.items() if name != "DIFFEO_LIBRARY"}
    assert run("luajit", BINDINGS / "lua/flows.lua", tmp_path, env=without).endswith("ok\n")


# ----------------------------------------------------------------------------------------------------------------- Java

JNA = "/usr/share/java/jna.jar"


@needs("javac", "java", JNA)
def test_java(library, tmp_path):
    classes = f"{JNA}:{tmp_path}"
    sources = [BINDINGS / "java/diffeo/Diffeo.java", BINDINGS / "java/Flows.java"]
    run("javac", "-Xlint:all", "-Werror", "-encoding", "UTF-8", "-cp", JNA, "-d", tmp_path, *sources)
    command = ["java", f"-Ddiffeo.library={library}", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8"]
    assert run(*command, "-cp", classes, "Flows", tmp_path).endswith("ok\n")
    assert (tmp_path / "flow-java-é.h5").is_file()


@needs("javac", "java", JNA)
def test_java_has_the_structs_and_constants_of_c(library, tmp_path):
    """Sizes of structs: their fields follow one another without gaps. Functions are found when the class is loaded."""
    fields, enumerators = described()
    ends = {struct: -(-(int(offset) + int(size)) // 8) * 8 for struct, _, offset, size in fields}
    lines = ["import static diffeo.Diffeo.*;", "public final class Layouts {", "public static void main(String[] a) {"]
    for struct, size in ends.items():
        lines.append(f'if (new {struct}().size() != {size}) throw new AssertionError("{struct}");')
    lines += [f'if ({name} != {number}) throw new AssertionError("{name}");' for name, number in enumerators]
    (tmp_path / "Layouts.java").write_text("\n".join([*lines, "}", "}", ""]))
    run("javac", "-cp", JNA, "-d", tmp_path, BINDINGS / "java/diffeo/Diffeo.java", tmp_path / "Layouts.java")
    run("java", f"-Ddiffeo.library={library}", "-cp", f"{JNA}:{tmp_path}", "Layouts")


# --------------------------------------------------------------------------------------------------------------- Octave


@pytest.fixture(scope="module")
def octave(environment, tmp_path_factory):
    """The MEX file, which is compiled as the documents say."""
    folder = tmp_path_factory.mktemp("octave")
    for name in ("diffeo_mex.c", "diffeo_flow.m"):
        shutil.copy(BINDINGS / "octave" / name, folder)
    (command,) = [line for block in blocks("sh") for line in block.splitlines() if "mkoctfile" in line]
    run("sh", "-c", command, env=environment | {"CFLAGS": "-Wall -Wextra -Werror -O1"}, cwd=folder)
    return ["octave", "--no-gui", "--norc", "--path", folder]


@needs("octave", "mkoctfile", "pkg-config")
def test_octave(octave, environment, tmp_path):
    without = {name: value for name, value in environment.items() if name != "LD_LIBRARY_PATH"}
    printed = run(*octave, BINDINGS / "octave/flows.m", tmp_path, env=without, cwd=tmp_path)
    assert printed.endswith("ok\n")


# -------------------------------------------------------------------------------------------------------------- Julia


@pytest.mark.skipif(not shutil.which("julia"), reason="there is no julia, for which Debian has no package")
def test_julia(library, tmp_path):
    program = f'include("{BINDINGS / "julia/Diffeo.jl"}"); print(unsafe_string(Diffeo.diffeo_version_string()))'
    printed = run("julia", "-e", program, env=os.environ | {"DIFFEO_LIBRARY": str(library)})
    assert printed == re.search(r'DIFFEO_VERSION_STRING "(.*)"', (PROJECT / "include/diffeo.h").read_text())[1]


# -------------------------------------------------------------------------------------------- programs of the documents


@needs("rustc")
def test_rust_of_the_documents(installed, environment, tmp_path):
    (code,) = blocks("rust")
    (tmp_path / "program.rs").write_text(code)
    flags = ["--edition", "2021", "-L", installed / "lib", "--out-dir", tmp_path]
    run("rustc", *flags, "--crate-type", "rlib", "--crate-name", "diffeo", BINDINGS / "rust/src/lib.rs")
    run("rustc", *flags, tmp_path / "program.rs", "--extern", f"diffeo={tmp_path / 'libdiffeo.rlib'}")
    run(tmp_path / "program", env=environment, cwd=tmp_path)
    assert (tmp_path / "flow.h5").is_file()


@needs("luajit")
def test_lua_of_the_documents(library, tmp_path):
    (code,) = blocks("lua")
    (tmp_path / "program.lua").write_text(code)
    variables = {"DIFFEO_LIBRARY": str(library), "LUA_PATH": f"{BINDINGS / 'lua'}/?.lua"}
    assert "nothing.h5" in run("luajit", "program.lua", env=os.environ | variables, cwd=tmp_path)


@needs("javac", "java", JNA)
def test_java_of_the_documents(library, tmp_path):
    (code,) = blocks("java")
    (tmp_path / "Program.java").write_text(code)
    run("javac", "-cp", JNA, "-d", tmp_path, BINDINGS / "java/diffeo/Diffeo.java", tmp_path / "Program.java")
    assert float(run("java", f"-Ddiffeo.library={library}", "-cp", f"{JNA}:{tmp_path}", "Program")) < 0


@needs("octave", "mkoctfile", "pkg-config")
def test_octave_of_the_documents(octave, environment, tmp_path):
    (code,) = blocks("octave")
    (tmp_path / "program.m").write_text(code)
    run(*octave, "program.m", env=environment, cwd=tmp_path)
    assert (tmp_path / "flow.h5").is_file()
