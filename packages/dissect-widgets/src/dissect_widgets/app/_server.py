"""Voila with one page, behind the access control of the app."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import webbrowser
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from jupyter_core.utils import run_sync
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import HTTPError, RequestHandler
from traitlets import Callable
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler

from ..errors import DissectWidgetsError
from ._door import Door, Key, Owner, Refusal, guard
from ._kernels import Kernels

__all__ = ["App"]

LONGEST_SOCKET = 100  # bytes of the name of a Unix socket: 103 on a Mac, 107 on Linux


class Page(TornadoVoilaHandler):  # type: ignore[misc]  # voila is not typed
    """Shows the workbench."""

    async def get(self, path: str | None = None) -> None:
        """Open a page, with a kernel of its own."""
        if path:
            self.send_error(404)
            return
        _ = self.xsrf_token  # a cookie, without which the page cannot say that it is closed
        await super().get(path)


class Shutdown(VoilaShutdownKernelHandler):  # type: ignore[misc]
    """Ends the kernel of a page that was closed."""

    async def post(self, kernel_id: str) -> None:
        """End the kernel; if it runs a study, only some time after that."""
        if self.kernel_manager.is_at_work(kernel_id):
            self.set_status(204)
            self.finish()
        else:
            await super().post(kernel_id)


class TemplateFiles(TemplateStaticFileHandler):  # type: ignore[misc]
    """Serves files of the page's template."""

    def parse_url_path(self, path: str) -> str:
        """Answer 404 to an address that lacks a part, where Voila would fail."""
        parts = path.split("/")
        if len(parts) < 3 or parts[1] != "static" or ".." in parts:
            raise HTTPError(404)
        return str(super().parse_url_path(path))


OWN = {
    TornadoVoilaHandler: Page,
    VoilaShutdownKernelHandler: Shutdown,
    TemplateStaticFileHandler: TemplateFiles,
}


class App(Voila):  # type: ignore[misc]
    """Voila with one page, for one person on this machine."""

    name = "voila"  # of its settings
    port: int  # a trait of Voila's, which is not typed
    say = Callable(print, help="Takes a line for people.")

    @classmethod
    def config_of(cls, notebook: Path, port: int, *, open_browser: bool, kernels: int, idle: float) -> Config:
        """Return the settings of Voila; they are in no command line, which others on the machine can read.

        Parameters
        ----------
        notebook : Path
        port : int
        open_browser : bool
        kernels : int
            How many pages may be open.
        idle : float
            Seconds after which the kernel of a page that was closed is ended.
        """
        told = Config()
        told.Voila.update(
            notebook_path=str(notebook),
            ip="127.0.0.1",
            port=port,
            open_browser=open_browser,
            log_level=logging.WARNING,
            # Jupyter's settings are programs, and are looked for in the current folder, which may be a stranger's.
            config_file_paths=[],
            identity_provider_class=Owner,
        )
        told.VoilaConfiguration.update(
            show_tracebacks=True,  # to the owner alone
            multi_kernel_manager_class=Kernels,
            # A link must not choose a template, which is a program.
            allow_template_override="NO",
            allow_theme_override="NO",
            file_allowlist=[],
        )
        told.Kernels.update(
            most=kernels,
            cull_idle_timeout=max(1, round(idle)),
            cull_interval=max(1, round(idle / 10)),
            buffer_offline_messages=False,
        )
        return told

    @property
    def address(self) -> str:
        """Return the address of the app, with the token."""
        return f"http://{self.ip}:{self.port}/?token={self.key.token}"

    def initialize(self, argv: list[str] | None = None) -> None:
        """Take the settings, and end on SIGHUP as on SIGTERM."""
        super().initialize(argv)
        self.key = Key()
        self.base_url = self.key.path
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
            signal.signal(hangup, self._handle_signal_stop)

    def init_settings(self) -> dict[str, Any]:
        """Refuse foreign names of this machine, and let its owner alone exchange messages with kernels."""
        longest = Path(self.connection_dir) / f"kernel-{'0' * 36}-ipc-5"
        if os.name == "posix" and len(os.fsencode(longest)) <= LONGEST_SOCKET:
            # In a folder of the owner's. Ports of this machine can be listened to by all who use it.
            self.config.ConnectionFileMixin.transport = "ipc"
        settings: dict[str, Any] = super().init_settings()
        return {
            **settings,
            "allow_remote_access": False,
            "deep_dissect_key": self.key,
            "default_handler_class": Refusal,
            "default_handler_args": {"key": self.key},
            "headers": {"Referrer-Policy": "same-origin"},
            "log_function": self._log_answer,
            "xsrf_cookie_kwargs": {"path": self.key.path, "samesite": "Lax"},
        }

    def init_handlers(self) -> list[Any]:
        """Put a guard before each of Voila's handlers, and a door beside them."""
        handlers = [
            (rule[0], guard(OWN.get(rule[1], rule[1])), *rule[2:]) for rule in super().init_handlers()
        ]
        return [("/", Door, {"key": self.key}), *handlers]

    def listen(self) -> None:
        """Serve until something ends it.

        Raises
        ------
        DissectWidgetsError
            If the port cannot be opened.
        """
        try:
            try:
                sockets = bind_sockets(self.port, self.ip)
            except OSError as error:
                raise DissectWidgetsError(
                    f"`port` must be one that can be listened to, but {self.port} cannot: {error.strerror}. Give "
                    "another one (--port on the command line)."
                ) from error
            self.port = sockets[0].getsockname()[1]
            HTTPServer(self.app).add_sockets(sockets)
            self.say(f"Deep Dissect on {self.address} (Ctrl-C ends it)")
            if self.open_browser:
                self.launch_browser()
            self.ioloop = IOLoop.current()
            with suppress(KeyboardInterrupt):
                self.ioloop.start()
        finally:
            self.stop()

    def launch_browser(self) -> None:
        """Open the address in the browser, through a file that only the owner can read, unlike command lines."""
        try:
            browser = webbrowser.get(self.browser or None)
        except webbrowser.Error as error:
            self.log.warning("No browser is found (%s). Open the address by hand.", error)
            return
        file = Path(self.connection_dir) / "open.html"
        file.touch(mode=0o600)
        file.write_text(f'<meta http-equiv="refresh" content="0;url={escape(self.address)}">')
        threading.Thread(target=browser.open, args=(file.as_uri(),), daemon=True).start()

    def stop(self) -> None:
        """End all kernels, and then remove what connects to them."""
        try:
            run_sync(self.kernel_manager.shutdown_all)()
        finally:
            shutil.rmtree(self.connection_dir, ignore_errors=True)

    def _log_answer(self, handler: RequestHandler) -> None:
        """Log refused and failed requests, without the query of the address."""
        if (status := handler.get_status()) >= 400:
            self.log.warning("%d %s %r", status, handler.request.method, handler.request.path)
