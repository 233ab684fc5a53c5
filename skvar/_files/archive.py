"""Archives of a document and arrays: a zip file that is whole, or refused."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import safetensors.numpy

_DOCUMENT, _ARRAYS, _SUMS = "document.json", "arrays.safetensors", "SHA256SUMS"

# The end of a zip file without a comment: its size, and its first bytes; before it, in
# files of more than 4 GB, what begins so and tells where things are.
_END_SIZE, _END = 22, b"PK\x05\x06"
_LOCATOR_SIZE, _LOCATOR, _LARGE = 20, b"PK\x06\x07", 2**32
# Bytes of the directory of members, at most.
_LARGEST_DIRECTORY = 2000

# Values that a document may hold, and bytes of the whole archive that allow one more.
_MOST_VALUES, _BYTES_PER_VALUE = 500_000, 64


def write_archive(
    file: BinaryIO,
    document: Mapping,
    arrays: Mapping[str, np.ndarray],
    extra: Mapping[str, bytes] | None = None,
) -> None:
    """Write an archive whose bytes depend on the content alone."""
    members = {
        _DOCUMENT: json.dumps(document, separators=(",", ":")).encode(),
        _ARRAYS: safetensors.numpy.save(dict(arrays)),
        **(extra or {}),
    }
    members[_SUMS] = _sums(members)
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, data in members.items():
            info = ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data)


def read_archive(
    file: BinaryIO, optional: Sequence[str] = ()
) -> tuple[dict, dict[str, np.ndarray], dict[str, bytes]]:
    """Document and arrays of an archive, and other members that it may have.

    No more memory is taken than its size warrants, whatever it says of its content.

    Raises
    ------
    Exception
        Of many kinds, if it is damaged or no such archive.
    """
    size = _check_end(file)
    with ZipFile(file) as archive:
        for info in archive.infolist():
            is_stored = info.compress_type == ZIP_STORED
            if not is_stored or info.file_size != info.compress_size:
                raise ValueError(f"the member {info.filename!r} is compressed")
        names = archive.namelist()
        wanted = [_DOCUMENT, _ARRAYS, *(name for name in optional if name in names)]
        if names != [*wanted, _SUMS]:
            raise ValueError(f"its members are {names}")
        members = {name: archive.read(name) for name in names}
    if members.pop(_SUMS) != _sums(members):
        raise ValueError("a checksum is wrong")
    document = _parsed(members.pop(_DOCUMENT), size)
    arrays = safetensors.numpy.load(members.pop(_ARRAYS))
    return document, arrays, members


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of a path at the end, as a whole.

    Whatever happens meanwhile, what was at the path before stays there: the new file
    has another name until it is on the disk.
    """
    path = checked_place(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_directory(path.parent)


def checked_place(path: str | os.PathLike) -> Path:
    """The full path of a file that may be written."""
    path = Path(path).resolve()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; pass the path of a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no directory {path.parent}; make it first.")
    return path


def _sync_directory(path: Path) -> None:
    """Make sure of a new name, where the system can."""
    if os.name != "posix":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sums(members: Mapping[str, bytes]) -> bytes:
    """Checksums in the form of ``sha256sum``."""
    lines = [
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in members.items()
    ]
    return "".join(lines).encode()


def _check_end(file: BinaryIO) -> int:
    """The size of an archive whose end says that its directory is small."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _LOCATOR_SIZE - _END_SIZE, 0))
    locator, end = file.read(_LOCATOR_SIZE), file.read()
    if not end.startswith(_END) or end[20:] != b"\0\0":
        raise ValueError("it does not end as a zip file without a comment")
    is_other_directory = locator.startswith(_LOCATOR) and size < _LARGE
    n_bytes = int.from_bytes(end[12:16], "little")
    if is_other_directory or n_bytes > _LARGEST_DIRECTORY:
        raise ValueError("it has too many members")
    return size


def _parsed(data: bytes, size: int) -> dict:
    # Each comma and bracket may stand for a value, which takes about a hundred bytes.
    n_values = sum(data.count(mark) for mark in b",[{")
    if n_values > _MOST_VALUES + size // _BYTES_PER_VALUE:
        raise ValueError("its document is too large for its arrays")
    return json.loads(data, parse_constant=_refuse, object_pairs_hook=_unique)


def _refuse(constant: str):
    raise ValueError(f"its document holds {constant}")


def _unique(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its document has one name twice")
    return found
