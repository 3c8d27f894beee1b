"""Who the app answers: tried with real requests to a real server, as a page or another person's program sends them."""

from __future__ import annotations

import json
import re
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

pytest.importorskip("voila")

from app_server import Server, served

EVIL = {"Host": "evil.example"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory() as short
    ):  # names of Unix sockets have 100 bytes at most, or they are ports
        folder = Path(short)
        # Whatever is run by being there would say so.
        for name in ("voila.py", "voila_config.py", "jupyter_config.py", "ipykernel_launcher.py", "json.py"):
            (folder / name).write_text(f"open({str(folder / 'was-run')!r}, 'a').write({name!r})")
        with served(folder) as running:
            yield running
            assert not (folder / "was-run").exists(), (folder / "was-run").read_text()


def number_of(kernel: psutil.Process) -> str:
    found = re.search(r"kernel-([-0-9a-f]{36})", str(kernel.cmdline()))
    assert found
    return found[1]


def test_nobody_comes_in_without_the_token(server: Server) -> None:
    path, cookie = server.enter()
    kernel = "0b0f0f0e-0000-4000-8000-000000000000"
    everything = [
        "/",
        "/?token=",
        "/?token=0",
        f"/?token={server.token[:-1]}",
        f"/?token={server.token}0",
        f"/?token={server.token.upper()}x",
        f"/?tokens={server.token}",
        "/login",
        "/api/kernels",
        f"/api/kernels/{kernel}",
        f"/?password={server.token}",
        path,
        f"{path}?token={server.token}",  # it opens the door alone
        f"{path}anything",
        f"{path}login",
        f"{path}logout",
        f"{path}api/kernels/{kernel}",
        f"{path}voila/static/voila.js",
        f"{path}voila/templates/lab/static/voila.js",
        f"{path}voila/files/workbench.ipynb",
        f"{path}voila/labextensions/x.js",
        f"{path}voila/api/themes/x.css",
        f"{path}voila/api/shutdown/{kernel}",
    ]
    stale = re.sub(r"\|[0-9a-f]{8}", "|00000000", cookie)
    for known in (
        {},
        {"Cookie": "deep-dissect=known"},
        {"Cookie": stale},
        {"Authorization": f"token {server.token}"},
    ):
        for address in everything:
            answer = server.ask(address, **known)
            assert (answer.status, "Set-Cookie" in answer.headers and answer.headers["Set-Cookie"]) == (
                403,
                "None",
            )
            assert "with its token" in answer.text
        for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            for address in (
                "/api/kernels",
                f"{path}voila/api/shutdown/{kernel}",
                f"{path}api/kernels/{kernel}",
            ):
                assert server.ask(address, method=method, body="", **known).status == 403
        channels = f"api/kernels/{kernel}/channels"
        assert server.connect(f"/{channels}", **known).status == 403
        assert server.connect(f"{path}{channels}", **known).status == 403
        assert server.connect(f"{path}{channels}?token={server.token}", **known).status == 403
    assert server.kernels() == []


def test_unknown_methods_are_answered_without_a_traceback(server: Server) -> None:
    path, cookie = server.enter()
    for known in ({}, {"Cookie": cookie}):
        for address in ("/", path, f"{path}voila/static/voila.js", "/api"):
            assert server.ask(address, method="BREW", **known).status == 405
    assert "Traceback" not in server.log.read_text()


def test_other_names_of_this_machine_are_refused(server: Server) -> None:
    path, cookie = server.enter()
    port = server.port
    foreign = [
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0.0.0.0",
    ]
    foreign += [
        f"0.0.0.0:{port}",
        "192.0.2.7",
        "[2001:db8::1]",
        "%2Ftmp",
        "127.0.0.1:80@evil.example",
        "",
        "::1",
    ]
    for host in foreign:
        for address in (f"/?token={server.token}", path, f"{path}voila/static/voila.js", "/nothing"):
            answer = server.ask(address, Host=host, Cookie=cookie)
            assert answer.status in (400, 403), (host, address)
            assert "Set-Cookie" not in answer.headers or answer.headers["Set-Cookie"] == "None"
        channels = f"{path}api/kernels/0b0f0f0e-0000-4000-8000-000000000000/channels"
        assert server.connect(channels, Host=host, Cookie=cookie).status in (400, 403)
    for host in (
        "localhost",
        f"localhost:{port}",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:9",
        "[::1]",
        f"[::1]:{port}",
    ):
        assert server.ask(f"/?token={server.token}", Host=host).status == 302
        assert server.ask(f"{path}voila/static/voila.js", Host=host, Cookie=cookie).status == 200
    assert (
        server.ask(f"/?token={server.token}", Host="evil.example", X_Forwarded_Host="localhost").status == 403
    )


