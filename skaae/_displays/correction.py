"""A display of single samples and their reconstructions: images, or the features that changed most."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skaae._displays.axes import BLUE, VERMILLION, detector_and_rows, foreground, grid_of_axes, pyplot, score_text
from skaae._displays.chosen_samples import (
    check_features,
    check_lengths,
    check_numbers,
    checked_image_shape,
    chosen_samples,
    limits_of_images,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


@dataclass(eq=False, repr=False)
class CorrectionDisplay:
    """Samples and their reconstructions, with labels and scores.

    Images are shown side by side: the original image if it is given, the input x, and the
    reconstruction x'. For a row of a table, or a sequence, bars show the features that change most
    from x to x', with both values beside each bar. If the original is given, a diamond marks its
    value.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create the display. All parameters are
    stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        The samples shown.
    X_reconstructed : ndarray, same shape as X
        The reconstruction x' = AE(x) of each sample.
    no_defense, defense, corrected : ndarray of shape (n_samples,) or None, default=None
        Class labels predicted from x and from x', and the corrected labels.
    instance_score : ndarray of shape (n_samples,) or None, default=None
        The adversarial score S(x) of each sample.
    is_adversarial : ndarray of shape (n_samples,), bool, or None, default=None
        Whether the sample was flagged.
    y : ndarray of shape (n_samples,) or None, default=None
        True class labels.
    X_original : ndarray, same shape as X, or None, default=None
        The samples before they were attacked.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, n_channels) of the images. None means rows of a table.
    feature_names : sequence of str or None, default=None
        Names of the features of a table. None means x0, x1, ...
    standard_deviations : ndarray of shape (n_features,) or None, default=None
        Standard deviation of each feature. The changes are shown in multiples of it; None means in
        the units of the data.
    samples : ndarray of shape (n_samples,), int, or None, default=None
        Row numbers of the samples. None means 0, 1, ...

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_samples, n_columns)
        For images, the columns are original (if given), input and reconstruction. For tables there is
        one column.
    figure_ : matplotlib Figure
        The figure that contains the axes.

    See Also
    --------
    ScoreDisplay : Distributions of the scores.

    Examples
    --------
    >>> from skaae import CorrectionDisplay
    >>> display = CorrectionDisplay.from_predictions(
    ...     [[1.0, 2.0, 3.0]], [[1.0, 5.0, 2.5]], feature_names=["width", "height", "depth"], y=["cat"],
    ...     no_defense=["dog"], corrected=["cat"], instance_score=[1003.26], is_adversarial=[True],
    ... )
    >>> [text.get_text() for text in display.axes_[0, 0].get_yticklabels()]
    ['height', 'depth', 'width']
    >>> [text.get_text() for text in display.axes_[0, 0].texts]
    ['2 → 5', '3 → 2.5', '1 → 1', 'input → reconstruction']
    >>> print(display.axes_[0, 0].get_title(loc="left"))
    row 0, truth: cat, score 1003.3, flagged
    without defense: dog (wrong), corrected: cat
    """

    X: np.ndarray
    X_reconstructed: np.ndarray
    no_defense: np.ndarray | None = None
    defense: np.ndarray | None = None
    corrected: np.ndarray | None = None
    instance_score: np.ndarray | None = None
    is_adversarial: np.ndarray | None = None
    y: np.ndarray | None = None
    X_original: np.ndarray | None = None
    image_shape: tuple[int, ...] | None = None
    feature_names: list[str] | None = None
    standard_deviations: np.ndarray | None = None
    samples: np.ndarray | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        X_original: ArrayLike | None = None,
        samples: int | ArrayLike = 5,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        standard_deviations: ArrayLike | None = None,
        n_features: int = 8,
        cmap: str = "gray",
        ax: Axes | ArrayLike | None = None,
    ) -> CorrectionDisplay:
        """Plot samples with the reconstructions, labels and scores that a detector computes.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            The fitted estimator. Samples are drawn as the detector receives them, for example after the
            scaler of a Pipeline.
        X : array-like of shape (n_samples, ...)
            Samples, with or without an attack.
        y : array-like of shape (n_samples,) or None, default=None
            True class labels.
        X_original : array-like, same shape as X, or None, default=None
            The samples before they were attacked.
        samples : int or array-like of int, default=5
            The samples to show: the number of samples, starting from the first, or a list of indices.
        image_shape : tuple of int or None, default=None
            (height, width) or (height, width, n_channels) of images that are stored as rows. None means
            that samples of shape (height, width, 1 or 3) are images, those of shape (height, width) too if
            the detector treats them so, and all others rows of a table.
        feature_names : array-like of str or None, default=None
            Names of the features. None means ``feature_names_in_`` of the detector, or the output names of
            the Pipeline steps before it.
        standard_deviations : array-like of shape (n_features,) or None, default=None
            Standard deviation of each feature as the detector receives it. The changes are shown in
            multiples of it; None means in the units of the data.
        n_features : int, default=8
            Number of features of a table to show.
        cmap : str or matplotlib Colormap, default="gray"
            Colormap of images with one channel.
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Axes to draw in. See :meth:`plot`.

        Returns
        -------
        display : CorrectionDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator is not fitted or does not end in a detector, or if an argument is not valid.
        ImportError
            If matplotlib is not installed.
        """
        pyplot()
        check_lengths(X, X_original=X_original, y=y)
        chosen = chosen_samples(samples, _num_samples(X))
        detector, rows = detector_and_rows(estimator, _safe_indexing(X, chosen))
        if image_shape is None and detector._defense.images:
            image_shape = detector._defense.sample_shape
        originals = None
        if X_original is not None:
            originals = np.asarray(detector_and_rows(estimator, _safe_indexing(X_original, chosen))[1])
        return cls._checked(
            np.asarray(rows),
            detector.reconstruct(rows),
            chosen,
            y=None if y is None else np.asarray(y)[chosen],
            X_original=originals,
            image_shape=image_shape,
            feature_names=_names_of_features(estimator, detector) if feature_names is None else feature_names,
            standard_deviations=standard_deviations,
            **detector.correct(rows),
        ).plot(ax, n_features=n_features, cmap=cmap)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        X_reconstructed: ArrayLike,
        *,
        no_defense: ArrayLike | None = None,
        defense: ArrayLike | None = None,
        corrected: ArrayLike | None = None,
        instance_score: ArrayLike | None = None,
        is_adversarial: ArrayLike | None = None,
        y: ArrayLike | None = None,
        X_original: ArrayLike | None = None,
        samples: int | ArrayLike = 5,
        image_shape: tuple[int, ...] | None = None,
        feature_names: ArrayLike | None = None,
        standard_deviations: ArrayLike | None = None,
        n_features: int = 8,
        cmap: str = "gray",
        ax: Axes | ArrayLike | None = None,
    ) -> CorrectionDisplay:
        """Plot samples with results that have already been computed.

        Example: ``from_predictions(X, detector.reconstruct(X), **detector.correct(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        X_reconstructed : array-like, same shape as X
            The reconstruction x' of each sample, as returned by ``reconstruct``.
        no_defense, defense, corrected, instance_score, is_adversarial : array-like of shape (n_samples,) or None
            Results of ``correct``. Results that are None are not shown.
        y, X_original, samples, image_shape, feature_names, standard_deviations, n_features, cmap, ax : object
            See :meth:`from_estimator`.

        Returns
        -------
        display : CorrectionDisplay

        Raises
        ------
        ValueError, TypeError
            If an argument is not valid.
        ImportError
            If matplotlib is not installed.
        """
        per_sample = {
            "X_reconstructed": X_reconstructed,
            "no_defense": no_defense,
            "defense": defense,
            "corrected": corrected,
            "instance_score": instance_score,
            "is_adversarial": is_adversarial,
            "y": y,
            "X_original": X_original,
        }
        check_lengths(X, **per_sample)
        chosen = chosen_samples(samples, _num_samples(X))
        shown: dict[str, Any] = {
            name: None if values is None else np.asarray(values)[chosen] for name, values in per_sample.items()
        }
        options = {
            "image_shape": image_shape,
            "feature_names": feature_names,
            "standard_deviations": standard_deviations,
        }
        display = cls._checked(np.asarray(X)[chosen], shown.pop("X_reconstructed"), chosen, **shown, **options)
        return display.plot(ax, n_features=n_features, cmap=cmap)

    @classmethod
    def _checked(
        cls, X: np.ndarray, X_reconstructed: np.ndarray, chosen: np.ndarray, **optional: Any
    ) -> CorrectionDisplay:
        """Check the arguments, and make the display of the chosen samples."""
        check_numbers(X)
        image_shape = checked_image_shape(optional.pop("image_shape"), X.shape)
        for name, values in {"X_reconstructed": X_reconstructed, "X_original": optional["X_original"]}.items():
            if values is not None and values.shape != X.shape:
                raise ValueError(f"{name} has shape {values.shape}, but X has shape {X.shape}.")
        names, deviations = optional.pop("feature_names"), optional.pop("standard_deviations")
        check_features(X.shape, names, deviations)
        return cls(
            X,
            X_reconstructed,
            **optional,
            image_shape=image_shape,
            feature_names=None if names is None else [str(name) for name in names],
            standard_deviations=None if deviations is None else np.asarray(deviations, dtype=np.float64),
            samples=chosen,
        )

    def plot(self, ax: Axes | ArrayLike | None = None, *, n_features: int = 8, cmap: str = "gray") -> CorrectionDisplay:
        """Draw the samples.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Axes to draw in. None means a new figure. A single Axes is divided; it must belong to a grid
            of subplots. An array must contain one row of Axes for each sample, with two columns for
            images, three for images with originals, and one for tables.
        n_features : int, default=8
            Number of features of a table to show.
        cmap : str or matplotlib Colormap, default="gray"
            Colormap of images with one channel.

        Returns
        -------
        display : CorrectionDisplay
        """
        if not isinstance(n_features, Integral) or n_features < 1:
            raise ValueError(f"n_features must be an integer of at least 1, got {n_features!r}.")
        if self.image_shape is None:
            self._plot_tables(ax, n_features)
        else:
            self._plot_images(ax, cmap)
        self.figure_: Any = self.axes_[0, 0].figure
        return self

    def _plot_images(self, ax: Any, cmap: Any) -> None:
        stages = {"original": self.X_original, "input": self.X, "reconstruction": self.X_reconstructed}
        columns = {name: images for name, images in stages.items() if images is not None}
        size = 1.0 + 1.9 * len(columns), 0.4 + 1.95 * len(self.X)
        self.axes_ = grid_of_axes(ax, (len(self.X), len(columns)), size)
        lowest, highest = limits_of_images([columns[name] for name in columns if name != "reconstruction"])
        for axes, (name, images) in zip(self.axes_.T, columns.items(), strict=True):
            axes[0].set_title(name, fontsize="medium")
            for cell, image in zip(axes, images, strict=True):
                values = np.clip((image.reshape(self.image_shape) - lowest) / (highest - lowest), 0, 1)
                cell.imshow(np.squeeze(values, axis=2) if values.shape[2:] == (1,) else values, cmap, vmin=0, vmax=1)
                cell.set(xticks=[], yticks=[])
        for i, axes in enumerate(self.axes_):
            axes[0].set_ylabel("\n".join(self._name(i)), rotation=0, ha="right", va="center")
            below_input = _lines(self._label(i, "no_defense", "predicted"), self._score(i))
            axes[-2].set_xlabel(below_input, fontsize="small")
            labels = self._label(i, "defense", "predicted"), self._label(i, "corrected", "corrected")
            axes[-1].set_xlabel(_lines(*labels), fontsize="small")

    def _plot_tables(self, ax: Any, n_features: int) -> None:
        n_features = min(n_features, self.X[0].size)
        size = 8.4, 0.5 + len(self.X) * (0.85 + 0.23 * n_features)
        self.axes_ = grid_of_axes(ax, (len(self.X), 1), size, space=4 / n_features)
        changes = self._changes_to(self.X_reconstructed)
        originals = None if self.X_original is None else self._changes_to(self.X_original)
        for i, axes in enumerate(self.axes_.ravel()):
            largest = np.argsort(-np.abs(changes[i]), kind="stable")[:n_features]
            self._draw_changes(axes, i, largest, changes[i, largest])
            if originals is not None:
                style = {"marker": "D", "linestyle": "none", "markersize": 6, "markeredgecolor": foreground(axes)}
                axes.plot(originals[i, largest], np.arange(n_features), color=VERMILLION, **style)
        farthest = np.abs([axes.get_xlim() for axes in self.axes_.ravel()]).max()
        for axes in self.axes_.ravel():
            axes.set_xlim(-farthest, farthest)
        unit = "in units of the data" if self.standard_deviations is None else "in standard deviations"
        diamond = "" if originals is None else "; diamond: original"
        self.axes_[-1, 0].set_xlabel(f"change from input to reconstruction ({unit}){diamond}")

    def _draw_changes(self, ax: Axes, i: int, features: np.ndarray, changes: np.ndarray) -> None:
        positions = np.arange(len(features))
        ax.barh(positions, changes, height=0.62, color=BLUE)
        ax.axvline(0, color=foreground(ax), linewidth=0.8)
        ax.set_yticks(positions, [f"x{k}" if self.feature_names is None else self.feature_names[k] for k in features])
        ax.set_ylim(len(features) - 0.4, -0.6)
        beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
        values = self.X[i].ravel()[features], self.X_reconstructed[i].ravel()[features]
        for position, before, after in zip(positions, *values, strict=True):
            ax.text(1.02, float(position), f"{before:.4g} → {after:.4g}".replace("-", "\N{MINUS SIGN}"), **beside)
        ax.text(1.02, -0.05, "input → reconstruction", transform=ax.transAxes, fontsize="small", va="top")
        facts = ", ".join(filter(None, [*self._name(i), self._score(i)]))
        labels = self._label(i, "no_defense", "without defense"), self._label(i, "corrected", "corrected")
        ax.set_title(_lines(facts, ", ".join(filter(None, labels))), loc="left", fontsize="medium")

    def _changes_to(self, X: np.ndarray) -> np.ndarray:
        """Compute the change of every feature from the input to X, with shape (n_samples, n_features)."""
        changes = (X.astype(np.float64) - self.X).reshape(len(X), -1)
        return changes if self.standard_deviations is None else changes / self.standard_deviations

    def _name(self, i: int) -> list[str]:
        number = i if self.samples is None else self.samples[i]
        return [f"row {number}", *([] if self.y is None else [f"truth: {self.y[i]}"])]

    def _label(self, i: int, attribute: str, name: str) -> str:
        labels = getattr(self, attribute)
        if labels is None:
            return ""
        wrong = " (wrong)" if self.y is not None and labels[i] != self.y[i] else ""
        return f"{name}: {labels[i]}{wrong}"

    def _score(self, i: int) -> str:
        score = "" if self.instance_score is None else f"score {score_text(self.instance_score[i])}"
        if self.is_adversarial is None:
            return score
        return ", ".join(filter(None, [score, "flagged" if self.is_adversarial[i] else "not flagged"]))


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _names_of_features(estimator: Any, detector: Any) -> Any:
    """Return the feature names of the detector, or else those of the Pipeline steps before it."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    names = getattr(detector, "feature_names_in_", None)
    if names is not None or len(getattr(estimator, "steps", ())) < 2:
        return names
    steps = [step for _, step in estimator.steps[:-1] if step != "passthrough"]
    have_names = all(hasattr(step, "get_feature_names_out") for step in steps)
    return estimator[:-1].get_feature_names_out() if have_names else None
