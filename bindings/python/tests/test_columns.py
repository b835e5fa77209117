"""Columns with names, kinds and units; data frames in and out."""

import copy
import json
import pickle
import subprocess
import sys

import diffeo
import numpy as np
import pytest
from diffeo import _columns

X = np.random.default_rng(0).normal(size=(60, 3))
NAMES = ("mass", "phi", "n")
COLUMNS = [
    diffeo.Column("mass", "positive", unit="GeV"),
    diffeo.Column("phi", "angle", low=0, high=360),
    diffeo.Column("n", "count"),
]


def flow(columns=NAMES, **options):
    made = diffeo.maf(len(columns), transforms=2, hidden=8, dtype="float64", seed=1, **options)
    made.columns = columns
    return made


def frame_of(library, values, names=NAMES):
    module = pytest.importorskip(library)
    return module.DataFrame({name: values[:, j] for j, name in enumerate(names)})


@pytest.mark.parametrize(
    ("text", "kind", "numbers", "unit"),
    [
        ("x", "real", (None, None, None), None),
        ("x[m/s]", "real", (None, None, None), "m/s"),
        ("x:positive", "positive", (0, None, None), None),
        ("x[GeV]:positive:1.5", "positive", (1.5, None, None), "GeV"),
        ("x:interval:-1:1", "interval", (-1, 1, None), None),
        ("x:angle", "angle", (-np.pi, np.pi, None), None),
        ("x[deg]:angle:0:360", "angle", (0, 360, None), "deg"),
        ("x:count", "count", (None, None, None), None),
        ("x:category:4", "category", (None, None, 4), None),
        ("x:category:a|b|c", "category", (None, None, 3), None),
    ],
)
def test_a_column_is_read_from_text(text, kind, numbers, unit):
    column = diffeo.Column.parse(text)
    assert (column, column.kind, column.unit) == ("x", kind, unit)
    assert (column.low, column.high, column.levels) == numbers
    assert column.period == (numbers[1] - numbers[0] if kind == "angle" else None)
    for again in (
        diffeo.Column.from_json(json.loads(json.dumps(column.to_json()))),
        pickle.loads(pickle.dumps(column)),
        copy.copy(column),
    ):
        assert (again, vars(again)) == (column, vars(column))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x:colour", "column 'x': kind must be one of 'real', .* not 'colour'"),
        ("x:interval", "column 'x': the kind 'interval' needs low"),
        ("x:interval:1:0", "column 'x': low is 1 and high 0; it must be above low"),
        ("x:interval:0:inf", "column 'x': high is inf; it must be finite"),
        ("x:interval:0:one", "column 'x': 'interval:0:one' is no kind with its numbers"),
        ("x:interval:0:1:2", "column 'x': 'interval:0:1:2' is no kind with its numbers"),
        ("x:positive:0:1", "column 'x': the kind 'positive' has no high"),
        ("x:real:0", "column 'x': the kind 'real' has no low"),
        ("x:category:1", "column 'x' has 1 levels; it must be 2 to"),
        ("x:category:a|a", "column 'x': values are not all different"),
        ("x[m:positive", "a unit ends with"),
    ],
)
def test_what_no_column_is(text, message):
    with pytest.raises(ValueError, match=message):
        diffeo.Column.parse(text)


def test_columns_are_kept_in_the_file():
    made = flow(COLUMNS, context_dim=1)
    made.context_columns = {"colour": ("category", "red|green")}
    again = diffeo.from_bytes(made.to_bytes())
    assert again.columns == NAMES
    assert [vars(column) for column in again.columns] == [vars(column) for column in COLUMNS]
    assert again.context_columns[0].values == ("red", "green")
    told = json.loads(again.metadata["diffeo.columns"])
    assert told[0] == {"name": "mass", "kind": "positive", "low": 0.0, "unit": "GeV"}
    assert told[2] == {"name": "n", "kind": "count"}
    assert "  column 0: mass [GeV]: above 0\n  column 1: phi: angle of 0 to 360\n  column 2: n: count\n" in str(again)
    assert "  column of the context 0: colour: one of red, green\n" in str(again)
    again.columns = None
    assert again.columns is None
    assert "diffeo.columns" not in again.metadata


