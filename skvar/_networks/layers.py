"""Parts that more than one network uses."""

import numbers
import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """``nn.Dropout`` that draws from a generator of its own while it has one."""

    generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.generator is None or not self.training or not 0 < self.p < 1:
            return super().forward(x)
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.div_(1 - self.p)


class ResidualMLP(nn.Module):
    """``u + MLP(norm(u))`` with GELU, the feed-forward block of the papers.

    The norm is RMSNorm where none is given.
    """

    def __init__(
        self, width: int, hidden: int, dropout: float, norm: nn.Module | None = None
    ):
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-5) if norm is None else norm
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)

    def forward(self, u: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.expand(self.norm(u)))
        return u + self.dropout(self.contract(hidden))


class HeadNorm(nn.Module):
    """Root-mean-square norm over each head, one gain per head and channel."""

    def __init__(self, n_heads: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_heads, width))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.rms_norm(x, x.shape[-1:], eps=1e-8) * self.weight


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(..., H * d) to (..., H, d)."""
    return x.unflatten(-1, (n_heads, -1))


def bounded(x: Tensor) -> Tensor:
    """Inputs of a network, small enough that the product of four of them is finite."""
    bound = torch.finfo(x.dtype).max ** 0.25
    return x.clamp(-bound, bound)


def roll_out(
    network: Callable[[Tensor], Tensor],
    window: Tensor,
    steps: int,
    first: Tensor | None = None,
    inflow: Tensor | None = None,
) -> Tensor:
    """Forecast (B, steps, C) after windows, fed back beyond the network's horizon.

    ``first`` is what the network forecasts after the window, where that is known.
    ``inflow`` (B, steps, C) is what comes to the forecasts of a network of one step.
    """
    if inflow is not None:
        return _with_inflow(network, window, inflow)
    ahead = [network(window) if first is None else first]
    while len(ahead) * ahead[0].shape[1] < steps:
        longer = torch.cat([window, bounded(ahead[-1])], dim=1)
        window = longer[:, -window.shape[1] :]
        ahead.append(network(window))
    return torch.cat(ahead, dim=1)[:, :steps]


def _with_inflow(
    network: Callable[[Tensor], Tensor], window: Tensor, inflow: Tensor
) -> Tensor:
    ahead = []
    for step in inflow.split(1, dim=1):
        ahead.append(network(window) + step)
        window = torch.cat([window[:, 1:], bounded(ahead[-1])], dim=1)
    return torch.cat(ahead, dim=1)


def mean_squared_error(forecast: Tensor, target: Tensor) -> Tensor:
    """Mean over the entries of the target that are not NaN; zero if there is none."""
    observed = ~target.isnan()
    truth = target.where(observed, forecast.detach())
    total = nn.functional.mse_loss(forecast, truth, reduction="sum")
    return total / observed.sum().clamp(min=1)


def window_means(values: Tensor, target: Tensor) -> Tensor:
    """Mean of each window (..., B, n, C) over the entries observed in its target.

    Windows (B, n, C) whose target is NaN throughout are left out.
    """
    observed = ~target.isnan()
    count = observed.sum(dim=(1, 2))
    means = values.where(observed, 0.0).sum(dim=(-2, -1)) / count
    return means[..., count > 0]


def check_sizes(*, least: int = 1, **sizes: int) -> None:
    """Raise unless every size is an integer and at least so much."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, numbers.Integral):
            raise TypeError(f"{name}={size!r} must be an integer.")
        if size < least:
            raise ValueError(f"{name}={size} must be at least {least}.")


def check_heads(n_heads: int, d_model: int) -> None:
    """Raise unless ``n_heads`` heads of equal width fill ``d_model``."""
    check_sizes(n_heads=n_heads, d_model=d_model)
    if d_model % n_heads:
        raise ValueError(
            f"n_heads={n_heads} does not divide d_model={d_model}; choose a d_model "
            "that is a multiple of n_heads."
        )


def check_window(window: Tensor, lags: int, n_series: int | None = None) -> None:
    """Raise unless a window is (B, lags, n_series), of any series without a number."""
    series = window.shape[-1] if n_series is None else n_series
    if window.ndim != 3 or window.shape[1:] != (lags, series):
        of = "" if n_series is None else f" and n_series={n_series}"
        raise ValueError(
            f"window has the shape {tuple(window.shape)}, not (B, lags, n_series) with "
            f"lags={lags}{of}."
        )


def load_renamed(
    module: nn.Module,
    params: Mapping[str, np.ndarray],
    rename: Callable[[str], str],
    without: str = "$",
) -> None:
    """Load arrays that bear other names; ``rename`` maps a parameter's name to theirs.

    Arrays may have additional axes of length 1. All must be used, but for those whose
    names the pattern ``without`` matches from their start.
    """
    unused = {name for name in params if not re.match(without, name)}
    with torch.no_grad():
        for name, parameter in _learned(module):
            theirs = rename(name)
            if theirs not in params:
                raise ValueError(f"params lacks {theirs!r}, needed for {name!r}.")
            array = torch.tensor(np.asarray(params[theirs]))
            if array.squeeze().shape != parameter.squeeze().shape:
                raise ValueError(
                    f"params[{theirs!r}] has shape {tuple(array.shape)}, which does "
                    f"not fit {name!r} of shape {tuple(parameter.shape)}; check the "
                    "sizes passed beside params."
                )
            parameter.copy_(array.reshape(parameter.shape))
            unused.discard(theirs)
    if unused:
        raise ValueError(
            f"The network does not use {sorted(unused)} of params; check the sizes "
            "passed beside params."
        )


def _learned(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and running statistics of batches."""
    yield from module.named_parameters()
    for name, buffer in module.named_buffers():
        if name.rpartition(".")[2] in ("running_mean", "running_var"):
            yield name, buffer


def renamed(name: str, names: Mapping[str, str]) -> str:
    """The name that another package gives to a parameter, or to its module.

    ``{}`` in ``names`` stands for the number of a layer.
    """
    number = r"(?<=\.)\d+(?=\.)"
    layers, name = re.findall(number, name), re.sub(number, "{}", name)
    if name in names:
        return names[name].format(*layers)
    module, _, parameter = name.rpartition(".")
    return f"{names[module]}.{parameter}".format(*layers)
