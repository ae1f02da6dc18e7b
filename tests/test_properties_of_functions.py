"""What holds for any logits, scores and signs, by Hypothesis: the divergence, the threshold and the metrics alone.

Examples and profiles are those of test_properties.py, where whole detectors are asked.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skaae._divergence import AdversarialScore, kullback_leibler, log_odds_of_change, log_probabilities
from skaae._scoring.split import split_by_class, split_rows
from skaae._scoring.threshold import conformal_threshold
from skaae.metrics import TruePositiveRateAt, detection_auc

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

percentiles = st.floats(0, 100, exclude_min=True)
finite_scores = arrays.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1e300))
logits = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 6)),
    elements=st.one_of(st.floats(-20, 20, width=32), st.floats(-(2.0**126), 2.0**126, width=32)),
)
temperatures = st.one_of(st.just(1.0), st.floats(0.01, 100), st.floats(2.0**-126, 2.0**127))


class TestDivergence:
    @given(z=logits, temperature=temperatures)
    def test_of_equal_predictions_is_nothing(self, z, temperature):
        log_p = log_probabilities(tf.constant(z), temperature)
        assert (kullback_leibler(log_p, log_p).numpy() == 0).all()
        np.testing.assert_allclose(np.exp(log_p.numpy()).sum(axis=1), 1, rtol=1e-12)

    @given(z=logits, order=st.randoms(use_true_random=False), temperature=temperatures, first=st.booleans())
    def test_is_finite_and_not_negative(self, z, order, temperature, first):
        other = z.copy()
        for row in other:
            order.shuffle(row)
        score = AdversarialScore(temperature, label_change_first=first)
        for values in (score([z], [other]).numpy(), score.ranked([z], [other]).numpy()):
            assert np.isfinite(values).all()
            assert (values >= 0).all()

    @given(z=logits, order=st.randoms(use_true_random=False))
    def test_a_change_of_label_ranks_above_all_others(self, z, order):
        other = z.copy()
        for row in other:
            order.shuffle(row)
        ranked = AdversarialScore(label_change_first=True).ranked([z], [other]).numpy()
        changed = z.argmax(axis=1) != other.argmax(axis=1)
        assert (ranked[changed] >= 1000).all()
        assert (ranked[~changed] <= 1000).all()
        odds = log_odds_of_change(tf.constant(other), z.argmax(axis=1), other.argmax(axis=1)).numpy()
        assert (odds >= 0).all()
        assert (odds[~changed] == 0).all()

    @given(z=logits, shift=st.floats(-100, 100, width=16), temperature=st.floats(0.1, 10))
    def test_constants_and_permutations_of_the_logits_change_nothing(self, z, shift, temperature):
        z = np.clip(z, -20, 20)
        other = z[::-1]
        score = AdversarialScore(temperature)
        wanted = score([z], [other]).numpy()
        shifted = score([z.astype(np.float64) + shift], [other]).numpy()
        turned = score([z[:, ::-1]], [other[:, ::-1]]).numpy()
        np.testing.assert_allclose(shifted, wanted, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(turned, wanted, rtol=1e-9, atol=1e-9)

    @given(z=logits, cold=st.floats(0.01, 100), warm=st.floats(0.01, 100))
    def test_a_lower_temperature_sharpens(self, z, cold, warm):
        cold, warm = sorted([cold, warm])
        sharp, soft = (np.exp(log_probabilities(tf.constant(z), t).numpy()).max(axis=1) for t in (cold, warm))
        assert (sharp >= soft - 1e-12).all()

    @given(z=logits, weight=st.floats(0, 1e30))
    def test_hidden_terms_add_up(self, z, weight):
        other = z[::-1]
        alone = AdversarialScore()([z], [other]).numpy()
        np.testing.assert_allclose(
            AdversarialScore(hidden_weights=(weight,))([z, z], [other, other]).numpy(),
            alone + weight * alone,
            rtol=1e-12,
        )


class TestThreshold:
    @given(scores=finite_scores, first=percentiles, second=percentiles)
    @example(scores=np.array([1.0, 2.0]), first=1e-300, second=5e-324)
    def test_rises_with_the_percentage(self, scores, first, second):
        low, high = (conformal_threshold(scores, percentile) for percentile in sorted([first, second]))
        assert low <= high
        assert {low, high} <= set(scores)

    @given(scores=finite_scores, percentile=percentiles)
    def test_leaves_that_percentage_below(self, scores, percentile):
        threshold = conformal_threshold(scores, percentile)
        below = (scores <= threshold).sum()
        assert below == len(scores) or below >= (len(scores) + 1) * percentile / 100 - 1e-6

    @given(scores=finite_scores, order=st.randoms(use_true_random=False), percentile=percentiles)
    def test_does_not_depend_on_the_order(self, scores, order, percentile):
        shuffled = scores.tolist()
        order.shuffle(shuffled)
        assert conformal_threshold(np.array(shuffled), percentile) == conformal_threshold(scores, percentile)

    @given(n_samples=st.integers(2, 300), fraction=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 2**32 - 1))
    @example(n_samples=100, fraction=0.2, seed=0)
    @example(n_samples=10, fraction=0.95, seed=0)
    def test_rows_are_parted_without_loss(self, n_samples, fraction, seed):
        try:
            training, calibration = split_rows(n_samples, fraction, seed)
        except ValueError as error:
            assert f"calibration_fraction={fraction} of {n_samples} rows" in str(error)  # noqa: PT017
            assert fraction * n_samples > n_samples - 2
            return
        assert fraction * n_samples <= n_samples - 1
        assert len(training) >= 1
        assert len(calibration) >= max(1, np.floor(fraction * n_samples))
        if fraction > 0:
            np.testing.assert_array_equal(np.sort(np.r_[training, calibration]), np.arange(n_samples))

    @given(
        y=st.lists(st.sampled_from("abcd"), min_size=2, max_size=60),
        fraction=st.floats(0.01, 0.99),
        seed=st.integers(0, 99),
    )
    @example(y=list("aabbbcc"), fraction=0.3, seed=0)
    def test_each_class_is_trained_on(self, y, fraction, seed):
        y = np.array(y)
        try:
            training, calibration = split_by_class(y, fraction, seed, train_each_class=True)
        except ValueError as error:
            assert "calibration_fraction" in str(error)  # noqa: PT017
            assert len(y) - np.ceil(fraction * len(y)) < len(set(y)), "too few rows are left for the classes"
            return
        assert set(y[training]) == set(y)
        np.testing.assert_array_equal(np.sort(np.r_[training, calibration]), np.arange(len(y)))


class Scores:
    def __init__(self, scores):
        self.scores = scores

    def score_samples(self, X):
        return -self.scores


rates = st.floats(0, 1)


@st.composite
def scores_and_signs(draw):
    scores = draw(arrays.arrays(np.float64, st.integers(2, 30), elements=st.integers(0, 8).map(float)))
    signs = draw(arrays.arrays(np.int64, len(scores), elements=st.sampled_from([-1, 1])))
    assume(len(set(signs)) == 2)
    return scores, signs


class TestMetrics:
    @given(both=scores_and_signs())
    def test_area_is_the_share_of_pairs_in_order(self, both):
        scores, signs = both
        area = detection_auc(Scores(scores), scores[:, None], signs)
        adversarial, normal = scores[signs == -1][:, None], scores[signs == 1]
        assert area == pytest.approx(np.mean(adversarial > normal) + np.mean(adversarial == normal) / 2)
        assert detection_auc(Scores(scores), scores[:, None], -signs) == pytest.approx(1 - area)
        assert detection_auc(Scores(np.exp(scores)), scores[:, None], signs) == pytest.approx(area)

    @given(both=scores_and_signs(), first=rates, second=rates)
    def test_rate_rises_with_the_false_alarms(self, both, first, second):
        scores, signs = both
        low, high = (
            TruePositiveRateAt(rate)(Scores(scores), scores[:, None], signs) for rate in sorted([first, second])
        )
        assert 0 <= low <= high <= 1
        assert TruePositiveRateAt(1.0)(Scores(scores), scores[:, None], signs) == 1

    @given(both=scores_and_signs(), rate=rates)
    def test_rate_is_reached_by_a_threshold(self, both, rate):
        scores, signs = both
        allowed = [-np.inf, *scores] if rate == 1 else scores
        found = [np.mean(scores[signs == -1] > t) for t in allowed if np.mean(scores[signs == 1] > t) <= rate]
        assert TruePositiveRateAt(rate)(Scores(scores), scores[:, None], signs) == pytest.approx(max(found))
