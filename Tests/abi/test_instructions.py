"""Instructions of some calls, counted by callgrind and held to instructions.txt: a slow-down seen without a clock.

They repeat to a thousandth. Another compiler gives others, and so does another HDF5 to loading: these are not compared.
`make instructions` writes the table anew.
"""

import os
import platform
import re
import warnings

import pytest
from support import HERE, needs, run

TABLE = HERE / "instructions.txt"
EXPECTED = dict(line.split(None, 1) for line in TABLE.read_text().splitlines() if line and not line.startswith("#"))
MORE, FEWER = 0.05, 0.10  # so many more fail; so many fewer are told, so that the table can follow

pytestmark = [
    pytest.mark.slow,
    needs("valgrind", "/usr/include/valgrind/callgrind.h"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions expected are of x86-64"),
]


@pytest.fixture(scope="session")
def found(library, bare_library, program, tmp_path_factory):
    """What instructions.txt has, of this library."""
    folder = tmp_path_factory.mktemp("instructions")
    # This valgrind has no AVX-512.
    environment = os.environ | {"DIFFEO_LIBRARY": str(bare_library), "DIFFEO_MAX_ISA": "avx2"}
    callgrind = f"valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file={folder / 'counts'}"
    run(*callgrind.split(), program("instructions"), folder, env=environment)
    texts = [path.read_text() for path in folder.glob("counts.*")]
    names = dict(re.findall(r"Client Request: (\S+).*^totals: (\d+)", text, re.M | re.S)[0] for text in texts)
    hdf5 = next((name for text in texts for name in re.findall(r"ob=.*/(libhdf5\S*)", text)), "no HDF5")
    compiler = re.search(r"clang version .*", run("readelf", "-p", ".comment", library))
    made = {"compiler": compiler[0] if compiler else "an unknown compiler", "hdf5": hdf5} | dict(sorted(names.items()))
    if "DIFFEO_WRITE_INSTRUCTIONS" in os.environ:
        lines = "".join(f"{name} {value}\n" for name, value in made.items())
        TABLE.write_text(f"# Instructions of one thread with at most AVX2; written by make instructions.\n{lines}")
        pytest.exit(TABLE.read_text(), 0)
    return made


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in ("compiler", "hdf5")])
def test_instructions(name, found):
    if found["compiler"] != EXPECTED["compiler"]:
        pytest.skip(f"the instructions expected are of {EXPECTED['compiler']}, these of {found['compiler']}")
    if name.endswith("load") and found["hdf5"] != EXPECTED["hdf5"]:
        pytest.skip(f"the instructions expected of {name} are with {EXPECTED['hdf5']}, these with {found['hdf5']}")
    count, expected = int(found.get(name, 0)), int(EXPECTED[name])
    change = f"{count:,}, {count / expected - 1:+.1%} of the {expected:,} in {TABLE.name}"
    assert 0 < count <= (1 + MORE) * expected, f"{change}; if it must be so: make instructions"
    if count < (1 - FEWER) * expected:
        warnings.warn(f"{name}: {change}: tighten it with make instructions", stacklevel=1)


def test_every_count_is_in_the_table(found):
    assert found.keys() == EXPECTED.keys()
