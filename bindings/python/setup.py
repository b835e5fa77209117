"""Puts the shared library and its header into the package; the rest of the build is in pyproject.toml."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PROJECT = Path(__file__).resolve().parents[2]


def library() -> Path:
    """The library that DIFFEO_LIBRARY names, else that of the source tree, which is built if it is not there."""
    if named := os.environ.get("DIFFEO_LIBRARY"):
        return Path(named).resolve(strict=True)
    built = PROJECT / ".build/release/libdiffeo.so"
    if not built.is_file():
        if not (PROJECT / "Makefile").is_file():
            raise SystemExit("diffeo is built from its source tree; elsewhere, set DIFFEO_LIBRARY to libdiffeo.so")
        subprocess.run(["make", "-C", str(PROJECT)], check=True)
    return built


class BuildWithLibrary(build_py):
    """Copies the library, without its debugging symbols, and the header; an editable install finds them in the tree."""

    def run(self) -> None:
        super().run()
        source = library()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "diffeo/libdiffeo.so")
        shutil.copyfile(source, target)
        target.chmod(0o755)
        if strip := shutil.which("strip"):
            subprocess.run([strip, "--strip-unneeded", str(target)], check=True)
        if (header := PROJECT / "include/diffeo.h").is_file():
            shutil.copyfile(header, target.with_name("diffeo.h"))


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and any Python 3: ctypes needs no Python ABI."""

    def get_tag(self) -> tuple[str, str, str]:
        # scripts/dist says what the library runs on; else it is this system.
        return "py3", "none", os.environ.get("DIFFEO_PLATFORM") or super().get_tag()[2]


class PlatformDistribution(Distribution):
    """One with binary content, though without extension modules."""

    def has_ext_modules(self) -> bool:
        return True


setup(distclass=PlatformDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
