"""The code of the pages runs as it stands, each page from its top; test_examples.py has those that need more."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
# Run elsewhere: by test_examples.py, and scale.md by test_dask.py too.
ELSEWHERE = {"alibi", "deploy", "evaluate", "index", "persist", "scale"}
PAGES = sorted(path.stem for path in DOCS.glob("*.md") if "```python" in path.read_text())
# A line that each page prints, where it says something. The threshold that 1,600 rows set for 10 % may be 1.5 points
# off: two standard deviations.
PRINTED = {
    "classifiers": r"^True$",
    "images": r"^\(3, 8, 8, 1\)$",
    "monitor": r"(?s)^attack .*True +False.*^drift .*True +True.*^flagged after recalibration: 0.0",
    "perturbed_training": r"^True$",
    "pipelines": r"^True$",
    "robustness": r"^under attack +0\.[3-7]",
    "quickstart": r"^under attack, corrected +(1\.0|0\.[7-9])",
    "tables": r"^True$",
    "threshold": r"(?s)^false alarms on fresh rows  0\.(08[5-9]|09|10|11[0-4]).*00 rows: mean 0\.(09|10).*^\{'thresh",
    "trees": r"agrees with the forest on (100|9\d)%",
}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.S))
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, f"{page}.md", "exec"), {"__name__": page})
    assert re.search(PRINTED[page], shown.getvalue(), re.M), shown.getvalue()
    examples = "".join(re.findall(r"```text\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.S))
    if examples:
        promised = pytest.approx(numbers(examples), abs=0.1)
        assert numbers(shown.getvalue()) == promised, "what the page shows is about right"


def test_no_line_of_a_page_is_a_comment():
    """Sphinx leaves out a line that begins with "%", such as "5 %" broken in two."""
    pages = [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md"), *DOCS.parent.glob("benchmarks/**/*.md")]
    assert [page.name for page in pages if re.search(r"^\s*%", page.read_text(), re.M)] == []


def numbers(text):
    """Name -> number of each line that has both."""
    return {name: float(number) for name, number in re.findall(r"^(\S.*?) {2,}(\d\.\d+)$", text, re.M)}


def test_home_shows_the_code_of_the_readme():
    first = re.compile(r"```python\n(.*?)```", re.S)
    assert first.search((DOCS / "index.md").read_text())[1] == first.search((DOCS.parent / "README.md").read_text())[1]
