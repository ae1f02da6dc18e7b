"""Ensembles of trees as ONNX, so that every comparison is the classifier's own.

The converters of skl2onnx and onnxmltools round thresholds or sums to float32 at places where the
classifiers do not: rows close to a threshold then fall into another leaf (LightGBM), and two classes
with equally many votes of a forest are no longer equal, so that another label wins. Here the
thresholds are compared in float64, x is rounded to float32 exactly where the classifier rounds it,
and votes are added up before they are divided. ONNX rounds the sum over the trees, once, to float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skaae.onnx._assembly import Assembly


class Tree(NamedTuple):
    """A tree, node by node: left where ``x[feature] <= threshold``.

    `left` and `right` are numbers of nodes, and no matter at a leaf; `values` has the shape
    (n_nodes, n_targets) for the targets first_target, first_target + 1, ... and matters at leaves.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    is_leaf: np.ndarray
    values: np.ndarray
    first_target: int = 0


def add_trees(classifier: Any, assembly: Assembly, x: str) -> str | None:
    """Add an ensemble of trees to a graph.

    Parameters
    ----------
    classifier : classifier
        Fitted.
    assembly : Assembly
    x : str
        Name of the rows, float64.

    Returns
    -------
    probabilities : str or None
        Name of the probabilities, float64; None if this is no ensemble that is known here.

    Raises
    ------
    TypeError
        If it has categorical splits or a loss without such probabilities.
    """
    if type(classifier) in FORESTS:
        return _forest(classifier, assembly, x)
    if type(classifier) is GradientBoostingClassifier:
        return _gradient_boosting(classifier, assembly, x)
    if type(classifier) is HistGradientBoostingClassifier:
        return _histogram_boosting(classifier, assembly, x)
    if type(classifier).__name__ == "LGBMClassifier":
        return _lightgbm(classifier, assembly, x)
    return None


FORESTS = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier)


def _forest(classifier: Any, assembly: Assembly, x: str) -> str:
    """Mean of the trees' probabilities."""
    trees = [tree.tree_ for tree in getattr(classifier, "estimators_", [classifier])]
    votes = _sum_of_trees(
        [_scikit_learn_tree(tree) for tree in trees], len(classifier.classes_), assembly, _float32(assembly, x)
    )
    return assembly.node("Div", votes, assembly.constant(np.float64(len(trees))))


def _gradient_boosting(classifier: GradientBoostingClassifier, assembly: Assembly, x: str) -> str:
    if classifier.loss != "log_loss" or not (classifier.init_ == "zero" or classifier.init is None):
        raise TypeError("GradientBoostingClassifier is exported with loss='log_loss' and init=None or 'zero'")
    trees = [
        _scikit_learn_tree(tree.tree_, classifier.learning_rate, target)
        for stage in classifier.estimators_
        for target, tree in enumerate(stage)
    ]
    n_targets = classifier.estimators_.shape[1]
    start = classifier._raw_predict_init(np.zeros((1, classifier.n_features_in_), np.float32))
    return _boosted(trees, np.broadcast_to(start, (1, n_targets)), assembly, _float32(assembly, x))


def _histogram_boosting(classifier: HistGradientBoostingClassifier, assembly: Assembly, x: str) -> str:
    if classifier.is_categorical_ is not None and np.any(classifier.is_categorical_):
        raise TypeError("HistGradientBoostingClassifier has categorical features, which are not exported")
    trees = [
        _histogram_tree(predictor.nodes, target)
        for stage in classifier._predictors
        for target, predictor in enumerate(stage)
    ]
    return _boosted(trees, classifier._baseline_prediction, assembly, x)


def _lightgbm(classifier: Any, assembly: Assembly, x: str) -> str:
    model = classifier.booster_.dump_model()
    if model["objective"].split()[0] not in ("binary", "multiclass") or model.get("average_output"):
        raise TypeError(f"LGBMClassifier with the objective {model['objective']!r} is not exported")
    if "sigmoid" in model["objective"] and "sigmoid:1" not in model["objective"].split():
        raise TypeError(f"LGBMClassifier with the objective {model['objective']!r} is not exported")
    n_targets = model["num_tree_per_iteration"]
    trees = [_lightgbm_tree(tree["tree_structure"], tree["tree_index"] % n_targets) for tree in model["tree_info"]]
    return _boosted(trees, np.zeros((1, n_targets)), assembly, x)


