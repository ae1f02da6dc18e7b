"""Choose the samples to draw, and check the arguments that describe them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from skaae._data.samples import error_of_conversion


def chosen_samples(samples: Any, n_samples: int) -> np.ndarray:
    """Return the indices of the samples to show."""
    if isinstance(samples, Integral) and not isinstance(samples, bool):
        if samples < 1:
            raise ValueError(f"samples must be an integer of at least 1 or a list of indices, got {samples!r}.")
        return np.arange(min(int(samples), n_samples))
    chosen = np.asarray(samples)
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu":
        raise ValueError(f"samples must be an integer of at least 1 or a list of indices, got {samples!r}.")
    if chosen.min() < 0 or chosen.max() >= n_samples:
        raise ValueError(
            f"samples contains indices from {chosen.min()} to {chosen.max()}, but X has {n_samples} samples, with the "
            f"indices 0 to {n_samples - 1}."
        )
    return chosen


def check_lengths(X: Any, **per_sample: Any) -> None:
    """Check that each argument is None or has one entry for each sample."""
    for name, values in per_sample.items():
        if values is not None and _num_samples(values) != _num_samples(X):
            raise ValueError(f"{name} has {_num_samples(values)} entries, but X has {_num_samples(X)} samples.")


def check_numbers(X: np.ndarray) -> None:
    """Raise a ValueError if X has text or other values that cannot be drawn as bars."""
    reason = error_of_conversion(X)
    if reason is not None:
        raise ValueError(
            f"X must have numbers to draw: {reason}. Of a DataFrame with categories, draw the columns of numbers: "
            f"CorrectionDisplay.from_predictions(X[columns], detector.reconstruct(X)[columns], **detector.correct(X))."
        )


def checked_image_shape(image_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of one image, or None if the samples are rows of a table."""
    if image_shape is None:
        if len(shape) > 3 and shape[3:] not in ((1,), (3,)):
            raise ValueError(f"Images must have 1 or 3 channels in the last dimension, but X has shape {shape}.")
        return shape[1:] if len(shape) > 3 else None
    image_shape = tuple(int(length) for length in image_shape)
    if len(image_shape) not in (2, 3) or image_shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"image_shape must be (height, width) or (height, width, 1 or 3), got {image_shape}.")
    if np.prod(image_shape) != np.prod(shape[1:]):
        raise ValueError(f"image_shape={image_shape} does not match samples of shape {shape[1:]}.")
    return image_shape


def check_features(shape: tuple[int, ...], names: Any, deviations: Any) -> None:
    """Check that names and standard deviations, if given, have one entry for each feature."""
    n_features = int(np.prod(shape[1:]))
    for argument, values in {"feature_names": names, "standard_deviations": deviations}.items():
        if values is not None and np.shape(values) != (n_features,):
            raise ValueError(
                f"{argument} must have one entry for each of the {n_features} features, got shape {np.shape(values)}."
            )
    if deviations is not None and not np.min(deviations) > 0:
        raise ValueError("standard_deviations must be positive. Use 1 for a constant feature.")


def limits_of_images(images: list[np.ndarray]) -> tuple[float, float]:
    """Return the values shown as black and white.

    These are 0 and 255 for bytes, 0 and 1 for values in [0, 1], and the smallest and largest otherwise.
    """
    if images[0].dtype == np.uint8:
        return 0.0, 255.0
    smallest, largest = min(array.min() for array in images), max(array.max() for array in images)
    in_unit_interval = smallest >= 0 and largest <= 1
    return (0.0, 1.0) if in_unit_interval or smallest == largest else (float(smallest), float(largest))
