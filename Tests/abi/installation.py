"""`make install` into a folder of its own, and a program built against it by pkg-config and by CMake."""

import os
import shutil
import subprocess
from pathlib import Path

from common import PROJECT, SONAME, Checks, Skip, compilers, wrong

PROGRAM = """#include <diffeo.h>
#include <string.h>
int main(void) { return strcmp(diffeo_version_string(), DIFFEO_VERSION_STRING); }
"""
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(diffeo 0.2 REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE diffeo::diffeo)
"""


def checks(library: Path, folder: Path) -> Checks:
    prefix, source = folder / "prefix", folder / "user"
    source.mkdir()
    (source / "user.c").write_text(PROGRAM)
    (source / "CMakeLists.txt").write_text(CMAKE_LISTS)

    yield "installs", wrong(PROJECT / "scripts/install", library, "/opt/diffeo", prefix)
    installed = prefix / "opt/diffeo"
    expected = ["include/diffeo.h", "include/diffeo_loader.h", "lib/libdiffeo.so", f"lib/{SONAME}"]
    yield "DESTDIR is a folder of its own", " ".join(name for name in expected if not (installed / name).exists())
    yield "DESTDIR is in no file", wrong("sh", "-c", f"! grep -rI '{prefix}' '{prefix}'")

    found = compilers("cc")
    if not (found and shutil.which("pkg-config")):
        yield "pkg-config", Skip("cc or pkg-config is not installed")
    else:
        environment = os.environ | {"PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
        command = ["pkg-config", f"--define-variable=prefix={installed}", "--cflags", "--libs", "diffeo"]
        flags = subprocess.run(command, env=environment, capture_output=True, text=True).stdout.split()
        user, search = source / "user", {"LD_LIBRARY_PATH": str(installed / "lib")}
        yield "a program builds with pkg-config", wrong(found[0], source / "user.c", *flags, "-o", user)
        yield "and runs", wrong(user, env=os.environ | search)

    if not shutil.which("cmake"):
        yield "find_package(diffeo)", Skip("cmake is not installed")
        return
    build = source / "build"
    yield "find_package(diffeo)", wrong("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    yield "a program builds with CMake", wrong("cmake", "--build", build)
    yield "and runs", wrong(build / "user")
    (source / "CMakeLists.txt").write_text(CMAKE_LISTS.replace("diffeo 0.2", "diffeo 0.1"))
    refused = wrong("cmake", "-S", source, "-B", source / "other", f"-DCMAKE_PREFIX_PATH={installed}")
    yield "CMake refuses another minor version", "" if "0.2.0" in refused else f"it does not: {refused}"
