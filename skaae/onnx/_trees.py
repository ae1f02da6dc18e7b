"""Convert ensembles of trees to ONNX such that every comparison is the same as in the classifier.

The converters of skl2onnx and onnxmltools round thresholds or sums to float32 where the classifiers
do not. Rows close to a threshold then fall into another leaf (LightGBM). Two classes with equally
many votes of a forest get different sums, so that another label wins. The conversion in this module
compares thresholds in float64, rounds x to float32 exactly where the classifier does, and adds up
votes before it divides them. ONNX rounds the sum over the trees to float32 once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
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
from skaae.onnx._memberships import Split, add_memberships


class Tree(NamedTuple):
    """A tree as arrays with one entry for each node. A row goes left if ``x[feature] <= threshold``.

    A row in which the feature is missing goes left if `missing_left` is set.

    `left` and `right` are the indices of the child nodes and are ignored at leaves. `values` has the
    shape (n_nodes, n_targets) for the targets first_target, first_target + 1, ... and is used at
    leaves only. `left_codes` has the categories that go left, for the number of each node that compares categories.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    is_leaf: np.ndarray
    values: np.ndarray
    missing_left: np.ndarray
    first_target: int = 0
    left_codes: Mapping[int, frozenset[int]] = MappingProxyType({})


def add_trees(classifier: Any, assembly: Assembly, x: str) -> str | None:
    """Add an ensemble of trees to a graph.

    Parameters
    ----------
    classifier : classifier
        The fitted classifier.
    assembly : Assembly
        The graph.
    x : str
        Name of the tensor with the rows, float64.

    Returns
    -------
    probabilities : str or None
        Name of the tensor with the probabilities, float64. None if this module cannot convert
        classifiers of this type.

    Raises
    ------
    TypeError
        If the classifier has a loss whose probabilities cannot be computed.
    """
    if _is_forest(classifier):
        return _forest(classifier, assembly, x)
    if type(classifier) in RAW_SCORES:
        return _probabilities(assembly, *_raw_scores(classifier, assembly, x))
    if type(classifier).__name__ == "LGBMClassifier":
        return _probabilities(assembly, *_lightgbm(classifier, assembly, x))
    return None


RAW_SCORES = (GradientBoostingClassifier, HistGradientBoostingClassifier)


def add_raw_scores(classifier: Any, assembly: Assembly, x: str) -> str:
    """Add the decision function of boosting.

    Parameters
    ----------
    classifier : GradientBoostingClassifier or HistGradientBoostingClassifier
        The fitted classifier.
    assembly : Assembly
        The graph.
    x : str
        Name of the tensor with the rows, float64.

    Returns
    -------
    scores : str
        Name of the tensor, of shape (n_samples, n_classes), or (n_samples, 1) for two classes, float64.
    """
    return _raw_scores(classifier, assembly, x)[0]


def _raw_scores(classifier: Any, assembly: Assembly, x: str) -> tuple[str, int]:
    is_histogram = type(classifier) is HistGradientBoostingClassifier
    return (_histogram_boosting if is_histogram else _gradient_boosting)(classifier, assembly, x)


FORESTS = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier)


def _is_forest(classifier: Any) -> bool:
    """Whether this is a forest or a tree, or of a subclass that differs in training only (imbalanced-learn)."""
    kinds = (kind for kind in FORESTS if isinstance(classifier, kind))
    return any(type(classifier).predict_proba is kind.predict_proba for kind in kinds)


def _forest(classifier: Any, assembly: Assembly, x: str) -> str:
    """Add the mean of the probabilities of the trees."""
    trees = [tree.tree_ for tree in getattr(classifier, "estimators_", [classifier])]
    votes = _sum_of_trees(
        [_scikit_learn_tree(tree) for tree in trees], len(classifier.classes_), assembly, _float32(assembly, x)
    )
    return assembly.node("Div", votes, assembly.constant(np.float64(len(trees))))


