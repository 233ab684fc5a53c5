"""The benchmark as a command."""

import argparse
import ast
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sktime.forecasting.base import BaseForecaster

from .. import forecasting
from .._commands import add_options_of_files, table_of
from ..datasets import SplitSeries, split_series
from ..datasets.published import SOURCES, fetch
from ..plots import plot_benchmark
from .baselines import baselines
from .boards import Task, among_published, board, read_published
from .results import PROTOCOLS, TRAIN_ONLY, summarise
from .running import benchmark

FORECASTERS = (
    "LinearAttentionVAR",
    "SAMoVARForecaster",
    "AarenForecaster",
    "LinearTransformerForecaster",
    "ITransformerForecaster",
    "InformerForecaster",
)


UNITS = {
    "MSE": "where the variance of each series in the training rows is 1",
    "MAE": "in standard deviations of the training rows",
    "fit_seconds": "of the first fit",
}


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for, and print it."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        _check_extras()
        succeeded = _run_board(args) if args.board else _run_benchmark(args)
    except (ImportError, OSError, TypeError, ValueError) as error:
        parser.error(str(error))
    if not succeeded:
        sys.exit(1)


def _run_benchmark(args: argparse.Namespace) -> bool:
    """Print and write a benchmark; whether no cell failed."""
    picture = Path(args.results).with_suffix(".png")
    if picture == Path(args.results):
        raise ValueError(f"--results {picture} is the name of the picture.")
    if args.published:
        raise ValueError("--published holds figures of boards; add --board.")
    results = benchmark(
        _estimators(args),
        [_data(name, args) for name in args.data],
        args.horizons,
        protocol=args.protocol,
        seeds=range(args.seeds),
        stride=args.stride,
        results=args.results,
        n_jobs=args.jobs,
    )
    print(f"\nProtocol: {args.protocol}")
    for measure, unit in UNITS.items():
        print(f"\n{measure}, {unit}\n\n{markdown(results, measure)}")
    plot_benchmark(results)[0].figure.savefig(picture, dpi=150)
    print(f"\nEvery run is in {args.results}, a picture in {picture}.")
    return results["MSE"].notna().all()


def _run_board(args: argparse.Namespace) -> bool:
    """Print a board; whether no row failed."""
    published = _published(args)
    data = [_data(name, args) for name in args.data]
    tasks = {
        f"{some.name} {horizon}": Task(some.series, horizon, args.windows, some.season)
        for some in data
        for horizon in args.horizons
    }
    if len(tasks) < len(data) * len(args.horizons):
        raise ValueError(f"--data or --horizons hold something twice: {[*tasks]}.")
    results = board(_estimators(args), tasks, n_jobs=args.jobs)
    print(f"\n{markdown_of_rows(results)}")
    if published is not None:
        table = among_published(results, published)
        print(f"\n{args.task}\n\n{markdown_of_rows(table)}")
    return results["MASE"].notna().all()


def _published(args: argparse.Namespace) -> pd.DataFrame | None:
    """Published rows of the task, if asked for."""
    if not args.published:
        return None
    if not args.task or len(args.horizons) > 1:
        raise ValueError(
            "--published needs the name of a --task, and one of --horizons."
        )
    return read_published(args.published, args.task)


def _check_extras() -> None:
    # Missed now rather than after hours.
    for name in ("filelock", "matplotlib", "pooch", "statsmodels"):
        if not find_spec(name):
            raise ImportError(f"{name} is missing: pip install 'skvar[benchmark]'.")


def markdown(results: pd.DataFrame, measure: str) -> str:
    """Means, with standard deviations over seeds, as a table in Markdown."""
    means = summarise(results, measure)
    keys = [results[key] for key in ("data", "horizon", "estimator")]
    spreads = results[measure].astype(float).groupby(keys).std()
    digits = 1 if measure.endswith("seconds") else 3
    lines = [["", *(f"{data} {horizon}" for data, horizon in means.columns)]]
    lines.append(["---", *("---:" for _ in means.columns)])
    for name, row in means.iterrows():
        line = [name]
        for (data, horizon), mean in row.items():
            spread = spreads.get((data, horizon, name))
            text = f"{mean:.{digits}f}"
            line.append(text if pd.isna(spread) else f"{text} ± {spread:.{digits}f}")
        lines.append(line)
    return _aligned(lines)


