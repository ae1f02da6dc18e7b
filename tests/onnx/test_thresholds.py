import json

import numpy as np
import pytest

from skaae._scoring.pools import PooledThresholds, SharedThreshold, offset_of
from skaae.onnx._thresholds import as_values, from_values

scores = np.sort(np.random.default_rng(0).exponential(size=50))


@pytest.mark.parametrize(
    "thresholds",
    [
        SharedThreshold(0.1),
        SharedThreshold(scores[45], scores),
        PooledThresholds((scores, scores[:5]), np.array([0, 1, 0]), offset_of(95)),
        PooledThresholds((scores,), np.zeros(3, int), offset_of(95), np.array([-np.inf, scores[48], 1e3])),
    ],
)
def test_nothing_changes_on_the_way(thresholds):
    loaded = from_values(json.loads(json.dumps(as_values(thresholds))))
    rows, labels = np.linspace(0, 5, 100), np.resize([0, 1, 2], 100)
    assert (loaded.threshold, loaded.offset) == (thresholds.threshold, thresholds.offset)
    np.testing.assert_array_equal(loaded.of_classes(3), thresholds.of_classes(3))
    np.testing.assert_array_equal(loaded.normality(rows, labels), thresholds.normality(rows, labels))
    np.testing.assert_array_equal(loaded.of_repairs(3), thresholds.of_repairs(3))


def test_files_of_before_repairs_were_limited():
    """Format 3: every row that is flagged is repaired, as then."""
    values = as_values(PooledThresholds((scores,), np.zeros(3, int), offset_of(95), np.ones(3)))
    del values["repair_thresholds"]
    assert np.isinf(from_values(values).of_repairs(3)).all()
