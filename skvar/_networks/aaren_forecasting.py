"""Forecasts by attention as a recurrent neural network."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._attention import AarenState, aaren_attention
from .aaren import Aaren
from .layers import Dropout, check_sizes, mean_squared_error

# Time scales in a window of training: what came before it has little weight.
_TIMESCALES = 3

# Bounds for outliers, in standardised units: of values, and of deviations from the
# running mean.
_MOST, _MOST_DEVIATION = 1000.0, 5.0


class AarenForForecasting(nn.Module):
    """`Aaren` on segments of every series, with a forecast after each of them.

    A token is made of the last ``token_length`` rows of a series, and of a mixture of
    all series; the next token ends ``token_length`` rows later. Rows are taken minus
    the last one of their token, and in units of a standard deviation that only looks
    back, so that a sequence may go on without end: `extend` takes further rows, from
    a state of constant size.

    Parameters
    ----------
    lags : int
        Rows of the windows that it is trained on; a third of them is the longest time
        scale on which it forgets, at first.
    horizon : int
        Rows forecast.
    n_series : int
        Series.
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

    Notes
    -----
    The window may have any number of rows; where tokens reach back beyond the first,
    that row is repeated.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import AarenForForecasting
    >>> network = AarenForForecasting(lags=48, horizon=12, n_series=3, token_length=8)
    >>> rows = torch.randn(1, 100, 3)
    >>> forecasts, state = network.extend(rows)
    >>> forecasts.shape
    torch.Size([1, 100, 12, 3])
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        token_length: int = 16,
        n_layers: int = 2,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.1,
    ):
        super().__init__()
        check_sizes(
            lags=lags, horizon=horizon, n_series=n_series, token_length=token_length
        )
        self.lags, self.horizon, self.n_series = lags, horizon, n_series
        self.token_length = token_length
        timescale = 1 + lags / token_length / _TIMESCALES
        self.norm = StreamingNorm(timescale)
        self.own = nn.Linear(token_length + 1, d_model)
        self.mix = nn.Linear(n_series, n_series, bias=False)
        self.context = nn.Linear(token_length + 1, d_model, bias=False)
        self.series = nn.Parameter(0.02 * torch.randn(n_series, d_model))
        self.dropout = Dropout(dropout)
        self.aaren = Aaren(
            d_model, n_heads, n_layers=n_layers, dropout=dropout, timescale=timescale
        )
        self.head_norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, horizon)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, n_series) after rows (B, n, n_series), n at least 1."""
        encoded, _ = self._encode(self._tokens(window))
        return self._forecast(*(part[:, -1] for part in encoded))

    def losses(
        self, window: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared errors of the forecast, and of those after earlier tokens."""
        tokens = self._tokens(window)
        forecasts = self._forecast(*self._encode(tokens)[0])
        if observed is not None:
            window = window.where(observed, torch.nan)
        rows = torch.cat([window, target], dim=1).unfold(1, self.horizon, 1).mT
        ends = torch.arange(tokens.shape[1]) - tokens.shape[1] + 1
        truth = rows[:, window.shape[1] + self.token_length * ends]
        return {
            "loss_earlier": mean_squared_error(forecasts[:, :-1], truth[:, :-1]),
            "loss_forecast": mean_squared_error(forecasts[:, -1], truth[:, -1]),
        }

    def extend(
        self, rows: Tensor, state: tuple | None = None, *, n_last: int | None = None
    ) -> tuple[Tensor, tuple]:
        """Forecasts after every row of a sequence that goes on from a state.

        Parameters
        ----------
        rows : Tensor of shape (B, n, n_series)
            At least one row.
        state : tuple, optional
            As returned for the rows before these. Its size does not depend on their
            number: it holds the last rows of a token, and as many sequences of tokens
            side by side as a token has rows, one of which gets a token with each row.
        n_last : int, optional
            Forecast after this many of the rows alone, the last ones; after all by
            default.

        Returns
        -------
        forecasts : Tensor of shape (B, n_last, horizon, n_series)
            What `forward` returns for the sequence up to each row, to rounding.
        state : tuple
        """
        n, side = rows.shape[1], self.token_length
        n_last = n if n_last is None else n_last
        recent, sequences = self._before(rows) if state is None else state
        longer = torch.cat([recent, rows], dim=1)
        encoded = []
        for tokens in longer.unfold(1, side, 1).split([n - n % side, n % side], dim=1):
            if tokens.shape[1]:
                parts, sequences = self._take_turns(tokens, sequences)
                encoded.append(parts)
        parts = (
            torch.cat(x, dim=1)[:, n - n_last :] for x in zip(*encoded, strict=True)
        )
        return self._forecast(*parts), (longer[:, n:].clone(), sequences)

    def _before(self, rows: Tensor) -> tuple[Tensor, tuple]:
        """The state before the first row: that row repeated, and no tokens."""
        recent = rows[:, :1].expand(-1, self.token_length - 1, -1)
        sizes = len(rows), self.token_length
        none = rows.new_empty(math.prod(sizes), 0, self.n_series, self.token_length)
        return recent, _each(lambda x: x.unflatten(0, sizes), self._encode(none)[1])

    def _take_turns(self, tokens: Tensor, sequences: tuple) -> tuple[list, tuple]:
        """Encode tokens (B, n, C, s) that go to the sequences in turn.

        As many rounds as there are, or one that is not complete. The first sequences
        are the next to get a token.
        """
        sizes = len(tokens), min(tokens.shape[1], self.token_length)
        rounds = tokens.unflatten(1, (-1, sizes[1])).transpose(1, 2).flatten(0, 1)
        before = _each(lambda x: x[:, : sizes[1]].flatten(0, 1), sequences)
        parts, after = self._encode(rounds, before)
        parts = [x.unflatten(0, sizes).transpose(1, 2).flatten(1, 2) for x in parts]
        after = _each(lambda x: x.unflatten(0, sizes), after)
        waiting = _each(lambda x: x[:, sizes[1] :], sequences)
        return parts, _each(lambda *x: torch.cat(x, dim=1), waiting, after)

    def _tokens(self, window: Tensor) -> Tensor:
        """Tokens (B, N, C, token_length) of rows (B, n, C), up to the last row."""
        missing = -window.shape[1] % self.token_length
        first = window[:, :1].expand(-1, missing, -1)
        rows = torch.cat([first, window], dim=1)
        return rows.unflatten(1, (-1, self.token_length)).mT

    def _encode(
        self, tokens: Tensor, state: tuple | None = None
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple]:
        """What forecasts after tokens are made of, and the state of the sequence.

        The output of the network (B, N, C, d_model), the last row (B, N, C) and its
        scale. The state is a triple of running mean, one of variance and one for each
        layer, of tensors (B, C, ...).
        """
        statistics, layers = None, None
        if state is not None:
            statistics = state[:2]
            layers = tuple(tuple(x.flatten(0, 1) for x in layer) for layer in state[2:])
        last, tokens = tokens[..., -1], tokens.clamp(-_MOST, _MOST)
        mean, scale, statistics = self.norm(tokens, statistics)
        features = torch.cat([tokens, mean.unsqueeze(-1)], dim=-1)
        features = (features - tokens[..., -1:]) / scale.unsqueeze(-1)
        mixed = self.mix(features.mT).mT
        u = self.dropout(self.own(features) + self.context(mixed) + self.series)
        out, layers = self.aaren(u.transpose(1, 2).flatten(0, 1), layers)
        sizes = len(tokens), self.n_series
        layers = _each(lambda x: x.unflatten(0, sizes), layers)
        out = out.unflatten(0, sizes).transpose(1, 2)
        return (out, last, scale), statistics + layers

    def _forecast(self, out: Tensor, last: Tensor, scale: Tensor) -> Tensor:
        """Rows (..., horizon, C) from what `_encode` returns."""
        steps = self.head(self.head_norm(out))
        return (last.unsqueeze(-1) + scale.unsqueeze(-1) * steps).mT


