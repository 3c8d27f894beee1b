"""Whoever has started a run: what it is told while it runs, and what it asks for."""

from dataclasses import dataclass

from ..progress import Bar, PassDone
from ..store._holder import Holder
from ._options import Listener
from ._stop import StopRequest


@dataclass(frozen=True)
class Caller:
    """The front end of a run, handed to whichever engine computes it.

    Attributes
    ----------
    listener : Listener
        Is told how the run goes on.
    request : StopRequest
        Asks the run to stop.
    holder : Holder
        Holds the study's folder, and tells others from there.
    """

    listener: Listener
    request: StopRequest
    holder: Holder

    def tell(self, shown: Bar, passes: int, now: PassDone, **news: object) -> None:
        """Tell of some passes more; or of fewer than none, where a part of a shard is to be run again."""
        shown.update(passes)
        self.holder.news.update(passes=now.done, total=now.total, **news)
        if self.listener.watch is not None and passes > 0:
            self.listener.watch(now)
