"""Flows on Dask: the bits of one machine, from any chunks, from files and from workers that die."""

import logging
import os
import signal
import time

import diffeo
import numpy as np
import pytest
from diffeo.errors import InvalidArgumentError, NumericError, ShapeError

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")

import diffeo.dask  # noqa: E402


def equal(a, b):
    """To the bit; what is lazy is computed."""
    return np.array_equal(np.asarray(a), np.asarray(b))


CHUNKS = ((170, 1, 400, 429), (2, 1))


@pytest.fixture(params=[0, 2], ids=["plain", "conditional"])
def case(request):
    """A flow, rows and a context for each, and both as arrays of Dask with chunks that do not fit."""
    flow = diffeo.maf(3, transforms=2, hidden=(9,), context_dim=request.param, seed=2)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1000, 3))
    x[:, 1] += x[:, 0] ** 2
    if not request.param:
        return flow, x, None, da.from_array(x, chunks=CHUNKS), None
    context = rng.normal(size=(1000, 2))
    return flow, x, context, da.from_array(x, chunks=CHUNKS), da.from_array(context, chunks=(300, 1))


def test_rows_have_the_bits_of_one_machine(case):
    flow, x, context, chunked, chunked_context = case
    log_prob = diffeo.dask.log_prob(flow, chunked, chunked_context)
    assert log_prob.shape == (1000,)
    assert log_prob.dtype == np.float64
    assert log_prob.chunks == CHUNKS[:1]
    assert equal(log_prob.compute(), flow.log_prob(x, context))
    z, log_det = dask.compute(*diffeo.dask.to_noise(flow, chunked, chunked_context))
    expected = flow.to_noise(x, context)
    assert equal(z, expected[0])
    assert equal(log_det, expected[1])
    back, log_det = dask.compute(*diffeo.dask.from_noise(flow, da.from_array(z, chunks=CHUNKS), chunked_context))
    expected = flow.from_noise(z, context)
    assert equal(back, expected[0])
    assert equal(log_det, expected[1])


@pytest.mark.parametrize(("given", "dtype"), [("float32", "float32"), ("int32", "float32"), (">f8", "float64")])
def test_dtypes_are_those_of_the_flow_s_methods(given, dtype):
    flow = diffeo.maf(2, hidden=(9,))
    x = (10 * np.random.default_rng(4).normal(size=(100, 2))).astype(given)
    found = diffeo.dask.log_prob(flow, da.from_array(x, chunks=(30, 2)))
    assert found.dtype == dtype
    assert found.compute().dtype == dtype
    assert equal(found, flow.log_prob(x))


def test_samples_have_the_bits_of_one_machine(case):
    flow, _, context, _, chunked_context = case
    x, log_prob = flow.sample_and_log_prob(1000, context, seed=2**63, first_row=2**64 - 1000)
    for chunks in ("auto", 170, CHUNKS[0]):
        found = diffeo.dask.sample_and_log_prob(
            flow, 1000, chunked_context, seed=2**63, first_row=2**64 - 1000, chunks=chunks
        )
        assert found[0].dtype == flow.dtype
        assert chunks != 170 or found[0].numblocks == (6, 1)
        assert equal(found[0], x)
        assert equal(found[1], log_prob)
    fresh = diffeo.dask.sample(flow, 1000, chunked_context, chunks=170)
    assert equal(fresh, fresh.compute())
    assert not equal(fresh, diffeo.dask.sample(flow, 1000, chunked_context, chunks=170))


def test_one_context_serves_all_rows(case):
    flow, x, context, chunked, _ = case
    row = None if context is None else context[0]
    assert equal(diffeo.dask.log_prob(flow, chunked, row), flow.log_prob(x, row))
    assert equal(diffeo.dask.sample(flow, 10, row, seed=1, chunks=3), flow.sample(10, row, seed=1))


