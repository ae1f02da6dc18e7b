"""The file runs in a new process that has neither TensorFlow nor Keras nor scikit-learn."""

import copy
import json
import pickle
import sys

import joblib
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from skaae import AdversarialAEDetector
from skaae.onnx import BYTES_PER_CHUNK, OnnxDetector, to_onnx
from tests.support.models import QUICK
from tests.support.new_process import run_python


@pytest.fixture(scope="module")
def detector(iris_detector):
    return iris_detector


@pytest.fixture(scope="module")
def path(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "detector.onnx"
    to_onnx(detector, path)
    return path


NEW_PROCESS = """
    import sys
    for name in ("tensorflow", "keras", "sklearn", "scipy", "pandas", "joblib", "onnx"):
        sys.modules[name] = None  # as if it were not installed
    import numpy as np
    from skaae.onnx import OnnxDetector
    folder = sys.argv[1]
    detector, X = OnnxDetector(f"{folder}/detector.onnx"), np.load(f"{folder}/X.npy")
    found = detector.correct(X)
    np.savez(f"{folder}/found.npz", scores=detector.score_samples(X), decision=detector.decision_function(X),
             transformed=detector.transform(X), reconstructed=detector.reconstruct(X), **found)
    print([name for name in ("tensorflow", "keras", "sklearn") if sys.modules[name]])
"""


@pytest.mark.slow
def test_new_process_without_tensorflow_and_scikit_learn(iris, detector, path):
    X = np.random.default_rng(0).normal(size=(20_000, 4))
    np.save(path.parent / "X.npy", X)
    assert run_python(NEW_PROCESS, path.parent) == "[]\n"
    found, wanted = np.load(path.parent / "found.npz"), detector.correct(X)
    np.testing.assert_allclose(found["scores"], detector.score_samples(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["decision"], detector.decision_function(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["reconstructed"], detector.reconstruct(X), atol=1e-5)
    np.testing.assert_allclose(found["transformed"], detector.transform(X), atol=1e-5)
    for name in ("is_adversarial", "corrected", "no_defense", "defense"):
        np.testing.assert_array_equal(found[name], wanted[name])


FROM_PICKLE = """
    import sys
    for name in ("tensorflow", "keras", "sklearn"):
        sys.modules[name] = None  # as if it were not installed
    import pickle
    import numpy as np
    with open(sys.argv[1], "rb") as file:
        detector = pickle.load(file)
    print(detector.threshold_, detector.adversarial_score(np.ones((1, 4))).tolist(), detector)
"""


def test_pickles(path, tmp_path):
    """A copy holds the file and the threshold: the path may be gone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    (tmp_path / "moved.onnx").write_bytes(path.read_bytes())
    loaded = OnnxDetector(tmp_path / "moved.onnx", options)
    (tmp_path / "moved.onnx").unlink()
    loaded.threshold_ = 0.25
    joblib.dump(loaded, tmp_path / "file.joblib")
    X = np.random.default_rng(0).normal(size=(50, 4))
    for again in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded)), joblib.load(tmp_path / "file.joblib")):
        np.testing.assert_array_equal(again.adversarial_score(X), loaded.adversarial_score(X))
        np.testing.assert_array_equal(again.correct(X).corrected, loaded.correct(X).corrected)
        assert (again.threshold_, repr(again)) == (0.25, repr(loaded))
        assert again._session.get_session_options().intra_op_num_threads == 1


def test_pickle_in_a_new_process(path, tmp_path):
    loaded = OnnxDetector(path)
    (tmp_path / "file.pickle").write_bytes(pickle.dumps(loaded))
    found = f"{loaded.threshold_} {loaded.adversarial_score(np.ones((1, 4))).tolist()} {loaded}\n"
    assert run_python(FROM_PICKLE, tmp_path / "file.pickle") == found


def test_rows_go_through_in_chunks(path, monkeypatch):
    loaded, sizes = OnnxDetector(path), []
    session = loaded._session

    class Counting:
        def run(self, names, inputs):
            sizes.append(inputs["x"].nbytes)
            return session.run(names, inputs)

    monkeypatch.setattr(loaded, "_session", Counting())
    X = np.random.default_rng(0).normal(size=(20_000, 4))
    scores = loaded.score_samples(X)
    assert len(sizes) == 3
    assert max(sizes) <= BYTES_PER_CHUNK
    alone = np.concatenate([loaded.score_samples(row[None]) for row in X[:200]])
    np.testing.assert_allclose(alone, scores[:200], rtol=0, atol=1e-6)


def test_metadata_is_for_everybody(detector, path):
    """Another ONNX runtime, in another language, finds what it needs."""
    session = onnxruntime.InferenceSession(path)
    found = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert found["classes"] == ["setosa", "versicolor", "virginica"]
    assert found["class_thresholds"] == detector.class_thresholds_.tolist()
    assert found["repair_thresholds"] == [v if np.isfinite(v) else None for v in detector.repair_thresholds_.tolist()]
    assert (found["skaae_format"], found["sample_shape"], found["temperature"]) == (4, [4], 0.5)
    assert found["versions"]["numpy"] == np.__version__
    outputs = {"score", "reconstruction", "probabilities", "probabilities_reconstructed", "no_defense", "defense"}
    assert {output.name for output in session.get_outputs()} == outputs


def test_kinds_of_rows(iris, detector, path):
    loaded = OnnxDetector(path)
    for X in (iris[0].tolist(), iris[0].astype(np.float32), np.asfortranarray(iris[0]), np.round(iris[0]).astype(int)):
        np.testing.assert_allclose(loaded.adversarial_score(X), detector.adversarial_score(X), rtol=0, atol=1e-5)
    assert loaded.transform(iris[0].astype(np.float32)).dtype == np.float32
    unflagged = loaded.predict(iris[0]) == 1
    np.testing.assert_array_equal(loaded.transform(iris[0])[unflagged], iris[0][unflagged])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, 2.0]], "X has 2 features, but OnnxDetector is expecting 4 features as input"),
        ([[1.0, 2.0, 3.0, np.nan]], "Input X contains NaN"),
        ([1.0, 2.0, 3.0, 4.0], "Expected 2D array, got 1D array"),
        ([["a", "b", "c", "d"]], "could not convert string to float"),
        ([[1.0, 2.0, 3.0, 1e39]], "largest float32"),
    ],
)
def test_wrong_rows(path, X, message):
    loaded = OnnxDetector(path)
    for method in (loaded.predict, loaded.score_samples, loaded.transform, loaded.correct, loaded.reconstruct):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_data_frames(iris, flowers, tmp_path):
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    to_onnx(AdversarialAEDetector(flowers, **{**QUICK, "epochs": 0}).fit(frame), tmp_path / "file.onnx")
    loaded = OnnxDetector(tmp_path / "file.onnx")
    assert loaded.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(loaded.predict(frame), loaded.predict(iris[0]))
    columns = {name: frame[name].tolist() for name in "dbca"}
    np.testing.assert_array_equal(loaded.adversarial_score(columns), loaded.adversarial_score(frame))
    with pytest.raises(ValueError, match=r"now missing: \['a'\]"):
        loaded.predict({name: columns[name] for name in "bcd"})
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename(columns={"a": "e"}))
    with pytest.raises(ValueError, match=r"order as they were in fit, \['a', 'b', 'c', 'd'\], but X has \['b', 'a', "):
        loaded.predict(frame[["b", "a", "c", "d"]])
    np.testing.assert_array_equal(loaded.predict(frame.set_axis(range(4), axis=1)), loaded.predict(iris[0]))


def test_features_that_nobody_can_alter(iris, flowers, tmp_path):
    """x' has exactly the values of x there, not those of float32."""
    detector = AdversarialAEDetector(flowers, mutable_features=[0, 2], **{**QUICK, "epochs": 0}).fit(iris[0])
    to_onnx(detector, tmp_path / "file.onnx")
    loaded = OnnxDetector(tmp_path / "file.onnx")
    loaded.threshold_ = detector.threshold_ = 0.0
    X = iris[0] + 1e-9
    assert (loaded.predict(X) == -1).any()
    np.testing.assert_array_equal(loaded.transform(X)[:, [1, 3]], X[:, [1, 3]])
    np.testing.assert_allclose(loaded.transform(X), detector.transform(X), rtol=1e-5)


def test_files_that_are_none_of_ours(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        OnnxDetector(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no protobuf")
    with pytest.raises(ValueError, match=r"text.onnx' is not an ONNX file"):
        OnnxDetector(tmp_path / "text.onnx")
    (tmp_path / "half.onnx").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"half.onnx' is not an ONNX file"):
        OnnxDetector(tmp_path / "half.onnx")
    model = onnx.load(path)
    newer = [prop for prop in model.metadata_props if prop.key == "skaae_format"]
    newer[0].value = "5"
    onnx.save(model, tmp_path / "newer.onnx")
    with pytest.raises(ValueError, match="has format 5, but this version of skaae reads formats up to 4"):
        OnnxDetector(tmp_path / "newer.onnx")
    newer[0].value = "4"
    thresholds = next(prop for prop in model.metadata_props if prop.key == "thresholds")
    model.metadata_props.remove(thresholds)
    onnx.save(model, tmp_path / "stripped.onnx")
    with pytest.raises(ValueError, match=r"lacks the metadata \['thresholds'\]\. Export the detector again"):
        OnnxDetector(tmp_path / "stripped.onnx")
    model = onnx.load(path)
    newer = [prop for prop in model.metadata_props if prop.key == "skaae_format"]
    model.metadata_props.remove(newer[0])
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"skaae\.onnx\.to_onnx did not write it"):
        OnnxDetector(tmp_path / "other.onnx")


@pytest.mark.slow
def test_a_failed_export_leaves_nothing_behind(detector, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        to_onnx(detector, tmp_path / "missing" / "file.onnx")
    with pytest.raises(TypeError, match=r"to_onnx expects .*, got dict"):
        to_onnx({}, tmp_path / "file.onnx")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        to_onnx(detector, tmp_path / "file.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_changes_nothing(iris, detector, path):
    """The detector scores as before, bit for bit, and is exported the same again."""
    scores = detector.score_samples(iris[0])
    to_onnx(detector, path.with_name("again.onnx"))
    np.testing.assert_array_equal(detector.score_samples(iris[0]), scores)
    again = OnnxDetector(path.with_name("again.onnx")).score_samples(iris[0])
    np.testing.assert_array_equal(again, OnnxDetector(path).score_samples(iris[0]))


@pytest.mark.parametrize(("missing", "extra"), [("onnx", "onnx"), ("tf2onnx", "onnx"), ("onnxruntime", "onnx-runtime")])
def test_missing_packages_are_named_with_their_extra(detector, path, tmp_path, monkeypatch, missing, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    for module in [name for name in sys.modules if name.startswith("skaae.onnx._")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ImportError, match=rf"requires {missing}[.\w]*, which .* pip install 'skaae\[{extra}\]'"):
        to_onnx(detector, tmp_path / "file.onnx")
    assert list(tmp_path.iterdir()) == []
