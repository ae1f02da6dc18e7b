"""The scorer: from x to x' = AE(x), M(x), M(x'), the hidden terms and S(x), for any number of rows.

If M is a Keras model, all of this is one compiled graph. Otherwise ``predict_proba`` of M is called for x and for x',
and the same equation is computed from the logarithms of its probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from skaae._classifiers.adapters import ROWS_PER_CALL, PredictProbaClassifier, floored_logarithms
from skaae._data.rows import Rows
from skaae._divergence import AdversarialScore
from skaae._keras.row_function import RowFunction
from skaae._training.defense import Defense

ROWS_TO_TRY = 1000
# Processors compute up to so many numbers together. The remaining ones are computed singly and rounded differently.
ROWS_TOGETHER = 16
# M takes x but not x', for instance because x' is a category that M does not know. Above the scores of label changes.
SCORE_WITHOUT_REPAIR = 2000.0
Results = dict[str, np.ndarray]
Scorer = Callable[[Rows, Sequence[str]], Results]


def make_scorer(defense: Defense) -> Scorer:
    """Make the function that scores rows.

    Parameters
    ----------
    defense : Defense

    Returns
    -------
    scorer : callable
        ``scorer(X, names)`` returns a dict of ndarrays of length n_samples: "score", S(x), float64, infinite
        where the networks overflow; "reconstruction", x', float32; "no_defense" and "defense", the positions in
        ``classes_`` of the labels that M predicts for x and x'; "probabilities" and
        "probabilities_reconstructed", M(x) and M(x'), float64. Where M does not take x', x itself stands for x' and
        the score is 2000; where M does not take x, the score is infinite.
    """
    if isinstance(defense.classifier, PredictProbaClassifier):
        return PredictProbaScorer(defense, defense.classifier)
    return RowFunction(lambda x: score_graph(defense, x), defense.sample_shape)


def score_graph(defense: Defense, x: tf.Tensor) -> dict[str, tf.Tensor]:
    """All results of `make_scorer` as one graph, where M is a Keras model."""
    reconstruction = defense.reconstruct(x)
    logits, logits_reconstructed = defense.heads(x), defense.heads(reconstruction)
    labels = tuple(defense.label_rule.of_logits(values[0]) for values in (logits, logits_reconstructed))
    compared = compare_predictions(
        defense.score, logits, logits_reconstructed, labels, defense.label_rule.log_weights()
    )
    # M can be finite where x' is not, for instance if its units saturate.
    is_finite = tf.reduce_all(tf.math.is_finite(reconstruction), axis=range(1, len(reconstruction.shape)))
    compared["score"] = tf.where(is_finite, compared["score"], tf.constant(math.inf, tf.float64))
    return {"reconstruction": reconstruction, **compared}


def reconstruction_graph(defense: Defense, x: tf.Tensor) -> dict[str, tf.Tensor]:
    """X', the hidden terms of x and those of x' as one graph, where M is not a Keras model."""
    reconstruction = defense.reconstruct(x)
    terms = [*defense.heads.hidden_terms(x), *defense.heads.hidden_terms(reconstruction)]
    return {"reconstruction": reconstruction, **{f"term_{place:03d}": values for place, values in enumerate(terms)}}


def check_finite(scorer: Scorer, X: Rows) -> None:
    """Raise a ValueError unless x' and S(x) are finite for these rows.

    Parameters
    ----------
    scorer : callable
        Result of `make_scorer`.
    X : ndarray or RowSubset of shape (n_samples, ...)
        Normal rows, of which the first `ROWS_TO_TRY` are checked.
    """
    rows = X[:ROWS_TO_TRY]
    # Check x' first: classifiers of scikit-learn raise an error if it is not finite.
    for name, what in {"reconstruction": "The reconstruction x' = AE(x)", "score": "The score S(x)"}.items():
        bad = ~np.isfinite(scorer(rows, [name])[name]).reshape(len(rows), -1).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{what} is not finite for {bad.sum()} of {len(rows)} rows of X. The training diverged, or the given "
                f"autoencoder had diverged before. Try a smaller learning_rate, an optimizer with clipnorm=1.0 or "
                f"another autoencoder, or scale X (StandardScaler)."
            )


def check_thresholds(thresholds: np.ndarray) -> None:
    """Raise a ValueError if a threshold is the score of rows whose x' the classifier does not take."""
    if (thresholds == SCORE_WITHOUT_REPAIR).any():
        raise ValueError(
            "classifier must take x' = AE(x), but it refuses x' of more held-out rows than threshold_percentile "
            "allows as false alarms. Pass more rows or epochs, a larger reconstruction_weight, or put the steps that "
            "refuse x' before the detector and pass the detector the classifier that follows."
        )


def compare_predictions(
    score: AdversarialScore,
    logits: Sequence[tf.Tensor],
    logits_reconstructed: Sequence[tf.Tensor],
    labels: tuple[tf.Tensor, tf.Tensor],
    log_weights: float | np.ndarray = 0.0,
) -> dict[str, tf.Tensor]:
    """Compute score and probabilities from the logits of x and of x', and the labels that M predicts for them."""
    return {
        "score": score.ranked(logits, logits_reconstructed, labels, log_weights),
        "no_defense": labels[0],
        "defense": labels[1],
        "probabilities": tf.nn.softmax(tf.cast(logits[0], tf.float64)),
        "probabilities_reconstructed": tf.nn.softmax(tf.cast(logits_reconstructed[0], tf.float64)),
    }


def padded(values: np.ndarray) -> np.ndarray:
    """Append zeros up to a multiple of `ROWS_TOGETHER` rows, so that results do not depend on the place of a row."""
    return np.pad(values, ((0, -len(values) % ROWS_TOGETHER), *((0, 0) for _ in values.shape[1:])))


class PredictProbaScorer:
    """Scores with a classifier that is not a Keras model. The surrogate is not used.

    Parameters
    ----------
    defense : Defense
        Of its heads only the hidden terms are used.
    classifier : PredictProbaClassifier
        The classifier of the defense.
    """

    def __init__(self, defense: Defense, classifier: PredictProbaClassifier) -> None:
        self.classifier = classifier
        self.score = defense.score
        self.label_rule = defense.label_rule
        self._network = RowFunction(lambda x: reconstruction_graph(defense, x), defense.sample_shape)

    def __call__(self, X: Rows, names: Sequence[str]) -> Results:
        """Score the rows of X, slice by slice."""
        parts = [self._score(X[start : start + ROWS_PER_CALL], names) for start in range(0, len(X), ROWS_PER_CALL)]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def _score(self, X: Rows, names: Sequence[str]) -> Results:
        outputs = self._network(X)
        if tuple(names) == ("reconstruction",):
            return outputs
        reconstruction = outputs.pop("reconstruction")
        n_terms = len(outputs) // 2
        hidden, hidden_reconstructed = list(outputs.values())[:n_terms], list(outputs.values())[n_terms:]
        probabilities = self.classifier.predict_proba_where_possible(X)
        is_finite = np.isfinite(reconstruction).reshape(len(X), -1).all(axis=1)
        # Classifiers of scikit-learn raise an error if x' is not finite.
        repaired = np.where(is_finite[:, None], reconstruction, 0).astype(X.dtype)
        probabilities_reconstructed = self.classifier.predict_proba_where_possible(repaired)
        is_taken = np.isfinite(probabilities_reconstructed).all(axis=1)
        probabilities_reconstructed = np.where(is_taken[:, None], probabilities_reconstructed, probabilities)
        if not is_taken.all():
            reconstruction = np.where((is_taken | ~is_finite)[:, None], reconstruction, X[:])
        terms = [floored_logarithms(probabilities), *hidden]
        terms_reconstructed = [floored_logarithms(probabilities_reconstructed), *hidden_reconstructed]
        rule = self.label_rule
        labels = rule.of_probabilities(probabilities, X), rule.of_probabilities(probabilities_reconstructed, repaired)
        padded_labels = padded(labels[0]), padded(labels[1])
        terms, terms_reconstructed = [*map(padded, terms)], [*map(padded, terms_reconstructed)]
        results = compare_predictions(self.score, terms, terms_reconstructed, padded_labels, rule.log_weights())
        compared = {name: np.asarray(values)[: len(X)] for name, values in results.items()}
        compared["score"] = np.where(is_taken, compared["score"], SCORE_WITHOUT_REPAIR)
        compared["score"] = np.where(is_finite & np.isfinite(probabilities).all(axis=1), compared["score"], np.inf)
        exact = {"probabilities": probabilities, "probabilities_reconstructed": probabilities_reconstructed}
        return {"reconstruction": reconstruction, **compared, **exact}
