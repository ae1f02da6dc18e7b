"""Helpers shared by the displays: colors, axes, legends, and the detector inside an estimator.

matplotlib is imported only when something is drawn, and no rcParams are changed. Text and frames
have the colors of the current style. The other colors come from the palette of Okabe and Ito and
are visible on white and on black. Elements of different color also differ in hatch, line style or
marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skaae._utils.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"


def pyplot() -> Any:
    """Import ``matplotlib.pyplot``.

    Returns
    -------
    pyplot : module
        The module ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message names the extra that installs it.
    """
    import_extra("matplotlib", "matplotlib")
    return import_extra("matplotlib.pyplot", "matplotlib")


def single_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes to draw in.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes to draw in. None means a new figure.
    size : tuple of two float
        Width and height of a new figure, in inches.

    Returns
    -------
    ax : matplotlib Axes
        The given axes, or those of the new figure.

    Raises
    ------
    TypeError
        If `ax` is neither.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, plt.Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def grid_of_axes(
    ax: Axes | ArrayLike | None, shape: tuple[int, int], size: tuple[float, float], space: float = 0.6
) -> np.ndarray:
    """Return axes in rows and columns.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes, or None
        Axes to draw in. A single Axes is divided; it must belong to a grid of subplots. An array must
        contain exactly as many Axes as `shape` asks for. None means a new figure.
    shape : tuple of two int
        Number of rows and of columns.
    size : tuple of two float
        Width and height of a new figure, in inches.
    space : float, default=0.6
        Space for text between the rows, as a multiple of the height of one Axes. It applies to a
        divided Axes in a figure without a layout engine, which would provide the space itself.

    Returns
    -------
    axes : ndarray of Axes with the given shape

    Raises
    ------
    ValueError
        If `ax` contains another number of Axes, or is a single Axes outside a grid of subplots.
    TypeError
        If `ax` is neither Axes nor None.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(*shape, figsize=size, layout="constrained", squeeze=False)[1]
    if isinstance(ax, plt.Axes):
        return _divide(ax, shape, space)
    axes = np.asarray(ax, dtype=object)
    if not all(isinstance(item, plt.Axes) for item in axes.ravel()):
        raise TypeError(f"ax must be a matplotlib Axes, an array of them, or None, got {type(ax).__name__}.")
    if axes.size != np.prod(shape):
        raise ValueError(f"ax must contain {shape[0]} x {shape[1]} Axes, got {axes.size}.")
    return axes.reshape(shape)


def _divide(ax: Axes, shape: tuple[int, int], space: float) -> np.ndarray:
    subplot_spec = ax.get_subplotspec()
    if subplot_spec is None:
        raise ValueError("ax must belong to a grid of subplots. Create it with plt.subplots().")
    ax.set_axis_off()
    spacing: dict[str, Any] = {} if ax.figure.get_layout_engine() else {"hspace": space}
    return subplot_spec.subgridspec(*shape, **spacing).subplots(squeeze=False)


def foreground(ax: Axes) -> Any:
    """Return the text color of these axes, which depends on their style: usually black or white."""
    return ax.xaxis.label.get_color()


def legend_above(ax: Axes, **options: Any) -> Any:
    """Add a legend above the axes, where it covers no data.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to which the legend belongs.
    **options : object
        Options of `Axes.legend`.

    Returns
    -------
    legend : matplotlib Legend
    """
    position = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0.2, "frameon": False}
    return ax.legend(**{**position, **options})


def detector_and_rows(estimator: Any, X: ArrayLike) -> tuple[Any, ArrayLike]:
    """Return the detector inside an estimator, and X as the detector receives it.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
        The fitted estimator.
    X : array-like of shape (n_samples, ...)
        Samples as the estimator takes them.

    Returns
    -------
    detector : AdversarialAEDetector
        The fitted detector.
    rows : array-like of shape (n_samples, ...)
        Samples as the detector takes them.

    Raises
    ------
    NotFittedError
        If the estimator has not been fitted.
    TypeError
        If the estimator does not end in a detector.
    """
    from skaae.metrics import _detector_and_rows  # imported late: plotting arrays should not load TensorFlow

    check_is_fitted(estimator)
    return _detector_and_rows(estimator, X)


def score_text(score: float) -> str:
    """Format a score: with three significant digits, or with one decimal place from 1000 upwards.

    Examples
    --------
    >>> from skaae._displays.axes import score_text
    >>> score_text(0.012345), score_text(1003.26)
    ('0.0123', '1003.3')
    """
    return f"{score:.1f}" if score >= 1000 else f"{score:.3g}"


def checked_scores(scores: ArrayLike, name: str) -> np.ndarray:
    """Check adversarial scores and return them as an array.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Adversarial scores.
    name : str
        Name of the argument, for error messages.

    Returns
    -------
    scores : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If the scores are not finite numbers >= 0, one for each row.
    """
    checked = np.asarray(scores, dtype=np.float64)
    if checked.ndim != 1 or not checked.size:
        raise ValueError(f"{name} must have shape (n_samples,) with at least one sample, got shape {checked.shape}.")
    if not np.isfinite(checked).all():
        raise ValueError(f"{name} must contain finite numbers only, but contains NaN or infinity.")
    if checked.min() < 0:
        raise ValueError(
            f"{name} must not be negative, but the smallest is {checked.min():.3g}. Pass the result of "
            f"adversarial_score; score_samples returns the negative of it."
        )
    return checked
