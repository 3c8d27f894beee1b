"""Weights by the zoo's index: whole or not at all, checked, resumed, from a server that misbehaves in every way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from dissect_mmdet.errors import DownloadError, ZooError
from dissect_mmdet.zoo._download import cached, download
from zoo_server import (
    FOLDER,
    NAME,
    Behaviour,
    Server,
    file_name,
    log_in_page,
    moved,
    serving,
    status,
    truncated,
    use_zoo,
    whole,
    without_ranges,
)

CONTENT = os.urandom(900_000)
PATH = FOLDER + file_name(CONTENT)
URL = f"https://download.openmmlab.com{PATH}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        server.files[PATH] = CONTENT
        use_zoo(monkeypatch, tmp_path / "index", server, tmp_path / "cache")
        yield server


def test_what_is_there_is_not_asked_for_again(server: Server) -> None:
    path = download(URL, NAME)
    assert path.read_bytes() == CONTENT
    assert path == cached(URL)
    assert download(URL, NAME) == path
    assert server.asked == [(PATH, None)]
    assert [one.name for one in path.parent.iterdir() if not one.name.startswith(".")] == [path.name]


def test_a_file_that_was_put_there_by_hand_needs_no_network(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(URL).parent.mkdir(parents=True)
    cached(URL).write_bytes(CONTENT)
    monkeypatch.setenv("DEEP_DISSECT_ZOO", "http://127.0.0.1:9")
    assert download(URL, NAME).read_bytes() == CONTENT


def test_a_file_that_is_damaged_is_downloaded_again(server: Server) -> None:
    cached(URL).parent.mkdir(parents=True)
    cached(URL).write_bytes(CONTENT[:-1] + b"?")
    assert download(URL, NAME).read_bytes() == CONTENT
    assert server.asked == [(PATH, None)]


@pytest.mark.parametrize(
    ("behaviours", "ranges"),
    [
        ([truncated(400_000)], [None, "bytes=400000-"]),
        (
            [truncated(0), truncated(300_000), truncated(300_000)],
            [None, None, "bytes=300000-", "bytes=600000-"],
        ),
        ([truncated(500_000), without_ranges], [None, "bytes=500000-"]),
        ([status(503), status(500), truncated(10)], [None, None, None, "bytes=10-"]),
    ],
)
def test_a_broken_download_goes_on_where_it_broke_off(
    server: Server, behaviours: list[Behaviour], ranges: list[str | None]
) -> None:
    server.behaviours = behaviours
    assert download(URL, NAME).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ranges


def test_a_download_that_stays_broken_keeps_what_came(server: Server) -> None:
    server.behaviours = [truncated(400_000)] + [truncated(0)] * 4
    with pytest.raises(
        DownloadError,
        match=r"weights of tiny_r18_coco cannot be downloaded from http://127.*: 400,000 of 900,000 bytes came\. "
        r"400,000 bytes are kept, and the same command goes on from there\. .*put that file to .*cache",
    ):
        download(URL, NAME)
    assert not cached(URL).exists()
    server.asked.clear()
    assert download(URL, NAME).read_bytes() == CONTENT
    assert server.asked == [(PATH, "bytes=400000-")]


def test_a_part_that_is_whole_is_taken(server: Server) -> None:
    part = cached(URL).with_name(cached(URL).name + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert download(URL, NAME).read_bytes() == CONTENT
    assert server.asked == [(PATH, "bytes=900000-")]
    assert not part.exists()


@pytest.mark.parametrize("n_bytes", [1000, 1_000_000])
def test_a_part_of_another_file_is_begun_anew(server: Server, n_bytes: int) -> None:
    part = cached(URL).with_name(cached(URL).name + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * n_bytes)
    assert download(URL, NAME).read_bytes() == CONTENT
    assert server.asked == [(PATH, f"bytes={n_bytes}-"), (PATH, None)]


def test_what_is_not_what_its_name_says_is_not_kept(server: Server) -> None:
    server.files[PATH] = CONTENT[::-1]
    with pytest.raises(
        DownloadError,
        match=rf"must have a SHA-256 that begins with {PATH[-12:-4]}, .* got [0-9a-f]{{8}} in 900,000 bytes from "
        r"http://127.*: nothing is kept\. Try again later, or .* DEEP_DISSECT_ZOO",
    ):
        download(URL, NAME)
    assert [one.name for one in cached(URL).parent.iterdir() if not one.name.startswith(".")] == []


def test_a_name_without_a_checksum_is_checked_by_its_length(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files[FOLDER + "tiny_1x.pth"] = CONTENT
    server.behaviours = [truncated(1000)]
    url = URL.replace(PATH, FOLDER + "tiny_1x.pth")
    assert download(url, NAME).read_bytes() == CONTENT
    assert (
        "note: tiny_1x.pth has no checksum in its name: only its length was checked"
        in capsys.readouterr().err
    )


def test_redirects_are_followed_with_the_range(server: Server) -> None:
    with serving() as other:
        other.files["/elsewhere/file"] = CONTENT
        server.behaviours = [truncated(1000), moved(f"{other.url}/elsewhere/file")]
        assert download(URL, NAME).read_bytes() == CONTENT
        assert other.asked == [("/elsewhere/file", "bytes=1000-")]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (status(404), "the server answers 404 Not Found"),
        (status(403), "the server answers 403 Forbidden"),
        (log_in_page, "a web page came instead of a file: the network may want you to log in"),
        (moved("ftp://127.0.0.1/file"), r"the server sends on from http:// to ftp://"),
        (moved("file:///etc/passwd"), r"the server answers 302 Found - Redirection to url .* is not allowed"),
    ],
)
def test_what_the_server_refuses_is_said_in_a_line(
    server: Server, behaviour: Behaviour, message: str
) -> None:
    server.behaviours = [behaviour]
    with pytest.raises(
        DownloadError, match=rf"cannot be downloaded from http://127.*: {message}\. "
    ) as raised:
        download(URL, NAME)
    assert "\n" not in str(raised.value)
    assert len(server.asked) == 1
    assert not cached(URL).exists()


def test_nothing_leads_from_an_encrypted_address_to_another() -> None:
    from http.client import HTTPMessage
    from io import BytesIO
    from urllib.error import URLError
    from urllib.request import Request

    from dissect_mmdet.zoo._transfer import _Redirects

    with pytest.raises(URLError, match="from https:// to http://"):
        _Redirects().redirect_request(Request("https://a/x"), BytesIO(), 302, "", HTTPMessage(), "http://a/x")


def test_without_a_network_the_message_says_where_to_put_the_file(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_ZOO", "http://127.0.0.1:9")
    with pytest.raises(
        DownloadError,
        match=r"cannot be downloaded from http://127\.0\.0\.1:9/.*: Connection refused\. Without a network, put that "
        rf"file to .*{PATH[-12:]}, or give `checkpoint` and `config`; .* DEEP_DISSECT_ZOO",
    ):
        download(URL, NAME)


def test_a_name_that_no_server_has_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEP_DISSECT_ZOO", "https://zoo.invalid")
    with pytest.raises(DownloadError, match=r"cannot be downloaded from https://zoo\.invalid/"):
        download(URL, NAME)


@pytest.mark.parametrize("base", ["zoo.example", "file:///etc", "https://"])
def test_the_address_of_a_mirror_is_checked(
    server: Server, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_ZOO", base)
    with pytest.raises(
        ZooError, match="DEEP_DISSECT_ZOO must be an address that begins with https:// or http://, got"
    ):
        download(URL, NAME)


def test_too_little_room_is_said_before_anything_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**6, 10**6, 100_000))
    with pytest.raises(
        DownloadError, match=r"they need 0\.9 MB, and 0\.1 MB are free\. Make room, or .* DEEP_DISSECT_CACHE"
    ):
        download(URL, NAME)
    assert not cached(URL).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files on Windows")
def test_a_disk_that_is_full_half_way_is_said(server: Server) -> None:
    """A real refusal of the disk: a file may not grow beyond a limit."""
    code = (
        "import resource, signal, sys\n"
        "from dissect_mmdet.zoo._download import download\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))\n"
        "try:\n    download(*sys.argv[1:])\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, URL, NAME], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"DownloadError the weights of {NAME} cannot be written to ")
    assert "larger than a file may be" in done.stdout
    assert "DEEP_DISSECT_CACHE" in done.stdout
    assert not cached(URL).exists()
    assert download(URL, NAME).read_bytes() == CONTENT  # with what came before


def test_a_folder_that_cannot_be_written_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEP_DISSECT_CACHE", "/proc")
    with pytest.raises(DownloadError, match=r"cannot be written to /proc/mmdet-zoo: .*DEEP_DISSECT_CACHE"):
        download(URL, NAME)


def test_a_link_is_not_written_through(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "mine.txt"
    other.write_text("mine")
    part = cached(URL).with_name(cached(URL).name + ".part")
    part.parent.mkdir(parents=True)
    part.symlink_to(other)
    with pytest.raises(DownloadError, match=r"cannot be written to .*a link"):
        download(URL, NAME)
    assert other.read_text() == "mine"


def test_several_processes_download_once(server: Server) -> None:
    def slow(handler: object, content: bytes) -> None:
        import time

        time.sleep(1.0)
        whole(handler, content)  # type: ignore[arg-type]

    server.behaviours = [slow]
    code = "import sys; from dissect_mmdet.zoo._download import download; print(download(*sys.argv[1:]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, URL, NAME], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert [out.strip() for out, _ in ended] == [str(cached(URL))] * 3
    assert [process.returncode for process in started] == [0] * 3
    assert server.asked == [(PATH, None)]
    assert cached(URL).read_bytes() == CONTENT


def test_a_process_that_is_killed_leaves_nothing_but_a_part(server: Server) -> None:
    def stuck(handler: object, content: bytes) -> None:
        import time

        truncated(600_000)(handler, content)  # type: ignore[arg-type]
        handler.wfile.flush()  # type: ignore[attr-defined]
        time.sleep(3)

    server.behaviours = [stuck]
    code = "import sys; from dissect_mmdet.zoo._download import download; print(download(*sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, URL, NAME])
    part = cached(URL).with_name(cached(URL).name + ".part")
    for _ in range(600):
        if part.exists() and part.stat().st_size >= 500_000:
            break
        import time

        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not cached(URL).exists()
    assert download(URL, NAME).read_bytes() == CONTENT
    assert server.asked[1][1] is not None
