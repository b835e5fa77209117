"""Reports: right flows are seldom told that they are wrong, wrong ones are, by the test that should; and the page."""

import html.parser
import json
import re
import shutil
import subprocess
from importlib.util import find_spec

import diffeo
import numpy as np
import pytest
from conftest import LENGTH

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("scipy", reason="SciPy is not installed")

from diffeo.report import _compute, _history, _tests
from diffeo.report._rows import seed_of
from scipy import stats

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_matplotlib = pytest.mark.skipif(not find_spec("matplotlib"), reason="Matplotlib is not installed")


def standard(*std):
    """Independent normal columns, exactly."""
    return diffeo.Spec(len(std), dtype="float64").add_standardize([0.0] * len(std), list(std)).build()


def bent(dim=3, context_dim=0, seed=1, by=0.08, **options):
    """A flow that has learned nothing, and is no identity: any flow is right about its own samples."""
    flow = diffeo.maf(dim, context_dim=context_dim, transforms=2, hidden=(16,), dtype="float64", seed=seed, **options)
    steps = np.random.default_rng(seed).normal(0, by, flow.parameter_count)
    return flow.with_parameters(flow.parameters() + flow.trained_parameters() * steps)


def normal(n, *std, seed=1):
    return np.random.default_rng(seed).normal(size=(n, len(std))) * std


def flagged(report):
    return {each.name for each in report.flagged}


# ------------------------------------------------------------------------------------------------- right flows


RIGHT = {
    "maf": lambda seed: bent(seed=seed),
    "student_t": lambda seed: bent(dim=2, seed=seed, base="student_t"),
    "torus": lambda seed: diffeo.spline_coupling(2, periodic=True, transforms=2, hidden=(8,), seed=seed),
    "made": lambda seed: diffeo.made(3, conditional="mixture", components=3, hidden=(16,), seed=seed),
    "conditional": lambda seed: bent(dim=2, context_dim=2, seed=seed),
}


@pytest.mark.long
def test_false_alarms_are_as_rare_as_said():
    """At a rate of 0.3, that there is something to count: two to three reports in ten are flagged, and not more."""
    count, rate, alarms, p = 25 * LENGTH, 0.3, 0, {}
    for i in range(count):
        flow = list(RIGHT.values())[i % len(RIGHT)](i)
        context = normal(300, 1, 1, seed=i) if flow.context_dim else None
        report = flow.report(flow.sample(300, context, seed=i), context, seed=i, false_alarms=rate, timing=False)
        alarms += bool(report.flagged)
        for each in report.tests:
            p.setdefault(each.name, []).append(each.p)
    assert stats.binom.sf(alarms - 1, count, rate) > 1e-3, f"{alarms} of {count}"
    for name, values in p.items():
        # No test has small p-values too often.
        assert stats.kstest(values, "uniform", alternative="greater").pvalue > 1e-4, name


def test_bonferroni_and_holm():
    one = _tests.family("a", "s", "q", "m", [0.5, 0.01, np.nan], ["x", "y", "z"])
    assert (one.p, one.worst, one.members) == (0.03, "y", 3)
    tests = [_tests.Test(str(p), "", "", "", 1, p, "") for p in (0.04, 0.001, 0.02, 0.9)]
    found = _tests.holm(tests, 0.05)
    assert [each.adjusted for each in found] == pytest.approx([0.08, 0.004, 0.06, 0.9])
    assert [each.flagged for each in found] == [False, True, False, False]


# ------------------------------------------------------------------------------------------------- wrong flows


def shifted():
    flow = bent(dim=3)
    x = flow.sample(5000, seed=1)
    x[:, 1] += 0.1 * x[:, 1].std()
    return flow, x, None, {"noise: mean", "noise: uniformity"}


def without_correlation():
    x = normal(3000, 1, 1, 1)
    x[:, 2] = 0.15 * x[:, 0] + np.sqrt(1 - 0.15**2) * x[:, 2]
    return standard(1, 1, 1), x, None, {"noise: correlation"}


