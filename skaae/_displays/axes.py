"""What the displays share: colors, axes, legends, and the detector behind an estimator.

matplotlib is imported when something is drawn. No rcParams are changed: text and frames have the
colors of the style in force, and the hues are those of Okabe and Ito that stand out from white as
well as from black. Whatever differs by color differs by hatch, line style or marker too.
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
    """``matplotlib.pyplot``, or an error that names the extra.

    Returns
    -------
    pyplot : module

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import_extra("matplotlib", "matplotlib")
    return import_extra("matplotlib.pyplot", "matplotlib")


def single_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes to draw in.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None: a new figure.
    size : tuple of two float
        Width and height of a new figure in inches.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    TypeError
        If it is something else.
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
    """Axes in lines and columns.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes, or None
        One Axes of a grid of subplots gives its place to all of them; an array has to hold as many
        as are wanted; None: a new figure.
    shape : tuple of two int
        Lines and columns.
    size : tuple of two float
        Width and height of a new figure in inches.
    space : float, default=0.6
        Between the lines, in heights of one Axes, for the text there, in a figure that has no layout engine to
        see to that.

    Returns
    -------
    axes : ndarray of Axes of the given shape

    Raises
    ------
    ValueError
        If there is another number of Axes, or no grid to take the place from.
    TypeError
        If it is something else.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(*shape, figsize=size, layout="constrained", squeeze=False)[1]
    if isinstance(ax, plt.Axes):
        return _divided(ax, shape, space)
    axes = np.asarray(ax, dtype=object)
    if not all(isinstance(one, plt.Axes) for one in axes.ravel()):
        raise TypeError(f"ax must be a matplotlib Axes, an array of them, or None, got {type(ax).__name__}.")
    if axes.size != np.prod(shape):
        raise ValueError(f"ax holds {axes.size} Axes, {shape[0]} x {shape[1]} are wanted.")
    return axes.reshape(shape)


def _divided(ax: Axes, shape: tuple[int, int], space: float) -> np.ndarray:
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError("ax must come from a grid of subplots, as plt.subplots() makes them, to be divided.")
    ax.set_axis_off()
    free: dict[str, Any] = {} if ax.figure.get_layout_engine() else {"hspace": space}
    return place.subgridspec(*shape, **free).subplots(squeeze=False)


def foreground(ax: Axes) -> Any:
    """Color of the text of these axes: black or white, as their style has it."""
    return ax.xaxis.label.get_color()


def legend_above(ax: Axes, **options: Any) -> Any:
    """A legend above the axes, where it covers no data.

    Parameters
    ----------
    ax : matplotlib Axes
    **options : object
        For `Axes.legend`.

    Returns
    -------
    legend : matplotlib Legend
    """
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "borderaxespad": 0.2, "frameon": False}
    return ax.legend(**{**place, **options})


def detector_and_rows(estimator: Any, X: ArrayLike) -> tuple[Any, ArrayLike]:
    """The detector at the end of an estimator, and X as it receives it, as `skaae.metrics` finds them.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
    X : array-like of shape (n_samples, ...)

    Returns
    -------
    detector : AdversarialAEDetector
    rows : array-like of shape (n_samples, ...)

    Raises
    ------
    NotFittedError
        If the estimator has not been fitted.
    TypeError
        If there is no detector at its end.
    """
    from skaae.metrics import _detector_and_rows  # loads TensorFlow, which plotting arrays does not need

    check_is_fitted(estimator)
    return _detector_and_rows(estimator, X)


def score_text(score: float) -> str:
    """A score for reading: three digits, or one behind the point above 1000.

    Examples
    --------
    >>> from skaae._displays.axes import score_text
    >>> score_text(0.012345), score_text(1003.26)
    ('0.0123', '1003.3')
    """
    return f"{score:.1f}" if score >= 1000 else f"{score:.3g}"


def checked_scores(scores: ArrayLike, name: str) -> np.ndarray:
    """Adversarial scores as an array.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
    name : str
        Of the argument, for the error.

    Returns
    -------
    scores : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If they are no finite numbers >= 0, one a row.
    """
    found = np.asarray(scores, dtype=np.float64)
    if found.ndim != 1 or not found.size:
        raise ValueError(f"{name} has shape {found.shape}, one score for each row is wanted.")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} has values that are not finite.")
    if found.min() < 0:
        raise ValueError(
            f"{name} has values below 0, the least {found.min():.3g}: adversarial scores are wanted, as "
            f"adversarial_score returns them; score_samples returns their negatives."
        )
    return found
