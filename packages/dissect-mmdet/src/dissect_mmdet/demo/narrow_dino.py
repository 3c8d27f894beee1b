"""DINO narrower than 256 channels, which MMDetection's own class cannot be.

MMDetection's DINO decoder encodes each of a reference box's four coordinates in 128 sines and feeds the 512
numbers to ``ref_point_head``, which it builds for ``2 × embed_dims`` inputs: right for 256 channels only.
This class builds that one layer for its true input; all else is MMDetection's DINO, names included.
"""

from __future__ import annotations

from .._runtime import require_mmdet

require_mmdet()  # the operators must be there before MMDetection's modules ask for them

from mmdet.models.detectors import DINO  # noqa: E402
from mmdet.models.layers.transformer.utils import MLP  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402

SINES_PER_COORDINATE = 128
BOX_COORDINATES = 4


@MODELS.register_module()
class NarrowDINO(DINO):  # type: ignore[misc]  # mmdet has no types
    """DINO (Zhang et al., ICLR 2023, arXiv:2203.03605) of any width that its heads divide."""

    def _init_layers(self) -> None:
        super()._init_layers()
        inputs = SINES_PER_COORDINATE * BOX_COORDINATES
        self.decoder.ref_point_head = MLP(inputs, self.embed_dims, self.embed_dims, 2)