def _float32(assembly: Assembly, x: str) -> str:
    """X rounded to float32, as scikit-learn's trees round it before they compare."""
    return assembly.cast(assembly.cast(x, np.float32), np.float64)


def _boosted(trees: list[Tree], start: np.ndarray, assembly: Assembly, x: str) -> str:
    """Sigmoid or softmax of the start and the sum of the trees."""
    total = _sum_of_trees(trees, start.shape[1], assembly, x)
    raw = assembly.node("Add", total, assembly.constant(start.astype(np.float64)))
    if start.shape[1] > 1:
        return assembly.node("Softmax", raw, axis=1)
    second = assembly.node("Sigmoid", raw)
    first = assembly.node("Sub", assembly.constant(np.float64(1)), second)
    return assembly.node("Concat", first, second, axis=1)


def _scikit_learn_tree(tree: Any, scale: float = 1.0, target: int = 0) -> Tree:
    is_leaf = tree.children_left < 0
    return Tree(
        tree.feature, tree.threshold, tree.children_left, tree.children_right, is_leaf, scale * tree.value[:, 0], target
    )


def _histogram_tree(nodes: np.ndarray, target: int) -> Tree:
    feature, threshold, left, right = (nodes[name] for name in ("feature_idx", "num_threshold", "left", "right"))
    return Tree(feature, threshold, left, right, nodes["is_leaf"].astype(bool), nodes["value"][:, None], target)


def _lightgbm_tree(root: dict[str, Any], target: int) -> Tree:
    """From nested dicts; `left` and `right` of a node are the positions at which its children are put."""
    nodes, rows = [root], []
    for node in nodes:
        if "leaf_value" in node:
            rows.append((0, 0.0, 0, 0, True, node["leaf_value"]))
            continue
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise TypeError("LGBMClassifier has categorical splits or takes 0 as missing, which is not exported")
        left = len(nodes)
        nodes += [node["left_child"], node["right_child"]]
        rows.append((node["split_feature"], node["threshold"], left, left + 1, False, 0.0))
    feature, threshold, lefts, rights, is_leaf, values = (np.array(column) for column in zip(*rows, strict=True))
    return Tree(feature, threshold, lefts, rights, is_leaf, values[:, None], target)


def _sum_of_trees(trees: list[Tree], n_targets: int, assembly: Assembly, x: str) -> str:
    """The sum of what the leaves say, shape (n_samples, n_targets), float64."""
    from onnx.numpy_helper import from_array

    number = np.concatenate([np.arange(len(tree.feature)) for tree in trees])
    of_tree = np.repeat(np.arange(len(trees)), [len(tree.feature) for tree in trees])
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])

    def column(name: str, at_leaves: float = 0) -> np.ndarray:
        return np.where(is_leaf, at_leaves, np.concatenate([getattr(tree, name) for tree in trees]))

    total = assembly.node(
        "TreeEnsembleRegressor",
        x,
        domain="ai.onnx.ml",
        n_targets=n_targets,
        nodes_treeids=of_tree.tolist(),
        nodes_nodeids=number.tolist(),
        nodes_featureids=column("feature").astype(int).tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_values_as_tensor=from_array(column("threshold").astype(np.float64), "thresholds"),
        nodes_truenodeids=column("left").astype(int).tolist(),
        nodes_falsenodeids=column("right").astype(int).tolist(),
        **_leaf_attributes(trees),
    )
    return assembly.cast(total, np.float64)


def _leaf_attributes(trees: Iterable[Tree]) -> dict[str, Any]:
    from onnx.numpy_helper import from_array

    of_tree, of_node, target, weight = (np.concatenate(part) for part in zip(*_leaves(trees), strict=True))
    return {
        "target_treeids": of_tree.tolist(),
        "target_nodeids": of_node.tolist(),
        "target_ids": target.tolist(),
        "target_weights_as_tensor": from_array(weight.astype(np.float64), "weights"),
    }


def _leaves(trees: Iterable[Tree]) -> Iterator[tuple[np.ndarray, ...]]:
    """Of each tree, an entry for each leaf and target: tree, node, target, value."""
    for position, tree in enumerate(trees):
        leaves = np.flatnonzero(tree.is_leaf)
        n_values = tree.values.shape[1]
        node = np.repeat(leaves, n_values)
        target = np.tile(tree.first_target + np.arange(n_values), len(leaves))
        yield np.full(len(node), position), node, target, tree.values[leaves].ravel()
