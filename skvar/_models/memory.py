"""Refusals of what would need more memory than there is, before a machine swaps."""

import copy
import math
import re
from pathlib import Path

import torch
from torch import nn

from .._data.windows import Windows
from .._var.memory import with_peak_bytes
from .rows import Rows
from .specification import Specification

_NUMBER = 8
# Rows of which functions are regressed at once, and about how many of a series.
_ROWS, _FUNCTIONS = 8_192, 16
# Numbers in the windows of a step from which its memory is looked at.
_LARGE = 2**20


def check_closed_form(specification: Specification, rows: Rows) -> None:
    """Raise unless the matrices of a VAR between all series fit into memory.

    Raises
    ------
    MemoryError
    """
    n_series, n_targets = rows.sizes()
    n_bytes = var_bytes(
        sum(map(len, rows.segments)), n_series, n_targets or n_series, specification
    )
    check(
        n_bytes,
        f"A VAR of {specification.lags} lags between {n_series} series",
        "Take fewer lags or series, or SAMoVARForecaster(static_path='ridge', "
        "n_layers=0), which has no matrices between series.",
    )


def var_bytes(
    n_rows: int, n_series: int, n_targets: int, specification: Specification
) -> float:
    """About the most memory that a VAR in closed form takes at once.

    Copies of the matrices, and of what they are solved from: the products of windows,
    or, where these are fewer than lagged values, the windows.
    """
    n_lagged = specification.lags * n_series
    matrices = 4 * n_lagged * n_targets
    if specification.form is not None:
        return _NUMBER * (matrices + _FUNCTIONS * min(n_rows, _ROWS) * n_series)
    n_columns = n_lagged + n_targets
    if n_rows - specification.lags < n_lagged:
        return _NUMBER * (matrices + 5 * n_rows * n_columns)
    return _NUMBER * (matrices + 5 * n_columns**2)


def check_step(network: nn.Module, windows: Windows, step_size: int) -> None:
    """Raise unless a step of training fits into memory.

    As many times what a window takes as there are windows in the step.

    Raises
    ------
    MemoryError
    """
    [window, *others] = windows[torch.tensor([0])]
    if window.numel() * step_size < _LARGE:
        return
    # In a copy without dropout: nothing is drawn, and no gradients stay.
    network = copy.deepcopy(network).eval()
    _, n_bytes = with_peak_bytes(_step, network, window, *others)
    check(
        n_bytes * step_size,
        f"A step of training on {step_size} windows of {window.shape[2]} series",
        "Pass a smaller batch_size, fewer lags or fewer series.",
    )


def _step(network: nn.Module, *batch) -> None:
    sum(network.losses(*batch).values()).backward()


def check(n_bytes: float, what: str, remedy: str) -> None:
    """Raise unless there is so much memory, saying what takes it.

    Raises
    ------
    MemoryError
    """
    free = available_bytes()
    if n_bytes > free:
        raise MemoryError(
            f"{what} takes about {n_bytes / 1e9:.1f} GB of memory, and "
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


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
