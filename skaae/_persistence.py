"""Save and load estimators: package versions, and Keras objects as configuration and arrays.

Loading such a file runs no code from the configuration of a Keras object.
"""

from __future__ import annotations

import copy
import copyreg
import json
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary

import cloudpickle
import keras
from keras.src.saving.serialization_lib import ObjectSharingScope
from sklearn.exceptions import InconsistentVersionWarning

from skaae._keras.models import load_variables, variables_of
from skaae._keras.processes import check_not_forked
from skaae._keras.seeds import temporary_seed
from skaae._utils.warnings import warn

# Increase FORMAT when a change makes new files unreadable for the previous release, and OLDEST_FORMAT when it makes
# old files unreadable for this one.
OLDEST_FORMAT, FORMAT = 3, 3
KERAS_OBJECTS = (
    keras.Layer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
)
# The classes of skaae that a file may contain. Pass them to `skops.io.load(file, trusted=TRUSTED_TYPES)`.
TRUSTED_TYPES = (
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
    "skaae._corrected.CorrectedClassifier",
    "skaae._detector.AdversarialAEDetector",
    "skaae._divergence.AdversarialScore",
    "skaae._frozen_keras_model.FrozenKerasModel",
    "skaae._persistence.SavedKeras",
    "skaae._persistence.SavedObject",
    "skaae._scoring.calibration.Calibration",
    "skaae._scoring.pools.PooledThresholds",
    "skaae._scoring.pools.SharedThreshold",
    "skaae._training.defense.Defense",
    "skaae.alibi.AdversarialAE",
)


class InconsistentPackageWarning(InconsistentVersionWarning):
    """Warning that a file was written by a different version of skaae than the installed one."""

    def __str__(self) -> str:
        return (
            f"Trying to load {self.estimator_name} from skaae {self.original_sklearn_version} when using skaae "
            f"{self.current_sklearn_version}. The scores may differ. Compare them with scores that you saved with the "
            f"file, or install skaae=={self.original_sklearn_version}."
        )


