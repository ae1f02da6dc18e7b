import inspect

import joblib
import keras
import numpy as np
import pytest
from scipy.special import softmax

from skaae import FrozenKerasModel
from skaae.alibi import AdversarialAE

layers = keras.layers


@pytest.fixture(name="X")
def rows(iris):
    return iris[0].astype(np.float32)


def make_ae():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(4)])


@pytest.fixture
def ae():
    return make_ae()


def trained(ae, model, X):
    detector = AdversarialAE(ae=ae, model=model)
    detector.fit(X, epochs=2, verbose=False)
    return detector


@pytest.fixture(scope="module")
def trained_once(iris_model, iris):
    return trained(make_ae(), iris_model, iris[0].astype(np.float32))


@pytest.fixture
def ad(trained_once):
    """For the tests that do not train it further; as after its fit, without a threshold."""
    trained_once.threshold = None
    return trained_once


def with_logits(model):
    """The same classifier without its last activation."""
    *hidden, last = model.layers
    logits = layers.Dense(last.units)
    copy = keras.Sequential([keras.Input(model.input_shape[1:]), *hidden, logits])
    logits.set_weights(last.get_weights())
    return copy


# Method -> arguments in their order, with their defaults: the documentation of alibi-detect 0.13. Of `loss_fn` and
# `batch_size`, for which it has its own function and 10 ** 10, None does the same.
SIGNATURES = {
    "__init__": {
        **dict.fromkeys(["threshold", "ae", "model", "encoder_net", "decoder_net", "model_hl", "hidden_layer_kld"]),
        **{"w_model_hl": None, "temperature": 1.0, "data_type": None},
    },
    "fit": {
        **{"X": inspect.Parameter.empty, "loss_fn": None, "w_model": 1.0, "w_recon": 0.0},
        **{"optimizer": keras.optimizers.Adam, "epochs": 20, "batch_size": 128, "verbose": True},
        **dict.fromkeys(["log_metric", "callbacks", "preprocess_fn"]),
    },
    "infer_threshold": {"X": inspect.Parameter.empty, "threshold_perc": 99.0, "margin": 0.0, "batch_size": None},
    "score": {"X": inspect.Parameter.empty, "batch_size": None, "return_predictions": False},
    "predict": {"X": inspect.Parameter.empty, "batch_size": None, "return_instance_score": True},
    "correct": {
        **{"X": inspect.Parameter.empty, "batch_size": None},
        **dict.fromkeys(["return_instance_score", "return_all_predictions"], True),
    },
}


@pytest.mark.parametrize("method", SIGNATURES)
def test_arguments_have_the_published_names_order_and_defaults(method):
    found = inspect.signature(getattr(AdversarialAE, method)).parameters
    assert [(name, parameter.default) for name, parameter in found.items()][1:] == list(SIGNATURES[method].items())
    assert all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in found.values())


