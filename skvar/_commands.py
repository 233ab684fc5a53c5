"""What the commands of the package ask of their CSV files."""

import argparse
from datetime import tzinfo

import pandas as pd

from ._data.reading import Gaps, read_own
from ._typing import PathLike


def add_options_of_files(parser: argparse.ArgumentParser):
    """Let a command ask how its CSV files are written, and return these options."""
    files = parser.add_argument_group(
        "CSV files of your own", "What these do not say is found out, and printed."
    )
    files.add_argument("--separator", help="between values, such as ';'")
    files.add_argument("--decimal", choices=[".", ","], help="sign before decimals")
    files.add_argument("--time-column", help="name of the column of times")
    files.add_argument(
        "--day-first",
        action=argparse.BooleanOptionalAction,
        help="whether days stand before months, as in 31.12.2024",
    )
    return files


def table_of(
    path: PathLike, args: argparse.Namespace, gaps: Gaps, zone: tzinfo | None = None
) -> pd.DataFrame:
    """The table in a CSV file that is written as the options say."""
    return read_own(
        path,
        separator=args.separator,
        decimal=args.decimal,
        time=args.time_column,
        day_first=args.day_first,
        gaps=gaps,
        zone=zone,
        say=lambda text: print(f"{path}: {text}"),
    )
