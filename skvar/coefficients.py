"""From a network and windows to the matrices of a vector autoregression."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn


def dynamic_var(network: nn.Module, window: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices and intercepts that a ``LinearAttentionVAR`` network applies.

    Exact: the forecast is the intercept plus the matrices applied to the window.

    Parameters
    ----------
    network : skvar.nn.LinearAttentionVAR
    window : Tensor of shape (B, p, n_series)

    Returns
    -------
    matrices : Tensor of shape (B, p, n_targets, n_series)
        Lag 1 first.
    intercepts : Tensor of shape (B, n_targets)
    """
    with torch.no_grad():
        weights = network.weights(window)
    return _affine_map(lambda keys: network.apply_var(keys, weights), window)


def local_var(network: nn.Module, window: Tensor) -> tuple[Tensor, Tensor]:
    """First-step Jacobian of any network's forecast on its window, and the remainder.

    Parameters and returns are those of `dynamic_var`.
    """
    return _affine_map(lambda past: network(past)[:, 0], window)


def _affine_map(
    function: Callable[[Tensor], Tensor], window: Tensor
) -> tuple[Tensor, Tensor]:
    """Slope (B, p, n_out, n_in), newest row first, and offset at (B, p, n_in)."""
    with torch.inference_mode(False), torch.enable_grad():
        inputs = window.detach().clone().requires_grad_()
        out = function(inputs)
        rows = [
            torch.autograd.grad(column.sum(), inputs, retain_graph=True)[0]
            for column in out.unbind(1)
        ]
    slope = torch.stack(rows, dim=2)
    offset = out.detach() - torch.einsum("bpoi,bpi->bo", slope, inputs.detach())
    return slope.flip(1), offset


def to_original_units(
    matrices: np.ndarray,
    intercepts: np.ndarray,
    inputs: StandardScaler,
    targets: StandardScaler,
) -> tuple[np.ndarray, np.ndarray]:
    """Undo the standardisation of series in matrices (..., p, o, i) and intercepts.

    With ``z = (y - mean) / scale``: ``A -> scale A / scale``, and the means that the
    matrices no longer subtract join the intercept.
    """
    matrices = targets.scale_[:, np.newaxis] * matrices / inputs.scale_
    through = np.einsum("...poi,i->...o", matrices, inputs.mean_)
    return matrices, targets.mean_ + targets.scale_ * intercepts - through
