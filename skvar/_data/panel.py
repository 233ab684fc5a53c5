"""Labelled series of unequal lengths as padded batches."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from .windows import order_of


class Panel(Dataset):
    """Series with the numbers of their classes, batch by batch.

    Parameters
    ----------
    series : sequence of ndarray of shape (n_rows, n_series)
        Each with at least one row.
    labels : ndarray of int of shape (len(series),), optional
        Numbers of their classes; zeros by default.
    """

    def __init__(self, series: Sequence[np.ndarray], labels: np.ndarray | None = None):
        self.series = [torch.tensor(x, dtype=torch.float32) for x in series]
        self.lengths = torch.tensor([len(x) for x in series])
        self.labels = torch.as_tensor(
            np.zeros(len(series), int) if labels is None else labels
        )

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: Tensor) -> "Panel":
        """Some of the series."""
        part = copy.copy(self)
        part.series = [self.series[i] for i in index]
        index = index.to(self.labels.device)
        part.lengths, part.labels = self.lengths[index], self.labels[index]
        return part

    def content(self) -> Mapping:
        """All that batches depend on."""
        return vars(self)

    def batches(
        self,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        n_most: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Every series once: rows (B, longest, n_series), lengths and labels (B,).

        In order, or in one that a generator draws.
        """
        for index in order_of(len(self), generator)[:n_most].split(batch_size):
            some = self[index.long()]
            rows = pad_sequence(some.series, batch_first=True)
            yield rows, some.lengths, some.labels

    def to(self, device: torch.device) -> "Panel":
        """The same series on a device."""
        moved = copy.copy(self)
        moved.series = [x.to(device) for x in self.series]
        moved.lengths, moved.labels = self.lengths.to(device), self.labels.to(device)
        return moved
