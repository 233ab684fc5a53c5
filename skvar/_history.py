"""The rows that a forecaster has seen, and how its network sees them."""

import copy
import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from sktime.forecasting.base import ForecastingHorizon

from ._closed_form.covariates import KnownCovariates
from ._closed_form.fill import fill, fill_weights
from ._data.tables import (
    as_frame,
    check_continues,
    check_observed,
    common_step,
    continue_index,
    join_panel,
    position,
    precede_index,
    split_panel,
)
from ._data.windows import Windows
from ._model import Rows

# An effect is fitted to rows that the fit before helped to fill. Each pass leaves about
# as large a share of the error as there are missing values.
_PASSES = 5


class History:
    """Tables of a single series or of the instances of a panel, in original units.

    ``_tables`` holds them by instance, a single one under None: the series of ``y``,
    then past covariates. ``_inputs`` holds the known covariates of the same rows. What
    a network sees is the rest when the effect of these is taken out, in units of the
    scaler, filled where values are missing.
    """

    # Of an instance of a panel, the forecaster of all and the instance.
    _whole = _key = None

    # tables

    def _take(self, y: pd.DataFrame, X: pd.DataFrame | None) -> None:
        """Begin a history with tables and covariates, and learn their units."""
        warm = hasattr(self, "network_")
        past = self._past_of(X)
        tables, self._levels = split_panel(y), list(y.index.names)
        self._step = common_step({name_of(key): tables[key].index for key in tables})
        if not warm:
            _check_distinct(past, y.columns)
            self._targets = y.columns
            self.feature_names_in_ = y.columns.append(pd.Index(past))
        self.n_features_in_ = len(self.feature_names_in_)
        self._known = self._known_covariates(X)
        self._computed, self._n_learned, self._fill = {}, {}, None
        self._tables, self._inputs = self._beside(tables, X)
        before = self.scaler_ if warm else {}
        before = before if isinstance(before, dict) else {None: before}
        scalers = {
            key: before.get(key) or units_of(table, name_of(key))
            for key, table in self._tables.items()
        }
        self.scaler_ = scalers.get(None, scalers)
        self._n_learned = self._n_rows()
        self._learn_effect()

    def _extend_by(self, y: pd.DataFrame, X: pd.DataFrame | None) -> None:
        """Append rows, or replace those of the same times."""
        if y.index.nlevels != len(self._levels):
            raise ValueError(
                f"y has {y.index.nlevels - 1} level(s) of instances, but the table or "
                f"panel of fit has {len(self._levels) - 1}; pass one like that. Of a "
                "panel, instance(key) takes the rows of one instance."
            )
        tables, inputs = self._beside(split_panel(y), X)
        # What shares these so far, such as an instance, goes its own way.
        for name in ("_tables", "_inputs", "_later", "scaler_"):
            setattr(self, name, copy.copy(getattr(self, name)))
        for key, rows in tables.items():
            if key not in self._tables:
                self._tables[key] = rows
                self.scaler_[key] = units_of(rows, name_of(key))
                self._inputs |= {key: inputs[key]} if inputs else {}
                continue
            self._tables[key] = self._appended(self._tables[key], rows)
            if inputs:
                self._inputs[key] = self._appended(self._inputs[key], inputs[key])
        self._computed = {}

    def _appended(self, table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
        first_new = continue_index(table.index, self._step, 1)[0]
        if rows.index[0] < table.index[0]:
            raise ValueError(
                f"y begins at {rows.index[0]}, before the history, which begins at "
                f"{table.index[0]}; pass later rows, or fit anew."
            )
        if rows.index[0] > first_new:
            raise ValueError(
                f"y begins at {rows.index[0]}, but the history ends at "
                f"{table.index[-1]}: the rows from {first_new} on are missing. Pass "
                "them as well, or fit anew."
            )
        replaced = table.index.isin(rows.index)
        same = rows[rows.index.isin(table.index)]
        if not np.array_equal(table[replaced], same, equal_nan=True):
            self._calibration, self._later = {}, {}
        longer = pd.concat([table[~replaced], rows]).sort_index()
        check_continues(longer.index, table.index, self._step, "the history with y")
        return longer

    def _first_rows(
        self, n_rows: Mapping[Hashable, int]
    ) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """What a fit takes, of the first rows of each table."""
        series, covariates = {}, {}
        for key in (key for key, n in n_rows.items() if n):
            table = self._tables[key].iloc[: n_rows[key]]
            series[key] = table[self._targets]
            past = table.drop(columns=self._targets)
            known = self._inputs[key].loc[table.index] if self._inputs else past[[]]
            # A feature of the calendar may be called like a column of X.
            n_names = 0 if self._known is None else len(self._known.names)
            covariates[key] = pd.concat([past, known.iloc[:, :n_names]], axis=1)
        X = join_panel(covariates, self._levels)
        return join_panel(series, self._levels), X if X.shape[1] else None

    def _see(self, other: "History", n_rows: int) -> None:
        """Take on the first rows of another single table."""
        self._tables = {None: other._tables[None].iloc[:n_rows]}
        if self._inputs:
            self._inputs = {None: other._inputs[None].iloc[:n_rows]}
        self._computed = {}

    def _check_table(
        self, table, name: str, columns: pd.Index | None = None
    ) -> pd.DataFrame:
        """A table as a frame of the known series, on the known grid of times."""
        if columns is None:
            columns = getattr(self, "feature_names_in_", None)
        frame = as_frame(table, name, columns, missing=True)
        if self.is_fitted and not isinstance(table, np.ndarray):
            like = next(iter(self._tables.values())).index
            check_continues(frame.index, like, self._step, name)
        return frame

    # covariates

    def _past_of(self, X: pd.DataFrame | None) -> list:
        """Names of past covariates, which a table of covariates must have."""
        past = list(dict.fromkeys(_names(self.past_covariates)))
        missing = past if X is None else [name for name in past if name not in X]
        if missing:
            raise ValueError(
                f"past_covariates names {missing}, which X does not have; pass them in "
                "X, or leave them out."
            )
        return past

    @property
    def _past_names(self) -> pd.Index:
        return self.feature_names_in_[len(self._targets) :]

    def _known_covariates(self, X: pd.DataFrame | None) -> KnownCovariates | None:
        if hasattr(self, "pretrained_covariates_"):
            return self.pretrained_covariates_
        names = pd.Index([]) if X is None else X.columns
        names = names.drop(self._past_of(X))
        calendar = _names(self.calendar)
        if not len(names) and not calendar:
            return None
        return KnownCovariates(names, calendar, self._step)

    def _beside(
        self, tables: Mapping[Hashable, pd.DataFrame], X: pd.DataFrame | None
    ) -> tuple[dict, dict]:
        """Tables with their past covariates, and tables of known covariates."""
        past = self._past_names
        if not len(past) and self._known is None:
            return dict(tables), {}
        parts, inputs, longer = split_panel(X), {}, {}
        for key, table in tables.items():
            part = self._covariates_at(parts.get(key), table.index, [*past], key)
            longer[key] = pd.concat([table, part[past]], axis=1)
            if self._known is not None:
                inputs[key] = self._known.table(part, table.index)
        return longer, inputs

    def _covariates_at(
        self,
        X: pd.DataFrame | None,
        times: pd.Index,
        past: Sequence = (),
        key: Hashable | None = None,
    ) -> pd.DataFrame:
        """Rows of a table of covariates, which must have those of all times."""
        known = [] if self._known is None else [*self._known.names]
        names = [*past, *known]
        if not names:
            return pd.DataFrame(index=times)
        name = name_of(self._key if key is None else key, "X")
        if X is None:
            raise ValueError(
                f"{name} is missing: the forecaster was fitted with covariates "
                f"{names}. Pass their rows from {times[0]} to {times[-1]}."
            )
        X = as_frame(X, name, missing=True)
        all_names = [*self._past_names, *known]
        strange = [column for column in X.columns if column not in all_names]
        missing = [column for column in names if column not in X.columns]
        if strange or missing:
            raise ValueError(
                f"{name} has columns {[*X.columns]}, but the forecaster was fitted "
                f"with covariates {all_names}: it lacks {missing}, and {strange} are "
                "new."
            )
        if not X.index.is_unique:
            raise ValueError(f"{name} has duplicate times; drop them.")
        lacking = times.difference(X.index)
        if len(lacking):
            raise ValueError(
                f"{name} lacks {len(lacking)} row(s), the first at {lacking[0]}; pass "
                f"every row from {times[0]} to {times[-1]}."
            )
        return X.loc[times, names]

    def _with_past(self, table, name: str, X: pd.DataFrame | None):
        """A table with past covariates, from X where it is one of the series alone."""
        past, n_targets = self._past_names, len(self._targets)
        if X is None or not len(past) or pd.DataFrame(table).shape[1] != n_targets:
            return table
        frame = self._check_table(table, name, self._targets)
        part = self._covariates_at(X, frame.index, past)
        return pd.concat([frame, part[past]], axis=1)

    def _learn_effect(self) -> None:
        """Learn what known covariates do, unless that was pretrained."""
        if self._known is None or hasattr(self, "pretrained_covariates_"):
            return
        self._known, known = None, copy.copy(self._known)
        complete = all(t.notna().all(axis=None) for t in self._tables.values())
        for _ in range(1 if complete else _PASSES):
            members = self._in_order().values()
            values = [member._with_effect()[: member._n_known] for member in members]
            inputs = [member._inputs[None][: member._n_known] for member in members]
            known.fit(values, inputs)
            self._known, self._fill, self._computed = known, None, {}

    def _with_effect(self) -> np.ndarray:
        """The only table, standardised, filled by forecasts with known covariates."""
        if self._known is None:
            return self._values()
        return self._values() + self._known.effect(self._inputs[None])

    def _effects(self, n_rows: int, X: pd.DataFrame | None = None) -> np.ndarray:
        """Effect of known covariates on rows of the only table and beyond its end.

        Of shape (n_rows, n_features_in_), in original units.
        """
        if self._known is None:
            return np.zeros((n_rows, self.n_features_in_))
        inputs = self._inputs[None]
        if n_rows > len(inputs):
            times = continue_index(self._index, self._step, n_rows - len(inputs))
            later = self._known.table(self._covariates_at(X, times), times)
            inputs = pd.concat([inputs, later])
        return self._known.effect(inputs.iloc[:n_rows]) * self.scaler_.scale_

    def _without_effect(
        self, frame: pd.DataFrame, X: pd.DataFrame | None
    ) -> np.ndarray:
        """Rows of a table in original units less the effect of known covariates."""
        if self._known is None:
            return frame.to_numpy()
        effects, n_before = self._effects_at(frame.index, X)
        return self._less(frame, effects, n_before)

    def _effects_at(
        self, times: pd.Index, X: pd.DataFrame | None
    ) -> tuple[np.ndarray, int]:
        """Effects at some times, and of how many earlier ones X has rows."""
        before = times[:0]
        if X is not None and len(self._known.names):
            before = precede_index(times, self._step, len(self._known.unknown))
            has_row = before.isin(pd.DataFrame(X).index)
            before = before[has_row[::-1].cumprod()[::-1] == 1]
        longer = before.append(times)
        inputs = self._known.table(self._covariates_at(X, longer), longer)
        effects = self._known.effect(inputs)[len(before) :] * self.scaler_.scale_
        return effects, len(before)

    def _less(
        self, frame: pd.DataFrame, effects: np.ndarray, n_before: int = 0
    ) -> np.ndarray:
        """Rows less effects; missing where these need earlier rows of X."""
        rest, unknown = frame.to_numpy() - effects, self._known.unknown[n_before:]
        first = rest[: len(unknown)]
        first[unknown[: len(first)]] = np.nan
        return rest

    @property
    def exog_coef_(self) -> np.ndarray:
        """Effect (n_lags, n_targets, n_covariates) of known covariates, lag 0 first.

        In original units; columns of X first, then features of the calendar.
        """
        self._check_fitted()
        if self._known is None:
            return np.zeros((1, len(self._targets), 0))
        weights = self._known.weights * self.scaler_.scale_[:, np.newaxis]
        return (weights / self._known.scaler.scale_)[:, self._shown]

    # what the network sees

    def _rest(self) -> np.ndarray:
        """The only table less the effect of known covariates, in original units."""
        table = self._tables[None]
        if self._known is None:
            return table.to_numpy()
        return self._less(table, self._effects(len(table)))

    def _values(self) -> np.ndarray:
        """The only table as the network sees it."""
        if "values" not in self._computed:
            values = self._filled(self._standardised(self._rest()))
            self._computed["values"] = values
        return self._computed["values"]

    def _filled(self, values):
        whole = self._whole or self
        if not np.isnan(values).any():
            return values
        if whole._fill is None:
            # Of the rows learned from, whatever came since.
            rows = [
                member._standardised(member._rest()[: whole._n_learned[key]])
                for key, member in whole._in_order().items()
                if whole._n_learned.get(key)
            ]
            whole._fill = fill_weights(rows, self.lags)
        return fill(values, whole._fill)

    def _known_rows(self) -> Rows:
        """Rows up to the cutoff."""
        members = self._in_order().values()
        segments = [member._values()[: member._n_known] for member in members]
        observed = [~np.isnan(member._rest()[: member._n_known]) for member in members]
        complete = all(mask.all() for mask in observed)
        return Rows(segments, observed=None if complete else observed)

    def _rows(self, lags: int) -> Rows:
        return Rows([self._values()])

    def _windows(self, table, name: str) -> Windows:
        """Windows without a future over a table in original units."""
        self._check_fitted()
        if self._known is not None and len(self._known.names):
            raise ValueError(
                f"{name} alone is not enough: the forecaster was fitted with "
                f"covariates {[*self._known.names]}, and its matrices are those of the "
                "series less their effect. var_coefficients and compare_with_ols take "
                f"the history where {name} is left out."
            )
        return self._windows_beside(table, name, None)

    def _windows_beside(self, table, name: str, X: pd.DataFrame | None) -> Windows:
        """Windows over a table in original units, less the effect of covariates."""
        self._check_fitted()
        table, lags = self._with_past(table, name, X), self.network_.lags
        frame = self._check_table(table, name)
        if len(frame) < lags:
            raise ValueError(
                f"{name} has {len(frame)} row(s), but the forecaster sees windows of "
                f"{lags}; pass at least {lags} rows."
            )
        return self._windows_of(self._without_effect(frame, X), lags)

    def _history_windows(self) -> Windows:
        """Windows without a future over the only table."""
        self._check_fitted()
        return self._windows_of(self._rest(), self.network_.lags)

    def _windows_of(self, rest: np.ndarray, lags: int) -> Windows:
        values, observed = self._standardised(rest), ~np.isnan(rest)
        return Windows(
            [self._filled(values)],
            lags,
            0,
            observed=None if observed.all() else [observed],
        )

    # instances

    def _members(self) -> dict[Hashable, "History"]:
        """The forecaster of each instance of a panel; of a single table, itself."""
        if None in self._tables:
            return {None: self}
        return {key: self._member(key) for key in self._tables}

    def _in_order(self) -> dict[Hashable, "History"]:
        """The same, in an order that does not depend on the one they came in."""
        members = self._members()
        return {key: members[key] for key in sorted(members, key=self._digest)}

    def _digest(self, key: Hashable) -> bytes:
        """What an instance holds, whatever its name."""
        tables = self._tables[key], self._inputs.get(key, pd.DataFrame())
        rows = [np.ascontiguousarray(table, dtype=float) for table in tables]
        return hashlib.sha256(b"".join(rows)).digest()

    def _member(self, key: Hashable) -> "History":
        member = self._as_member(self._tables[key], self.scaler_[key])
        member._key = key
        member._n_learned = {None: self._n_learned.get(key, 0)}
        member._inputs = {None: self._inputs[key]} if self._inputs else {}
        return member

    def _as_member(self, table: pd.DataFrame, scaler: StandardScaler) -> "History":
        """A forecaster of one table that shares the network of a panel."""
        member = self._twin()
        member._whole, member._computed = self, {}
        member._tables, member.scaler_ = {None: table}, scaler
        member._levels = self._levels[-1:]
        member._y_metadata = self._y_metadata | {
            "mtype": "pd.DataFrame",
            "scitype": "Series",
        }
        member._y_mtype_last_seen = "pd.DataFrame"
        return member

    def _twin(self) -> "History":
        """A copy that shares everything, on the same device."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _each(self, function: Callable, X: pd.DataFrame | None = None) -> pd.DataFrame:
        """Tables that a function makes of the forecaster of each instance, as one.

        And of its part of the covariates.
        """
        parts = split_panel(X)
        tables = {
            key: function(member, parts.get(key))
            for key, member in self._members().items()
        }
        return join_panel(tables, self._levels)

    # times

    @property
    def _index(self) -> pd.Index:
        """The times of the only table."""
        return self._tables[None].index

    @property
    def _now(self) -> int:
        """The row of the cutoff, also beyond the ends of the only table."""
        return position(self._index, self._step, self.cutoff[0])

    @property
    def _n_known(self) -> int:
        """Rows of the only table up to the cutoff."""
        return min(max(self._now + 1, 0), len(self._index))

    def _n_rows(self) -> dict[Hashable, int]:
        """Rows up to the cutoff."""
        return {key: member._n_known for key, member in self._members().items()}

    def _rows_of(self, fh: ForecastingHorizon) -> np.ndarray:
        """Numbers of the rows that a horizon asks for, also beyond the last one."""
        return self._now + fh.to_relative(self.cutoff).to_numpy().astype(int)

    def _check_fitted(self) -> None:
        self.check_is_fitted()
        if None not in self._tables:
            raise ValueError(
                f"This {type(self).__name__} was fitted to a panel; instance(key) is "
                "its forecaster of one instance: call the method of that."
            )


def units_of(table: pd.DataFrame, name: str) -> StandardScaler:
    """Means and standard deviations of a table that has values in every column."""
    check_observed(table, name)
    return StandardScaler().fit(table.to_numpy(dtype=float))


def _names(names: Sequence | None) -> list:
    return [] if names is None else list(names)


def _check_distinct(past: Sequence, series: pd.Index) -> None:
    both = [name for name in past if name in series]
    if both:
        raise ValueError(
            f"past_covariates names {both}, but y has series of these names; "
            "rename the columns of X."
        )


def name_of(key: Hashable | None, name: str = "y") -> str:
    """What errors call an instance of a panel, or the only table."""
    return name if key is None else f"instance {key!r} of {name}"
