"""Dumped in one process, loaded in another: the same scores, bit for bit; and no code that is run on the way."""

import copy
import json
import os
import pickle
import random
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudpickle
import joblib
import keras
import numpy as np
import pytest
import skops.io
from joblib import Parallel, delayed
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import TRUSTED_TYPES, AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel, _persistence
from skaae.alibi import AdversarialAE
from tests.support import user_module as parts
from tests.support.models import QUICK
from tests.support.new_process import run_python

pytestmark = pytest.mark.usefixtures("short_distillation")

ROOT = Path(__file__).parent.parent
SAVED = Path(__file__).parent / "support" / "saved"
# The files there hold configurations of Keras 3.15, of which an older one does not know all.
OLDER_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15)
DUPLICATES = [copy.deepcopy, lambda detector: pickle.loads(pickle.dumps(detector))]


@pytest.fixture
def detector(iris_detector):
    return iris_detector


def sequential(*layers):
    return keras.Sequential([keras.Input((4,)), *layers])


def build_classifier():
    return sequential(keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax"))


def around_scikeras(X, y):
    classifier = KerasClassifier(build_classifier, loss="sparse_categorical_crossentropy", epochs=3, verbose=0)
    classifier.fit(X.astype("float32"), y)
    return make_pipeline(StandardScaler(), AdversarialAEDetector(FrozenEstimator(classifier), **QUICK)).fit(X)


def of_own_layers_and_functions(X, y):
    classifier = sequential(parts.Shift(0.5), keras.layers.Dense(3, "softmax"))
    functions = {"autoencoder": parts.build_autoencoder, "loss": parts.absolute_error, "preprocess": parts.double}
    kept = {"callbacks": [parts.KillOnce(ROOT)], "metrics": [keras.metrics.KLDivergence()]}
    return AdversarialAEDetector(classifier, **{**QUICK, **functions, **kept, "epochs": 2}).fit(X)


OWN = [
    f"tests.support.user_module.{name}"
    for name in ("Shift", "build_autoencoder", "absolute_error", "double", "KillOnce")
]


def facade_with_hidden_terms(X, iris_model):
    hidden = {"model_hl": [sequential(keras.layers.Dense(5, "softmax"))], "hidden_layer_kld": {0: 3}}
    facade = AdversarialAE(ae=iris_sized(), model=iris_model, w_model_hl=[0.5, 2.0], **hidden)
    facade.fit(X, epochs=1, verbose=False)
    return facade


@pytest.fixture(scope="module")
def own_detector(iris):
    return of_own_layers_and_functions(*iris)


@pytest.fixture(scope="module")
def dumped(iris, iris_model, iris_detector, digit_images, images_detector, own_detector):
    """Estimators with the rows that they score here and in the new process."""
    X, y = iris
    return {
        "table": (iris_detector, X),
        "images": (images_detector, digit_images[0][:200]),
        "pipeline around scikeras": (around_scikeras(X, y), X),
        "own layers and functions": (own_detector, X),
        "facade": (facade_with_hidden_terms(X, iris_model), X),
    }


LOAD_AND_SCORE = """
    import json, sys, joblib, numpy as np, skops.io, skaae
    folder, saved, *trusted = sys.argv[1:]
    for kind, X in np.load(f"{folder}/X.npz").items():
        loaded = [joblib.load(f"{folder}/{kind}.joblib")]
        if kind.startswith("own"):
            loaded.append(skops.io.load(f"{folder}/{kind}.skops", trusted=trusted))
        method = "score" if kind == "facade" else "score_samples"
        np.save(f"{folder}/{kind}.npy", [getattr(one, method)(X) for one in loaded])

    if saved == "none":
        sys.exit()
    first = f"{saved}/format-3"
    kept, found = np.load(first + ".npz"), []
    for loaded in (joblib.load(first + ".joblib"), skops.io.load(first + ".skops", trusted=skaae.TRUSTED_TYPES)):
        difference = np.abs(loaded.score_samples(kept["X"]) - kept["scores"]).max()
        beta = loaded[-1].optimizer.get_config()["beta_1"]
        found.append([difference, abs(loaded[-1].threshold_ - kept["threshold"]), beta])
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def in_a_new_process(dumped, tmp_path_factory):
    """The folder with what one new process makes of all the files, since its imports take longest; what it says."""
    folder = tmp_path_factory.mktemp("dumped")
    np.savez(folder / "X.npz", **{kind: X for kind, (_, X) in dumped.items()})
    for kind, (estimator, _) in dumped.items():
        joblib.dump(estimator, folder / f"{kind}.joblib")
        if kind.startswith("own"):
            skops.io.dump(estimator, folder / f"{kind}.skops")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        return folder, run_python(LOAD_AND_SCORE, folder, "none" if OLDER_KERAS else SAVED, *OWN, *TRUSTED_TYPES)


def score_of(estimator):
    return estimator.score if isinstance(estimator, AdversarialAE) else estimator.score_samples


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["table", "images", "pipeline around scikeras", "own layers and functions", "facade"])
def test_the_same_scores_in_a_new_process(dumped, in_a_new_process, kind):
    estimator, X = dumped[kind]
    found = np.load(in_a_new_process[0] / f"{kind}.npy")
    assert len(found) == (2 if kind.startswith("own") else 1)
    for scores in found:
        np.testing.assert_array_equal(scores, score_of(estimator)(X))


@pytest.mark.slow
@pytest.mark.skipif(OLDER_KERAS, reason="Keras is older than that which wrote the files")
def test_files_of_an_older_version(in_a_new_process):
    """They were written by skaae 0.1.0 (tests/support/saved/make_format_3.py), and are never written again."""
    from_joblib, from_skops = json.loads(in_a_new_process[1])
    for difference, *rest in (from_joblib, from_skops):
        assert difference < 1e-6
        assert rest == [0.0, 0.9]


def test_own_layers_and_functions_have_to_be_trusted(own_detector):
    untrusted = skops.io.get_untrusted_types(data=skops.io.dumps(own_detector))
    assert set(OWN) <= set(untrusted) <= {*OWN, *TRUSTED_TYPES}


@pytest.mark.slow
def test_two_processes_fit_the_same_detector(iris, tmp_path):
    np.save(tmp_path / "X.npy", iris[0])
    code = """
        import sys, keras, numpy as np
        from skaae import AdversarialAEDetector
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        keras.utils.set_random_seed(int(sys.argv[2]))
        X = np.load(f"{sys.argv[1]}/X.npy")
        detector = AdversarialAEDetector(model, epochs=3, random_state=0, hidden_layers={0: 2}).fit(X)
        print(detector.score_samples(X).tobytes().hex(), detector.threshold_)
    """
    first, second = (run_python(code, tmp_path, global_seed) for global_seed in (1, 2))
    assert first == second
    assert len(first) > 150 * 16


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_fitted_detectors(iris, detector, duplicate):
    np.testing.assert_array_equal(duplicate(detector).score_samples(iris[0]), detector.score_samples(iris[0]))


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_unfitted_detectors_fit_the_same(iris, flowers, duplicate):
    detector = AdversarialAEDetector(flowers, **QUICK)
    unfitted = duplicate(detector)
    assert not hasattr(unfitted, "autoencoder_")
    np.testing.assert_array_equal(
        unfitted.fit(iris[0]).score_samples(iris[0]), detector.fit(iris[0]).score_samples(iris[0])
    )


def test_copy_keeps_its_threshold_and_may_be_fitted_again(iris, detector):
    again = copy.deepcopy(detector)
    again.infer_threshold(iris[0], 50)
    assert again.threshold_ < detector.threshold_
    assert pickle.loads(pickle.dumps(again)).threshold_ == again.threshold_


def test_dumps_and_copies_leave_the_random_states(detector, flowers):
    parts = AdversarialAEDetector(flowers, autoencoder=keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]))
    random.seed(0)
    wanted = random.random()
    random.seed(0)
    pickle.loads(pickle.dumps(detector))
    clone(parts), copy.deepcopy(parts), copy.deepcopy(detector)
    assert random.random() == wanted


def test_threads_copy_the_same_model(flowers):
    """Each leaves out the settings of `compile` while another may be at it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile(loss=lambda y, x: x)
    detector = AdversarialAEDetector(flowers, autoencoder=model)
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(lambda _: clone(detector), range(40)))
    assert all(one.autoencoder is not model for one in copies)
    assert "get_compile_config" not in vars(model)


