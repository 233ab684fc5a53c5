"""From a specification and rows to a fitted model."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._closed_form.direct import (
    DirectRidge,
    choose_direct_ridges,
    direct_errors,
    leave_blocks_out,
    ridge_direct,
)
from .._closed_form.error_correction import error_correction_var
from .._closed_form.forgetting import (
    DIRECTION_PENALTY,
    Tracking,
    choose_tracking,
    movement,
)
from .._closed_form.growth import restrained
from .._closed_form.ridge_var import (
    choose_var_alpha,
    path_error,
    ridge_var,
    ridge_var_with_terms,
)
from .._closed_form.sums import are_summed
from .._data.lazy import lazy
from .._data.windows import Windows
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.readout import Readout
from .._networks.samovar import SAMoVAR
from .._networks.static_path import StaticPath
from .._training.inference import squared_errors, windows_at_once
from .._training.loop import TrainingRecord, resolve_device, train
from .._training.randomness import Generators
from .._var.process import roots
from .families import (
    VAR_INPUTS,
    LinearAttentionVARSpecification,
    SAMoVARSpecification,
    StaticPathSpecification,
)
from .fitted import ClosedForm, FittedModel, built
from .memory import require_step, require_var
from .rows import Rows
from .specification import Specification

# Standard errors by which training must gain on a closed form to be kept: a rule of
# thumb, as gains of neighbouring windows may depend on each other.
_REQUIRED_GAIN = 3.0

# Steps from which a direct map from window to horizon may be better than a form in
# error-correction shape, whose forecasts are fed back.
_LONG_HORIZON = 24


def estimate(
    specification: Specification, rows: Rows, weights: dict | None = None
) -> FittedModel:
    """Estimate a network on standardised rows.

    Parameters
    ----------
    specification : Specification
    rows : Rows
    weights : dict, optional
        State of a network of the same sizes, from which training goes on.

    Returns
    -------
    FittedModel

    Raises
    ------
    ValueError
        If the device is not there, or the weights are those of other sizes.
    MemoryError
        If a VAR between all series, or a step of training on the CPU, takes more than
        is free.
    """
    device = resolve_device(specification.device)
    generators = Generators(specification.seed, device)
    is_var = isinstance(specification, LinearAttentionVARSpecification)
    kind = UnderVAR if is_var or rows.n_inputs is not None else BesideStaticPath
    lags = kind.lags_of_var(specification, rows)
    if lags is not None:
        require_var(specification, rows, lags)
    with torch.inference_mode(False), torch.enable_grad():
        network = built(specification, rows.sizes(), generators.cpu)
        if weights is not None:
            _load(network, weights)
        estimation = kind(specification, rows, device, generators, weights is None)
        closed_form, record = estimation.run(network)
    sizes = rows.sizes()
    model = FittedModel(specification, sizes, network.eval(), closed_form, record)
    if specification.form is not None and not model.network_weight:
        # What is fed back for many steps is not rounded on the way.
        network.cpu().double()
    return model


def with_weights(
    specification: Specification, sizes: tuple[int, int | None], weights: dict
) -> nn.Module:
    """The network of a specification with the weights of an earlier one."""
    network = built(specification, sizes, torch.Generator())
    _load(network, weights)
    return network.eval()


@dataclass(frozen=True)
class Estimation:
    """What an estimation begins with; ``fresh`` without weights of an earlier one."""

    specification: Specification
    rows: Rows
    device: torch.device
    generators: Generators
    fresh: bool

    @lazy
    def parts(self) -> tuple[Rows, Rows | None]:
        """Training and validation rows, as early stopping and depth ask for.

        Segments that are too short to hold any rows out serve training alone.
        """
        specification = self.specification
        if not specification.holds_rows_out:
            return self.rows, None
        return self.rows.split(
            specification.window_rows,
            specification.steps_learned,
            specification.validation_fraction,
        )

    @property
    def has_windows(self) -> bool:
        """Whether training rows hold a window and the horizon."""
        specification = self.specification
        width = specification.lags + specification.steps_learned
        return self.parts[0].longest() >= width

    def is_worth_training(self, network: nn.Module) -> bool:
        """Whether a network beside a closed form may improve on it.

        Not where nothing is held out to see that, nor where automatic lags leave few
        windows.
        """
        specification, (training, validation) = self.specification, self.parts
        if validation is None and specification.early_stopping:
            return False
        n_windows = len(training.windows(network.lags, network.horizon))
        return specification.suffices_for_training(n_windows)

    def train(
        self,
        network: nn.Module,
        training: Rows,
        validation: Rows | None,
        *,
        required_gain: float = 0.0,
        max_epochs: int | None = None,
    ) -> TrainingRecord:
        """Train on windows of the rows of `parts`, or of all."""
        specification, n_series = self.specification, self.n_series
        training = training.windows(network.lags, network.horizon)
        if self.device.type == "cpu":
            require_step(network, training, specification.step_size(n_series))
        if validation is not None:
            validation = self.scored(validation, network.lags, network.horizon)
        options = specification.options(
            self.device,
            max_epochs or specification.epochs(len(training), n_series),
            specification.step_size(n_series),
            required_gain,
            specification.epoch_size(n_series),
        )
        return train(network, training, validation, options, self.generators)

    @property
    def n_series(self) -> int:
        """Series of the table."""
        return self.rows.sizes()[0]

    def scored(self, rows: Rows, lags: int, horizon: int) -> Windows:
        """Windows that training is scored on: some of those of many series."""
        windows = rows.windows(lags, horizon)
        stride = self.specification.scored_stride(len(windows), self.n_series)
        return windows.every(stride)

    def solve_var(
        self, var: LinearAttentionVAR, rows: Rows, alpha: float | None
    ) -> ClosedForm:
        """Solve a VAR in closed form, in place; ``alpha`` is that of a ridge VAR."""
        specification, weights = self.specification, None
        if specification.form is not None:
            matrices, intercept, evidence = error_correction_var(
                rows.segments, specification.form, rows.observed
            )
        elif rows.design is not None:
            matrices, intercept, weights, evidence = ridge_var_with_terms(
                rows.segments, var.order, alpha, rows.design
            )
        else:
            matrices, intercept, evidence = ridge_var(
                rows.segments, var.order, alpha, rows.n_inputs, rows.observed
            )
        automatic = specification.alpha == "auto" and rows.design is None
        if automatic and rows.n_inputs is None:
            matrices, intercept = restrained(matrices, intercept, rows.segments)
        var.matrices.copy_(_as(var.matrices, matrices))
        var.intercept.copy_(_as(var.intercept, intercept))
        return ClosedForm(alpha, evidence, weights=weights)

    def var_alpha(self, rows: Rows, order: int) -> float | None:
        """Penalty of a ridge VAR; None for one in error-correction form."""
        if self.specification.form is not None:
            return None
        if self.specification.alpha != "auto":
            return self.specification.alpha
        return choose_var_alpha(rows.segments, order, rows.n_inputs, rows.design)


class UnderVAR(Estimation):
    """What is learned on top of a VAR in closed form, which is given."""

    @staticmethod
    def lags_of_var(specification: Specification, rows: Rows) -> int:
        """Lags of the VAR between all series."""
        return specification.lags

    def run(self, network: nn.Module) -> tuple[ClosedForm, TrainingRecord]:
        """Estimate ``network`` in place; return what was solved and how it trained."""
        specification = self.specification
        var = network.static if isinstance(network, Readout) else network
        training, validation = self.parts
        alpha = self.var_alpha(training, specification.lags)
        if not specification.n_layers or not self.is_worth_training(network):
            return self.solve_var(var, self.rows, alpha), TrainingRecord()
        solved, tracking = self.solve_var(var, training, alpha), None
        if self.rows.design is not None:
            training, validation = (
                rows and rows.less(solved.weights) for rows in (training, validation)
            )
        if self.fresh and var is network and network.tracker is not None:
            tracking = self.choose_tracking(network, training.at_hand(), alpha)
            self.start_tracking(network, training.at_hand(), tracking)
        record = self.train(network, training, validation, required_gain=_REQUIRED_GAIN)
        if validation is not None:
            solved = self.solve_var(var, self.rows, alpha)
            if not record.best_epoch:
                self.start_tracking(network, self.rows.at_hand(), tracking)
        return solved, record

    def choose_tracking(
        self, network: LinearAttentionVAR, rows: Rows, alpha: float | None
    ) -> Tracking | None:
        """How matrices are best tracked; each half of the rows judges for the other."""
        halves = rows.halves()
        folds = []
        for fitted, others in (halves, halves[::-1]):
            # A VAR of few rows is not the one that is tracked later.
            if fitted.longest() < 4 * network.lags:
                return None
            var = copy.deepcopy(network)
            self.solve_var(var, fitted, alpha)
            folds.append((_errors(var, fitted), _errors(var, others)))
        n_directions = len(network.tracker.directions)
        return choose_tracking(folds, network.lags - network.order, n_directions)

    def start_tracking(
        self, network: nn.Module, rows: Rows, tracking: Tracking | None
    ) -> None:
        """Let the network begin with matrices that are tracked in closed form."""
        if tracking is None:
            return
        tracker, n_rows = network.tracker, network.lags - network.order
        moved = movement(_errors(network, rows), n_rows, tracking.n_directions)
        tracker.start_at(
            tracking.decay,
            tracking.penalty,
            DIRECTION_PENALTY,
            _as(tracker.factor, moved.directions),
            _as(tracker.factor, moved.factor),
            _as(tracker.factor, moved.centre),
            _as(tracker.factor, moved.uncertainty),
        )


class BesideStaticPath(Estimation):
    """A network beside a regression in closed form, and the weights of the two."""

    @staticmethod
    def lags_of_var(specification: StaticPathSpecification, rows: Rows) -> int | None:
        """Lags of the VAR between all series; None where there is none."""
        n_series, kind = rows.sizes()[0], specification.static_path
        if kind == "var" or (kind == "auto" and n_series <= VAR_INPUTS):
            return specification.var_order(n_series)
        return None

    specification: StaticPathSpecification

    def run(self, network: nn.Module) -> tuple[ClosedForm, TrainingRecord]:
        """Estimate ``network`` in place; return what was solved and how it trained."""
        specification = self.specification
        has_static = specification.static_path is not None
        learned = network.network if has_static else network
        if isinstance(learned, SAMoVAR) and self.has_windows:
            self._centre(learned)
        if not has_static:
            return ClosedForm(), self._train_again(network)
        penalty = self._choose_static(network)
        solved_on = self.rows if specification.retrain else self.parts[0]
        # Of what looks like random walks, a network learns noise.
        walks = not network.is_var and all(one.repeats_last for one in penalty)
        if not specification.n_layers or walks or not self.is_worth_training(network):
            network.static_weight.fill_(1.0)
            return self._solve_static(network, solved_on, penalty), TrainingRecord()
        self._solve_static(network, self.parts[0], penalty)
        network.static_weight.fill_(0.5)
        record = self._train_again(learned, mix=network)
        return self._solve_static(network, solved_on, penalty), record

    def _centre(self, network: SAMoVAR) -> None:
        """Centre windows on their last token or row, as the parameter or data say."""
        specification = self.specification
        assert isinstance(specification, SAMoVARSpecification)
        if not self.fresh and specification.centre_on == "auto":
            return
        token = torch.full_like(network.centre, 1 / len(network.centre))
        last = torch.zeros_like(token)
        last[-1] = 1.0
        by_last = specification.centre_on == "last"
        if specification.centre_on == "auto":
            sizes = specification.horizon, int(specification.lags)
            weights = [np.zeros(sizes) for _ in range(2)]
            for weight, centre in zip(weights, (token, last), strict=True):
                weight[:, -len(centre) :] = centre.numpy()
            of_token, of_last = direct_errors(self.parts[0].segments, weights)
            by_last = of_last < of_token
        network.centre.copy_(last if by_last else token)

    def _train_again(
        self, network: nn.Module, mix: StaticPath | None = None
    ) -> TrainingRecord:
        """Train, weigh against the static path, and with ``retrain`` train on all rows.

        The second training begins where the first began.
        """
        specification, (training, validation) = self.specification, self.parts
        start = copy.deepcopy(network.state_dict())
        record = self.train(network, training, validation)
        if validation is None:
            return record
        if mix is not None:
            mix.to(self.device)
            windows = self.scored(validation, specification.lags, specification.horizon)
            mix.fit_static_weight(
                windows.to(self.device).batches(windows_at_once(self.n_series)),
                windows.stride,
            )
            if self.fresh and not record.best_epoch:
                mix.static_weight.fill_(1.0)
        used = mix is None or not mix.static_only
        again = specification.retrain and not record.interrupted
        if again and used and record.best_epoch:
            kept = copy.deepcopy(network.state_dict())
            network.load_state_dict(start)
            whole = self.train(network, self.rows, None, max_epochs=record.best_epoch)
            if whole.n_epochs < record.best_epoch:
                network.load_state_dict(kept)
        return record

    def _choose_static(self, network: StaticPath) -> list[DirectRidge] | float | None:
        """Choose the kind of static path, if asked to, and return its penalty.

        By the error on blocks left out; the ridge where there are none.
        """
        specification, (rows, _) = self.specification, self.parts
        alphas: dict[str, Any] = {}
        errors: dict[str, float] = {}
        is_short = specification.horizon < _LONG_HORIZON
        given_up = specification.form is not None and is_short
        asked_for = specification.static_path == "ridge"
        if asked_for or (
            specification.static_path == "auto" and self.has_windows and not given_up
        ):
            given = None if specification.alpha == "auto" else [specification.alpha]
            alphas["ridge"], errors["ridge"] = choose_direct_ridges(
                rows.segments, specification.lags, specification.horizon, given
            )
        if specification.static_path == "var" or (
            specification.static_path == "auto" and network.var.n_series <= VAR_INPUTS
        ):
            order = network.var.lags
            unpadded = rows.without_padding(specification.lags, order)
            alphas["var"] = self.var_alpha(unpadded, order)
        if len(alphas) == 2:
            errors["var"] = self.var_error(network.var, alphas["var"])
            if specification.form is not None and math.isinf(errors["var"]):
                # On so few rows, it is the form whose evidence is known.
                errors["var"] = -math.inf
        kind = min(alphas, key=lambda kind: errors.get(kind, 0.0))
        network.is_var.fill_(kind == "var")
        return alphas[kind]

    def var_error(self, var: nn.Module, alpha: float | None) -> float:
        """Mean squared error of a VAR on the blocks that the direct ridge forecasts.

        Infinite for an explosive one, and where there are no such blocks.
        """
        specification, (rows, _) = self.specification, self.parts
        var, errors = copy.deepcopy(var).double(), []
        if specification.form is None:
            self.solve_var(
                var, rows.without_padding(specification.lags, var.lags), alpha
            )
            # Up to rounding, a unit root does not explode.
            if np.abs(roots(var.matrices.numpy())[-1]) <= 1 / (1 + 1e-6):
                return math.inf
        blocks = leave_blocks_out(
            rows.segments, specification.lags, specification.horizon, order=var.lags
        )
        for training, held_out in blocks:
            form = specification.form
            if form is not None and max(map(len, training)) <= form.first:
                return math.inf
            self.solve_var(var, Rows(training), alpha)
            recent = [values[specification.lags - var.lags :] for values in held_out]
            if are_summed(recent):
                matrices, intercept = var.matrices.numpy(), var.intercept.numpy()
                horizon = specification.horizon
                errors.append(path_error(recent, matrices, intercept, horizon))
                continue
            windows = Windows(recent, var.lags, specification.horizon)
            errors.append(squared_errors(var, windows).mean().item())
        return np.mean(errors) if errors else math.inf

    def _solve_static(
        self, network: StaticPath, rows: Rows, penalty: list[DirectRidge] | float | None
    ) -> ClosedForm:
        lags, horizon = self.specification.lags, self.specification.horizon
        if network.is_var:
            unpadded = rows.without_padding(lags, network.var.lags)
            return self.solve_var(network.var, unpadded, penalty)
        matrices = ridge_direct(rows.segments, lags, horizon, penalty)
        network.matrices = _as(network.matrices, matrices)
        return ClosedForm(penalty[0].alpha, ridges=tuple(penalty))


@torch.no_grad()
def _errors(network: LinearAttentionVAR, rows: Rows) -> list:
    """Errors of a static VAR on each segment, and lagged rows before them."""
    network, found = copy.deepcopy(network).cpu().double(), []
    for values in rows.segments:
        if len(values) > network.order:
            window = torch.from_numpy(values).double()
            errors, lagged, _ = network.errors_of(window.unsqueeze(0))
            found.append((errors[0].numpy(), lagged[0].numpy()))
    return found


def _as(buffer: Tensor, array: np.ndarray) -> Tensor:
    # Cast on the CPU: not every device has float64.
    return torch.from_numpy(array).to(buffer.dtype)


def _load(network: nn.Module, weights: dict) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            "Training goes on from the network of the last fit (warm_start=True, or "
            "update) or of pretrain, but its sizes do not fit the present parameters "
            "or data; put lags, horizon, static_path, what else sets a size of the "
            "network (such as n_layers or d_model) and the series back, or fit a new "
            "forecaster."
        ) from error
