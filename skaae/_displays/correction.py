"""What the defense makes of single samples: given and reconstructed images, or the features that moved."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skaae._displays.axes import BLUE, VERMILLION, detector_and_rows, foreground, grid_of_axes, pyplot, score_text
from skaae._displays.chosen_samples import check_features, check_lengths, checked_image_shape, chosen_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


@dataclass(eq=False, repr=False)
class CorrectionDisplay:
    """Samples as given and as reconstructed, with their labels and scores.

    Images stand side by side: the original if there is one, as given, and reconstructed. Of a row of
    a table (or a sequence) the features are drawn that moved most from given to reconstructed, as
    bars, with both values beside them. Where there is an original, a diamond shows where its
    value lies.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are
    stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        The samples shown, as given.
    X_reconstructed : ndarray of the shape of X
        x' = AE(x) of each.
    no_defense, defense, corrected : ndarray of shape (n_samples,) or None, default=None
        Class labels M(x), M(x'), and those after correction.
    instance_score : ndarray of shape (n_samples,) or None, default=None
        S(x).
    is_adversarial : ndarray of shape (n_samples,), bool, or None, default=None
        Whether the sample was flagged.
    y : ndarray of shape (n_samples,) or None, default=None
        True class labels.
    X_original : ndarray of the shape of X or None, default=None
        The samples before they were attacked.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, n_channels) of images; None: tables.
    feature_names : sequence of str or None, default=None
        Names of the features of a table; None: x0, x1, ...
    standard_deviations : ndarray of shape (n_features,) or None, default=None
        Units of the moves; None: those of the data.
    samples : ndarray of shape (n_samples,), int, or None, default=None
        Numbers by which the samples are called; None: 0, 1, ...

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_samples, n_columns)
        Columns: original, given, reconstructed images; or a single one for tables.
    figure_ : matplotlib Figure

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
    ['2 → 5', '3 → 2.5', '1 → 1', 'given → reconstructed']
    >>> print(display.axes_[0, 0].get_title(loc="left"))
    row 0, truth: cat, score 1003.3, flagged
    no defense: dog (wrong), corrected: cat
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
        """Draw what a detector makes of samples.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            Fitted. Samples are drawn as the detector receives them, behind the scaler of a Pipeline.
        X : array-like of shape (n_samples, ...)
            Samples, attacked or not.
        y : array-like of shape (n_samples,) or None, default=None
            True class labels.
        X_original : array-like of the shape of X or None, default=None
            The samples before they were attacked.
        samples : int or array-like of int, default=5
            Which to show: so many from the first one on, or the ones of these numbers.
        image_shape : tuple of int or None, default=None
            (height, width) or (height, width, n_channels), for images that are stored as rows. None:
            X of shape (n_samples, height, width, 1 or 3) are images, all others tables.
        feature_names : array-like of str or None, default=None
            None: ``feature_names_in_`` of the detector, or what the Pipeline before it calls them.
        standard_deviations : array-like of shape (n_features,) or None, default=None
            Of the features as the detector receives them: units of the moves. None: those of the data.
        n_features : int, default=8
            How many features of a table to show.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel.
        ax : matplotlib Axes, array-like of Axes, or None, default=None
            Where to draw: see :meth:`plot`.

        Returns
        -------
        display : CorrectionDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator has not been fitted, has no detector at its end, or an argument does not fit.
        ImportError
            If matplotlib is not installed.
        """
        pyplot()
        check_lengths(X, X_original=X_original, y=y)
        chosen = chosen_samples(samples, _num_samples(X))
        detector, rows = detector_and_rows(estimator, _safe_indexing(X, chosen))
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
        """Draw what has been computed: ``from_predictions(X, detector.reconstruct(X), **detector.correct(X))``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples as given.
        X_reconstructed : array-like of the shape of X
            x' of each, as ``reconstruct`` returns it.
        no_defense, defense, corrected, instance_score, is_adversarial : array-like of shape (n_samples,) or None
            What ``correct`` returns; what is None is not written.
        y, X_original, samples, image_shape, feature_names, standard_deviations, n_features, cmap, ax : object
            As for :meth:`from_estimator`.

        Returns
        -------
        display : CorrectionDisplay

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.
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
        cls, X: np.ndarray, X_reconstructed: np.ndarray, chosen: np.ndarray, **given: Any
    ) -> CorrectionDisplay:
        """The display of samples that have been chosen, after all checks."""
        image_shape = checked_image_shape(given.pop("image_shape"), X.shape)
        for name, values in {"X_reconstructed": X_reconstructed, "X_original": given["X_original"]}.items():
            if values is not None and values.shape != X.shape:
                raise ValueError(f"{name} has shape {values.shape}, the shape of X is wanted: {X.shape}.")
        names, deviations = given.pop("feature_names"), given.pop("standard_deviations")
        check_features(X.shape, names, deviations)
        return cls(
            X,
            X_reconstructed,
            **given,
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
            One Axes of a grid of subplots gives its place to all; an array has to hold as many as are
            wanted: for images a line for each sample, of two columns, or three with originals; for tables
            one for each sample. None: a new figure.
        n_features : int, default=8
            How many features of a table to show.
        cmap : str or matplotlib Colormap, default="gray"
            For images of one channel.

        Returns
        -------
        display : CorrectionDisplay
        """
        if not isinstance(n_features, Integral) or n_features < 1:
            raise ValueError(f"n_features must be an integer above 0, got {n_features!r}.")
        if self.image_shape is None:
            self._plot_tables(ax, n_features)
        else:
            self._plot_images(ax, cmap)
        self.figure_: Any = self.axes_[0, 0].figure
        return self

    def _plot_images(self, ax: Any, cmap: Any) -> None:
        stages = {"original": self.X_original, "given": self.X, "reconstructed": self.X_reconstructed}
        columns = {name: images for name, images in stages.items() if images is not None}
        size = 1.0 + 1.9 * len(columns), 0.4 + 1.95 * len(self.X)
        self.axes_ = grid_of_axes(ax, (len(self.X), len(columns)), size)
        lowest, highest = _limits([columns[name] for name in columns if name != "reconstructed"])
        for axes, (name, images) in zip(self.axes_.T, columns.items(), strict=True):
            axes[0].set_title(name, fontsize="medium")
            for one, image in zip(axes, images, strict=True):
                values = np.clip((image.reshape(self.image_shape) - lowest) / (highest - lowest), 0, 1)
                one.imshow(np.squeeze(values, axis=2) if values.shape[2:] == (1,) else values, cmap, vmin=0, vmax=1)
                one.set(xticks=[], yticks=[])
        for i, axes in enumerate(self.axes_):
            axes[0].set_ylabel("\n".join(self._name(i)), rotation=0, ha="right", va="center")
            axes[-2].set_xlabel(_lines(self._label(i, "no_defense", "no defense"), self._score(i)), fontsize="small")
            labels = self._label(i, "defense", "reconstructed"), self._label(i, "corrected", "corrected")
            axes[-1].set_xlabel(_lines(*labels), fontsize="small")

    def _plot_tables(self, ax: Any, n_features: int) -> None:
        n_features = min(n_features, self.X[0].size)
        size = 8.4, 0.5 + len(self.X) * (0.85 + 0.23 * n_features)
        self.axes_ = grid_of_axes(ax, (len(self.X), 1), size, space=4 / n_features)
        moves = self._moved_to(self.X_reconstructed)
        back = None if self.X_original is None else self._moved_to(self.X_original)
        for i, one in enumerate(self.axes_.ravel()):
            largest = np.argsort(-np.abs(moves[i]), kind="stable")[:n_features]
            self._draw_moves(one, i, largest, moves[i, largest])
            if back is not None:
                look = {"marker": "D", "linestyle": "none", "markersize": 6, "markeredgecolor": foreground(one)}
                one.plot(back[i, largest], np.arange(n_features), color=VERMILLION, **look)
        farthest = np.abs([one.get_xlim() for one in self.axes_.ravel()]).max()
        for one in self.axes_.ravel():
            one.set_xlim(-farthest, farthest)
        unit = "units of the data" if self.standard_deviations is None else "standard deviations"
        diamond = "" if back is None else "; diamond: original"
        self.axes_[-1, 0].set_xlabel(f"move from given to reconstructed ({unit}){diamond}")

    def _draw_moves(self, ax: Axes, i: int, features: np.ndarray, moves: np.ndarray) -> None:
        places = np.arange(len(features))
        ax.barh(places, moves, height=0.62, color=BLUE)
        ax.axvline(0, color=foreground(ax), linewidth=0.8)
        ax.set_yticks(places, [f"x{k}" if self.feature_names is None else self.feature_names[k] for k in features])
        ax.set_ylim(len(features) - 0.4, -0.6)
        beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
        values = self.X[i].ravel()[features], self.X_reconstructed[i].ravel()[features]
        for place, given, reconstructed in zip(places, *values, strict=True):
            ax.text(1.02, float(place), f"{given:.4g} → {reconstructed:.4g}".replace("-", "\N{MINUS SIGN}"), **beside)
        ax.text(1.02, -0.05, "given → reconstructed", transform=ax.transAxes, fontsize="small", va="top")
        known = ", ".join(filter(None, [*self._name(i), self._score(i)]))
        labels = self._label(i, "no_defense", "no defense"), self._label(i, "corrected", "corrected")
        ax.set_title(_lines(known, ", ".join(filter(None, labels))), loc="left", fontsize="medium")

    def _moved_to(self, X: np.ndarray) -> np.ndarray:
        """Moves of all features from where they were given, (n_samples, n_features)."""
        moves = (X.astype(np.float64) - self.X).reshape(len(X), -1)
        return moves if self.standard_deviations is None else moves / self.standard_deviations

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


def _limits(images: list[np.ndarray]) -> tuple[float, float]:
    """Values of black and white: 0 and 1, or 255 for bytes; else the least and the largest."""
    if images[0].dtype == np.uint8:
        return 0.0, 255.0
    least, largest = min(array.min() for array in images), max(array.max() for array in images)
    return (0.0, 1.0) if (least >= 0 and largest <= 1) or least == largest else (float(least), float(largest))


def _names_of_features(estimator: Any, detector: Any) -> Any:
    """What the detector, or else the steps of a Pipeline before it, call the features."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    names = getattr(detector, "feature_names_in_", None)
    if names is not None or len(getattr(estimator, "steps", ())) < 2:
        return names
    steps = [step for _, step in estimator.steps[:-1] if step != "passthrough"]
    named = all(hasattr(step, "get_feature_names_out") for step in steps)
    return estimator[:-1].get_feature_names_out() if named else None
