"""Standardised rows that a model is estimated on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .._closed_form.ridge import Segments
from .._closed_form.sums import are_summed
from .._closed_form.terms import Design
from .._data.windows import Windows, split_by_time


@dataclass(frozen=True)
class Rows:
    """Standardised segments: tables without gaps, of series and perhaps of targets.

    A closed form may be estimated on sums of tables (`SummedTable`) in their place.
    With targets, the first ``n_inputs`` columns are series and the others targets, one
    row below the last row of the window that they belong to. Where values were missing
    and are filled, ``observed`` has a table of the same shape for each segment.
    Where segments are sums, windows are those of ``sample``: stretches of rows, each
    with the number of its first one.
    ``as_before`` are the same rows as they look where the last ones are not known,
    which are held out; by default they look the same. ``design`` has what acts on the
    rows beside those before them.
    """

    segments: Segments
    n_inputs: int | None = None
    observed: Sequence[np.ndarray] | None = None
    as_before: "Rows | None" = None
    design: Design | None = None
    sample: Sequence[tuple[int, np.ndarray]] | None = None

    def sizes(self) -> tuple[int, int | None]:
        """Numbers of series and of targets."""
        n_columns = self.segments[0].shape[1]
        if self.n_inputs is None:
            return n_columns, None
        return self.n_inputs, n_columns - self.n_inputs

    def longest(self) -> int:
        """Rows of the longest segment."""
        return max(map(len, self.segments))

    def windows(self, lags: int, horizon: int) -> Windows:
        """Windows in float32, for training."""
        segments = self.segments
        if self.sample is not None:
            segments = [values for _, values in self.sample]
        return Windows(
            segments,
            lags,
            horizon,
            n_inputs=self.n_inputs,
            dtype=torch.float32,
            observed=self.observed,
        )

    def less(self, weights: np.ndarray) -> "Rows":
        """Rows beside what is left of them without the effect of their terms.

        The one is what windows see, the other what follows them.
        """
        tables = zip(self.segments, self.design.tables, strict=True)
        pairs = [(values, values - terms @ weights.T) for values, terms in tables]
        segments = [np.hstack([x, np.nan_to_num(rest)]) for x, rest in pairs]
        observed = [np.isfinite(np.hstack(pair)) for pair in pairs]
        complete = all(mask.all() for mask in observed)
        n_inputs = self.segments[0].shape[1]
        return Rows(segments, n_inputs, None if complete else observed)

    def split(
        self, lags: int, horizon: int, validation_fraction: float
    ) -> tuple["Rows", "Rows | None"]:
        """What `split_by_time` makes of the segments that are long enough.

        The others serve training alone, and so do all where nothing was observed in
        what would be held out.
        """
        if self.as_before is not None:
            return self.as_before.split(lags, horizon, validation_fraction)
        sizes = lags, horizon, validation_fraction
        if self.sample is not None:
            return self._split_sums(*sizes)
        parts = [split_by_time(values, *sizes) for values in self.segments]
        training, held_out = _first_and_second(self.segments, parts)
        if not held_out:
            return self, None
        masks = None, None
        if self.observed is not None:
            parts = [split_by_time(mask, *sizes) for mask in self.observed]
            masks = _first_and_second(self.observed, parts)
            if not any(mask[lags:].any() for mask in masks[1]):
                return self, None
        designs = None, None
        if self.design is not None:
            cuts = zip(self.segments, parts, strict=True)
            designs = self.design.split([_cut(*pair) for pair in cuts])
        return (
            Rows(training, self.n_inputs, masks[0], design=designs[0]),
            Rows(held_out, self.n_inputs, masks[1], design=designs[1]),
        )

    def at_hand(self) -> "Rows":
        """The rows themselves, those of the sample where a table is known by sums."""
        return self if self.sample is None else Rows([rows for _, rows in self.sample])

    def halves(self) -> tuple["Rows", "Rows"]:
        """First and second halves of all segments."""
        parts = []
        for half in (0, 1):
            cut = [
                slice(half * (len(x) // 2), len(x) if half else len(x) // 2)
                for x in self.segments
            ]
            segments = [x[rows] for x, rows in zip(self.segments, cut, strict=True)]
            observed = self.observed and [
                x[rows] for x, rows in zip(self.observed, cut, strict=True)
            ]
            parts.append(Rows(segments, self.n_inputs, observed))
        return tuple(parts)

    def _split_sums(
        self, lags: int, horizon: int, validation_fraction: float
    ) -> tuple["Rows", "Rows | None"]:
        """The same of a table that is known by its sums, and of its sample."""
        [table] = self.segments
        parts = split_by_time(table, lags, horizon, validation_fraction)
        if parts is None:
            return self, None
        n_train, start = len(parts[0]), len(table) - len(parts[1])
        training, held_out = [], []
        for first, values in self.sample:
            training.append((first, values[: max(n_train - first, 0)]))
            n_before = max(start - first, 0)
            held_out.append((first + n_before, values[n_before:]))
        held_out = Rows([parts[1]], sample=held_out)
        if not len(held_out.windows(lags, horizon)):
            return self, None
        return Rows([parts[0]], sample=training), held_out

    def without_padding(self, lags: int, order: int) -> "Rows":
        """Rows without the copies of the first one that fill a short segment up.

        They make a window of ``lags`` rows of it, but are no data for a VAR of fewer.
        """
        segments, starts = [], []
        for values in self.segments:
            copies = 0
            if len(values) == lags + 1 and not are_summed(self.segments):
                copies = (values[1:] == values[0]).all(axis=1).cumprod().sum()
            starts.append(min(copies, len(values) - order - 1))
            segments.append(values[starts[-1] :])
        observed = self.observed and [
            mask[start:] for mask, start in zip(self.observed, starts, strict=True)
        ]
        return Rows(segments, observed=observed)


def _cut(values: np.ndarray, parts: tuple | None) -> tuple[int, int] | None:
    """Rows of the first of two parts, and where the second begins."""
    if parts is None:
        return None
    first, second = parts
    return len(first), len(values) - len(second)


def _first_and_second(
    wholes: Sequence, parts: Sequence[tuple | None]
) -> tuple[list, list]:
    """First parts, or the whole where there are no parts, and second ones."""
    first = [
        whole if part is None else part[0]
        for whole, part in zip(wholes, parts, strict=True)
    ]
    return first, [part[1] for part in parts if part is not None]
