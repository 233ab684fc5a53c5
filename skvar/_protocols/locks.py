"""Locks that objects may hold without harm to their copies, pickles and forks."""

import os
import threading
import weakref


class Lock:
    """A reentrant lock; copies and pickles of it are new locks.

    So is that of a forked child: the thread that holds it at the fork is not there to
    let it go.
    """

    _all: "weakref.WeakSet[Lock]" = weakref.WeakSet()

    def __init__(self):
        self._renew()
        Lock._all.add(self)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *error):
        self._lock.release()

    def __reduce__(self):
        return Lock, ()


def _renew_all() -> None:
    for lock in list(Lock._all):
        # A lock that the forking thread holds is still its own.
        if not lock._lock._is_owned():  # type: ignore[attr-defined]  # undocumented
            lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