def test_the_owner_gets_a_page_and_its_kernel_and_nobody_else_does(server: Server) -> None:
    path, cookie = server.enter()
    known = {"Cookie": cookie}
    page = server.ask(path, **known)
    assert page.status == 200
    assert "a page" in page.text
    assert page.headers["Referrer-Policy"] == "same-origin"
    for secret in (server.token, cookie):
        assert secret not in page.text
    told = json.loads(
        re.search(r'id="jupyter-config-data"[^>]*>\s*(\{.*?\})\s*</script>', page.text, re.S)[1]
    )
    assert told["baseUrl"] == path
    (kernel,) = server.kernels()
    number = number_of(kernel)
    address, origin = f"{path}api/kernels/{number}", f"http://127.0.0.1:{server.port}"
    assert server.ask(address, **known).status == 200
    for foreign in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}", "http://localhost"):
        assert server.connect(f"{address}/channels", Origin=foreign, **known).status == 403, foreign
    for other in ({}, {**EVIL, **known}, {**EVIL, "Origin": "http://evil.example", **known}):
        assert server.connect(f"{address}/channels", **other).status == 403
    assert server.connect(f"{address}/channels", Origin=origin, **known).status == 101

    # It is ended by its page alone.
    end = f"{path}voila/api/shutdown/{number}"
    xsrf = re.search(r"_xsrf=([^;]+)", page.headers["Set-Cookie"])[1]
    both = {"Cookie": f"{cookie}; _xsrf={xsrf}"}
    for body, more in [
        ("", known),
        ("_xsrf=", both),
        ("_xsrf=2|0|0|0", both),
        (f"_xsrf={xsrf}", known),
        (f"_xsrf={xsrf}", {"Cookie": f"_xsrf={xsrf}"}),
        (f"_xsrf={xsrf}", {**both, **EVIL}),
    ]:
        assert server.ask(end, method="POST", body=body, **more).status == 403, (body, more)
    foreign = {**both, "Origin": "http://evil.example"}
    assert server.ask(end, method="POST", body=f"_xsrf={xsrf}", **foreign).status == 404
    assert server.ask(address, method="DELETE", **known).status == 403
    assert len(server.kernels()) == 1
    assert server.ask(end, method="POST", body=f"_xsrf={xsrf}", Origin=origin, **both).status == 204
    server.wait_for_kernels(0)
    for wrong in (number, "nothing"):
        assert (
            server.ask(end.replace(number, wrong), method="POST", body=f"_xsrf={xsrf}", **both).status == 404
        )


def test_files_are_those_of_the_page_alone(server: Server) -> None:
    path, cookie = server.enter()
    secret = server.log.parent / "secret.txt"
    secret.write_text("secret")
    roots = [
        "voila/static",
        "voila/files",
        "voila/templates/lab/static",
        "voila/labextensions",
        "voila/api/themes",
    ]
    ways = [
        "../" * 12,
        "..%2f" * 12,
        "%2e%2e/" * 12,
        "%2e%2e%2f" * 12,
        "..%5c" * 12,
        "/",
        "%2f",
        "....//" * 12,
        "x/../../",
    ]
    for root in roots:
        for way in ways:
            for file in (str(secret)[1:], "etc/passwd"):
                answer = server.ask(f"{path}{root}/{way}{file}", Cookie=cookie)
                assert answer.status in (400, 403, 404), (root, way)
                assert "secret" not in answer.text.replace("secret.txt", "")
                assert "root:" not in answer.text
    for name in ("page.ipynb", "log", "secret.txt", "voila.py"):
        assert server.ask(f"{path}voila/files/{name}", Cookie=cookie).status == 403
        assert server.ask(f"{path}{name}", Cookie=cookie).status == 404
    assert server.ask("/" + path.strip("/"), Cookie=cookie).status == 403
    # Templates are programs: a link cannot name one.
    assert server.kernels() == []


