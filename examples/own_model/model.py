"""A small DETR in plain torch, as you might have written it: nothing here knows of Deep Dissect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("weights.pt")
STRIDE = 8


class SmallDETR(nn.Module):
    """Convolutions, a transformer encoder and decoder, one object at most for each query.

    After Carion et al., ECCV 2020, arXiv:2005.12872, at a size that a CPU trains in minutes.
    """

    def __init__(
        self, n_classes: int = 3, n_queries: int = 10, width: int = 48, n_heads: int = 4, image_size: int = 64
    ) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            *_conv(3, 16, stride=2),
            *_conv(16, 32, stride=2),
            *_conv(32, 48, stride=2),
            *_conv(48, 48, stride=1),
        )
        self.input_proj = nn.Conv2d(48, width, 1)
        side = image_size // STRIDE
        self.row_embed = nn.Embedding(side, width // 2)
        self.col_embed = nn.Embedding(side, width // 2)
        self.query_embed = nn.Embedding(n_queries, width)

        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(width, n_heads, 2 * width, dropout=0.0, batch_first=True)
            for _ in range(2)
        )
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(width, n_heads, 2 * width, dropout=0.0, batch_first=True)
            for _ in range(3)
        )
        self.decoder_norm = nn.LayerNorm(width)

        self.class_embed = nn.Linear(width, n_classes + 1)  # the last class is "no object"
        self.bbox_embed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return class logits (B, Q, C + 1) and boxes (B, Q, 4) of each decoder layer, in their order.

        Images are (B, 3, S, S) in [0, 1]; boxes are centre x, centre y, width, height as shares of the image.
        """
        tokens = self.input_proj(self.backbone(images)).flatten(2).transpose(1, 2)
        rows, columns = self.row_embed.weight, self.col_embed.weight
        side = len(rows)
        position = torch.cat([rows[:, None].expand(-1, side, -1), columns[None].expand(side, -1, -1)], dim=-1)
        memory = tokens + position.flatten(0, 1)
        for layer in self.encoder:
            memory = layer(memory)
        queries = self.query_embed.weight.expand(len(images), -1, -1)
        predictions = []
        for layer in self.decoder:
            queries = layer(queries, memory)
            states = self.decoder_norm(queries)
            predictions.append((self.class_embed(states), self.bbox_embed(states).sigmoid()))
        return predictions


def _conv(n_in: int, n_out: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


def load_model(weights: Path = WEIGHTS) -> SmallDETR:
    """Return the trained model, ready to detect."""
    model = SmallDETR()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()


def corners(boxes: Tensor) -> Tensor:
    """Convert centre x, centre y, width, height to x_min, y_min, x_max, y_max."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


@torch.no_grad()
def detect(model: SmallDETR, images: Tensor, batch_size: int = 100) -> list[Found]:
    """Detect objects: boxes (n, 4) in pixels as corners, scores (n,) and labels (n,) of each image."""
    found = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        logits, boxes = model(batch)[-1]
        # Each query gives its likeliest class; where "no object" is likelier, the score is low.
        scores, labels = logits.softmax(-1)[..., :-1].max(-1)
        pixels = corners(boxes) * batch.shape[-1]
        found += [(b.numpy(), s.numpy(), c.numpy()) for b, s, c in zip(pixels, scores, labels, strict=True)]
    return found
