"""The site builds without a warning, its links lead somewhere, and each public name has its page.

The gallery is built, but its examples are not run: `make docs` does that.
"""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import skaae

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MADE_BY_A_BUILD = shutil.ignore_patterns(
    "_build", "gallery", "generated", "sg_*.rst", "output", "__pycache__", "*.npy", "*.log"
)


class Page(HTMLParser):
    """What an HTML page links to, loads, and can be linked at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])
        elif found.get("src"):
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Path -> page of the built site."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=MADE_BY_A_BUILD)
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    site = (folder / "html").resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "plot_gallery=0", "docs", str(site)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def target(page, link):
    """The file and the anchor that a link of a page leads to."""
    parts = urlsplit(link)
    return (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


def is_internal(link):
    parts = urlsplit(link)
    return not parts.scheme and not parts.netloc


def is_broken(pages, page, link):
    path, anchor = target(page, link)
    if path in pages and anchor:
        return anchor not in pages[path].anchors
    return not path.is_file()


def test_links_lead_somewhere(pages):
    followed = [(page, link) for page, found in pages.items() for link in found.links if is_internal(link)]
    assert len(followed) > 1000, "links are found"
    assert any("#" in link for _, link in followed), "anchors too"
    assert [(page.name, link) for page, link in followed if is_broken(pages, page, link)] == []


def test_images_styles_and_scripts_are_there(pages):
    loaded = [(page, link) for page, found in pages.items() for link in found.loaded if not link.startswith("data:")]
    assert any(link.endswith("digits.png") for _, link in loaded), "images are found"
    assert [link for _, link in loaded if not is_internal(link)] == [], "nothing is fetched from elsewhere"
    assert [(page.name, link) for page, link in loaded if is_broken(pages, page, link)] == []


def public_names():
    for name in set(skaae.__all__) - {"__version__"}:
        part = getattr(skaae, name)
        if name in skaae._SUBMODULES:
            yield from (f"skaae.{name}.{inner}" for inner in getattr(part, "__all__", defined_in(part)))
        else:
            yield f"skaae.{name}"


def defined_in(module):
    return [name for name, part in vars(module).items() if name[0] != "_" and is_defined_in(part, module)]


def is_defined_in(part, module):
    return callable(part) and getattr(part, "__module__", None) == module.__name__


def test_each_public_name_has_its_page(pages):
    generated = {path.stem: page for path, page in pages.items() if path.parent.name == "generated"}
    listed = {link for path, page in pages.items() if path.name == "api.html" for link in page.links}
    names = set(public_names())
    assert {"skaae.AdversarialAEDetector", "skaae.onnx.to_onnx", "skaae.alibi.AdversarialAE"} < names
    assert {name for name in names if name not in generated or name not in generated[name].anchors} == set()
    assert {name for name in names if f"generated/{name}.html#{name}" not in listed} == set()


def test_headings(pages):
    """Each page has one title; included files bring no second one."""
    titles = {path.name: path.read_text(encoding="utf-8").count("<h1") for path in pages}
    assert {name: count for name, count in titles.items() if count != 1 and name not in ("search.html",)} == {}
