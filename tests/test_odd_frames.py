"""Odd and hostile DataFrames: other columns, other orders, other names."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.support.odd_rows import NAMES, ROWS, detector

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

FRAME = pd.DataFrame(ROWS, columns=NAMES)


@pytest.fixture(scope="module")
def named():
    return detector(epochs=0).fit(FRAME)


class TestNamesOfColumns:
    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            (FRAME[NAMES[::-1]], "must be in the same order"),
            (FRAME[NAMES[:3]], "Feature names seen at fit time, yet now missing:\n- d"),
            (FRAME.assign(e=1.0), "Feature names unseen at fit time:\n- e"),
            (FRAME.rename(columns={"a": "A"}), "unseen at fit time:\n- A"),
            (FRAME[["a", "a", "b", "c"]], r"several columns named \['a'\]"),
            (pl.DataFrame(FRAME[NAMES[::-1]]), "must be in the same order"),
            (pl.DataFrame(FRAME).rename({"a": "A"}), "unseen at fit time:\n- A"),
        ],
    )
    def test_other_columns(self, named, frame, message):
        for method in (named.predict, named.transform, named.infer_threshold):
            with pytest.raises(ValueError, match=message):
                method(frame)

    def test_names_of_several_types(self):
        with pytest.raises(TypeError, match="Feature names are only supported if all input features have string names"):
            detector().fit(pd.DataFrame(ROWS, columns=["a", 1, "b", 2]))

    def test_polars_and_pandas_are_the_same(self, named):
        np.testing.assert_array_equal(named.predict(pl.DataFrame(FRAME)), named.predict(FRAME))
        np.testing.assert_array_equal(named.feature_names_in_, NAMES)

    def test_the_index_is_kept(self, named):
        frame = FRAME.set_axis(np.arange(30)[::-1] // 2)
        transformed = detector(threshold=0.0, epochs=0).fit(FRAME).set_output(transform="pandas").transform(frame)
        pd.testing.assert_index_equal(transformed.index, frame.index)
        assert list(transformed.columns) == NAMES

    def test_no_names_where_there_were_some(self, named):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            named.predict(ROWS)
