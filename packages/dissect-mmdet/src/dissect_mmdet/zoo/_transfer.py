"""One request of a download: what of a file is still missing, appended to what is there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from dissect_core.progress import tqdm_bar
from dissect_core.text import cut, visible

from ..errors import SAID_AT_MOST, DownloadError, ZooError

TIMEOUT_S = 30
"""Seconds that a server may be silent."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of servers that may be another one a little later."""
_PIECE = 1 << 18
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class RefusedError(ZooError):
    """What was asked for is not to be had: asking again would not help."""


class BrokenOffError(ZooError):
    """The connection ended before all was there: asking again may help."""


def receive(url: str, part: Path, label: str) -> None:
    """Receive what of a file is still missing.

    Parameters
    ----------
    url : str
    part : Path
        What came before; it grows. Where the server gives the whole file all the same, it is begun anew.
    label : str
        What the bar of progress is called.

    Raises
    ------
    RefusedError, BrokenOffError
        If the server does not give it, or not all of it; the reason is the message.
    DownloadError
        If there is not enough room.
    OSError
        If the disk refuses.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"dissect-mmdet/{version('dissect-mmdet')}", "Accept-Encoding": "identity"}
    request = Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))  # checked
    with _network():
        try:
            answer = build_opener(_Redirects).open(request, timeout=TIMEOUT_S)
        except HTTPError as error:
            if error.code == 416 and have and _total(error.headers) == have:
                return  # all of it came before
            if error.code == 416 and have:
                part.unlink()
                raise BrokenOffError("the file there is shorter than what came of it before") from error
            raise
    with answer:
        start, total = _extent(answer, have)
        if answer.headers.get_content_type() == "text/html":
            raise RefusedError("a web page came instead of a file: the network may want you to log in")
        _require_room(part.parent, None if total is None else total - start)
        with part.open("ab") as file, tqdm_bar(total or 0, "B", label) as bar:
            file.truncate(start)
            bar.update(start)
            try:
                for piece in _pieces(answer):
                    file.write(piece)
                    bar.update(len(piece))
            finally:
                file.flush()
            os.fsync(file.fileno())
    size = part.stat().st_size
    if total is not None and size != total:
        raise BrokenOffError(f"{size:,} of {total:,} bytes came")


def _pieces(answer: Any) -> Iterator[bytes]:
    while True:
        with _network():
            piece = answer.read(_PIECE)
        if not piece:
            return
        yield piece


@contextmanager
def _network() -> Iterator[None]:
    """Tell errors of the network apart: those that may pass, and those that will not."""
    try:
        yield
    except HTTPError as error:
        said = f"the server answers {error.code} {visible(str(error.reason))}".rstrip()
        error.close()
        raise (BrokenOffError if error.code in PASSING else RefusedError)(said) from error
    except URLError as error:  # not reached at all
        raise RefusedError(_said(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise BrokenOffError(_said(error)) from error


def _said(reason: object) -> str:
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return cut(visible(" ".join(text.split())).rstrip("."), SAID_AT_MOST)


def _extent(answer: Any, have: int) -> tuple[int, int | None]:
    """Return where what the server sends begins in the file, and the length of the whole, if it says so."""
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    if answer.status != 206:
        return 0, size
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or found[1] is None or int(found[1]) != have:
        raise RefusedError("the server sends another part of the file than it was asked for")
    total = _total(answer.headers)
    return have, total if total is not None or size is None else have + size


def _total(headers: HTTPMessage | Any) -> int | None:
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(found[2]) if found is not None and found[2] != "*" else None


def _require_room(folder: Path, n_bytes: int | None) -> None:
    """Refuse a file that does not fit, before hours are spent on it."""
    free = shutil.disk_usage(folder).free
    if n_bytes is not None and n_bytes > free:
        raise DownloadError(
            f"the weights cannot be written to {folder}: they need {n_bytes / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB "
            "are free. Make room, or let the environment variable DEEP_DISSECT_CACHE name another folder."
        )


class _Redirects(HTTPRedirectHandler):
    """Go where a server sends to, but from an encrypted address to no other."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request of the new address."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new != "https"):
            fp.close()
            raise URLError(f"the server sends on from {old}:// to {new}://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
