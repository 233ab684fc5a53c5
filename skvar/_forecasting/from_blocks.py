"""A forecaster's state from a table that is read block by block.

One pass over the blocks takes sums, and the few rows that later forecasts and the
calibration of intervals need. Where the estimate leaves rows out, to choose penalties
or to calibrate, stretches of the table have sums of their own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from .._closed_form.conformal import CalibrationErrors
from .._closed_form.direct import leave_blocks_out
from .._closed_form.fill import fill_weights
from .._closed_form.growth import halves
from .._closed_form.one_pass import Plan, Summary, joined, summarise
from .._closed_form.ridge_var import error_products
from .._closed_form.sums import SummedTable, Sums
from .._data.blocks import Blocks, blocks_of, concatenated, row_counts
from .._data.engines import in_process, with_dask, with_joblib, with_ray
from .._data.seasons import seasons_of
from .._data.units import deviations, in_original_units, standardise
from .._models.estimation import estimate
from .._models.families import VAR_INPUTS, VAR_LAGS, StaticPathSpecification
from .._models.fitted import FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._var.estimation import degrees_of_freedom
from .._var.extraction import read_only, shared_matrices, to_original_units
from .calibration import (
    KnownErrors,
    origins_of_calibration,
    rows_after,
    rows_ahead,
    rows_to_calibrate_on,
)
from .history import Forgotten, History, Schema, SeriesHistory
from .intervals import shocks_count
from .learning import check_enough
from .residuals import Filler
from .state import ForecasterState

ENGINES = {
    None: in_process,
    "joblib": with_joblib,
    "dask": with_dask,
    "ray": with_ray,
}


def state_from_blocks(
    specification: Specification, source, n_rows: int | None, engine: str | None
) -> ForecasterState:
    """Estimate a closed form on blocks.

    Raises
    ------
    ValueError
        If it needs the whole table, or blocks do not fit to each other.
    """
    _check_closed_form(specification)
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is not one of {[*ENGINES]}.")
    blocks = blocks_of(source)
    run = ENGINES["dask" if engine is None and blocks.in_dask else engine]
    if blocks.once and engine in ("dask", "ray"):
        raise ValueError(
            f"An iterator is read in this process, which leaves engine={engine!r} "
            "nothing to do; pass a list of functions that each return a block."
        )
    blocks, n_rows = _counted(blocks, n_rows, run)
    if not n_rows:
        raise ValueError("The blocks have no rows; pass some that have.")
    plan = plan_of(specification, n_rows)
    summary = run(summarise, joined, _tasks(blocks, plan))
    if summary.n_rows != n_rows:
        raise ValueError(
            f"The blocks have {summary.n_rows} rows, not n_rows={n_rows}; pass their "
            "number, or leave it out."
        )
    return _Estimation(specification, plan, summary).state()


def _check_closed_form(specification: Specification) -> None:
    """Raise unless sums are all that an estimate needs."""
    problem = None
    if specification.n_layers:
        problem = "n_layers=0: blocks give closed forms, networks train on a table"
    elif specification.lags == "auto":
        problem = "a number of lags: lags='auto' compares forms on the whole table"
    elif specification.holds_rows_out:
        problem = "retrain=True: blocks hold no rows out"
    if problem is not None:
        raise ValueError(
            f"fit_blocks needs {problem}. Set it so, or pass the table to fit."
        )


# the pass over the blocks


def plan_of(specification: Specification, n_rows: int) -> Plan:
    """What an estimate on a table of so many rows needs to know of it."""
    lags, horizon = specification.window_rows, specification.horizon
    n_judged = rows_to_calibrate_on(specification, n_rows, horizon)
    n_own, n_pairs, most_series = 2, lags + 1, math.inf
    own_cuts = _cuts([*_parts_left_out(n_rows, lags, 1, [lags])], n_rows)
    parts = []
    for n in {n_rows, n_rows - n_judged}:
        parts.append(range(n))
        if specification.alpha == "auto":
            parts += halves(range(n))
        if isinstance(specification, StaticPathSpecification):
            parts += _parts_of_static_path(specification, n)
    cuts = _cuts(parts, n_rows)
    if isinstance(specification, StaticPathSpecification):
        n_own, n_pairs = max(lags + horizon, 2), min(lags, VAR_LAGS) + horizon
        if specification.static_path == "ridge":
            n_pairs = 0
        if specification.static_path == "var":
            n_pairs = min(lags, VAR_LAGS) + 1
        if specification.static_path == "auto":
            most_series = VAR_INPUTS
        cuts, own_cuts = np.union1d(cuts, own_cuts), None
    kept = _kept_rows(n_rows, n_judged, lags, horizon)
    return Plan(n_rows, n_judged, cuts, n_own, n_pairs, most_series, own_cuts, kept)


def _cuts(parts: Sequence[range], n_rows: int) -> np.ndarray:
    """Rows at which stretches begin that parts of a table are made of."""
    edges = {edge for part in parts for edge in (part.start, part.stop)}
    return np.array(sorted(edges - {0, n_rows}), dtype=int)


def _parts_left_out(
    n_rows: int, lags: int, horizon: int, orders: Iterable[int]
) -> Iterator[range]:
    """Parts of the first rows that penalties are chosen by."""
    for order in orders:
        for part in leave_blocks_out([range(n_rows)], lags, horizon, order):
            yield from chain(*part)


def _parts_of_static_path(
    specification: StaticPathSpecification, n_rows: int
) -> list[range]:
    """Parts of the first rows that a static path is chosen and estimated by."""
    lags, horizon = specification.lags, specification.horizon
    parts = [*_parts_left_out(n_rows, lags, horizon, [lags])]
    if specification.static_path == "ridge":
        return parts
    for order in range(1, min(lags, VAR_LAGS) + 1):
        parts.append(range(n_rows)[lags - order :])
        for training, held_out in leave_blocks_out(
            [range(n_rows)], lags, horizon, order
        ):
            parts += [*training, *halves(max(training, key=len))]
            parts += [part[lags - order :] for part in held_out]
    return parts


def _kept_rows(n_rows: int, n_judged: int, lags: int, horizon: int) -> np.ndarray:
    """The last rows, and windows with what follows that intervals are calibrated on."""
    last = np.arange(max(n_rows - lags, 0), n_rows)
    if not n_judged:
        return last
    origins = origins_of_calibration(n_rows - n_judged, n_rows, 1)
    rows = np.union1d(origins[:, np.newaxis] + np.arange(1 - lags, horizon + 1), last)
    return rows[(rows >= 0) & (rows < n_rows)]


def _tasks(blocks: Blocks, plan: Plan) -> Iterator[tuple]:
    first_row = 0
    lengths = blocks.lengths
    for number, block in enumerate(blocks.read()):
        yield block, first_row, plan
        first_row += len(block) if lengths is None else lengths[number]


def _counted(blocks: Blocks, n_rows: int | None, run) -> tuple[Blocks, int]:
    """The number of rows, and blocks of which the first row is known."""
    if blocks.lengths is None and not blocks.once:
        lengths = run(row_counts, concatenated, ((block,) for block in blocks.read()))
        blocks = replace(blocks, lengths=lengths)
    if blocks.lengths is not None:
        return blocks, sum(blocks.lengths)
    if n_rows is None:
        raise ValueError(
            "The rows of an iterator cannot be counted before they are read, but where "
            "penalties are chosen and intervals calibrated depends on their number: "
            "pass n_rows, a list of tables, or a function that returns a new iterator."
        )
    return blocks, n_rows


# the estimate


@dataclass(frozen=True, eq=False)
class _Estimation:
    """What a summary makes of a specification."""

    specification: Specification
    plan: Plan
    summary: Summary

    def state(self) -> ForecasterState:
        """That of a forecaster that was fitted to all rows."""
        n_rows = self.plan.n_rows
        model, scaler = self.learned(n_rows)
        weights = self.fill_weights(scaler)
        averages = shared_matrices(model.network)
        before = Forgotten(
            n_rows - model.window_rows,
            model.window_rows,
            averages=to_original_units(*averages, scaler, scaler),
            sigma_u=self.sigma_u(model, scaler),
            sums=self.posterior_sums(model, scaler),
            from_blocks=True,
        )
        times = self.times(model.window_rows)
        schema = Schema(self.summary.names, self.summary.names, None, self.step)
        rows = pd.DataFrame(self.summary.kept[-len(times) :], times, self.summary.names)
        series = SeriesHistory(schema, rows, None, scaler, before=before)
        history = History(schema, {None: series}, [times.name])
        known = KnownErrors(
            self.errors(model, scaler),
            self.specification.horizon,
            self.first_time,
            self.step,
            from_blocks=True,
        )
        n_train, filler = {None: len(rows)}, Filler(weights)
        return ForecasterState(model, history, times[-1], n_train, known, filler)

    def learned(self, n_rows: int) -> tuple[FittedModel, StandardScaler]:
        """The model of the first rows, and their units."""
        table = self.table(self.summary.sums)[:n_rows]
        scaler = table.scaler()
        rows = Rows([table.in_units(scaler)])
        check_enough(self.specification, rows)
        model = estimate(self.specification, rows)
        return replace(model, names=self.summary.names), scaler

    def table(self, sums: Mapping[int, Sums]) -> SummedTable:
        """All rows, by their sums."""
        stretches = [sums[number] for number in sorted(sums)]
        return SummedTable(stretches, len(self.summary.names))

    def fill_weights(self, scaler: StandardScaler) -> np.ndarray:
        """What fills gaps of later rows, as of `fill_weights`."""
        table = self.table(self.summary.own_sums or self.summary.sums)
        return fill_weights([table.in_units(scaler)], self.specification.lags)

    def sigma_u(self, model: FittedModel, scaler: StandardScaler) -> np.ndarray | None:
        """Covariance of one-step errors of a VAR, in original units."""
        var = model.var_alone
        if var is None:
            return None
        table = self.table(self.summary.sums)[model.window_rows - var.lags :]
        n_errors = len(table) - var.lags
        matrices, intercept = (x.numpy() for x in (var.matrices, var.intercept))
        products = error_products(table.in_units(scaler), matrices, intercept)
        evidence = model.closed_form.evidence
        share = min(n_errors / evidence.n_rows, 1.0)
        freedom = degrees_of_freedom(n_errors, share * evidence.n_coefficients)
        scale = deviations(scaler)
        [found] = read_only((products / freedom * np.outer(scale, scale),))
        return found

    def posterior_sums(
        self, model: FittedModel, scaler: StandardScaler
    ) -> SummedTable | None:
        """Sums that the posterior of a VAR is made of, in units of the model."""
        if model.var_alone is None:
            return None
        return self.table(self.summary.sums).in_units(scaler).joined()

    def errors(
        self, model: FittedModel, scaler: StandardScaler
    ) -> dict[bool, CalibrationErrors]:
        """As of `KnownErrors`: those of a model of all rows but the last ones."""
        plan, horizon = self.plan, self.specification.horizon
        if not plan.n_judged or shocks_count(model, plan.n_judged / horizon):
            return {}
        n_before = plan.n_rows - plan.n_judged
        fitted, units = self.learned(n_before)
        origins = origins_of_calibration(n_before, plan.n_rows, 1)
        ends, rows = np.searchsorted(plan.kept, origins), self.summary.kept
        forecasts = fitted.forecasts(standardise(rows, units), ends, horizon)
        errors = rows_after(rows, ends, horizon) - in_original_units(forecasts, units)
        errors /= scaler.scale_
        ahead = rows_ahead(origins, horizon)
        seasons = seasons_of(self.specification.sp, self.step)
        return {
            timed: CalibrationErrors.of(
                errors, plan.n_judged, ahead, seasons if timed else ()
            )
            for timed in (True, False)
        }

    @property
    def step(self) -> pd.DateOffset | int:
        """From one row to the next."""
        return 1 if self.summary.times is None else self.summary.times.step

    @property
    def first_time(self) -> pd.Index:
        """That of the first row."""
        times = self.summary.times
        return pd.RangeIndex(1) if times is None else times.first

    def times(self, n_last: int) -> pd.Index:
        """Those of the last rows."""
        n_rows, times = self.plan.n_rows, self.summary.times
        if times is None:
            return pd.RangeIndex(n_rows - n_last, n_rows)
        return times.latest(n_last)
