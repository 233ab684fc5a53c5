"""Estimators that several threads share: every call is as if it were alone.

A call works on a copy of the estimator: one that reads sees what the estimator was when
it began, and one that writes puts its copy in place at the end, in one assignment, if
nothing failed. Writers wait for each other. The copies are cheap: what is large does
not change, and is shared.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .locks import Lock


def reading(method: Callable) -> Callable:
    """Make a method that changes nothing of the estimator run on a copy of it."""

    @functools.wraps(method)
    def on_copy(self, *args, **kwargs):
        view = copy_of(self)
        result = method(view, *args, **kwargs)
        self._after_reading(view)
        return result

    return on_copy


def writing(method: Callable) -> Callable:
    """Make a method that changes the estimator do so at its end, or not at all."""

    @functools.wraps(method)
    def all_or_nothing(self, *args, **kwargs):
        with replacement(self) as working:
            result = method(working, *args, **kwargs)
        return self if result is working else result

    return all_or_nothing


@contextmanager
def replacement(estimator) -> Iterator:
    """A copy of an estimator that takes its place where the block does not fail."""
    with vars(estimator).setdefault("_lock", Lock()):
        start = dict(vars(estimator))
        working = copy_of(estimator)
        before = dict(vars(working))
        yield working
        # What was set meanwhile, such as a parameter, is not undone.
        changed = {
            name
            for name, value in vars(working).items()
            if value is not before.get(name)
        }
        meanwhile = {
            name: value
            for name, value in dict(vars(estimator)).items()
            if value is not start.get(name) and name not in changed
        }
        estimator.__dict__ = {**vars(working), **meanwhile}


def copy_of(estimator):
    """A copy that shares what does not change."""
    copied = copy.copy(estimator)
    # sktime writes into dictionaries of its own.
    for name, value in vars(copied).items():
        if type(value) is dict:
            vars(copied)[name] = dict(value)
    return copied
