"""Attributes that are computed at first use and left out of copies and pickles."""

from collections.abc import Callable


class lazy:
    """A method read as an attribute: computed at first use, then kept.

    Two threads may compute it at once, and agree. Unlike `functools.cached_property`,
    which before Python 3.12 computes under a lock, it is safe where another thread
    forks: the child of a fork would wait for that lock for ever.
    """

    def __init__(self, compute: Callable):
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str):
        self.name = name

    def __get__(self, instance, owner: type | None = None):
        if instance is None:
            return self
        # Without __set__, Python finds the value in the instance from now on.
        return vars(instance).setdefault(self.name, self.compute(instance))


class Recomputable:
    """An object whose lazy attributes die with it: its pickles do not hold them."""

    def __getstate__(self) -> dict:
        return {
            name: value
            # Another thread may be computing one.
            for name, value in dict(vars(self)).items()
            if not isinstance(getattr(type(self), name, None), lazy)
        }
