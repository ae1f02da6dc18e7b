import gc
import re
from pathlib import Path

import numpy as np
import pytest

from skaae import AdversarialAEDetector
from skaae._data.rows import RowSubset
from skaae._training import batches as module
from skaae._training.batches import checked_batch, shuffled_batches


def resident_bytes():
    (kilobytes,) = re.findall(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    return 1024 * int(kilobytes)


class TestLargeX:
    def test_streamed_batches_train_as_resident_ones(self, iris, iris_model, monkeypatch):
        """Above a size the batches are read from X itself; the result is the same, bit for bit."""
        parameters = {"epochs": 2, "batch_size": 50, "random_state": 0}
        resident = AdversarialAEDetector(iris_model, **parameters).fit(iris[0])
        monkeypatch.setattr(module, "MOST_RESIDENT_BYTES", 0)
        streamed = AdversarialAEDetector(iris_model, **parameters).fit(iris[0])
        assert streamed.history_ == resident.history_
        np.testing.assert_array_equal(streamed.score_samples(iris[0]), resident.score_samples(iris[0]))

    def test_batches_hold_every_row_once_an_epoch(self, monkeypatch):
        for most in (0, 2**20):
            monkeypatch.setattr(module, "MOST_RESIDENT_BYTES", most)
            rows = RowSubset(np.arange(40.0)[:, None], np.arange(1, 40, 2))
            batches = list(shuffled_batches([rows, np.arange(20)], batch_size=8, epochs=2, seed=0))
            assert [len(x) for x, _ in batches] == [8, 8, 4] * 2
            for epoch in (batches[:3], batches[3:]):
                x, places = (np.concatenate([part.numpy() for part in parts]) for parts in zip(*epoch, strict=True))
                np.testing.assert_array_equal(np.sort(x[:, 0]), np.arange(1, 40, 2))
                np.testing.assert_array_equal(x[:, 0], 2 * places + 1)
            assert (batches[0][0] != batches[3][0]).numpy().any()

    def test_the_copy_of_the_rows_goes_with_the_batches(self):
        """At once, not when Python next looks for cycles of references."""
        X = np.ones((1_000_000, 16), np.float32)
        next(iter(shuffled_batches([X], batch_size=1000, epochs=1, seed=0)))
        gc.collect()
        gc.disable()
        try:
            before = resident_bytes()
            for _ in range(4):
                next(iter(shuffled_batches([X], batch_size=1000, epochs=1, seed=0)))
            assert resident_bytes() - before < 2 * X.nbytes
        finally:
            gc.enable()


def test_preprocessed_batches_keep_their_shape():
    batch = np.ones((3, 2), np.float32)
    assert checked_batch([[1, 2]] * 3, batch).dtype == np.float32
    with pytest.raises(ValueError, match=r"must return an array of the shape of its batch, \(3, 2\), got \(3, 1\)"):
        checked_batch(batch[:, :1], batch)