def test_nothing_secret_can_be_read_by_others(server: Server) -> None:
    path, cookie = server.enter()
    assert server.ask(path, Cookie=cookie).status == 200
    (kernel,) = server.kernels()
    for process in (psutil.Process(server.process.pid), kernel):
        assert server.token not in str(process.cmdline())
    assert server.token not in str(kernel.environ())
    assert server.token not in server.log.read_text()
    (folder,) = server.log.parent.glob("voila_*/")
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    (file,) = folder.glob("kernel-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    connection = json.loads(file.read_text())
    assert (connection["transport"], connection["signature_scheme"]) == ("ipc", "hmac-sha256")
    assert len(connection["key"]) > 30
    for process in (psutil.Process(server.process.pid), kernel):
        listening = [each.laddr for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
        # The server's, and the one at which a kernel takes what its children print, with a secret of its own.
        assert [ip for ip, _ in listening] == ["127.0.0.1"]
    kernel.kill()


def test_there_are_not_more_kernels_than_pages_may_be_open(tmp_path: Path) -> None:
    with served(tmp_path, pages=2) as server, ThreadPoolExecutor(4) as many:
        path, cookie = server.enter()
        answers = list(many.map(lambda _: server.ask(path, Cookie=cookie), range(4)))
        assert sorted(each.status for each in answers) == [200, 200, 503, 503]
        assert len(server.kernels()) == 2
        refused = next(each.text for each in answers if each.status == 503)
        assert "2 pages of this app are open" in refused
        assert "Traceback" not in refused
        number = number_of(server.kernels()[0])
        assert server.connect(f"{path}api/kernels/{number}/channels", Cookie=cookie).status == 101
        # The page was closed without a word, as by a crash: the next one takes its place.
        deadline = time.monotonic() + 20
        while (status := server.ask(path, Cookie=cookie).status) != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status == 200
        assert len(server.kernels()) == 2
        assert number not in [number_of(each) for each in server.kernels()]


def test_a_kernel_that_nobody_looks_at_is_ended_unless_it_runs_a_study(tmp_path: Path) -> None:
    mark = "import os; open(os.environ['DEEP_DISSECT_AT_WORK'], 'w').close(); 'a page'"
    with served(tmp_path, pages=1, idle=5, cell=mark) as server:
        path, cookie = server.enter()
        page = server.ask(path, Cookie=cookie)
        xsrf = re.search(r"_xsrf=([^;]+)", page.headers["Set-Cookie"])[1]
        (kernel,) = server.kernels()
        number = number_of(kernel)
        end, both = f"{path}voila/api/shutdown/{number}", {"Cookie": f"{cookie}; _xsrf={xsrf}"}
        assert server.ask(end, method="POST", body=f"_xsrf={xsrf}", **both).status == 204
        time.sleep(7)
        assert kernel.is_running(), "it runs a study"
        assert server.ask(path, Cookie=cookie).status == 503
        for file in tmp_path.glob("voila_*/*.at-work"):
            file.unlink()  # it is finished
        server.wait_for_kernels(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_kernel_outlives_the_app(tmp_path: Path, number: signal.Signals) -> None:
    with served(
        tmp_path,
        cell="import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    ) as server:
        path, cookie = server.enter()
        assert server.ask(path, Cookie=cookie).status == 200
        kernels = server.kernels()
        assert len(kernels) == 1
        server.process.send_signal(number)
        assert server.process.wait(timeout=20) == 0
        _, alive = psutil.wait_procs(kernels, timeout=20)
        assert alive == []
        assert list(tmp_path.glob("voila_*/")) == []