def without_dependence():
    """Uncorrelated, but where one column is far out the other is, too."""
    scale = np.exp(0.35 * normal(4000, 1, seed=2))
    x = normal(4000, 1, 1) * scale
    return standard(*x.std(axis=0)), x, None, {"noise: correlation"}


def without_mode():
    x = normal(3000, 1, 1, 1)
    x[:90] = 0.5 * x[:90] + [4, -3, 0]
    return standard(1, 1, 1), x, None, {"outliers", "support"}


def with_a_mode_too_many():
    """The data have none of the left half of what the flow has."""
    x = normal(3000, 1, 1)
    return standard(1, 1), x[x[:, 0] > -1.2], None, {"marginals", "support", "noise: uniformity"}


def permuted():
    return standard(1.25, 1, 1), normal(3000, 1, 1.25, 1), None, {"noise: spread", "noise: uniformity"}


def permuted_and_alike():
    """The same marginals, but other columns go together."""
    x = normal(3000, 1, 1, 1)
    x[:, 1] = 0.5 * x[:, 0] + np.sqrt(0.75) * x[:, 1]
    flow = standard(1, 1, 1)
    return flow, x[:, [0, 2, 1]], None, {"noise: correlation"}


def of_another_context():
    flow, context = bent(dim=2, context_dim=2, by=0.12), normal(3000, 1, 1)
    return flow, flow.sample(3000, context, seed=1), np.roll(context, 1, axis=0), {"noise: context"}


def of_permuted_contexts():
    flow, context = bent(dim=2, context_dim=2, by=0.12), normal(3000, 1, 1)
    return flow, flow.sample(3000, context, seed=1), context[:, ::-1], {"noise: context"}


def prior_for_posterior():
    """Right on average, and blind to its context: ranks and coverage cannot tell."""
    context = normal(3000, 1)
    x = 0.4 * context + np.sqrt(1 - 0.16) * normal(3000, 1, seed=2)
    spec = diffeo.Spec(1, context_dim=1, dtype="float64")
    return spec.add_standardize([0.0], [1.0]).build(), x, context, {"noise: context", "classifier"}


def too_narrow():
    flow, context = diffeo.Spec(2, context_dim=1, dtype="float64").add_standardize([0.0] * 2, [0.8] * 2).build(), None
    context = normal(2000, 1)
    return flow, normal(2000, 1, 1, seed=3), context, {"ranks", "random regions", "regions", "noise: spread"}


WRONG = [
    shifted, without_correlation, without_dependence, without_mode, with_a_mode_too_many, permuted, permuted_and_alike,
    of_another_context, of_permuted_contexts, prior_for_posterior, too_narrow,
]  # fmt: skip


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_wrong_flows_are_told_by_the_test_that_should(make):
    flow, x, context, expected = make()
    report = flow.report(x, context, timing=False, seed=2)
    assert expected <= flagged(report), str(report)
    assert f"{len(report.flagged)} of {len(report.tests)} tests tell these {len(x):,} rows" in str(report)


def test_a_worse_density_than_a_mixture_is_told():
    x = normal(3000, 1, 1)
    x[::2] = 0.2 * x[::2] + 2
    report = standard(2.0, 2.0).report(x, timing=False)
    flow, gaussian, mixture = report.likelihood.scores
    assert "likelihood" in flagged(report)
    assert flow.mean < gaussian.mean < mixture.mean
    assert mixture.name == "mixture of 32 Gaussians"


# ----------------------------------------------------------------------------------------------------- numbers


def test_likelihoods_are_what_they_are():
    """Of normal rows with a correlation: the Gaussian's entropy, and the flow's by cross entropy."""
    x = normal(20_000, 1, 1)
    x[:, 1] = 0.6 * x[:, 0] + 0.8 * x[:, 1]
    report = standard(1, 1).report(x, rows_at_most=20_000, timing=False)
    flow, gaussian, _ = report.likelihood.scores
    entropy = np.log(2 * np.pi) + 1
    assert abs(flow.mean + entropy) < 2 * flow.two_errors
    assert abs(gaussian.mean + entropy + 0.5 * np.log(1 - 0.36)) < 2 * gaussian.two_errors
    assert gaussian.flow_more == pytest.approx(flow.mean - gaussian.mean)
    assert report.likelihood.fitted_rows == report.likelihood.rows == 10_000


