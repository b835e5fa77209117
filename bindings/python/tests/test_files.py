"""Files, bytes, pickles, other processes, metadata, parameters."""

import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
import weakref
from pathlib import Path

import diffeo
import numpy as np
import pytest
from conftest import LENGTH
from diffeo import _threads


def test_a_file_holds_the_flow(trained, moons, tmp_path):
    for path in tmp_path / "flow.h5", str(tmp_path / "Größe 流.h5"):
        trained.save(path)
        again = diffeo.load(path)
        np.testing.assert_array_equal(again.log_prob(moons), trained.log_prob(moons))
        np.testing.assert_array_equal(again.sample(10, seed=1), trained.sample(10, seed=1))
        assert dict(again.metadata) == {"data": "two moons"}
        assert str(again) == str(trained)
    assert len(list(tmp_path.iterdir())) == 2


def test_bytes_are_the_file(trained, moons, tmp_path):
    image = trained.to_bytes()
    for form in image, bytearray(image), memoryview(image):
        np.testing.assert_array_equal(diffeo.from_bytes(form).log_prob(moons), trained.log_prob(moons))
    (tmp_path / "flow.h5").write_bytes(image)
    np.testing.assert_array_equal(diffeo.load(tmp_path / "flow.h5").parameters(), trained.parameters())