def _gradient_boosting(classifier: GradientBoostingClassifier, assembly: Assembly, x: str) -> tuple[str, int]:
    if classifier.loss != "log_loss" or not (classifier.init_ == "zero" or classifier.init is None):
        raise TypeError("GradientBoostingClassifier can only be exported with loss='log_loss' and init=None or 'zero'.")
    trees = [
        _scikit_learn_tree(tree.tree_, classifier.learning_rate, target)
        for stage in classifier.estimators_
        for target, tree in enumerate(stage)
    ]
    n_targets = classifier.estimators_.shape[1]
    start = classifier._raw_predict_init(np.zeros((1, classifier.n_features_in_), np.float32))
    return _boosted(trees, np.broadcast_to(start, (1, n_targets)), assembly, _float32(assembly, x))


def _histogram_boosting(classifier: HistGradientBoostingClassifier, assembly: Assembly, x: str) -> tuple[str, int]:
    trees = [
        _histogram_tree(predictor, target) for stage in classifier._predictors for target, predictor in enumerate(stage)
    ]
    return _boosted(trees, classifier._baseline_prediction, assembly, x)


def _lightgbm(classifier: Any, assembly: Assembly, x: str) -> tuple[str, int]:
    model = classifier.booster_.dump_model()
    if model["objective"].split()[0] not in ("binary", "multiclass") or model.get("average_output"):
        raise TypeError(f"LGBMClassifier cannot be exported with the objective {model['objective']!r}.")
    if "sigmoid" in model["objective"] and "sigmoid:1" not in model["objective"].split():
        raise TypeError(f"LGBMClassifier cannot be exported with the objective {model['objective']!r}.")
    n_targets = model["num_tree_per_iteration"]
    trees = [_lightgbm_tree(tree["tree_structure"], tree["tree_index"] % n_targets) for tree in model["tree_info"]]
    return _boosted(trees, np.zeros((1, n_targets)), assembly, x)


def _float32(assembly: Assembly, x: str) -> str:
    """Round x to float32, as the trees of scikit-learn do before they compare."""
    return assembly.cast(assembly.cast(x, np.float32), np.float64)


def _boosted(trees: list[Tree], start: np.ndarray, assembly: Assembly, x: str) -> tuple[str, int]:
    """Add the initial value plus the sum of the trees. Returns the name of the tensor, and its number of columns."""
    total = _sum_of_trees(trees, start.shape[1], assembly, x)
    return assembly.node("Add", total, assembly.constant(start.astype(np.float64))), start.shape[1]


def _probabilities(assembly: Assembly, raw: str, n_targets: int) -> str:
    """Add the softmax of raw scores, or the sigmoid of a single one."""
    if n_targets > 1:
        return assembly.node("Softmax", raw, axis=1)
    second = assembly.node("Sigmoid", raw)
    first = assembly.node("Sub", assembly.constant(np.float64(1)), second)
    return assembly.node("Concat", first, second, axis=1)


def _scikit_learn_tree(tree: Any, scale: float = 1.0, target: int = 0) -> Tree:
    is_leaf, values = tree.children_left < 0, scale * tree.value[:, 0]
    missing_left = tree.missing_go_to_left.astype(bool)
    children = tree.children_left, tree.children_right
    return Tree(tree.feature, tree.threshold, *children, is_leaf, values, missing_left, target)


def _histogram_tree(predictor: Any, target: int) -> Tree:
    nodes = predictor.nodes
    feature, threshold, left, right = (nodes[name] for name in ("feature_idx", "num_threshold", "left", "right"))
    is_leaf, missing_left = (nodes[name].astype(bool) for name in ("is_leaf", "missing_go_to_left"))
    of_categories = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf)
    left_codes = {
        int(node): _codes(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]) for node in of_categories
    }
    return Tree(feature, threshold, left, right, is_leaf, nodes["value"][:, None], missing_left, target, left_codes)


