"""Sphinx builds the site from the pages of this folder, the docstrings, and the examples."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["SKAAE_DOCUMENTATION"] = ".."  # estimators that the gallery shows link to the pages of this site
sys.path.insert(0, str(Path(__file__).parent))

import diagram

import skaae

warnings.filterwarnings("ignore", "PyTorch not found")

project = "skaae"
author = "the skaae developers"
copyright = "the skaae developers, BSD-3-Clause"
version = release = skaae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.katex",
]
exclude_patterns = ["_build", "README.md", "sg_execution_times.rst"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_inherit_docstrings = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# These start processes of their own, or a server that never ends: they are shown, and run by the tests.
SHOWN_ONLY = "two_workers|serve"
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/(?!({SHOWN_ONLY})\.py)\w+\.py$",
    "ignore_pattern": r"__init__\.py",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "within_subsection_order": "gallery_order.position",
    "default_thumb_file": str(Path(__file__).parent / "_static" / "logo.svg"),
    "min_reported_time": 1,
    "abort_on_example_error": True,
    "doc_module": ("skaae",),
    "backreferences_dir": "gallery/backreferences",
    "reset_modules": ("matplotlib",),
    "copyfile_regex": r"GALLERY_HEADER\.rst",
}

# MathML needs neither fonts nor styles of KaTeX, which would come from another server: ours stand in their place.
katex_options = 'output: "mathml"'
katex_css_path = "skaae.css"

html_theme = "pydata_sphinx_theme"
html_title = "skaae"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
# Pages that have none below them have nothing to show there.
html_sidebars = {page: [] for page in ("index", "install", "quickstart", "how_it_works", "faq", "changelog")}
html_theme_options = {
    "logo": {"text": "skaae", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    # The widest table gets the room of the list of headings.
    "secondary_sidebar_items": {"**": ["page-toc"], "benchmark_defense": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def setup(app) -> None:
    """Draw the diagram of the procedure anew for each build."""
    diagram.save(Path(app.srcdir) / "_static")
