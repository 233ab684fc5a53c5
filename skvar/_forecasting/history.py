"""The rows that a forecaster has seen, in original units. Nothing here changes."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from .._closed_form.covariates import CovariateFeatures
from .._closed_form.sums import SummedTable
from .._data.lazy import Recomputable, lazy
from .._data.tables import (
    as_frame,
    check_continues,
    check_observed,
    common_step,
    continue_index,
    join_panel,
    position,
    split_panel,
)
from .._data.units import Likely, units_of, varying_in
from .._typing import Table


@dataclass(frozen=True, eq=False)
class Schema:
    """Columns and times of the tables of a forecaster.

    Parameters
    ----------
    targets : Index
        Series that are forecast for the user.
    names : Index
        Series of the network: the targets, then past covariates.
    features : CovariateFeatures or None
        Covariates that are known ahead.
    step : DateOffset or int
        From one row to the next.
    """

    targets: pd.Index
    names: pd.Index
    features: CovariateFeatures | None
    step: pd.DateOffset | int

    @classmethod
    def of(
        cls,
        y: pd.DataFrame,
        X: pd.DataFrame | None,
        past_covariates: Sequence | None,
        calendar: Sequence | None,
    ) -> "Schema":
        """Those of the tables or panels that a forecaster is fitted to."""
        past = list(dict.fromkeys(past_covariates or []))
        missing = past if X is None else [name for name in past if name not in X]
        if missing:
            raise ValueError(
                f"past_covariates names {missing}, which X does not have; pass them in "
                "X, or leave them out."
            )
        both = [name for name in past if name in y.columns]
        if both:
            raise ValueError(
                f"past_covariates names {both}, but y has series of these names; "
                "rename the columns of X."
            )
        tables = split_panel(y)
        step = common_step({name_of(key): tables[key].index for key in tables})
        known, calendar = pd.Index([]) if X is None else X.columns, calendar or []
        known, features = known.drop(past), None
        if len(known) or len(calendar):
            features = CovariateFeatures(known, list(calendar), step)
        names = y.columns.append(pd.Index(past)) if past else y.columns
        return cls(y.columns, names, features, step)

    def with_names_of(self, earlier: "Schema") -> "Schema":
        """The same where a fit goes on from another one, whose names it keeps."""
        if not self.past.equals(earlier.past):
            raise ValueError(
                f"past_covariates names {[*self.past]}, but the fit goes on from one "
                f"with the past covariates {[*earlier.past]}; name these, or fit anew "
                "with warm_start=False."
            )
        return replace(self, targets=earlier.targets, names=earlier.names)

    def check_places(self, before: pd.Index) -> None:
        """Raise unless series that a pretrained network knows are where it had them."""
        known = [name for name in self.names if name in before]
        if [*self.names.get_indexer(known)] != [*before.get_indexer(known)]:
            raise ValueError(
                f"y has the series {[*self.names]}, but the forecaster was pretrained "
                f"on {[*before]}; select these, in this order."
            )

    @property
    def shown(self) -> slice:
        """The columns that are forecast for the user: not past covariates."""
        return slice(len(self.targets))

    @property
    def n_series(self) -> int:
        """Series of the network."""
        return len(self.names)

    @property
    def past(self) -> pd.Index:
        """Names of past covariates."""
        return self.names[len(self.targets) :]

    @property
    def known(self) -> list:
        """Names of covariates that a user passes for the future as well."""
        return [] if self.features is None else [*self.features.names]

    def covariates_at(
        self,
        X: pd.DataFrame | None,
        times: pd.Index,
        past: Sequence = (),
        key: Hashable | None = None,
    ) -> pd.DataFrame:
        """Rows of a table of covariates, which must have those of all times."""
        names, name = [*past, *self.known], name_of(key, "X")
        if not names:
            return pd.DataFrame(index=times)
        if X is None:
            raise ValueError(
                f"{name} is missing: the forecaster was fitted with covariates "
                f"{names}. Pass their rows from {times[0]} to {times[-1]}."
            )
        X = as_frame(X, name, missing=True)
        self._check_names(X, names, name)
        if not X.index.is_unique:
            raise ValueError(f"{name} has duplicate times; drop them.")
        lacking = times.difference(X.index)
        if len(lacking):
            raise ValueError(
                f"{name} lacks {len(lacking)} row(s), the first at {lacking[0]}; pass "
                f"every row from {times[0]} to {times[-1]}."
            )
        return X.loc[times, names]

    def _check_names(self, X: pd.DataFrame, names: Sequence, name: str) -> None:
        all_names = [*self.past, *self.known]
        strange = [column for column in X.columns if column not in all_names]
        missing = [column for column in names if column not in X.columns]
        if strange or missing:
            raise ValueError(
                f"{name} has columns {[*X.columns]}, but the forecaster was fitted "
                f"with covariates {all_names}: it lacks {missing}, and {strange} are "
                "new."
            )

    def split(
        self, y: pd.DataFrame, X: pd.DataFrame | None
    ) -> dict[Hashable, tuple[pd.DataFrame, pd.DataFrame | None]]:
        """Tables with their past covariates, and the known covariates of their rows."""
        # Arrays take on the names.
        tables = {
            key: table.set_axis(self.targets, axis=1)
            for key, table in split_panel(y).items()
        }
        if not len(self.past) and self.features is None:
            return {key: (table, None) for key, table in tables.items()}
        joined, parts = {}, split_panel(X)
        for key, table in tables.items():
            part = self.covariates_at(parts.get(key), table.index, self.past, key)
            longer = pd.concat([table, part[self.past]], axis=1)
            joined[key] = longer, part[self.known] if self.known else None
        return joined


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What is kept of the first rows of a table that a history does without.

    Parameters
    ----------
    n_rows : int
        How many they were.
    n_spare : int
        Rows kept after them that are there for the sake of later ones alone.
    state : object, optional
        What a recurrent network carries after them.
    averages : tuple of ndarray, optional
        Matrices and intercepts, over all windows.
    sigma_u : ndarray, optional
        Covariance of all one-step errors.
    sums : SummedTable, optional
        Of all rows, those of the table as well, in units of the model: of a VAR, whose
        posterior they make.
    from_blocks : bool
        Whether all were read by blocks, and not kept.
    """

    n_rows: int
    n_spare: int
    state: tuple | None = None
    averages: tuple[np.ndarray, np.ndarray] | None = None
    sigma_u: np.ndarray | None = None
    sums: SummedTable | None = None
    from_blocks: bool = False


