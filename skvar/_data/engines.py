"""Where blocks are summarised: in this process, by joblib, by Dask or by Ray.

Each engine is a function of what to do with a block, of how two neighbouring results
are joined, and of tasks ``(block, *arguments)`` in order; it returns the join of all.
Joining is associative, so that an engine may group neighbours as it likes.
"""

from collections.abc import Callable, Iterable
from functools import reduce

from joblib import delayed

from .._parallel import results_of


def in_process(work: Callable, join: Callable, tasks: Iterable[tuple]):
    """One block after the other."""
    return reduce(join, (work(*task) for task in tasks))


def with_joblib(work: Callable, join: Callable, tasks: Iterable[tuple]):
    """By the workers of ``joblib.parallel_config``; results are joined here."""
    return reduce(join, results_of((delayed(work)(*task) for task in tasks), None))


def with_dask(work: Callable, join: Callable, tasks: Iterable[tuple]):
    """By the present client of Dask, or its default scheduler, which reads the blocks.

    A task that dies with its worker is done again by another one.
    """
    dask = _imported("dask")
    shared = _Once(dask.delayed)
    work, join = dask.delayed(work), dask.delayed(join)
    return _tree(
        join, [work(block, *map(shared, arguments)) for block, *arguments in tasks]
    ).compute()


def with_ray(work: Callable, join: Callable, tasks: Iterable[tuple]):
    """By the workers of Ray, which is started if it does not run.

    A task that dies with its worker is done again by another one.
    """
    ray = _imported("ray")
    if not ray.is_initialized():
        ray.init()
    shared = _Once(ray.put)
    work, join = ray.remote(work), ray.remote(join)
    return ray.get(
        _tree(
            join.remote,
            [
                work.remote(block, *map(shared, arguments))
                for block, *arguments in tasks
            ],
        )
    )


class _Once:
    """Send what many tasks share to the workers but once; small numbers with a task."""

    def __init__(self, send: Callable):
        self.send = send
        self.sent: dict[int, tuple] = {}

    def __call__(self, argument):
        if isinstance(argument, int):
            return argument
        # With the argument itself: while it lives, no other one has its id.
        if id(argument) not in self.sent:
            self.sent[id(argument)] = argument, self.send(argument)
        return self.sent[id(argument)][1]


def _tree(join: Callable, parts: list):
    """Join neighbours, then neighbours of these, until one is left."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        rest = parts[-1:] if len(parts) % 2 else []
        parts = [*(join(*pair) for pair in pairs), *rest]
    return parts[0]


def _imported(name: str):
    try:
        return __import__(name)
    except ImportError as error:
        raise ImportError(
            f'engine={name!r} needs {name}: pip install "skvar[distributed]".'
        ) from error
