"""Refusals of what would need more memory than there is, before a machine swaps."""

import math
import re
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from .._closed_form.error_correction import error_correction_bytes
from .._closed_form.ridge_var import ridge_var_bytes
from .._data.windows import Windows
from .._training.randomness import drawing_from
from .._var.memory import with_peak_bytes
from .rows import Rows
from .specification import Specification

# What takes less is not looked at: bytes, and numbers in the windows of a step.
_SMALL, _SMALL_STEP = 2**27, 2**20


def require_var(specification: Specification, rows: Rows, lags: int) -> None:
    """Raise unless the matrices of a VAR between all series fit into memory.

    Raises
    ------
    MemoryError
    """
    if specification.form is not None:
        n_bytes = error_correction_bytes(rows.segments, specification.form)
    else:
        n_bytes = ridge_var_bytes(rows.segments, lags, rows.n_inputs, rows.design)
    n_series, n_targets = rows.sizes()
    remedy = "Take fewer lags or series"
    if n_targets is None:
        remedy += (
            ", or SAMoVARForecaster(static_path='ridge', n_layers=0), which has no "
            "matrices between series"
        )
    _require(n_bytes, f"A VAR of {lags} lags between {n_series} series", f"{remedy}.")


def require_step(network: nn.Module, windows: Windows, step_size: int) -> None:
    """Raise unless a step of training fits into memory.

    What a few windows take, and what each of the others adds.

    Raises
    ------
    MemoryError
    """
    step_size = min(step_size, len(windows))
    n_series = windows[torch.tensor([0])][0].shape[2]
    if step_size * windows.lags * n_series < _SMALL_STEP:
        return
    # With fewer, the gradients of the weights may be the most.
    of_four, of_eight = (_peak_bytes(network, windows, n) for n in (4, 8))
    _require(
        of_four + (step_size - 4) * (of_eight - of_four) / 4,
        f"A step of training on {step_size} windows of {n_series} series",
        "Pass a smaller batch_size, fewer lags or fewer series.",
    )


def _peak_bytes(network: nn.Module, windows: Windows, n_windows: int) -> int:
    """Of a step, after which the network is as it was."""
    batch = windows[torch.zeros(n_windows, dtype=torch.long)]
    was_training = network.training
    state = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with drawing_from(network.train(), torch.Generator()):
        _, n_bytes = with_peak_bytes(_step, network, *batch)
    network.zero_grad(set_to_none=True)
    for name, buffer in network.named_buffers():
        buffer.copy_(state[name])
    network.train(was_training)
    return n_bytes


def _step(network: nn.Module, *batch: torch.Tensor) -> None:
    sum(network.losses(*batch).values()).backward()


def _require(n_bytes: float, what: str, remedy: str) -> None:
    if n_bytes < _SMALL:
        return
    free = available_bytes()
    if n_bytes > free:
        raise MemoryError(
            f"{what} takes at least {n_bytes / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free. {remedy}"
        )


def available_bytes() -> float:
    """Memory that this process may still take; infinite where the system does not say.

    The least of what is free, what the process's container may take, and what a limit
    of its address space leaves. On Linux alone.
    """
    return min(_of_machine(), _of_container(), _of_process())


def _of_machine() -> float:
    found = re.search(r"MemAvailable:\s*(\d+) kB", _read("/proc/meminfo"))
    return int(found[1]) * 1024 if found else math.inf


def _of_container() -> float:
    group = Path("/sys/fs/cgroup")
    most, used = _read(group / "memory.max"), _read(group / "memory.current")
    if not most.strip().isdigit() or not used:
        return math.inf
    # Of files that were read, which is given back when it is needed.
    cached = re.search(r"^inactive_file (\d+)$", _read(group / "memory.stat"), re.M)
    return int(most) - int(used) + (int(cached[1]) if cached else 0)


def _of_process() -> float:
    limit = re.search(r"Max address space\s+(\d+)", _read("/proc/self/limits"))
    used = re.search(r"VmSize:\s*(\d+) kB", _read("/proc/self/status"))
    return int(limit[1]) - int(used[1]) * 1024 if limit and used else math.inf


def _read(path: str | PathLike[str]) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