@dataclass(frozen=True, eq=False)
class SeriesHistory(Recomputable):
    """The rows of one table, and the units of its columns.

    Parameters
    ----------
    schema : Schema
    table : DataFrame
        Series, then past covariates.
    covariates : DataFrame or None
        Columns of the same rows that are known ahead; None without any.
    scaler : StandardScaler
        Means and standard deviations of the columns of the table.
    key : label, optional
        What errors call it, where it is an instance of a panel.
    before : Forgotten, optional
        Of rows before those of the table, which are left out.
    """

    schema: Schema
    table: pd.DataFrame
    covariates: pd.DataFrame | None
    scaler: StandardScaler
    key: Hashable | None = None
    before: Forgotten | None = None

    @property
    def index(self) -> pd.Index:
        """The times of its rows."""
        return self.table.index

    @lazy
    def inputs(self) -> pd.DataFrame:
        """Known covariates of its rows, with features of the calendar."""
        return self.schema.features.table(self.covariates, self.index)

    @property
    def n_forgotten(self) -> int:
        """Rows before those of its table, which are left out."""
        return 0 if self.before is None else self.before.n_rows

    def check_whole(self, what: str) -> None:
        """Raise where rows are left out that something needs."""
        if self.before is not None and self.before.from_blocks:
            raise ValueError(
                f"{what} needs the rows of the fit, which fit_blocks does not keep. "
                "Where a method takes a table (Y or y), pass recent rows; else pass "
                "the whole table to fit."
            )
        if self.before is not None:
            raise ValueError(
                f"{what} needs the rows of the fit, but the forecaster was saved with "
                "history=False, without them. Save it with them, or fit anew."
            )

    def without_first(self, n_rows: int, before: Forgotten) -> "SeriesHistory":
        """The same without its first rows."""
        covariates = self.covariates
        return replace(
            self,
            table=self.table[n_rows:],
            covariates=covariates if covariates is None else covariates[n_rows:],
            before=before,
        )

    def position(self, time) -> int:
        """The row of a time, also beyond the ends."""
        return position(self.index, self.schema.step, time)

    def first(self, n_rows: int) -> "SeriesHistory":
        """Its first rows, in the same units."""
        covariates = self.covariates
        return replace(
            self,
            table=self.table.iloc[:n_rows],
            covariates=covariates if covariates is None else covariates.iloc[:n_rows],
        )

    @property
    def varies(self) -> np.ndarray:
        """Which columns are no constants, as far as its units know."""
        return self.scaler.var_ > 0

    def in_units(self, scaler: StandardScaler) -> "SeriesHistory":
        """The same rows in other units."""
        return replace(self, scaler=scaler)

    def append(
        self, rows: pd.DataFrame, covariates: pd.DataFrame | None
    ) -> tuple["SeriesHistory", bool]:
        """Its rows and further ones, which may replace some, and whether any changed.

        Units stay.
        """
        table, revised = self._followed_by(self.table, rows)
        if covariates is not None:
            covariates, changed = self._followed_by(self.covariates, covariates)
            revised = revised or changed
        return replace(self, table=table, covariates=covariates), revised

    def _followed_by(
        self, table: pd.DataFrame, rows: pd.DataFrame
    ) -> tuple[pd.DataFrame, bool]:
        step = self.schema.step
        first_new = continue_index(table.index, step, 1)[0]
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
        revised = not np.array_equal(table[replaced], same, equal_nan=True)
        longer = pd.concat([table[~replaced], rows]).sort_index()
        check_continues(longer.index, table.index, step, "the history with y")
        return longer, revised

    def digest(self, n_rows: int) -> bytes:
        """What its first rows hold, whatever its name."""
        tables = [self.table, self.inputs] if self.schema.features else [self.table]
        rows = [np.ascontiguousarray(table[:n_rows], dtype=float) for table in tables]
        return hashlib.sha256(b"".join(rows)).digest()


