"""Rows to a trained network, and on to forecasts and matrices in original units."""

import copy
import math
import numbers

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from . import coefficients
from ._inference import device_of, forecast
from ._training import TrainingOptions, TrainingRecord, resolve_device, seeded, train
from ._windows import Windows, split_by_time

BATCH = 256


class WindowModel:
    """What the estimators share: a network over windows of standardised series.

    A subclass holds the hyper-parameters as attributes and fills in `_build`,
    `_estimate` and `_var`. Fitted are ``network_``, the ``scaler_`` of the series and
    the record of training.
    """

    # At most so many windows, evenly spaced, enter ``coef_``; None takes all.
    _max_windows_in_average: int | None = None

    def _build(self, n_series: int) -> nn.Module:
        """The untrained network for ``n_series`` series."""
        raise NotImplementedError

    def _estimate(
        self, network: nn.Module, values: np.ndarray, device: torch.device
    ) -> TrainingRecord:
        """Estimate ``network`` in place on standardised rows (n_rows, n_series)."""
        raise NotImplementedError

    def _var(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices (B, lags, C, C), lag 1 first, and intercepts (B, C) of windows."""
        raise NotImplementedError

    # estimation

    def _learn(self, values: np.ndarray, weights: dict | None) -> None:
        """Estimate a network on standardised rows, from given weights or from none."""
        device = resolve_device(self.device)
        with (
            seeded(self.random_state, device),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            # Closed forms alone are exact and fast in float64 on the CPU.
            network = self._build(values.shape[1])
            network = network.float() if self.n_layers else network.double()
            if weights is not None:
                _load(network, weights)
            record = self._estimate(network, values, device)
        self.network_ = network
        self.loss_curve_ = record.loss_curve
        self.validation_scores_ = record.validation_scores
        self.n_epochs_ = len(record.loss_curve)
        self._computed = {}

    def _split(
        self, values: np.ndarray, horizon: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Training and validation rows, as early_stopping and depth ask for."""
        if self.early_stopping and self.n_layers:
            return split_by_time(values, self.lags, horizon, self.validation_fraction)
        if len(values) < self.lags + horizon:
            raise ValueError(
                f"{len(values)} rows are too few for lags={self.lags} and "
                f"horizon={horizon}: at least {self.lags + horizon} are needed. Pass "
                "more rows or lower lags or horizon."
            )
        return values, None

    def _train(
        self,
        network: nn.Module,
        training: np.ndarray,
        validation: np.ndarray | None,
        device: torch.device,
    ) -> TrainingRecord:
        """Train on windows of the rows that `_split` returned."""
        lags, horizon = network.lags, network.horizon
        options = TrainingOptions(
            learning_rate=self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            device=device,
            verbose=self.verbose,
        )
        training, validation = (
            None if rows is None else Windows(rows, lags, horizon, torch.float32)
            for rows in (training, validation)
        )
        return train(network, training, validation, options)

    def _check_parameters(self) -> None:
        """Raise ValueError or TypeError that names a parameter out of its range."""
        at_least = {
            "lags": 1,
            "n_layers": 0,
            "n_heads": 1,
            "max_epochs": 0,
            "batch_size": 1,
            "n_iter_no_change": 1,
        }
        for name, least in at_least.items():
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=least)
        if self.horizon is not None:
            check_scalar(self.horizon, "horizon", numbers.Integral, min_val=1)
        below = {
            "alpha": math.inf,
            "learning_rate": math.inf,
            "weight_decay": math.inf,
            "dropout": 1,
            "validation_fraction": 1,
        }
        for name, bound in below.items():
            value = getattr(self, name)
            check_scalar(value, name, numbers.Real)
            if not 0 <= value < bound:
                raise ValueError(f"{name}={value} is not in the range [0, {bound}).")

    # forecasts and matrices

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        """Rows in units of the scaler, as a new array."""
        # By hand: the output of StandardScaler.transform depends on set_config.
        values = np.subtract(values, self.scaler_.mean_, dtype=float, order="C")
        values /= self.scaler_.scale_
        return values

    def _forecast(self, past: Tensor, steps: int) -> np.ndarray:
        """Forecasts (B, steps, C) in original units after standardised windows."""
        values = forecast(self.network_, past, steps).cpu().double().numpy()
        return values * self.scaler_.scale_ + self.scaler_.mean_

    def _var_of(self, windows: Windows, used: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Matrices and intercepts of the windows at ``used``, in original units."""
        like = next(iter(self.network_.state_dict().values()))
        parts = [self._var(windows[some][0].to(like)) for some in used.split(BATCH)]
        matrices, intercepts = (
            torch.cat(part).cpu().double().numpy() for part in zip(*parts, strict=True)
        )
        return coefficients.to_original_units(matrices, intercepts, self.scaler_)

    def _average_var(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Averages of matrices and intercepts over evenly spaced windows."""
        n_used = min(len(windows), self._max_windows_in_average or len(windows))
        used = np.linspace(0, len(windows) - 1, n_used).round().astype(int)
        sums = [
            [part.sum(axis=0) for part in self._var_of(windows, some)]
            for some in torch.from_numpy(used).split(BATCH)
        ]
        return tuple(sum(parts) / n_used for parts in zip(*sums, strict=True))

    def __getstate__(self):
        # Copies and saved models live on the CPU: they must load where no GPU is.
        state = self.__dict__.copy()
        if "network_" in state and device_of(state["network_"]).type != "cpu":
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state


def _load(network: nn.Module, weights: dict) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            "Training goes on from the network of the last fit (warm_start=True, or "
            "update), but its sizes do not fit the present parameters or data; put "
            "lags, horizon, n_layers, n_heads, d_model and the series back, or set "
            "warm_start=False and fit anew."
        ) from error
