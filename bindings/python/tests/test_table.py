"""Flows of tables: domains by kind, angles beside other columns, what is refused."""

import re

import diffeo
import numpy as np
import pytest
from diffeo import table

RNG = np.random.default_rng(0)
N = 3000
PHI = RNG.vonmises(2.0, 2.0, N)
KINDS = ["phi:angle", "mass:positive", "u:interval:-1:2", "n:count", "k:category:3", "r"]
X = np.stack(
    [
        PHI,
        np.exp(0.5 * RNG.normal(size=N) + np.cos(PHI)),
        RNG.uniform(-1, 2, N),
        RNG.poisson(3, N),
        RNG.integers(3, size=N),
        np.sin(PHI) + 0.3 * RNG.normal(size=N),
    ],
    axis=1,
)
SMALL = {"transforms": 2, "hidden": 16, "dtype": "float64"}


def layers(flow):
    """What a flow says of its layers, without their numbers, and whether matrices are permuted, which is drawn."""
    lines = [line for line in str(flow).splitlines()[1:] if line and not line.startswith("  column")]
    return [re.sub(r"^ +\d+ +|, permuted", "", line) for line in lines]


@pytest.mark.parametrize("name", table.FLOWS)
@pytest.mark.parametrize("context", [False, True])
def test_layers_are_those_of_the_flow_by_name(name, context):
    x, given = np.abs(X[:, [1, 5, 2]]) + 1e-3, X[:, [1, 5]] if context else None
    named = getattr(diffeo, name)(3, context_dim=2 if context else 0, hidden=(8, 9))
    made = diffeo.for_table(x, {0: "positive"}, name, context=given, hidden=(8, 9))
    found = layers(made)
    found.remove("domain: log of 1 columns, 1 parameters")
    assert found == layers(named)
    real = diffeo.for_table(x, None, name, context=given, hidden=(8, 9), seed=4)
    same = getattr(diffeo, name)(3, context_dim=2 if context else 0, hidden=(8, 9), seed=4)
    np.testing.assert_array_equal(real.parameters(), same.parameters())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"flow": "maf", "components": 3}, "made: mixture"),
        ({"flow": "maf", "actnorm": True}, "actnorm"),
        ({"flow": "nice", "batch_norm": True}, "batch_norm"),
        ({"flow": "spline_coupling", "bins": 5, "bound": 3}, "5 bins on [-3.0, 3.0]"),
        ({"flow": "realnvp", "base": "student_t"}, "student_t"),
        ({"flow": "maf", "standardize": "robust"}, "by quantiles"),
        ({"flow": "iaf", "scale": "exp"}, "exp scale"),
        ({"flow": "made", "masks": 3, "conditional": "mixture"}, "mixture"),
        ({"flow": "spline_autoregressive", "random_order": True}, "order"),
    ],
)
def test_options_reach_the_layers(options, said):
    assert said in str(diffeo.for_table(X[:, 1:], KINDS[1:], **options))
    assert "standardize" not in str(diffeo.for_table(X[:, 1:], KINDS[1:], "maf", standardize=False))


@pytest.mark.parametrize("columns", [[1, 5], [0, 1], [0]])
def test_a_context_is_embedded(columns):
    options = {"context": X[:, [3, 5]], "embedding": diffeo.Embedding(3, hidden=(4,)), "transforms": 1, "hidden": 4}
    flow = diffeo.for_table(X[:, columns], [KINDS[j] for j in columns], **options)
    assert "3 features" in str(flow)
    assert flow.context_dim == 2


