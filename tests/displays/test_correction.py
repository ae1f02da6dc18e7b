import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaae import AdversarialAEDetector, CorrectionDisplay
from tests.support.pictures import difference_from_baseline, plt, untouched_settings

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(size=(6, 4, 5, 1))
ORIGINALS, RECONSTRUCTED = IMAGES**2, IMAGES * 1.5 - 0.2
FOUND = {
    "no_defense": np.array([1, 1, 2, 2, 3, 3]),
    "corrected": np.array([0, 1, 2, 2, 3, 3]),
    "defense": np.array([0, 1, 2, 0, 3, 3]),
    "instance_score": np.array([1004.25, 0.01, 0, 1000.2, 2.5, 1e-9]),
    "is_adversarial": np.array([True, False, False, False, True, False]),
}
TRUTH = np.array([0, 1, 2, 0, 3, 3])
TABLE = np.array([[1.0, 20.0, -3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
TABLE_RECONSTRUCTED = np.array([[1.5, 10.0, -3.0, 7.0], [0.0, 0.0, -1.0, 0.0]])


@pytest.fixture(autouse=True)
def style():
    with untouched_settings():
        yield


def pixels(ax):
    (image,) = ax.images
    return np.asarray(image.get_array())


class TestImages:
    def test_arrays_and_columns(self):
        display = CorrectionDisplay.from_predictions(IMAGES, RECONSTRUCTED, X_original=ORIGINALS, samples=[4, 0])
        assert display.axes_.shape == (2, 3)
        assert [ax.get_title() for ax in display.axes_[0]] == ["original", "input", "reconstruction"]
        for i, row in enumerate((4, 0)):
            for ax, images in zip(display.axes_[i], (ORIGINALS, IMAGES, RECONSTRUCTED), strict=True):
                np.testing.assert_allclose(pixels(ax), np.clip(images[row, ..., 0], 0, 1))
        assert display.axes_[0, 0].images[0].get_clim() == (0, 1)

    def test_captions(self):
        display = CorrectionDisplay.from_predictions(IMAGES, RECONSTRUCTED, **FOUND, y=TRUTH, samples=[0, 3])
        assert [ax.get_xlabel() for ax in display.axes_.ravel()] == [
            "predicted: 1 (wrong)\nscore 1004.2, flagged",
            "predicted: 0\ncorrected: 0",
            "predicted: 2 (wrong)\nscore 1000.2, not flagged",
            "predicted: 0\ncorrected: 2 (wrong)",
        ]
        assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["row 0\ntruth: 0", "row 3\ntruth: 0"]

    def test_what_is_not_known_is_not_written(self):
        display = CorrectionDisplay.from_predictions(IMAGES, RECONSTRUCTED, no_defense=FOUND["no_defense"])
        assert display.axes_.shape == (5, 2), "the first five"
        assert [ax.get_xlabel() for ax in display.axes_[0]] == ["predicted: 1", ""]
        assert display.axes_[0, 0].get_ylabel() == "row 0"

    def test_stored_as_rows(self):
        display = CorrectionDisplay.from_predictions(
            16 * IMAGES.reshape(6, 20), 16 * RECONSTRUCTED.reshape(6, 20), image_shape=(4, 5), samples=1, cmap="gray_r"
        )
        least, largest = IMAGES[0].min(), IMAGES[0].max()
        np.testing.assert_allclose(pixels(display.axes_[0, 0]), (IMAGES[0, ..., 0] - least) / (largest - least))
        assert display.axes_[0, 0].images[0].get_cmap().name == "gray_r"

    def test_colors(self):
        bytes_ = RANDOM.integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
        display = CorrectionDisplay.from_predictions(bytes_, bytes_ + 300.0, samples=1)
        np.testing.assert_allclose(pixels(display.axes_[0, 0]), bytes_[0] / 255)
        assert (pixels(display.axes_[0, 1]) == 1).all(), "cut off, without a warning"

    def test_in_given_axes(self):
        figure, (left, right) = plt.subplots(1, 2)
        display = CorrectionDisplay.from_predictions(IMAGES, RECONSTRUCTED, samples=2, ax=right)
        assert display.figure_ is figure
        assert len(figure.axes) == 2 + 4
        again = display.plot(plt.subplots(2, 2)[1])
        assert again.axes_.shape == (2, 2)
        with pytest.raises(ValueError, match="ax must contain 2 x 2 Axes, got 3"):
            display.plot(plt.subplots(3)[1])
        assert left.axison

    def test_nothing_overlaps(self):
        names = np.array(["automobile", "aeroplane"])[[0, 1, 0, 1, 0, 1]]
        display = CorrectionDisplay.from_predictions(
            IMAGES, RECONSTRUCTED, **{**FOUND, "no_defense": names, "corrected": names}, y=names[::-1], samples=3
        )
        display.figure_.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in display.axes_.ravel()]
        assert all(display.figure_.bbox.padded(1).contains(*corner) for box in boxes for corner in (box.min, box.max))
        for i, box in enumerate(boxes):
            assert box.count_overlaps(boxes[i + 1 :]) == 0

    def test_like_the_baseline(self, tmp_path):
        figure = plt.figure(figsize=(6, 4))
        # Each pixel of the images is 20 of the picture, so that no rounding moves its edges.
        axes = [figure.add_axes([x / 360, y / 240, 100 / 360, 80 / 240]) for y in (130, 20) for x in (10, 130, 250)]
        options = {**FOUND, "y": TRUTH, "X_original": ORIGINALS, "samples": 2}
        display = CorrectionDisplay.from_predictions(IMAGES, RECONSTRUCTED, **options, ax=axes)
        assert difference_from_baseline(figure, "correction_display_images", tmp_path) is None
        display.axes_[0, 1].images[0].set_data(IMAGES[1, ..., 0])
        assert difference_from_baseline(figure, "correction_display_images", tmp_path), "another image is noticed"


class TestTables:
    def test_features_that_moved_most(self):
        display = CorrectionDisplay.from_predictions(
            TABLE, TABLE_RECONSTRUCTED, feature_names=["a", "b", "c", "d"], n_features=3, samples=1
        )
        ax = display.axes_[0, 0]
        assert [bar.get_width() for bar in ax.patches] == [-10, 3, 0.5]
        assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "d", "a"]
        assert [text.get_text() for text in ax.texts[:3]] == ["20 → 10", "4 → 7", "1 → 1.5"]
        assert ax.get_xlabel() == "change from input to reconstruction (in units of the data)"
        assert ax.get_ylim()[0] > ax.get_ylim()[1], "the largest move on top"

    def test_standard_deviations_and_originals(self):
        display = CorrectionDisplay.from_predictions(
            TABLE, TABLE_RECONSTRUCTED, X_original=TABLE + 1, standard_deviations=[0.1, 100, 1, 1], n_features=2
        )
        first, second = display.axes_.ravel()
        np.testing.assert_allclose([bar.get_width() for bar in first.patches], [5, 3])
        assert [text.get_text() for text in first.get_yticklabels()] == ["x0", "x3"]
        diamonds = first.lines[-1]
        np.testing.assert_allclose(diamonds.get_xdata(), [10, 1])
        assert diamonds.get_marker() == "D"
        assert first.get_xlim() == second.get_xlim()
        assert first.get_xlim()[0] == -first.get_xlim()[1]
        assert second.get_xlabel() == "change from input to reconstruction (in standard deviations); diamond: original"

    def test_titles(self):
        known = {name: values[:2] for name, values in FOUND.items()}
        display = CorrectionDisplay.from_predictions(TABLE, TABLE_RECONSTRUCTED, **known, y=["x", "y"])
        assert display.axes_[1, 0].get_title(loc="left") == (
            "row 1, truth: y, score 0.01, not flagged\nwithout defense: 1 (wrong), corrected: 1 (wrong)"
        )

    def test_sequences_are_tables_of_their_values(self):
        X = np.zeros((1, 3, 2))
        X_reconstructed = X.copy()
        X_reconstructed[0, 2, 0] = 1
        display = CorrectionDisplay.from_predictions(X, X_reconstructed, n_features=1)
        assert [text.get_text() for text in display.axes_[0, 0].get_yticklabels()] == ["x4"]

    def test_nothing_moved(self):
        display = CorrectionDisplay.from_predictions(TABLE, TABLE)
        display.figure_.draw_without_rendering()
        assert {bar.get_width() for one in display.axes_.ravel() for bar in one.patches} == {0}
        assert display.axes_[0, 0].get_xlim()[1] > 0, "an axis of no width would warn"

    def test_light_and_dark(self):
        for style, color in (("default", "#000000"), ("dark_background", "#ffffff")):
            with plt.style.context(style):
                display = CorrectionDisplay.from_predictions(TABLE, TABLE_RECONSTRUCTED)
            assert to_hex(display.axes_[0, 0].lines[0].get_color()) == color

    def test_like_the_baseline(self, tmp_path):
        figure, ax = plt.subplots(figsize=(6, 4))
        figure.subplots_adjust(0.1, 0.15, 0.75, 0.88)
        known = {name: values[:2] for name, values in FOUND.items()}
        display = CorrectionDisplay.from_predictions(
            TABLE, TABLE_RECONSTRUCTED, **known, X_original=TABLE + 1, feature_names=list("abcd"), ax=ax
        )
        assert difference_from_baseline(figure, "correction_display_table", tmp_path) is None
        display.axes_[0, 0].patches[0].set_width(-6)
        assert difference_from_baseline(figure, "correction_display_table", tmp_path), "a shorter bar is noticed"


def test_columns_of_text():
    X = pd.DataFrame(TABLE, columns=list("abcd")).assign(kind=["x", "y"])
    with pytest.raises(
        ValueError, match=r"X must have numbers to draw: could not convert.*draw the columns of numbers"
    ):
        CorrectionDisplay.from_predictions(X, X)
    numbers = X[list("abcd")]
    assert CorrectionDisplay.from_predictions(numbers, numbers).axes_.shape == (2, 1)


class TestEstimator:
    def test_what_the_detector_says(self, digits_detector):
        detector, X, y = digits_detector
        display = CorrectionDisplay.from_estimator(detector, X, y, X_original=X, samples=[7, 3], image_shape=(8, 8))
        rows = X.iloc[[7, 3]]
        np.testing.assert_array_equal(display.X_reconstructed, detector.reconstruct(rows))
        np.testing.assert_array_equal(display.X_original, rows)
        assert display.instance_score.tolist() == detector.adversarial_score(rows).tolist()
        assert display.y.tolist() == y[[7, 3]].tolist()
        np.testing.assert_allclose(pixels(display.axes_[1, 1]), X.iloc[3].to_numpy().reshape(8, 8))

    def test_images_without_channels_are_drawn_as_images(self, digit_images):
        images = digit_images[0][:100, :, :, 0]
        layers = keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")
        detector = AdversarialAEDetector(keras.Sequential([keras.Input((8, 8)), *layers]), epochs=0, threshold=1)
        display = CorrectionDisplay.from_estimator(detector.fit(images), images, samples=2)
        assert display.image_shape == (8, 8)

    def test_names_of_the_features(self, digits_detector):
        detector, X, _ = digits_detector
        display = CorrectionDisplay.from_estimator(detector, X, samples=1, n_features=64)
        shown = {text.get_text() for text in display.axes_[0, 0].get_yticklabels()}
        assert shown == set(X.columns)

    def test_names_from_a_pipeline(self, digits_detector, monkeypatch):
        detector, X, _ = digits_detector
        monkeypatch.delattr(detector, "feature_names_in_")
        pipeline = make_pipeline(StandardScaler().fit(X * 16), detector)
        display = CorrectionDisplay.from_estimator(pipeline, X * 16, samples=2)
        assert display.feature_names == X.columns.tolist()
        np.testing.assert_array_equal(display.X, pipeline[0].transform(X[:2] * 16))

    def test_a_pipeline_that_knows_no_names(self, digits_detector, monkeypatch):
        detector, X, _ = digits_detector
        monkeypatch.delattr(detector, "feature_names_in_")
        pipeline = make_pipeline(FunctionTransformer(lambda X: X / 16), detector)
        assert CorrectionDisplay.from_estimator(pipeline, X.to_numpy() * 16, samples=1).feature_names is None

    def test_bad_input(self, digits_detector):
        detector, X, y = digits_detector
        with pytest.raises(ValueError, match="y has 99 entries, but X has 100 samples"):
            CorrectionDisplay.from_estimator(detector, X, y[1:])
        with pytest.raises(ValueError, match="X_original has 10 entries, but X has 100 samples"):
            CorrectionDisplay.from_estimator(detector, X, X_original=X[:10])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_reconstructed": TABLE[:, :2]}, r"X_reconstructed has shape \(2, 2\), but X has shape \(2, 4\)"),
        ({"X_original": TABLE[:, :2]}, r"X_original has shape \(2, 2\)"),
        ({"corrected": [1]}, "corrected has 1 entries, but X has 2 samples"),
        ({"n_features": 0}, "n_features must be an integer of at least 1, got 0"),
        ({"image_shape": (3, 3)}, "image_shape"),
        ({"feature_names": ["a"]}, "feature_names must have one entry"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        CorrectionDisplay.from_predictions(**{"X": TABLE, "X_reconstructed": TABLE_RECONSTRUCTED, **arguments})
    assert not plt.get_fignums(), "nothing has been drawn"