class TestScript:
    """What a script of alibi-detect does."""

    def test_from_fit_to_correct(self, ad, X, iris):
        ad.infer_threshold(X, threshold_perc=90, margin=0.01)
        found = ad.predict(X)
        assert found["meta"]["name"] == "AdversarialAE"
        assert found["data"]["is_adversarial"].shape == (150,)
        assert found["data"]["is_adversarial"].dtype == np.int64
        assert 5 <= found["data"]["is_adversarial"].sum() <= 15
        corrected = ad.correct(X)["data"]
        assert list(corrected) == ["is_adversarial", "instance_score", "corrected", "no_defense", "defense"]
        assert np.mean(corrected["no_defense"] == iris[1]) > 0.9
        wanted = np.where(corrected["is_adversarial"], corrected["defense"], corrected["no_defense"])
        np.testing.assert_array_equal(corrected["corrected"], wanted)

    def test_is_the_estimator_behind_it(self, ae, iris_model, X):
        ad = trained(ae, iris_model, X)
        ad.threshold = 0.05
        np.testing.assert_array_equal(ad.score(X), ad.detector_.adversarial_score(X))
        behind = ad.detector_.correct(X)
        np.testing.assert_array_equal(ad.correct(X)["data"]["defense"], behind.defense)
        np.testing.assert_array_equal(ad.predict(X)["data"]["is_adversarial"], behind.is_adversarial)
        ad.fit(X, epochs=1, verbose=False)
        assert ad.detector_.threshold_ == 0.05

    def test_predictions_beside_the_score(self, ad, X, iris_model):
        score, y, y_reconstructed = ad.score(X, return_predictions=True)
        np.testing.assert_allclose(y, iris_model.predict(X, verbose=0), atol=1e-6)
        divergence = np.sum(y * (np.log(y) - np.log(y_reconstructed)), axis=1)
        np.testing.assert_allclose(score, divergence, rtol=1e-6, atol=1e-9)

    def test_what_is_not_asked_for_is_none(self, ad, X):
        ad.threshold = 1.0
        assert ad.predict(X, return_instance_score=False)["data"]["instance_score"] is None
        data = ad.correct(X, return_instance_score=False, return_all_predictions=False)["data"]
        assert [name for name, values in data.items() if values is None] == ["instance_score", "no_defense", "defense"]

    def test_batch_size_changes_nothing(self, ad, X):
        np.testing.assert_array_equal(ad.score(X, batch_size=7), ad.score(X, batch_size=10**10))

    def test_meta(self, ae, iris_model):
        meta = AdversarialAE(ae=ae, model=iris_model, data_type="tabular").meta
        assert meta.pop("version")
        assert meta == {
            "name": "AdversarialAE",
            "detector_type": "adversarial",
            "data_type": "tabular",
            "online": False,
        }

    def test_without_fit_the_autoencoder_is_used_as_it_is(self, ae, iris_model, X):
        ad = AdversarialAE(ae=ae, model=iris_model, threshold=0.5)
        _, _, y_reconstructed = ad.score(X[:1], return_predictions=True)
        wanted = iris_model.predict(ae.predict(X[:1], verbose=0), verbose=0)
        np.testing.assert_allclose(y_reconstructed, wanted, atol=1e-6)
        assert ad.predict(X[:1])["data"]["is_adversarial"].shape == (1,)


