"""Warnings about data and trainings: each on its case, none on ordinary ones.

That one comes where none should be fails any test, by pyproject.toml.
"""

import logging
import re
import warnings

import diffeo
import numpy as np
import pytest
from conftest import two_moons
from diffeo import _checks
from test_words import Frame

N = 5000
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=(N, 3))
TIME = 1.7e9 + 86400 * RANDOM.normal(size=N)  # a time stamp, in seconds
ONE_HOT = np.eye(4)[RANDOM.integers(0, 4, N)]
COUNTS = RANDOM.integers(0, 256, (N, 3), dtype=np.uint8)


def with_column(column, j=1, x=NORMAL):
    x = np.array(x)
    x[:, j] = column
    return x


def with_value(value, row=77, j=1):
    x = np.array(NORMAL)
    x[row, j] = value
    return x


def distinct(values):
    return len(np.unique(values))


def spec(*layers, dim=3, context_dim=0):
    made = diffeo.Spec(dim, context_dim)
    for layer, *given in layers:
        getattr(made, f"add_{layer}")(*given)
    return made.add_autoregressive((4,)).build()


def small(**options):
    return diffeo.maf(**{"dim": 3, "transforms": 1, "hidden": 4} | options)


def warned(flow, x, context=None, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        diffeo.Trainer(flow, x, context, **options)
    assert all(each.category is diffeo.TrainingWarning for each in caught)
    assert all(each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught]


FLOAT32 = f"{distinct(TIME.astype(np.float32)):,} of {distinct(TIME):,} distinct values in float32, whose steps are 128"
WHOLE = np.round(TIME)
MIDDLE = np.sort(NORMAL[:, 1])[25:-25]
TIMES = with_value(1e4)[:, 1].std() / MIDDLE.std()
LOGIT = [("dequantize", 256), ("domain", "logit", None, -1e-3, 1.001)]


@pytest.mark.parametrize(
    ("flow", "x", "context", "expected"),
    [
        # What the dtype cannot tell apart, however it was written.
        (small(), with_column(TIME), None, [f"x: column 1 keeps {FLOAT32}"]),
        (small(), with_column(TIME).tolist(), None, [f"x: column 1 keeps {FLOAT32}"]),
        (small(), Frame(with_column(TIME), "abc"), None, [f"x: column 'b' keeps {FLOAT32}"]),
        (small(context_dim=1), NORMAL, TIME[:, None], [f"context: column 0 keeps {FLOAT32}"]),
        (
            small(),
            (with_column(WHOLE) * [100_000, 1, 100_000]).astype(np.int64),
            None,
            [f"{distinct(WHOLE.astype(np.float32)):,} of {distinct(WHOLE):,} distinct values in float32"],
        ),
        (
            small(),
            with_column(TIME).astype(np.float32),
            None,
            [f"column 1 has {distinct(TIME.astype(np.float32)):,} distinct values in 5,000 rows of float32"],
        ),
        (small(dtype="float64"), with_column(TIME), None, []),
        (small(), with_column(TIME - 1.7e9), None, []),
        (small(), NORMAL + 2000.0, None, []),
        # Values that repeat.
        (spec(), with_column(2.5), None, [r"x: column 1 is constant, 2\.5 in all of 5,000 rows"]),
        (small(), with_column(RANDOM.integers(0, 2, N)), None, [r"column 1 is [01] in 5\d % .* has 2 distinct values"]),
        (small(), COUNTS // 16, None, [r"column 0 is \d+ in 7 % .*; column 1 .*; column 2 .* has 16 distinct values"]),
        (
            small(),
            with_column(np.where(RANDOM.random(N) < 0.3, 0.0, RANDOM.normal(size=N))),
            None,
            [r"column 1 is 0 in (29|30|31) % of the rows, and has 3,\d{3} distinct values"],
        ),
        (small(dim=8), np.tile(COUNTS[:, :1] // 16, 8), None, [r"column 3 .*; and 4 columns more\. "]),
        (small(), NORMAL.round(1), None, []),
        (small(), COUNTS, None, []),
        (spec(*LOGIT), COUNTS // 16, None, []),
        (spec(*LOGIT), with_column(0, x=COUNTS), None, []),
        (diffeo.made(3, conditional="bernoulli", hidden=4), COUNTS % 2, None, []),
        (small(context_dim=4), NORMAL, ONE_HOT, []),
        (small(context_dim=4), NORMAL, ONE_HOT[0], []),
        # Rows that rule the scale.
        (small(), with_value(1e4), None, [f"x: column 1 is 10000 in row 77, and has {TIMES:.0f} times the standard"]),
        (small(), with_value(-1e4, j=2), None, ["x: column 2 is -10000 in row 77"]),
        (small(), Frame(with_value(1e4), "abc"), None, ["x: column 'b' is 10000 in row 77"]),
        (spec(("actnorm",)), with_value(1e4), None, ["x: column 1 is 10000 in row 77"]),
        (small(context_dim=3), NORMAL, with_value(1e4), ["context: column 1 is 10000 in row 77"]),
        (small(), with_value(30.0), None, []),
        (spec(context_dim=3), with_value(1e4), with_value(1e4), []),  # nothing is scaled
        (spec(("domain", "log", [0, 1, 2], 0.0), ("standardize",)), np.exp(3 * NORMAL), None, []),
        # Several.
        (small(), with_column(COUNTS[:, 0] // 16, x=with_value(1e4, j=2)), None, ["column 1 is", "column 2 is 10000"]),
        # Ordinary data.
        (small(), NORMAL, None, []),
        (small(), NORMAL * [1e-20, 1.0, 1e20], None, []),
        (small(), RANDOM.standard_t(3, (N, 3)), None, []),
        (small(), RANDOM.lognormal(0.0, 1.0, (N, 3)), None, []),
        (small(dim=2), two_moons(N, seed=1), None, []),
        (small(), np.stack([RANDOM.uniform(0, 360, N), RANDOM.uniform(-90, 90, N), NORMAL[:, 0] + 9], 1), None, []),
        (small(), NORMAL[:19].round(), None, []),
    ],
)
def test_about_data(flow, x, context, expected):
    texts = warned(flow, x, context)
    assert len(texts) == len(expected), texts
    for text, pattern in zip(texts, expected, strict=True):
        assert re.search(pattern, text), text


def test_weights_and_noise_count():
    weights = np.ones(N)
    weights[77] = 0.0
    assert warned(small(), with_value(1e4), weights=weights, validation=0.0) == []
    weights[77] = 0.5
    assert len(warned(small(), with_value(1e4), weights=weights, validation=0.0)) == 1
    assert warned(small(), with_column(RANDOM.integers(0, 2, N)), x_noise=0.1) == []


def test_large_data_is_sampled():
    """All of what is in memory is searched for outliers, and blocks from everywhere for the rest."""
    n = 300_001
    x = np.random.default_rng(1).normal(size=(n, 2)).astype(np.float32)
    x[n - 1, 0] = 1e5
    x[: n // 5, 1] = 3.0
    first, second = warned(small(dim=2), x, batch_size=n)
    assert "column 1 is 3 in 20 % of the rows" in first
    assert f"column 0 is 100000 in row {n - 1}" in second


def test_a_table_of_pandas():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(with_column(TIME), columns=["a", "b", "c"], index=np.arange(N)[::-1] + 0.5)
    (text,) = warned(small(), table)
    assert "column 'b' keeps" in text


def test_fit_warns_once_of_each_kind():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small().fit(with_value(1e4), max_epochs=3, progress=False)
    assert [each.filename for each in caught] == [__file__]


# ------------------------------------------------------------------------------------------------- trainings


def history(train, validation):
    return diffeo.History(
        epoch=list(range(1, len(train) + 1)),
        train_robust_log_prob=list(train),
        validation_robust_log_prob=list(validation),
    )


EPOCHS = np.arange(1, 41)
RISING = -1 / EPOCHS
PEAK = -0.02 * abs(EPOCHS - 15)  # from the fifteenth on it falls, by 0.02 nats an epoch
NOISE = RANDOM.normal(0, 0.1, 40)


@pytest.mark.parametrize(
    ("train", "validation", "worsens"),
    [
        (RISING, PEAK, True),
        (RISING, PEAK - 1e4, True),
        (RISING, RISING, False),
        (-RISING, PEAK, False),  # training worsens, too
        (RISING, RISING[::-1] * 0.001, False),  # by nothing to speak of
        (RISING, NOISE, False),
        (RISING, PEAK + 5 * NOISE, False),  # more noise than fall
        (RISING, np.full(40, np.nan), False),
        (RISING, np.full(40, -np.inf), False),
        (RISING[:19], PEAK[:19], False),  # too early to say
        (RISING[:0], PEAK[:0], False),
    ],
)
def test_worsening(train, validation, worsens):
    text = _checks.worsening(history(train, validation))
    assert (text is not None) == worsens
    if worsens:
        fall = validation[12:17].mean() - validation[-5:].mean()
        assert f"fallen by {fall:.3g} nats since epoch 15" in text


def test_a_flow_that_overfits():
    """Forty rows, and a network that can learn each."""
    x = np.random.default_rng(2).normal(size=(40, 4)).astype(np.float32)
    other = np.random.default_rng(3).normal(size=(1000, 4)).astype(np.float32)
    with pytest.warns(diffeo.TrainingWarning, match=r"validation rows has fallen by .* overfits") as caught:
        diffeo.maf(4, hidden=64).fit(x, validation=other, max_epochs=200, lr=5e-3, progress=False)
    assert len(caught) == 1


def test_flows_that_learn(moons):
    """No warning, which would be an error: the default training, and one for the noise of its end."""
    small(dim=2, hidden=32).fit(moons, max_epochs=60, progress=False)
    small().fit(NORMAL, max_epochs=40, patience=0, progress=False)


def test_skipped_steps():
    """One of the four steps of each epoch has a row whose square is too large for float32."""
    x = NORMAL[:400].astype(np.float32)
    x[7, 0] = 1e25
    with pytest.warns(diffeo.TrainingWarning, match="skipped 3 of 12 steps") as caught:
        history = spec().fit(x, max_epochs=3, batch_size=100, validation=0.0, progress=False)
    assert (history.skipped_steps, history.steps, len(caught)) == (3, 12, 1)


def test_logging_catches_warnings(caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            small().fit(with_value(1e4), max_epochs=0, progress=False)
        finally:
            logging.captureWarnings(False)
    assert [record.name for record in caplog.records] == ["py.warnings"]
    assert "TrainingWarning: x: column 1 is 10000 in row 77" in caplog.text


@pytest.mark.parametrize("part", ["x", "context", "weights"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_named_where_it_is(part, value):
    """In the rows that train and in those of the validation."""
    good = {"x": RANDOM.normal(size=(50, 2)), "context": RANDOM.normal(size=(50, 3)), "weights": np.ones(50)}
    bad = good | {part: good[part].copy()}
    bad[part][7] = value
    flow = diffeo.maf(2, context_dim=3, transforms=1, hidden=4)
    with pytest.raises(ArithmeticError, match=f"^{part} has {value} at row 7, column 0$"):
        flow.fit(bad["x"], bad["context"], weights=bad["weights"], progress=False)
    with pytest.raises(ArithmeticError, match=f"^the validation's {part} has {value} at row 7, column 0$"):
        flow.fit(
            good["x"], good["context"], weights=good["weights"], validation=tuple(bad.values()), progress=False,
        )  # fmt: skip


def test_numbers_beyond_the_dtype():
    x = RANDOM.normal(size=(50, 2))
    x[3, 1] = 1e39
    with pytest.raises(ArithmeticError, match=r"x has 1e\+39 at row 3, column 1, which float32"):
        diffeo.maf(2, transforms=1, hidden=4).fit(x, progress=False)
    with pytest.raises(ArithmeticError, match=r"column 0 has mean .* deviation inf: its numbers are too large"):
        diffeo.maf(2, transforms=1, hidden=4, dtype="float64").fit(RANDOM.normal(size=(50, 2)) * 1e200, progress=False)


@pytest.mark.parametrize("value", [-1, 4, 0.5, 1e9])
@pytest.mark.parametrize("where", ["x", "validation"])
def test_counts_are_counts_whatever_follows(value, where):
    """A flow over a normal base has a density everywhere, and is of counts all the same."""
    x = RANDOM.integers(0, 4, (60, 3)).astype(float)
    bad = x.copy()
    bad[9, 2] = value
    flow = diffeo.Spec(3).add_dequantize(4).add_autoregressive((8,)).build()
    with pytest.raises(ArithmeticError, match=r"row 9 of .*x has .* in column 2: .* integers 0 to 3"):
        flow.fit(bad if where == "x" else x, validation=bad if where == "validation" else x, progress=False)
    flow.fit(x, validation=x, max_epochs=1, progress=False)
