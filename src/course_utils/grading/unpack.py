"""Reading the entries of a zip in memory, each byte that comes out counted."""

from __future__ import annotations

import contextlib
import io
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO

from course_utils.grading.handed import Entry, IntakeLimits, is_junk
from course_utils.grading.untrusted import RefusedError

CHUNK = 1 << 16
_DRIVE = re.compile(r"[A-Za-z]:")
_SIGNATURE = b"PK\x01\x02"  # begins each entry of a zip's list
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others may ask for gigabytes before the first byte is out


@dataclass(frozen=True)
class Member:
    """An entry of a zip: its name, its path (None where that leads out of the archive), and how it is read."""

    name: str
    path: tuple[str, ...] | None
    read: Callable[[int], bytes]
    folder: bool
    note: str


class Unpacker:
    """Reads entries, and counts what comes out of them."""

    def __init__(self, limits: IntakeLimits) -> None:
        self.limits, self.left = limits, limits.archive_bytes

    def read(self, opened: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
        """The content of an entry.

        Raises:
            RefusedError: it is no plain file, damaged, encrypted, or unpacks to more than ``limit`` bytes.
        """
        _expect_file(info)
        try:
            with opened.open(info) as file:
                return self._counted(file, limit)
        except RefusedError:
            raise
        except Exception as error:  # zipfile raises many types for a damaged entry
            raise RefusedError(f"is damaged in the archive: {type(error).__name__}") from error

    def _counted(self, file: IO[bytes], limit: int) -> bytes:
        content = bytearray()
        while chunk := file.read(CHUNK):
            content += chunk
            self.left -= len(chunk)
            if len(content) > limit:
                raise RefusedError(f"is larger than {limit} bytes")
            if self.left < 0:
                raise RefusedError(f"is not unpacked: the archive gave {self.limits.archive_bytes} bytes before it")
        return bytes(content)

    def inner(self, entry: Entry) -> list[Member]:
        """The members of a zip within the archive.

        Raises:
            RefusedError: it is not a zip that can be read, or holds too much.
        """
        content = entry.read(self.limits.file_bytes)
        if content.count(_SIGNATURE) > self.limits.entries:
            raise RefusedError(f"holds more than {self.limits.entries} entries")
        try:
            return members(zipfile.ZipFile(io.BytesIO(content)), self)
        except Exception as error:  # zipfile raises many types for what is not a zip
            raise RefusedError("is not a zip that can be read") from error


def _expect_file(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16 if info.create_system == 3 else 0  # 3: Unix
    if info.is_dir():
        raise RefusedError("is a folder, not a file")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise RefusedError("is a link or another special file in the archive, which is not followed")
    if info.flag_bits & 0x1:
        raise RefusedError("is encrypted")
    if info.compress_type not in _PACKED:
        raise RefusedError(f"is packed in a way that is not read here ({info.compress_type}): use a plain zip")


def members(opened: zipfile.ZipFile, unpacker: Unpacker) -> list[Member]:
    """The entries of a zip, but for junk."""
    found = []
    for info in opened.infolist():
        name, note = _name(info)
        path = _path(name)
        if path is None or (path and not is_junk(path)):
            folder = info.is_dir() and not name.endswith(".ipynb/")  # the latter stands where a notebook should
            found.append(Member(name, path, partial(unpacker.read, opened, info), folder, note))
    return found


def _name(info: zipfile.ZipInfo) -> tuple[str, str]:
    """An entry's name, and a note where its letters had to be guessed.

    A zip says that a name is UTF-8, or nothing; what says nothing was read as code page 437.
    """
    if "\0" in info.orig_filename:
        return info.orig_filename, ""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename, ""
    for encoding, note in (("utf-8", ""), ("euc-kr", "the archive does not say how names are written: read as EUC-KR")):
        with contextlib.suppress(UnicodeError):
            return info.filename.encode("cp437").decode(encoding), note
    return info.filename, ""


def _path(name: str) -> tuple[str, ...] | None:
    """The parts of an entry's name, Windows' separators too; None where it leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if "\0" in name or ".." in parts or _DRIVE.match(name) or (not parts[0] and len(parts) > 1):
        return None
    return tuple(part for part in parts if part not in ("", "."))
