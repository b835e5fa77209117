"""Rows that are read when they are needed: the same numbers as arrays, bounded memory, failures as themselves."""

import os
import subprocess
import sys
from pathlib import Path

import diffeo
import numpy as np
import pytest
from diffeo import _abi, _rows, errors
from diffeo._interface import Rows

N = 20_000
SMALL = 1 << 18  # bytes, which hold a part of the rows
STORED = Path(__file__).resolve().parents[3] / "Tests/fuzz/data"
h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def x():
    x = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    x[:, 1] += x[:, 0] ** 2
    return x


@pytest.fixture(scope="module")
def file(x, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "data.h5"
    table = np.zeros(N, [("a", "f4"), ("b", "f8"), ("c", "f4")])
    table["a"], table["b"], table["c"] = x.T
    with h5py.File(path, "w") as f:
        f["x"] = x
        f.create_dataset("compressed", data=x, chunks=(3000, 2), compression="gzip", shuffle=True)
        f.create_dataset("double", data=x.astype(np.float64), chunks=(1000, 3))
        f.create_dataset("table", data=table, chunks=(1000,), compression="gzip")
        f["weights"] = np.linspace(0.5, 1.5, N)
        f.create_dataset("bytes", data=np.random.default_rng(1).integers(0, 256, (N, 3), np.uint8), compression="gzip")
        for i, name in enumerate("abc"):
            f[name] = x[:, i]
    with h5py.File(path) as f:
        yield f


@pytest.fixture(scope="module")
def npy(x, tmp_path_factory):
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    np.save(path, x)
    return path


def flow(context_dim=0, dim=3):
    return diffeo.maf(dim=dim, context_dim=context_dim, transforms=2, hidden=(16,))


def trained(x, context=None, rows_memory=SMALL, **options):
    made = flow(0 if context is None else 1)
    made.fit(x, context, max_epochs=2, progress=False, rows_memory=rows_memory, **options)
    return made


def same(a, b):
    return bool((a.parameters() == b.parameters()).all())


@pytest.fixture(scope="module")
def by_the_block(npy):
    return trained(np.load(npy, mmap_mode="r"))


@pytest.mark.parametrize("name", ["x", "compressed", "double", "table"])
def test_data_sets_train_as_memory_maps(name, file, by_the_block):
    made = trained(file[name])
    assert same(made, by_the_block)
    assert made.columns == (("a", "b", "c") if name == "table" else None)


def by_the_library(path, x):
    """Rows that it reads by itself, as from C: their densities, by way of a file."""
    rows = _abi.create(Rows, _abi.lib.diffeo_rows_open, os.fsencode(path), x, None, None)
    made = diffeo.Spec(dim=_abi.lib.diffeo_rows_dim(rows), dtype="float64").build()
    to = f"{path}.log_prob"
    _abi.lib.diffeo_flow_log_prob_file(made._handle, rows, None, os.fsencode(to))
    with h5py.File(to) as f:
        return made, f["log_prob"][()]


@pytest.mark.parametrize("path", sorted(STORED.glob("*.h5")), ids=lambda path: path.stem)
def test_however_they_are_stored(path, tmp_path):
    (tmp_path / "data.h5").write_bytes(path.read_bytes())
    with h5py.File(path) as f:
        rows = f["in/x"][()]
    if rows.dtype.names:
        rows = np.stack([rows[name] for name in rows.dtype.names], axis=1)
    try:
        made, log_prob = by_the_library(tmp_path / "data.h5", b"in/x")
    except errors.UnsupportedError as error:
        if "filter 4, which is not installed" not in str(error):
            raise
        pytest.skip(str(error))  # SZIP, without which HDF5 may be built
    assert (log_prob == made.log_prob(rows.astype(np.float64))).all()


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"fletcher32": True}])
def test_what_is_compressed_gives_all_of_a_chunk(options, tmp_path):
    """HDF5 reads on behind what is too short."""
    path, n = tmp_path / "short.h5", 1 << 20
    with h5py.File(path, "w") as f:
        made = f.create_dataset("x", (n, 3), "f8", chunks=(n, 3), compression="gzip", **options)
        short = f.create_dataset("short", (8, 3), "f8", chunks=(8, 3), compression="gzip", **options)
        short[:] = 1.0
        made.id.write_direct_chunk((0, 0), short.id.read_direct_chunk((0, 0))[1])
        made = f.create_dataset("skipped", (n, 3), "f8", chunks=(n, 3), compression="gzip", **options)
        made.id.write_direct_chunk((0, 0), b"x" * 64, filter_mask=2 ** (1 + len(options)) - 1)
    with pytest.raises((OSError, errors.FormatError), match=r"'x' (cannot be read|was not written)"):
        by_the_library(path, b"x")
    with pytest.raises(errors.FormatError, match="'skipped' was not written, or not all of it"):
        by_the_library(path, b"skipped")
    assert len(by_the_library(path, b"short")[1]) == 8


