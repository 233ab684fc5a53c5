"""All that a fitted forecaster knows, as one value that is replaced as a whole."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from .._data.lazy import Recomputable, lazy
from .._data.windows import Windows
from .._models.fitted import FittedModel
from .._models.specification import Specification
from .._typing import Table
from .calibration import Calibration, KnownErrors, rows_after
from .fitted_series import FittedSeries
from .history import History
from .learning import learn
from .residuals import Filler


@dataclass(frozen=True, eq=False)
class ForecasterState(Recomputable):
    """A fitted model, the history up to a time, and what calibrates intervals.

    Parameters
    ----------
    model : FittedModel
    history : History
    cutoff : label of the time index
        The present time.
    n_train : mapping of label to int
        Rows of each table that the model was estimated on.
    calibration : Calibration or KnownErrors
    filler : Filler
    online_forecasts : dict
        Forecasts after rows that came since, by instance and number of steps: they stay
        valid until the model learns again.
    """

    model: FittedModel
    history: History
    cutoff: object
    n_train: Mapping[Hashable, int]
    calibration: Calibration | KnownErrors
    filler: Filler
    online_forecasts: dict = field(default_factory=dict)

    @classmethod
    def learned(
        cls,
        specification: Specification,
        history: History,
        cutoff,
        *,
        start: FittedModel | None = None,
        pretrained: FittedModel | None = None,
        units: Mapping[Hashable, StandardScaler] | None = None,
    ) -> "ForecasterState":
        """Learn from the rows up to a time, as by `learn`."""
        n_train = history.n_rows(cutoff)
        model, history = learn(
            specification,
            history,
            n_train,
            start=start,
            pretrained=pretrained,
            units=units,
        )
        # Intervals of a model that was not trained to its end would be another's.
        to_the_end = replace(specification, on_interrupt="raise")
        calibration = Calibration(to_the_end, history, n_train, pretrained)
        filler = Filler(
            model.fill_weights,
            history,
            n_train,
            model.effect,
            model.specification.lags,
        )
        return cls(model, history, cutoff, n_train, calibration, filler)

    def learn_again(
        self, specification: Specification, pretrained: FittedModel | None = None
    ) -> "ForecasterState":
        """Train on from the present network on all rows up to now."""
        for series in self.history.series.values():
            series.check_whole("Learning from further rows")
        return ForecasterState.learned(
            specification,
            self.history,
            self.cutoff,
            start=self.model,
            pretrained=pretrained,
            units=self.history.units,
        )

    def append(self, y: pd.DataFrame, X: pd.DataFrame | None, cutoff):
        """Further rows, of which the model only forecasts the next ones."""
        history, revised = self.history.append(y, X)
        calibration, filler = self.calibration, self.filler
        # An instance of a panel keeps those of the panel.
        if calibration.history is self.history:
            calibration, filler = calibration.on(history), filler.on(history)
            calibration = calibration.anew() if revised else calibration
        return replace(
            self,
            history=history,
            cutoff=cutoff,
            calibration=calibration,
            filler=filler,
            online_forecasts={} if revised else dict(self.online_forecasts),
        )

    def only(self, key: Hashable) -> "ForecasterState":
        """That of one instance of a panel, whose calibration it shares."""
        online = {
            (None, n_steps): forecasts
            # Another thread may add to them.
            for (name, n_steps), forecasts in dict(self.online_forecasts).items()
            if name == key
        }
        return replace(
            self,
            history=self.history.only(key),
            n_train={None: self.n_train.get(key, 0)},
            online_forecasts=online,
        )

    @lazy
    def members(self) -> dict[Hashable, FittedSeries]:
        """The model on the history of each instance; of a single table under None."""
        return {
            key: FittedSeries(
                self.model,
                series,
                self.filler,
                series.position(self.cutoff),
                self.n_train.get(key, 0),
            )
            for key, series in self.history.series.items()
        }

    def learned_from(self) -> Iterator[FittedSeries]:
        """The model on the tables that it was estimated on, in an order of its own.

        Those of the whole panel for one instance of it.
        """
        history, n_train = self.calibration.history, self.calibration.n_train
        for key in history.in_order(n_train):
            if history is self.history:
                yield self.members[key]
                continue
            series, n_rows = history.series[key], n_train[key]
            yield FittedSeries(self.model, series, self.filler, n_rows - 1, n_rows)

    @lazy
    def densities(self) -> dict:
        """Errors of forecasts where the model's own shocks tell, as of `errors_of`."""
        return {}

    @property
    def single(self) -> FittedSeries:
        """The model on the only table."""
        return self.members[None]

    def on_new(self, table: pd.DataFrame, name: str) -> FittedSeries:
        """The model on a table that may be new to a panel, in units of its own."""
        series = self.history.beside(table, name=name)
        return FittedSeries(self.model, series, self.filler, len(table) - 1, 0)

    def frame(
        self, table: Table, name: str, X: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """A table with past covariates, checked, and long enough for a window."""
        table = self.history.join_past(table, name, X)
        frame, needed = self.history.check_table(table, name), self.model.window_rows
        if len(frame) < needed:
            raise ValueError(
                f"{name} has {len(frame)} row(s), but the forecaster sees windows of "
                f"{needed}; pass at least {needed} rows."
            )
        return frame

    def windows(self, Y: Table | None = None, *, for_errors: bool = False) -> Windows:
        """Windows without a future over a table of the series alone, or the history.

        Those for errors need all that forecasts of the rows depend on.
        """
        known = self.history.schema.known
        if Y is None:
            return self.single.windows()
        if for_errors and self.model.terms is not None:
            raise ValueError(
                "Y alone is not enough: errors on it need the terms that trend, "
                "seasonal or covariate_lags order. Leave Y out for those on the "
                "history."
            )
        if known and self.model.effect is not None:
            raise ValueError(
                f"Y alone is not enough: the forecaster was fitted with covariates "
                f"{known}, and its matrices are those of the series less their effect. "
                "var_coefficients and compare_with_ols take the history where Y is "
                "left out."
            )
        frame, rows = self.frame(Y, "Y"), self.model.window_rows
        return self.single.residual.windows_of(frame, None, rows)

    def online_errors(
        self, key: Hashable, n_steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Origins since the training and errors (n_origins, n_steps, n_targets).

        Standardised.
        """
        member = self.members[key]
        origins = np.arange(max(member.n_train, 1) - 1, member.n_known - 1)
        none = np.empty((0, n_steps, len(member.schema.names)))
        forecasts = self.online_forecasts.get((key, n_steps), none)
        new = origins[len(forecasts) :]
        if len(new):
            later = member.forecasts_after(new, n_steps)
            forecasts = np.concatenate([forecasts, later])
            # Terms of later rows are not known yet, but will be.
            if self.model.terms is None:
                self.online_forecasts[key, n_steps] = forecasts
        rows = member.residual.rows[: member.n_known]
        errors = rows_after(rows, origins, n_steps) - forecasts[: len(origins)]
        return origins, errors[..., member.schema.shown] / member.scale

    def __getstate__(self):
        # They follow from the model and the history.
        return {**super().__getstate__(), "online_forecasts": {}}
