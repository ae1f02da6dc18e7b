"""Where the documentation lies, for the links that notebooks show beside an estimator."""

from __future__ import annotations

import os
from importlib.metadata import metadata

VARIABLE = "SKAAE_DOCUMENTATION"


def documentation() -> str:
    """Address of the site: of the environment variable, else the package's own "Documentation" URL.

    Returns
    -------
    address : str
        Without a slash at its end; empty if there is none.

    Examples
    --------
    >>> import os
    >>> from skaae._utils.documentation import documentation
    >>> os.environ["SKAAE_DOCUMENTATION"] = "http://localhost:8000/"
    >>> documentation()
    'http://localhost:8000'
    >>> del os.environ["SKAAE_DOCUMENTATION"]
    """
    urls: dict[str, str] = dict(url.split(", ", 1) for url in metadata("skaae").get_all("Project-URL") or ())
    return (os.environ[VARIABLE] if VARIABLE in os.environ else urls.get("Documentation", "")).rstrip("/")


class DocumentedMixin:
    """An estimator whose HTML representation links to its page of our API reference, not to scikit-learn's."""

    _doc_link_module = "skaae"

    @property
    def _doc_link_template(self) -> str:
        return documentation() + "/generated/{estimator_module}.{estimator_name}.html"

    def _get_doc_link(self) -> str:
        return super()._get_doc_link() if documentation() else ""  # type: ignore[misc]
