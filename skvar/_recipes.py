"""How each network is built and estimated, for forecasters and regressors alike."""

import copy
import math

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from ._closed_form.ridge import (
    choose_direct_alpha,
    choose_var_alpha,
    direct_errors,
    leave_blocks_out,
    ridge_direct,
    ridge_var,
)
from ._data.windows import Windows
from ._model import BATCH, RecurrentModel, Rows, WindowModel
from ._networks.aaren_forecasting import AarenForForecasting
from ._networks.informer import Informer
from ._networks.itransformer import ITransformer
from ._networks.linear_attention_var import LinearAttentionVAR
from ._networks.linear_transformer import LinearTransformer
from ._networks.readout import Readout
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath
from ._training.inference import squared_errors
from ._training.loop import TrainingRecord, epochs_of
from ._var import extraction as coefficients
from ._var.process import roots

# Standard errors by which training must gain on a closed form to be kept: a rule of
# thumb, as gains of neighbouring windows may depend on each other.
_REQUIRED_GAIN = 3.0

# The VAR that a static path may be: lags, and inputs that they may add up to.
_VAR_LAGS, _VAR_INPUTS = 4, 512

# Steps of training by default, and epochs that make them of few rows.
_STEPS, _MOST_EPOCHS = 300, 20

# By default, tokens that a window has at least, and rows in one of Aaren's at most.
_LEAST_TOKENS, _ROWS_IN_TOKEN = 4, 24


class LinearAttentionVARModel(WindowModel):
    """A classical ridge VAR under linear attention on the observed series."""

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts("d_model")
        self._check_counts("memory", "max_epochs", least=0)

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


