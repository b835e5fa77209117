"""The lines of docs/flows.md run, in Python and in C, and its pictures and links are there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

diffeo = pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_python():
    names = {}
    for block in blocks("python"):
        exec(compile(block, block, "exec"), names)


def test_c(tmp_path):
    """The first block makes options and a flow; each of the others goes on from its options."""
    first, *others = blocks("c")
    begin = first[: first.index("diffeo_maf_create")]
    check = 'if (!flow) return fprintf(stderr, "%s\\n", diffeo_last_error()), 1;\ndiffeo_flow_destroy(flow);\n'
    body = "".join(f"{{\n{code}{check}}}\n" for code in [first, *(begin + block for block in others)])
    (tmp_path / "main.c").write_text(f"#include <diffeo.h>\n#include <stdio.h>\nint main(void) {{\n{body}}}\n")
    library = Path(os.environ.get("DIFFEO_LIBRARY", ROOT / ".build/release/libdiffeo.so"))
    os.symlink(library, tmp_path / "libdiffeo.so.0")
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "main.c", tmp_path / "libdiffeo.so.0",
         "-o", "main"], cwd=tmp_path, check=True)  # fmt: skip
    done = subprocess.run(
        ["./main"], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr


def test_pictures_are_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / "docs" / picture).is_file(), picture


def test_links_within_the_page():
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
