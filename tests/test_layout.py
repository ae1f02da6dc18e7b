"""The rules of the layout: one idea a module, imports downwards only, TensorFlow imported late."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "skaae"
MODULES = sorted(PACKAGE.glob("*.py"))
# From the equation up to the estimator: a module imports only from those before it.
ORDER = [
    "_divergence",
    "_extras",
    "_warnings",
    "_documentation",
    "_files",
    "_rows",
    "_samples",
    "_input",
    "_decisions",
    "_processes",
    "_perturbations",
    "_training",
    "_random",
    "_threshold",
    "_keras_models",
    "_persistence",
    "_autoencoders",
    "_inference",
    "_logits",
    "_frozen_keras_model",
    "_conversions",
    "_classifiers",
    "_surrogate",
    "_hidden_layers",
    "_scoring",
    "_caching",
    "_fitting",
    "_validation",
    "_outlier_detector",
    "_detector",
    "_attack_target",
    "_corrected",
    "metrics",
    "_plotting",
    "_score_scale",
    "_score_display",
    "_chosen_samples",
    "_correction_display",
    "_robustness_display",
    "alibi",
    "_onnx_assembly",
    "_onnx_trees",
    "_onnx_classifiers",
    "_onnx_graph",
    "onnx",
    "__init__",
]
# Tests that look at several modules at once.
ACROSS = {
    "test_benchmarks.py",
    "test_dask.py",
    "test_distribution.py",
    "test_docs.py",
    "test_examples.py",
    "test_faults.py",
    "test_layout.py",
    "test_odd_frames.py",
    "test_odd_images.py",
    "test_odd_input.py",
    "test_odd_labels.py",
    "test_odd_settings.py",
    "test_persistence.py",
    "test_properties.py",
    "test_properties_of_functions.py",
    "test_serve.py",
    "test_site.py",
    "test_sklearn_contract.py",
    "test_trees.py",
    "test_typing.py",
}


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skaae"):
            yield node.module.removeprefix("skaae").removeprefix(".") or "__init__"


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of_code(function):
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(tree), "says what its one idea is"
    place = ORDER.index(path.stem)
    assert all(ORDER.index(module) < place for module in imported_modules(tree)), "imports downwards only"
    too_long = [function.name for function in functions(tree) if lines_of_code(function) > 50]
    assert not too_long


def test_every_module_has_its_test():
    wanted = {f"test_{path.stem.lstrip('_')}.py" for path in MODULES if path.stem != "__init__"}
    found = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    assert wanted - found - {"test_decisions.py"} == set()
    assert found - wanted <= ACROSS


def test_public_names_are_listed_once():
    import skaae

    assert {*skaae._MODULES, *skaae._SUBMODULES, "__version__"} == set(skaae.__all__) == set(dir(skaae))
    for name in skaae.__all__:
        assert getattr(skaae, name)
    with pytest.raises(AttributeError, match="module 'skaae' has no attribute 'Detector'"):
        skaae.Detector  # noqa: B018
