"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def check_target(path: str | os.PathLike[str]) -> Path:
    """Raise unless a file can be written at this path.

    Parameters
    ----------
    path : str or path
        Where a file is going to be written.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    TypeError
        If it is no path.
    FileNotFoundError, IsADirectoryError
        If its folder does not exist, or if it is a folder itself.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a path, got {type(path).__name__}.")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r}: there is no folder {str(path.parent)!r}.")
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder: the name of a file is wanted.")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, so that at any moment its path has the old content or the new, whole.

    Parameters
    ----------
    path : pathlib.Path
    content : bytes

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skaae.onnx._files import write_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "file", b"content")
    ...     [path.name for path in Path(folder).iterdir()]
    ['file']
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
