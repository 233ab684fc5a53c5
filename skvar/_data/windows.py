"""Tables as lazy (past, future) windows."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Windows(Dataset):
    """Sliding windows over tables, gathered batch by batch, never all at once.

    Parameters
    ----------
    segments : sequence of ndarray of shape (n_rows, n_columns)
        Tables, filled where values are missing; no window reaches from one into the
        next.
    lags, horizon : int
        Rows of past and of future in a window.
    n_inputs : int, optional
        The first columns are inputs, seen in the past, the others are targets, asked
        for in the future; by default every column is both.
    dtype : torch.dtype, optional
        Of the batches; that of the tables by default.
    observed : sequence of bool ndarray of shape (n_rows, n_columns), optional
        Where the tables are not filled. With it, filled targets are NaN, and a third
        part of every batch tells where the past was observed.
    """

    def __init__(
        self,
        segments: Sequence[np.ndarray],
        lags: int,
        horizon: int,
        *,
        n_inputs: int | None = None,
        dtype: torch.dtype | None = None,
        observed: Sequence[np.ndarray] | None = None,
    ):
        self.values = _joined(segments)
        self.observed = None if observed is None else _joined(observed)
        self.lags, self.horizon, self.n_inputs = lags, horizon, n_inputs
        self.stride = 1
        self.dtype = dtype or self.values.dtype
        lengths = [len(segment) for segment in segments]
        ends = np.cumsum(lengths)
        counts = np.maximum(0, np.asarray(lengths) - lags - horizon + 1)
        self._first = torch.from_numpy(ends - lengths)
        self._ends = torch.from_numpy(np.cumsum(counts))

    def __len__(self) -> int:
        return -(-int(self._ends[-1]) // self.stride)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, ...]:
        """Past (B, lags, n_inputs) and future (B, horizon, n_targets) of some windows.

        And where the past was observed (B, lags, n_inputs), if that is known. Windows
        count through the segments in order; in a single one, window i starts at row i,
        or with a stride at so many times that row.
        """
        index = index * self.stride
        segment = torch.searchsorted(self._ends, index, right=True)
        before = torch.cat([self._ends.new_zeros(1), self._ends])[segment]
        start = self._first[segment] + index - before
        start = start.to(self.values.device)
        past, future = self._parts(self.values, start, self.dtype)
        if self.observed is None:
            return past, future
        observed_past, observed = self._parts(self.observed, start, torch.bool)
        return past, future.where(observed, torch.nan), observed_past

    def _parts(
        self, table: Tensor, start: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Past and future of the windows that start at some rows."""
        view = table.unfold(0, self.lags + self.horizon, 1)
        rows = view[start].mT.to(dtype)
        past, future = rows[:, : self.lags], rows[:, self.lags :]
        return past[..., : self.n_inputs], future[..., self.n_inputs :]

    def content(self) -> dict:
        """All that batches depend on."""
        return {**vars(self), "dtype": str(self.dtype)}

    def batches(
        self,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        n_most: int | None = None,
    ) -> Iterator[tuple[Tensor, ...]]:
        """Every window once, in order or in one that a generator draws.

        Or so many of these at most.
        """
        for index in order_of(len(self), generator)[:n_most].split(batch_size):
            yield self[index.long()]

    def every(self, stride: int) -> "Windows":
        """The first of so many windows, the first of the next ones, and so on."""
        thinned = copy.copy(self)
        thinned.stride = stride
        return thinned

    def to(self, device: torch.device) -> "Windows":
        """The same windows with the values on a device, there in their dtype."""
        if device == self.values.device:
            return self
        moved = copy.copy(self)
        moved.values = self.values.to(self.dtype).to(device)
        if self.observed is not None:
            moved.observed = self.observed.to(device)
        return moved


def order_of(n_examples: int, generator: torch.Generator | None) -> Tensor:
    """Numbers of examples in order, or as a generator draws it."""
    if generator is None:
        return torch.arange(n_examples, dtype=torch.int32)
    return torch.randperm(n_examples, dtype=torch.int32, generator=generator)


def _joined(segments: Sequence[np.ndarray]) -> Tensor:
    values = segments[0] if len(segments) == 1 else np.concatenate(segments)
    # joblib maps large arrays read-only into memory, which torch does not know.
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def windows_ending_at(
    values: np.ndarray, ends: np.ndarray, lags: int, first: np.ndarray | int = 0
) -> np.ndarray:
    """Windows (B, lags, n_series) whose last rows are ``ends``.

    Where a window reaches back beyond its ``first`` row, that row is repeated.
    """
    rows = ends[:, np.newaxis] + np.arange(1 - lags, 1)
    return values[np.maximum(rows, np.reshape(first, (-1, 1)))]


def split_by_time(
    values: np.ndarray, lags: int, horizon: int, validation_fraction: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows for training, and rows for validation windows with futures in the last part.

    The validation rows begin ``lags`` rows before that part, so that its first window
    looks back into the training rows; no training window sees the last part. None
    where a part would hold no window.
    """
    n_train = len(values) - validation_rows(len(values), horizon, validation_fraction)
    if n_train < lags + horizon:
        return None
    return values[:n_train], values[n_train - lags :]


def validation_rows(n_rows: int, horizon: int, validation_fraction: float) -> int:
    """Length of the last part that `split_by_time` holds out."""
    return max(horizon, round(validation_fraction * n_rows))
