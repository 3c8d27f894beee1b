"""Attention with only some of its heads left: `torch.nn.MultiheadAttention` whose heads were cut out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import InterventionError, UnitError


class SlimAttention(nn.Module):
    """Multi-head attention that is as wide outside as it was, and narrower inside.

    `torch.nn.MultiheadAttention` cannot be that: its heads fill its whole width. Arguments, results and
    names of parameters are the same as there; the parameters themselves are that block's, already cut to the
    heads that stay.

    Parameters
    ----------
    block : torch.nn.MultiheadAttention
        The block, with its projections cut.
    kept_heads : sequence of int
        Which of its heads these are, ascending.

    Raises
    ------
    InterventionError
        If the block adds a key and a value to every sequence (``add_bias_kv``, ``add_zero_attn``), or has a forward
        of its own.

    Notes
    -----
    A mask for each head, (B·H, L, S), may be given for the heads there were or for those there are. Attention
    weights are those of the heads there are, and their mean is over these. The fused kernels of torch's blocks
    are not used, so that nested tensors are not taken.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    q_proj_weight: Tensor
    k_proj_weight: Tensor
    v_proj_weight: Tensor

    def __init__(self, block: nn.MultiheadAttention, kept_heads: Sequence[int]) -> None:
        super().__init__()
        require_plain(block)
        self.embed_dim, self.kdim, self.vdim = block.embed_dim, block.kdim, block.vdim
        self.head_dim = block.head_dim
        self.n_heads_before, self.num_heads = block.num_heads, len(kept_heads)
        self.kept_heads = tuple(int(head) for head in kept_heads)
        self.dropout, self.batch_first = block.dropout, block.batch_first
        self._qkv_same_embed_dim = block._qkv_same_embed_dim  # read by torch's encoder layer
        for name, parameter in block._parameters.items():
            self.register_parameter(name, parameter)
        self.out_proj = block.out_proj
        self.train(block.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as `torch.nn.MultiheadAttention` does, with the heads that are left."""
        if is_causal and attn_mask is None:
            raise InterventionError(
                "`attn_mask` must be given with `is_causal`, which is a hint only, got None. Pass the mask of "
                "`nn.Transformer.generate_square_subsequent_mask`."
            )
        batched = query.dim() == 3
        if not batched:
            query, key, value = query[None], key[None], value[None]
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        q, k, v = self._projected(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, q, k)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)
            weights = functional.softmax(scores if mask is None else scores + mask, dim=-1)
            weights = functional.dropout(weights, dropout) if dropout else weights
            heads = weights @ v
        else:
            heads = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        output = self.out_proj(heads.transpose(1, 2).flatten(2))
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
        if not batched:
            return output[0], None if weights is None else weights[0]
        return output if self.batch_first else output.transpose(0, 1), weights

    def _projected(self, *inputs: Tensor) -> list[Tensor]:
        """Return queries, keys and values of each head, (B, heads, length, width of a head)."""
        stacked = self.in_proj_weight
        separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        parts = separate if stacked is None else stacked.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        projected = (functional.linear(x, w, b) for x, w, b in zip(inputs, parts, biases, strict=True))
        return [x.reshape(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for x in projected]

    def _mask(self, attn_mask: Tensor | None, padding: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
        """Return both masks as one that is added to the scores, of a shape that broadcasts over these."""
        (batch, _, length, _), source = q.shape, k.shape[2]
        merged = None
        if attn_mask is not None:
            merged = _additive("attn_mask", attn_mask, q.dtype)
            if merged.shape == (batch * self.n_heads_before, length, source):
                merged = merged.view(batch, self.n_heads_before, length, source)[:, list(self.kept_heads)]
            elif merged.shape == (batch * self.num_heads, length, source):
                merged = merged.view(batch, self.num_heads, length, source)
            elif merged.shape != (length, source):
                raise UnitError(
                    f"`attn_mask` must be ({length}, {source}) or ({batch * self.n_heads_before}, {length}, "
                    f"{source}), for {batch} times the {self.n_heads_before} heads there were, got "
                    f"{tuple(merged.shape)}."
                )
        if padding is not None:
            if padding.shape != (batch, source):
                raise UnitError(
                    f"`key_padding_mask` must be ({batch}, {source}), an entry for each key, got "
                    f"{tuple(padding.shape)}."
                )
            added = _additive("key_padding_mask", padding, q.dtype)[:, None, None]
            merged = added if merged is None else merged + added
        return merged


def require_plain(block: nn.MultiheadAttention) -> None:
    """Refuse blocks that do more than `SlimAttention` does.

    Raises
    ------
    InterventionError
        If it adds a key and a value to every sequence, or has a forward of its own.
    """
    added = [
        name
        for name, there in (("add_bias_kv", block.bias_k is not None), ("add_zero_attn", block.add_zero_attn))
        if there
    ]
    if added:
        raise InterventionError(
            f"Heads can be cut out of attention only without {' and '.join(added)}, which this block has. Zero the "
            "heads with `edited` instead."
        )
    if type(block).forward is not nn.MultiheadAttention.forward:
        raise InterventionError(
            f"Heads can be cut out of torch's own attention, got {type(block).__name__}, whose forward is its own. "
            "Zero the heads with `edited` instead."
        )


def _additive(name: str, mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -torch.inf)
    if not mask.is_floating_point():
        raise UnitError(
            f"`{name}` must be bool, True where nothing may be seen, or floating, got {mask.dtype}. Convert it with "
            "`.bool()`."
        )
    return mask.to(dtype)
