"""The estimator: parameters, fit, scores, threshold."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from skaae._classifiers.unwrapping import allows_missing
from skaae._data.rows import Rows
from skaae._data.weights import check_sample_weight
from skaae._fitting import FittingMixin
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.seeds import draw_seed
from skaae._parameters import PARAMETER_CONSTRAINTS, unchanged_on_error
from skaae._persistence import PersistenceMixin
from skaae._scoring.explanation import ExplanationMixin
from skaae._scoring.scorer import make_scorer
from skaae._utils.documentation import DocumentedMixin

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike


class AdversarialAEDetector(DocumentedMixin, PersistenceMixin, ExplanationMixin, FittingMixin, BaseEstimator):
    """Detect and repair adversarial inputs of a frozen classifier.

    An autoencoder AE is trained, with the classifier M frozen, so that M predicts the same for x
    and for x' = AE(x). A perturbation that was made to change M(x) does not carry over to x', so
    the divergence between the two predictions,

        S(x) = KL(M(x) || M(x')),

    is large for an adversarial x. A row is flagged if S(x) exceeds the threshold of the class that M
    predicts. Its corrected prediction is the prediction for x', see :meth:`correct`. AE is trained on rows with added
    noise and virtual adversarial perturbations, to restore the prediction for the clean row. Training
    needs neither labels nor attacks.

    Parameters
    ----------
    classifier : keras.Model, FrozenKerasModel or fitted classifier
        M, the classifier to defend: a ``keras.Model`` that returns probabilities; a
        :class:`FrozenKerasModel` if it returns logits or has class labels; or any fitted classifier
        with ``predict_proba``. Wrap the latter in ``sklearn.frozen.FrozenEstimator`` if the detector
        is cloned, as in GridSearchCV. scikeras classifiers, linear models, multilayer perceptrons
        and Pipelines of these after a scaler or PCA are used as exact Keras models. For all others
        ``predict_proba`` is called, its probabilities are floored at 0.02 / n_classes, and a
        `surrogate` is trained. The label of M is what its own ``predict`` returns, also with a decision
        threshold (``TunedThresholdClassifierCV``). M is neither changed nor copied.
    autoencoder : keras.Model, callable or None, default=None
        AE: a model, of which a copy is trained, starting from its weights; a
        ``callable(sample_shape) -> keras.Model``; or None for a default that suits rows, sequences
        or images.
    encoder, decoder : keras.Model or None, default=None
        Two models instead of one `autoencoder`. Copies of them are chained and trained.
    hidden_layers : dict of {int or str: int} or None, default=None
        Layers of M, by index or name, that must also agree for x and x', each with the dimension of
        its random softmax projection. For each layer S(x) gets a term KL(h(x) || h(x')).
    hidden_models : list of keras.Model or None, default=None
        Models from x to probabilities, for more terms of the same kind.
    hidden_weights : array-like of float or None, default=None
        Weights of these terms in loss and score, `hidden_layers` first. None: 1 each.
    surrogate : keras.Model, callable, FrozenKerasModel or None, default=None
        The Keras network that provides the gradient if M has none: a model that returns
        probabilities, of which a copy is distilled from the predictions of M for X and for perturbed
        X; a ``callable(sample_shape, n_classes) -> keras.Model``; a :class:`FrozenKerasModel`, which
        is used without distillation; or None for a default. It is used only in training, never for a
        score or a label.
    mutable_features : array-like of str, int or bool, or None, default=None
        Names, indices or a boolean mask of the features that an attacker can alter. Noise and virtual
        adversarial perturbations move nothing else, and x' has the values of x in all others. None: all.
    temperature : float, default=1.0
        M(x) is replaced by M(x)**(1 / temperature), renormalized, before the divergence is computed.
        Values below 1 sharpen it. M(x') is not changed.
    divergence_weight : float, default=1.0
        The loss is ``divergence_weight`` times S(x) plus ``reconstruction_weight`` times the mean
        squared error between x and x', plus the regularization losses of the layers of AE.
    reconstruction_weight : float or None, default=None
        None: 0.1 for rows and sequences, in units of the standard deviation of each feature, and 10
        for images, in units of their range, so that x' resembles x; 0 if nothing is perturbed and M has
        a gradient, as published.
    loss : callable or None, default=None
        ``loss(x, x_reconstructed) -> values``, TensorFlow operations with one value per row, which
        replaces both terms of the loss. The score is still S(x).
    noise : float, default=0.1
        Standard deviation of the Gaussian noise on the training rows, in units of the standard
        deviation of each feature of X. For sequences the unit is that of each channel, for images
        the range of their values. Perturbed images stay in that range, and rows in [0, 1] if X does.
    virtual_adversarial : float or None, default=None
        Size of the virtual adversarial perturbations of the training rows [2]_, in the same units:
        about that of the attacks that you expect. Larger ones cost accuracy on clean rows. None: 0.3,
        and 0.2 for images.
    virtual_adversarial_shares : tuple of two float or None, default=None
        Shares of the rows of a batch that are perturbed against M, in drawn directions and sizes, and
        against M(AE(x)), to the whole size in steps of the sign of the gradient [3]_. The others
        only get noise. The first share protects against attacks that do not know the defense, the
        second against attacks that do; it costs protection against the others, and time. None:
        (0.4, 0.3), and (0.7, 0.2) for images.
    virtual_adversarial_steps : int or None, default=None
        Number of gradient steps of a perturbation against M(AE(x)), each of which costs two thirds of
        a training step on these rows. Against M there are at most two, and one on images and sequences.
        None: 5, and 3 for images.
    label_change_first : bool, default=True
        Whether rows for which x' has another label score above all others: 1000 plus the logarithm
        of the odds, given by M(x'), of the new label against the old one. The others score S(x).
        With ``noise=0, virtual_adversarial=0, label_change_first=False, class_thresholds=False`` the
        detector is the published method [1]_.
    optimizer : str, class or keras.optimizers.Optimizer, default="adam"
        Each fit creates a new optimizer. An instance provides its configuration, including the
        learning rate.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule, default=1e-3
        Learning rate of an optimizer that is given by name or class. A float decreases to 0 along
        half a cosine. It stays as it is where a ``LearningRateScheduler`` or ``ReduceLROnPlateau`` of
        Keras is among the `callbacks`; for a callback of your own that sets the learning rate, pass an
        optimizer instance.
    epochs : int or None, default=None
        Passes over the training rows. None: 2 to 100 (sequences and images: 70), for about 6000 training
        steps in total (sequences: 7000, images: 14000). Images take no more than three quarters of
        `batch_size`, 24 by default, but at least 2. 0: AE is not trained.
    batch_size : int or None, default=None
        Rows of a training step. None: 64, images 32, sequences 128. A larger step of rows or images costs
        more and hardly improves AE.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Deep-copied for each fit. The model that they see is the autoencoder in training: a file of
        ``ModelCheckpoint`` is the autoencoder, and ``BackupAndRestore`` resumes an interrupted fit.
    metrics : list of str or keras.metrics.Metric or None, default=None
        Recorded in ``history_``. They compare the probabilities M(x) and M(x').
        ``["categorical_accuracy"]`` is the share of rows that keep their label.
    preprocess : callable or None, default=None
        ``preprocess(batch) -> batch`` of the same shape, a Python function of NumPy arrays, applied
        to each training batch (augmentation).
    threshold : float or None, default=None
        A fixed threshold, for which no rows are set aside. None: inferred from
        `threshold_percentile`.
    threshold_percentile : float, default=95.0
        Percentage of normal rows below the threshold, in (0, 100].
    class_thresholds : bool, default=True
        Whether the promised rate of false alarms holds for each class that M predicts, instead of on
        average only. A class with significantly more false alarms than promised gets a threshold of its
        own, all others share one. Each class sets aside its share of the calibration rows, a rare class
        up to 40 but at most half of its rows. Nor do repairs of normal rows add more rows to a rare class
        than may be flagged in it, or one. False: one threshold, and every flagged row is repaired, as published.
    calibration_fraction : float, default=0.2
        Share of the rows that is set aside to infer the threshold, in [0, 1). With 0 it is inferred
        from the training rows, as published, and more new rows are flagged than promised. The promise
        holds only if M was not trained on X: see :meth:`infer_threshold`.
    class_weight : dict, "balanced" or None, default=None
        Weight of a training row by the label that M predicts for it, for example so that x' keeps the label
        of a rare class. "balanced": all classes that occur weigh the same. It costs common classes accuracy.
    memory : str, path, joblib.Memory or None, default=None
        Caches the training, so that a search over `threshold_percentile` does not repeat it. Needs
        an int `random_state`. Callbacks are not called then.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, order of rows, projections and calibration rows. With an int, each fit
        gives the same detector. No global random state is changed.
    verbose : int, default=0
        1 shows the epoch, the loss and the time left: in one line that is drawn again in a terminal
        or notebook, in one line per epoch elsewhere. 2 shows the lines of Keras.

    Attributes
    ----------
    autoencoder_ : keras.Model
        AE, trained.
    classifier_ : FrozenKerasModel or PredictProbaClassifier
        M.
    surrogate_ : FrozenKerasModel or None
        The network that provided the gradient in training. None if M has a gradient.
    surrogate_agreement_ : float
        Share of the held-out rows for which surrogate and M agree on the most probable class.
    threshold_ : float
        Threshold of S(x) for the classes that share one. To set it sets that of all classes.
    class_thresholds_ : ndarray of shape (n_classes,)
        Threshold of S(x) for each class that M predicts; infinite for a class that is never flagged.
    repair_thresholds_ : ndarray of shape (n_classes,)
        S(x) that a flagged row must exceed to be repaired into each class; -inf where any is: for a class
        that is not rare, or to which few calibration rows are added.
    class_report_ : DataFrame
        For each class that M predicts: ``calibration_rows``; the share of them that is ``flagged``; the
        share whose label x' keeps, ``label_kept``, which tells how well the defense can repair;
        ``threshold``; and ``repair_threshold``. Needs pandas. Not available if `threshold` was given.
    offset_ : float
        Rows with smaller `score_samples` are adversarial: the logarithm of the promised rate of false
        alarms. With ``class_thresholds=False`` or a given threshold: ``-threshold_``.
    history_ : dict of list of float
        Loss and metrics of each epoch. Empty if nothing was trained.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Size of the first dimension of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame.

    See Also
    --------
    CorrectedClassifier : A classifier that repairs its own predictions.
    FrozenKerasModel : A Keras model as a frozen scikit-learn classifier.

    References
    ----------
    .. [1] G. Vacanti and A. Van Looveren, "Adversarial Detection and Correction by Matching
       Prediction Distributions", arXiv:2002.09364, 2020.
    .. [2] T. Miyato, S. Maeda, M. Koyama and S. Ishii, "Virtual Adversarial Training",
       arXiv:1704.03976, 2017.
    .. [3] A. Madry, A. Makelov, L. Schmidt, D. Tsipras and A. Vladu, "Towards Deep Learning Models
       Resistant to Adversarial Attacks", arXiv:1706.06083, 2018.

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from skaae import AdversarialAEDetector
    >>> X, y = load_iris(return_X_y=True)
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> detector = AdversarialAEDetector(model, epochs=2, random_state=0).fit(X)
    >>> detector.predict(X).shape, detector.correct(X).corrected.shape
    ((150,), (150,))
    """

    _parameter_constraints = PARAMETER_CONSTRAINTS
    _not_saved = ("_scorer",)

    def __init__(
        self,
        classifier: Any = None,
        *,
        autoencoder: keras.Model | Callable[[tuple[int, ...]], keras.Model] | None = None,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        hidden_layers: Mapping[int | str, int] | None = None,
        hidden_models: Sequence[keras.Model] | None = None,
        hidden_weights: ArrayLike | None = None,
        surrogate: keras.Model | Callable[[tuple[int, ...], int], keras.Model] | FrozenKerasModel | None = None,
        mutable_features: ArrayLike | None = None,
        temperature: float = 1.0,
        divergence_weight: float = 1.0,
        reconstruction_weight: float | None = None,
        loss: Callable[[Any, Any], Any] | None = None,
        noise: float = 0.1,
        virtual_adversarial: float | None = None,
        virtual_adversarial_shares: tuple[float, float] | None = None,
        virtual_adversarial_steps: int | None = None,
        label_change_first: bool = True,
        optimizer: str | type | keras.optimizers.Optimizer = "adam",
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
        epochs: int | None = None,
        batch_size: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        metrics: Sequence[Any] | None = None,
        preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
        threshold: float | None = None,
        threshold_percentile: float = 95.0,
        class_thresholds: bool = True,
        calibration_fraction: float = 0.2,
        class_weight: Mapping[Any, float] | str | None = None,
        memory: str | os.PathLike[str] | Any | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.classifier = classifier
        self.autoencoder = autoencoder
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layers = hidden_layers
        self.hidden_models = hidden_models
        self.hidden_weights = hidden_weights
        self.surrogate = surrogate
        self.mutable_features = mutable_features
        self.temperature = temperature
        self.divergence_weight = divergence_weight
        self.reconstruction_weight = reconstruction_weight
        self.loss = loss
        self.noise = noise
        self.virtual_adversarial = virtual_adversarial
        self.virtual_adversarial_shares = virtual_adversarial_shares
        self.virtual_adversarial_steps = virtual_adversarial_steps
        self.label_change_first = label_change_first
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.metrics = metrics
        self.preprocess = preprocess
        self.threshold = threshold
        self.threshold_percentile = threshold_percentile
        self.class_thresholds = class_thresholds
        self.calibration_fraction = calibration_fraction
        self.class_weight = class_weight
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> AdversarialAEDetector:
        """Train the autoencoder on normal rows and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows (n_samples, n_features), sequences (n_samples, n_timesteps, n_channels) or
            images (n_samples, height, width[, n_channels]) of the shape that the classifier expects. Normal
            means not attacked: rows of all classes as they occur, also those of frauds.
        y : object
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the loss of the autoencoder, in proportion. A row of weight 0 is left out.
            All other calibration rows weigh the same.

        Returns
        -------
        self : AdversarialAEDetector

        Raises
        ------
        ValueError, TypeError
            If a parameter or X is invalid, before anything is trained. If the training diverges.
            After any error the detector is unchanged, fitted or not.
        NotFittedError
            If the classifier is not fitted.
        """
        with unchanged_on_error(self):
            X = self._checked_for_fit(X)
            weights = check_sample_weight(sample_weight, X)
            seed = draw_seed(self.random_state)
            training, calibration = self._split(X, weights, seed)
            self._fit_rows(X, training, calibration, weights, seed)
        return self

    def _results(self, X: Rows, *names: str) -> dict[str, np.ndarray]:
        return self._scorer(X, names)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A loaded estimator compiles its graph again."""
        super().__setstate__(state)
        if "_defense" in state:
            self._scorer = make_scorer(self._defense)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = allows_missing(self.classifier)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
