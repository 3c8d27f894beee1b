"""What programs ask of a model of Transformers beyond an open detector: entry point of ``dissect.tools``."""

from __future__ import annotations

from dissect_core.detectors import AdapterTools

__all__ = ["TransformersTools"]


class TransformersTools(AdapterTools):
    """What the command asks of models of Transformers."""
