"""What every estimator does around its network."""

import copy
import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import nn

from ._training.inference import like
from ._training.loop import TrainingOptions, TrainingRecord, resolve_device, seeded


class NetworkEstimator:
    """Parameters of training, its record, and ``network_`` on its device."""

    # Whether rows may hold NaN.
    _takes_missing = False

    def _check_fitted(self) -> None:
        """Raise scikit-learn's or sktime's NotFittedError before a fit."""
        raise NotImplementedError

    def _check_parameters(self) -> None:
        """Raise ValueError or TypeError that names a parameter out of its range."""
        check_scalar(self.early_stopping, "early_stopping", (bool, np.bool_))
        self._check_counts("n_heads", "batch_size", "n_iter_no_change")
        for name in ("learning_rate", "weight_decay"):
            self._check_below(name, math.inf)
        for name in ("dropout", "validation_fraction"):
            self._check_below(name, 1)

    def _check_counts(self, *names: str, least: int = 1, optional: bool = False):
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool):
                raise TypeError(f"{name}={value} must be an integer, not a bool.")
            if value is not None or not optional:
                check_scalar(value, name, numbers.Integral, min_val=least)

    def _check_below(self, name: str, bound: float) -> None:
        value = getattr(self, name)
        check_scalar(value, name, numbers.Real)
        if not 0 <= value < bound:
            raise ValueError(f"{name}={value} is not in the range [0, {bound}).")

    @contextmanager
    def _estimation(self) -> Iterator[torch.device]:
        """The device to train on, with gradients and the seed of ``random_state``."""
        device = resolve_device(self.device)
        with (
            seeded(self.random_state, device),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield device

    def _options(
        self, device: torch.device, max_epochs: int, required_gain: float = 0.0
    ) -> TrainingOptions:
        return TrainingOptions(
            learning_rate=self.learning_rate,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            required_gain=required_gain,
            device=device,
            verbose=self.verbose,
        )

    def _keep(self, network: nn.Module, record: TrainingRecord) -> None:
        """Set what an estimator shows of its training."""
        self.network_ = network.eval()
        self.loss_curve_ = record.loss_curve
        self.validation_scores_ = record.validation_scores
        self.n_epochs_ = len(record.loss_curve)
        self.best_epoch_ = record.best_epoch

    @property
    def device_(self) -> torch.device:
        """The device that holds the network."""
        if not hasattr(self, "network_"):
            self._check_fitted()
        return like(self.network_).device

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put every attribute back if the block fails."""
        before = {
            name: copy.copy(value) if isinstance(value, dict) else value
            for name, value in self.__dict__.items()
        }
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def __getstate__(self):
        # Copies and saved models live on the CPU: they must load where no GPU is.
        parent = getattr(super(), "__getstate__", None)  # not in Python 3.10
        state = dict(parent() if parent else self.__dict__)
        for name in {"network_", "pretrained_network_"} & state.keys():
            if like(state[name]).device.type != "cpu":
                state[name] = copy.deepcopy(state[name]).cpu()
        return state


class SktimeEstimator:
    """What scikit-learn's meta-estimators ask of an estimator of sktime."""

    # What they leave on a step before they call its fit.
    _kept_by_reset = (
        "_parent_callback_ctx",
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_metadata_request",
        "_sklearn_output_config",
    )

    def reset(self):
        """Return to the state after construction, but for what warm_start carries.

        Returns
        -------
        self
        """
        kept = self._kept_by_reset
        state = {name: self.__dict__[name] for name in kept if name in self.__dict__}
        super().reset()
        self.__dict__.update(state)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return self.is_fitted