def test_importance_has_the_numbers_of_one_machine(case):
    flow, _, context, _, _ = case
    row = None if context is None else context[0]
    whole = diffeo.importance(flow, log_density, 5000, row, seed=3)
    pieces = diffeo.dask.importance(flow, log_density, 5000, row, seed=3, chunks=700)
    assert pieces.x.numblocks == (8, 1)
    assert equal(pieces.x, whole.x)
    assert equal(pieces.log_weights, whole.log_weights)
    for name in ("log_evidence", "log_evidence_error", "effective_samples", "pareto_k"):
        assert getattr(pieces, name) == getattr(whole, name)
    assert pieces.mean(pieces.x[:, 0]) == whole.mean(whole.x[:, 0])
    with pytest.raises(NumericError, match="nan in row 4999"):
        diffeo.dask.importance(
            flow, lambda x: np.where(x == whole.x[-1], np.nan, x)[:, 0], 5000, row, seed=3, chunks=700
        )


def log_density(x):
    return -0.5 * (x**2).sum(axis=1), -x  # with a gradient, which is not asked for


def test_an_ensemble_of_trainings_is_that_of_one_machine(case):
    flow, x, context, chunked, chunked_context = case
    options = {"max_epochs": 3, "batch_size": 100, "lr": 1e-2}
    before = flow.parameters()
    trainings = [diffeo.dask.fit(flow, x, context, seed=seed, **options) for seed in range(3)]
    trainings.append(diffeo.dask.fit(flow, chunked, chunked_context, seed=2, **options))
    found = dask.compute(*trainings)
    assert equal(flow.parameters(), before)
    for seed, (trained, history) in zip([0, 1, 2, 2], found, strict=True):
        alone = diffeo.from_bytes(flow.to_bytes())
        expected = alone.fit(x, context, seed=seed, progress=False, **options)
        assert equal(trained.parameters(), alone.parameters())
        assert history.best_epoch > 0
        assert history.validation_log_prob == expected.validation_log_prob
    one, _ = diffeo.dask.fit(flow, x, context, seed=1, **options)
    assert equal(one.compute().parameters(), found[1][0].parameters())


def test_tasks_take_one_thread_and_leave_others_alone():
    diffeo.set_num_threads(2)
    flow = diffeo.maf(2, hidden=(9,))
    seen = []

    def density(x):
        seen.append(diffeo.get_num_threads())
        return x[:, 0]

    with dask.config.set(scheduler="synchronous"):
        diffeo.dask.importance(flow, density, 100)
    assert seen == [1]
    assert diffeo.get_num_threads() == 2


def test_a_graph_has_the_flow_once():
    flow = diffeo.maf(2, hidden=(9,))
    graph = dict(diffeo.dask.log_prob(flow, da.zeros((1000, 2), chunks=(10, 2))).__dask_graph__())
    assert sum("Flow" in str(key) for key in graph) == 1
    x = np.zeros((10, 2))
    trainings = [diffeo.dask.fit(flow, x, seed=seed) for seed in range(5)]
    keys = {key for training in trainings for key in training.__dask_graph__()}
    assert len(keys) == 6


def test_hdf5(tmp_path, case):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    flow, x, context, _, _ = case
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["group/x"] = x
        if context is not None:
            file["context"] = context
    with h5py.File(tmp_path / "rows.h5") as file:
        given = None if context is None else file["context"]
        chunked = None if context is None else da.from_array(given, chunks=(300, 1))
        found = diffeo.dask.log_prob(flow, da.from_array(file["group/x"], chunks=(128, -1)), chunked)
        assert equal(found, flow.log_prob(x, context))
        training = diffeo.dask.fit(flow, file["group/x"], given, max_epochs=2)
    alone = diffeo.from_bytes(flow.to_bytes())
    alone.fit(x, context, max_epochs=2, progress=False)
    trained, _ = dask.compute(training)[0]
    assert equal(trained.parameters(), alone.parameters())


def test_columns_of_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    x = np.random.default_rng(1).normal(size=(500, 2))
    flow = diffeo.maf(2, transforms=2, hidden=(9,))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["ra"], file["dec"] = x.T
        named, listed = {"ra": file["ra"], "dec": file["dec"]}, [file["ra"], file["dec"]]
        trainings = [diffeo.dask.fit(flow, columns, max_epochs=1) for columns in (named, listed)]
    (one, _), (other, _) = dask.compute(*trainings)
    flow.fit(x, max_epochs=1, progress=False)
    assert one.columns == ("ra", "dec")
    assert other.columns is None
    assert equal(one.parameters(), flow.parameters())
    assert equal(other.parameters(), flow.parameters())


