"""Evasion of raw rows: attacks that alter mutable columns of numbers within range; whole numbers stay whole."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.defense import hop_skip_jump
from benchmarks.defense.raw_tables import Table
from skaae import FeatureConstraints
from skaae._classifiers.conversions import convert

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecated names of SciPy
    import foolbox

SIZE = 0.3


class Evasion:
    """Moves rows in standard deviations of their mutable columns, and back to rows that can be.

    Parameters
    ----------
    table : Table
    """

    def __init__(self, table: Table) -> None:
        self.mutable = table.mutable
        self.scaler = StandardScaler().fit(table.X_train[self.mutable])
        scaled = self.scaled(table.X_train)
        self.bounds = float(np.floor(scaled.min())), float(np.ceil(scaled.max()))
        self.constraints = FeatureConstraints.from_data(table.X_train, mutable_features=self.mutable)

    def scaled(self, X: pd.DataFrame) -> np.ndarray:
        return self.scaler.transform(X[self.mutable])

    def start(self, X: pd.DataFrame) -> np.ndarray:
        """Where an attack starts: the rows themselves, brought into the range of the training rows."""
        return np.clip(self.scaled(X), *self.bounds).astype(np.float32)

    def moved(self, X: pd.DataFrame, scaled: np.ndarray) -> pd.DataFrame:
        """The rows with other values in their mutable columns, within range."""
        values = pd.DataFrame(
            self.scaler.inverse_transform(scaled.astype(np.float64)), columns=self.mutable, index=X.index
        )
        return self.constraints.project(X.assign(**values))

    def projected_gradient(self, model: Pipeline, X: pd.DataFrame, y: np.ndarray, seed: int) -> pd.DataFrame:
        """PGD of foolbox, Linf, on a classifier with a gradient behind the transformers."""
        encoded = tf.constant(model[:-1].transform(X).astype(np.float32))
        network, places = convert(model[-1]), [X.select_dtypes("number").columns.get_loc(name) for name in self.mutable]
        one_hot = tf.one_hot(places, encoded.shape[1])
        start = self.start(X)

        def logits(z: tf.Tensor) -> tf.Tensor:
            values = network(encoded + (z - start) @ one_hot)
            return tf.concat([-values, values], axis=1) if values.shape[1] == 1 else values

        victim = foolbox.models.TensorFlowModel(logits, bounds=self.bounds)
        tf.random.set_seed(seed)
        attack = foolbox.attacks.LinfPGD(steps=40)
        _, moved, _ = attack(victim, tf.constant(start), tf.constant(y), epsilons=SIZE)
        return self.moved(X, moved.numpy())

    def hop_skip_jump(self, model: Pipeline, X: pd.DataFrame, seed: int) -> pd.DataFrame:
        """HopSkipJump of ART, which asks for labels only, one row after the other."""
        scaled = self.start(X)
        return self.moved(
            X, np.vstack([self._jumped(model, X[n : n + 1], scaled[n : n + 1], seed) for n in range(len(X))])
        )

    def _jumped(self, model: Pipeline, row: pd.DataFrame, scaled: np.ndarray, seed: int) -> np.ndarray:
        def predict_proba(z: np.ndarray) -> np.ndarray:
            return model.predict_proba(self.moved(row.loc[row.index.repeat(len(z))].reset_index(drop=True), z))

        victim = SimpleNamespace(predict_proba=predict_proba, classes_=model.classes_)
        return hop_skip_jump.attack(victim, SimpleNamespace(bounds=self.bounds), scaled, seed)
