"""Calls spread by joblib over the engine of ``joblib.parallel_config``."""

from collections.abc import Iterable, Iterator
from typing import Any

import joblib


def results_of(
    calls: Iterable, n_jobs: int | None, *, ordered: bool = True, **options: Any
) -> Iterator:
    """Results of `joblib.delayed` calls, each as it comes.

    Engines send large arguments to a worker once, but with every call what a function
    closes over.

    Parameters
    ----------
    calls : iterable of `joblib.delayed`
    n_jobs : int or None
        As in joblib; None takes that of ``joblib.parallel_config``.
    ordered : bool, default=True
        Whether results come in the order of the calls.
    **options
        Of `joblib.Parallel`.
    """
    return_as = "generator" if ordered else "generator_unordered"
    try:
        parallel = joblib.Parallel(n_jobs, return_as=return_as, **options)
    except ValueError:
        # Pools such as those of Ray and multiprocessing give all results at the end.
        parallel = joblib.Parallel(n_jobs, **options)
    return iter(parallel(calls))