def test_zarr(tmp_path, case):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    flow, x, context, _, chunked_context = case
    stored = zarr.create_array(store=str(tmp_path / "x.zarr"), data=x, chunks=(128, 3))
    found = diffeo.dask.log_prob(flow, da.from_zarr(stored), chunked_context)
    assert equal(found, flow.log_prob(x, context))
    trained, _ = dask.compute(diffeo.dask.fit(flow, stored, context, max_epochs=2))[0]
    alone = diffeo.from_bytes(flow.to_bytes())
    alone.fit(x, context, max_epochs=2, progress=False)
    assert equal(trained.parameters(), alone.parameters())


def test_parquet(tmp_path):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
    x = np.random.default_rng(1).normal(size=(500, 2))
    frame = pd.DataFrame(x, columns=["ra", "dec"])
    for piece in range(4):
        frame[125 * piece : 125 * (piece + 1)].to_parquet(tmp_path / f"{piece}.parquet")
    stored = dd.read_parquet(tmp_path)
    flow, history = dask.compute(diffeo.dask.fit(diffeo.maf(2, hidden=(9,)), stored, max_epochs=1))[0]
    assert flow.columns == ("ra", "dec")
    assert len(history) == 1
    assert equal(diffeo.dask.log_prob(flow, stored[["dec", "ra"]]), flow.log_prob(x))
    conditional = diffeo.maf(1, hidden=(9,), context_dim=1)
    found = diffeo.dask.log_prob(conditional, stored[["ra"]], stored[["dec"]])
    assert equal(found, conditional.log_prob(x[:, :1], x[:, 1:]))
    with pytest.raises(InvalidArgumentError, match="'ra' missing; 'mass' unknown"):
        diffeo.dask.log_prob(flow, stored.rename(columns={"ra": "mass"}))
    with pytest.raises(ShapeError, match="context has 2 chunks of rows, x has 4"):
        diffeo.dask.log_prob(conditional, stored[["ra"]], stored[["dec"]].repartition(npartitions=2))


def test_wrong_shapes():
    flow, x = diffeo.maf(3, hidden=(9,)), da.zeros((10, 3), chunks=(5, 3))
    conditional = diffeo.maf(3, hidden=(9,), context_dim=2)
    with pytest.raises(ShapeError, match="x has 2 columns, this flow has dim 3"):
        diffeo.dask.log_prob(flow, x[:, :2])
    with pytest.raises(ShapeError, match=r"z has shape \(10,\), expected \(n, 3\)"):
        diffeo.dask.from_noise(flow, x[:, 0])
    with pytest.raises(TypeError, match="x must be an array or a data frame of Dask, not list"):
        diffeo.dask.log_prob(flow, [[0.0, 1.0, 2.0]])
    with pytest.raises(ShapeError, match="context given, but this flow has context_dim 0"):
        diffeo.dask.log_prob(flow, x, [1.0, 2.0])
    with pytest.raises(ShapeError, match="context is missing: this flow has context_dim 2"):
        diffeo.dask.sample(conditional, 10)
    with pytest.raises(ShapeError, match=r"context has shape \(3,\), expected a dask.array, or one row \(2,\)"):
        diffeo.dask.log_prob(conditional, x, [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="context has 10 rows, the sample has 11"):
        diffeo.dask.sample(conditional, 11, x[:, :2])
    with pytest.raises(ShapeError, match=r"context has shape \(2, 2\), expected one row"):
        diffeo.dask.importance(conditional, log_density, 10, np.zeros((2, 2)))


def test_cloudpickle(case):
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    flow, x, context, _, _ = case
    function = cloudpickle.loads(cloudpickle.dumps(lambda rows: flow.log_prob(rows, context)))
    assert equal(function(x), flow.log_prob(x, context))


# ---------------------------------------------------------------------------------------- two workers, one dies


@pytest.fixture(scope="module")
def client():
    """Two worker processes with a thread each."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def kill_one(client, condition):
    """Kill a worker as soon as it has done something and the condition, of its address, is true."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for address, pid in client.run(os.getpid).items():
            if condition(address):
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.02)
    pytest.fail("no worker came to where it was to be killed")