def test_columns_by_name_and_in_a_list(file, by_the_block):
    named = trained({name: file[name] for name in "abc"})
    assert same(named, by_the_block)
    assert named.columns == ("a", "b", "c")
    assert same(trained([file[name] for name in "abc"]), by_the_block)
    assert (named.log_prob({name: file[name] for name in "cba"}) == named.log_prob(file["x"])).all()
    with pytest.raises(ValueError, match="'c' missing; 'weights' unknown"):
        named.log_prob({name: file[name] for name in ("a", "b", "weights")})


def test_iterators_are_spooled(x, by_the_block, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert same(trained(x[i : i + 777] for i in range(0, N, 777)), by_the_block)
    context, weights = x[:, :1] * 2, np.linspace(0.5, 1.5, N)
    pieces = ((x[i : i + 5000], context[i : i + 5000], weights[i : i + 5000]) for i in range(0, N, 5000))
    assert same(_fit(pieces), _fit(x, context, weights))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="arrays after"):
        trained(iter([x, (x, x[:, :1])]))
    with pytest.raises(ValueError, match="has 2 columns"):
        trained(iter([x, x[:, :2]]))


def _fit(x, context=None, weights=None):
    made = flow(1)
    made.fit(x, context, weights=weights, max_epochs=1, progress=False)
    return made


def test_what_has_room_is_as_an_array(x, file, npy):
    weights = file["weights"][:]
    assert same(trained(np.load(npy, mmap_mode="r"), rows_memory=2**28), trained(x))
    assert same(trained(file["x"], weights=file["weights"], rows_memory=2**28), trained(x, weights=weights))
    with_context = trained(file["x"], file["weights"], rows_memory=2**28)
    assert same(with_context, trained(x, weights.astype(np.float32)[:, None]))
    # A row of context for all, and validation rows on disk.
    made = trained(file["x"], [0.5], validation=(file["compressed"], file["weights"]), rows_memory=2**28)
    assert same(made, trained(x, [0.5], validation=(x, weights.astype(np.float32)[:, None])))


def test_threads_do_not_show(file, by_the_block):
    assert same(trained(file["x"], threads=3), by_the_block)
    assert same(trained(file["x"], weights=file["weights"]), trained(file["x"], weights=file["weights"], threads=2))


def test_it_learns_as_from_memory(x, file):
    here, there = flow(), flow()
    kept = here.fit(x, max_epochs=8, progress=False, lr=3e-3)
    read = there.fit(file["compressed"], max_epochs=8, progress=False, lr=3e-3, rows_memory=SMALL)
    assert len(read) == len(kept)
    assert abs(here.log_prob(x).mean() - there.log_prob(x).mean()) < 0.03


def test_whole_numbers(file):
    spec = diffeo.Spec(dim=3).add_dequantize(256).add_autoregressive(hidden=(16,))
    made = spec.build()
    made.fit(file["bytes"], max_epochs=1, progress=False, rows_memory=SMALL)
    again = spec.build()
    again.fit(file["bytes"], max_epochs=1, progress=False, rows_memory=SMALL, threads=2)
    assert same(made, again)
    assert (made.log_prob(file["bytes"]) == made.log_prob(file["bytes"][:])).all()


