"""Made format-3.joblib, format-3.skops and format-3.npz, with skaae 0.1.0. They are kept: do not make them anew.

A later version has to load both files and give the scores that are in format-3.npz.
"""

from pathlib import Path

import joblib
import keras
import numpy as np
import skops.io
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._persistence import FORMAT


def main():
    folder = Path(__file__).parent
    X, y = load_iris(return_X_y=True)
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    classifier = keras.Sequential([keras.Input((4,)), dense(8, "relu"), dense(3, "softmax")])
    classifier.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    classifier.fit(StandardScaler().fit_transform(X), y, epochs=20, verbose=0)
    flowers = FrozenKerasModel(classifier, classes=["setosa", "versicolor", "virginica"])
    autoencoder = keras.Sequential([keras.Input((4,)), dense(8, "relu"), dense(4)])
    options = {
        "hidden_layers": {0: 3},
        "hidden_weights": [0.5],
        "temperature": 0.5,
        "optimizer": keras.optimizers.Adam(),
    }
    detector = AdversarialAEDetector(flowers, autoencoder=autoencoder, epochs=5, random_state=0, **options)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    joblib.dump(pipeline, folder / f"format-{FORMAT}.joblib", compress=3)
    skops.io.dump(pipeline, folder / f"format-{FORMAT}.skops", compression=8)
    rows = X[::5] + np.random.default_rng(0).normal(0, 0.5, X[::5].shape)
    np.savez_compressed(
        folder / f"format-{FORMAT}.npz", X=rows, scores=pipeline.score_samples(rows), threshold=detector.threshold_
    )


if __name__ == "__main__":
    main()