def test_names_of_files_of_other_versions_and_writers():
    made = flow()
    for text, columns in [
        ('["a", "b", "c"]', ("a", "b", "c")),
        ('["a", {"name": "b", "kind": "quaternion", "low": 3}, {"name": "c", "hue": 1}]', ("a", "b", "c")),
        ('["a", "b"]', None),
        ('{"a": 1}', None),
        ("[{}, 1, 2]", None),
        ("no JSON", None),
    ]:
        made.metadata["diffeo.columns"] = text
        assert made.columns == columns
        assert made.log_prob(X).shape == (60,)


def test_what_columns_cannot_be():
    made = flow()
    with pytest.raises(ValueError, match="columns has 2 names, this flow has 3 columns"):
        made.columns = ["a", "b"]
    with pytest.raises(ValueError, match="names are not all different"):
        made.columns = ["a", "b", "a"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_in_any_order_and_frames_out(library):
    made = flow()
    turned = frame_of(library, X[:, [2, 0, 1]], ("n", "mass", "phi"))
    np.testing.assert_array_equal(made.log_prob(turned), made.log_prob(X))
    assert type(made.log_prob(turned)) is np.ndarray
    z, log_det = made.to_noise(turned)
    expected, expected_log_det = made.to_noise(X)
    assert type(z) is type(turned)
    assert tuple(z.columns) == NAMES
    np.testing.assert_array_equal(z.to_numpy(), expected)
    np.testing.assert_array_equal(log_det, expected_log_det)
    back, _ = made.from_noise(z)
    assert tuple(back.columns) == NAMES
    np.testing.assert_allclose(back.to_numpy(), X, atol=1e-9)
    np.testing.assert_array_equal(made.grad_log_prob(turned).to_numpy(), made.grad_log_prob(X))
    for wrong, message in [
        (
            turned.rename({"n": "m"}) if library == "polars" else turned.rename(columns={"n": "m"}),
            "'n' missing; 'm' un",
        ),
        (turned[["n", "mass"]], "'phi' missing"),
    ]:
        with pytest.raises(ValueError, match=message):
            made.to_noise(wrong)


def test_an_index_of_pandas_stays():
    pandas = pytest.importorskip("pandas")
    index = pandas.Index([f"event {i}" for i in range(len(X))])
    z, _ = flow().to_noise(pandas.DataFrame(X, columns=NAMES, index=index))
    assert (z.index == index).all()
    unnamed, _ = diffeo.from_bytes(diffeo.maf(3).to_bytes()).to_noise(pandas.DataFrame(X))
    assert list(unnamed.columns) == [0, 1, 2]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_samples_as_frames(library):
    pytest.importorskip(library)
    made = flow(COLUMNS, context_dim=1)
    given = frame_of(library, X[:5, :1], ["c"])
    x = made.sample(5, [0.0], seed=1, frame=library)
    assert tuple(x.columns) == NAMES
    np.testing.assert_array_equal(x.to_numpy(), made.sample(5, [0.0], seed=1))
    assert x["n"].to_numpy().dtype.kind == "i"
    by_context, log_prob = made.sample_and_log_prob(5, given, seed=1)
    assert type(by_context) is type(given)
    assert log_prob.shape == (5,)
    with pytest.raises(ValueError, match="frame must be one of 'pandas', 'polars', not 'arrow'"):
        made.sample(5, [0.0], frame="arrow")


def test_samples_are_of_their_kinds():
    made = flow([*COLUMNS[:2], diffeo.Column("k", "category", levels=3)])
    x = made.sample(1000, seed=1)
    assert (x[:, 1] >= 0).all()
    assert (x[:, 1] < 360).all()
    assert set(x[:, 2]) == {0.0, 1.0, 2.0}
    z, _ = made.to_noise(x)
    np.testing.assert_allclose(made.from_noise(z)[0], x, atol=1e-8)
    assert ((made.sample(50, seed=1) - x[:50]) == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_stay_below_the_end_of_their_turn(dtype):
    for low, high in (-np.pi, np.pi), (0, 360), (0.1, 0.4):
        column = (diffeo.Column("phi", "angle", low=low, high=high),)
        values = np.array([low, high, np.nextafter(low, -9), low - 1e-12, high + 3 * (high - low)], dtype)[:, None]
        found = _columns.as_data(values.copy(), column)
        assert (found >= np.array(low, dtype)).all()
        assert (found < np.array(high, dtype)).all()


def test_a_whole_number_stands_for_its_cell():
    made, plain = flow([*COLUMNS[:2], diffeo.Column("k", "category", levels=3)]), flow()
    x = np.column_stack([X[:, :2], np.arange(60) % 3])
    half = np.array([0, 0, 0.5])
    np.testing.assert_array_equal(made.log_prob(x), plain.log_prob(x + half))
    np.testing.assert_array_equal(made.grad_log_prob(x), plain.grad_log_prob(x + half))
    np.testing.assert_array_equal(made.log_prob(x[7]), plain.log_prob(x[7] + half))
    x[[5, 9], 2] = 2.5, 3
    with pytest.raises(ValueError, match=r"x has 2.5 in rows 5 and 9, column 'k': it must be a whole number, 0 to 2"):
        made.log_prob(x)


def test_training_takes_whole_numbers(tmp_path, recwarn):
    """Where a layer dequantises them; what they are is looked at in Python, in memory and on disk."""
    x = np.column_stack([X[:, :1], np.random.default_rng(1).poisson(3, 60), np.zeros(60)])
    columns = ["a", diffeo.Column("n", "count"), diffeo.Column("k", "category", levels=2)]
    options = {"max_epochs": 2, "progress": False}
    spec = diffeo.Spec(3, dtype="float64").add_dequantize([0, 2], [1, 2]).add_domain("softplus", [1], 0)
    one, two, plain = (spec.build(seed=1) for spec in [spec.add_actnorm()] * 3)
    one.columns = two.columns = columns
    one.fit(x, **options)
    np.save(tmp_path / "x.npy", x)
    two.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), **options)
    plain.fit(x, **options)
    np.testing.assert_array_equal(one.parameters(), plain.parameters())
    np.testing.assert_array_equal(one.parameters(), two.parameters())
    assert one.columns[1].kind == "count"
    assert not recwarn.list
    x[[5, 9], 2] = 2
    np.save(tmp_path / "x.npy", x)
    for rows in (x, np.load(tmp_path / "x.npy", mmap_mode="r")):
        with pytest.raises(ValueError, match=r"x has 2 in rows 5 and 9, column 'k': it must be a whole number, 0 to 1"):
            one.fit(rows, **options)