class PersistenceMixin:
    """Give pickle, joblib, skops and copy a state that they can save, and restore an object from it.

    The state does not contain the attributes named in ``_not_saved``.
    """

    _not_saved: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        kept = {name: value for name, value in state.items() if name not in self._not_saved}
        saved = {name: _replaced(value, _as_saved, name) for name, value in kept.items()}
        return {**saved, "_skaae_format": FORMAT, "_skaae_version": version("skaae")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_not_forked()
        state = dict(state)
        _check_versions(type(self).__name__, state.pop("_skaae_format", None), state.pop("_skaae_version", "unknown"))
        vars(self).update({name: _replaced(value, _as_loaded, name) for name, value in state.items()})

    def __sklearn_clone__(self) -> Self:
        """Clone the estimator; Keras models are copied without the settings of `compile`, as in a file."""
        estimator: Any = self
        with without_compilation(estimator.get_params(deep=False)), unchanged_random_state():
            clone: Any = super().__sklearn_clone__()  # type: ignore[misc]
        for name, value in estimator.get_params(deep=False).items():
            _keep_fit_kwargs(value, getattr(clone, name))
        return clone


def _keep_fit_kwargs(original: Any, clone: Any) -> None:
    """Give the clone of a ``keras.wrappers.SKLearnClassifier`` the `fit_kwargs` that Keras 3.15 leaves out."""
    if isinstance(original, keras.wrappers.SKLearnClassifier) and clone.fit_kwargs is None:
        clone.fit_kwargs = copy.copy(original.fit_kwargs)


class Saved:
    """Stand in for a parameter in a saved state; loading puts the parameter back.

    A copy made in this process, or sent to a worker by cloudpickle, contains the parameter itself.

    Parameters
    ----------
    name : str
        Name of the parameter, for error messages.
    value : object
        The parameter.
    """

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        with without_compilation(self.value), unchanged_random_state():
            return type(self)(self.name, copy.deepcopy(self.value, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        # joblib and dask send objects to their workers with cloudpickle, which pickles the code too. Nothing but the
        # calling frame tells cloudpickle from pickle.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if "cloudpickle" not in caller.split("."):
            return self._reduced()
        with without_compilation(self.value):
            return _from_cloudpickle, (type(self), self.name, cloudpickle.dumps(self.value))

    def _reduced(self) -> tuple[Any, ...]:
        raise NotImplementedError


class SavedKeras(Saved):
    """Stand in for a Keras object in a file.

    A model is saved as its configuration and the arrays of its layers, without the settings of
    `compile`. Any other object is saved as its configuration. The user's own classes and functions
    must be registered with Keras. They are saved by reference: pickle imports their module, and
    skops asks whether to trust them. Loading uses the safe mode of Keras, which refuses code in a
    configuration.
    """

    def _reduced(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    @cached_property
    def _snapshot(self) -> dict[str, Any]:
        try:
            with ObjectSharingScope():
                config = _without_compilation(keras.saving.serialize_keras_object(self.value))
            state: dict[str, Any] = {
                "config": json.dumps(config),
                "custom_objects": self._custom_objects(config),
                "variables": [],
            }
            if isinstance(self.value, keras.Layer):
                state["variables"] = variables_of(self.value)
            _rebuilt(**state)
        # The user's classes may raise anything. Whoever dumps should see it, rather than whoever loads the file.
        except Exception as error:
            raise pickle.PicklingError(
                f"{self.name}: cannot save the {type(self.value).__name__}, because Keras cannot rebuild it from its "
                f"configuration. Register your classes and functions with keras.saving.register_keras_serializable, "
                f"give your classes a complete get_config, and do not use lambdas. Keras reports: {error}"
            ) from error
        return state

    def _custom_objects(self, config: Mapping[str, Any]) -> dict[str, SavedObject]:
        """Map registered names to the classes and functions of the configuration that are not part of Keras."""
        named = {_registered_name(item): item["class_name"] for item in _objects(config)}
        registered = {name: keras.saving.get_registered_object(name) for name in named if name}
        unknown = sorted(
            named[name] for name, value in registered.items() if value is None and named[name] != "function"
        )
        if unknown:
            raise TypeError(f"{', '.join(unknown)} is not registered with Keras.")
        return {name: SavedObject(self.name, value) for name, value in registered.items() if value is not None}

    def __getstate__(self) -> dict[str, Any]:
        return self._snapshot

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.value = _rebuilt(**state)


class SavedObject(Saved):
    """Stand in for a function, a class or a callback in a file; refuse one that could not be loaded again."""

    def _reduced(self) -> tuple[Any, ...]:
        self._check_importable()
        return type(self), (self.name, self.value)

    def _check_importable(self) -> None:
        try:
            pickle.dumps(self.value)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise pickle.PicklingError(
                f"{self.name}={self.value!r} cannot be saved, because a new process could not import it ({error}). "
                f"Define it at the top level of a module, not as a lambda or inside a function."
            ) from error


def _from_cloudpickle(kind: type[Saved], name: str, value: bytes) -> Saved:
    return kind(name, cloudpickle.loads(value))


@contextmanager
def without_compilation(value: Any) -> Iterator[None]:
    """Let Keras copy and pickle models without the settings of `compile` inside the block.

    Nothing of skaae uses these settings. Keras cannot restore them where a loss, a metric or an optimizer of the
    user is not registered.

    Parameters
    ----------
    value : object
        A Keras model, or a list, tuple or dict of objects, which may contain models. Others are ignored.
    """
    layers = [layer for model in _keras_models_in(value) for layer in model._flatten_layers()]
    with _lock:
        models = [
            layer
            for layer in layers
            if isinstance(layer, keras.Model) and (layer in _holders or "get_compile_config" not in vars(layer))
        ]
        for model in models:
            _holders[model] = _holders.get(model, 0) + 1
            object.__setattr__(model, "get_compile_config", lambda: None)
    try:
        yield
    finally:
        with _lock:
            for model in models:
                _holders[model] -= 1
                if not _holders[model]:
                    del _holders[model]
                    object.__delattr__(model, "get_compile_config")


# Blocks of `without_compilation`, in all threads, that a model is in.
_holders: dict[keras.Model, int] = {}
_lock = threading.Lock()


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Restore the state of `random` after the block. Keras draws seeds of copied layers from it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _keras_models_in(value: Any) -> Iterator[keras.Model]:
    if isinstance(value, keras.Model):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _keras_models_in(item)


# One stand-in for each Keras object during a dump, so that an object with two references is saved once.
_stand_ins: WeakValueDictionary[int, SavedKeras] = WeakValueDictionary()


def _replaced(value: Any, replace: Callable[[Any, str], Any], name: str) -> Any:
    """Copy nested lists, tuples and dicts, with every object inside replaced by `replace(object, name)`."""
    if type(value) is dict:
        return {key: _replaced(item, replace, f"{name}[{key!r}]") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, replace, f"{name}[{index}]") for index, item in enumerate(value))
    return replace(value, name)


def _as_saved(value: Any, name: str) -> Any:
    if isinstance(value, KERAS_OBJECTS):
        if _pickles_itself(type(value)):
            return value
        return _stand_ins.setdefault(id(value), SavedKeras(name, value))
    is_callback = isinstance(value, keras.callbacks.Callback)
    return SavedObject(name, value) if is_callback or _is_function_of_user(value) else value


def _is_function_of_user(value: Any) -> bool:
    """Whether this is a callable other than a class, an estimator, or an object of skaae, which has its own state."""
    is_own = type(value).__module__.split(".")[0] == "skaae"
    return callable(value) and not isinstance(value, type) and not hasattr(value, "get_params") and not is_own


def _pickles_itself(kind: type) -> bool:
    """Tell whether a user's class defines how it is pickled; its own rule then takes precedence over ours."""
    user_classes = [base for base in kind.__mro__ if base.__module__.split(".")[0] not in ("keras", "builtins")]
    return any("__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in user_classes)


def _as_loaded(value: Any, name: str) -> Any:
    return value.value if isinstance(value, SavedKeras | SavedObject) else value


def _rebuilt(config: str, custom_objects: Mapping[str, SavedObject], variables: list[Mapping[str, Any]]) -> Any:
    """Rebuild a Keras object, in safe mode, from the state of a `SavedKeras`."""
    known = {name: saved.value for name, saved in custom_objects.items()}
    # The seed does not matter: the weights that Keras draws are overwritten below.
    with temporary_seed(0), ObjectSharingScope():
        value = keras.saving.deserialize_keras_object(json.loads(config), custom_objects=known, safe_mode=True)
    if variables:
        load_variables(value, variables)
    return value


def _objects(config: Any) -> Iterator[Any]:
    """Yield the serialized objects in a configuration, outer objects before the inner ones."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield config
        config = config.values()
    elif not isinstance(config, list | tuple):
        return
    for inner in config:
        yield from _objects(inner)


def _registered_name(item: Mapping[str, Any]) -> str | None:
    """Return the registered name of a function or of a class outside Keras; None for a class of Keras."""
    if item["class_name"] == "function":
        return item["config"]
    module = item.get("module") or ""
    return None if module.split(".")[0] == "keras" else item.get("registered_name")


def _without_compilation(config: dict[str, Any]) -> dict[str, Any]:
    """Remove the settings of `compile`: predictions do not need them, and they may not be serializable."""
    for item in _objects(config):
        item.pop("compile_config", None)
    return config


def _check_versions(name: str, saved_format: Any, saved_version: str) -> None:
    current = version("skaae")
    if not isinstance(saved_format, int) or not OLDEST_FORMAT <= saved_format <= FORMAT:
        raise ValueError(
            f"{name} was saved in format {saved_format} by skaae {saved_version}, but skaae {current} reads formats "
            f"{OLDEST_FORMAT} to {FORMAT}. Install the version that wrote the file."
        )
    if saved_version != current:
        warn(
            InconsistentPackageWarning(
                estimator_name=name, current_sklearn_version=current, original_sklearn_version=saved_version
            )
        )
