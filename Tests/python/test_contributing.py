"""What CONTRIBUTING.md names is there: files, targets of make, words in files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
PROSE = re.sub(r"\s+", " ", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MADE = {".build", ".venv"}  # by make


def found(pattern):
    return sorted(set(re.findall(pattern, PROSE)))


def is_path(word):
    return re.fullmatch(r"[\w.*/-]+", word) and ("/" in word or re.search(r"\.(md|py|swift|h|c|txt)$", word))


PATHS = {word for code in found(r"`([^`]+)`") for word in code.split() if is_path(word)}
PATHS |= {path for path in found(r"\]\(([^)#]+)")}
PATHS |= {word for block in BLOCKS for word in block.split() if is_path(word)}
COMMANDS = [*found(r"\bmake ((?:[a-z-]+ ?)+)`"), *re.findall(r"^make ([a-z -]+?) +#", "".join(BLOCKS), re.MULTILINE)]


def test_the_page_is_read():
    assert {"include/diffeo.h", "docs/architecture.md", "scripts/setup-tests"} <= PATHS
    assert {"bits", "format lint", "test"} <= set(COMMANDS)
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_path_is_there(path):
    if Path(path).parts[0] in MADE:
        return
    places = [ROOT, ROOT / "bindings/python/diffeo/exchange"] if "/" not in path else [ROOT]
    assert any(any(place.glob(path)) for place in places), path


@pytest.mark.parametrize("command", COMMANDS)
def test_make_has_the_target(command):
    assert set(command.split()) <= TARGETS


@pytest.mark.parametrize(("word", "path"), found(r"`(\w+)` in `([^`]+)`"))
def test_a_word_is_in_its_file(word, path):
    assert re.search(rf"\b{word}\b", (ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("anchor", found(r"\]\(#([^)]+)\)"))
def test_a_section_is_there(anchor):
    assert anchor in {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