def test_the_conditional_gaussian_is_a_regression():
    context = normal(8000, 3.0)
    x = 2 * context + 0.5 * normal(8000, 1, seed=2)
    density = _compute._mixture(np.hstack([x, context]), 1, 0)
    found = density(np.hstack([x, context]), 1)
    expected = stats.norm.logpdf(x[:, 0], 2 * context[:, 0], 0.5)
    np.testing.assert_allclose(found, expected, atol=0.15)
    assert found.mean() == pytest.approx(expected.mean(), abs=2e-3)


@pytest.mark.parametrize("dim", [2, 70])  # full covariances, and diagonals
def test_mixtures_are_those_of_scikit_learn(dim):
    x = normal(900, *[1.5] * dim) + 3
    mixture = pytest.importorskip("sklearn.mixture").GaussianMixture(
        2, covariance_type="full" if dim == 2 else "diag", random_state=0, max_iter=200
    )
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    expected = mixture.fit(scaled).score_samples(scaled) - np.log(x.std(axis=0)).sum()
    np.testing.assert_allclose(_compute._mixture(x, 2, 0)(x, dim), expected, rtol=1e-8)


def test_rank_correlations_are_those_of_scipy():
    a, b = normal(200, 1, 2), np.round(normal(200, 1, 1, seed=2))
    expected = [[stats.spearmanr(first, second).statistic for second in b.T] for first in a.T]
    np.testing.assert_allclose(_compute._rank_correlations(a, b), expected, atol=1e-12)
    assert _compute._rank_correlations(a, np.ones((200, 1))).tolist() == [[0], [0]]


def test_worst_rows_are_called_by_number_and_name():
    pandas = pytest.importorskip("pandas")
    x = normal(500, 1, 1)
    x[17, 1], x[300, 0] = 9.0, -7.0
    frame = pandas.DataFrame(x, columns=["mass", "phi"], index=[f"event {i}" for i in range(500)])
    report = standard(1, 1).report(frame, timing=False)
    first, second = report.worst[:2]
    assert flagged(report) == {"noise: farthest"}
    assert report.flagged[0].worst == "phi: +9.0 in row 17"
    assert (first.number, first.name, first.column) == (17, "event 17", "phi")
    assert first.noise == pytest.approx(9.0)
    assert first.log_prob == pytest.approx(-np.log(2 * np.pi) - 40.5 - 0.5 * x[17, 0] ** 2)
    assert (second.number, second.column, second.rarer) == (300, "mass", 0.0)
    assert standard(1, 1).report(x, row_names=range(1000, 1500), timing=False).worst[0].name == "1017"


def test_rows_outside_of_the_support_are_counted():
    flow = diffeo.Spec(1, dtype="float64").add_domain("log", low=0.0).add_standardize([0.0], [1.0]).build()
    x = np.exp(normal(400, 1))
    assert not flow.report(x, timing=False).flagged
    x[[3, 8]] = -1
    report = flow.report(x, timing=False)
    assert (report.support.without_density, report.likelihood.without_density) == (2, 2)
    assert flagged(report) == {"support"}
    assert report.worst[0].number == 3
    assert report.worst[0].log_prob == -np.inf


def test_more_rows_than_wanted_are_drawn():
    x = normal(3000, 1, 1)
    report = standard(1, 1).report(x, rows_at_most=500, timing=False)
    assert (report.given, report.rows) == (3000, 500)
    assert "500 of 3,000 rows are looked at, drawn by the seed." in report.said


def test_weights_have_their_distribution():
    x = normal(6000, 1.5, 1.5)
    weights = np.exp(-0.5 * (x**2).sum(axis=1) * (1 - 1 / 1.5**2))
    flow = standard(1, 1)
    assert not flow.report(x, weights=weights, timing=False).flagged
    assert flow.report(x, timing=False).flagged
    report = flow.report(x, weights=np.ones(6000), timing=False)
    assert report.rows == 6000