def test_equal_detectors_have_equal_files(detector):
    """So that joblib's hash, and the cache of a Pipeline, know a detector again."""
    assert joblib.hash(detector) == joblib.hash(detector)
    assert pickle.dumps(detector) == pickle.dumps(detector)


def test_classifier_is_in_the_file_once(iris, iris_model):
    """`classifier` and `classifier_` are the same Keras model."""
    detector = AdversarialAEDetector(iris_model, **QUICK).fit(iris[0])
    loaded = pickle.loads(pickle.dumps(detector))
    assert loaded.classifier_.model is loaded.classifier


def test_import_of_the_package_does_not_import_tensorflow():
    assert (
        run_python("import sys, skaae; dir(skaae); print('tensorflow' in sys.modules, skaae.__version__)")
        == "False 0.1.0\n"
    )


class TestVersions:
    def test_another_version_of_the_package_warns_as_scikit_learn_does(self, iris, detector, monkeypatch):
        monkeypatch.setattr(_persistence, "version", lambda package: "0.0.7")
        file = pickle.dumps(detector)
        monkeypatch.undo()
        with pytest.warns(InconsistentVersionWarning) as warned:
            loaded = pickle.loads(file)
        messages = [str(warning.message) for warning in warned]
        wanted = "Trying to load {} from skaae 0.0.7 when using skaae"
        for name in ("AdversarialAEDetector", "FrozenKerasModel"):
            assert any(message.startswith(wanted.format(name)) for message in messages)
        np.testing.assert_array_equal(loaded.score_samples(iris[0]), detector.score_samples(iris[0]))

    def test_the_same_version_does_not_warn(self, detector):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pickle.loads(pickle.dumps(detector))

    @pytest.mark.parametrize("found", [_persistence.FORMAT + 1, _persistence.OLDEST_FORMAT - 1, None])
    def test_an_unknown_format_is_an_error(self, detector, found, monkeypatch):
        monkeypatch.setattr(_persistence, "FORMAT", found)
        file = pickle.dumps(detector)
        monkeypatch.undo()
        with pytest.raises(ValueError, match=rf"saved in format {found} by skaae .* reads formats 3 to 3\. Install"):
            pickle.loads(file)


