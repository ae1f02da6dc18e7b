import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skaae._data.rows import Pages, RowSubset, Statistics, as_float32, chunks

GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Several chunks, the last one incomplete."""
    monkeypatch.setattr("skaae._data.rows.BYTES_PER_CHUNK", 700)


@pytest.fixture(name="X", params=[(101, 3), (101, 4, 3), (101, 2, 2, 3)], ids=["rows", "sequences", "images"])
def samples(request):
    return GENERATOR.normal(5.0, 2.0, request.param)


def test_subset_reads_what_is_asked_for(X):
    indices = np.arange(1, 101, 2)
    rows = RowSubset(X, indices)
    assert (len(rows), rows.shape, rows.dtype) == (50, (50, *X.shape[1:]), X.dtype)
    np.testing.assert_array_equal(rows[10:13], X[[21, 23, 25]])
    np.testing.assert_array_equal(rows[np.array([3, 0])], X[[7, 1]])


def test_chunks_are_bounded_and_complete(X):
    found = list(chunks(RowSubset(X, np.arange(len(X)))))
    assert len(found) > 2
    assert all(len(rows) == 1 or rows.nbytes <= 700 for rows in found)
    np.testing.assert_array_equal(np.concatenate(found), X)


def test_float32_is_copied_once_or_not_at_all(X):
    single = X.astype(np.float32)
    assert as_float32(single) is single
    np.testing.assert_array_equal(as_float32(RowSubset(X, np.arange(len(X)))), single)


def test_statistics_are_those_of_all_rows(X):
    found, flat = Statistics.of(X), X.reshape(-1, X.shape[-1])
    np.testing.assert_allclose(found.mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, flat.var(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.lowest, flat.min(axis=0))
    np.testing.assert_array_equal(found.highest, flat.max(axis=0))


def test_variance_far_from_zero():
    """A sum of squares would lose it in float64 rounding."""
    X = np.repeat(1e9 + np.arange(4.0)[:, None], 100, axis=0)
    assert Statistics.of(X).variance == pytest.approx(1.25, rel=1e-6)


def resident(path):
    """Bytes of a file that count as memory of this process."""
    maps = Path("/proc/self/smaps").read_text().split("\n" + "VmFlags")
    return sum(1024 * int(re.search(r"Rss:\s+(\d+)", found)[1]) for found in maps if str(path) in found)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="resident pages are read as Linux shows them")
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_pages_of_a_memory_map_are_given_back(tmp_path, monkeypatch, mode):
    """But not those of a copy on write: what was written to them would be lost."""
    monkeypatch.setattr("skaae._data.rows.BYTES_OF_PAGES", 2**20)
    path, n_bytes = tmp_path / "X.npy", 2**24
    np.save(path, np.arange(n_bytes // 4, dtype=np.float32).reshape(-1, 4))
    X = np.load(path, mmap_mode=mode)
    if mode != "r":
        X[0] = -5
    wanted = -20 if mode != "r" else 6
    for rows in (X, np.asarray(X), RowSubset(X, np.arange(len(X)))):
        found = [rows.sum(axis=1) for rows in chunks(rows, 2**18)]
        assert found[0][0] == wanted
        assert sum(map(len, found)) == len(X)
    assert (resident(path) == 0) == (mode != "c")
    np.testing.assert_array_equal(X[0].sum(), wanted)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="resident pages are read as Linux shows them")
def test_scattered_rows_of_a_memory_map(tmp_path, monkeypatch):
    """Each of them maps up to 2 MiB, all together the whole file: each block is mapped and released once."""
    monkeypatch.setattr("skaae._data.rows.BYTES_OF_PAGES", 2**22)
    released, release = [], Pages.release
    monkeypatch.setattr(Pages, "release", lambda pages: released.append(pages) or release(pages))
    path = tmp_path / "X.npy"
    np.save(path, np.arange(2**23, dtype=np.float32).reshape(-1, 4))
    X, places = np.load(path, mmap_mode="r"), GENERATOR.permutation(2**21)[:1001]
    pages = Pages(RowSubset(X, np.arange(len(X))[::-1]))
    np.testing.assert_array_equal(pages.take(places)[:, 0], 4 * (2**21 - 1 - places))
    assert resident(path) <= 2**22
    assert len(released) <= 17  # of 32 MiB
    np.testing.assert_array_equal(Pages(np.array(X)).take(places), X[places])


MEMORY_MAP = """
import re, sys, threading, time
import keras, numpy as np
from skaae import AdversarialAEDetector
from skaae._training import batches

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

X = np.lib.format.open_memmap(sys.argv[1], "w+", np.float32, (3_000_000, 30))
for start in range(0, len(X), 100_000):
    X[start : start + 100_000] = np.random.default_rng(start).normal(size=(100_000, 30))
X = np.load(sys.argv[1], mmap_mode="r")
assert X.nbytes > batches.MOST_RESIDENT_BYTES / 0.8
model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(3, activation="softmax")])
narrow = lambda shape: keras.Sequential([keras.Input(shape), keras.layers.Dense(*shape)])
settings = {"noise": 0, "virtual_adversarial": 0, "epochs": 1, "batch_size": 20_000, "random_state": 0}
detector = AdversarialAEDetector(model, autoencoder=narrow, **settings).fit(X[:1000])
before, peak, done = anonymous(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous() - before)
        time.sleep(0.01)

watcher = threading.Thread(target=watch)
watcher.start()
detector.fit(X)
detector.predict(X)
done = True
watcher.join()
print(round(peak))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read as Linux shows it")
@pytest.mark.parametrize(("highest", "inside"), [(1.0, True), (1.001, False)])
def test_unit_interval(highest, inside):
    assert Statistics.of(np.array([[0.0, 0.5], [highest, 0.2]])).in_unit_interval is inside


def test_spread_of_features_that_do_not_vary():
    assert Statistics.of(np.full((3, 2), 7.0)).spread.tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_a_memory_map_is_never_copied_whole(tmp_path):
    """343 MiB of rows: fit and predict stay well below that, in a process of their own."""
    command = [sys.executable, "-c", MEMORY_MAP, str(tmp_path / "X.npy")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert int(found.stdout) < 250