def _codes(bitset: np.ndarray) -> frozenset[int]:
    """The numbers whose bits are set in words of 32 bits."""
    bits = (bitset[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    return frozenset(np.flatnonzero(bits.ravel()).tolist())


def _lightgbm_tree(root: dict[str, Any], target: int) -> Tree:
    """Convert nested dicts to a Tree. Children are appended to the list of nodes, which gives their indices."""
    nodes, rows, left_codes = [root], [], {}
    for number, node in enumerate(nodes):
        if "leaf_value" in node:
            rows.append((0, 0.0, 0, 0, True, node["leaf_value"], False))
            continue
        if node["missing_type"] == "Zero":
            raise TypeError("LGBMClassifier cannot be exported with zero_as_missing.")
        left = len(nodes)
        if node["decision_type"] == "==":
            left_codes[number] = frozenset(map(int, node["threshold"].split("||")))
            node = {**node, "threshold": 0.0, "missing_type": "NaN", "default_left": False}
        # LightGBM takes a missing value for 0 where it has seen none.
        missing_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
        nodes += [node["left_child"], node["right_child"]]
        rows.append((node["split_feature"], node["threshold"], left, left + 1, False, 0.0, missing_left))
    feature, threshold, lefts, rights, is_leaf, values, missing = (np.array(part) for part in zip(*rows, strict=True))
    return Tree(feature, threshold, lefts, rights, is_leaf, values[:, None], missing.astype(bool), target, left_codes)


def _sum_of_trees(trees: list[Tree], n_targets: int, assembly: Assembly, x: str) -> str:
    """Add the sum over the leaf values, with shape (n_samples, n_targets), float64."""
    from onnx.numpy_helper import from_array

    trees, x = _without_categories(trees, assembly, x)
    node_index = np.concatenate([np.arange(len(tree.feature)) for tree in trees])
    tree_index = np.repeat(np.arange(len(trees)), [len(tree.feature) for tree in trees])
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])

    def column(name: str) -> np.ndarray:
        return np.where(is_leaf, 0, np.concatenate([getattr(tree, name) for tree in trees]))

    total = assembly.node(
        "TreeEnsembleRegressor",
        x,
        domain="ai.onnx.ml",
        n_targets=n_targets,
        nodes_treeids=tree_index.tolist(),
        nodes_nodeids=node_index.tolist(),
        nodes_featureids=column("feature").astype(int).tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_values_as_tensor=from_array(column("threshold").astype(np.float64), "thresholds"),
        nodes_missing_value_tracks_true=column("missing_left").astype(int).tolist(),
        nodes_truenodeids=column("left").astype(int).tolist(),
        nodes_falsenodeids=column("right").astype(int).tolist(),
        **_leaf_attributes(trees),
    )
    return assembly.cast(total, np.float64)


def _without_categories(trees: list[Tree], assembly: Assembly, x: str) -> tuple[list[Tree], str]:
    """Trees that compare numbers only, and the rows with the columns that these compare."""
    splits = [
        {
            node: Split(int(tree.feature[node]), codes, bool(tree.missing_left[node]))
            for node, codes in tree.left_codes.items()
        }
        for tree in trees
    ]
    if not any(splits):
        return trees, x
    x, places = add_memberships([split for own in splits for split in own.values()], assembly, x)
    changed = []
    for tree, own in zip(trees, splits, strict=True):
        feature, threshold = tree.feature + len(places), tree.threshold.copy()
        for node, split in own.items():
            feature[node], threshold[node] = places[split], 0.5
        changed.append(tree._replace(feature=feature, threshold=threshold))
    return changed, x


def _leaf_attributes(trees: Iterable[Tree]) -> dict[str, Any]:
    from onnx.numpy_helper import from_array

    tree_index, node_index, target, weight = (np.concatenate(part) for part in zip(*_leaves(trees), strict=True))
    return {
        "target_treeids": tree_index.tolist(),
        "target_nodeids": node_index.tolist(),
        "target_ids": target.tolist(),
        "target_weights_as_tensor": from_array(weight.astype(np.float64), "weights"),
    }


def _leaves(trees: Iterable[Tree]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield for each tree the arrays tree, node, target and value, with an entry for each leaf and target."""
    for tree_index, tree in enumerate(trees):
        leaves = np.flatnonzero(tree.is_leaf)
        n_values = tree.values.shape[1]
        node_index = np.repeat(leaves, n_values)
        target = np.tile(tree.first_target + np.arange(n_values), len(leaves))
        yield np.full(len(node_index), tree_index), node_index, target, tree.values[leaves].ravel()
