"""The usual tables for long horizons, downloaded once, with their standard splits."""

import numbers
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from .._data.tables import as_frame, regular_step
from .._data.units import standardise, units_of
from .._typing import PathLike, Table


@dataclass(frozen=True, eq=False)
class SplitSeries:
    """A table and the rows at which its training, validation and test parts end.

    Parameters
    ----------
    name : str
        What results call it.
    series : DataFrame of shape (n_rows, n_series)
        Rows are consecutive, equally spaced times, in original units.
    training_end, validation_end, test_end : int
        Number of rows before the end of each part; rows after ``test_end`` belong to
        none. Without a validation part the first two are equal.
    season : int, default=1
        Rows in the shortest season.

    Raises
    ------
    TypeError
        If a column is not numeric, or the name not text.
    ValueError
        If the bounds are out of order, times are not one step apart, or ``series``
        holds NaN or infinite values.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar.datasets import SplitSeries
    >>> macro = SplitSeries("macro", load_macroeconomic(), 120, 140, 200, season=4)
    >>> macro.test.shape
    (60, 12)
    """

    name: str
    series: pd.DataFrame
    training_end: int
    validation_end: int
    test_end: int
    season: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable():
            raise TypeError(f"name must be printable text, not {self.name!r}.")
        object.__setattr__(self, "series", as_frame(self.series, "series").copy())
        regular_step(self.series.index, "series")
        for bound in ("training_end", "validation_end", "test_end", "season"):
            check_scalar(getattr(self, bound), bound, numbers.Integral, min_val=1)
        bounds = self.training_end, self.validation_end, self.test_end
        if not bounds[0] <= bounds[1] < bounds[2] <= len(self.series):
            raise ValueError(
                "training_end <= validation_end < test_end <= number of rows must "
                f"hold, not {bounds} of {len(self.series)} rows."
            )

    @property
    def training(self) -> pd.DataFrame:
        """Rows to learn from."""
        return self.series[: self.training_end]

    @property
    def validation(self) -> pd.DataFrame:
        """Rows to choose by, which follow those of training."""
        return self.series[self.training_end : self.validation_end]

    @property
    def test(self) -> pd.DataFrame:
        """Rows to forecast, which follow those of validation."""
        return self.series[self.validation_end : self.test_end]

    def standardised(self) -> pd.DataFrame:
        """All rows up to ``test_end``, with mean 0 and variance 1 in the training part.

        Returns
        -------
        DataFrame of shape (test_end, n_series)
        """
        scaler = units_of(self.training.to_numpy())
        frame = self.series[: self.test_end]
        values = standardise(frame.to_numpy(), scaler)
        return pd.DataFrame(values, frame.index, frame.columns)


def split_series(
    series: Table,
    name: str = "series",
    *,
    training: float = 0.7,
    test: float = 0.2,
    season: int | None = None,
) -> SplitSeries:
    """Split a table into training, validation and test rows, in the order of time.

    Parameters
    ----------
    series : Series, DataFrame or array of shape (n_rows, n_series)
        Rows are consecutive, equally spaced times.
    name : str, default="series"
        What results call it.
    training, test : float
        Share of the rows, rounded down; what is left between them is validation.
    season : int, optional
        Rows in the shortest season; by default, for times on a calendar, the first of
        day, week and year that has at least two rows, else 1.

    Returns
    -------
    SplitSeries

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, both exceed the whole, a part that must have
        rows has none, or the table is not one that `SplitSeries` takes.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar.datasets import split_series
    >>> macro = split_series(load_macroeconomic(), "macro")
    >>> macro.training_end, macro.validation_end, macro.test_end, macro.season
    (142, 163, 203, 4)
    """
    for share, value in (("training", training), ("test", test)):
        if not 0 < value < 1:
            raise ValueError(f"{share}={value} is not a share between 0 and 1.")
    if training + test > 1:
        raise ValueError(
            f"training={training} and test={test} exceed the whole; lower one of them."
        )
    frame = as_frame(series, "series")
    ends = _shares(len(frame), training, test)
    if not 0 < ends[0] <= ends[1] < ends[2]:
        raise ValueError(
            f"The table has {len(frame)} row(s), too few for training={training} and "
            f"test={test}, of which each needs one: pass more rows, or other shares."
        )
    if season is None:
        season = _season_of(frame.index, regular_step(frame.index, "series"))
    return SplitSeries(name, frame, *ends, season)


