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
        Without gaps.
    lags, horizon : int
        Rows of past and of future in a window.
    dtype : torch.dtype, optional
        Of the batches; that of the values by default.
    """

    def __init__(
        self,
        values: np.ndarray | Tensor,
        lags: int,
        horizon: int,
        dtype: torch.dtype | None = None,
    ):
        if isinstance(values, np.ndarray):
            # joblib maps large arrays read-only into memory, which torch does not know.
            values = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        self.values = values
        self.lags, self.horizon = lags, horizon
        self.dtype = dtype or self.values.dtype

    def __len__(self) -> int:
        return max(0, len(self.values) - self.lags - self.horizon + 1)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Past (B, lags, n_series) and future (B, horizon, n_series) of some windows.

        Window i starts at row i.
        """
        view = self.values.unfold(0, self.lags + self.horizon, 1)
        rows = view[index.to(self.values.device)].mT.to(self.dtype)
        return rows[:, : self.lags], rows[:, self.lags :]

    def batches(
        self, batch_size: int, *, shuffle: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every window once, in order or in an order drawn from torch's generator."""
        permute = torch.randperm if shuffle else torch.arange
        for index in permute(len(self), dtype=torch.int32).split(batch_size):
            yield self[index.long()]

    def to(self, device: torch.device) -> "Windows":
        """The same windows with the values on a device, there in their dtype."""
        if device == self.values.device:
            return self
        values = self.values.to(self.dtype).to(device)
        return Windows(values, self.lags, self.horizon)


def split_by_time(
    values: np.ndarray, lags: int, horizon: int, validation_fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training, and rows for validation windows with futures in the last part.

    The validation rows begin ``lags`` rows before that part, so that its first window
    looks back into the training rows; no training window sees the last part.

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
    return values[: n_rows - n_valid], values[n_rows - n_valid - lags :]
