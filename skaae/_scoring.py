"""From x to S(x): x' = AE(x), M(x), M(x') and the hidden terms, for any number of rows.

Where M is a Keras model all of it is one compiled graph. Otherwise M's ``predict_proba`` is called
on x and on x', and the same equation takes the logarithms of its probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from skaae._classifiers import ROWS_PER_CALL, Classifier, PredictProbaClassifier, floored_logarithms
from skaae._divergence import AdversarialScore
from skaae._hidden_layers import FrozenHeads
from skaae._inference import RowFunction
from skaae._keras_models import call_frozen
from skaae._rows import Rows, RowSubset

Results = dict[str, np.ndarray]
# Processors take so many numbers together at most; a rest is computed one by one, and rounded differently.
ROWS_TOGETHER = 16
Scorer = Callable[[np.ndarray, Sequence[str]], Results]


def make_scorer(
    autoencoder: keras.Model,
    classifier: Classifier,
    heads: FrozenHeads,
    score: AdversarialScore,
    sample_shape: Sequence[int],
) -> Scorer:
    """Make the function that scores rows.

    Parameters
    ----------
    autoencoder : keras.Model
    classifier : FrozenKerasModel or PredictProbaClassifier
        M.
    heads : FrozenHeads
        Rows -> logits of M, or of its surrogate, and of the hidden terms.
    score : AdversarialScore
    sample_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    scorer : callable
        ``scorer(X, names)`` is a dict of ndarrays of length n_samples: "score", S(x), float64;
        "reconstruction", x', float32; "no_defense" and "defense", the positions in ``classes_`` of
        the labels that M gives x and x'; "probabilities" and "probabilities_reconstructed", M(x)
        and M(x'), float64. A ValueError where the networks overflow.
    """
    if isinstance(classifier, PredictProbaClassifier):
        return PredictProbaScorer(autoencoder, classifier, heads, score, sample_shape)

    def function(x: tf.Tensor) -> dict[str, tf.Tensor]:
        reconstruction = tf.cast(call_frozen(autoencoder, x), tf.float32)
        logits, logits_reconstructed = heads(x), heads(reconstruction)
        is_finite = all_finite([reconstruction, *logits, *logits_reconstructed])
        return {
            "reconstruction": reconstruction,
            "is_finite": is_finite,
            **compare(score, logits, logits_reconstructed),
        }

    network = RowFunction(function, sample_shape)
    return lambda X, names: checked(network(X, (*names, "is_finite")), X)


def all_finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Of each row, whether nothing in it is NaN or infinite.

    The score alone does not tell: a comparison with NaN is false, and so can the label's change be.

    Parameters
    ----------
    values : sequence of tf.Tensor of shape (n_samples, ...), float

    Returns
    -------
    is_finite : tf.Tensor of shape (n_samples,), bool
    """
    parts = [tf.reduce_all(tf.math.is_finite(part), axis=range(1, len(part.shape))) for part in values]
    return tf.reduce_all(tf.stack(parts), axis=0)


def checked(results: Results, X: Rows, start: int = 0) -> Results:
    """Results without "is_finite", or a ValueError that names the rows of X where the networks overflowed.

    Such a row has no score, and must pass for normal no more than a value that is infinite itself.

    Parameters
    ----------
    results : dict of ndarray
    X : ndarray or RowSubset of shape (n_samples, ...)
        The rows that were scored.
    start : int, default=0
        Number of the first of them.
    """
    overflowed = np.flatnonzero(~results.pop("is_finite"))
    if len(overflowed):
        first = X.indices[overflowed[0]] if isinstance(X, RowSubset) else start + overflowed[0]
        raise ValueError(
            f"X has {len(overflowed)} row(s), the first is number {first}, for which the classifier or "
            f"the autoencoder returns NaN or infinity (values up to {np.abs(X[overflowed[:1]]).max():.3g}): they have "
            f"no score. Scale or clip X, or leave these rows out."
        )
    return results


def compare(
    score: AdversarialScore, logits: Sequence[tf.Tensor], logits_reconstructed: Sequence[tf.Tensor]
) -> dict[str, tf.Tensor]:
    """All that follows from the logits of x and of x'."""
    return {
        "score": score.ranked(logits, logits_reconstructed),
        "no_defense": tf.argmax(logits[0], axis=1),
        "defense": tf.argmax(logits_reconstructed[0], axis=1),
        "probabilities": tf.nn.softmax(tf.cast(logits[0], tf.float64)),
        "probabilities_reconstructed": tf.nn.softmax(tf.cast(logits_reconstructed[0], tf.float64)),
    }


def padded(values: np.ndarray) -> np.ndarray:
    """With rows of zeros up to a multiple of `ROWS_TOGETHER`, so that a row's logarithms do not depend on its place."""
    return np.pad(values, ((0, -len(values) % ROWS_TOGETHER), (0, 0)))


class PredictProbaScorer:
    """Scores with a classifier that is not a Keras model; the surrogate has no say in it.

    Parameters
    ----------
    autoencoder : keras.Model
    classifier : PredictProbaClassifier
    heads : FrozenHeads
        Only its hidden terms are used.
    score : AdversarialScore
    sample_shape : sequence of int
    """

    def __init__(
        self,
        autoencoder: keras.Model,
        classifier: PredictProbaClassifier,
        heads: FrozenHeads,
        score: AdversarialScore,
        sample_shape: Sequence[int],
    ) -> None:
        self.classifier = classifier
        self.score = score
        self._autoencoder = autoencoder
        self._heads = heads
        self._network = RowFunction(self._reconstruct, sample_shape)

    def __call__(self, X: np.ndarray, names: Sequence[str]) -> Results:
        """Score the rows of X, slice by slice."""
        starts = range(0, len(X), ROWS_PER_CALL)
        parts = [self._score(X[start : start + ROWS_PER_CALL], names, start) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def _score(self, X: np.ndarray, names: Sequence[str], start: int) -> Results:
        found = checked(self._network(X), X, start)
        if tuple(names) == ("reconstruction",):
            return found
        reconstruction = found.pop("reconstruction")
        n_terms = len(found) // 2
        hidden, hidden_reconstructed = list(found.values())[:n_terms], list(found.values())[n_terms:]
        probabilities = self.classifier.predict_proba(X)
        probabilities_reconstructed = self.classifier.predict_proba(reconstruction.astype(X.dtype))
        terms = [padded(part) for part in (floored_logarithms(probabilities), *hidden)]
        reconstructed = [
            padded(part) for part in (floored_logarithms(probabilities_reconstructed), *hidden_reconstructed)
        ]
        compared = compare(self.score, terms, reconstructed)
        results = {name: values.numpy()[: len(X)] for name, values in compared.items()}
        exact = {"probabilities": probabilities, "probabilities_reconstructed": probabilities_reconstructed}
        return {"reconstruction": reconstruction, **results, **exact}

    def _reconstruct(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """X' and the hidden terms of x, then of x'."""
        reconstruction = tf.cast(call_frozen(self._autoencoder, x), tf.float32)
        terms = [*self._heads.hidden_terms(x), *self._heads.hidden_terms(reconstruction)]
        named = {f"term {place}": values for place, values in enumerate(terms)}
        return {"reconstruction": reconstruction, "is_finite": all_finite([reconstruction, *terms]), **named}
