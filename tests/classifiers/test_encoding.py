"""Rows with text, categories, booleans and missing values, as their owners have them."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._classifiers.adapters import PredictProbaClassifier
from tests.support.models import QUICK

pytestmark = [
    pytest.mark.usefixtures("short_distillation"),
    pytest.mark.filterwarnings(
        "ignore:The surrogate predicts:UserWarning",
        "ignore::sklearn.exceptions.ConvergenceWarning",
        "ignore:Rows that the classifier assigns:UserWarning",
    ),
]
NUMBERS, CATEGORIES = ["amount", "age", "income"], ["country", "channel", "new"]
SMALL_TREES = {"max_iter": 5, "min_samples_leaf": 5}


@pytest.fixture(scope="module")
def payments():
    random, n = np.random.default_rng(0), 400
    frame = pd.DataFrame(
        {
            "amount": random.lognormal(size=n),
            "age": random.integers(18, 90, n),
            "country": random.choice(["DE", "FR", "US"], n),
            "channel": pd.Categorical(random.choice(["web", "app"], n)),
            "new": random.random(n) < 0.3,
            "income": np.where(random.random(n) < 0.2, np.nan, random.normal(size=n)),
        }
    )
    is_fraud = ((frame.amount > 1.5) & (frame.country == "US")) | (frame.income > 1.2)
    return frame, np.where(is_fraud, "fraud", "ok")


def columns(numbers=None, categories=None, **options):
    numbers = numbers or make_pipeline(SimpleImputer(), StandardScaler())
    categories = categories or OneHotEncoder(handle_unknown="ignore")
    return make_column_transformer((numbers, NUMBERS), (categories, CATEGORIES), **options)


def as_float(frame):
    return frame.astype(float)


ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
PIPELINES = {
    "logistic": make_pipeline(columns(), LogisticRegression()),
    "perceptron": make_pipeline(columns(), MLPClassifier((4,), max_iter=5, random_state=0)),
    "dropped category": make_pipeline(columns(categories=OneHotEncoder(drop="first")), LogisticRegression()),
    "rare categories": make_pipeline(columns(categories=OneHotEncoder(min_frequency=150)), LogisticRegression()),
    "scaled after": make_pipeline(columns(sparse_threshold=0), StandardScaler(), LogisticRegression()),
    "target encoder": make_pipeline(columns(categories=TargetEncoder()), LogisticRegression()),
    "bins": make_pipeline(
        make_column_transformer((KBinsDiscretizer(3, encode="onehot-dense"), ["amount", "age"]), (ORDINAL, CATEGORIES)),
        LogisticRegression(),
    ),
    "missing values reach the trees": make_pipeline(
        columns(numbers="passthrough", categories=ORDINAL), HistGradientBoostingClassifier(**SMALL_TREES)
    ),
    "decision threshold": FixedThresholdClassifier(
        make_pipeline(columns(), HistGradientBoostingClassifier(**SMALL_TREES)), threshold=0.8, pos_label="ok"
    ),
}
EXACT = {"logistic", "perceptron", "dropped category", "rare categories", "scaled after", "target encoder", "bins"}
BOOSTERS = {
    "scikit-learn": HistGradientBoostingClassifier(categorical_features="from_dtype", **SMALL_TREES),
    "LightGBM": LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
    "XGBoost": XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1),
}


def check(detector, classifier, X, tmp_path):
    """Labels are those of the classifier, rows alone and among others are the same, and so are those of the file."""
    result = detector.correct(X)
    np.testing.assert_array_equal(result.no_defense, classifier.predict(X))
    np.testing.assert_array_equal(detector.adversarial_score(X.iloc[3:4]), result.instance_score[3:4])
    np.testing.assert_array_equal(detector.p_values(X) <= 0.05 + 1e-9, result.is_adversarial)
    joblib.dump(detector, tmp_path / "detector.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "detector.joblib").correct(X).corrected, result.corrected)


def reconstructed(detector, X):
    return np.asarray(detector._defense.reconstruct(detector._checked(X).astype(np.float32)))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(), (columns(),)], ids=["encoded here", "behind transformers"])
def test_a_threshold_of_the_decision_function(payments, steps):
    """predict of the outer classifier is called, with the rows that the inner one takes."""
    X, y = payments[0].astype({"country": "category"}), payments[1]
    inner = make_pipeline(*steps, HistGradientBoostingClassifier(**SMALL_TREES))
    options = {"threshold": 0.3, "pos_label": "fraud", "response_method": "decision_function"}
    classifier = FixedThresholdClassifier(inner, **options).fit(X, y)
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(name, payments, tmp_path):
    X, y = payments
    classifier = clone(PIPELINES[name]).fit(X[:200], y[:200])
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X[200:])
    assert isinstance(detector.classifier_, FrozenKerasModel) == (name in EXACT), "the gradient stays exact"
    check(detector, classifier, X, tmp_path)
    rows, rules = reconstructed(detector, X), detector._encoding.rules
    for group, may_be_zero in zip(rules["groups"], rules["may_be_zero"], strict=True):
        assert set(np.unique(rows[:, group])) <= {0, 1}
        assert set(rows[:, group].sum(axis=1)) <= ({0, 1} if may_be_zero else {1})
    for column, lowest, highest in rules["codes"]:
        assert set(np.unique(rows[:, column])) <= set(range(lowest, highest + 1))
    for method in (detector.transform, detector.reconstruct):
        with pytest.raises(ValueError, match=r"cannot be turned back into rows like those of X. Use correct\(X\)"):
            method(X)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_with_categories_of_their_own(name, payments, tmp_path):
    X, y = payments
    X, y = X.astype({"country": "category"}), (y == "fraud").astype(int)
    classifier = clone(BOOSTERS[name]).fit(X[:200], y[:200])
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK, threshold_percentile=70).fit(X[200:])
    check_labels = detector.correct(X)
    np.testing.assert_array_equal(check_labels.no_defense, classifier.predict(X))
    repaired, flagged = detector.transform(X), check_labels.is_adversarial
    assert repaired.dtypes.equals(X.dtypes)
    assert repaired[~flagged].equals(X.reset_index(drop=True)[~flagged])
    np.testing.assert_array_equal(classifier.predict(repaired), check_labels.corrected)
    assert (repaired.income.isna() == X.income.isna()).all(), "what is missing stays missing"
    unknown = X.assign(country=pd.Categorical(["XX"] * len(X)), income=np.nan)
    try:
        labels = classifier.predict(unknown)
    except ValueError:  # so do later versions of XGBoost
        with pytest.raises(ValueError, match="Found a category not in the training set"):
            detector.correct(unknown)
    else:
        np.testing.assert_array_equal(detector.correct(unknown).no_defense, labels)


@pytest.mark.slow
@pytest.mark.parametrize("gap", [None, np.nan], ids=repr)
def test_what_stands_for_missing_text_reaches_the_classifier(payments, gap):
    """To OneHotEncoder, None and NaN are two categories: it refuses the one that it does not know."""
    X, y = payments
    X = X.assign(country=np.where(np.arange(len(X)) % 7, X.country, gap)).astype({"country": object})
    strict = columns(categories=OneHotEncoder())
    classifier = VotingClassifier([("a", make_pipeline(strict, LogisticRegression()))], voting="soft").fit(X, y)
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("X", ["numbers with gaps", "DataFrame with gaps"])
def test_missing_values_alone(payments, X, tmp_path):
    frame, y = payments
    rows = frame[NUMBERS] if X == "DataFrame with gaps" else frame[NUMBERS].to_numpy()
    classifier = HistGradientBoostingClassifier(**SMALL_TREES).fit(rows[:200], y[:200])
    detector = AdversarialAEDetector(classifier, **QUICK).fit(rows[200:])
    np.testing.assert_array_equal(detector.correct(rows).no_defense, classifier.predict(rows))
    new_gaps = np.full((5, 3), np.nan) if X == "numbers with gaps" else frame[NUMBERS][:5] * np.nan
    np.testing.assert_array_equal(detector.correct(new_gaps).no_defense, classifier.predict(new_gaps))
    np.testing.assert_array_equal(np.isnan(detector.reconstruct(rows)), np.isnan(rows))


@pytest.mark.slow
def test_missing_values_that_fit_has_not_seen(payments, tmp_path):
    """They reach the trees, as they do without the detector; an imputer leaves none to be encoded."""
    X, y = payments
    known, classifier = X.dropna(), PIPELINES["missing values reach the trees"].fit(X, y)
    detector = AdversarialAEDetector(classifier, **QUICK).fit(known)
    check(detector, classifier, X, tmp_path)
    imputed = make_pipeline(columns(categories=ORDINAL), HistGradientBoostingClassifier(**SMALL_TREES)).fit(X, y)
    assert AdversarialAEDetector(imputed, **QUICK).fit(known)._encoding.columns is None


def test_imputer_before_a_network(payments):
    """The gradient stays exact behind it."""
    frame, y = payments
    rows = frame[NUMBERS].to_numpy()
    classifier = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows, y)
    detector = AdversarialAEDetector(classifier, **QUICK).fit(rows)
    assert isinstance(detector.classifier_, FrozenKerasModel)
    np.testing.assert_array_equal(detector.correct(rows).no_defense, classifier.predict(rows))


def test_numbers_that_a_column_transformer_encodes(payments):
    """x' = AE(x) in front of the encoder would be no category."""
    rows, y = payments[0][["amount", "age"]].round(), payments[1]
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["age"]), remainder="passthrough")
    classifier = make_pipeline(encoder, LogisticRegression()).fit(rows, y)
    detector = AdversarialAEDetector(classifier, **QUICK).fit(rows)
    assert len(detector._encoding.rules["groups"]) == 1
    np.testing.assert_array_equal(detector.correct(rows).no_defense, classifier.predict(rows))


