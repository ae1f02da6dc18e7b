import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Raises for a tag that is not closed in its order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(defended_report, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert defended_report.to_html(path) == path.read_text(encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert {"svg", "details", "table", "main"} <= set(tags.seen)
    assert page.startswith("<!DOCTYPE html>")


def test_page_needs_no_network_and_no_script(page):
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|\bsrc=|\son\w+=", page)


def test_summary_comes_before_details(page):
    assert page.index("on clean rows") < page.index("<svg") < page.index("Checks") < page.index("<details>")
    assert "upper bounds" in page


def test_light_dark_and_print(page):
    assert "color-scheme: light dark" in page
    assert "@media print" in page


def test_part_for_notebooks(defended_report):
    html = defended_report._repr_html_()
    assert html.startswith("<style>")
    assert "<html" not in html


def test_report_without_attacks_has_no_picture(bare_report):
    clean = replace(bare_report, frame=bare_report.frame.iloc[:1], stopped="interrupted")
    html = clean.to_html()
    assert "<svg" not in html
    assert "ended early (interrupted)" in html


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_in_a_browser(page, tmp_path):
    (tmp_path / "report.html").write_text(page)
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1100,900",
        "--virtual-time-budget=1000",
    ]
    command = [BROWSER, *options, f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = plt.imread(tmp_path / "page.png")
    assert pixels.shape[:2] == (900, 1100)
    blue = np.abs(pixels[..., :3] - np.array([0x2B, 0x8C, 0xC9]) / 255).max(axis=-1) < 0.05
    assert blue.sum() > 200, "the curve of unaware attackers"
