"""Tables as their owners have them: a rare class, mixed columns, missing values, and Pipelines that take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

from benchmarks.common.data import adult_frame, keel_frame

# Rows of the common class for each row of the rare one; None: as it is.
SETS = {
    "magic 1:25": ("magic", 25),
    "magic 1:100": ("magic", 100),
    "adult 1:25": ("adult", 25),
    "adult 1:100": ("adult", 100),
    "adult": ("adult", None),
    "spambase": ("spambase", None),
}
# Nobody can alter these; nor does an attack here alter categories.
IMMUTABLE = ("age",)
GRADIENT = ("logistic regression", "multilayer perceptron")


@dataclass
class Table:
    """Rows for M, rows for the detector, and rows to judge. The label 1 is the rare class."""

    X_train: pd.DataFrame
    y_train: np.ndarray
    X_detector: pd.DataFrame
    X_test: pd.DataFrame
    y_test: np.ndarray

    @property
    def numbers(self) -> list[str]:
        return self.X_train.select_dtypes("number").columns.tolist()

    @property
    def mutable(self) -> list[str]:
        """The columns that an attack can alter."""
        return [name for name in self.numbers if name not in IMMUTABLE]


def load_table(name: str, seed: int) -> Table:
    """Load a table, thin out its rare class, and split it: 40 % for M, 35 % for the detector, 25 % to judge."""
    source, ratio = SETS[name]
    X, y = adult_frame() if source == "adult" else keel_frame(source)
    if ratio is not None:
        X, y = _thinned(X, y, ratio, seed)
    X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    X_train, X_detector, y_train, _ = train_test_split(
        X_rest, y_rest, test_size=7 / 15, stratify=y_rest, random_state=seed
    )
    return Table(X_train, y_train, X_detector, X_test, y_test)


def _thinned(X: pd.DataFrame, y: np.ndarray, ratio: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    common, rare = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    kept = np.random.default_rng(seed).choice(rare, len(common) // ratio, replace=False)
    rows = np.sort(np.concatenate([common, kept]))
    return X.iloc[rows].reset_index(drop=True), y[rows]


def pipeline(name: str, table: Table, seed: int) -> Pipeline:
    """An ordinary Pipeline, not fitted. The numbers are its first columns."""
    classifier = CLASSIFIERS[name](random_state=seed)
    categories = [column for column in table.X_train if column not in table.numbers]
    if name in GRADIENT:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
        return make_pipeline(
            make_column_transformer((StandardScaler(), table.numbers), (encoder, categories)), classifier
        )
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    return make_pipeline(make_column_transformer(("passthrough", table.numbers), (encoder, categories)), classifier)


CLASSIFIERS: dict[str, Callable[..., ClassifierMixin]] = {
    "histogram boosting": HistGradientBoostingClassifier,
    "XGBoost": partial(XGBClassifier, n_jobs=1),  # threads cost more than they bring here
    "logistic regression": partial(LogisticRegression, max_iter=2000),
    "multilayer perceptron": partial(MLPClassifier, (64, 32), early_stopping=True),
}
