"""What the tests of the displays share: a fixed style, and the comparison with a picture."""

import contextlib
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.legend import Legend
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

BASELINE = Path(__file__).parent.parent / "displays" / "baseline"
STYLE = ["default", {"font.family": "DejaVu Sans", "figure.dpi": 60, "savefig.dpi": 60}]
# Root mean square of the difference of two pictures, of 255: other antialiasing stays below, a moved line is above.
TOLERANCE = 7


@contextlib.contextmanager
def untouched_settings():
    """Fixed style; no figure is left, and no global setting is changed."""
    with plt.style.context(STYLE):
        before = dict(mpl.rcParams)
        yield
        assert dict(mpl.rcParams) == before
        plt.close("all")


def difference_from_baseline(figure, name, tmp_path):
    """None if the figure is like the picture in the baseline, else how much it differs.

    Text and legends are left out: the tests read them, and each version of matplotlib draws letters differently.
    The first picture that a test draws is left in its folder, as a new baseline after a change that was meant.
    """
    for words in (*figure.findobj(Text), *figure.findobj(Legend)):
        words.set_visible(False)
    drawn = tmp_path / f"{name}.png"
    if drawn.exists():
        drawn = tmp_path / f"{name}-again.png"
    figure.savefig(drawn)
    return compare_images(str(BASELINE / f"{name}.png"), str(drawn), TOLERANCE)
