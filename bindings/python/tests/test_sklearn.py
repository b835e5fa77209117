"""Flows as estimators of scikit-learn."""

import pickle
import warnings

import diffeo
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from diffeo.sklearn import FlowDensity
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator


def test_scikit_learns_own_checks():
    small = FlowDensity("maf", flow_options={"transforms": 1, "hidden": (8,)}, max_epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(small, on_fail=None)
    failed = {each["check_name"]: repr(each["exception"]) for each in results if each["status"] == "failed"}
    assert failed == {}
    assert len(results) > 25


def test_density():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 2)) @ [[1.0, 0.9], [0.0, 0.4]]
    model = FlowDensity("realnvp", flow_options={"transforms": 4, "hidden": (32,)}, max_epochs=15, random_state=3).fit(
        x
    )
    truth = -np.log(2 * np.pi) - np.log(0.4) - 1.0
    assert model.score(x) == pytest.approx(truth, abs=0.15)
    assert model.score_samples(x).shape == (2000,)
    assert model.sample(7, random_state=1).shape == (7, 2)
    assert np.array_equal(model.sample(3, random_state=1), model.sample(3, random_state=1))
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.score_samples(x), model.score_samples(x))
    other = clone(model).fit(x)
    assert np.array_equal(other.score_samples(x), model.score_samples(x))
    with pytest.raises(ValueError, match="flow must be one of"):
        FlowDensity("gaussian").fit(x)


def test_pipelines_and_searches():
    rng = np.random.default_rng(2)
    x = np.exp(rng.normal(size=(400, 2)))
    pipeline = make_pipeline(StandardScaler(), FlowDensity("made", max_epochs=4, random_state=1))
    assert np.isfinite(pipeline.fit(x).score_samples(x)).all()
    search = GridSearchCV(
        FlowDensity("maf", max_epochs=4, random_state=1),
        {"flow_options": [{"transforms": 1, "hidden": (8,)}, {"transforms": 2, "hidden": (8,)}]},
        cv=2,
        n_jobs=2,
    ).fit(x)
    assert np.isfinite(search.best_score_)
    assert isinstance(search.best_estimator_.flow_, diffeo.Flow)


def test_weights_count():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(-3, 1, (500, 1)), rng.normal(3, 1, (500, 1))])
    weights = np.repeat([0.0, 1.0], 500)
    model = FlowDensity("spline_autoregressive", max_epochs=10, random_state=1).fit(x, sample_weight=weights)
    assert (model.sample(500, random_state=1) > 0).mean() > 0.98
