"""A table as lazy (past, future) windows."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Windows(Dataset):
    """Sliding windows over one table, gathered batch by batch, never all at once.

    Parameters
    ----------
    values : ndarray or Tensor of shape (n_rows, n_series)
        float32, without gaps; copied only if read-only, as memory maps of joblib are.
    lags, horizon : int
        Rows of past and of future in a window.

    Attributes
    ----------
    values : Tensor of shape (n_rows, n_series)
        Shares memory with a writable array.
    """

    def __init__(self, values: np.ndarray | Tensor, lags: int, horizon: int):
        if isinstance(values, np.ndarray):
            values = torch.from_numpy(np.require(values, requirements="W"))
        self.values = values
        self.lags, self.horizon = lags, horizon

    def __len__(self) -> int:
        return max(0, len(self.values) - self.lags - self.horizon + 1)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Past (B, lags, n_series) and future (B, horizon, n_series) of some windows.

        Window i starts at row i.
        """
        view = self.values.unfold(0, self.lags + self.horizon, 1)
        rows = view[index.to(self.values.device)].mT
        return rows[:, : self.lags], rows[:, self.lags :]

    def batches(
        self, batch_size: int, *, shuffle: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every window once, in order or in an order drawn from torch's generator."""
        order = torch.randperm(len(self)) if shuffle else torch.arange(len(self))
        for index in order.split(batch_size):
            yield self[index]

    def to(self, device: torch.device) -> "Windows":
        """The same windows with the values on a device."""
        return Windows(self.values.to(device), self.lags, self.horizon)


def split_by_time(
    values: np.ndarray, lags: int, horizon: int, validation_fraction: float
) -> tuple[Windows, Windows]:
    """Training windows, and validation windows whose futures lie in the last rows.

    A validation window may look back into the training rows; no training window sees
    a validation row.

    Raises
    ------
    ValueError
        If a part would hold no window.
    """
    n_rows = len(values)
    n_valid = max(horizon, round(validation_fraction * n_rows))
    if n_rows - n_valid < lags + horizon:
        raise ValueError(
            f"{n_rows} rows are too few for lags={lags}, horizon={horizon} and a "
            f"validation block of {n_valid} rows: at least {lags + horizon + n_valid} "
            "are needed. Pass more rows, lower lags or horizon, or set "
            "early_stopping=False to do without the validation block."
        )
    train = values[: n_rows - n_valid]
    valid = values[n_rows - n_valid - lags :]
    return Windows(train, lags, horizon), Windows(valid, lags, horizon)
