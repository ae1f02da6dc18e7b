"""The picture of a report as SVG, in the colors of the page around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

WIDTH, HEIGHT = 560, 300
LEGEND = 14
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 46
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def chart(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], xlabel: str) -> str:
    """Draw accuracies against sizes.

    Parameters
    ----------
    curves : mapping of {str: tuple of two ndarray}
        Sizes and accuracies by the name of the curve: an attacker, with ", no defense" behind it or not.
    xlabel : str

    Returns
    -------
    svg : str

    Examples
    --------
    >>> import numpy as np
    >>> from skaae.robustness._svg import chart
    >>> chart({"unaware": (np.array([0.0, 0.3]), np.array([0.9, 0.4]))}, "size").startswith("<svg")
    True
    """
    longest = max((float(sizes.max()) for sizes, _ in curves.values()), default=1.0) or 1.0
    said = "; ".join(
        f"{name}: " + ", ".join(f"{accuracy:.2f} at {size:g}" for size, accuracy in zip(*values, strict=True))
        for name, values in curves.items()
    )
    parts = [*_axes(xlabel, longest, curves)]
    for place, (name, (sizes, accuracies)) in enumerate(curves.items()):
        parts.extend(_curve(name, sizes / longest, accuracies, place))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + LEGEND + 22 * len(curves)}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>Accuracy against size. {escape(said)}</title>{''.join(parts)}</svg>"
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(accuracy: float) -> float:
    return TOP + (1 - accuracy) * (HEIGHT - TOP - BOTTOM)


def _axes(xlabel: str, longest: float, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Iterator[str]:
    for tick in TICKS:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(tick):.1f}" y2="{_y(tick):.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
    sizes = sorted({float(size) for values, _ in curves.values() for size in values})
    for size in sizes:
        yield f'<text x="{_x(size / longest):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size:g}</text>'
    yield f'<text x="{_x(0.5):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(xlabel)}</text>'


def _curve(name: str, shares: np.ndarray, accuracies: np.ndarray, place: int) -> Iterator[str]:
    attacker, _, alone = name.partition(",")
    style = f'class="curve {escape(attacker)}"' + (' stroke-dasharray="6 4"' if alone else "")
    known = [(share, accuracy) for share, accuracy in zip(shares, accuracies, strict=True) if np.isfinite(accuracy)]
    points = " ".join(f"{_x(share):.1f},{_y(accuracy):.1f}" for share, accuracy in known)
    yield f'<polyline {style} points="{points}"/>'
    for share, accuracy in known:
        yield f'<circle class="dot {escape(attacker)}" cx="{_x(share):.1f}" cy="{_y(accuracy):.1f}" r="3.5"/>'
    y = HEIGHT + LEGEND + 22 * place
    yield f'<line {style} x1="{LEFT}" x2="{LEFT + 34}" y1="{y}" y2="{y}"/>'
    yield f'<text x="{LEFT + 42}" y="{y + 4}">{escape(name)}</text>'
