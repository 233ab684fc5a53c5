"""Classification of series by attention as a recurrent neural network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .aaren import Aaren
from .layers import Dropout, check_sizes

# Bound of standardised values, for outliers.
_MOST = 10.0


class AarenForClassification(nn.Module):
    """`Aaren` on the rows of a series, with class scores after each of them.

    A token is made of the last ``token_length`` rows and of its position, as sines and
    cosines; beyond the longest series of training the position stays what it was
    there, so that a sequence may go on without end.

    Parameters
    ----------
    longest : int
        Rows of the longest series of training.
    n_series : int
        Columns of a row.
    n_classes : int
        Classes.
    token_length : int
        Rows in a token.
    n_layers, n_heads, d_model : int
        Of `Aaren`.
    dropout : float
        Share of activations dropped in training.

    Raises
    ------
    ValueError
        If a size is less than one, or ``n_heads`` does not divide ``d_model``.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import AarenForClassification
    >>> network = AarenForClassification(longest=100, n_series=3, n_classes=2)
    >>> scores, state = network.extend(torch.randn(1, 100, 3))
    >>> scores.shape
    torch.Size([1, 100, 2])
    """

    def __init__(
        self,
        *,
        longest: int,
        n_series: int,
        n_classes: int,
        token_length: int = 8,
        n_layers: int = 2,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.2,
    ):
        super().__init__()
        check_sizes(
            longest=longest,
            n_series=n_series,
            n_classes=n_classes,
            token_length=token_length,
        )
        self.longest, self.n_series, self.n_classes = longest, n_series, n_classes
        self.token_length = token_length
        self.rows = nn.Linear(token_length * n_series, d_model)
        self.register_buffer("waves", _waves(longest), persistent=False)
        self.position = nn.Linear(self.waves.shape[1], d_model, bias=False)
        self.dropout = Dropout(dropout)
        self.aaren = Aaren(
            d_model, n_heads, n_layers=n_layers, dropout=dropout, timescale=longest + 1
        )
        self.head = nn.Sequential(
            nn.LayerNorm(d_model), Dropout(dropout), nn.Linear(d_model, n_classes)
        )

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Scores (B, n_classes) after series of some lengths (B,).

        Rows (B, n, n_series) after the end of a series are padding of any finite value.
        """
        out, _ = self._encode(rows)
        return self.head(out[torch.arange(len(rows)), lengths - 1])

    def losses(
        self, rows: Tensor, lengths: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Cross-entropies after the series, and on average after each of their rows."""
        scores, _ = self.extend(rows)
        every = labels.unsqueeze(1).expand(scores.shape[:2])
        errors = F.cross_entropy(scores.mT, every, reduction="none")
        rows_in = torch.arange(rows.shape[1], device=rows.device) < lengths.unsqueeze(1)
        last = errors.gather(1, lengths.unsqueeze(1) - 1)
        return {
            "loss_last": last.mean(),
            "loss_every": (errors * rows_in).sum() / rows_in.sum(),
        }

    def extend(self, rows: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        """Scores (B, n, n_classes) after every row, and the state after the last one.

        Parameters
        ----------
        rows : Tensor of shape (B, n, n_series)
            At least one row where there is no state yet.
        state : tuple, optional
            As returned for the rows before these; its size does not depend on their
            number.

        Returns
        -------
        scores : Tensor of shape (B, n, n_classes)
            Logarithms of probabilities, up to a constant of each row.
        state : tuple
        """
        out, state = self._encode(rows, state)
        return self.head(out), state

    def _encode(self, rows: Tensor, state: tuple | None = None) -> tuple[Tensor, tuple]:
        """What scores are made of after each row, and the state."""
        rows = rows.clamp(-_MOST, _MOST)
        if state is None:
            state = rows[:, :1].expand(-1, self.token_length - 1, -1), 0, None
        recent, first, carried = state
        n = rows.shape[1]
        longer = torch.cat([recent, rows], dim=1)
        tokens = self.rows(longer.unfold(1, self.token_length, 1).flatten(2))
        place = torch.arange(first, first + n, device=rows.device)
        waves = self.waves[place.clamp(max=self.longest - 1)]
        out, carried = self.aaren(self.dropout(tokens + self.position(waves)), carried)
        return out, (longer[:, n:].clone(), min(first + n, self.longest), carried)


def _waves(n: int) -> Tensor:
    """Sines and cosines (n, 16) of the first positions, of 2 pi to 2 pi 10^3.5 rows."""
    phases = torch.arange(n).unsqueeze(1) / 10 ** (torch.arange(8) / 2)
    return torch.cat([phases.sin(), phases.cos()], dim=1)
