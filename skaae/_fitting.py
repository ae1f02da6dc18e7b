"""The steps of fit: checked rows, classifier, split, trained defense, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skaae._classifiers.adapters import as_frozen_classifier
from skaae._classifiers.label_rules import label_rule_of, positions_of_labels
from skaae._data.rows import RowSubset
from skaae._data.weights import check_class_weight, rows_with_weight, weights_of_rows, with_mean_one
from skaae._keras.processes import check_not_forked
from skaae._parameters import check_parameters
from skaae._scoring.outlier_detector import OutlierDetectorMixin
from skaae._scoring.pools import SharedThreshold
from skaae._scoring.scorer import check_finite, make_scorer
from skaae._scoring.split import split_by_class, split_rows
from skaae._training.defense import Defense, train_defense
from skaae._training.options import TrainingOptions
from skaae._training.surrogate import share_of_equal_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class FittingMixin(OutlierDetectorMixin):
    """The steps that `fit` of the detector, and that of a classifier around it, go through."""

    def _checked_for_fit(self, X: ArrayLike) -> np.ndarray:
        """Check parameters, rows and classifier before anything is trained, and set M."""
        check_not_forked()
        check_parameters(self)
        X, classifier = self._read_for_fit(self.classifier, X)
        self.classifier_ = as_frozen_classifier(classifier, X)
        self.classifier_.check_samples(X.shape[1:])
        self._label_rule = label_rule_of(classifier, self.classifier_, X)
        self.classes_ = self.classifier_.classes_
        check_class_weight(self.class_weight, self.classes_)
        return X

    def _split(self, X: np.ndarray, weights: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the rows that train the autoencoder, and of those that set the thresholds.

        Rows of weight 0 are neither.
        """
        used, fraction = rows_with_weight(weights, len(X)), self._calibration_fraction()
        if not self.class_thresholds or fraction == 0:
            parts = split_rows(len(used), fraction, seed)
        else:
            rows = X if len(used) == len(X) else RowSubset(X, used)
            parts = split_by_class(positions_of_labels(self.classifier_, self._label_rule, rows), fraction, seed)
        return used[parts[0]], used[parts[1]]

    def _calibration_fraction(self) -> float:
        """Share of the rows that set the threshold: none where the threshold is given."""
        return float(self.calibration_fraction) if self.threshold is None else 0.0

    def _fit_rows(
        self, X: np.ndarray, training: np.ndarray, calibration: np.ndarray, weights: np.ndarray | None, seed: int
    ) -> None:
        """Train the defense on some rows, and set the threshold from the scores of others."""
        rows = RowSubset(X, training, self._training_weights(X, training, weights))
        self._set_defense(self._trained_defense(rows, seed))
        self._spread = rows.statistics.spread
        held_out = RowSubset(X, calibration)
        check_finite(self._scorer, held_out)
        self.__dict__.pop("surrogate_agreement_", None)
        if self.surrogate_ is not None:
            self.surrogate_agreement_ = share_of_equal_labels(self.surrogate_, self.classifier_, held_out)
        if self.threshold is None:
            self._calibrate(held_out, self.threshold_percentile)
        else:
            self._thresholds, self._calibration = SharedThreshold(float(self.threshold)), None

    def _training_weights(
        self, X: np.ndarray, training: np.ndarray, sample_weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Weights of the training rows, or None if all weigh the same."""
        weights = None if sample_weight is None else sample_weight[training]
        if self.class_weight is not None:
            labels = positions_of_labels(self.classifier_, self._label_rule, RowSubset(X, training))
            of_classes = weights_of_rows(self.class_weight, self.classes_, labels)
            weights = of_classes if weights is None else weights * of_classes
        return None if weights is None else with_mean_one(weights)

    def _trained_defense(self, X: RowSubset, seed: int) -> Defense:
        options = TrainingOptions(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            callbacks=self.callbacks,
            metrics=self.metrics,
            preprocess=self.preprocess,
            verbose=self.verbose,
        )
        return train_defense(
            self.classifier_,
            X,
            label_rule=self._label_rule,
            rules=self._rules,
            autoencoder=self.autoencoder,
            encoder=self.encoder,
            decoder=self.decoder,
            surrogate=self.surrogate,
            hidden_layers=self.hidden_layers,
            hidden_models=self.hidden_models,
            hidden_weights=self.hidden_weights,
            temperature=self.temperature,
            label_change_first=self.label_change_first,
            divergence_weight=self.divergence_weight,
            reconstruction_weight=self.reconstruction_weight,
            loss=self.loss,
            noise=self.noise,
            virtual_adversarial=self.virtual_adversarial,
            virtual_adversarial_shares=self.virtual_adversarial_shares,
            virtual_adversarial_steps=self.virtual_adversarial_steps,
            options=options,
            memory=self.memory,
            seed=seed,
        )

    def _set_defense(self, defense: Defense) -> None:
        self._defense = defense
        self.autoencoder_, self.surrogate_, self.history_ = defense.autoencoder, defense.surrogate, defense.history
        self._scorer = make_scorer(defense)