def test_counts_and_images():
    flow = diffeo.glow_image((1, 4, 4), levels=1, steps=1, hidden=(4,), quantization=16)
    x = np.random.default_rng(1).integers(0, 16, (150, 1, 4, 4))
    flow.fit(x, max_epochs=2, progress=False)
    report = flow.report(np.floor(flow.sample(150, seed=1)).clip(0, 15), timing=False)
    assert report.dim == 16
    assert "A whole number n of counts" in report.said[0]
    assert (report.worst[0].values == np.floor(report.worst[0].values)).all()


def test_the_same_arguments_give_the_same_report():
    flow, x = bent(), bent().sample(300, seed=3)
    first, again, other = (flow.report(x, seed=seed, timing=False).to_json() for seed in (1, 1, 2))
    assert first == again != other
    assert json.loads(first)["rows"] == 300


def test_samples_drawn_with_the_seed_of_the_report_are_others():
    assert seed_of(0, "samples") not in (0, seed_of(0, "noise"), seed_of(1, "samples"))
    flow = standard(1, 1)
    assert flow.report(flow.sample(300, seed=0), seed=0, timing=False).marginals[0].distance > 0


def test_a_history_is_kept_in_the_file(moons, tmp_path):
    flow = diffeo.realnvp(dim=2, transforms=1, hidden=(8,))
    history = flow.fit(moons[:500], max_epochs=3, validation=0, progress=False)
    _history.keep(flow, history)
    flow.save(tmp_path / "flow.h5")
    found = diffeo.load(tmp_path / "flow.h5").report(moons[:200], timing=False).history
    assert json.dumps(found.epoch) == "[1, 2, 3]"
    assert found.train_log_prob == pytest.approx(history.train_log_prob, rel=1e-6)
    assert np.isnan(found.validation_log_prob).all()
    assert str(found) == str(history)
    long = diffeo.History(*[[*range(1, 100_001)]] * 7)
    _history.keep(flow, long)
    found = _history.kept(flow)
    assert found.epoch[-1] == 100_000
    assert 250 < len(found) <= 500
    for nothing in "{", "[]", json.dumps({"epoch": []}):
        flow.metadata["diffeo.history"] = nothing
        assert _history.kept(flow) is None
    _history.keep(flow, diffeo.History(stopped="max_epochs"))
    assert _history.kept(flow) is None