@dataclass(frozen=True, eq=False)
class History(Recomputable):
    """The tables of a single series or of the instances of a panel.

    Parameters
    ----------
    schema : Schema
    series : mapping of label to SeriesHistory
        By instance; a single table under None.
    levels : sequence of str
        Names of the levels of the index of the table or panel.
    """

    schema: Schema
    series: Mapping[Hashable, SeriesHistory]
    levels: Sequence[Hashable]

    @classmethod
    def start(
        cls,
        schema: Schema,
        y: pd.DataFrame,
        X: pd.DataFrame | None,
    ) -> "History":
        """Begin with tables and covariates, in units of their own."""
        parts, series = schema.split(y, X), {}
        for key, (table, _) in parts.items():
            check_observed(table, name_of(key))
        units = units_of_tables({key: table for key, (table, _) in parts.items()})
        for key, (table, covariates) in parts.items():
            series[key] = SeriesHistory(schema, table, covariates, units[key], key)
        return cls(schema, series, list(y.index.names))

    @property
    def is_panel(self) -> bool:
        """Whether it has instances."""
        return None not in self.series

    @property
    def units(self) -> dict[Hashable, StandardScaler]:
        """Of each table."""
        return {key: series.scaler for key, series in self.series.items()}

    @property
    def scaler(self) -> StandardScaler | dict[Hashable, StandardScaler]:
        """Of the only table, or by instance."""
        return self.units if self.is_panel else self.units[None]

    def unlike(self, series: SeriesHistory) -> np.ndarray:
        """Columns that are constant in one of its tables, but not in all of them."""
        varies = [one.varies for one in self.series.values()]
        return ~series.varies & np.any(varies, axis=0)

    def append(
        self, y: pd.DataFrame, X: pd.DataFrame | None
    ) -> tuple["History", set[Hashable]]:
        """A history with further rows, and the instances of which known ones changed.

        A panel may bring new instances, in their own units.
        """
        if y.index.nlevels != len(self.levels):
            raise ValueError(
                f"y has {y.index.nlevels - 1} level(s) of instances, but the table or "
                f"panel of fit has {len(self.levels) - 1}; pass one like that. Of a "
                "panel, instance(key) takes the rows of one instance."
            )
        series, revised = dict(self.series), set()
        for key, (rows, covariates) in self.schema.split(y, X).items():
            if key in series:
                series[key], changed = series[key].append(rows, covariates)
                revised |= {key} if changed else set()
            else:
                series[key] = self.beside(rows, covariates, key)
        return replace(self, series=series), revised

    def beside(
        self,
        table: pd.DataFrame,
        covariates: pd.DataFrame | None = None,
        key: Hashable | None = None,
        name: str = "y",
    ) -> SeriesHistory:
        """A further table in units of its own."""
        check_observed(table, name_of(key, name))
        scaler = units_of(table.to_numpy(), Likely.of(self.units.values()))
        return SeriesHistory(self.schema, table, covariates, scaler, key)

    def first(self, n_rows: Mapping[Hashable, int]) -> "History":
        """The first rows of each table, in units of their own; those with any."""
        series = {key: self.series[key].first(n) for key, n in n_rows.items() if n}
        units = units_of_tables({key: one.table for key, one in series.items()})
        series = {key: one.in_units(units[key]) for key, one in series.items()}
        return replace(self, series=series)

    def in_units_of(
        self, n_rows: Mapping[Hashable, int], kept: Mapping[Hashable, StandardScaler]
    ) -> "History":
        """The same in units that are kept, else in those of the first rows.

        As far as columns vary in these; else in those that it has.
        """
        tables = {key: self.series[key].table[:n] for key, n in n_rows.items() if n}
        units, series = units_of_tables(tables), dict(self.series)
        for key, found in units.items():
            found = varying_in(found, series[key].scaler)
            found = varying_in(kept[key], found) if key in kept else found
            series[key] = series[key].in_units(found)
        return replace(self, series=series)

    def only(self, key: Hashable) -> "History":
        """The single table of one instance."""
        return replace(self, series={None: self.series[key]}, levels=self.levels[-1:])

    def in_order(self, n_rows: Mapping[Hashable, int]) -> list[Hashable]:
        """Instances to learn from, in an order that their first rows alone decide.

        Those with rows; of constants there is nothing to learn while others vary.
        """
        keys = [key for key in self.series if n_rows.get(key)]
        keys = [key for key in keys if self.series[key].varies.any()] or keys
        if len(keys) == 1:
            return keys
        return sorted(keys, key=lambda key: self.series[key].digest(n_rows[key]))

    def n_rows(self, cutoff) -> dict[Hashable, int]:
        """Rows of each table up to a time."""
        return {
            key: min(max(series.position(cutoff) + 1, 0), len(series.index))
            for key, series in self.series.items()
        }

    def joined(self, tables: Mapping[Hashable, pd.DataFrame]) -> pd.DataFrame:
        """Tables by instance as one, as the user passed them."""
        return join_panel(tables, self.levels)

    def check_table(
        self, table: Table, name: str, columns: pd.Index | None = None
    ) -> pd.DataFrame:
        """A table as a frame of the known series, on the known grid of times."""
        columns = self.schema.names if columns is None else columns
        frame = as_frame(table, name, columns, missing=True)
        if not isinstance(table, np.ndarray):
            like = next(iter(self.series.values())).index
            check_continues(frame.index, like, self.schema.step, name)
        return frame

    def join_past(self, table: Table, name: str, X: pd.DataFrame | None) -> Table:
        """A table with past covariates, from X where it is one of the targets alone."""
        schema = self.schema
        past, n_targets = schema.past, len(schema.targets)
        if X is None or not len(past) or pd.DataFrame(table).shape[1] != n_targets:
            return table
        frame = self.check_table(table, name, schema.targets)
        part = schema.covariates_at(X, frame.index, past)
        return pd.concat([frame, part[past]], axis=1)


def units_of_tables(
    tables: Mapping[Hashable, pd.DataFrame],
) -> dict[Hashable, StandardScaler]:
    """Units of each of some tables with the same columns."""
    alone = {key: units_of(table.to_numpy()) for key, table in tables.items()}
    if len(tables) == 1:
        return alone
    likely = Likely.of(alone.values())
    return {key: units_of(table.to_numpy(), likely) for key, table in tables.items()}


def name_of(key: Hashable | None, name: str = "y") -> str:
    """What errors call an instance of a panel, or the only table."""
    return name if key is None else f"instance {key!r} of {name}"