class Failing:
    """Rows that turn bad after so many reads."""

    def __init__(self, x, reads, then):
        self.x, self.left, self.then = x, reads, then
        self.shape, self.dtype = x.shape, x.dtype

    def __getitem__(self, rows):
        self.left -= 1
        return self.x[rows] if self.left >= 0 else self.then(self.x[rows])


@pytest.mark.parametrize("reads", [0, 1, 100, 400])
@pytest.mark.parametrize("failure", [OSError("gone"), KeyboardInterrupt(), ZeroDivisionError("odd")], ids=type)
def test_failures_come_as_themselves(failure, reads, x):
    def fail(_):
        raise failure

    made = flow()
    with pytest.raises(type(failure)) as caught:
        made.fit(Failing(x, reads, fail), max_epochs=50, progress=False, rows_memory=SMALL)
    assert caught.value is failure
    assert np.isfinite(made.log_prob(x[:10])).all()


def test_rows_that_change_end_the_training(x):
    with pytest.raises(OSError, match="are not what they were when the training began"):
        trained(Failing(x, 200, lambda rows: rows + 1))
    with pytest.raises(ValueError, match="gave"):
        trained(Failing(x, 0, lambda rows: rows[:-1]))
    bad = x.copy()
    bad[12345, 2] = np.nan
    for memory in (SMALL, 2**28):
        with pytest.raises(ArithmeticError, match="x has nan at row 12345, column 2"):
            trained(Failing(bad, 1000, None), rows_memory=memory)
    with pytest.raises(TypeError, match="masked"):
        trained(Failing(x, 0, lambda rows: np.ma.masked_greater(rows, 0)))
    assert same(trained(Failing(x, 0, np.ma.asarray)), trained(Failing(x, 10**9, None)))


def test_shapes(file, x):
    with pytest.raises(ValueError, match="x has shape"):
        trained(file["weights"])
    with pytest.raises(ValueError, match="has 3 columns"):
        flow(dim=2).fit(file["x"], progress=False)
    with pytest.raises(ValueError, match=r"weights has 5 rows|weights.*5"):
        trained(file["x"], weights=np.ones(5))
    with pytest.raises(ValueError, match="context_dim 0"):
        flow().fit(file["x"], file["weights"], progress=False)
    with pytest.raises(ValueError, match="context is missing"):
        flow(1).fit(file["x"], progress=False)
    with pytest.raises(TypeError, match="iterator"):
        flow().log_prob(iter([x]))


def test_densities_by_the_piece(file, npy, x, tmp_path):
    made = flow()
    expected = made.log_prob(x)
    for name in ("x", "compressed", "table"):
        assert (made.log_prob(file[name]) == expected).all()
    assert (made.log_prob(np.load(npy, mmap_mode="r")) == expected).all()
    with h5py.File(tmp_path / "out.h5", "w") as f:
        out = f.create_dataset("log_prob", (N,), np.float32)
        assert made.log_prob(file["x"], out=out) is out
        assert (out[:] == expected).all()
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (N,))
    made.log_prob(x, out=out)
    assert (out == expected).all()
    with pytest.raises(ValueError, match="out has shape"):
        made.log_prob(x, out=np.empty(5))
    conditional = flow(1)
    context = file["weights"][:].astype(np.float32)
    assert (conditional.log_prob(file["x"], file["weights"]) == conditional.log_prob(x, context[:, None])).all()
    assert (conditional.log_prob(file["x"], [0.5]) == conditional.log_prob(x, [0.5])).all()


@pytest.mark.parametrize("context", [None, "row", "rows"])
def test_samples_to_files(context, file, tmp_path):
    made = flow(0 if context is None else 1)
    given = {None: None, "row": [0.5], "rows": file["weights"]}[context]
    kept = {None: None, "row": [0.5], "rows": file["weights"][:][:, None]}[context]
    x, log_prob = made.sample_and_log_prob(N, kept, seed=3, first_row=7)
    made.sample_to(tmp_path / "x.h5", N, given, seed=3, first_row=7)
    made.sample_to(tmp_path / "x.npy", N, given, seed=3, first_row=7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "x.npy"]
    with h5py.File(tmp_path / "x.h5") as f:
        assert (f["x"][:] == x).all()
        assert (f["log_prob"][:] == log_prob).all()
    assert (np.load(tmp_path / "x.npy") == x).all()
    before = (tmp_path / "x.h5").read_bytes()
    with pytest.raises(ValueError):
        made.sample_to(tmp_path / "x.h5", N, np.zeros((5, 2)), seed=3)
    with pytest.raises(OSError):
        made.sample_to(tmp_path / "missing/x.h5", N, given)
    assert (tmp_path / "x.h5").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "x.npy"]