class TestFit:
    def test_goes_on_from_the_weights_and_leaves_the_models_as_they_were(self, ae, iris_model, X):
        ad = trained(ae, iris_model, X)
        before = [[w.copy() for w in model.get_weights()] for model in (ae, iris_model, ad.ae)]
        given = ad.ae
        ad.fit(X, epochs=0, verbose=False)
        for found, wanted in zip(ad.ae.get_weights(), before[2], strict=True):
            np.testing.assert_array_equal(found, wanted)
        ad.fit(X, epochs=1, verbose=False)
        assert any((a != b).any() for a, b in zip(ad.ae.get_weights(), before[2], strict=True))
        for model, weights in zip((ae, iris_model, given), before, strict=True):
            for found, wanted in zip(model.get_weights(), weights, strict=True):
                np.testing.assert_array_equal(found, wanted)
        assert all(layer.trainable for layer in iris_model.layers)

    def test_two_nets(self, iris_model, X):
        encoder = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
        decoder = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
        ad = AdversarialAE(encoder_net=encoder, decoder_net=decoder, model=iris_model)
        assert ad.ae is None
        ad.fit(X, epochs=1, verbose=False)
        assert isinstance(ad.ae, keras.Model)

    def test_callbacks_and_metric(self, ae, iris_model, X, capsys):
        class Report(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                print(f"epoch {epoch}", sorted(logs))

        ad = AdversarialAE(ae=ae, model=iris_model)
        metric = "agreement", keras.metrics.CategoricalAccuracy()
        ad.fit(X, epochs=2, verbose=False, log_metric=metric, callbacks=Report())
        assert capsys.readouterr().out.splitlines() == [
            "epoch 0 ['agreement', 'loss']",
            "epoch 1 ['agreement', 'loss']",
        ]

    def test_progress_is_shown_by_default(self, ae, iris_model, X, capsys):
        AdversarialAE(ae=ae, model=iris_model).fit(X, epochs=2)
        assert "Epoch 2/2" in capsys.readouterr().out

    def test_own_loss_weights_optimizer_and_preprocessing(self, ae, iris_model, X):
        losses = {}
        for name, options in {
            "own": {"loss_fn": lambda x, x_reconstructed: 0 * x_reconstructed[:, 0] + 7.0},
            "weighted": {"w_model": 0.0, "w_recon": 1.0},
            "moved": {"preprocess_fn": lambda batch: batch + 100},
        }.items():
            ad = AdversarialAE(ae=ae, model=iris_model)
            ad.fit(X, epochs=1, verbose=False, batch_size=150, optimizer=keras.optimizers.SGD(1e-30), **options)
            losses[name] = ad.detector_.history_["loss"][0]
        assert losses["own"] == pytest.approx(7)
        assert losses["weighted"] == pytest.approx(np.mean((ae.predict(X, verbose=0) - X) ** 2), rel=1e-5)
        assert losses["moved"] > 0

    @pytest.mark.slow
    def test_own_loss_is_called_as_alibi_detect_calls_it(self, ae, iris_model, X):
        """With the keywords that it takes."""
        seen = {}

        def all_of_them(x, x_reconstructed, **keywords):
            seen.update(keywords)
            return some(x, x_reconstructed, keywords["model"])

        def some(x_true, x_pred, model, temperature=3.0):
            seen["passed on"] = temperature
            return keras.ops.sum((model(x_true) - model(x_pred)) ** 2, axis=1)

        for loss_fn, temperature in ((all_of_them, 3.0), (some, 0.5)):
            ad = AdversarialAE(ae=ae, model=iris_model, temperature=0.5, w_model_hl=[])
            before = iris_model.get_weights()
            ad.fit(X, loss_fn, epochs=1, batch_size=150, w_recon=0.25, verbose=False)
            assert seen["passed on"] == temperature
            gap = iris_model.predict(X, verbose=0) - iris_model.predict(ae.predict(X, verbose=0), verbose=0)
            assert ad.detector_.history_["loss"][0] == pytest.approx(np.mean(np.sum(gap**2, axis=1)), rel=1e-4)
            for weights, wanted in zip(iris_model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(weights, wanted)
        wanted = {"model_hl": None, "w_model_hl": [], "w_model": 1.0, "w_recon": 0.25, "temperature": 0.5}
        assert {name: seen[name] for name in wanted} == wanted
        assert seen["model"] is iris_model

    def test_learning_rate_of_a_class_does_not_decay(self, ad):
        assert float(ad.detector_.optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("kind", ["softmax", "logits", "FrozenKerasModel", "sigmoid"])
def test_kinds_of_model(kind, ae, iris_model, X):
    model = {
        "softmax": iris_model,
        "logits": with_logits(iris_model),
        "FrozenKerasModel": FrozenKerasModel(with_logits(iris_model), from_logits=True),
        "sigmoid": keras.Sequential([keras.Input((4,)), layers.Dense(1, "sigmoid")]),
    }[kind]
    _, y, _ = AdversarialAE(ae=ae, model=model).score(X, return_predictions=True)
    assert y.shape == (150, 2 if kind == "sigmoid" else 3)
    wanted = model.predict(X, verbose=0)[:, 0] if kind == "sigmoid" else iris_model.predict(X, verbose=0)[:, 1]
    np.testing.assert_allclose(y[:, 1], wanted, atol=1e-6)


class TestWhatAModelReturns:
    """Nobody says whether it is probabilities or logits."""

    @pytest.mark.parametrize("n_rows", [1, 150])
    def test_a_logit_that_looks_like_a_probability(self, ae, X, n_rows):
        last = layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.01), bias_initializer="ones")
        model = keras.Sequential([keras.Input((4,)), last, layers.Rescaling(0.5)])
        logits = model.predict(X[:n_rows], verbose=0)[:, 0]
        assert ((logits > 0) & (logits < 1)).all()
        _, y, _ = AdversarialAE(ae=ae, model=model).score(X[:n_rows], return_predictions=True)
        np.testing.assert_allclose(y[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-6)

    def test_a_mean_of_probabilities(self, ae, iris_model, X):
        """Ends in no activation that can be seen."""
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Average()([iris_model(inputs), iris_model(-inputs)]))
        _, y, _ = AdversarialAE(ae=ae, model=model).score(X[:1], return_predictions=True)
        np.testing.assert_allclose(y, model.predict(X[:1], verbose=0), atol=1e-6)

    def test_several_sigmoids_are_refused(self, ae, X):
        """They are neither a distribution over the classes nor logits."""
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "sigmoid")])
        with pytest.raises(ValueError, match="must return probabilities"):
            AdversarialAE(ae=ae, model=model).score(X)


