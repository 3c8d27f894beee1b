"""The app's kernels: one for each open page, up to a limit; those of closed pages are ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import Integer

from ._variables import AT_WORK

__all__ = ["Kernels"]


class Kernels(AsyncMappingKernelManager):
    """Starts and ends kernels; one that runs a study stays until the study is finished.

    Attributes
    ----------
    most : int
        How many there may be.
    """

    most = Integer(4, config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # jupyter_server is typed in part
        self._starting = 0
        self._left: list[str] = []  # by pages that were closed, the first one first

    def is_at_work(self, kernel_id: str) -> bool:
        """Return whether a kernel runs a study."""
        return self._mark(kernel_id).exists()

    async def start_kernel(  # type: ignore[override]  # as in the class that it extends
        self, *, kernel_id: str | None = None, **kwargs: Any
    ) -> str:
        """Start a kernel; if there are as many as there may be, end one whose page was closed.

        Raises
        ------
        HTTPError
            503, if all of them are in use.
        """
        self._starting += 1
        try:
            if len(self) + self._starting > self.most and not await self._made_room():
                raise HTTPError(
                    503,
                    reason=f"{self.most} pages of this app are open, or run a study. Close one of them, wait a "
                    "little, and load this page again",
                )
            kernel_id = kernel_id or self.new_kernel_id()
            kwargs["env"] = {**(kwargs.get("env") or os.environ), AT_WORK: str(self._mark(kernel_id))}
            return str(await super().start_kernel(kernel_id=kernel_id, **kwargs))
        finally:
            self._starting -= 1

    def notify_disconnect(self, kernel_id: str) -> None:
        """Note that a page was closed."""
        super().notify_disconnect(kernel_id)  # type: ignore[no-untyped-call]
        if not self._kernel_connections.get(kernel_id):
            self._left.append(kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that nobody has looked at for a while, unless it is at work."""
        if self.is_at_work(kernel_id):
            self._kernels[kernel_id].last_activity = utcnow()
        else:
            await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]

    async def _made_room(self) -> bool:
        while self._left:
            kernel_id = self._left.pop(0)
            if kernel_id not in self or self._kernel_connections.get(kernel_id) or self.is_at_work(kernel_id):
                continue
            await self.shutdown_kernel(kernel_id)  # type: ignore[no-untyped-call]
            return True
        return False

    def _mark(self, kernel_id: str) -> Path:
        return Path(self.connection_dir) / f"{kernel_id}.at-work"
