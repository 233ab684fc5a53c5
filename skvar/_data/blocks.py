"""Tables that are read block by block: from disk, from a cluster, from an iterator."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from .tables import check_continues, continue_index, precede_index, regular_step

# Bytes of a block of what has no blocks of its own.
_BYTES = 2**25


@dataclass(frozen=True)
class Blocks:
    """Where the blocks of a table come from.

    Parameters
    ----------
    read : callable
        Returns an iterator of the blocks in order: each a table, a function that reads
        one, which pickles small, or a task of Dask that does.
    lengths : sequence of int, optional
        Rows of each block, where they are known before it is read.
    once : bool
        Whether they can be read but once.
    in_dask : bool
        Whether they are tasks of Dask.
    """

    read: Callable[[], Iterator]
    lengths: Sequence[int] | None = None
    once: bool = False
    in_dask: bool = False


def blocks_of(source) -> Blocks:
    """The blocks of anything that `fit_blocks` takes.

    Raises
    ------
    TypeError
        If it has none.
    """
    kind = type(source).__module__.partition(".")[0]
    if kind == "dask":
        return _of_dask(source)
    if kind == "zarr":
        return _of_rows(source, source.chunks[0], partial(_rows_of_zarr, source))
    if kind == "pyarrow":
        return _of_parquet(source)
    if isinstance(source, (str, os.PathLike)):
        # Workers may have another working directory.
        return _of_path(Path(source).resolve())
    if isinstance(source, np.memmap) and source.flags.c_contiguous:
        return _of_file(_place_of(source), source.shape, source.dtype)
    if isinstance(source, np.ndarray):
        return _of_rows(source, 1, partial(_rows_of_array, source))
    if isinstance(source, (pd.DataFrame, pd.Series)):
        return _of_rows(source, 1, partial(_rows_of_frame, source))
    if isinstance(source, Sequence):
        lengths = None if any(map(callable, source)) else [*map(len, source)]
        return Blocks(partial(iter, source), lengths)
    if isinstance(source, Iterator):
        return Blocks(partial(iter, source), once=True)
    if callable(source):
        return Blocks(lambda: iter(source()))
    raise TypeError(
        f"blocks of type {type(source).__name__} cannot be read block by block; pass "
        "the path of a .npy file or of a Parquet file or folder, a memmap, a zarr or "
        "Dask array, a Dask DataFrame, a pyarrow dataset, a list of tables or of "
        "functions that return one, an iterator of tables, or a function that returns "
        "an iterator."
    )


def read(block) -> np.ndarray | pd.DataFrame:
    """The table of a block."""
    if hasattr(block, "compute"):
        return block.compute()
    return block() if callable(block) else block


def row_counts(block) -> list[int]:
    """Rows of a block that must be read to know."""
    return [len(read(block))]


def concatenated(counts: list[int], later: list[int]) -> list[int]:
    """Rows of several blocks and of those that follow."""
    return counts + later


def _of_rows(table, whole: int, reader: Callable) -> Blocks:
    """Of what is sliced by rows, in blocks of multiples of some rows."""
    n_rows, n_series = table.shape[0], math.prod(table.shape[1:])
    wanted = max(1, _BYTES // (8 * max(n_series, 1)))
    at_once = max(1, wanted // whole) * whole
    starts = range(0, n_rows, at_once)
    lengths = [min(at_once, n_rows - start) for start in starts]
    readers = [
        partial(reader, start, start + n)
        for start, n in zip(starts, lengths, strict=True)
    ]
    return Blocks(partial(iter, readers), lengths)


def _rows_of_array(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    return array[start:stop]


def _rows_of_zarr(array, start: int, stop: int) -> np.ndarray:
    return np.asarray(array[start:stop])


def _rows_of_frame(frame: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    return frame.iloc[start:stop]


def _of_path(path: Path) -> Blocks:
    if path.suffix != ".npy":
        return _of_parquet(_dataset(path))
    with path.open("rb") as file:
        is_first = np.lib.format.read_magic(file) == (1, 0)
        read_header = (
            np.lib.format.read_array_header_1_0
            if is_first
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(file)
        place = str(path.resolve()), file.tell()
    if fortran and len(shape) == 2:
        table = _like(shape, dtype)
        return _of_rows(table, 1, partial(_rows_of_columns, *place, shape, dtype))
    return _of_file(place, shape, dtype)


def _of_file(place: tuple[str, int], shape: tuple, dtype: np.dtype) -> Blocks:
    """Of rows in a file, which is read, not mapped: maps count as memory."""
    reader = partial(_rows_of_file, *place, shape[1:], dtype)
    return _of_rows(_like(shape, dtype), 1, reader)


def _like(shape: tuple, dtype: np.dtype) -> np.ndarray:
    """An array of a shape that takes no memory."""
    return np.broadcast_to(np.empty((), dtype), shape)


def _rows_of_file(
    path: str, first_byte: int, shape: tuple, dtype: np.dtype, start: int, stop: int
) -> np.ndarray:
    n_numbers = math.prod(shape)
    offset = first_byte + start * n_numbers * dtype.itemsize
    count = (stop - start) * n_numbers
    rows = np.fromfile(path, dtype, count, offset=offset)
    return rows.reshape(stop - start, *shape)


def _rows_of_columns(
    path: str, first_byte: int, shape: tuple, dtype: np.dtype, start: int, stop: int
) -> np.ndarray:
    """Of a file that holds one column after the other."""
    n_rows, n_columns = shape
    rows = np.empty((stop - start, n_columns), dtype)
    for i in range(n_columns):
        offset = first_byte + (i * n_rows + start) * dtype.itemsize
        rows[:, i] = np.fromfile(path, dtype, stop - start, offset=offset)
    return rows


def _place_of(mapped: np.memmap) -> tuple[str, int]:
    """The file of a memmap, and the byte at which it begins there."""
    from mmap import ALLOCATIONGRANULARITY

    first = mapped.offset - mapped.offset % ALLOCATIONGRANULARITY
    memory = mapped._mmap  # type: ignore[attr-defined]  # undocumented
    start = np.frombuffer(memory, np.uint8).ctypes.data
    return str(Path(mapped.filename).resolve()), first + mapped.ctypes.data - start


def _dataset(path: Path):
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow: pip install "skvar[distributed]".'
        ) from error
    return pyarrow.dataset.dataset(path, format="parquet")


def _of_parquet(dataset) -> Blocks:
    """Of the row groups of a data set, in the order of its files."""
    groups = [
        group
        for fragment in dataset.get_fragments()
        for group in fragment.split_by_row_group()
    ]
    # count_rows() counts those of the whole file.
    lengths = [sum(part.num_rows for part in group.row_groups) for group in groups]
    readers = [partial(_rows_of_group, group, dataset.schema) for group in groups]
    return Blocks(partial(iter, readers), lengths)


def _rows_of_group(group, schema) -> pd.DataFrame:
    return group.to_table(schema=schema).to_pandas()


def _of_dask(collection) -> Blocks:
    """Of the partitions of a DataFrame, or of an array with whole rows."""
    if hasattr(collection, "chunks"):
        if collection.ndim > 1:
            collection = collection.rechunk({1: -1})
        lengths = [*collection.chunks[0]]
        if not all(map(math.isfinite, lengths)):
            lengths = None
    else:
        lengths = [*collection.map_partitions(len).compute()]
    tasks = collection.to_delayed()
    return Blocks(partial(iter, np.ravel(tasks).tolist()), lengths, in_dask=True)


# times


@dataclass(frozen=True, eq=False)
class Times:
    """The ends of a regular time index.

    Parameters
    ----------
    first, last : Index of one time
    step : DateOffset or int, optional
        None for a single timestamp, which has none.
    """

    first: pd.Index
    last: pd.Index
    step: pd.DateOffset | int | None

    @classmethod
    def of(cls, index: pd.Index, first_row: int, name: str) -> "Times | None":
        """Of the rows of a block; None where they are only numbered."""
        numbered = isinstance(index, pd.RangeIndex) and index.step == 1
        if numbered and index[0] in (0, first_row):
            return None
        unknown = isinstance(index, pd.DatetimeIndex) and len(index) == 1
        unknown = unknown and index.freq is None
        step = None if unknown else regular_step(index, name)
        return cls(index[:1], index[-1:], step)

    def followed_by(self, later: "Times") -> "Times":
        """Those of two blocks, of which one must go on where the other ends."""
        step = self.step or later.step
        if step is not None:
            check_continues(later.first, self.first, step, "A block")
            between = continue_index(self.last, step, 1)
            if between[0] != later.first[0] or (later.step or step) != step:
                raise ValueError(
                    f"A block begins at {later.first[0]}, but the one before ends at "
                    f"{self.last[0]}: blocks must follow each other in time, one step "
                    "apart. Sort them, and bring their rows to equal steps."
                )
        else:
            joined = self.last.append(later.last)
            step = regular_step(joined, "Two blocks of a row")
        return Times(self.first, later.last, step)

    def latest(self, n_rows: int) -> pd.Index:
        """The times of the last rows."""
        index = self.last
        if n_rows > 1:
            index = precede_index(self.last, self.step, n_rows - 1).append(self.last)
        if isinstance(index, pd.DatetimeIndex):
            index = pd.DatetimeIndex(index, freq=self.step)
        return index