class StaticPathModel(WindowModel):
    """A network beside a regression in closed form.

    A recipe fills in `_new_network`, and `_prepare` where there is more to estimate.
    """

    _max_windows_in_average = 1024

    def _new_network(self, n_series: int) -> nn.Module:
        """The network, untrained."""
        raise NotImplementedError

    def _sizes(self, n_series: int) -> dict:
        """What every network is built with."""
        return {
            "lags": self.lags,
            "horizon": self.horizon_,
            "n_series": n_series,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "d_model": self.d_model,
            "dropout": self.dropout,
        }

    def _prepare(self, network: nn.Module, training: Rows, fresh: bool) -> None:
        """Estimate what is not trained, before training."""

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts("d_model")
        self._check_counts("max_epochs", least=0, optional=True)
        if self.static_path not in ("auto", "ridge", "var", None):
            raise ValueError(
                "static_path must be 'auto', 'ridge', 'var' or None, not "
                f"{self.static_path!r}."
            )
        check_scalar(self.refit, "refit", (bool, np.bool_))
        if not self.n_layers and self.static_path is None:
            raise ValueError(
                "n_layers=0 leaves only the static path; set static_path='auto' or "
                "n_layers of at least 1."
            )
        if self.alpha == 0 and self.static_path in ("auto", "ridge"):
            raise ValueError(
                "alpha=0 must be positive: windows minus their last row have one "
                "dimension less than coefficients. Pass static_path='var' for ordinary "
                "least squares."
            )

    def _epochs(self, n_windows):
        if self.max_epochs is not None:
            return self.max_epochs
        return min(epochs_of(_STEPS, n_windows, self.batch_size), _MOST_EPOCHS)

    def _build(self, n_series, n_targets):
        network = self._new_network(n_series) if self.n_layers else None
        if self.static_path is None:
            return network
        order = max(1, min(_VAR_LAGS, self.lags, _VAR_INPUTS // n_series))
        return StaticPath(
            network,
            lags=self.lags,
            horizon=self.horizon_,
            n_series=n_series,
            order=order,
        )

    def _estimate(self, network, rows, device, fresh):
        self.alpha_ = None
        training, validation = self._split(rows, self.horizon_)
        learned = network if self.static_path is None else network.network
        if self.n_layers:
            self._prepare(learned, training, fresh)
        if self.static_path is None:
            return self._train_again(network, rows, training, validation, device)
        alpha = self.alpha_ = self._choose_static(network, training)
        if not self.n_layers or (self.early_stopping and validation is None):
            network.share.fill_(1.0)
            self._solve_static(network, rows, alpha)
            return TrainingRecord()
        self._solve_static(network, training, alpha)
        network.share.fill_(0.5)
        record = self._train_again(
            learned, rows, training, validation, device, mix=network
        )
        self._solve_static(network, rows, alpha)
        return record

    def _train_again(
        self,
        network: nn.Module,
        rows: Rows,
        training: Rows,
        validation: Rows | None,
        device: torch.device,
        mix: StaticPath | None = None,
    ) -> TrainingRecord:
        """Train, weigh against the static path, and with ``refit`` train on all rows.

        The second training begins where the first began.
        """
        start = copy.deepcopy(network.state_dict())
        record = self._train(network, training, validation, device)
        if validation is None:
            return record
        if mix is not None:
            mix.to(device)
            windows = validation.windows(self.lags, self.horizon_)
            mix.fit_share(windows.to(device).batches(BATCH))
        used = mix is None or not mix.static_only
        if self.refit and used and record.best_epoch:
            kept = copy.deepcopy(network.state_dict())
            network.load_state_dict(start)
            again = self._train(
                network, rows, None, device, max_epochs=record.best_epoch
            )
            if len(again.loss_curve) < record.best_epoch:
                network.load_state_dict(kept)
        return record

    def _choose_static(self, network: StaticPath, rows: Rows) -> float:
        """Choose the kind of static path, if asked to, and return its penalty.

        By the error on blocks left out; the ridge where there are none.
        """
        if self.static_path == "ridge" and self.alpha != "auto":
            network.by_var.fill_(False)
            return self.alpha
        alphas, errors = {}, {}
        if self.static_path != "var":
            given = None if self.alpha == "auto" else [self.alpha]
            alphas["ridge"], errors["ridge"] = choose_direct_alpha(
                rows.segments, self.lags, self.horizon_, given
            )
        if self.static_path == "var" or (
            self.static_path == "auto" and network.var.n_series <= _VAR_INPUTS
        ):
            order = network.var.lags
            alphas["var"] = _var_alpha(self, self._observed(rows, order), order)
        if len(alphas) == 2:
            errors["var"] = self._var_error(network.var, rows, alphas["var"])
        kind = min(alphas, key=lambda kind: errors.get(kind, 0.0))
        network.by_var.fill_(kind == "var")
        return alphas[kind]

    def _var_error(self, var: nn.Module, rows: Rows, alpha: float) -> float:
        """Mean squared error of a VAR on the blocks that the direct ridge forecasts.

        Infinite for an explosive one, and where there are no such blocks.
        """
        var, errors = copy.deepcopy(var).double(), []
        _solve_var(var, self._observed(rows, var.lags), alpha)
        # Up to rounding, a unit root does not explode.
        if np.abs(roots(var.matrices.numpy())[-1]) <= 1 / (1 + 1e-6):
            return math.inf
        blocks = leave_blocks_out(
            rows.segments, self.lags, self.horizon_, order=var.lags
        )
        for training, held_out in blocks:
            _solve_var(var, Rows(training), alpha)
            recent = [values[self.lags - var.lags :] for values in held_out]
            windows = Windows(recent, var.lags, self.horizon_)
            errors.append(squared_errors(var, windows).mean().item())
        return np.mean(errors) if errors else math.inf

    def _observed(self, rows: Rows, order: int) -> Rows:
        """Rows without the copies of the first one that fill a short segment up.

        They make a window of it, but are no data for a VAR of fewer lags.
        """
        segments, starts = [], []
        for values in rows.segments:
            copies = 0
            if len(values) == self.lags + 1:
                copies = (values[1:] == values[0]).all(axis=1).cumprod().sum()
            starts.append(min(copies, len(values) - order - 1))
            segments.append(values[starts[-1] :])
        observed = rows.observed and [
            mask[start:] for mask, start in zip(rows.observed, starts, strict=True)
        ]
        return Rows(segments, observed=observed)

    def _solve_static(self, network: StaticPath, rows: Rows, alpha: float) -> None:
        if network.by_var:
            _solve_var(network.var, self._observed(rows, network.var.lags), alpha)
        else:
            weight = ridge_direct(rows.segments, self.lags, self.horizon_, alpha)
            network.weight.copy_(_as(network.weight, weight))

    def _var(self, past, step):
        return coefficients.local_var(self.network_, past, step)


class TokenModel(StaticPathModel):
    """A network whose tokens are made of several rows."""

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts("token_length", optional=True)

    def _sizes(self, n_series):
        return {**super()._sizes(n_series), "token_length": self._rows_in_token()}

    def _rows_in_token(self) -> int:
        if self.token_length is not None:
            return self.token_length
        return min(self._most_rows_in_token(), max(1, self.lags // _LEAST_TOKENS))

    def _most_rows_in_token(self) -> int:
        """By default."""
        return self.horizon_


class SAMoVARModel(TokenModel):
    """SAMoVAR beside a regression in closed form."""

    def _check_parameters(self):
        super()._check_parameters()
        check_scalar(self.scaled, "scaled", (bool, np.bool_))
        if self.centre not in ("auto", "token", "last"):
            raise ValueError(
                f"centre must be 'auto', 'token' or 'last', not {self.centre!r}."
            )

    def _new_network(self, n_series):
        return SAMoVAR(
            **self._sizes(n_series),
            scaled=self.scaled,
            predictor=self.predictor,
        )

    def _build(self, n_series, n_targets):
        if n_targets is None:
            return super()._build(n_series, n_targets)
        if not self.n_layers:
            return LinearAttentionVAR(
                lags=self.lags, n_series=n_series, n_targets=n_targets, n_layers=0
            )
        return Readout(
            self._new_network(n_series),
            lags=self.lags,
            n_series=n_series,
            n_targets=n_targets,
            start_at_zero=True,
        )

    def _estimate(self, network, rows, device, fresh):
        if rows.n_inputs is not None:
            return _estimate_under_ridge(self, network, rows, device, fresh)
        return super()._estimate(network, rows, device, fresh)

    def _prepare(self, network, training, fresh):
        """Centre windows on their last token or row, as the parameter or data say."""
        if not fresh and self.centre == "auto":
            return
        token = torch.full_like(network.centre, 1 / len(network.centre))
        last = torch.zeros_like(token)
        last[-1] = 1.0
        by_last = self.centre == "last"
        if self.centre == "auto":
            weights = [np.zeros((self.horizon_, self.lags)) for _ in range(2)]
            for weight, centre in zip(weights, (token, last), strict=True):
                weight[:, -len(centre) :] = centre.numpy()
            of_token, of_last = direct_errors(training.segments, weights)
            by_last = of_last < of_token
        network.centre.copy_(last if by_last else token)


class AarenModel(RecurrentModel, TokenModel):
    """Aaren beside a regression in closed form."""

    def _most_rows_in_token(self):
        return _ROWS_IN_TOKEN

    def _new_network(self, n_series):
        return AarenForForecasting(**self._sizes(n_series))


class LinearTransformerModel(TokenModel):
    """The misaligned linear Transformer beside a regression in closed form."""

    def _new_network(self, n_series):
        return LinearTransformer(**self._sizes(n_series))


class ITransformerModel(StaticPathModel):
    """The inverted Transformer beside a regression in closed form."""

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts("d_ff", optional=True)

    def _new_network(self, n_series):
        return ITransformer(**self._sizes(n_series), d_ff=self.d_ff)


class InformerModel(StaticPathModel):
    """Informer beside a regression in closed form."""

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts("factor")
        self._check_counts("d_ff", "label_len", optional=True)

    def _new_network(self, n_series):
        return Informer(
            **self._sizes(n_series),
            label_len=self.label_len,
            factor=self.factor,
            d_ff=self.d_ff,
        )


def _estimate_under_ridge(
    model: WindowModel,
    network: nn.Module,
    rows: Rows,
    device: torch.device,
    fresh: bool,
) -> TrainingRecord:
    """Train what is learned on top of a VAR in closed form, which is given."""
    static = network.static if isinstance(network, Readout) else network
    training, validation = model._split(rows, 1)
    alpha = model.alpha_ = _var_alpha(model, training, model.lags)
    _solve_var(static, training, alpha)
    n_windows = len(training.windows(network.lags, network.horizon))
    held_out = validation is not None or not model.early_stopping
    if not model.n_layers or not held_out or not n_windows:
        return TrainingRecord()
    gain = _REQUIRED_GAIN if fresh else 0.0
    record = model._train(network, training, validation, device, required_gain=gain)
    if validation is not None:
        _solve_var(static, rows, alpha)
    return record


def _var_alpha(model: WindowModel, rows: Rows, order: int) -> float:
    if model.alpha != "auto":
        return model.alpha
    return choose_var_alpha(rows.segments, order, rows.n_inputs)


def _solve_var(var: LinearAttentionVAR, rows: Rows, alpha: float) -> None:
    order = len(var.matrices)
    matrices, intercept = ridge_var(
        rows.segments, order, alpha, rows.n_inputs, rows.observed
    )
    var.matrices.copy_(_as(var.matrices, matrices))
    var.intercept.copy_(_as(var.intercept, intercept))


def _as(like: Tensor, array: np.ndarray) -> Tensor:
    # Cast on the CPU: not every device has float64.
    return torch.from_numpy(array).to(like.dtype)
