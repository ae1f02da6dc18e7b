"""Rows in a graph: one tensor of numbers, or a tensor for each column where some are text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from skaae.onnx._assembly import Assembly


@dataclass(frozen=True)
class Columns:
    """Columns of rows, each a tensor of shape (n_samples, 1).

    Parameters
    ----------
    assembly : Assembly
        The graph.
    tensors : tuple of str
        Name of the tensor of each column.
    is_text : tuple of bool
        Whether each is text. Numbers are float64.
    """

    assembly: Assembly
    tensors: tuple[str, ...]
    is_text: tuple[bool, ...]

    @property
    def n_columns(self) -> int:
        return len(self.tensors)

    @property
    def has_text(self) -> bool:
        return any(self.is_text)

    def take(self, places: Iterable[int]) -> Columns:
        """Some of the columns."""
        chosen = list(places)
        return Columns(self.assembly, tuple(self.tensors[i] for i in chosen), tuple(self.is_text[i] for i in chosen))

    def matrix(self) -> str:
        """Name of one tensor with all columns.

        Raises
        ------
        TypeError
            If a column is text.
        """
        if self.has_text:
            raise TypeError("it takes text, which only an encoder turns into numbers")
        return self.tensors[0] if self.n_columns == 1 else self.assembly.node("Concat", *self.tensors, axis=1)


@dataclass(frozen=True)
class Matrix:
    """Rows of numbers in one tensor of shape (n_samples, n_columns), float64.

    Parameters
    ----------
    assembly : Assembly
        The graph.
    tensor : str
        Name of the tensor.
    n_columns : int or None
        None if it is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae.onnx._assembly import Assembly
    >>> from skaae.onnx._tensors import Matrix
    >>> rows = Matrix(Assembly("some", {"x": (np.float64, (3,))}), "x", 3)
    >>> rows.take([0, 1, 2]).matrix(), rows.take([2]).matrix()
    ('x', '2/Gather')
    """

    assembly: Assembly
    tensor: str
    n_columns: int | None = None
    has_text = False

    def take(self, places: Iterable[int]) -> Matrix:
        """Some of the columns."""
        chosen = list(places)
        if chosen == list(range(self.n_columns or 0)):
            return self
        indices = self.assembly.constant(np.array(chosen, dtype=np.int64))
        return Matrix(self.assembly, self.assembly.node("Gather", self.tensor, indices, axis=1), len(chosen))

    def matrix(self) -> str:
        """Name of the tensor."""
        return self.tensor


Rows = Columns | Matrix


def column(rows: Rows, place: int) -> tuple[str, bool]:
    """Name of the tensor of one column, of shape (n_samples, 1), and whether it is text."""
    one = rows.take([place])
    return (one.tensors[0], one.is_text[0]) if isinstance(one, Columns) else (one.tensor, False)


def side_by_side(assembly: Assembly, parts: Sequence[str]) -> str:
    """Name of a tensor with the columns of all parts."""
    if not parts:
        raise TypeError("it returns no columns")
    return parts[0] if len(parts) == 1 else assembly.node("Concat", *parts, axis=1)
