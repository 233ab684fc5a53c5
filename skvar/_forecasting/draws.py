"""What draws matrices of a fitted forecaster: posteriors, and refits of bootstraps."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler

from .._data.tables import as_frame
from .._data.units import deviations, units_of
from .._models.fitted import FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._training.randomness import draw_seed
from .._var.extraction import to_original_units
from .._var.process import Estimate
from .history import History, Schema, SeriesHistory
from .learning import rows_of
from .levels import Levels
from .state import ForecasterState


@dataclass(frozen=True)
class Posterior:
    """Draws of the matrices that forecast alone, in original units.

    Given the rows that they were estimated on, those of all instances of a panel. With
    covariates and other terms, these and their coefficients are drawn as well, given
    their effect where that is taken out before.
    """

    state: ForecasterState

    def __call__(self, n_draws: int, rng: np.random.Generator):
        state, member = self.state, self.state.single
        known, model = state.calibration, state.model
        if member.series.before is None:
            rows = rows_of(
                known.history, known.n_train, model.effect, state.filler, model.ordered
            )
        else:
            rows = Rows([member.series.before.sums])
        matrices, intercepts, covariances, *weights = model.draws(
            rows.segments, rows.observed, rows.design, n_draws, rng
        )
        scaler = member.series.scaler
        matrices, intercepts = to_original_units(matrices, intercepts, scaler, scaler)
        missing = model.specification.lags - matrices.shape[1]
        matrices = np.pad(matrices, [(0, 0), (0, missing), (0, 0), (0, 0)])
        covariances = covariances * np.outer(deviations(scaler), deviations(scaler))
        levels = Levels.of(member)
        if levels is None:
            return matrices, intercepts, covariances
        weights = weights[0] * scaler.scale_[:, np.newaxis] if weights else None
        intercepts, coefficients = levels.inside(matrices, intercepts, weights)
        return matrices, intercepts, covariances, coefficients


@dataclass(frozen=True)
class TrackedPosterior:
    """Draws of tracked matrices after a window, in original units.

    The static VAR and the covariance of the errors are taken as known: at any one time
    they are far better known than what few recent rows say about a drift.

    Parameters
    ----------
    model : FittedModel
        Whose matrices are tracked.
    rows : Tensor of shape (window_rows, n_series)
        The window, standardised.
    scaler : StandardScaler
        Of the series.
    estimate : Estimate
        Matrices, intercept and covariance that are the mean of the draws.
    """

    model: FittedModel
    rows: torch.Tensor
    scaler: StandardScaler
    estimate: Estimate

    @torch.no_grad()
    def __call__(self, n_draws: int, rng: np.random.Generator):
        network = copy.deepcopy(self.model.tracking).cpu().double()
        n_directions, *shape = network.tracker.directions.shape
        along = rng.standard_normal((n_draws, n_directions))
        free = rng.standard_normal((n_draws, *shape))
        normal = (torch.from_numpy(x) for x in (along, free))
        window = self.rows.cpu().double().unsqueeze(0)
        moves = network.within_order(network.drift_deviations(window, *normal))
        matrices, intercept, sigma_u = self.estimate
        zero = np.zeros_like(intercept)
        moves, means = to_original_units(moves.numpy(), zero, self.scaler, self.scaler)
        return (
            matrices + moves,
            intercept + means - self.scaler.mean_,
            np.broadcast_to(sigma_u, (n_draws, *sigma_u.shape)),
        )


@dataclass(frozen=True)
class Refit:
    """Estimate of the same specification on another table, for bootstraps.

    Simulated are all series, past covariates as well.

    Parameters
    ----------
    specification : Specification
    series : SeriesHistory, optional
        The rows that the table stands for, the last of them, where covariates or other
        terms act on these.
    """

    specification: Specification
    series: SeriesHistory | None = None

    def __call__(self, table: np.ndarray, seed: int):
        specification = replace(
            self.specification,
            seed=draw_seed(seed),
            verbose=0,
            on_interrupt="raise",
            checkpoint=None,
        )
        history = self._history(table)
        [series] = history.series.values()
        state = ForecasterState.learned(specification, history, series.index[-1])
        member = state.single
        matrices, intercept = member.average_matrices
        levels = Levels.of(member)
        if levels is None:
            return matrices, intercept, member.sigma_u
        intercept, coefficients = levels.inside(matrices, intercept, levels.weights)
        return matrices, intercept, member.sigma_u, coefficients

    def _history(self, table: np.ndarray) -> History:
        if self.series is None:
            frame = as_frame(table, "table")
            schema = Schema.of(frame, None, None, None)
            return History.start(schema, frame, None)
        start = self.series.table.to_numpy()[: len(self.series.index) - len(table)]
        values = np.concatenate([start, table])
        frame = pd.DataFrame(values, self.series.index, self.series.schema.names)
        series = replace(self.series, table=frame, scaler=units_of(values))
        return History(self.series.schema, {None: series}, [None])
