"""The inputs of the graph: one tensor of numbers, or one tensor for each column if some of them are text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion

from skaae._classifiers.frames import FrameColumns
from skaae._classifiers.unwrapping import all_steps_of
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import Assembly
from skaae.onnx._tables import MISSING_TEXT, UNKNOWN_TEXT, is_missing, n_before_encoder, values_of_column
from skaae.onnx._tensors import Columns, Matrix, Rows

# Names of the outputs and of the other input of the file.
RESERVED = {
    "thresholds",
    "sample",
    "encoded",
    "reconstruction",
    "score",
    "no_defense",
    "defense",
    "probabilities",
    "probabilities_reconstructed",
}


@dataclass(frozen=True)
class Inputs:
    """The rows that a graph takes.

    Parameters
    ----------
    n_columns : int
        Number of columns of X.
    names : list of str or None
        Their names.
    values : dict of int to list
        For each column that an encoder reads, the values that it tells apart.
    used : list of int
        Columns that a transformer reads.
    has_unknown : bool, default=True
        Whether `random_rows` have unknown categories.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skaae.onnx._inputs import Inputs
    >>> encoder = OneHotEncoder().fit([["a", 1], ["b", 2]])
    >>> inputs = Inputs.of([encoder], 2, ["name", "n"])
    >>> inputs.has_text, inputs.tensor_names()
    (True, {0: 'name', 1: 'n'})
    """

    n_columns: int
    names: list[str] | None = None
    values: dict[int, list[Any]] = field(default_factory=dict)
    used: list[int] = field(default_factory=list)
    has_unknown: bool = True

    @classmethod
    def of(cls, transformers: Sequence[Any], n_columns: int, names: Sequence[Any] | None) -> Inputs:
        """Find out what fitted transformers read."""
        values: dict[int, list[Any]] = {}
        used: set[int] = set()
        for steps, places in chains(transformers, list(range(n_columns))):
            used.update(places)
            if (n_before := n_before_encoder(steps)) is not None:
                for place, column in enumerate(places):
                    _add_values(values, column, values_of_column(steps[: n_before + 1], place))
        return cls(n_columns, None if names is None else [str(name) for name in names], values, sorted(used))

    def with_categories(self, columns: FrameColumns) -> Inputs:
        """The same rows where a classifier takes categories and missing values itself."""
        names = list(columns.dtypes)
        values = {}
        for name, categories in columns.categories.items():
            last = UNKNOWN_TEXT if is_text_index(categories) else np.inf
            values[names.index(name)] = [*categories.tolist(), np.nan, last]
        return replace(self, values=values, has_unknown=False)

    def as_values(self, selected: list[str] | None) -> dict[str, Any]:
        """The arguments of `skaae.onnx._reading.Table`, of types that JSON can express.

        Parameters
        ----------
        selected : list of str or None
            Names of the columns that are read, if these may come in any order.
        """
        text = self.text
        columns = [[place, name, place in text] for place, name in self.tensor_names().items()]
        return {
            "n_columns": self.n_columns,
            "names": self.names,
            "selected": selected,
            "columns": columns if self.has_text else None,
            "missing_text": MISSING_TEXT,
        }

    @property
    def text(self) -> list[int]:
        """Columns of text."""
        return [place for place, values in self.values.items() if isinstance(values[-1], str)]

    @property
    def has_text(self) -> bool:
        return bool(self.text)

    def tensor_names(self) -> dict[int, str]:
        """The name of the tensor of each column that is read: that of the column, unless the file uses it itself."""
        names = self.names or [f"x{place}" for place in range(self.n_columns)]
        taken = {*RESERVED, *names}
        found = {}
        for place in self.used:
            name = names[place]
            if name in RESERVED or not name:
                name = f"column {name}"
                while name in taken:
                    name += "_"
            found[place] = name
        return found

    def signature(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """The type and shape of each input of the graph."""
        if not self.has_text:
            return {"x": (np.float64, (self.n_columns,))}
        text = self.text
        return {
            name: (np.object_ if place in text else np.float64, (1,)) for place, name in self.tensor_names().items()
        }

    def rows(self, assembly: Assembly) -> Rows:
        """The rows in a graph that has these inputs."""
        if not self.has_text:
            return Matrix(assembly, "x", self.n_columns)
        names, text = self.tensor_names(), self.text
        tensors = tuple(names.get(place, "") for place in range(self.n_columns))
        return Columns(assembly, tensors, tuple(place in text for place in range(self.n_columns)))

    def random_rows(self, n_rows: int, may_miss: bool) -> Any:
        """Rows with numbers of several orders of magnitude, and with the values that encoders tell apart.

        The last quarter has unknown and missing values too, which transformers may refuse.

        Parameters
        ----------
        n_rows : int
        may_miss : bool
            Whether other columns of numbers have missing values.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        """
        random = np.random.default_rng(0)
        scale = 10.0 ** random.integers(-1, 4, (n_rows, 1))
        X = scale * random.standard_normal((n_rows, self.n_columns))
        n_known = n_rows * 3 // 4
        if may_miss:
            X[n_known:][random.random((n_rows - n_known, self.n_columns)) < 0.1] = np.nan
        columns: list[Any] = [X[:, place] for place in range(self.n_columns)]
        for place, values in self.values.items():
            known = random.integers(0, max(1, len(values) - 2), n_known)
            n_values = len(values) if self.has_unknown else max(1, len(values) - 2)
            anything = random.integers(0, n_values, n_rows - n_known)
            columns[place] = [values[code] for code in (*known, *anything)]
        if not self.values and self.names is None:
            return X
        text = self.text
        pandas = import_extra("pandas", "pandas")
        # With a type of pandas' own choice, None would become NaN, which is another category.
        types = {place: object if place in text else np.float64 for place in range(len(columns))}
        X = pandas.DataFrame({place: pandas.Series(columns[place], dtype=dtype) for place, dtype in types.items()})
        return X.to_numpy() if self.names is None else X.set_axis(self.names, axis=1)

    def feed(self, X: Any) -> dict[str, np.ndarray]:
        """The inputs of the graph for rows of `random_rows`."""
        values = np.asarray(X, dtype=object)
        if not self.has_text:
            return {"x": values.astype(np.float64)}
        text = self.text
        return {
            name: _as_text(values[:, [place]]) if place in text else values[:, [place]].astype(np.float64)
            for place, name in self.tensor_names().items()
        }


def is_text_index(categories: Any) -> bool:
    """Whether categories are text; without any, they count as text."""
    return len(categories) == 0 or any(isinstance(value, str) for value in categories)


def _as_text(values: np.ndarray) -> np.ndarray:
    return np.array([[MISSING_TEXT if is_missing(value) else value] for value in values[:, 0]], dtype=object)


def chains(steps: Sequence[Any], places: list[int]) -> Iterator[tuple[list[Any], list[int]]]:
    """Follow columns through ColumnTransformers and FeatureUnions.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted.
    places : list of int
        Numbers of the columns that the first one takes.

    Yields
    ------
    steps : list of transformer
        Those behind each other that take the same columns first.
    places : list of int
        The numbers of these columns.
    """
    steps = [inner for step in steps for inner in all_steps_of(step)]
    if steps and isinstance(steps[0], ColumnTransformer):
        for name, inner, _ in steps[0].transformers_:
            chosen = [places[place] for place in steps[0]._transformer_to_input_indices[name]]
            if inner != "drop":
                yield from chains([] if inner == "passthrough" else [inner], chosen)
    elif steps and isinstance(steps[0], FeatureUnion):
        for _, inner in steps[0].transformer_list:
            if inner != "drop":
                yield from chains([] if inner == "passthrough" else [inner], places)
    else:
        yield steps, places


def _add_values(values: dict[int, list[Any]], column: int, found: list[Any]) -> None:
    """Add values to those of a column. The last one of each list is one that is unknown."""
    known = values.get(column, [found[-1]])
    values[column] = [*[value for value in found[:-1] if value not in known], *known]
