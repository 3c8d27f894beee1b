"""Access to the app: only for the browser that was given its address, and nobody else on the machine or the network.

The address that is printed carries a token. It is taken at one place, the door, which gives the browser a cookie and
sends it on to the app, below a path that is drawn anew each time: browsers show a cookie to every server on this
machine, whoever runs it, but only for the path that it was given for. So nobody else sees it, and neither token nor
cookie is in the address that the browser keeps.
"""

from __future__ import annotations

import hmac
import inspect
import ipaddress
import re
import secrets
from http.client import responses
from typing import Any, TypeVar

from jupyter_server.auth.identity import IdentityProvider, User
from tornado.web import RequestHandler

__all__ = ["Door", "Key", "Owner", "Refusal", "guard", "is_here"]

Handler = TypeVar("Handler", bound=RequestHandler)


class Key:
    """Token and path of an app, drawn anew at each start.

    Attributes
    ----------
    token : str
        In the address that is printed, and nowhere else.
    path : str
        Below which the app is, as ``/Zk3.../``.
    """

    cookie = "deep-dissect"

    def __init__(self) -> None:
        self.token, self.path = secrets.token_hex(24), f"/{secrets.token_urlsafe(12)}/"

    def is_known(self, handler: RequestHandler) -> bool:
        """Return whether a request comes from a browser that has come through the door."""
        return bool(handler.get_signed_cookie(self.cookie))

    def opens(self, token: str) -> bool:
        """Return whether this is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())


class Refusal(RequestHandler):
    """Refuses every address that is not the app's."""

    def initialize(self, key: Key) -> None:
        """Take the key."""
        self.key = key

    def prepare(self) -> None:
        """Refuse the request."""
        refuse(self)


class Door(RequestHandler):
    """Lets in a browser that has the token."""

    def initialize(self, key: Key) -> None:
        """Take the key."""
        self.key = key

    def prepare(self) -> None:
        """Refuse other names of this machine, such as one that a web page has rebound to it."""
        if not is_here(self.request.host):
            refuse(self)

    def get(self) -> None:
        """Send the browser on to the app, with a cookie that opens it."""
        if not self.key.opens(self.get_query_argument("token", "")):
            refuse(self)
            return
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        # Lax: the page that opens the browser is a file.
        options: dict[str, Any] = {"path": self.key.path, "httponly": True, "samesite": "Lax"}
        self.set_signed_cookie(self.key.cookie, "known", expires_days=None, **options)
        self.redirect(self.key.path)


class Owner(IdentityProvider):
    """Tells Jupyter's handlers who sent a request: only the owner comes through the door."""

    login_available = False
    logout_available = False

    def get_user(self, handler: RequestHandler) -> User | None:
        """Return the owner of the app, or None."""
        key: Key = handler.settings["deep_dissect_key"]
        return User("owner") if key.is_known(handler) else None


def guard(handler: type[Handler]) -> type[Handler]:
    """Make a handler that refuses all requests except those of a browser that came through the door."""

    async def prepare(self: Any) -> None:
        if not is_here(self.request.host) or not self.settings["deep_dissect_key"].is_known(self):
            refuse(self)
            return
        answer = super(found, self).prepare()
        if inspect.isawaitable(answer):
            await answer

    def write_error(self: Any, status: int, **more: Any) -> None:
        if hasattr(self, "_current_user"):
            super(found, self).write_error(status, **more)
        else:  # before the request is checked: Jupyter's pages would show more
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{status}: {responses.get(status, 'Unknown')}\n")

    found: type[Handler] = type(
        handler.__name__, (handler,), {"prepare": prepare, "write_error": write_error}
    )
    return found


def refuse(handler: RequestHandler) -> None:
    """Answer with status 403 and a line of text."""
    handler.set_status(403)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.finish("403: Open the address that `deep-dissect app` has printed, with its token.\n")


def is_here(host: str) -> bool:
    """Return whether a Host header names this machine itself, on whatever port: a tunnel may end on another one.

    Examples
    --------
    >>> [is_here(host) for host in ("localhost", "127.0.0.1:8866", "[::1]:8866")]
    [True, True, True]
    >>> [is_here(host) for host in ("evil.example:8866", "127.0.0.1.evil.example", "0.0.0.0", "")]
    [False, False, False, False]
    """
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]+)?", host.lower())
    if found is None:
        return False
    name = found[1] or found[2]
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:  # the name of a host
        return False