def markdown_of_rows(table: pd.DataFrame) -> str:
    """Rows of a board as a table in Markdown."""
    is_number = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    lines = [[*table], ["---:" if number else "---" for number in is_number]]
    for row in table.itertuples(index=False):
        line = [f"{x:.3f}" if isinstance(x, float) else str(x) for x in row]
        lines.append(line)
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> str:
    """Cells as text of a table in Markdown."""
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skvar.benchmark",
        description=(
            "Compare forecasters on every window of the test rows. Prints the mean "
            "errors and writes a CSV file and a picture. Interrupted, it goes on where "
            "it was. With --board, compare their quantiles on the last windows."
        ),
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        help="CSV files of your own (70, 10 and 20 %% of their rows to train, validate "
        f"and test), or of: {', '.join(SOURCES)}",
    )
    add_options_of_files(parser).add_argument(
        "--fill",
        action="store_true",
        help="take the values before for rows and values that are missing",
    )
    _add_options_of_boards(parser)
    parser.add_argument("--horizons", nargs="+", type=count, default=[96])
    parser.add_argument(
        "--estimators",
        nargs="+",
        help="by default all forecasters and baselines of skvar. Parameters go in "
        "parentheses, 'SAMoVARForecaster(n_layers=2)'; those of sktime have their "
        "modules before them, 'sktime.forecasting.theta.ThetaForecaster(sp=24)'",
    )
    parser.add_argument("--season", type=count, help="rows, if not as times suggest")
    parser.add_argument("--lags", type=count, default=96, help="rows of history seen")
    parser.add_argument("--max-epochs", type=count, help="of every network")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=TRAIN_ONLY,
        help="rows to estimate on; validation rows choose epochs in any case",
    )
    parser.add_argument("--seeds", type=count, default=3, help="number of seeds")
    parser.add_argument(
        "--stride", type=count, default=1, help="rows between forecasts"
    )
    parser.add_argument("--jobs", type=int, help="processes")
    parser.add_argument("--results", default="benchmark.csv", help="CSV file to go on")
    return parser


def _add_options_of_boards(parser: argparse.ArgumentParser) -> None:
    boards = parser.add_argument_group(
        "boards",
        "Scaled quantile loss and MASE as in fev-bench, each forecaster fitted anew "
        "before every window. Protocol, seeds, stride and results have no part in it.",
    )
    boards.add_argument("--board", action="store_true", help="make a board")
    boards.add_argument(
        "--windows",
        type=count,
        default=5,
        help="at the end of each table, of a horizon",
    )
    boards.add_argument(
        "--published",
        metavar="FILE",
        help="CSV file with columns task, model, SQL and MASE, to stand among",
    )
    boards.add_argument("--task", help="the one of FILE that --data hold")


def count(text: str) -> int:
    """A whole number of at least 1."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def _data(name: str, args: argparse.Namespace) -> SplitSeries:
    data = fetch(name) if name in SOURCES else _own_data(name, args)
    return data if args.season is None else replace(data, season=args.season)


def _own_data(name: str, args: argparse.Namespace) -> SplitSeries:
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"--data {name} is neither a file nor one of {', '.join(SOURCES)}."
        )
    try:
        table = table_of(path, args, gaps="fill" if args.fill else "raise")
        return split_series(table, path.name.partition(".")[0])
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"--data {name}: {error}") from error


def _estimators(args: argparse.Namespace) -> dict[str, BaseForecaster]:
    """Forecasters by what the command line calls them."""
    known = baselines(args.lags)
    general = {"lags": args.lags}
    if args.max_epochs is not None:
        general["max_epochs"] = args.max_epochs
    return {
        spec: known[spec] if spec in known else _forecaster(spec, general)
        for spec in args.estimators or [*known, *FORECASTERS]
    }


def _forecaster(spec: str, general: dict) -> BaseForecaster:
    """A forecaster from the name of its class, perhaps with parameters."""
    path, parenthesis, rest = spec.strip().partition("(")
    module, _, name = path.strip().rpartition(".")
    try:
        found = getattr(import_module(module) if module else forecasting, name)
        if not (isinstance(found, type) and issubclass(found, BaseForecaster)):
            raise TypeError(f"{name} is not the class of a forecaster")
        kind: type[BaseForecaster] = found
        call = ast.parse(f"f({rest}" if parenthesis else "f()", mode="eval").body
        if not isinstance(call, ast.Call):
            raise SyntaxError(f"{ast.unparse(call)} is no call")
        if call.args:
            raise SyntaxError(f"{ast.unparse(call.args[0])} has no name")
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        names = kind.get_param_names()
        return kind(**{key: general[key] for key in general if key in names} | given)
    except (AttributeError, ImportError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(
            f"--estimators {spec!r} is not understood ({error}); pass some of "
            f"{[*baselines(), *FORECASTERS]}, or the path of a class, with parameters "
            "as 'name=value' in parentheses."
        ) from error


if __name__ == "__main__":
    main()
