"""What a fitted regressor knows: a model, units, and the rows of each segment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.preprocessing import StandardScaler

from .._data.lazy import Recomputable, lazy
from .._data.units import (
    in_original_units,
    standardise,
    units_of,
    varying_in,
    with_moved,
)
from .._data.windows import Windows, windows_ending_at
from .._var.extraction import read_only, to_original_units
from .fitted import FittedModel
from .rows import Rows
from .stream import Stream

# Windows that go through a network at once.
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Units:
    """Units of ``X`` and of ``y``, and the dimensions of that."""

    scaler: StandardScaler
    y_scaler: StandardScaler | None
    is_flat: bool

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray | None, rows: np.ndarray) -> "Units":
        """Those of some rows, of all where columns do not vary on these."""
        scaler = varying_in(units_of(X[rows]), units_of(X))
        if y is None:
            return cls(scaler, None, False)
        targets = columns_of(y)
        y_scaler = varying_in(units_of(targets[rows]), units_of(targets))
        return cls(scaler, y_scaler, y.ndim == 1)

    def after(self, X: np.ndarray, y: np.ndarray | None) -> "Units":
        """The same after further rows, for what was constant before and moves."""
        y_scaler = y if y is None else with_moved(self.y_scaler, columns_of(y))
        return replace(self, scaler=with_moved(self.scaler, X), y_scaler=y_scaler)

    def check_target(self, y: np.ndarray | None) -> None:
        """Raise unless ``y`` is as it was before."""
        before = 0 if self.y_scaler is None else len(self.y_scaler.mean_)
        now = 0 if y is None else columns_of(y).shape[1]
        if before != now or (now and self.is_flat != (y.ndim == 1)):
            raise ValueError(
                f"Training goes on from a fit with {before} target(s) in y, not {now}, "
                "or with y of other dimensions; pass the same, or fit anew with "
                "warm_start=False."
            )

    def appended(
        self,
        history: Mapping[object, np.ndarray],
        X: np.ndarray,
        y: np.ndarray | None,
        parts: Mapping[object, np.ndarray],
    ) -> dict[object, np.ndarray]:
        """Each segment's standardised rows, of series and of targets beside them."""
        longer = dict(history)
        for label, rows in parts.items():
            table = standardise(X[rows], self.scaler)
            if y is not None:
                targets = standardise(columns_of(y)[rows], self.y_scaler)
                table = np.column_stack([table, targets])
            if label in history:
                table = np.concatenate([history[label], table])
            longer[label] = table
        return longer

    def rows(self, history: Mapping[object, np.ndarray], lags: int) -> Rows:
        """The history as a model wants it: targets one row below their windows.

        Segments shorter than one window and its target begin with their first row
        repeated.
        """
        n_inputs = None if self.y_scaler is None else len(self.scaler.mean_)
        tables = []
        for table in history.values():
            if n_inputs is not None:
                series = np.concatenate([table[:, :n_inputs], table[-1:, :n_inputs]])
                targets = np.concatenate([table[:1, n_inputs:], table[:, n_inputs:]])
                table = np.column_stack([series, targets])
            elif len(table) == 1:
                continue  # one row has no next row to learn from
            missing = max(0, lags + 1 - len(table))
            tables.append(np.concatenate([table[:1].repeat(missing, axis=0), table]))
        if not tables:
            raise ValueError(
                "No segment has two rows: without y there is no next row to learn "
                "from. Pass longer segments, or y."
            )
        return Rows(tables, n_inputs)


@dataclass(frozen=True, eq=False)
class FittedRegression(Recomputable):
    """All that a fitted regressor knows, as one value.

    Parameters
    ----------
    model : FittedModel
    units : Units
    history : mapping of label to ndarray
        Standardised rows of each segment, with targets beside them.
    dtype : dtype
        Of predictions.
    averages : tuple of ndarray, optional
        Matrices and intercepts over all windows of a history that is left out.
    """

    model: FittedModel
    units: Units
    history: Mapping[object, np.ndarray]
    dtype: np.dtype
    averages: tuple[np.ndarray, np.ndarray] | None = None

    def without_history(self) -> "FittedRegression":
        """The same without rows, which only learning from further ones needs."""
        return replace(self, history={}, averages=self.average_matrices)

    @property
    def scaler(self) -> StandardScaler:
        """Of ``X``."""
        return self.units.scaler

    @property
    def y_scaler(self) -> StandardScaler | None:
        """Of ``y``."""
        return self.units.y_scaler

    @property
    def is_flat(self) -> bool:
        """Whether ``y`` had one dimension."""
        return self.units.is_flat

    @property
    def target_scaler(self) -> StandardScaler:
        """Of what the network returns."""
        return self.y_scaler or self.scaler

    def standardised(self, X: np.ndarray) -> np.ndarray:
        """Rows of series in units of the scaler."""
        return standardise(X, self.scaler)

    def in_units(self, values: np.ndarray) -> np.ndarray:
        """What the network returns, in original units."""
        return in_original_units(values, self.target_scaler)

    def after(self, past: np.ndarray, steps: int) -> np.ndarray:
        """Forecasts (B, steps, n_targets) after standardised windows."""
        return self.in_units(self.model.inference.after_windows(past, steps))

    def predictions(
        self, X: np.ndarray, parts: Mapping[object, np.ndarray]
    ) -> np.ndarray:
        """Predictions (n_rows, n_targets) of every row from the rows up to it."""
        parts = list(parts.values())
        order, lengths = np.concatenate(parts), [len(part) for part in parts]
        first = np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = self.standardised(X[order])
        n_targets = len(self.target_scaler.mean_)
        out = np.empty((len(X), n_targets), np.result_type(X, self.dtype))
        for begin in range(0, len(X), _BATCH):
            ends = np.arange(begin, min(begin + _BATCH, len(X)))
            past = windows_ending_at(values, ends, self.model.window_rows, first[ends])
            out[order[ends]] = self.after(past, 1)[:, 0]
        return out

    def matrices(
        self, windows: Windows, used=None, step: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Matrices and intercepts of windows in original units, batch by batch."""
        for parts in self.model.matrices(windows, used, step):
            yield to_original_units(*parts, self.scaler, self.target_scaler)

    @lazy
    def average_matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages over the windows of the history, read-only."""
        if self.averages is not None:
            return read_only(self.averages)
        rows = self.units.rows(self.history, self.model.window_rows)
        windows = Windows(
            rows.segments, self.model.window_rows, 1, n_inputs=rows.n_inputs
        )
        averages = self.model.average_matrices(windows)
        return read_only(to_original_units(*averages, self.scaler, self.target_scaler))

    def stream(self, names) -> Stream:
        """Predict one new row at a time."""
        return Stream(RegressionStep(self.model.on_cpu(), self.units, names))


@dataclass(frozen=True, eq=False)
class RegressionStep:
    """How a stream takes the next row."""

    model: FittedModel
    units: Units
    names: np.ndarray | None

    takes_missing = False

    @property
    def n_series(self) -> int:
        """Numbers in a row."""
        return len(self.units.scaler.mean_)

    def __call__(self, state, row: np.ndarray) -> tuple:
        """State and prediction after a row in original units."""
        scaled = standardise(row[np.newaxis], self.units.scaler)
        state, [target] = self.model.step(state, scaled)
        scaler = self.units.y_scaler or self.units.scaler
        target = in_original_units(target, scaler)
        return state, target[0] if self.units.is_flat else target


def columns_of(y, dtype=float) -> np.ndarray:
    return np.asarray(y, dtype=dtype).reshape(len(y), -1)
