"""docs/weight-file.md is enough to write and to read a weight file with h5py and numpy alone."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
diffeo = pytest.importorskip("diffeo")

DOCUMENT = Path(__file__).parents[2] / "docs" / "weight-file.md"


@pytest.fixture
def written(tmp_path):
    """The names that the document's program leaves behind, and the path of the file it writes."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names, here = {}, os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(program, names)
    finally:
        os.chdir(here)
    return names, tmp_path / "flow.h5"


def test_the_document_s_program_writes_a_valid_file(written):
    names, path = written
    flow = diffeo.load(str(path))
    np.testing.assert_allclose(flow.log_prob(names["x"]), names["log_prob"], rtol=1e-12)


def test_its_self_test_guards_it(written):
    names, path = written
    with h5py.File(path, "r+") as f:
        f["layers/002/shift"][0] += 1e-3
    with pytest.raises(Exception, match="self-test"):
        diffeo.load(str(path))


def test_a_saved_file_is_as_documented(written, tmp_path):
    names, path = written
    diffeo.load(str(path)).save(str(tmp_path / "again.h5"))
    with h5py.File(tmp_path / "again.h5") as f:
        assert f.attrs["format"] == b"diffeo"
        assert list(f.attrs["format_version"]) == [1, 0]
        assert f.attrs["dtype"] == b"float64"
        assert f.attrs["dim"] == 3 and f.attrs["context_dim"] == 0 and list(f.attrs["event_shape"]) == [3]
        assert f["base"].attrs["kind"] == b"standard_normal"
        assert [f["layers"][i].attrs["kind"] for i in ("000", "001", "002")] == [
            b"standardize", b"permutation", b"actnorm"]
        for i, (_, arrays) in enumerate(names["layers"]):
            for name, values in arrays.items():
                np.testing.assert_array_equal(f[f"layers/{i:03}/{name}"], values)
        assert f["self_test/x"].shape == (5, 3) and f["self_test/log_prob"].shape == (5,)
