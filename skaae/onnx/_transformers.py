"""Convert transformers to ONNX: the steps before the detector, and those before the classifier inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from skaae._classifiers.frames import FrameColumns, MissingValues
from skaae._classifiers.unwrapping import all_steps_of, unfrozen
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import OPSETS, Assembly
from skaae.onnx._columns import by_position
from skaae.onnx._comparison import N_PROBES, TOLERANCE, largest_difference
from skaae.onnx._inputs import Inputs
from skaae.onnx._missing_values import add_encoding
from skaae.onnx._numeric_steps import numeric_step
from skaae.onnx._tables import ENCODERS, look_up, n_before_encoder
from skaae.onnx._tensors import Matrix, Rows, side_by_side
from skaae.onnx._unknown_categories import Unknown


def add_transformers(steps: Sequence[Any], assembly: Assembly, rows: Rows) -> Rows:
    """Add transformers, one after the other.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted.
    assembly : Assembly
        The graph.
    rows : Columns or Matrix
        The rows that the first one takes.

    Returns
    -------
    rows : Columns or Matrix
        What the last one returns.

    Raises
    ------
    TypeError
        If there is no conversion of a step, which the message names.
    """
    steps = [inner for step in steps for inner in all_steps_of(step)]
    while steps:
        n_steps, rows = _add_first(steps, assembly, rows)
        steps = steps[n_steps:]
    return rows


def _add_first(steps: Sequence[Any], assembly: Assembly, rows: Rows) -> tuple[int, Rows]:
    """Add the first step, or several that are one table. Returns how many, and the rows behind them."""
    step, n_before = steps[0], n_before_encoder(steps)
    if isinstance(step, ColumnTransformer):
        return 1, _add_columns(step, assembly, rows)
    if isinstance(step, FeatureUnion):
        return 1, _add_union(step, assembly, rows)
    is_table = isinstance(step, ENCODERS) or (rows.has_text and n_before is not None)
    if not is_table and isinstance(step, FunctionTransformer) and step.func is None:
        return 1, rows
    chain = steps[: (n_before or 0) + 1] if is_table else [step]
    try:
        tensor = look_up(chain, assembly, rows) if is_table else _add_numeric(step, assembly, rows)
    except ImportError:
        raise
    except Exception as reason:  # skl2onnx raises many types of errors
        raise TypeError(f"{' and '.join(map(short_name, chain))}: {first_line(reason)}") from reason
    return len(chain), Matrix(assembly, tensor)


def _add_columns(step: ColumnTransformer, assembly: Assembly, rows: Rows) -> Rows:
    parts = []
    for name, inner, _ in step.transformers_:
        places = step._transformer_to_input_indices[name]
        if inner == "drop" or not len(places):
            continue
        behind = add_transformers([] if inner == "passthrough" else [inner], assembly, rows.take(places))
        parts.append(_matrix(behind, f"the columns {name!r} of ColumnTransformer"))
    return Matrix(assembly, side_by_side(assembly, parts))


def _add_union(step: FeatureUnion, assembly: Assembly, rows: Rows) -> Rows:
    parts, weights = [], step.transformer_weights or {}
    for name, inner in step.transformer_list:
        if inner == "drop":
            continue
        behind = add_transformers([] if inner == "passthrough" else [inner], assembly, rows)
        part = _matrix(behind, f"the part {name!r} of FeatureUnion")
        if name in weights:
            part = assembly.node("Mul", part, assembly.constant(np.float64(weights[name])))
        parts.append(part)
    return Matrix(assembly, side_by_side(assembly, parts))


def _matrix(rows: Rows, name: str) -> str:
    try:
        return rows.matrix()
    except TypeError as reason:
        raise TypeError(f"{name}: {reason}") from reason


def _add_numeric(step: Any, assembly: Assembly, rows: Rows) -> str:
    x = rows.matrix()
    convert = numeric_step(step) or _add_scikit_learn
    result = convert(step, assembly, x)
    return result if _takes_missing(step) else _refused(assembly, x, result)


def _takes_missing(step: Any) -> bool:
    """Whether missing values may go into a transformer, rather than raise an error."""
    passes_on = isinstance(step, FunctionTransformer) and not step.validate
    return passes_on or bool(get_tags(step).input_tags.allow_nan)


def _refused(assembly: Assembly, x: str, result: str) -> str:
    """Infinity in the rows in which x is not finite: operators such as comparisons would make it a number."""
    total = assembly.node("ReduceSum", x, assembly.constant(np.array([1])), keepdims=1)
    infinity = assembly.constant(np.float64(np.inf))
    is_finite = assembly.node("Less", assembly.node("Abs", total), infinity)
    return assembly.node("Where", is_finite, result, infinity)


def _add_scikit_learn(step: Any, assembly: Assembly, x: str) -> str:
    skl2onnx = import_extra("skl2onnx", "onnx")
    types = import_extra("skl2onnx.common.data_types", "onnx")
    initial = [("x", types.DoubleTensorType([None, getattr(step, "n_features_in_", None)]))]
    model = skl2onnx.to_onnx(by_position(step), initial_types=initial, target_opset=OPSETS)
    (output,) = assembly.add(model, {"x": x}).values()
    return assembly.cast(output, np.float64)


def short_name(step: Any) -> str:
    """The class of a step."""
    return type(unfrozen(step)).__name__


def first_line(error: Exception) -> str:
    """What an error says, without what follows in other lines."""
    return str(error).strip().split("\n")[0][:300]


def transformer_model(
    steps: Sequence[Any],
    inputs: Inputs,
    columns: FrameColumns | MissingValues | None = None,
    may_miss: bool = False,
    unknown: Mapping[int, Unknown] = MappingProxyType({}),
) -> Any:
    """Convert the steps before the detector in a Pipeline, and those before the classifier inside it, to ONNX.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted transformers from the rows of `inputs` to rows of numbers.
    inputs : Inputs
        The rows that the first step takes.
    columns : FrameColumns, MissingValues or None, default=None
        How missing values and categories behind the steps are encoded.
    may_miss : bool, default=False
        Whether rows may have missing values.
    unknown : dict of int to Unknown, default={}
        Categories that are refused, for the number of each column.

    Returns
    -------
    model : onnx.ModelProto
        Its inputs are those of `inputs.signature()`. Its output is "rows", of shape (n_samples, n_encoded), float64.

    Raises
    ------
    TypeError
        If there is no conversion of a step, or if the converted steps give different results.
    """
    names = [short_name(step) for step in steps]
    what = f"The steps before the {'classifier' if may_miss else 'detector'}, {names}, cannot be exported to ONNX"
    assembly = Assembly("transformers", inputs.signature())

    def transform(X: Any) -> Any:
        for step in steps:
            X = step.transform(X)
        X = X.toarray() if hasattr(X, "toarray") else X
        return X if columns is None else columns.encode(X)

    try:
        rows = add_encoding(columns, assembly, add_transformers(steps, assembly, inputs.rows(assembly)), unknown)
        model = assembly.model({"rows": (rows, np.float64, (None,))})
        X = inputs.random_rows(N_PROBES, may_miss)
        difference = largest_difference(model, inputs.feed(X), X, transform)
    except ImportError:
        raise
    except Exception as reason:  # the converters and ONNX Runtime raise many types of errors
        raise TypeError(f"{what}: {first_line(reason)}") from reason
    if not difference <= TOLERANCE:
        raise TypeError(f"{what}: the results of the converted steps differ by {difference:.2g}.")
    return model
