import re
from html.parser import HTMLParser

import pytest

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
    from dataclasses import replace

    clean = replace(bare_report, frame=bare_report.frame.iloc[:1], stopped="interrupted")
    html = clean.to_html()
    assert "<svg" not in html
    assert "ended early (interrupted)" in html
