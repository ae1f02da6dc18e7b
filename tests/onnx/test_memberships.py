"""Sets of categories as columns of 0 and 1."""

import numpy as np
import onnxruntime

from skaae.onnx._assembly import Assembly
from skaae.onnx._memberships import Split, add_memberships

X = np.array([[0.5, 0.0, 3.0], [0.5, 1.0, 2.0], [0.5, 5.0, np.nan], [0.5, np.nan, -1.0]])


def test_columns_come_first():
    splits = [Split(1, frozenset([0, 1]), True), Split(2, frozenset([3]), False), Split(1, frozenset([1]), False)]
    assembly = Assembly("some", {"x": (np.float64, (3,))})
    tensor, places = add_memberships([*splits, splits[0]], assembly, "x")
    model = assembly.model({"rows": (tensor, np.float64, (6,))})
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]
    np.testing.assert_array_equal(found[:, 3:], X)
    assert {split: found[:, place].tolist() for split, place in places.items()} == {
        splits[0]: [0, 0, 1, 0],
        splits[1]: [0, 1, 1, 1],
        splits[2]: [1, 0, 1, 1],
    }