@pytest.mark.parametrize("name", ["spline_autoregressive", "spline_coupling"])
def test_angles_beside_others(name):
    """Exact: a density that integrates to 1 and has no jump, and maps that are inverse to each other."""
    flow = diffeo.for_table(X, KINDS, name, **SMALL)
    flow.fit(X, max_epochs=3, lr=3e-3, progress=False)
    turned = X + 2 * np.pi * np.array([1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(flow.log_prob(turned), flow.log_prob(X), atol=1e-9)
    np.testing.assert_allclose(flow.from_noise(flow.to_noise(X)[0])[0], X, atol=1e-7)
    x, log_prob = flow.sample_and_log_prob(500, seed=1)
    assert (abs(x[:, 0]) <= np.pi).all()
    assert (x[:, 1] > 0).all()
    assert ((x[:, 2] > -1) & (x[:, 2] < 2)).all()
    assert set(x[:, 4]) == {0, 1, 2}
    assert np.isfinite(log_prob).all()
    assert np.isfinite(flow.grad_log_prob(X)).all()


@pytest.mark.parametrize("name", ["spline_autoregressive", "spline_coupling"])
@pytest.mark.parametrize("ends", ["", ":0:360"])
def test_densities_with_angles_integrate_to_one(name, ends):
    turn = 360 if ends else 2 * np.pi
    x = np.stack([PHI % (2 * np.pi) * turn / (2 * np.pi), X[:, 5]], axis=1)
    flow = diffeo.for_table(x, [f"phi:angle{ends}", "r"], name, **SMALL)
    flow.fit(x, max_epochs=5, lr=3e-3, progress=False)
    low = flow.columns[0].low
    phi = low + (np.arange(300) + 0.5) / 300 * turn
    r = np.linspace(-6, 6, 400)
    grid = np.stack(np.meshgrid(phi, r, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(flow.log_prob(grid)).reshape(300, 400)
    assert density.sum() * turn / 300 * (r[1] - r[0]) == pytest.approx(1, abs=2e-3)
    # The cut is no place of its own.
    cut = low + table._CUT * turn
    at = np.array([[cut - 1e-6 * turn, 0.3], [cut + 1e-6 * turn, 0.3]])
    assert abs(np.diff(flow.log_prob(at)))[0] < 1e-3
    # And it has learnt that one goes with the other.
    gaussian = -0.5 * (1 + np.log(2 * np.pi * x[:, 1].var())) - np.log(turn)
    assert flow.log_prob(x).mean() > gaussian + 0.8


def test_angles_alone_live_on_the_torus():
    x = np.stack([PHI, (2 * PHI) % 6], axis=1)
    flow = diffeo.for_table(x, ["a:angle", "b:angle:0:6"], **SMALL)
    assert "base  uniform" in str(flow)
    phi = np.stack(np.meshgrid(*[np.linspace(0, 1, 200, endpoint=False)] * 2), axis=-1).reshape(-1, 2)
    flow.fit(x, max_epochs=3, progress=False)
    density = np.exp(flow.log_prob(phi * [2 * np.pi, 6] - [np.pi, 0]))
    assert density.mean() * 2 * np.pi * 6 == pytest.approx(1, abs=2e-3)
    assert np.isfinite(flow.log_prob([[-np.pi, 0], [np.pi, 6]])).all()


def test_counts_and_categories():
    """Of columns that have nothing to do with each other probabilities are those of each."""
    flow = diffeo.for_table(X[:, [3, 4]], KINDS[3:5], transforms=2, hidden=32)
    flow.fit(X[:, [3, 4]], max_epochs=20, lr=3e-3, progress=False)
    cells = np.stack(np.meshgrid(np.arange(15), np.arange(3), indexing="ij"), axis=-1).reshape(-1, 2)
    p = np.exp(flow.log_prob(cells)).reshape(15, 3)
    assert p.sum() == pytest.approx(1, abs=0.1)
    expected = np.bincount(X[:, 3].astype(int), minlength=15)[:15] / N
    np.testing.assert_allclose(p.sum(axis=1), expected, atol=0.04)
    x = flow.sample(N, seed=1)
    np.testing.assert_allclose(np.bincount(x[:, 1].astype(int)) / N, 1 / 3, atol=0.05)


def test_levels_and_words_come_from_the_data():
    assert diffeo.for_table(X[:, [4, 5]], ["k:category", "r"]).columns[0].levels == 3
    for library in "pandas", "polars":
        try:
            module = __import__(library)
        except ModuleNotFoundError:
            continue
        frame = module.DataFrame({"r": X[:9, 5], "colour": ["red", "green", "blue"] * 3})
        flow = diffeo.for_table(frame, {"colour": "category"}, transforms=1, hidden=8)
        assert flow.columns == ("r", "colour")
        assert flow.columns[1].values == ("blue", "green", "red")
        flow.fit(frame, max_epochs=1, progress=False)
        assert flow.log_prob(frame).shape == (9,)
        assert set(flow.sample(50, seed=1, frame=library)["colour"]) <= {"red", "green", "blue"}


def test_contexts_of_several_kinds():
    context = X[:, [4, 0, 5]]
    flow = diffeo.for_table(X[:, [1]], ["m:positive"], context=context, context_kinds=["k:category", "phi:angle", "r"])
    assert flow.context_dim == 3 + 2 + 1
    assert [column.kind for column in diffeo.from_bytes(flow.to_bytes()).context_columns] == [
        "category",
        "angle",
        "real",
    ]
    flow.fit(X[:, [1]], context, max_epochs=1, progress=False)
    one_hot = np.eye(3)[X[:, 4].astype(int)]
    by_hand = np.column_stack([one_hot, np.cos(X[:, 0] + np.pi), np.sin(X[:, 0] + np.pi), X[:, 5]])
    found = flow.log_prob(X[:, [1]], context)
    np.testing.assert_allclose(found, flow.log_prob(X[:, [1]], by_hand), rtol=1e-5, atol=1e-5)
    assert flow.sample(4, context[0], seed=1).shape == (4, 1)
    with pytest.raises(ValueError, match="context has 7 in row 1, column 'k': it must be a whole number, 0 to 2"):
        flow.log_prob(X[:2, [1]], np.where(np.arange(2)[:, None], 7, context[:2]))


def test_contexts_on_disk(tmp_path):
    context = X[:, [4, 0]]
    flows = [
        diffeo.for_table(X[:, [1]], ["m:positive"], "maf", context=context, context_kinds=["k:category", "phi:angle"])
        for _ in range(3)
    ]
    assert flows[0].context_dim == 5
    np.save(tmp_path / "c.npy", context)
    np.save(tmp_path / "x.npy", X[:, [1]])
    on_disk, x = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "cx")
    named = {"phi": on_disk[:, 1], "k": on_disk[:, 0]}
    for flow, given in zip(flows, (context, on_disk, named), strict=True):
        flow.fit(X[:, [1]] if given is context else x, given, max_epochs=1, progress=False)
    for flow, given in zip(flows[1:], (on_disk, named), strict=True):
        np.testing.assert_array_equal(flow.parameters(), flows[0].parameters())
        assert [column.kind for column in flow.context_columns] == ["category", "angle"]
        found = flow.log_prob(x, given)
        np.testing.assert_allclose(found, flow.log_prob(X[:, [1]], context), rtol=1e-4)
    encoded = np.column_stack([np.eye(3)[X[:, 4].astype(int)], np.cos(X[:, 0] + np.pi), np.sin(X[:, 0] + np.pi)])
    np.testing.assert_allclose(flows[0].log_prob(x, encoded), flows[0].log_prob(X[:, [1]], context), rtol=1e-4)
    np.testing.assert_array_equal(flows[0].log_prob(x, context[0]), flows[0].log_prob(x, np.tile(context[0], (N, 1))))
    flows[0].sample_to(tmp_path / "s.npy", N, on_disk, seed=1)
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), flows[0].sample(N, context, seed=1))


def test_names_of_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"mass": X[:, 1], "phi": X[:, 0]})
    flow = diffeo.for_table(frame, {"phi": "angle", "mass": "positive"})
    assert [(column, column.kind) for column in flow.columns] == [("mass", "positive"), ("phi", "angle")]
    turned = diffeo.for_table(frame, ["phi:angle", "mass[GeV]:positive"])
    assert [(column, column.unit) for column in turned.columns] == [("phi", None), ("mass", "GeV")]
    turned.fit(frame, max_epochs=1, progress=False)
    with pytest.raises(ValueError, match="x has no column 'ph', but mass, phi"):
        diffeo.for_table(frame, {"ph": "angle"})
    with pytest.raises(ValueError, match="'mass' unknown"):
        diffeo.for_table(frame, ["phi:angle"])


