"""How much memory a computation on tensors takes at its peak."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode


def with_peak_bytes(compute: Callable[..., Any], *args) -> tuple[Any, int]:
    """Result of a function, and the most bytes that tensors which it makes hold.

    Not counted are buffers within a single operation of torch.
    """
    with _Allocations() as allocations:
        result = compute(*args)
    return result, allocations.peak


class _Allocations(TorchDispatchMode):
    """Bytes of the storages that operations make and that are still alive."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else the compiler is imported, which takes a second; nothing is compiled.
        return False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # Views and results in place share the storage of an argument.
        known = set(map(_storage_id, _tensors([args, *kwargs.values()])))
        result = operation(*args, **kwargs)
        for tensor in _tensors([result]):
            if _storage_id(tensor) not in known:
                known.add(_storage_id(tensor))
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: UntypedStorage) -> None:
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, n_bytes: int) -> None:
        self.now -= n_bytes


def _storage_id(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensors(values: Iterable) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
