"""How each network is built and estimated, for forecasters and regressors alike."""

import math
import numbers

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from . import coefficients
from ._model import BATCH, Rows, WindowModel
from ._networks.linear_attention_var import LinearAttentionVAR
from ._networks.readout import Readout
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath
from ._ridge import ridge_direct, ridge_var
from ._training import TrainingRecord

# Standard errors by which training must gain on a closed form to be kept: a rule of
# thumb, as gains of neighbouring windows may depend on each other.
_REQUIRED_GAIN = 3.0


class LinearAttentionVARModel(WindowModel):
    """A classical ridge VAR under linear attention on the observed series."""

    def _check_parameters(self):
        super()._check_parameters()
        check_scalar(self.d_model, "d_model", numbers.Integral, min_val=1)
        check_scalar(self.memory, "memory", numbers.Integral, min_val=0)

    @property
    def _window_rows(self):
        return self.lags + self.memory if self.n_layers else self.lags

    @property
    def _df_model(self):
        return self.lags * self.n_features_in_ + 1

    def _build(self, n_series, n_targets):
        sizes = {"lags": self.lags, "n_series": n_series, "n_layers": self.n_layers}
        if n_targets and not self.n_layers:
            return LinearAttentionVAR(**sizes, n_targets=n_targets)
        network = LinearAttentionVAR(
            **sizes,
            memory=self.memory if self.n_layers else 0,
            n_heads=self.n_heads,
            d_model=self.d_model,
            dropout=self.dropout,
        )
        if n_targets is None:
            return network
        return Readout(
            network,
            lags=self.lags,
            n_series=n_series,
            n_targets=n_targets,
            start_at_zero=False,
        )

    def _estimate(self, network, rows, device, fresh):
        return _estimate_under_ridge(self, network, rows, device, fresh)

    def _var(self, past, step):
        return coefficients.dynamic_var(self.network_, past, step)


class SAMoVARModel(WindowModel):
    """SAMoVAR beside a closed-form direct ridge."""

    _max_windows_in_average = 1024

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("token_length", "d_model"):
            if getattr(self, name) is not None:
                check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        if self.static_path not in ("ridge", None):
            raise ValueError(
                f"static_path must be 'ridge' or None, not {self.static_path!r}."
            )
        if not self.n_layers and self.static_path is None:
            raise ValueError(
                "n_layers=0 leaves only the static path; set static_path='ridge' or "
                "n_layers of at least 1."
            )
        if not self.alpha > 0:
            raise ValueError(
                f"alpha={self.alpha} must be positive: centred windows have one "
                "dimension less than coefficients."
            )

    def _build(self, n_series, n_targets):
        if n_targets and not self.n_layers:
            return LinearAttentionVAR(
                lags=self.lags, n_series=n_series, n_targets=n_targets, n_layers=0
            )
        network = None
        if self.n_layers:
            network = SAMoVAR(
                lags=self.lags,
                horizon=self.horizon_,
                n_series=n_series,
                token_length=self.token_length,
                n_layers=self.n_layers,
                n_heads=self.n_heads,
                d_model=self.d_model or 32 * math.isqrt(n_series),
                dropout=self.dropout,
                predictor=self.predictor,
            )
        if n_targets:
            return Readout(
                network,
                lags=self.lags,
                n_series=n_series,
                n_targets=n_targets,
                start_at_zero=True,
            )
        if self.static_path is None:
            return network
        return StaticPath(network, lags=self.lags, horizon=self.horizon_)

    def _estimate(self, network, rows, device, fresh):
        if rows.n_inputs is not None:
            return _estimate_under_ridge(self, network, rows, device, fresh)
        training, validation = self._split(rows, self.horizon_)
        if self.static_path is None:
            return self._train(network, training, validation, device)
        if not self.n_layers or (self.early_stopping and validation is None):
            network.share.fill_(1.0)
            self._solve_static(network, rows)
            return TrainingRecord()
        record = self._train(network.network, training, validation, device)
        network.to(device)
        if validation is not None:
            self._solve_static(network, training)
            windows = validation.windows(self.lags, self.horizon_)
            network.fit_share(windows.to(device).batches(BATCH))
        self._solve_static(network, rows)
        return record

    def _solve_static(self, network: StaticPath, rows: Rows) -> None:
        weight = ridge_direct(rows.segments, self.lags, self.horizon_, self.alpha)
        network.weight.copy_(_as(network.weight, weight))

    def _var(self, past, step):
        return coefficients.local_var(self.network_, past, step)


def _estimate_under_ridge(
    model: WindowModel,
    network: nn.Module,
    rows: Rows,
    device: torch.device,
    fresh: bool,
) -> TrainingRecord:
    """Train what is learned on top of a VAR in closed form, which is given."""
    static = network.static if isinstance(network, Readout) else network

    def solve(part: Rows) -> None:
        matrices, intercept = ridge_var(
            part.segments, model.lags, model.alpha, part.n_inputs
        )
        static.matrices.copy_(_as(static.matrices, matrices))
        static.intercept.copy_(_as(static.intercept, intercept))

    training, validation = model._split(rows, 1)
    solve(training)
    n_windows = len(training.windows(network.lags, network.horizon))
    held_out = validation is not None or not model.early_stopping
    if not model.n_layers or not held_out or not n_windows:
        return TrainingRecord()
    gain = _REQUIRED_GAIN if fresh else 0.0
    record = model._train(network, training, validation, device, required_gain=gain)
    if validation is not None:
        solve(rows)
    return record


def _as(like: Tensor, array: np.ndarray) -> Tensor:
    # Cast on the CPU: not every device has float64.
    return torch.from_numpy(array).to(like.dtype)
