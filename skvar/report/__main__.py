"""A report on a saved forecaster as a command."""

import argparse
from pathlib import Path

import pandas as pd

from .._commands import add_options_of_files, table_of
from ..files import load


def main(arguments: list[str] | None = None) -> None:
    """Write the report that the command line asks for."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        forecaster = load(args.model)
        if not hasattr(forecaster, "report"):
            name = type(forecaster).__name__
            article = "an" if name[0] in "AEIOU" else "a"
            raise TypeError(
                f"{args.model} holds {article} {name}; reports are made of forecasters."
            )
        y, X = (None, None) if args.data is None else _table(forecaster, args)
        options = {"steps": args.steps, "held_out": args.held_out}
        forecaster.report(args.output, y, X, random_state=args.seed, **options)
    except (ImportError, LookupError, OSError, TypeError, ValueError) as error:
        parser.error(str(error))
    print(f"The report is in {args.output}.")


def _table(forecaster, args: argparse.Namespace) -> tuple:
    """The series of a forecaster in a CSV file, and its covariates if it has some."""
    now = forecaster.cutoff
    zone = getattr(now, "tz", None)
    table = table_of(args.data, args, gaps="keep", zone=zone)
    if isinstance(now, pd.PeriodIndex) and isinstance(table.index, pd.DatetimeIndex):
        table.index = table.index.to_period(now.freq)
    past = [*(forecaster.past_covariates or [])]
    series = [name for name in forecaster.feature_names_in_ if name not in past]
    # Names in a file are text, those of a model may be numbers.
    called = {str(name): name for name in [*series, *past, *forecaster.covariates_.T]}
    table.columns = [called.get(str(name), name) for name in table]
    if lacking := [name for name in series if name not in table]:
        raise ValueError(f"{args.data} has no columns {lacking}, which the model has.")
    y = table[series]
    ahead = y[::-1].notna().any(axis=1).to_numpy().argmax()
    # Rows that the model has are known, whatever they hold.
    ahead = min(ahead, len(y) - 1 - y.index.get_indexer(now)[-1])
    if ahead:
        print(f"{args.data}: The last {ahead} row(s) hold no value to forecast from.")
        y = y[:-ahead]
    covariates = [name for name in table if name in called.values() and name not in y]
    return y, table[covariates] if covariates else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skvar.report",
        description=(
            "Write a report on a saved forecaster: data, forecasts, tests, matrices "
            "and settings, as one page (.html) or as its content (.json)."
        ),
    )
    parser.add_argument("model", help="file that skvar.save wrote")
    parser.add_argument(
        "data",
        nargs="?",
        help="CSV file with rows up to now, which follow those of the model or begin "
        "before; times without offset are in the time zone of the model; by default "
        "the rows that the model holds",
    )
    parser.add_argument("-o", "--output", default="report.html", type=Path)
    parser.add_argument("--steps", type=int, help="rows to forecast")
    parser.add_argument(
        "--held-out",
        type=float,
        default=0.2,
        help="share of the rows to test on, where too few came after the fit",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_options_of_files(parser)
    return parser


if __name__ == "__main__":
    main()
