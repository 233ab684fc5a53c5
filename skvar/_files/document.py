"""Values as a flat list of nodes, which JSON holds, and arrays beside it.

A value is written as itself, where JSON has it, else as ``[n]``, the number of a node.
A node is ``[kind, content]`` and refers to earlier nodes alone: what is shared is
written once, and reading needs no recursion.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

# Values in nested lists, tuples, sets and dictionaries, counted as often as they are
# referred to: few of them, shared again and again, could stand for any number.
_MOST_VALUES = 10_000_000


@dataclass(frozen=True)
class Kind:
    """How values of one class are written.

    Parameters
    ----------
    module : str
        Which has the class, under the name of the kind. Files name no modules.
    parts : callable
        ``parts(value)`` is a dictionary of values of known kinds.
    whole : callable
        ``whole(cls, **parts)`` is the value.
    """

    module: str
    parts: Callable[[Any], dict]
    whole: Callable[..., Any]


class Kinds(dict[str, Kind]):
    """Kinds by the names of their classes, which are imported at first use."""

    def type_of(self, name: str) -> type:
        """The class of a kind."""
        return getattr(import_module(self[name].module), name)

    def name_of(self, value) -> str | None:
        """The kind of a value: that of its very class, not of a subclass of it."""
        name = type(value).__name__
        return name if name in self and type(value) is self.type_of(name) else None


@dataclass
class Writer:
    """Writes values as nodes and arrays."""

    kinds: Kinds
    nodes: list = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _written: dict[int, tuple] = field(default_factory=dict)
    _n_named: dict[str, int] = field(default_factory=dict)

    def write(self, value, place: str):
        """What stands for a value, which ``place`` calls by its name.

        Raises
        ------
        ValueError
            If it is of an unknown kind.
        """
        if isinstance(value, np.bool_):
            # Its class has other names in other versions of numpy.
            return bool(value)
        if value is None or type(value) in (bool, int, str) or _is_finite(value):
            return value
        if id(value) not in self._written:
            node = self._node(value, place)
            # The value is kept: another one could take on its id.
            self._written[id(value)] = value, len(self.nodes)
            self.nodes.append(node)
        return [self._written[id(value)][1]]

    def _node(self, value, place: str) -> list:
        if type(value) is float:
            return ["float", repr(value)]
        if type(value) in (list, tuple):
            items = enumerate(value)
            content = [self.write(item, f"{place}.{i}") for i, item in items]
            return [type(value).__name__, content]
        if isinstance(value, dict) and type(value).__name__ not in self.kinds:
            items = dict(value).items()
            content = [
                [self.write(key, place), self.write(item, f"{place}.{key}")]
                for key, item in items
            ]
            return ["dict", content]
        if type(value) in (set, frozenset):
            # In an order that does not depend on hashes.
            items = sorted(value, key=repr)
            return [type(value).__name__, [self.write(item, place) for item in items]]
        if type(value) is np.ndarray:
            return self._array(value, place)
        name = self.kinds.name_of(value)
        if name is None:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise ValueError(
                f"{place} is of the class {kind}, which files of skvar do not hold; "
                "replace it by plain values, or use joblib.dump."
            )
        parts = self.kinds[name].parts(value)
        content = {
            part: self.write(item, f"{place}.{part}") for part, item in parts.items()
        }
        return [name, content]

    def _array(self, array: np.ndarray, place: str) -> list:
        if array.dtype.kind in "OU":
            items = [self.write(item, place) for item in array.ravel().tolist()]
            kind = "text" if array.dtype.kind == "U" else "objects"
            return [kind, {"items": items, "shape": list(array.shape)}]
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"{place} is an array of {array.dtype}, which files of skvar do not "
                "hold; pass numbers or text."
            )
        # Sums depend on the order in memory by rounding.
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            array = array.copy(order="K")
        is_transposed = array.flags.f_contiguous and not array.flags.c_contiguous
        stored = np.asarray(array.T if is_transposed else array, order="C")
        name = self._new_name(place)
        self.arrays[name] = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        return ["transposed" if is_transposed else "array", name]

    def _new_name(self, place: str) -> str:
        """What an array is called: what holds it and its own name, if need be a number.

        The names of many arrays would take more room than small arrays do.
        """
        name = place.partition("network.")[2] or ".".join(place.split(".")[-2:])
        number = self._n_named[name] = self._n_named.get(name, 0) + 1
        return name if number == 1 else f"{name} {number}"


@dataclass
class Reader:
    """Reads values from nodes and arrays."""

    kinds: Kinds
    arrays: Mapping[str, np.ndarray]
    _values: list = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def read(self, nodes: list):
        """The value of the last node.

        Raises
        ------
        ValueError, TypeError, LookupError
            If a kind is not known, or anything does not fit together.
        """
        for kind, content in nodes:
            self._size = 1
            self._values.append(self._value(kind, content))
            self._sizes.append(self._size)
            if self._size > _MOST_VALUES:
                raise ValueError("values refer to each other without bound")
        unused = self.arrays.keys() - self._used
        if unused:
            raise ValueError(f"nothing refers to the array {min(unused)!r}")
        return self._values[-1]

    def _refer(self, written):
        """The value that something stands for."""
        if not isinstance(written, list):
            if isinstance(written, dict):
                raise ValueError("a value is no object of JSON")
            return written
        [number] = written
        if type(number) is not int or number < 0:
            raise ValueError("a reference is no number")
        self._size += self._sizes[number]
        return self._values[number]

    def _value(self, kind: str, content):
        if kind == "float":
            return _non_finite(content)
        if kind in _CONTAINERS:
            self._size += len(content)
            # From an iterator, Python 3.10 would make other empty tuples than ().
            return _CONTAINERS[kind]([self._refer(item) for item in content])
        if kind == "dict":
            self._size += 2 * len(content)
            found = {_key(self._refer(key)): self._refer(x) for key, x in content}
            if len(found) < len(content):
                raise ValueError("a dictionary has one key twice")
            return found
        if kind in ("array", "transposed"):
            self._used.add(content)
            array = self.arrays[content]
            return array if kind == "array" else array.T
        if kind in ("text", "objects"):
            return self._objects(kind == "text", **content)
        parts = {name: self._refer(part) for name, part in content.items()}
        # What holds it prints no more than its class.
        self._size = 1
        return self.kinds[kind].whole(self.kinds.type_of(kind), **parts)

    def _objects(self, is_text: bool, items: list, shape: list) -> np.ndarray:
        found = np.empty(len(items), dtype=object)
        found[:] = [self._refer(item) for item in items]
        found = found.reshape(shape)
        return found.astype(str) if is_text else found


_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _is_finite(value) -> bool:
    return type(value) is float and math.isfinite(value)


def _non_finite(text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError("a float is finite")
    return float(text)


def _key(key):
    """A key, or label; hashes of nested tuples could take for ever."""
    items = key if isinstance(key, tuple) else ()
    if any(isinstance(item, tuple) for item in items):
        raise ValueError("a key is nested")
    return key
