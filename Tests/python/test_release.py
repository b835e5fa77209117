"""scripts/check-release: the version is the same everywhere, a place where it is not is found; conda's recipe."""

import re
import runpy
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = runpy.run_path(str(ROOT / "scripts/check-release"), run_name="check")
PLACES, read, faults = CHECK["PLACES"], CHECK["read"], CHECK["faults"]


def test_the_version_is_the_same_everywhere():
    done = subprocess.run([ROOT / "scripts/check-release"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("name", "pattern", "meaning"), PLACES)
@pytest.mark.parametrize("change", ["another", "nothing"])
def test_a_place_that_differs_is_found(name, pattern, meaning, change):
    whole = read(name)
    found = re.search(pattern, whole, re.MULTILINE)
    start, end = found.span(1) if change == "another" else found.span()

    def changed(asked):
        if asked != name:
            return read(asked)
        if change == "another":
            return whole[:start] + found[1].replace("0", "7") + "7" + whole[end:]
        return re.sub(pattern, "", whole, flags=re.MULTILINE)

    assert any(line.startswith(f"{name}: ") for line in faults(changed))


@pytest.mark.parametrize("part", ["MAJOR", "MINOR", "PATCH"])
def test_another_version_in_the_header_is_another_everywhere(part):
    """But where only the SONAME stands, if the patch has moved."""

    def changed(asked):
        return re.sub(rf"(VERSION_{part}) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 1}", read(asked))

    said = CHECK["words"](changed)
    moved = {meaning for meaning in ("version", "number", "series", "soname", "package") if meaning in said}
    moved -= {"series", "soname", "package"} if part == "PATCH" else set()
    expected = {name for name, _, meaning in PLACES if meaning in moved}
    assert {line.partition(":")[0] for line in faults(changed)} == expected


def test_a_tag_wants_more():
    tagged = {
        "CHANGELOG.md": lambda text: re.sub(r"## Unreleased \(([\d.]+)\)", r"## \1 (2026-12-01)", text),
        "packaging/debian/changelog": lambda text: text.replace("UNRELEASED", "unstable"),
        "abi/released.abi": lambda text: read("abi/diffeo.abi"),
    }

    def all_but(left):
        return lambda name: read(name) if name == left else tagged.get(name, str)(read(name))

    assert not list(faults(all_but(None), tag=True))
    for name in tagged:
        if tagged[name](read(name)) != read(name):
            assert [line.partition(":")[0] for line in faults(all_but(name), tag=True)] == [name]


def test_the_recipe_of_conda_gives_packages_for_linux_alone():
    rattler = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    recipe = rattler.Stage0Recipe.from_file(ROOT / "packaging/conda/recipe.yaml")
    variants = rattler.VariantConfig.from_file(ROOT / "packaging/conda/variants.yaml")

    def packages(platform):
        config = rattler.RenderConfig(platform=rattler.PlatformConfig(target_platform=platform))
        return [each.recipe.package.name for each in recipe.render(variants, config)]

    assert packages("linux-64") == ["libdiffeo", "diffeo"]
    assert packages("osx-arm64") == packages("linux-aarch64") == []