def nested():
    def preprocess(batch):
        return batch

    return preprocess


class TestWhatCannotBeLoadedIsNotDumped:
    @pytest.mark.parametrize("dump", [pickle.dumps, skops.io.dumps])
    @pytest.mark.parametrize(
        ("parameter", "value", "message"),
        [
            ("preprocess", lambda batch: batch, r"preprocess=.* not as a lambda"),
            ("preprocess", nested(), r"preprocess=.* top level of a module"),
            ("callbacks", [keras.callbacks.LambdaCallback(on_epoch_end=nested())], r"callbacks\[0\]=.* top level"),
            ("metrics", ["mse", keras.metrics.MeanMetricWrapper(nested())], r"metrics\[1\]: .* MeanMetric.*register_"),
            ("autoencoder", sequential(parts.Unregistered()), r"autoencoder: .*Unregistered is not registered"),
            ("surrogate", keras.Sequential([keras.layers.Dense(3, nested())]), r"surrogate: .*register_"),
            ("encoder", sequential(parts.WithoutConfiguration(1)), r"encoder: .* complete get_config"),
            ("classifier", sequential(keras.layers.Lambda(lambda x: x)), r"classifier: .* do not use lambdas"),
        ],
        ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
    )
    def test_the_error_names_the_parameter(self, iris_model, dump, parameter, value, message):
        detector = AdversarialAEDetector(iris_model).set_params(**{parameter: value})
        with pytest.raises(pickle.PicklingError, match=message):
            dump(detector)

    def test_a_class_that_pickles_itself_does(self):
        model = parts.PicklesItself()
        model.build((None, 4))
        loaded = pickle.loads(pickle.dumps(AdversarialAEDetector(model))).classifier
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])

    def test_cloudpickle_takes_code_along(self, iris_model):
        """With which joblib sends it to its workers; a copy shares it."""
        detector = AdversarialAEDetector(iris_model, preprocess=nested(), loss=lambda x, y: x - y)
        for other in (cloudpickle.loads(cloudpickle.dumps(detector)), copy.deepcopy(detector)):
            assert (other.preprocess(1), other.loss(3, 1)) == (1, 2)

    @pytest.mark.slow
    def test_workers_get_code_along(self, iris_model):
        detector = AdversarialAEDetector(iris_model, preprocess=nested())
        assert joblib.Parallel(n_jobs=2)([joblib.delayed(nested_result)(detector)]) == [1]


def nested_result(detector):
    return detector.preprocess(1)


class TestSkops:
    @pytest.fixture(params=["detector", "corrected", "pipeline", "alibi"])
    def fitted(self, request, iris, iris_model, detector):
        settings = {**QUICK, "autoencoder": iris_sized()}  # no function of our own, which would have to be trusted
        if request.param == "detector":
            return detector
        if request.param == "corrected":
            return CorrectedClassifier(AdversarialAEDetector(LogisticRegression(), **settings)).fit(*iris)
        if request.param == "pipeline":
            return make_pipeline(StandardScaler(), AdversarialAEDetector(iris_model, **settings)).fit(iris[0])
        facade = AdversarialAE(ae=sequential(keras.layers.Dense(4)), model=iris_model, threshold=0.1)
        facade.fit(iris[0], epochs=1, verbose=False)
        return facade

    def test_only_our_classes_need_trust(self, iris, fitted):
        file = skops.io.dumps(fitted)
        untrusted = skops.io.get_untrusted_types(data=file)
        assert set(untrusted) <= set(TRUSTED_TYPES)
        loaded = skops.io.loads(file, trusted=TRUSTED_TYPES)
        method = next(name for name in ("score_samples", "predict_proba", "score") if hasattr(fitted, name))
        np.testing.assert_array_equal(getattr(loaded, method)(iris[0]), getattr(fitted, method)(iris[0]))

    def test_trusted_types_exist(self):
        for name in TRUSTED_TYPES:
            module, _, attribute = name.rpartition(".")
            assert isinstance(getattr(sys.modules[module], attribute), type)

    def test_a_model_that_is_held_twice_is_in_the_file_once(self, iris, iris_model):
        detector = AdversarialAEDetector(iris_model, autoencoder=iris_sized(), epochs=0).fit(iris[0])
        file = skops.io.dumps(detector)
        loaded = skops.io.loads(file, trusted=TRUSTED_TYPES)
        assert loaded.classifier_.model is loaded.classifier
        assert len(pickle.dumps(detector)) < len(pickle.dumps(iris_model)) + 8000


