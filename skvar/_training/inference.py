"""From a trained network and windows to forecasts, in batches."""

import itertools

import torch
from torch import Tensor, nn

from .._data.windows import Windows
from .._networks.layers import roll_out, window_means


def like(network: nn.Module) -> Tensor:
    """A tensor of the network, for its device and dtype."""
    return next(itertools.chain(network.parameters(), network.buffers()))


@torch.inference_mode()
def forecast(network: nn.Module, past: Tensor, steps: int) -> Tensor:
    """Forecast ``steps`` rows after each window, on the network's device and dtype.

    Beyond the network's own horizon, forecasts are fed back as observations.

    Parameters
    ----------
    past : Tensor of shape (B, lags, n_series)
    steps : int

    Returns
    -------
    Tensor of shape (B, steps, n_targets)
    """
    network.eval()
    return roll_out(network, past.to(like(network)).contiguous(), steps)


def squared_errors(
    network: nn.Module, windows: Windows, batch_size: int = 256
) -> Tensor:
    """Mean squared error of each window (n_windows,), over steps and series.

    Targets that are NaN do not count, nor do windows without any other.
    """
    device = like(network).device
    errors = []
    for past, future, *_ in windows.batches(batch_size):
        future = future.to(device)
        error = forecast(network, past, windows.horizon) - future
        errors.append(window_means(error.square(), future))
    # On the CPU: not every device has float64.
    return torch.cat(errors).cpu().double()