def test_samples_to_files_at_a_temperature(file, tmp_path):
    made = flow(1)
    made.sample_to(tmp_path / "x.npy", N, file["weights"], temperature=0.5, seed=3, first_row=7)
    expected = made.sample(N, file["weights"][:][:, None], temperature=0.5, seed=3, first_row=7)
    assert (np.load(tmp_path / "x.npy") == expected).all()
    with pytest.raises(NotImplementedError, match=r"^samples at a temperature other than 1 go to \.npy files$"):
        made.sample_to(tmp_path / "x.h5", N, [0.5], temperature=0.5)
    for name in "y.npy", "y.h5":
        with pytest.raises(TypeError, match="temperature"):
            made.sample_to(tmp_path / name, N, [0.5], temperature="cold")
    with pytest.raises(ValueError, match="temperature"):
        made.sample_to(tmp_path / "y.npy", N, [0.5], temperature=-1)
    student = diffeo.Spec(2).add_actnorm().set_base("student_t").build()
    with pytest.raises(NotImplementedError, match="temperature"):
        student.sample_to(tmp_path / "y.npy", N, temperature=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


class Disk:
    """An array that looks as if it were on disk."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows):
        return self.array[rows]


def test_data_frames_beside_what_is_on_disk_go_by_name(x, tmp_path):
    """A context or x in a data frame has its columns in any order, though the other part is read from disk."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    context = pandas.DataFrame({"p": rng.normal(size=N), "q": 9 * rng.normal(size=N)})
    turned, wrong, frame = (
        context[["q", "p"]],
        context.rename(columns={"q": "z"}),
        pandas.DataFrame(x, columns=[*"abc"]),
    )
    made = diffeo.maf(3, context_dim=2, transforms=1, hidden=(8,))
    made.fit(frame, context, max_epochs=1, progress=False)
    for name in "x.npy", "x.h5":
        made.sample_to(tmp_path / name, N, turned, seed=1)
        with pytest.raises(ValueError, match="'q' missing; 'z' unknown"):
            made.sample_to(tmp_path / name, N, wrong, seed=1)
    samples = np.asarray(made.sample(N, context, seed=1))
    assert (np.load(tmp_path / "x.npy") == samples).all()
    with h5py.File(tmp_path / "x.h5") as f:
        assert (f["x"][:] == samples).all()
    expected = made.log_prob(x, context)
    assert (made.log_prob(Disk(x), turned) == expected).all()
    assert (made.log_prob(frame[[*"cab"]], Disk(context.to_numpy())) == expected).all()
    made.sample_to(tmp_path / "x.npy", 5, turned[:1], seed=1)
    assert (np.load(tmp_path / "x.npy") == np.asarray(made.sample(5, context[:1], seed=1))).all()
    trained = []
    for given in context, turned:
        one = diffeo.load(made.to_bytes())
        one.fit(Disk(x), given, max_epochs=1, progress=False)
        trained.append(one.parameters())
    assert (trained[0] == trained[1]).all()


def test_words_in_a_context_are_written_as_sampled(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    context = pandas.DataFrame({"word": rng.choice(["s", "b", "t"], 300), "t": rng.normal(size=300)})
    data = rng.normal(size=(300, 2))
    made = diffeo.for_table(data, context=context, context_kinds={"word": "category"}, flow="maf", hidden=(8,))
    made.fit(data, context, max_epochs=1, progress=False)
    made.sample_to(tmp_path / "x.npy", 300, context[["t", "word"]], seed=1)
    assert (np.load(tmp_path / "x.npy") == np.asarray(made.sample(300, context, seed=1))).all()
    with pytest.raises(ValueError, match=r"context has 'z' in rows 0, .* column 'word', none of b, s, t"):
        made.sample_to(tmp_path / "x.npy", 300, context.assign(word="z"), seed=1)


@pytest.mark.parametrize("streamed", [True, False])
def test_what_is_refused_in_a_column_is_said_by_its_name(streamed):
    """Found when rows are read, by the first layers, in the first step, and in the validation after an epoch."""
    rng = np.random.default_rng(0)
    positive, counts = rng.random((N, 3)) + 0.1, rng.integers(0, 9, (N, 3)).astype(float)

    def table(x, row=None, wrong=None):
        x = x.copy()
        if row is not None:
            x[row, 1] = wrong
        columns = {name: x[:, j] for j, name in enumerate("pqr")}
        if streamed:
            return {name: Disk(column) for name, column in columns.items()}
        return pytest.importorskip("pandas").DataFrame(columns)

    def logarithm():
        return diffeo.Spec(3).add_domain("log", low=[0.0] * 3)

    def cells():
        return diffeo.Spec(3).add_dequantize(10)

    fine = table(positive)
    for spec, x, held, message in (
        (logarithm, table(positive, 15_000, -1), 0.1, "^row 15000 of x has no density.*, by -1.0 in column 'q'$"),
        (cells, table(counts, 15_000, 2.5), 0.1, "^row 15000 of x has 2.5 in column 'q': it is one of counts"),
        (logarithm, fine, table(positive[:99], 50, -1), "^row 50 of the validation's x has no .* in column 'q'$"),
        (logarithm, table(positive, 15_000, np.nan), 0.1, "^x has nan at row 15000, column 'q'$"),
        (logarithm, table(positive, 15_000, 1e300), 0.1, r"^x has 1e\+300 at row 15000, column 'q', which float32"),
    ):
        with pytest.raises(ArithmeticError, match=message):
            spec().add_actnorm().build().fit(x, validation=held, max_epochs=1, progress=False, rows_memory=SMALL)


def test_numbers_beyond_the_dtype_are_named_as_they_are_on_disk():
    x = np.random.default_rng(0).normal(size=(5000, 2))
    x[4000, 1] = -1e200
    records = np.zeros(5000, [("a", "f8"), ("b", "f8")])
    records["a"], records["b"] = x.T
    for given, which in (x, "1"), (records, "'b'"):
        with pytest.raises(ArithmeticError, match=rf"^x has -1e\+200 at row 4000, column {which}, which float32, the"):
            diffeo.maf(2, hidden=(4,)).fit(Disk(given), progress=False)


BOUNDED = """
import sys, numpy as np, diffeo, resource
import h5py
path, memory = sys.argv[1], int(sys.argv[2])
flow = diffeo.maf(dim=10, transforms=1, hidden=(8,))
flow.fit(np.zeros((2000, 10)) + np.random.default_rng(0).normal(size=(2000, 10)), max_epochs=1, progress=False)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
with h5py.File(path) as f:
    flow.fit(f["x"], max_epochs=1, progress=False, rows_memory=memory, batch_size=8192)
print(peak() - before)
"""


def test_memory_is_bounded(tmp_path):
    """Of 400 MB, no more is in memory than was said, and what reading itself takes."""
    rows, memory = 10_000_000, 1 << 26
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "large.h5", "w") as f:
        stored = f.create_dataset("x", (rows, 10), np.float32, chunks=(10_000, 10))
        piece = random.normal(size=(100_000, 10)).astype(np.float32)
        for first in range(0, rows, len(piece)):
            stored[first : first + len(piece)] = piece
    assert os.path.getsize(tmp_path / "large.h5") > 400e6
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, tmp_path / "large.h5", str(memory)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < memory + (1 << 25)


def test_what_is_lazy(x, npy):
    for kept in (x, [[1.0, 2.0]], x[0, 0], [x, x], np.float32(1)):
        assert not _rows.is_lazy(kept)
    assert _rows.is_lazy(np.load(npy, mmap_mode="r"))
    assert _rows.is_lazy(iter([x]))