def test_data_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", X)
    on_disk = diffeo.for_table(np.load(tmp_path / "x.npy", mmap_mode="r"), KINDS, **SMALL)
    in_memory = diffeo.for_table(X, KINDS, **SMALL)
    np.testing.assert_array_equal(on_disk.parameters(), in_memory.parameters())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (5, np.nan, r"x has missing values in column 'r', rows 3 and 2000: leave these rows out"),
        (5, np.inf, r"x has inf in rows 3 and 2000, column 'r': it must be finite"),
        (1, 0.0, r"x has 0 in rows 3 and 2000, column 'mass': it must be above 0"),
        (2, 2.0, r"x has 2 in rows 3 and 2000, column 'u': it must be between -1 and 2"),
        (3, 0.5, r"x has 0.5 in rows 3 and 2000, column 'n': it must be a whole number, 0 or more"),
        (3, -1, r"x has -1 in rows"),
        (4, 3, r"x has 3 in rows 3 and 2000, column 'k': it must be a whole number, 0 to 2"),
    ],
)
def test_what_a_column_cannot_be_is_refused_with_its_rows(column, value, message):
    x = X.copy()
    x[[3, 2000], column] = value
    with pytest.raises(ValueError, match=message):
        diffeo.for_table(x, KINDS)


def test_missing_values_of_frames():
    for library in "pandas", "polars":
        try:
            module = __import__(library)
        except ModuleNotFoundError:
            continue
        frame = module.DataFrame({"a": [1.0, None, 2.0, None], "b": [1.0, 2.0, 3.0, 4.0]})
        with pytest.raises(ValueError, match="x has missing values in column 'a', rows 1 and 3"):
            diffeo.for_table(frame)
        words = module.DataFrame({"a": ["u", None, "v", "u"], "b": [1.0, 2.0, 3.0, 4.0]})
        with pytest.raises(ValueError, match="x has missing values in column 'a', row 1"):
            diffeo.for_table(words, {"a": "category"})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kinds": KINDS, "flow": "maf"}, NotImplementedError, "maf has no angles: take spline_autoregressive"),
        ({"kinds": KINDS, "flow": "flow"}, ValueError, "flow must be one of 'spline_autoregressive', .* not 'flow'"),
        ({"kinds": KINDS[:5]}, ValueError, "x has 6 columns, there are 5 kinds"),
        ({"kinds": [*KINDS[:5], "phi"]}, ValueError, "names of columns are not all different"),
        ({"kinds": {7: "angle"}}, ValueError, "x has no column '7'"),
        ({"kinds": {0: "angel"}}, ValueError, "column '0': kind must be one of"),
        ({"kinds": KINDS, "widths": 3}, TypeError, "widths"),
        ({"kinds": KINDS, "base": "normal"}, NotImplementedError, "has its own base"),
        ({"kinds": KINDS, "context_kinds": ["a"]}, ValueError, "there is no context"),
    ],
)
def test_what_is_no_table(arguments, error, message):
    with pytest.raises(error, match=message):
        diffeo.for_table(X, **arguments)


def test_what_is_constant_has_no_density():
    x = X.copy()
    x[:, 1] = 3.0
    with pytest.raises(ValueError, match="x is constant in column 'mass'"):
        diffeo.for_table(x, KINDS)
