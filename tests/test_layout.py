"""The rules of the layout: one idea a module, imports downwards only, TensorFlow imported late, a test file each."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skaae"
# From the equation up to the estimator and what stands on it: a folder or file imports only from those before it.
ORDER = [
    "_divergence",
    "_utils",
    "_data",
    "_constraints",
    "_keras",
    "_persistence",
    "_frozen_keras_model",
    "_classifiers",
    "_training",
    "_parameters",
    "_scoring",
    "_fitting",
    "_detector",
    "_attack_target",
    "_corrected",
    "metrics",
    "_displays",
    "alibi",
    "onnx",
    "robustness",
    "__init__",
]
# What a pickle, a joblib file or a skops file names: to rename one is to make older files unreadable.
MODULES_OF_CLASSES = {
    "AdversarialAEDetector": "skaae._detector",
    "CorrectedClassifier": "skaae._corrected",
    "CorrectionDisplay": "skaae._displays.correction",
    "ExplanationDisplay": "skaae._displays.explanation",
    "FeatureConstraints": "skaae._constraints",
    "FrozenKerasModel": "skaae._frozen_keras_model",
    "RobustnessDisplay": "skaae._displays.robustness",
    "ScoreDisplay": "skaae._displays.score",
    "alibi.AdversarialAE": "skaae.alibi",
    "metrics.TruePositiveRateAt": "skaae.metrics",
    "onnx.OnnxDetector": "skaae.onnx",
}
# Held by files of the classes above.
OTHER_SAVED_CLASSES = {
    "skaae._classifiers.adapters.ConvertedClassifier",
    "skaae._classifiers.adapters.PredictProbaClassifier",
    "skaae._classifiers.encoding.DecodingClassifier",
    "skaae._classifiers.encoding.Encoding",
    "skaae._classifiers.frames.FrameColumns",
    "skaae._classifiers.frames.MissingValues",
    "skaae._classifiers.heads.FrozenHeads",
    "skaae._classifiers.label_rules.DecisionThreshold",
    "skaae._classifiers.label_rules.MostProbable",
    "skaae._classifiers.label_rules.OwnPredict",
    "skaae._divergence.AdversarialScore",
    "skaae._persistence.SavedKeras",
    "skaae._persistence.SavedObject",
    "skaae._scoring.calibration.Calibration",
    "skaae._scoring.pools.PooledThresholds",
    "skaae._scoring.pools.SharedThreshold",
    "skaae._training.defense.Defense",
}
# Seen in every test of a detector, and of the file's; and of the command line.
WITHOUT_TEST = {"skaae._scoring.decisions", "skaae.robustness.__main__"}


def name_of(path):
    """The dotted name of a module, that of the package for `__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
PRIVATE_FOLDERS = [name for name, path in MODULES.items() if path.name == "__init__.py" and "._" in name]


def imported(name):
    """What a module imports of skaae, wherever in its code."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            found = [node.module]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            found = ["skaae"] if isinstance(node, ast.ImportFrom) else []
        yield from (module for module in found if module.split(".")[0] == "skaae")


def at_top(name):
    """The folder or file at the top in which a module is."""
    return name.split(".")[1] if "." in name else "__init__"


def lines_of_code(function):
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    assert len(MODULES[name].read_text().splitlines()) <= 400
    assert ast.get_docstring(TREES[name]), "says what its one idea is"
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions if lines_of_code(function) > 50] == []


@pytest.mark.parametrize("name", MODULES)
def test_imports(name):
    """A module names the modules that it takes from: none goes through the package, nor through a folder."""
    for module in imported(name):
        assert module in MODULES
        assert module not in ("skaae", *PRIVATE_FOLDERS)
        assert ORDER.index(at_top(module)) <= ORDER.index(at_top(name)), "downwards only"


def test_imports_are_found():
    assert sum(len(list(imported(name))) for name in MODULES) > 100


def test_no_cycle_inside_a_folder():
    list(TopologicalSorter({name: set(imported(name)) for name in MODULES}).static_order())


def test_order_names_what_is_there():
    assert sorted({at_top(name) for name in MODULES}) == sorted(ORDER)


@pytest.mark.parametrize("name", PRIVATE_FOLDERS)
def test_init_of_a_private_folder_is_its_docstring(name):
    (_only_statement,) = TREES[name].body


def mirrored(path):
    """skaae/_data/rows.py -> tests/data/test_rows.py, skaae/onnx/__init__.py -> tests/onnx/test_onnx.py."""
    *folders, name = path.relative_to(PACKAGE).with_suffix("").parts
    name = folders[-1] if name == "__init__" else name
    return ROOT.joinpath("tests", *(folder.lstrip("_") for folder in folders), f"test_{name.lstrip('_')}.py")


def test_every_module_has_its_test():
    wanted = {
        mirrored(path) for name, path in MODULES.items() if name not in ("skaae", *PRIVATE_FOLDERS, *WITHOUT_TEST)
    }
    found = set((ROOT / "tests").rglob("test_*.py"))
    assert wanted - found == set()
    across = found - wanted
    assert {path.parent for path in across} == {ROOT / "tests"}, "what looks at several modules is at the top"


def public_classes():
    """Each public class by the name that users write after "skaae."."""
    import skaae

    for name in set(skaae.__all__) - set(skaae._SUBMODULES):
        if isinstance(found := getattr(skaae, name), type):
            yield name, found
    for module in map(skaae.__getattr__, skaae._SUBMODULES):
        for name, found in vars(module).items():
            if isinstance(found, type) and found.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__}.{name}".removeprefix("skaae."), found


def test_public_classes_keep_the_modules_that_files_name():
    import skaae

    classes = dict(public_classes())
    assert {name: found.__module__ for name, found in classes.items()} == MODULES_OF_CLASSES
    assert set(skaae.TRUSTED_TYPES) > OTHER_SAVED_CLASSES
    public = {f"{found.__module__}.{found.__qualname__}" for found in classes.values()}
    assert set(skaae.TRUSTED_TYPES) - OTHER_SAVED_CLASSES < public


def test_public_names_are_listed_once():
    import skaae

    assert {*skaae._MODULES, *skaae._SUBMODULES, "__version__"} == set(skaae.__all__) == set(dir(skaae))
    for name in skaae.__all__:
        assert getattr(skaae, name)
    with pytest.raises(AttributeError, match="module 'skaae' has no attribute 'Detector'"):
        skaae.Detector  # noqa: B018