def test_polars(payments):
    X, y = payments
    X = pl.from_pandas(X.astype({"channel": str}))
    classifier = clone(PIPELINES["logistic"]).fit(X, y)
    detector = AdversarialAEDetector(classifier, **QUICK).fit(X)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic", "missing values reach the trees"])
def test_corrected_classifier(name, payments):
    X, y = payments
    corrected = CorrectedClassifier(AdversarialAEDetector(clone(PIPELINES[name]), **QUICK)).fit(X, y)
    assert corrected.score(X, y) > 0.7
    assert corrected.predict_proba(X).shape == (len(X), 2)
    assert corrected.feature_names_in_.tolist() == X.columns.tolist()


@pytest.mark.slow
def test_search_over_the_percentile_trains_once_a_fold(payments, tmp_path):
    X, y = payments
    classifier = FrozenEstimator(clone(PIPELINES["logistic"]).fit(X, y))
    detector = AdversarialAEDetector(classifier, **QUICK, memory=str(tmp_path))
    search = GridSearchCV(
        detector, {"threshold_percentile": [80, 95]}, scoring=lambda model, X, _: len(model.predict(X)), cv=2
    )
    search.fit(X, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 3


@pytest.fixture(scope="module")
def detector(payments):
    X, y = payments
    return AdversarialAEDetector(clone(PIPELINES["logistic"]).fit(X, y), **QUICK).fit(X)


class TestBadInput:
    def test_a_column_is_missing(self, detector, payments):
        with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing:\n- income"):
            detector.predict(payments[0].drop(columns="income"))

    @pytest.mark.parametrize(
        ("make", "kind", "message"),
        [
            (lambda X: pl.from_pandas(X).lazy(), TypeError, r"X is a LazyFrame.* Pass X.collect\(\)"),
            (lambda X: X.iloc[0], ValueError, r"got Series with 1 dimension\(s\). A single row is a table too"),
            (lambda X: X.to_dict("records"), ValueError, "X must be a DataFrame or a 2D array, got list"),
            (lambda X: X[["age", *X]], ValueError, r"unique column names, got several columns named \['age'\]"),
        ],
        ids=["lazy", "one row", "dicts", "doubled column"],
    )
    def test_no_table(self, detector, payments, make, kind, message):
        with pytest.raises(kind, match=message):
            detector.predict(make(payments[0]))

    @pytest.mark.slow
    def test_an_array_where_columns_are_encoded_by_name(self, payments):
        X, y = payments[0][["amount", "channel"]], payments[1]
        classifier = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
        detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
        with pytest.raises(TypeError, match="X must be a DataFrame with the columns of fit, got ndarray"):
            detector.predict(X.to_numpy())

    def test_an_unknown_category_is_for_the_encoder_to_decide(self, detector, payments):
        X = payments[0].assign(country="XX")
        np.testing.assert_array_equal(detector.correct(X).no_defense, detector.classifier.predict(X))

    def test_a_row_of_missing_values(self, detector, payments):
        X = payments[0][:3].assign(amount=np.nan, age=np.nan, income=np.nan)
        np.testing.assert_array_equal(detector.correct(X).no_defense, detector.classifier.predict(X))

    def test_a_classifier_that_takes_no_text(self, payments):
        X, y = payments
        classifier = LogisticRegression().fit(X[["amount", "age"]], y)
        with pytest.raises(ValueError, match="columns that hold no numbers"):
            AdversarialAEDetector(classifier, **QUICK).fit(X[["amount", "country"]])
        with pytest.raises(ValueError, match="contains NaN"):
            AdversarialAEDetector(classifier, **QUICK).fit(X[["amount", "income"]])

    def test_nothing_is_half_fitted(self, detector, payments):
        before = vars(detector).copy()
        with pytest.raises(ValueError, match="missing"):
            detector.fit(payments[0].drop(columns="income"))
        assert vars(detector) == before

    @pytest.mark.slow
    def test_a_category_that_only_the_classifier_knows(self, payments):
        X, y = payments
        classifier = VotingClassifier([("pipeline", PIPELINES["logistic"])], voting="soft").fit(X, y)
        detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X[X.country != "US"])
        with pytest.raises(ValueError, match=r"categories that were not there.*in the columns \['country'\]"):
            detector.predict(X)

    @pytest.mark.slow
    def test_text_that_the_classifier_reads(self, payments):
        """It cannot read what stands for an unknown category, so the error has to be ours."""
        X, y = payments[0].assign(size=payments[0].age.astype(str)), payments[1]
        reader = make_column_transformer((FunctionTransformer(as_float), ["size"]), (StandardScaler(), ["age"]))
        classifier = VotingClassifier([("reader", make_pipeline(reader, LogisticRegression()))], voting="soft").fit(
            X, y
        )
        detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
        with pytest.raises(ValueError, match=r"categories that were not there.*in the columns \['size'\]"):
            detector.predict(X.assign(size="1000"))

    @pytest.mark.slow
    def test_missing_values_after_a_fit_without(self, payments):
        X, y = payments[0][["amount"]], payments[1]
        classifier = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
        detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
        with pytest.raises(ValueError, match="X has missing values, but the detector was fitted on rows without"):
            detector.predict(X.mask(X.median() < X))


@pytest.mark.slow
def test_a_pipeline_inside_an_ensemble_or_a_search(payments):
    X, y = payments
    ensemble = VotingClassifier([("pipeline", PIPELINES["logistic"])], voting="soft").fit(X, y)
    search = GridSearchCV(PIPELINES["logistic"], {"memory": [None]}, cv=2).fit(X, y)
    for classifier, kind in ((ensemble, PredictProbaClassifier), (search, FrozenKerasModel)):
        detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
        assert isinstance(detector.classifier_, kind)
        np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


@pytest.mark.slow
def test_categories_behind_transformers(payments):
    X, y = payments
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["country"]), ("passthrough", ["channel", "income"])
    ).set_output(transform="pandas")
    classifier = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=3)).fit(X, y)
    settings = {**QUICK, "mutable_features": ["channel"]}
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **settings).fit(X)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))
    rules, n_levels = detector._encoding.rules, X.channel.nunique()
    assert [len(group) for group in rules["groups"]] == [n_levels, X.country.nunique()]
    assert set(range(detector.autoencoder_.output_shape[1])) - set(detector._defense.kept) == set(rules["groups"][0])
