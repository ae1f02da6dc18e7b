"""Models put together compute what they compute one after the other."""

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from skaae.onnx._assembly import Assembly


def affine(factor, summand):
    assembly = Assembly("affine", {"x": (np.float64, (2,))})
    product = assembly.node("Mul", "x", assembly.constant(np.float64(factor)))
    total = assembly.node("Add", product, assembly.constant(np.float64(summand)))
    return assembly.model({"y": (total, np.float64, (2,))})


def test_a_model_used_twice():
    assembly = Assembly("twice", {"x": (np.float32, (2,))})
    first = assembly.add(affine(2, 1), {"x": assembly.cast("x", np.float64)})["y"]
    second = assembly.add(affine(2, 1), {"x": first})["y"]
    model = assembly.model({"first": (first, np.float64, (2,)), "second": (second, np.float64, (2,))})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    first, second = session.run(["first", "second"], {"x": np.ones((3, 2), np.float32)})
    np.testing.assert_array_equal(first, np.full((3, 2), 3.0))
    np.testing.assert_array_equal(second, np.full((3, 2), 7.0))


def test_operators_of_other_versions_are_refused():
    model = affine(2, 1)
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ValueError, match=r"The graph contains \['Mul of com.microsoft 1'\]"):
        Assembly("refused", {"x": (np.float64, (2,))}).add(model, {"x": "x"})
