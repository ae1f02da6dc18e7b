"""What a notebook shows of an estimator: links to our pages, the classifier inside, short texts."""

import re

import keras
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel, ScoreDisplay
from skaae._utils.documentation import documentation
from skaae.alibi import AdversarialAE


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("SKAAE_DOCUMENTATION", "https://docs.example/skaae/")
    return "https://docs.example/skaae"


def links(estimator):
    return set(re.findall(r'href="([^"#]+)', estimator._repr_html_()))


def test_each_estimator_links_to_its_page(site, iris_model):
    frozen = FrozenKerasModel(iris_model)
    detector = AdversarialAEDetector(frozen)
    page = site + "/generated/skaae.{}.html"
    assert documentation() == site
    assert page.format("FrozenKerasModel") in links(frozen)
    assert {page.format("AdversarialAEDetector"), page.format("FrozenKerasModel")} <= links(detector)
    whole = links(CorrectedClassifier(AdversarialAEDetector(LogisticRegression())))
    assert page.format("CorrectedClassifier") in whole
    assert any(link.endswith("sklearn.linear_model.LogisticRegression.html") for link in whole), "of scikit-learn's own"


def test_without_an_address_there_is_no_link_of_ours(monkeypatch):
    monkeypatch.setenv("SKAAE_DOCUMENTATION", "")
    found = links(make_pipeline(StandardScaler(), AdversarialAEDetector(LogisticRegression())))
    assert found
    assert not [link for link in found if "skaae" in link or "AdversarialAEDetector" in link]


def test_inner_classifier_is_shown(iris_model):
    shown = CorrectedClassifier(AdversarialAEDetector(LogisticRegression(C=0.25)))._repr_html_()
    assert all(name in shown for name in ("CorrectedClassifier", "AdversarialAEDetector", "LogisticRegression", "0.25"))
    assert "FrozenKerasModel" in AdversarialAEDetector(FrozenKerasModel(iris_model))._repr_html_()


def test_texts_are_short(iris_model):
    ae = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="ae")
    assert repr(AdversarialAEDetector(LogisticRegression(), epochs=3)) == (
        "AdversarialAEDetector(classifier=LogisticRegression(), epochs=3)"
    )
    facade = repr(AdversarialAE(ae=ae, model=iris_model, threshold=0.5))
    assert re.fullmatch(r"AdversarialAE\(ae=<Sequential name=ae.*>, model=<Sequential .*>, threshold=0.5\)", facade)
    assert len(repr(ScoreDisplay.from_predictions([0.1, 0.2] * 500))) < 100
