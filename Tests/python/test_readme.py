"""The README's two programs, as they stand there: Python trains and saves, C loads and samples."""

import os
import re
import subprocess
import sys
from pathlib import Path

from diffeo._abi import SONAME

ROOT = Path(__file__).resolve().parents[2]


def block(language: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return code


def test_python_trains_and_c_samples(tmp_path):
    subprocess.run([sys.executable, "-c", block("python")], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "flow.h5").is_file()

    (tmp_path / "main.c").write_text(block("c"))
    library = Path(os.environ.get("DIFFEO_LIBRARY", ROOT / ".build/release/libdiffeo.so"))
    os.symlink(library, tmp_path / SONAME)
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "main.c", tmp_path / SONAME,
         "-o", "main"], cwd=tmp_path, check=True)  # fmt: skip
    output = subprocess.run(
        ["./main"], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})  # fmt: skip
    x0, x1, log_prob = map(float, re.fullmatch(r"(\S+) (\S+): (\S+)\n", output.stdout).groups())
    assert abs(x0) < 6 and -8 < x1 < 40 and -30 < log_prob < 1