def fetch_ett(name: str = "ETTh1", *, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch oil temperature and loads of an electricity transformer: 7 series, 2 years.

    Parameters
    ----------
    name : {"ETTh1", "ETTh2", "ETTm1", "ETTm2"}, default="ETTh1"
        Transformer 1 or 2, every hour or every 15 minutes.
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        12 months of 30 days to train, 4 to validate, 4 to test.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the name is unknown, or the checksum of the download is not the known one.

    References
    ----------
    Zhou, H. et al. (2021). Informer: Beyond Efficient Transformer for Long Sequence
    Time-Series Forecasting. AAAI. https://github.com/zhouhaoyi/ETDataset
    """
    return _fetch_one_of(_ETT, name, data_home)


def fetch_weather(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch measurements of a weather station: 21 series, every 10 minutes of 2020.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test. Rows are numbered:
        their published times have a gap and a double.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Wu, H. et al. (2021). Autoformer: Decomposition Transformers with Auto-Correlation
    for Long-Term Series Forecasting. NeurIPS. Files of
    https://huggingface.co/datasets/thuml/Time-Series-Library
    """
    return fetch("Weather", data_home)


def fetch_electricity(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch the consumption of 321 clients, every hour of 3 years (ECL).

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Wu, H. et al. (2021). Autoformer: Decomposition Transformers with Auto-Correlation
    for Long-Term Series Forecasting. NeurIPS. Files of
    https://huggingface.co/datasets/thuml/Time-Series-Library
    """
    return fetch("Electricity", data_home)


def fetch_traffic(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch road occupancy in San Francisco: 862 sensors, every hour of 2 years.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Wu, H. et al. (2021). Autoformer: Decomposition Transformers with Auto-Correlation
    for Long-Term Series Forecasting. NeurIPS. Files of
    https://huggingface.co/datasets/thuml/Time-Series-Library
    """
    return fetch("Traffic", data_home)


def fetch_exchange_rate(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch exchange rates of 8 currencies to the US dollar, every day from 1990 on.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test. Rows are numbered:
        no times are published with them.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Lai, G. et al. (2018). Modeling Long- and Short-Term Temporal Patterns with Deep
    Neural Networks. SIGIR.
    https://github.com/laiguokun/multivariate-time-series-data
    """
    return fetch("Exchange", data_home)


def fetch_illness(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch influenza-like illness in the US: 7 series, every week from 2002 to 2020.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Wu, H. et al. (2021). Autoformer: Decomposition Transformers with Auto-Correlation
    for Long-Term Series Forecasting. NeurIPS. Files of
    https://huggingface.co/datasets/thuml/Time-Series-Library
    """
    return fetch("ILI", data_home)


def fetch_solar(*, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch solar power in Alabama: 137 plants, every 10 minutes of 2006.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        70 % of the rows to train, 10 % to validate, 20 % to test. Rows are numbered:
        no times are published with them.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the checksum of the download is not the known one.

    References
    ----------
    Lai, G. et al. (2018). Modeling Long- and Short-Term Temporal Patterns with Deep
    Neural Networks. SIGIR.
    https://github.com/laiguokun/multivariate-time-series-data
    """
    return fetch("Solar", data_home)


def fetch_pems(
    name: str = "PEMS03", *, data_home: PathLike | None = None
) -> SplitSeries:
    """Fetch traffic flow in a district of California: sensors, every 5 minutes.

    Parameters
    ----------
    name : {"PEMS03", "PEMS04", "PEMS07", "PEMS08"}, default="PEMS03"
        District.
    data_home : str or Path, optional
        Folder that keeps the file; by default what the environment variable
        SKVAR_DATA_HOME names, else the user's cache folder.

    Returns
    -------
    SplitSeries
        60 % of the rows to train, 20 % to validate, 20 % to test. Rows are numbered:
        no times are published with them.

    Raises
    ------
    ConnectionError
        If the file is neither in the folder nor can be downloaded.
    ImportError
        If pooch is not installed.
    ValueError
        If the name is unknown, or the checksum of the download is not the known one.

    References
    ----------
    Liu, Y. et al. (2024). iTransformer: Inverted Transformers Are Effective for Time
    Series Forecasting. ICLR. Files of https://zenodo.org/records/7816008
    """
    return _fetch_one_of(_PEMS, name, data_home)


@dataclass(frozen=True)
class _Source:
    """A file on the internet and what is known of it.

    ``ends`` maps the number of rows to the ends of training, validation and test;
    times are dropped unless ``timed``.
    """

    url: str
    checksum: str
    season: int
    ends: Callable[[int], tuple[int, int, int]]
    timed: bool = True

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2].partition("?")[0]


def _months_of(rows: int) -> Callable[[int], tuple[int, int, int]]:
    """12, 4 and 4 months of 30 days with so many rows an hour."""
    month = 30 * 24 * rows
    return lambda n_rows: (12 * month, 16 * month, 20 * month)


def _shares(
    n_rows: int, training: float = 0.7, test: float = 0.2
) -> tuple[int, int, int]:
    # Shares of a whole may come out just below it.
    n_training, n_test = (int(share * n_rows + 1e-9) for share in (training, test))
    return n_training, n_rows - n_test, n_rows


def _fifths(n_rows: int) -> tuple[int, int, int]:
    return int(0.6 * n_rows), int(0.8 * n_rows), n_rows


_ETT_FILES = (
    "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/"
    "1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/"
)
_LAI_FILES = (
    "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/"
    "7f402f185cc2435b5e66aed13a3b560ed142e023/"
)
_THUML_FILES = (
    "https://huggingface.co/datasets/thuml/Time-Series-Library/resolve/"
    "2b66e59ee19dac8f6f19fb5d4997f289fdfea357/"
)
_PEMS_FILES = "https://zenodo.org/records/7816008/files/"
_ETT = {
    "ETTh1": _Source(
        _ETT_FILES + "ETTh1.csv",
        "sha256:f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
        24,
        _months_of(1),
    ),
    "ETTh2": _Source(
        _ETT_FILES + "ETTh2.csv",
        "sha256:a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
        24,
        _months_of(1),
    ),
    "ETTm1": _Source(
        _ETT_FILES + "ETTm1.csv",
        "sha256:6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",
        96,
        _months_of(4),
    ),
    "ETTm2": _Source(
        _ETT_FILES + "ETTm2.csv",
        "sha256:db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd",
        96,
        _months_of(4),
    ),
}
_PEMS = {
    name: _Source(f"{_PEMS_FILES}{name}.npz?download=1", f"md5:{md5}", 288, _fifths)
    for name, md5 in (
        ("PEMS03", "651add9bb9eaf7f5eda2f2ee8778a182"),
        ("PEMS04", "5238832691101da85fcac772a32051da"),
        ("PEMS07", "978d3d9b85fe640a446983a34271a48d"),
        ("PEMS08", "2a528d169c0d90294c9e24288a430132"),
    )
}
SOURCES = {
    **_ETT,
    "Weather": _Source(
        _THUML_FILES + "weather/weather.csv",
        "sha256:34ee981d07313e51da2a50bb600072c8ae4a69cb4b0651f4cb93a069d7a2ba63",
        144,
        _shares,
        timed=False,
    ),
    "Electricity": _Source(
        _THUML_FILES + "electricity/electricity.csv",
        "sha256:7e45845d54c5219bad0ae6bc1b5316cf8ff9cead5d33fa998a5a51c2e4a497ad",
        24,
        _shares,
    ),
    "Traffic": _Source(
        _THUML_FILES + "traffic/traffic.csv",
        "sha256:cb06463d56fa17d87f47027cd9389ceae82a69eddee51cdb61480e120dab0b16",
        24,
        _shares,
    ),
    "Exchange": _Source(
        _LAI_FILES + "exchange_rate/exchange_rate.txt.gz",
        "sha256:6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d",
        1,
        _shares,
    ),
    "ILI": _Source(
        _THUML_FILES + "illness/national_illness.csv",
        "sha256:93601f64d2566dc796ca4305adad8b8560c2db1a1ff04543c3bd813a7263570a",
        52,
        _shares,
    ),
    "Solar": _Source(
        _LAI_FILES + "solar-energy/solar_AL.txt.gz",
        "sha256:1ae9329c3e1032acbb8dd080bfc397c44507006812a715d2788f172820489a1c",
        144,
        _shares,
    ),
    **_PEMS,
}


def fetch(name: str, data_home: PathLike | None = None) -> SplitSeries:
    """Fetch one of `SOURCES`."""
    source = SOURCES[name]
    series = read_table(_retrieve(source, data_home), source.timed)
    return SplitSeries(name, series, *source.ends(len(series)), source.season)


def _fetch_one_of(
    sources: dict[str, _Source], name: str, data_home: PathLike | None
) -> SplitSeries:
    if name not in sources:
        raise ValueError(f"name must be one of {sorted(sources)}, not {name!r}.")
    return fetch(name, data_home)


def _retrieve(source: _Source, data_home: PathLike | None) -> Path:
    """The file in the folder of data, downloaded if need be."""
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "Fetching data needs pooch: pip install 'skvar[benchmark]', or pooch alone."
        ) from error
    folder = data_home or os.environ.get("SKVAR_DATA_HOME") or pooch.os_cache("skvar")
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    files = pooch.create(
        folder,
        base_url="",
        registry={source.file: source.checksum},
        urls={source.file: source.url},
        retry_if_failed=1,
    )
    try:
        return Path(files.fetch(source.file, progressbar=True))
    except OSError as error:
        path = folder / source.file
        found = "has another checksum" if path.exists() else "is not there"
        raise ConnectionError(
            f"{path} {found}, and {source.url} cannot be downloaded. Without a "
            f"network, put the file there yourself ({source.checksum}), or name the "
            "folder that has it with data_home or the environment variable "
            "SKVAR_DATA_HOME."
        ) from error


def read_table(path: PathLike, timed: bool = True) -> pd.DataFrame:
    """Read a published table: CSV, or the first channel of an array of numpy.

    A first column of times becomes the index, or is dropped unless ``timed``. A first
    line of numbers is no header.

    Raises
    ------
    ValueError
        If times are not one step apart.
    """
    if Path(path).suffix == ".npz":
        with np.load(path) as arrays:
            return pd.DataFrame(arrays["data"][..., 0])
    first = pd.read_csv(path, header=None, nrows=1).iloc[0]
    is_header = pd.to_numeric(first, errors="coerce").isna().any()
    frame = pd.read_csv(path, header=0 if is_header else None)
    begin = frame.iloc[:, 0]
    if pd.api.types.is_numeric_dtype(begin):
        return frame
    frame = frame.iloc[:, 1:]
    if not timed:
        return frame
    times = pd.DatetimeIndex(pd.to_datetime(begin, format="ISO8601"))
    times.freq = regular_step(times, "the first column")
    return frame.set_index(times)


def _season_of(index: pd.Index, step: pd.DateOffset | int) -> int:
    """Rows in the first of day, week and year that has at least two."""
    if pd.api.types.is_integer_dtype(index):
        return 1
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    times = pd.date_range(index[0], periods=101, freq=step)
    step = (times[-1] - times[0]) / 100
    for span in ("1D", "7D", "365.25D"):
        season = round(pd.Timedelta(span) / step)
        if season > 1:
            return season
    return 1