class StreamingNorm(nn.Module):
    """Running mean and standard deviation of each series, which forget exponentially.

    Series are expected in standardised units: a token of variance one stands before the
    first, so that the scale is sure even where a series begins flat.

    Parameters
    ----------
    timescale : float
        Tokens after which the weight of a token has fallen to 1 / e.
    """

    def __init__(self, timescale: float):
        super().__init__()
        self.decay = 1 / timescale

    def forward(
        self, tokens: Tensor, state: tuple | None = None
    ) -> tuple[Tensor, Tensor, tuple[AarenState, AarenState]]:
        """Mean and scale (B, N, C) at each token (B, N, C, s), and a state.

        Deviations are from the mean at their time, and bounded.
        """
        if state is None:
            one = tokens.new_ones(len(tokens), tokens.shape[2])
            state = None, (torch.zeros_like(one), one, one.unsqueeze(-1))
        mean, mean_state = self._running(tokens.mean(-1), state[0])
        deviations = tokens - mean.unsqueeze(-1)
        deviations = deviations.clamp(-_MOST_DEVIATION, _MOST_DEVIATION)
        square, square_state = self._running(deviations.square().mean(-1), state[1])
        scale = (square + 1e-8).sqrt()
        return mean, scale, (mean_state, square_state)

    def _running(
        self, x: Tensor, state: AarenState | None
    ) -> tuple[Tensor, AarenState]:
        """Weighted means (B, N, C): the attention of a query to which all are equal."""
        means, state = aaren_attention(
            torch.zeros_like(x), x.unsqueeze(-1), decay=self.decay, initial_state=state
        )
        return means.squeeze(-1), state


def _each(function: Callable, *states: tuple) -> tuple:
    """A state made of the tensors of others, triple by triple."""
    return tuple(
        tuple(map(function, *triples)) for triples in zip(*states, strict=True)
    )