class TestScoreOnStoredArrays:
    """Against the closed form, on the arrays that the networks give."""

    def test_temperature(self, ae, iris_model, X):
        logits = with_logits(iris_model)
        score = AdversarialAE(ae=ae, model=iris_model, temperature=0.5).score(X)
        sharpened = softmax(logits.predict(X, verbose=0).astype(np.float64) / 0.5, axis=1)
        reconstructed = softmax(logits.predict(ae.predict(X, verbose=0), verbose=0).astype(np.float64), axis=1)
        wanted = np.sum(sharpened * np.log(sharpened / reconstructed), axis=1)
        np.testing.assert_allclose(score, wanted, rtol=1e-4, atol=1e-5)

    def test_hidden_models_and_their_weights(self, ae, iris_model, X):
        hidden = keras.Sequential([keras.Input((4,)), layers.Dense(5, "softmax")])
        both = AdversarialAE(ae=ae, model=iris_model, model_hl=[hidden], w_model_hl=[0.3]).score(X)
        alone = AdversarialAE(ae=ae, model=iris_model).score(X)
        h, h_reconstructed = (hidden.predict(rows, verbose=0) for rows in (X, ae.predict(X, verbose=0)))
        term = np.sum(h * np.log(h / h_reconstructed), axis=1)
        np.testing.assert_allclose(both, alone + 0.3 * term, rtol=1e-4, atol=1e-5)


def test_hidden_terms_survive_joblib(ae, iris_model, X, tmp_path):
    hidden = keras.Sequential([keras.Input((4,)), layers.Dense(5, "softmax")])
    ad = AdversarialAE(ae=ae, model=iris_model, model_hl=[hidden], hidden_layer_kld={0: 3}, w_model_hl=[0.5, 2.0])
    ad.fit(X, epochs=1, verbose=False)
    ad.infer_threshold(X, 90)
    joblib.dump(ad, tmp_path / "ad.joblib")
    loaded = joblib.load(tmp_path / "ad.joblib")  # test_persistence.py loads one in a new process
    assert (loaded.threshold, loaded.w_model_hl, len(loaded.model_hl)) == (ad.threshold, [0.5, 2.0], 1)
    np.testing.assert_array_equal(loaded.score(X), ad.score(X))


@pytest.mark.slow
def test_a_seeded_script_repeats_and_projections_stay(ae, iris_model, X):
    scores = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        ad = AdversarialAE(ae=ae, model=iris_model, hidden_layer_kld={0: 3})
        ad.fit(X, epochs=1, verbose=False)
        scores.append(ad.score(X))
    np.testing.assert_array_equal(*scores)
    ad.fit(X, epochs=0, verbose=False)
    np.testing.assert_array_equal(ad.score(X), scores[0])


