"""The address of the documentation, for the links that notebooks show beside an estimator."""

from __future__ import annotations

import os
from importlib.metadata import metadata

VARIABLE = "SKAAE_DOCUMENTATION"


def documentation() -> str:
    """Return the address of the documentation site.

    The environment variable ``SKAAE_DOCUMENTATION`` takes precedence over the "Documentation" URL in
    the metadata of the package.

    Returns
    -------
    address : str
        The address without a slash at its end, or an empty string if there is no address.

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
    """Make the HTML representation of an estimator link to the API reference of skaae."""

    _doc_link_module = "skaae"

    @property
    def _doc_link_template(self) -> str:
        return documentation() + "/generated/{estimator_module}.{estimator_name}.html"

    def _get_doc_link(self) -> str:
        return super()._get_doc_link() if documentation() else ""  # type: ignore[misc]
