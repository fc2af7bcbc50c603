"""Weights of a T5's layers, laid out for speed: those of norms are folded into the matrices behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Part = Any
"""A part of the library's model, whose layers are untyped attributes."""


@dataclass(frozen=True)
class Layer:
    """Weights of one encoder layer, norms folded in: of the attention (`joint`, `out`) and of the feed-forward part."""

    joint: Tensor
    out: Tensor
    wide: Tensor
    narrow: Tensor


@dataclass(frozen=True)
class DecoderLayer(Layer):
    """Weights of one decoder layer; those of the attention on the encoder are `cross_query`, `memory`, `cross_out`."""

    cross_query: Tensor
    memory: Tensor
    cross_out: Tensor


def _folded(norm: Tensor, *weights: Tensor) -> Tensor:
    """Transposed weights side by side, with the weight of the norm before them multiplied in."""
    return torch.cat([(weight * norm).T for weight in weights], dim=1).contiguous()


def _feed_weights(layer: Part, gated: bool) -> tuple[Tensor, Tensor]:
    dense, norm = layer.DenseReluDense, layer.layer_norm.weight
    inner = (dense.wi_0.weight, dense.wi_1.weight) if gated else (dense.wi.weight,)
    return _folded(norm, *inner), dense.wo.weight.T.contiguous()


def encoder_layer(block: Part, gated: bool) -> Layer:
    """The weights of one block of an encoder."""
    attention, norm = block.layer[0].SelfAttention, block.layer[0].layer_norm.weight
    wide, narrow = _feed_weights(block.layer[1], gated)
    joint = _folded(norm, attention.q.weight, attention.k.weight, attention.v.weight)
    return Layer(joint, attention.o.weight.T.contiguous(), wide, narrow)


def decoder_layer(block: Part, gated: bool, encoder: Part) -> DecoderLayer:
    """The weights of one block of a decoder; `encoder` is the one that it reads."""
    attention, norm = block.layer[0].SelfAttention, block.layer[0].layer_norm.weight
    cross = block.layer[1].EncDecAttention
    wide, narrow = _feed_weights(block.layer[2], gated)
    return DecoderLayer(
        joint=_folded(norm, attention.q.weight, attention.k.weight, attention.v.weight),
        out=attention.o.weight.T.contiguous(),
        wide=wide,
        narrow=narrow,
        cross_query=_folded(block.layer[1].layer_norm.weight, cross.q.weight),
        memory=_folded(encoder.final_layer_norm.weight, cross.k.weight, cross.v.weight),
        cross_out=cross.o.weight.T.contiguous(),
    )
