"""A forecaster's state from a table that is read block by block.

One pass over the blocks takes sums, and the few rows that later forecasts and the
calibration of intervals need. Where the estimate leaves rows out, to choose penalties
or to calibrate, stretches of the table have sums of their own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
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
from .._data.units import deviations, in_original_units, standardise, varying_in
from .._data.windows import Windows
from .._models.estimation import estimate
from .._models.families import VAR_INPUTS, VAR_LAGS, StaticPathSpecification
from .._models.fitted import FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._var.estimation import covariance, degrees_of_freedom
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
    specification: Specification,
    source,
    n_rows: int | None,
    engine: str | None,
    max_windows: int,
) -> ForecasterState:
    """Estimate on blocks: closed forms on all rows, a network on so many windows.

    Raises
    ------
    ValueError
        If it needs the whole table, or blocks do not fit to each other.
    """
    _check(specification)
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
    plan = plan_of(specification, n_rows, max_windows)
    summary = run(summarise, joined, _tasks(blocks, plan))
    if summary.n_rows != n_rows:
        raise ValueError(
            f"The blocks have {summary.n_rows} rows, not n_rows={n_rows}; pass their "
            "number, or leave it out."
        )
    return _Estimation(specification, plan, summary).state()


def _check(specification: Specification) -> None:
    """Raise unless sums and a sample are all that an estimate needs."""
    problem = None
    if specification.n_layers and specification.is_recurrent:
        problem = "n_layers=0: a recurrent network sees a history from its first row on"
    elif specification.lags == "auto":
        problem = "a number of lags: lags='auto' compares forms on the whole table"
    if problem is not None:
        raise ValueError(
            f"fit_blocks needs {problem}. Set it so, or pass the table to fit."
        )


# the pass over the blocks


def plan_of(specification: Specification, n_rows: int, max_windows: int) -> Plan:
    """What an estimate on a table of so many rows needs to know of it."""
    lags, horizon = specification.window_rows, specification.horizon
    n_judged = rows_to_calibrate_on(specification, n_rows, horizon)
    order = specification.lags
    n_own, n_pairs, most_series = 2, order + 1, math.inf
    own_cuts = _cuts([*_parts_left_out(n_rows, order, 1, [order])], n_rows)
    parts = [range(lags - order, n_rows)]
    for n in _lengths(specification, n_rows, n_judged):
        parts += [range(n), range(max(n - lags, 0))]
        if specification.alpha == "auto":
            parts += halves(range(n))
        if isinstance(specification, StaticPathSpecification):
            parts += _parts_of_static_path(specification, n)
    cuts = _cuts(parts, n_rows)
    if isinstance(specification, StaticPathSpecification):
        n_own, n_pairs = max(lags + horizon, 2), min(lags, VAR_LAGS) + horizon
        if specification.static_path in ("ridge", None):
            n_pairs = 0
        if specification.static_path == "var":
            n_pairs = min(lags, VAR_LAGS) + 1
        if specification.static_path == "auto":
            most_series = VAR_INPUTS
        cuts, own_cuts = np.union1d(cuts, own_cuts), None
    kept = _kept_rows(n_rows, n_judged, lags, horizon)
    sample = []
    if specification.n_layers:
        sample = _sampled(specification, n_rows, max_windows)
        kept = reduce(np.union1d, [kept, *map(np.asarray, sample)])
    return Plan(
        n_rows, n_judged, cuts, n_own, n_pairs, most_series, own_cuts, kept, sample
    )


def _lengths(specification: Specification, n_rows: int, n_judged: int) -> set[int]:
    """Numbers of first rows that something is estimated on."""
    lengths = {n_rows, n_rows - n_judged}
    for n in [*lengths] if specification.holds_rows_out else ():
        held_out = specification.n_held_out(n, specification.steps_learned)
        lengths |= {max(n - held_out, 0), specification.rows_trained_on({0: n})[0]}
    return lengths


def _sampled(
    specification: Specification, n_rows: int, max_windows: int
) -> list[range]:
    """Stretches of rows that hold at most so many windows, spread at random.

    All rows where these hold no more. Stretches of two windows' rows are a compromise:
    neighbouring windows share rows, which is cheap, but tell little new.
    """
    width = specification.window_rows + specification.steps_learned
    if n_rows - width < max_windows:
        return [range(n_rows)]
    n_stretches = max(2, max_windows // (width + 1))
    edges = np.linspace(0, n_rows, n_stretches + 1).astype(int)
    spare = np.maximum(np.diff(edges) - 2 * width, 0)
    rng = np.random.RandomState(specification.seed)
    starts = edges[:-1] + (rng.uniform(size=n_stretches) * (spare + 1)).astype(int)
    stops = np.minimum(starts + 2 * width, edges[1:])
    return [*map(range, starts, stops)]


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
    if specification.static_path is None:
        return []
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
        before = Forgotten(
            n_rows - model.window_rows,
            model.window_rows,
            averages=self.averages(model, scaler),
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
        n_known = self.specification.rows_trained_on({None: n_rows})[None]
        scaler = varying_in(table[:n_known].scaler(), table.scaler())
        rows = Rows([table.in_units(scaler)], sample=self.sample(scaler, n_rows))
        specification = self.specification.with_lags(rows, self.seasons)
        check_enough(specification, rows)
        model = estimate(specification, rows)
        return replace(model, names=self.summary.names), scaler

    def sample(
        self, scaler: StandardScaler, n_rows: int
    ) -> list[tuple[int, np.ndarray]] | None:
        """Standardised stretches of the first rows that a network is trained on."""
        if not self.plan.sample:
            return None
        parts = [part[: max(n_rows - part.start, 0)] for part in self.plan.sample]
        places = [np.searchsorted(self.plan.kept, part) for part in parts if len(part)]
        firsts = [part.start for part in parts if len(part)]
        values = [standardise(self.summary.kept[place], scaler) for place in places]
        return [*zip(firsts, values, strict=True)]

    def table(self, sums: Mapping[int, Sums]) -> SummedTable:
        """All rows, by their sums."""
        stretches = [sums[number] for number in sorted(sums)]
        return SummedTable(stretches, len(self.summary.names))

    def fill_weights(self, scaler: StandardScaler) -> np.ndarray:
        """What fills gaps of later rows, as of `fill_weights`."""
        table = self.table(self.summary.own_sums or self.summary.sums)
        return fill_weights([table.in_units(scaler)], self.specification.lags)

    def averages(
        self, model: FittedModel, scaler: StandardScaler
    ) -> tuple[np.ndarray, np.ndarray]:
        """Matrices and intercepts of all windows, or averages over sampled ones."""
        found = shared_matrices(model.network)
        if found is None:
            sample = [x for _, x in self.sample(scaler, self.plan.n_rows)]
            found = model.average_matrices(Windows(sample, model.window_rows, 1))
        return to_original_units(*found, scaler, scaler)

    def sigma_u(self, model: FittedModel, scaler: StandardScaler) -> np.ndarray | None:
        """Covariance of one-step errors: of all of a VAR, else of sampled ones."""
        scale = deviations(scaler)
        if model.var_alone is not None:
            found = self.sigma_u_of_var(model, scaler)
        elif self.plan.sample:
            errors = self.sampled_errors(model, scaler)
            evidence = model.closed_form.evidence
            n_coefficients = 0.0
            if evidence is not None:
                share = min(len(errors) / evidence.n_rows, 1.0)
                n_coefficients = share * evidence.n_coefficients
            found = covariance(errors, n_coefficients)
        else:
            return None
        [found] = read_only((found * np.outer(scale, scale),))
        return found

    def sampled_errors(self, model: FittedModel, scaler: StandardScaler) -> np.ndarray:
        """Standardised one-step errors of sampled rows."""
        before, errors = model.window_rows, []
        for _, values in self.sample(scaler, self.plan.n_rows):
            ends = np.arange(before - 1, len(values) - 1)
            if len(ends):
                errors.append(values[before:] - model.forecasts(values, ends, 1)[:, 0])
        return np.concatenate(errors)

    def sigma_u_of_var(self, model: FittedModel, scaler: StandardScaler) -> np.ndarray:
        """Covariance of all one-step errors of a VAR, standardised."""
        var = model.var_alone
        matrices, intercept = (
            x.cpu().double().numpy() for x in (var.matrices, var.intercept)
        )
        table = self.table(self.summary.sums)[model.window_rows - len(matrices) :]
        n_errors = len(table) - len(matrices)
        products = error_products(table.in_units(scaler), matrices, intercept)
        evidence = model.closed_form.evidence
        share = min(n_errors / evidence.n_rows, 1.0)
        return products / degrees_of_freedom(n_errors, share * evidence.n_coefficients)

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
        return {
            timed: CalibrationErrors.of(
                errors, plan.n_judged, ahead, self.seasons if timed else ()
            )
            for timed in (True, False)
        }

    @property
    def seasons(self) -> tuple[int, ...]:
        """Rows of the seasons that there may be."""
        return seasons_of(self.specification.sp, self.step)

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
