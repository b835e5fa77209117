"""`make install` into a folder of its own, and a program built against it by pkg-config and by CMake."""

import os
import re
import subprocess

import pytest
from support import PROJECT, SONAME, compilers, needs, run

PROGRAM = """#include <diffeo.h>
#include <string.h>
int main(void) { return strcmp(diffeo_version_string(), DIFFEO_VERSION_STRING); }
"""
CPP_PROGRAM = """#include <diffeo.hpp>
int main() { return diffeo::spec(2).add_coupling().build().dim() != 2; }
"""
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.16)
project(user C CXX)
find_package(diffeo 0.2 REQUIRED)
add_executable(user user.c)
add_executable(user_cpp user.cpp)
foreach(program user user_cpp)
  target_link_libraries(${program} PRIVATE diffeo::diffeo)
endforeach()
target_compile_features(user_cpp PRIVATE cxx_std_17)
"""


@pytest.fixture(scope="module")
def prefix(library, tmp_path_factory):
    """DESTDIR, in which it is installed at /opt/diffeo."""
    folder = tmp_path_factory.mktemp("prefix")
    run(PROJECT / "scripts/install", library, "/opt/diffeo", folder)
    return folder


@pytest.fixture(scope="module")
def installed(prefix):
    return prefix / "opt/diffeo"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "user.c").write_text(PROGRAM)
    (tmp_path / "user.cpp").write_text(CPP_PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE_LISTS)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "include/diffeo.h",
        "include/diffeo.hpp",
        "include/diffeo.f90",
        "include/diffeo_loader.h",
        "lib/libdiffeo.so",
        f"lib/{SONAME}",
    ],
)
def test_installs_into_destdir(name, installed):
    assert (installed / name).exists()


def test_destdir_is_in_no_file(prefix):
    assert subprocess.run(["grep", "-rI", prefix, prefix], capture_output=True, text=True).stdout == ""


@needs("cc", "pkg-config")
def test_a_program_builds_with_pkg_config_and_runs(installed, source):
    environment = os.environ | {"PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    command = ["pkg-config", f"--define-variable=prefix={installed}", "--cflags", "--libs", "diffeo"]
    flags = run(*command, env=environment).split()
    run(compilers("cc")[0], source / "user.c", *flags, "-o", source / "user")
    run(source / "user", env=os.environ | {"LD_LIBRARY_PATH": str(installed / "lib")})


@needs("cc", "pkg-config", "cmake", "make", "g++")
def test_the_library_may_be_deeper(library, source, tmp_path):
    """As in a Debian package, where each machine has a folder of its own in lib."""
    libdir = "lib/some-linux-gnu"
    run(PROJECT / "scripts/install", library, tmp_path / "usr", "/", libdir)
    assert not list((tmp_path / "usr/lib").glob("*.so*"))
    environment = os.environ | {"PKG_CONFIG_PATH": str(tmp_path / "usr" / libdir / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "diffeo", env=environment).split()
    assert f"-L{tmp_path}/usr/{libdir}" in " ".join(flags).replace("//", "/")
    run("cmake", "-S", source, "-B", source / "build", f"-Ddiffeo_DIR={tmp_path / 'usr' / libdir / 'cmake/diffeo'}")
    run("cmake", "--build", source / "build")
    run(source / "build/user")


@needs("cmake", "make", "g++")
def test_a_program_builds_with_cmake_and_runs(installed, source):
    build = source / "build"
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", build)
    run(build / "user")
    run(build / "user_cpp")


@needs("cmake", "make", "g++")
def test_cmake_refuses_another_minor_version(installed, source):
    (source / "CMakeLists.txt").write_text(CMAKE_LISTS.replace("diffeo 0.2", "diffeo 0.1"))
    command = ["cmake", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={installed}"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode
    assert "0.2.0" in refused.stderr


# ---------------------------------------------------------------------------- a prefix that is not the system's


@pytest.fixture(scope="module")
def opt(library, tmp_path_factory):
    """Where /opt/diffeo of the documents is."""
    prefix = tmp_path_factory.mktemp("opt") / "diffeo"
    run(PROJECT / "scripts/install", library, prefix, "/")
    return prefix


def documented():
    """The commands of docs/languages.md for such a prefix."""
    (section,) = re.findall(
        r"## Where programs find the library\n(.*?)\n## ", (PROJECT / "docs/languages.md").read_text(), re.DOTALL
    )
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param(each, marks=needs("cc", "pkg-config", *(["cmake", "make"] if "cmake" in each else [])))
        for each in documented()
    ],
    ids=["rpath", "LD_LIBRARY_PATH", "moved", "cmake"],
)
def test_the_documented_commands(commands, opt, tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM)
    cmake = CMAKE_LISTS.partition("add_executable")[0].replace("C CXX", "C")
    cmake += "add_executable(program program.c)\ntarget_link_libraries(program PRIVATE diffeo::diffeo)\n"
    (tmp_path / "CMakeLists.txt").write_text(cmake + "install(TARGETS program)\n")
    without = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH")}
    run("sh", "-e", "-c", commands.replace("/opt/diffeo", str(opt)), env=without, cwd=tmp_path)


@needs("cc", "pkg-config")
def test_a_program_without_either_does_not_start(opt, tmp_path):
    """Else the commands would show nothing."""
    (tmp_path / "program.c").write_text(PROGRAM)
    run("cc", "program.c", "-o", "program", f"-I{opt}/include", f"-L{opt}/lib", "-ldiffeo", cwd=tmp_path)
    without = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    started = subprocess.run([tmp_path / "program"], capture_output=True, text=True, env=without)
    if "cannot open shared object file" not in started.stderr:
        pytest.skip("this system has a libdiffeo of its own")
    assert started.returncode


@needs("cc", "pkg-config")
def test_pkg_config_static_asks_for_nothing_more(opt):
    environment = os.environ | {"PKG_CONFIG_PATH": str(opt / "lib/pkgconfig")}
    static = run("pkg-config", "--static", "--cflags", "--libs", "diffeo", env=environment)
    assert static == run("pkg-config", "--cflags", "--libs", "diffeo", env=environment)
    assert f"-L{opt}/lib -ldiffeo" in static