def slowly(rows):
    time.sleep(0.1)
    return rows


def test_scores_and_samples_survive_a_worker(client, case):
    distributed = pytest.importorskip("distributed")
    flow, _, context, _, _ = case
    row = None if context is None else context[0]
    x = diffeo.dask.sample(flow, 4000, row, seed=1, chunks=100).map_blocks(slowly)
    log_prob = diffeo.dask.log_prob(flow, x, row).persist()
    futures = distributed.futures_of(log_prob)
    kill_one(client, lambda address: len(client.has_what()[address]) > 3)
    assert sum(future.done() for future in futures) < len(futures)
    expected = flow.sample(4000, row, seed=1)
    assert equal(log_prob.compute(), flow.log_prob(expected, row))


def test_a_training_goes_on_from_its_checkpoint_when_its_worker_dies(client, tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    x = np.random.default_rng(1).normal(size=(4000, 2))
    x[:, 1] += x[:, 0] ** 2
    flow, path = diffeo.maf(2, transforms=2, hidden=(32,)), tmp_path / "checkpoint.h5"
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["x"] = x
        training = diffeo.dask.fit(
            flow, file["x"], max_epochs=60, patience=0, checkpoint=path, on_progress=lambda trainer: time.sleep(0.05)
        )
    future = client.compute(training)
    kill_one(client, lambda address: client.processing()[address] and path.exists())
    assert not future.done()
    trained, history = future.result()
    flow.fit(x, max_epochs=60, patience=0, progress=False)
    assert history.epoch[0] > 1  # those before were of the worker that died
    assert history.epoch[-1] == 60
    assert history.best_epoch > 1
    assert equal(trained.parameters(), flow.parameters())


@pytest.mark.parametrize("context_dim", [0, 2])
def test_images(context_dim):
    """In chunks of every axis, as bytes; and rows in place of images."""
    flow = diffeo.glow_image((1, 4, 4), steps=1, hidden=(5,), quantization=9, context_dim=context_dim)
    rng = np.random.default_rng(4)
    x, context = rng.integers(9, size=(60, 1, 4, 4), dtype=np.uint8), rng.normal(size=(60, 2)) if context_dim else None
    chunked = da.from_array(x, chunks=((11, 49), 1, 2, (3, 1)))
    given = None if context is None else da.from_array(context, chunks=(7, 2))
    assert equal(diffeo.dask.log_prob(flow, chunked, given), flow.log_prob(x, context))
    z, log_det = diffeo.dask.to_noise(flow, chunked, given)
    assert z.shape == x.shape
    assert z.chunks[0] == (11, 49)
    expected = flow.to_noise(x, context)
    assert equal(z, expected[0])
    assert equal(log_det, expected[1])
    assert equal(diffeo.dask.from_noise(flow, z, given)[0], flow.from_noise(expected[0], context)[0])
    rows = diffeo.dask.to_noise(flow, chunked.reshape(60, 16), given)[0]
    assert rows.shape == (60, 16)
    assert equal(rows, expected[0].reshape(60, 16))
    one = None if context is None else context[0]
    samples, log_prob = diffeo.dask.sample_and_log_prob(flow, 20, one, seed=3, chunks=6)
    drawn = flow.sample_and_log_prob(20, one, seed=3)
    assert samples.shape == (20, 1, 4, 4)
    assert equal(samples, drawn[0])
    assert equal(log_prob, drawn[1])
    found = diffeo.dask.importance(flow, lambda x: -0.5 * (x**2).sum(axis=(1, 2, 3)), 50, one, chunks=20)
    expected = diffeo.importance(flow, lambda x: -0.5 * (x**2).sum(axis=(1, 2, 3)), 50, one)
    assert found.log_evidence == expected.log_evidence
    assert found.x.shape == (50, 1, 4, 4)
    with pytest.raises(ShapeError, match=r"x has shape \(60, 4, 4, 1\), expected \(n, 1, 4, 4\)"):
        diffeo.dask.log_prob(flow, da.zeros((60, 4, 4, 1)))
