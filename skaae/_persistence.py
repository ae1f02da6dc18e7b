"""What goes into a file: versions, and Keras objects as configuration and arrays, that run no code when loaded."""

from __future__ import annotations

import copy
import copyreg
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary

import keras
from keras.src.saving.serialization_lib import ObjectSharingScope
from sklearn.exceptions import InconsistentVersionWarning

from skaae._keras.models import load_variables, variables_of
from skaae._keras.seeds import temporary_seed
from skaae._utils.warnings import warn

# Raise FORMAT when the last version could not read the files of this one, OLDEST_FORMAT when support for files ends.
OLDEST_FORMAT, FORMAT = 2, 2
KERAS_OBJECTS = (
    keras.Layer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
)
# The classes that a file of skaae may hold; to be passed to `skops.io.load(file, trusted=TRUSTED_TYPES)`.
TRUSTED_TYPES = (
    "skaae._classifiers.adapters.ConvertedClassifier",
    "skaae._classifiers.adapters.PredictProbaClassifier",
    "skaae._classifiers.heads.FrozenHeads",
    "skaae._corrected.CorrectedClassifier",
    "skaae._detector.AdversarialAEDetector",
    "skaae._divergence.AdversarialScore",
    "skaae._frozen_keras_model.FrozenKerasModel",
    "skaae._persistence.SavedKeras",
    "skaae._persistence.SavedObject",
    "skaae._training.defense.Defense",
    "skaae.alibi.AdversarialAE",
)


class InconsistentPackageWarning(InconsistentVersionWarning):
    """A file was written by another version of skaae than the one that loads it."""

    def __str__(self) -> str:
        return (
            f"Trying to load {self.estimator_name} from skaae {self.original_sklearn_version} when using skaae "
            f"{self.current_sklearn_version}: scores may differ. Compare them with those that you kept when you dumped "
            f"it, or install skaae=={self.original_sklearn_version}."
        )


