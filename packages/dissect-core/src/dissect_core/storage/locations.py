"""Where files are kept: a folder of this machine or of a network file system, or a prefix of an object store.

The rest of Deep Dissect works with paths. A place in an object store is one of universal-pathlib's, which has the
methods of `pathlib.Path` that are used here; nothing else tells the two apart.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ..errors import DissectError, MissingDependencyError, StudyError
from ..text import quoted

OBJECT_STORES = ("s3", "s3a")
"""Stores in which an object is whole or not there, and can be made on condition that there is none."""
_FAULTS_OF_STORES = ("botocore", "aiobotocore", "aiohttp")


def location_of(where: "str | os.PathLike[str]") -> Path:
    """Understand a path or URL of a place.

    Parameters
    ----------
    where : str or path
        A path, ``file:///...``, or ``s3://bucket/prefix``; for any S3-compatible store, with endpoint and credentials
        as AWS's tools read them (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...).

    Returns
    -------
    pathlib.Path, or a `upath.UPath` with the same methods

    Raises
    ------
    StudyError
        If the URL is of another kind of storage.
    MissingDependencyError
        If it is an object store, and what talks to it is not installed.

    Examples
    --------
    >>> location_of("file:///data/heads").as_posix()
    '/data/heads'
    >>> location_of("ftp://data/heads")
    Traceback (most recent call last):
    dissect_core.errors.StudyError: 'ftp://data/heads' must be a path, or begin with file:// or s3://. ...
    """
    if is_remote(where):
        return cast("Path", where)
    if not isinstance(where, (str, os.PathLike)):
        raise StudyError(f"A study's folder must be a path or a URL, got {quoted(where)}.")
    text = os.fspath(where)
    scheme, separator, _ = text.partition("://")
    if not separator:
        first = text.partition("/")[0]
        if first.endswith(":") and first[:-1] in (*OBJECT_STORES, "file"):
            raise StudyError(
                f"A URL must be given as text: {text!r} has lost a slash. Do not wrap it in `Path`."
            )
        return Path(where)
    if scheme == "file":
        return Path(unquote(urlsplit(text).path))
    if scheme not in OBJECT_STORES:
        raise StudyError(
            f"{text!r} must be a path, or begin with file:// or s3://. Mount other storage as a folder."
        )
    if not urlsplit(text).netloc:
        raise StudyError(f"{text!r} must name a bucket: s3://bucket/prefix.")
    return _object_store(text)


def _object_store(url: str) -> Path:
    try:
        import s3fs  # noqa: F401  # upath would find out later, and say so less clearly
        from upath import UPath
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f'{url} needs {error.name}, which is not installed. Run `pip install "dissect-core[s3]"`.',
            name=error.name,
        ) from error
    # Listings are asked for anew each time: others write there, too.
    return cast("Path", UPath(url.rstrip("/"), use_listings_cache=False))


def is_remote(place: Any) -> bool:
    """Return whether a location lies in an object store."""
    return not isinstance(place, (str, Path)) and hasattr(place, "protocol")


@contextmanager
def reached(place: Path, error: type[DissectError] = StudyError) -> Iterator[None]:
    """Turn failures to reach an object store in a block into an error that says what to look at."""
    try:
        yield
    except Exception as cause:
        if not type(cause).__module__.partition(".")[0].startswith(_FAULTS_OF_STORES):
            raise
        what = " ".join(str(cause).split()).rstrip(".")
        remedy = (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            if "credentials" in what
            else "Check the network, the endpoint (AWS_ENDPOINT_URL) and the credentials (AWS_ACCESS_KEY_ID, ...)"
        )
        raise error(f"{place} cannot be reached: {what}. {remedy}.") from cause


def create(place: Path, content: bytes) -> bool:
    """Make an object if there is none of its name; of several that try, one succeeds, and is told so.

    Raises
    ------
    StudyError
        If the store cannot be reached, or refuses.
    """
    store: Any = place
    try:
        with reached(place):
            store.fs.pipe_file(store.path, content, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        raise StudyError(
            f"{place} cannot be written: {error}. Check the bucket, and what you may do there."
        ) from error
    return True
