"""Archives of files that programs write uncompressed: PyTorch's checkpoints and NumPy's ``.npz``."""

import os
import zipfile
from typing import BinaryIO

_LITTLE = 2**16
_LONGEST_LIST = 2**24


class Bounded:
    """A file that gives what it has, whatever size is asked for: Python allocates that much beforehand.

    Parameters
    ----------
    file : binary file
        Open for reading, and seekable.

    Attributes
    ----------
    most : int, optional
        Refuse to read more at once.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.most: int | None = None
        start = file.tell()
        self._size = file.seek(0, os.SEEK_END)
        self.seek, self.tell, self.readline = file.seek, file.tell, file.readline
        self.seek(start)

    def left(self) -> int:
        """Count the bytes up to the end."""
        return max(0, self._size - self.tell())

    def read(self, size: int | None = -1) -> bytes:
        """Give so many bytes, or fewer at the end."""
        if size is None or not 0 <= size <= _LITTLE:
            left = self.left()
            size = left if size is None or size < 0 else min(size, left)
            if self.most is not None and size > self.most:
                raise zipfile.BadZipFile("its list of parts is too long")
        return self._file.read(size)

    def peek(self, size: int) -> bytes:
        """Give the next bytes without moving on."""
        content = self.read(size)
        self.seek(-len(content), os.SEEK_CUR)
        return content

    def seekable(self) -> bool:
        """Return True: `zipfile` asks whether it can move in the file."""
        return True


def open_archive(file: BinaryIO | Bounded) -> zipfile.ZipFile:
    """Open an archive whose parts are not compressed, so that no part is larger than the file.

    Raises
    ------
    zipfile.BadZipFile
        If it is none, is damaged, has parts that are compressed, of one name, or of one place.

    Examples
    --------
    >>> import io
    >>> content = io.BytesIO()
    >>> with zipfile.ZipFile(content, "w") as archive:
    ...     archive.writestr("zeros", bytes(1000), zipfile.ZIP_DEFLATED)
    >>> open_archive(content)
    Traceback (most recent call last):
        ...
    zipfile.BadZipFile: its part 'zeros' is compressed
    """
    content = file if isinstance(file, Bounded) else Bounded(file)
    # The list of parts is the one thing that is read at once while an archive is opened.
    content.most = _LONGEST_LIST
    content.seek(0)
    archive = zipfile.ZipFile(content)
    content.most = None
    parts = archive.infolist()
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.compress_size != part.file_size:
            raise zipfile.BadZipFile(f"its part {part.filename[:200]!r} is compressed")
    if len({part.filename for part in parts}) < len(parts):
        raise zipfile.BadZipFile("two of its parts have one name")
    content.seek(0)
    if sum(part.file_size for part in parts) > content.left():
        raise zipfile.BadZipFile("its parts together are larger than the file")
    return archive