@pytest.mark.slow
def test_networks_of_the_cifar_10_example():
    """The autoencoder that the paper uses on CIFAR-10, on a few images."""
    keras.utils.set_random_seed(0)
    convolution = {"kernel_size": 4, "strides": 2, "padding": "same", "activation": "relu"}
    penalty = {"kernel_regularizer": keras.regularizers.L1(1e-5)}
    encoder = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            *[layers.Conv2D(filters, **convolution, **penalty) for filters in (32, 64, 256)],
            layers.Flatten(),
            layers.Dense(40),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((40,)),
            layers.Dense(4 * 4 * 128, activation="relu"),
            layers.Reshape((4, 4, 128)),
            *[layers.Conv2DTranspose(filters, **convolution, **penalty) for filters in (256, 64)],
            layers.Conv2DTranspose(3, 4, strides=2, padding="same", **penalty),
        ]
    )
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Conv2D(8, 3, strides=4), layers.Flatten(), layers.Dense(10, "softmax")]
    )
    X = np.random.default_rng(0).random((70, 32, 32, 3), dtype=np.float32)
    ad = AdversarialAE(encoder_net=encoder, decoder_net=decoder, model=model, hidden_layer_kld={0: 20})
    ad.fit(X, epochs=2, batch_size=64, verbose=False)
    loss = ad.detector_.history_["loss"]
    assert loss[1] < loss[0]
    ad.infer_threshold(X, threshold_perc=95)
    assert ad.correct(X)["data"]["corrected"].shape == (70,)


class TestBadInput:
    def test_networks(self, ae, iris_model):
        for networks in ({}, {"encoder_net": ae}, {"ae": ae, "decoder_net": ae}):
            with pytest.raises(ValueError, match="Pass either ae, or both encoder_net and decoder_net"):
                AdversarialAE(model=iris_model, **networks)

    def test_no_model(self, ae):
        with pytest.raises(ValueError, match="model must be the classifier to defend, got None"):
            AdversarialAE(ae=ae)

    def test_no_threshold(self, ad, X):
        for method in (ad.predict, ad.correct):
            with pytest.raises(ValueError, match=r"threshold is None\. Call infer_threshold"):
                method(X)

    @pytest.mark.parametrize("percentage", [0, -1, 101, "99", None, True])
    def test_percentage(self, ad, X, percentage):
        with pytest.raises(ValueError, match="threshold_perc must be"):
            ad.infer_threshold(X, threshold_perc=percentage)
        assert ad.threshold is None

    @pytest.mark.parametrize("margin", [-1e6, np.nan])
    def test_margin_that_makes_the_threshold_negative_changes_nothing(self, ad, X, margin):
        ad.infer_threshold(X)
        before = ad.threshold, ad.detector_.threshold_, ad.detector_.offset_
        with pytest.raises(ValueError, match=r"margin(=-1000000\.0 makes it -| must be a finite number)"):
            ad.infer_threshold(X, threshold_perc=50, margin=margin)
        assert (ad.threshold, ad.detector_.threshold_, ad.detector_.offset_) == before

    @pytest.mark.parametrize("threshold", [-1, "high", np.nan])
    def test_threshold(self, ad, threshold):
        with pytest.raises(ValueError, match="threshold must be"):
            ad.threshold = threshold

    def test_batch_size(self, ad, X):
        with pytest.raises(ValueError, match="batch_size must be"):
            ad.score(X, batch_size=0)

    def test_rows(self, ad, X, iris_model, ae):
        with pytest.raises(ValueError, match="3 features"):
            ad.score(X[:, :3])
        with pytest.raises(ValueError, match="0 sample"):
            ad.score(X[:0])
        with pytest.raises(ValueError, match="NaN"):
            ad.score(np.full_like(X, np.nan))
        with pytest.raises(ValueError, match="sample"):
            AdversarialAE(ae=ae, model=iris_model).score(X[:0])