def test_counts_that_no_layer_dequantises_are_not_trained():
    made = flow(["a", diffeo.Column("n", "count"), "b"])
    with pytest.raises(ValueError, match="column 'n' is a count, but no layer of this flow dequantises it"):
        made.fit(np.floor(abs(X)), max_epochs=1, progress=False)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_words_of_categories(library):
    module = pytest.importorskip(library)
    made = flow(["a", diffeo.Column("colour", "category", values=["red", "green"])])
    x = module.DataFrame({"colour": ["green", "red", "green"], "a": [0.0, 1.0, 2.0]})
    numbers = np.array([[0.0, 1], [1, 0], [2, 1]])
    np.testing.assert_array_equal(made.log_prob(x), made.log_prob(numbers))
    assert set(made.sample(50, seed=1, frame=library)["colour"]) == {"red", "green"}
    blue = module.DataFrame({"colour": ["green", "blue"], "a": [0.0, 1.0]})
    with pytest.raises(ValueError, match="x has 'blue' in row 1, column 'colour', none of red, green"):
        made.log_prob(blue)


def test_a_fit_on_a_frame_keeps_the_kinds():
    pytest.importorskip("pandas")
    made = diffeo.Spec(3).add_dequantize(0, [2]).add_actnorm().build()
    made.columns = COLUMNS
    x = np.column_stack([np.exp(X[:, 0]), X[:, 1], np.arange(60) % 5])
    made.fit(frame_of("pandas", x[:, ::-1], NAMES[::-1]), max_epochs=1, progress=False)
    assert [column.kind for column in made.columns] == ["positive", "angle", "count"]
    fresh = diffeo.maf(3, transforms=1, hidden=8)
    fresh.fit(frame_of("pandas", x), max_epochs=1, progress=False)
    assert json.loads(fresh.metadata["diffeo.columns"]) == list(NAMES)


