"""DINO narrower than 256 channels, which MMDetection's own class cannot be.

MMDetection's DINO decoder encodes each of a reference box's four coordinates in 128 sines and feeds the 512
numbers to ``ref_point_head``, which it builds for ``2 × embed_dims`` inputs: right for 256 channels only. Its fork
(`onedl-mmdetection`) encodes them in as many sines as there are channels, which is another model for the same weights.
This class has 128 sines and that one layer built for its true input with both; all else is their DINO, names included.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from .._runtime import require_mmdet

require_mmdet()  # the operators must be there before MMDetection's modules ask for them

from mmdet.models.detectors import DINO  # noqa: E402
from mmdet.models.layers import DinoTransformerDecoder  # noqa: E402
from mmdet.models.layers.transformer.utils import MLP, coordinate_to_encoding  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402

SINES_PER_COORDINATE = 128
BOX_COORDINATES = 4


def _encoded(coordinates: Any, **_: Any) -> Any:
    """Return coordinates in 128 sines each, whatever their number is to be."""
    return coordinate_to_encoding(coordinates, num_feats=SINES_PER_COORDINATE)


class NarrowDecoder(DinoTransformerDecoder):  # type: ignore[misc]  # mmdet has no types
    """MMDetection's decoder of DINO with 128 sines a coordinate."""

    # Its own code, with one other name: as a patch of MMDetection's module it would hold for every model.
    forward = FunctionType(
        DinoTransformerDecoder.forward.__code__,
        {**DinoTransformerDecoder.forward.__globals__, "coordinate_to_encoding": _encoded},
        "forward",
        DinoTransformerDecoder.forward.__defaults__,
        DinoTransformerDecoder.forward.__closure__,
    )


@MODELS.register_module()
class NarrowDINO(DINO):  # type: ignore[misc]
    """DINO (Zhang et al., ICLR 2023, arXiv:2203.03605) of any width that its heads divide."""

    def _init_layers(self) -> None:
        super()._init_layers()
        inputs = SINES_PER_COORDINATE * BOX_COORDINATES
        self.decoder.__class__ = NarrowDecoder
        self.decoder.ref_point_head = MLP(inputs, self.embed_dims, self.embed_dims, 2)