def iris_sized():
    return sequential(keras.layers.Dense(4))


class TestMaliciousFiles:
    """The configuration of a Keras model that would write a file, put into real dumps."""

    @pytest.fixture
    def marker(self, tmp_path):
        return tmp_path / "marker"

    @pytest.fixture
    def evil(self, marker):
        function = eval(f"lambda x: [x, open({str(marker)!r}, 'w').close()][0]")
        model = sequential(keras.layers.Lambda(function, output_shape=(4,)))
        marker.unlink(missing_ok=True)  # the layer was called to build the model
        return json.dumps(keras.saving.serialize_keras_object(model))

    def test_outside_safe_mode_it_would_be_run(self, evil, marker):
        keras.saving.deserialize_keras_object(json.loads(evil), safe_mode=False)(np.zeros((1, 4)))
        assert marker.exists()

    def test_skops(self, detector, evil, marker, tmp_path):
        tampered = io_of_tampered(skops.io.dumps(detector), evil, tmp_path)
        assert set(skops.io.get_untrusted_types(file=tampered)) <= set(TRUSTED_TYPES), "nothing to be seen"
        with pytest.raises(ValueError, match=r"Lambda|lambda"):
            skops.io.load(tampered, trusted=TRUSTED_TYPES)
        assert not marker.exists()

    def test_pickle(self, detector, evil, marker):
        state = detector.__getstate__()
        state["autoencoder_"]._snapshot["config"] = evil
        file = pickle.dumps(detector)
        assert b"__lambda__" in file
        with pytest.raises(ValueError, match=r"Lambda|lambda"):
            pickle.loads(file)
        assert not marker.exists()


def io_of_tampered(file, config, folder):
    """The skops file with another configuration of each Keras model."""
    (folder / "good.skops").write_bytes(file)
    with zipfile.ZipFile(folder / "good.skops") as good, zipfile.ZipFile(folder / "bad.skops", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                assert replace_configurations(schema, config) > 0
                content = json.dumps(schema)
            bad.writestr(name, content)
    return folder / "bad.skops"


def replace_configurations(node, config):
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    replaced = sum(replace_configurations(item, config) for item in inner)
    content = node.get("content") if isinstance(node, dict) else None
    if isinstance(content, str) and '\\"class_name\\"' in content:
        node["content"] = json.dumps(config)
        replaced += 1
    return replaced


class TestUnregisteredCompilation:
    """A loss that Keras cannot find by name does not matter: nothing uses the settings of `compile` again."""

    @pytest.fixture
    def model(self, iris_model):
        def own_loss(y, probabilities):
            return keras.ops.mean((1 - keras.ops.max(probabilities, axis=1)) ** 2)

        model = keras.models.clone_model(iris_model)
        model.compile("sgd", own_loss)
        return model

    def test_copies(self, iris, model):
        detector = AdversarialAEDetector(model, **QUICK)
        fitted = clone(detector).fit(iris[0])
        for same in (copy.deepcopy(fitted), clone(CorrectedClassifier(detector)).fit(*iris).detector_):
            assert same.classifier_.model.compiled is False or same.classifier_.model is model
        np.testing.assert_array_equal(copy.deepcopy(fitted).predict(iris[0]), fitted.predict(iris[0]))
        assert model.compiled

    @pytest.mark.slow
    @pytest.mark.parametrize("wrap", [lambda model: model, FrozenKerasModel], ids=["model", "frozen"])
    def test_workers(self, iris, model, wrap):
        detector = AdversarialAEDetector(wrap(model), epochs=1, random_state=0, threshold_percentile=60)
        results = Parallel(n_jobs=2)(delayed(clone(detector).fit)(iris[0]) for _ in range(2))
        expected = clone(detector).fit(iris[0]).adversarial_score(iris[0])
        for fitted in results:
            np.testing.assert_allclose(fitted.adversarial_score(iris[0]), expected)
