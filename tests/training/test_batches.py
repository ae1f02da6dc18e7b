import gc
import re
from pathlib import Path

import numpy as np
import pytest

from skaae import AdversarialAEDetector
from skaae._data.rows import RowSubset
from skaae._training import batches
from skaae._training.batches import shuffled_batches
from tests.support.models import QUICK
from tests.training.test_loop import loss_at_start


class TestPreprocess:
    def test_each_batch_is_preprocessed_and_m_sees_the_result(self, iris, iris_model):
        """M(x) is that of the preprocessed x: shifted far away all rows are one class."""
        seen = []

        def shift(batch):
            seen.append(batch.shape)
            return batch + 1.0

        loss, detector = loss_at_start(iris_model, iris[0], preprocess=shift, batch_size=100)
        assert loss == pytest.approx(detector.adversarial_score(iris[0] + 1.0).mean(), rel=1e-5)
        assert seen == [(100, 4), (100, 4), (50, 4)]  # the first is the check before training

    def test_a_wrong_shape_is_found_before_training(self, iris, iris_model):
        detector = AdversarialAEDetector(iris_model, preprocess=lambda batch: batch[:, :2])
        with pytest.raises(ValueError, match=r"preprocess must return .* \(64, 4\), got \(64, 2\)"):
            detector.fit(iris[0])


def resident_bytes():
    (kilobytes,) = re.findall(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    return 1024 * int(kilobytes)


class TestLargeX:
    def test_streamed_batches_train_as_resident_ones(self, iris, iris_model, monkeypatch):
        """Above a size the batches are read from X itself; the result is the same, bit for bit."""
        parameters = {**QUICK, "epochs": 2, "batch_size": 50}
        resident = AdversarialAEDetector(iris_model, **parameters).fit(iris[0])
        monkeypatch.setattr(batches, "MOST_RESIDENT_BYTES", 0)
        streamed = AdversarialAEDetector(iris_model, **parameters).fit(iris[0])
        assert streamed.history_ == resident.history_
        np.testing.assert_array_equal(streamed.score_samples(iris[0]), resident.score_samples(iris[0]))

    def test_batches_hold_every_row_once_an_epoch(self, monkeypatch):
        for most in (0, 2**20):
            monkeypatch.setattr(batches, "MOST_RESIDENT_BYTES", most)
            rows = RowSubset(np.arange(40.0)[:, None], np.arange(1, 40, 2))
            made = list(shuffled_batches([rows, np.arange(20)], batch_size=8, epochs=2, seed=0))
            assert [len(x) for x, _ in made] == [8, 8, 4] * 2
            for epoch in (made[:3], made[3:]):
                x, places = (np.concatenate([part.numpy() for part in parts]) for parts in zip(*epoch, strict=True))
                np.testing.assert_array_equal(np.sort(x[:, 0]), np.arange(1, 40, 2))
                np.testing.assert_array_equal(x[:, 0], 2 * places + 1)
            full = shuffled_batches([rows], batch_size=8, epochs=2, seed=0, full_only=True)
            assert [len(x) for (x,) in full] == [8, 8] * 2
            assert (made[0][0] != made[3][0]).numpy().any()

    @pytest.mark.slow
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
