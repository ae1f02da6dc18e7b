"""The diagram of the procedure, drawn for a light and for a dark page, and for a wide and for a narrow one.

python docs/diagram.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK = {"light": "#222222", "dark": "#EEEEEE"}
# Name: text, center, width, color.
BOXES = {
    "x": ("x", (0.35, 1.75), 0.5, None),
    "AE": ("AE\nautoencoder", (1.55, 0.55), 1.15, GREEN),
    "x'": ("x' = AE(x)", (2.95, 0.55), 0.95, None),
    "M": ("M\nclassifier, frozen", (2.95, 1.75), 1.5, BLUE),
    "M'": ("M\nthe same", (4.15, 0.55), 0.85, BLUE),
    "S": ("S(x) =\nKL( M(x) ‖ M(x') )", (5.75, 1.15), 1.55, ORANGE),
    "normal": ("up to threshold:\npredict M(x)", (7.7, 1.75), 1.45, None),
    "adversarial": ("above: adversarial,\npredict M(x')", (7.7, 0.55), 1.6, ORANGE),
}
ARROWS = (
    *(("x", "M"), ("x", "AE"), ("AE", "x'"), ("x'", "M'"), ("M", "S"), ("M'", "S")),
    *(("S", "normal"), ("S", "adversarial")),
)
HEIGHT = 0.72
SIZES = {"wide": (8.6, 2.3), "tall": (4.2, 7.3)}


def save(folder: Path) -> None:
    """Write procedure-wide-light.svg and the three others."""
    folder.mkdir(exist_ok=True)
    for theme, ink in INK.items():
        for form in SIZES:
            figure = draw(ink, form)
            figure.savefig(folder / f"procedure-{form}-{theme}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)


def draw(ink: str, form: str) -> plt.Figure:
    """The boxes, and the arrows between them: from left to right, or downwards."""
    with plt.rc_context({"svg.hashsalt": "skaae", "svg.fonttype": "path"}):
        figure = plt.figure(figsize=SIZES[form])
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, SIZES[form][0]), ylim=(0, SIZES[form][1]))
        axes.axis("off")
        for text, center, width, color in BOXES.values():
            _box(axes, text, _place(center, form), width, color or ink, ink)
        for start, end in ARROWS:
            _arrow(axes, *_ends(BOXES[start], BOXES[end], form), ink)
    return figure


def _place(center: tuple[float, float], form: str) -> tuple[float, float]:
    """Where a box stands; in the tall form what was right is below, and the lower path is the left one."""
    x, y = center
    return (x, y) if form == "wide" else (1.0 + 1.8 * (y - 0.55), SIZES["tall"][1] - 0.5 - 0.86 * (x - 0.35))


def _ends(start: tuple, end: tuple, form: str) -> tuple[tuple[float, float], tuple[float, float]]:
    (_, center, width, _), (_, to_center, to_width, _) = start, end
    (x, y), (to_x, to_y) = _place(center, form), _place(to_center, form)
    if form == "wide":
        return (x + width / 2 + 0.04, y), (to_x - to_width / 2 - 0.04, to_y)
    return (x, y - HEIGHT / 2 - 0.04), (to_x, to_y + HEIGHT / 2 + 0.04)


def _box(axes, text: str, center: tuple[float, float], width: float, color: str, ink: str) -> None:
    corner = center[0] - width / 2, center[1] - HEIGHT / 2
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": "none", "edgecolor": color, "linewidth": 1.8}
    axes.add_patch(FancyBboxPatch(corner, width, HEIGHT, **style))
    axes.text(*center, text, ha="center", va="center", fontsize=10.5, color=ink, linespacing=1.4)


def _arrow(axes, start: tuple[float, float], end: tuple[float, float], ink: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=ink, linewidth=1.2))


if __name__ == "__main__":
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static")