class PersistenceMixin:
    """The state of an object as pickle, joblib, skops and copy get it, and back.

    Attributes named in ``_not_saved`` are left out.
    """

    _not_saved: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        found = {name: value for name, value in state.items() if name not in self._not_saved}
        saved = {name: _replaced(value, _as_saved, name) for name, value in found.items()}
        return {**saved, "_skaae_format": FORMAT, "_skaae_version": version("skaae")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        _check_versions(type(self).__name__, state.pop("_skaae_format", None), state.pop("_skaae_version", "unknown"))
        vars(self).update({name: _replaced(value, _as_loaded, name) for name, value in state.items()})


class Saved:
    """A parameter that is replaced on its way into a file, and put back when it is loaded.

    A copy in this process, or one that cloudpickle takes to a worker, has it as it is.

    Parameters
    ----------
    name : str
        The parameter that it is, for error messages.
    value : object
    """

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(self.name, copy.deepcopy(self.value, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        # joblib and dask send objects to their workers with cloudpickle, which takes the code along. It is known by
        # nothing but its being the caller.
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return (type(self), (self.name, self.value)) if "cloudpickle" in caller.split(".") else self._reduced()

    def _reduced(self) -> tuple[Any, ...]:
        raise NotImplementedError


class SavedKeras(Saved):
    """A Keras object in a file.

    A model is its configuration and the arrays of its layers, without what `compile` added; any
    other object is its configuration. Own classes and functions, which have to be registered with
    Keras, are referred to, so that pickle imports their module, and skops asks whether to trust
    them. Loading goes through Keras' safe mode, which refuses code in a configuration.
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
        except Exception as error:  # whatever own classes raise: it has to be known now, not where the file is loaded
            raise pickle.PicklingError(
                f"{self.name}: {type(self.value).__name__} cannot be written to a file, since Keras could not make it "
                f"anew. Register your classes and functions with keras.saving.register_keras_serializable, give them a "
                f"complete get_config, and use no lambda. Keras says: {error}"
            ) from error
        return state

    def _custom_objects(self, config: Mapping[str, Any]) -> dict[str, SavedObject]:
        """Classes and functions of the configuration that are not Keras' own, by registered name."""
        named = {_registered_name(item): item["class_name"] for item in _objects(config)}
        found = {name: keras.saving.get_registered_object(name) for name in named if name}
        unknown = sorted(named[name] for name, value in found.items() if value is None and named[name] != "function")
        if unknown:
            raise TypeError(f"{', '.join(unknown)} is not registered.")
        return {name: SavedObject(self.name, value) for name, value in found.items() if value is not None}

    def __getstate__(self) -> dict[str, Any]:
        return self._snapshot

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.value = _rebuilt(**state)


class SavedObject(Saved):
    """A function, a class or a callback in a file: refused where it could not be loaded."""

    def _reduced(self) -> tuple[Any, ...]:
        self._check_importable()
        return type(self), (self.name, self.value)

    def _check_importable(self) -> None:
        try:
            pickle.dumps(self.value)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise pickle.PicklingError(
                f"{self.name}={self.value!r} cannot be written to a file, since a new process could not import it "
                f"({error}). Use what is defined at the top level of a module: no lambda, nothing inside a function."
            ) from error


# One for each Keras object as long as a dump lasts, so that an object that is held twice is written once.
_alive: WeakValueDictionary[int, SavedKeras] = WeakValueDictionary()


def _replaced(value: Any, replace: Callable[[Any, str], Any], name: str) -> Any:
    """Replace the objects in nested lists, tuples and dicts, which are made anew."""
    if type(value) is dict:
        return {key: _replaced(item, replace, f"{name}[{key!r}]") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, replace, f"{name}[{place}]") for place, item in enumerate(value))
    return replace(value, name)


def _as_saved(value: Any, name: str) -> Any:
    if isinstance(value, KERAS_OBJECTS):
        if _pickles_itself(type(value)):
            return value
        return _alive.setdefault(id(value), SavedKeras(name, value))
    is_callback = isinstance(value, keras.callbacks.Callback)
    return SavedObject(name, value) if is_callback or _is_function_of_user(value) else value


def _is_function_of_user(value: Any) -> bool:
    """Whether this is a callable other than a class, an estimator, or an object of skaae, which has its own state."""
    is_own = type(value).__module__.split(".")[0] == "skaae"
    return callable(value) and not isinstance(value, type) and not hasattr(value, "get_params") and not is_own


def _pickles_itself(kind: type) -> bool:
    """Whether a user's class says itself how it is pickled; no check can know better."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] not in ("keras", "builtins")]
    return any("__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in own)


def _as_loaded(value: Any, name: str) -> Any:
    return value.value if isinstance(value, SavedKeras | SavedObject) else value


def _rebuilt(config: str, custom_objects: Mapping[str, SavedObject], variables: list[Mapping[str, Any]]) -> Any:
    """Make a Keras object from what `SavedKeras` keeps of it, in safe mode."""
    known = {name: saved.value for name, saved in custom_objects.items()}
    with temporary_seed(0), ObjectSharingScope():  # the weights that Keras draws are overwritten
        value = keras.saving.deserialize_keras_object(json.loads(config), custom_objects=known, safe_mode=True)
    if variables:
        load_variables(value, variables)
    return value


def _objects(config: Any) -> Iterator[Any]:
    """The serialized objects in a configuration, from the outside inwards."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield config
        config = config.values()
    elif not isinstance(config, list | tuple):
        return
    for inner in config:
        yield from _objects(inner)


def _registered_name(item: Mapping[str, Any]) -> str | None:
    """The name of a class or function that may be the user's own; None for Keras' own classes."""
    if item["class_name"] == "function":
        return item["config"]
    module = item.get("module") or ""
    return None if module.split(".")[0] == "keras" else item.get("registered_name")


def _without_compilation(config: dict[str, Any]) -> dict[str, Any]:
    """What a model is trained with is no part of its prediction, and may be anything."""
    for item in _objects(config):
        item.pop("compile_config", None)
    return config


def _check_versions(name: str, found_format: Any, found_version: str) -> None:
    current = version("skaae")
    if not isinstance(found_format, int) or not OLDEST_FORMAT <= found_format <= FORMAT:
        raise ValueError(
            f"{name} was saved in format {found_format} by skaae {found_version}, but skaae {current} reads formats "
            f"{OLDEST_FORMAT} to {FORMAT}: install the version that wrote the file, or a later one."
        )
    if found_version != current:
        warn(
            InconsistentPackageWarning(
                estimator_name=name, current_sklearn_version=current, original_sklearn_version=found_version
            )
        )