def test_files_that_cannot_be(trained, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        diffeo.load(tmp_path / "none.h5")
    assert isinstance(caught.value, diffeo.Error)
    assert caught.value.name == "DIFFEO_EIO"
    assert caught.value.filename == str(tmp_path / "none.h5")
    with pytest.raises(FileNotFoundError):
        trained.save(tmp_path / "none" / "flow.h5")
    with pytest.raises(OSError):
        trained.save(tmp_path)
    (tmp_path / "text.h5").write_text("not a flow")
    with pytest.raises(ValueError) as caught:
        diffeo.load(tmp_path / "text.h5")
    assert caught.value.name == "DIFFEO_EFORMAT"
    with pytest.raises(ValueError):
        diffeo.from_bytes(b"")
    with pytest.raises(ValueError):
        diffeo.from_bytes(trained.to_bytes()[:1000])
    with pytest.raises(ValueError, match="null"):
        diffeo.load("a\0b")
    with pytest.raises(TypeError):
        diffeo.load(3)


SAVING = """
import sys, diffeo
flows = [diffeo.maf(2, transforms=2, hidden=(64,), seed=seed) for seed in (1, 2)]
for turn in range(10**9):
    flows[turn % 2].save(sys.argv[1])
    if turn == 0:
        print("saved", flush=True)
"""


@pytest.mark.long
def test_a_kill_while_saving_leaves_the_old_file_or_the_new_one(tmp_path):
    whole = [diffeo.maf(2, transforms=2, hidden=(64,), seed=seed).to_bytes() for seed in (1, 2)]
    path, random = tmp_path / "flow.h5", np.random.default_rng(12)
    for _ in range(3 * LENGTH):
        with subprocess.Popen([sys.executable, "-c", SAVING, path], stdout=subprocess.PIPE) as saving:
            assert saving.stdout.readline() == b"saved\n"
            time.sleep(random.uniform(0, 0.05))
            saving.kill()
        assert path.read_bytes() in whole


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(trained, moons, protocol):
    again = pickle.loads(pickle.dumps(trained, protocol))
    np.testing.assert_array_equal(again.log_prob(moons), trained.log_prob(moons))
    assert dict(again.metadata) == dict(trained.metadata)


def test_an_untrained_flow_pickles(moons):
    flow = diffeo.maf(dim=2, transforms=1, hidden=(8,))
    again = pickle.loads(pickle.dumps(flow))
    for each in flow, again:
        each.fit(moons[:300], max_epochs=1, progress=False)
    np.testing.assert_array_equal(again.parameters(), flow.parameters())


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_copies_are_independent(trained, moons, copier):
    other = copier(trained)
    other.metadata["data"] = "other"
    other.fit(moons, validation=0.0, max_epochs=1, progress=False)
    assert trained.metadata["data"] == "two moons"
    assert (other.log_prob(moons) != trained.log_prob(moons)).any()


def in_child(flow, x):
    return flow.log_prob(x), flow.sample(5, seed=1), diffeo.get_num_threads()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(trained, moons, method):
    diffeo.set_num_threads(2)
    expected = trained.log_prob(moons)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for log_prob, samples, threads in pool.starmap(in_child, [(trained, moons)] * 4):
            np.testing.assert_array_equal(log_prob, expected)
            np.testing.assert_array_equal(samples, trained.sample(5, seed=1))
            assert threads >= 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_inherits_flows_but_not_workspaces(trained, moons):
    diffeo.set_num_threads(2)
    expected = trained.log_prob(moons)  # makes the workspace of the parent
    child = os.fork()
    if child == 0:
        status = 1
        try:
            same = (trained.log_prob(moons) == expected).all()
            _threads._local.__dict__.clear()  # ends the child's workspace; that of the parent was let go before
            del trained
            gc.collect()
            status = 0 if same else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(trained.log_prob(moons), expected)


def test_handles_end_with_their_flow(trained_bytes):
    flow = diffeo.from_bytes(trained_bytes)
    handle = weakref.ref(flow._handle)
    metadata = flow.metadata
    del flow
    gc.collect()
    assert handle() is not None
    assert metadata["data"] == "two moons"
    del metadata
    gc.collect()
    assert handle() is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_flows_do_not_leak(trained_bytes):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def churn():
        for _ in range(30):
            diffeo.maf(dim=8, hidden=(256, 256))

    churn()
    before = resident()
    churn()
    assert resident() - before < 20e6  # all of them would be 60 MB


def test_metadata(trained):
    metadata = trained.metadata
    metadata["b"] = "2"
    metadata["a"] = "größer\n流"
    assert list(metadata) == ["a", "b", "data"]
    assert len(metadata) == 3
    assert metadata["a"] == "größer\n流"
    assert metadata == {"a": "größer\n流", "b": "2", "data": "two moons"}
    assert "b" in metadata
    assert "c" not in metadata
    assert metadata.get("c", "none") == "none"
    metadata["b"] = ""
    assert trained.metadata["b"] == ""
    assert metadata.pop("b") == ""
    del metadata["a"]
    assert repr(metadata) == "{'data': 'two moons'}"
    with pytest.raises(KeyError):
        metadata["a"]
    with pytest.raises(KeyError):
        del metadata["a"]
    metadata.update(x="1", y="2")
    metadata.clear()
    assert dict(metadata) == {}


def test_metadata_that_cannot_be(trained):
    for key, value in ("", "value"), ("k" * 256, "value"), ("k", "v" * 65536), ("k\0", "value"), ("k", "v\0"):
        with pytest.raises(ValueError):
            trained.metadata[key] = value
    for key, value in ("k", 3), (3, "value"):
        with pytest.raises(TypeError):
            trained.metadata[key] = value
    trained.metadata["k" * 255] = "v" * 65535
    assert diffeo.from_bytes(trained.to_bytes()).metadata["k" * 255] == "v" * 65535


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters(dtype, moons):
    flow = diffeo.maf(dim=2, transforms=2, hidden=(8,), dtype=dtype, seed=1)
    theta = flow.parameters()
    assert theta.shape == (flow.parameter_count,)
    assert theta.dtype == dtype
    same = flow.with_parameters(theta)
    np.testing.assert_array_equal(same.log_prob(moons), flow.log_prob(moons))
    np.testing.assert_array_equal(flow.with_parameters(theta.tolist()).parameters(), theta)
    moved = flow.with_parameters(theta.astype(np.float64) + 0.25)
    assert (moved.log_prob(moons) != flow.log_prob(moons)).any()
    np.testing.assert_array_equal(flow.parameters(), theta)
    theta[:] = 7.0
    assert (flow.parameters() != 7.0).any()


def test_parameters_that_cannot_be(trained):
    theta = trained.parameters()
    with pytest.raises(ValueError, match=rf"parameters has shape \({theta.size - 1},\), expected \({theta.size},\)"):
        trained.with_parameters(theta[1:])
    theta[3] = np.nan
    with pytest.raises(ArithmeticError):
        trained.with_parameters(theta)


def test_with_parameters_keeps_the_metadata(trained):
    assert dict(trained.with_parameters(trained.parameters()).metadata) == {"data": "two moons"}


def test_errors_are_the_built_in_ones_too():
    errors = diffeo.errors
    for kind, built_in in {
        errors.InvalidArgumentError: ValueError,
        errors.OutOfMemoryError: MemoryError,
        errors.ShapeError: ValueError,
        errors.DtypeError: ValueError,
        errors.FileError: OSError,
        errors.MissingFileError: FileNotFoundError,
        errors.FormatError: ValueError,
        errors.VersionError: ValueError,
        errors.NumericError: ArithmeticError,
        errors.StateError: RuntimeError,
        errors.UnsupportedError: NotImplementedError,
        errors.InternalError: RuntimeError,
    }.items():
        error = kind("what was wrong")
        assert isinstance(error, built_in)
        assert isinstance(error, diffeo.Error)
        assert str(error) == "what was wrong"
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.status, again.name) == (kind, kind.status, kind.name)


def test_sizes_of_images_are_modest(trained):
    assert sys.getsizeof(trained.to_bytes()) < 40 * trained.parameter_count + 100_000
