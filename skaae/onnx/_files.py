"""Write a file completely or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def check_target(path: str | os.PathLike[str]) -> Path:
    """Raise an error unless a file can be written at this path.

    Parameters
    ----------
    path : str or path
        The path of the file to write.

    Returns
    -------
    path : pathlib.Path
        The same path.

    Raises
    ------
    TypeError
        If `path` is not a path.
    FileNotFoundError, IsADirectoryError
        If the folder of `path` does not exist, or if `path` is a folder.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a path, got {type(path).__name__}.")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r}: the folder {str(path.parent)!r} does not exist.")
    if path.is_dir():
        raise IsADirectoryError(f"path must be the path of a file, but {str(path)!r} is a folder.")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file such that its path contains either the old or the new content at any moment.

    Parameters
    ----------
    path : pathlib.Path
        The file to write or to replace.
    content : bytes
        The new content.

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