def test_no_library_of_frames_is_imported():
    program = (
        "import sys, diffeo, numpy as np\n"
        "flow = diffeo.maf(2, transforms=1, hidden=4); flow.columns = ['a', 'b']\n"
        "flow.log_prob(np.zeros((3, 2))); flow.to_noise([[0.0, 1.0]]); flow.sample(3)\n"
        "print([name for name in ('pandas', 'polars', 'pyarrow') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    ("column", "error", "text"),
    [
        (lambda n: np.datetime64("2020-01-01") + np.arange(n), TypeError, "not datetime64[s] in column 'z'"),
        (lambda n: np.arange(n).astype("m8[s]"), TypeError, "not timedelta64[s] in column 'z'"),
        (lambda n: np.arange(n) + 1j, TypeError, "not complex128 in column 'z'"),
        (lambda n: [1.5] * (n - 1) + ["maybe"], ValueError, "not 'maybe' in row 19, column 'z'"),
    ],
)
def test_what_is_no_number_is_refused_beside_words(column, error, text):
    """A frame with words is read column by column, as strictly as one without."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"colour": ["red", "green"] * 10, "z": np.linspace(0, 1, 20)})
    kinds = {"colour": "category"}
    flow = diffeo.for_table(frame, kinds, transforms=1, hidden=4)
    given = diffeo.for_table(frame[["z"]], context=frame, context_kinds=kinds, transforms=1, hidden=4)
    other = frame.assign(z=column(20))
    calls = [
        lambda: flow.log_prob(other),
        lambda: diffeo.for_table(other, kinds),
        lambda: flow.fit(other, max_epochs=1, progress=False),
        lambda: given.sample(20, context=other),
    ]
    for call in calls:
        with pytest.raises(error) as found:
            call()
        assert text in str(found.value)


def test_columns_that_come_twice_are_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"colour": ["red", "green"] * 10, "z": np.linspace(0, 1, 20)})
    flow = diffeo.for_table(frame, {"colour": "category"}, transforms=1, hidden=4)
    for name in frame:
        with pytest.raises(ValueError, match=f"'{name}' more than once"):
            flow.log_prob(pandas.concat([frame, frame[[name]]], axis=1))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_numbers_of_other_types_beside_words(library):
    from decimal import Decimal

    frames = pytest.importorskip(library)
    values = [0.25, 0.5, 0.75, 1.0] * 5
    frame = frames.DataFrame({"colour": ["red", "green"] * 10, "z": values})
    flow = diffeo.for_table(frame, {"colour": "category"}, transforms=1, hidden=4)
    expected = flow.log_prob(frame)
    decimals = frames.DataFrame({"z": list(map(Decimal, values)), "colour": ["red", "green"] * 10})
    np.testing.assert_array_equal(flow.log_prob(decimals), expected)
    holes = frames.DataFrame({"z": [None, *values[1:]], "colour": ["red", None] + ["red", "green"] * 9})
    assert np.isnan(flow.log_prob(holes)).tolist() == [True, True] + [False] * 18


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_training_says_the_names_of_what_it_refuses(library):
    good, nothing, same = X.copy(), X.copy(), X.copy()
    nothing[4, 1], same[:, 2] = np.nan, 3.5
    frame = {name: frame_of(library, values) for name, values in zip("gns", (good, nothing, same), strict=True)}
    context = frame_of(library, nothing[:, :2], NAMES[:2])

    def fit(x, context=None, **options):
        made = diffeo.maf(3, hidden=8, context_dim=0 if context is None else 2)
        made.fit(x, context, max_epochs=1, progress=False, **options)

    for wrong, text in (
        (lambda: fit(frame["n"]), "^x has nan at row 4, column 'phi'$"),
        (lambda: fit(frame["s"]), "^x: column 'n' has mean 3.5 and standard deviation 0"),
        (lambda: fit(frame["g"], context), "^context has nan at row 4, column 'phi'$"),
        (lambda: fit(frame["g"], validation=frame["n"]), "^the validation's x has nan at row 4, column 'phi'$"),
        (lambda: fit(nothing), "^x has nan at row 4, column 1$"),
    ):
        with pytest.raises(diffeo.errors.NumericError, match=text):
            wrong()


def test_a_column_too_many_is_named_and_not_its_words():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[*"abc"])
    flow = diffeo.maf(3, hidden=(4,))
    flow.fit(frame, max_epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"^x has other columns than 'a', 'b', 'c', .*: 'word' unknown$"):
        flow.log_prob(frame.assign(word="w"))