def test_what_cannot_be_reported_on_is_refused(trained, moons, conditional):
    context = normal(200, 1, 1)
    cases = [
        (lambda: trained.report(moons[:99]), "x has 99 rows; a report wants 100 at least"),
        (lambda: trained.report(moons[:, :1]), "x has 1 columns, this flow has dim 2"),
        (lambda: trained.report(moons, context), "context given"),
        (lambda: conditional.report(normal(200, 1, 1, 1)), "context is missing"),
        (lambda: conditional.report(normal(200, 1, 1, 1), context[:150]), "context has 150 rows, x has 200"),
        (lambda: trained.report(moons, names=["a"]), "names must be 2 words"),
        (lambda: trained.report(moons, row_names=["a"]), "row_names has 1 names, x has 4000 rows"),
        (lambda: trained.report(moons, rows_at_most=50), "rows_at_most must be from 100"),
        (lambda: trained.report(moons, false_alarms=0), "false_alarms must be between 0 and 1, not 0"),
        (lambda: trained.report(moons, seed=-1), "seed must be from 0"),
        (lambda: trained.report(moons, weights=np.ones(3)), r"weights has shape \(3,\), expected \(4000,\)"),
        (lambda: trained.report(moons, weights=-np.ones(4000)), "not -1.0 in row 0"),
        (lambda: trained.report(moons, weights=np.zeros(4000)), "all 4000 weights are 0"),
        (lambda: trained.report(moons, weights=np.eye(1, 4000)[0]), "1 of them after thinning"),
        (lambda: trained.report(moons, train=moons[:50]), "train has 50 rows; a report wants 100"),
        (lambda: trained.report(moons, train_context=context), "without train"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    broken = moons.copy()
    broken[7, 1] = np.inf
    with pytest.raises(ArithmeticError, match="x has inf in row 7, column 1"):
        trained.report(broken)
    flow = diffeo.Spec(1).add_domain("log", low=0.0).build()
    with pytest.raises(ArithmeticError, match="20 of 200 rows of x have a density above 0"):
        flow.report(np.repeat([1.0, -1.0], [20, 180])[:, None])


# -------------------------------------------------------------------------------------------------------- page


class Outline(html.parser.HTMLParser):
    """Whether tags are closed in their order, ids, and text."""

    EMPTY = ("meta", "path", "use", "image", "rect", "br")

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.text = [], [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of a conditional flow, with a history, strange names and a row without a density."""
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    flow, context = bent(dim=3, context_dim=2), normal(600, 1, 1)
    x = flow.sample(600, context, seed=1)
    curves = {"train_log_prob": [-3, -2], "validation_log_prob": [-3.5, -2.5], "best_log_prob": -2.5}
    history = diffeo.History(epoch=[1, 2], seconds=[1.0, 2.0], best_epoch=2, stopped="max_epochs", **curves)
    report = flow.report(x, context, history=history, names=["a < b", "$m$ & n", "c"], title="Check <of> a flow")
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.save(path)
    return path


def test_the_page_is_whole_and_refers_to_nothing(page):
    text = page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert len(outline.ids) == len(set(outline.ids)) > 100
    references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert references
    assert references <= set(outline.ids)
    assert not re.search(r"https?:|www\.|://|@import|<script|<link|<a ", text)
    assert set(re.findall(r'(?:src|href)="([^#"][^"]{0,21})', text)) <= {"data:image/png;base64,"}
    for words in ("Check <of> a flow", "a < b", "$m$ & n", "Learning curve", "TARP", "Gaussian", "rows a second"):
        assert words in outline.text, words
    assert "nan" not in re.sub("[^a-z ]", " ", outline.text.lower()).split()
    assert "$" not in re.sub(r"\$m\$", "", outline.text)


def test_no_verdict_without_a_test(page):
    """Each word for a verdict stands beside the p-value of a test."""
    text = page.read_text(encoding="utf-8")
    words = len(re.findall("does not hold|not refuted", text))
    findings = len(re.findall(r'class="finding[^>]*>.*?p = [0-9.e-]+, with all tests [0-9.e-]+', text))
    assert words == 2 * findings > 20


@needs_matplotlib
def test_the_same_page():
    flow, x = bent(), bent().sample(200, seed=3)
    assert flow.report(x, timing=False).html() == flow.report(x, timing=False).html()


@needs_matplotlib
@pytest.mark.parametrize("dim", [1, 30])
def test_pages_of_few_and_of_many_columns(dim):
    flow = standard(*[1.0] * dim)
    text = flow.report(normal(200, *[1.0] * dim), timing=False).html()
    Outline(text)
    assert ("columns that differ most" in text) == (dim > 1)


def shown(page, tmp_path, *options):
    """A screenshot of the page, as an array."""
    from matplotlib.image import imread

    picture = tmp_path / "shot.png"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,3000",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}",
        *options, page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return imread(picture)[..., :3]


@needs_matplotlib
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_light_and_dark(page, tmp_path):
    light, dark = (shown(page, tmp_path, f"--blink-settings=preferredColorScheme={mode}") for mode in (1, 0))
    assert light[5, 5] == pytest.approx([1, 1, 1])
    assert dark[5, 5].max() < 0.15
    for shot, paper in ((light, 1.0), (dark, 0.08)):
        assert (abs(shot.mean(axis=2) - paper) > 0.6).mean() > 0.004  # ink
        blue = (shot[..., 2] > shot[..., 0] + 0.2) & (shot[..., 2] > 0.4)
        orange = (shot[..., 0] > shot[..., 2] + 0.4) & (shot[..., 0] > 0.6)
        assert blue.mean() > 0.01
        assert orange.mean() > 0.001
        assert (abs(shot[:, -20:].mean(axis=2) - paper) < 0.1).all()  # nothing is cut off at the edge


@needs_matplotlib
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_prints_it(page, tmp_path):
    paper = tmp_path / "report.pdf"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={paper}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20
