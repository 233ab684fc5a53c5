"""Trainings that a killed process can go on with, from files in a directory."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from .._files.archive import read_archive, replacing, write_archive
from .._files.document import Reader, Writer
from .._files.kinds import LIBRARIES
from .._files.versions import versions

# Seconds between writes: small networks have many epochs in a second.
_SECONDS = 1.0


class Checkpoint:
    """The state of one training, in a file that its beginning names.

    Two trainings that begin alike go on alike: the file of one serves the other.

    Parameters
    ----------
    directory : str or path
        Made if it is not there.
    beginning : mapping
        All that the training depends on.
    """

    def __init__(self, directory, beginning: Mapping):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        name = digest({**beginning, "versions": versions()})
        self.path = directory / f"{name}.training"
        self._written = time.monotonic()

    def load(self) -> dict | None:
        """The last state that was written, if there is one.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        try:
            with open(self.path, "rb") as file:
                document, arrays, _ = read_archive(file)
                return Reader(LIBRARIES, arrays).read(document["nodes"])
        except FileNotFoundError:
            return None
        except Exception as error:
            raise ValueError(
                f"The checkpoint {self.path} is damaged: {error}. Delete it to train "
                "from the beginning."
            ) from error

    def write(self, state: dict, *, at_once: bool = False) -> None:
        """Write a state, if the last one is not of just now."""
        if not at_once and time.monotonic() - self._written < _SECONDS:
            return
        writer = Writer(LIBRARIES)
        writer.write(state, "state")
        with replacing(self.path) as file:
            write_archive(file, {"nodes": writer.nodes}, writer.arrays)
        self._written = time.monotonic()


def digest(value) -> str:
    """Letters that tell a value from others."""
    writer = Writer(LIBRARIES)
    writer.write(value, "beginning")
    found = hashlib.sha256(json.dumps(writer.nodes).encode())
    for array in writer.arrays.values():
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(array.data)
    return found.hexdigest()[:32]
