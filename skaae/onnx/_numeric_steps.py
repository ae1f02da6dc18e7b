"""Transformers of numbers that skl2onnx cannot convert, or not in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, PolynomialFeatures, PowerTransformer

from skaae.onnx._assembly import Assembly
from skaae.onnx._tensors import side_by_side

# Functions of NumPy that one operator of ONNX computes in float64.
OPERATORS = {
    np.abs: "Abs",
    np.ceil: "Ceil",
    np.exp: "Exp",
    np.fabs: "Abs",
    np.floor: "Floor",
    np.log: "Log",
    np.negative: "Neg",
    np.reciprocal: "Reciprocal",
    np.rint: "Round",
    np.sign: "Sign",
    np.sin: "Sin",
    np.sqrt: "Sqrt",
    np.tanh: "Tanh",
}
KNOWN_FUNCTIONS = (*OPERATORS, np.expm1, np.log10, np.log1p, np.log2, np.square)


def numeric_step(step: Any) -> Callable[[Any, Assembly, str], str] | None:
    """Find the conversion of a transformer.

    Parameters
    ----------
    step : transformer
        Fitted.

    Returns
    -------
    conversion : callable or None
        Called with the transformer, the graph and the name of a tensor of float64, it adds nodes and returns the name
        of the result. None if skl2onnx converts the transformer.
    """
    conversions = (
        (SimpleImputer, _impute),
        (KBinsDiscretizer, _discretize),
        (PolynomialFeatures, _multiply),
        (PowerTransformer, _raise_to_powers),
        (FunctionTransformer, _apply_function),
    )
    if isinstance(step, SelectorMixin):
        return _select
    return next((conversion for kind, conversion in conversions if type(step) is kind), None)


def _select(step: SelectorMixin, assembly: Assembly, x: str) -> str:
    return _taken(assembly, x, step.get_support(indices=True))


def _impute(step: SimpleImputer, assembly: Assembly, x: str) -> str:
    statistics = np.asarray(step.statistics_, dtype=np.float64)
    is_missing = _is_missing(step.missing_values, assembly, x)
    filled = assembly.node("Where", is_missing, assembly.constant(np.nan_to_num(statistics)[None]), x)
    kept = np.arange(len(statistics)) if step.keep_empty_features else np.flatnonzero(~np.isnan(statistics))
    parts = [filled if len(kept) == len(statistics) else _taken(assembly, filled, kept)]
    if step.add_indicator:
        indicated = assembly.cast(_taken(assembly, is_missing, step.indicator_.features_), np.float64)
        parts.append(indicated)
    return side_by_side(assembly, parts)


def _is_missing(missing: Any, assembly: Assembly, x: str) -> str:
    if isinstance(missing, float) and np.isnan(missing):
        return assembly.node("IsNaN", x)
    if not isinstance(missing, int | float):
        raise TypeError(f"missing_values={missing!r} is no number")
    return assembly.node("Equal", x, assembly.constant(np.float64(missing)))


def _taken(assembly: Assembly, x: str, places: Any) -> str:
    return assembly.node("Gather", x, assembly.constant(np.asarray(places, dtype=np.int64)), axis=1)


def _discretize(step: KBinsDiscretizer, assembly: Assembly, x: str) -> str:
    """Count the edges that are at most the value, as `numpy.searchsorted` does."""
    inner = [np.asarray(edges, dtype=np.float64)[1:-1] for edges in step.bin_edges_]
    most = max(map(len, inner))
    edges = np.full((len(inner), most), np.inf)
    for place, values in enumerate(inner):
        edges[place, : len(values)] = values
    last = assembly.constant(np.array([2]))
    is_above = assembly.node("GreaterOrEqual", assembly.node("Unsqueeze", x, last), assembly.constant(edges[None]))
    codes = assembly.node("ReduceSum", assembly.cast(is_above, np.float64), last, keepdims=0)
    if step.encode == "ordinal":
        return codes
    column_of = np.repeat(np.arange(len(inner)), step.n_bins_)
    code_of = np.concatenate([np.arange(n_bins) for n_bins in step.n_bins_]).astype(np.float64)
    is_bin = assembly.node("Equal", _taken(assembly, codes, column_of), assembly.constant(code_of[None]))
    return assembly.cast(is_bin, np.float64)


def _multiply(step: PolynomialFeatures, assembly: Assembly, x: str) -> str:
    """Multiply columns: with exponents that only repeat them, so that products round as those of scikit-learn."""
    powers = step.powers_
    degree = max(1, int(powers.sum(axis=1).max()))
    n_features = powers.shape[1]
    factors = np.full((len(powers), degree), n_features)  # the column behind the last one is 1
    for place, row in enumerate(powers):
        columns = np.repeat(np.arange(n_features), row)
        factors[place, : len(columns)] = columns
    one = assembly.node(
        "Add", assembly.node("Mul", _taken(assembly, x, [0]), _number(assembly, 0)), _number(assembly, 1)
    )
    padded = assembly.node("Concat", x, one, axis=1)
    product = _taken(assembly, padded, factors[:, 0])
    for column in factors.T[1:]:
        product = assembly.node("Mul", product, _taken(assembly, padded, column))
    return product


def _raise_to_powers(step: PowerTransformer, assembly: Assembly, x: str) -> str:
    powers = np.asarray(step.lambdas_, dtype=np.float64)[None]
    if step.method == "box-cox":
        is_refused = assembly.node("LessOrEqual", x, _number(assembly, 0))
        result = assembly.node("Where", is_refused, _number(assembly, np.inf), _box_cox(assembly, x, powers))
    else:
        result = _yeo_johnson(assembly, x, powers)
    if not step.standardize:
        return result
    centered = assembly.node("Sub", result, assembly.constant(step._scaler.mean_[None]))
    return assembly.node("Div", centered, assembly.constant(step._scaler.scale_[None]))


def _yeo_johnson(assembly: Assembly, x: str, powers: np.ndarray) -> str:
    zero, one = _number(assembly, 0), _number(assembly, 1)
    is_negative = assembly.node("Less", x, zero)
    above = assembly.node("Add", assembly.node("Where", is_negative, zero, x), one)
    below = assembly.node("Sub", one, assembly.node("Where", is_negative, x, zero))
    return assembly.node("Sub", _box_cox(assembly, above, powers), _box_cox(assembly, below, 2 - powers))


def _box_cox(assembly: Assembly, x: str, powers: np.ndarray) -> str:
    """(x ** power - 1) / power, and the logarithm where the power is 0."""
    is_zero = np.abs(powers) < np.finfo(np.float64).eps
    divisors = assembly.constant(np.where(is_zero, 1.0, powers))
    raised = assembly.node("Pow", x, assembly.constant(powers))
    result = assembly.node("Div", assembly.node("Sub", raised, _number(assembly, 1)), divisors)
    if not is_zero.any():
        return result
    return assembly.node("Where", assembly.constant(is_zero), assembly.node("Log", x), result)


def _apply_function(step: FunctionTransformer, assembly: Assembly, x: str) -> str:
    if step.func is None:
        return x
    if step.kw_args or not any(step.func is known for known in KNOWN_FUNCTIONS):
        name = getattr(step.func, "__name__", repr(step.func))
        known = ", ".join(sorted(function.__name__ for function in KNOWN_FUNCTIONS))
        raise TypeError(f"func={name} is not one of the functions of NumPy without arguments that are known: {known}")
    if step.func in OPERATORS:
        return assembly.node(OPERATORS[step.func], x)
    if step.func is np.square:
        return assembly.node("Mul", x, x)
    if step.func is np.expm1:
        return assembly.node("Sub", assembly.node("Exp", x), _number(assembly, 1))
    if step.func is np.log1p:
        return assembly.node("Log", assembly.node("Add", x, _number(assembly, 1)))
    base = np.log(10) if step.func is np.log10 else np.log(2)
    return assembly.node("Div", assembly.node("Log", x), _number(assembly, base))


def _number(assembly: Assembly, value: float) -> str:
    return assembly.constant(np.float64(value))
