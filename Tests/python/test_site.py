"""`make docs`: every link leads somewhere, and what it makes takes nothing from the network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

for tool in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(tool, reason="Sphinx is not installed: make docs")
pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built as the Makefile builds it, somewhere else. Warnings are errors there."""
    folder = tmp_path_factory.mktemp("site")
    (command,) = re.findall(r"^\t\$\(PYTHON\) (-m sphinx .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "-W" in command.split()
    command = command.replace("build/docs", str(folder / "docs")).replace("build/doctrees", str(folder / "trees"))
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "docs"


class Page(HTMLParser):
    """What a page fetches, and what it links to."""

    def __init__(self, path):
        super().__init__()
        self.fetched, self.links = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a":
            self.links.add(attributes.get("href"))
        elif tag != "link" or attributes.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched |= {attributes.get("src"), attributes.get("href")}


def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_nothing_comes_from_the_network(site):
    fetched = set().union(*(page.fetched for page in pages(site).values())) - {None}
    assert any(name.endswith("searchtools.js") for name in {name.partition("?")[0] for name in fetched})
    assert not [name for name in fetched if re.match(r"(\w+:)?//", name)]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//\S*", styles)


def test_the_first_page_leads_to_every_page(site):
    found, to_come = set(), [site / "index.html"]
    read = pages(site)
    while to_come:
        path = to_come.pop()
        if path in read and path not in found:
            found.add(path)
            local = [link.partition("#")[0] for link in read[path].links - {None} if "://" not in link]
            to_come += [(path.parent / link).resolve() for link in local if link]
    assert {path.relative_to(site).as_posix() for path in set(read) - found} <= {"search.html"}


def test_pages_of_the_repository_are_there(site):
    missing = [path for path in (ROOT / "docs").rglob("*.md")
               if not (site / path.relative_to(ROOT)).with_suffix(".html").is_file()]  # fmt: skip
    assert not missing
