"""LLaVA in plain torch: CLIP vision tower, two-layer projector, Llama.

It computes what LlavaForConditionalGeneration of Hugging Face transformers computes, and its modules carry the names
that the published checkpoints use, so that `state_dict()` is the checkpoint.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class VisionConfig:
    """Sizes of the CLIP vision tower."""

    image_size: int = 64
    patch_size: int = 8
    hidden_size: int = 128
    intermediate_size: int = 512
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    @property
    def patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True)
class TextConfig:
    """Sizes of the Llama text model."""

    vocab_size: int
    hidden_size: int = 128
    intermediate_size: int = 352
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class LlavaConfig:
    """The whole model; `vision_feature_layer` counts hidden states as Hugging Face does: -1 is the last block's."""

    vision: VisionConfig
    text: TextConfig
    image_token: int
    vision_feature_layer: int = -1


def split_heads(states: Tensor, heads: int) -> Tensor:
    """[batch, length, heads * dim] to [batch, heads, length, dim]."""
    batch, length, _ = states.shape
    return states.view(batch, length, heads, -1).transpose(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention over [batch, heads, length, dim]; the heads come back side by side."""
    scores = queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    mixed = F.softmax(scores.float(), dim=-1).to(values.dtype) @ values
    return mixed.transpose(1, 2).flatten(2)


def quick_gelu(states: Tensor) -> Tensor:
    return states * torch.sigmoid(1.702 * states)


class VisionAttention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, self.heads = config.hidden_size, config.num_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        queries = split_heads(self.q_proj(states), self.heads)
        keys = split_heads(self.k_proj(states), self.heads)
        values = split_heads(self.v_proj(states), self.heads)
        return self.out_proj(attend(queries, keys, values))


class VisionMlp(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.activation = quick_gelu if config.hidden_act == "quick_gelu" else F.gelu
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(states)))


class VisionLayer(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.self_attn = VisionAttention(config)
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VisionMlp(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.self_attn(self.layer_norm1(states))
        return states + self.mlp(self.layer_norm2(states))


class VisionEmbeddings(nn.Module):
    """Patches as vectors behind one class vector, each with its place's embedding."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding(config.patches + 1, width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches.dtype).expand(len(pixels), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionModel(nn.Module):
    """The tower up to the feature layer; `post_layernorm` is in the checkpoint but not on LLaVA's path."""

    def __init__(self, config: VisionConfig, feature_layer: int) -> None:
        super().__init__()
        self.used_layers = config.num_hidden_layers + 1 + feature_layer
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.num_hidden_layers))
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of the patches, [images, patches, width]; the class vector is dropped."""
        states = self.pre_layrnorm(self.embeddings(pixels))
        for layer in self.encoder.layers[: self.used_layers]:
            states = layer(states)
        return states[:, 1:]


class Projector(nn.Module):
    def __init__(self, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_width, text_width)
        self.linear_2 = nn.Linear(text_width, text_width)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(features)))


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor) -> Tensor:
        states = states.float()
        return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(positions: Tensor, config: TextConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [length, head_dim], for the pairs (i, i + head_dim / 2)."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = positions.float()[:, None] * config.rope_theta**-exponents
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    left, right = states.chunk(2, dim=-1)
    return states * cosines + torch.cat([-right, left], dim=-1) * sines


class TextAttention(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        width, dim = config.hidden_size, config.head_dim
        self.q_proj = nn.Linear(width, self.heads * dim, bias=False)
        self.k_proj = nn.Linear(width, self.key_heads * dim, bias=False)
        self.v_proj = nn.Linear(width, self.key_heads * dim, bias=False)
        self.o_proj = nn.Linear(self.heads * dim, width, bias=False)

    def forward(self, states: Tensor, turn: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        queries = rotate(split_heads(self.q_proj(states), self.heads), *turn)
        keys = rotate(split_heads(self.k_proj(states), self.key_heads), *turn)
        values = split_heads(self.v_proj(states), self.key_heads)
        shared = self.heads // self.key_heads
        keys, values = (kv.repeat_interleave(shared, dim=1) for kv in (keys, values))
        return self.o_proj(attend(queries, keys, values, bias))


class TextMlp(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(states)) * self.up_proj(states))


class TextLayer(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = TextAttention(config)
        self.mlp = TextMlp(config)
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, states: Tensor, turn: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        states = states + self.self_attn(self.input_layernorm(states), turn, bias)
        return states + self.mlp(self.post_attention_layernorm(states))


class TextModel(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.model.layers = nn.ModuleList(TextLayer(config) for _ in range(config.num_hidden_layers))
        self.model.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, states: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """Last hidden states of embedded tokens; `visible[q, k]` says whether position q sees position k."""
        bias = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)
        turn = rotary(positions, self.config)
        for layer in self.model.layers:
            states = layer(states, turn, bias)
        return self.model.norm(states)


class Llava(nn.Module):
    def __init__(self, config: LlavaConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_tower = nn.Module()
        self.vision_tower.vision_model = VisionModel(config.vision, config.vision_feature_layer)
        self.multi_modal_projector = Projector(config.vision.hidden_size, config.text.hidden_size)
        self.language_model = TextModel(config.text)

    def encode(self, pixels: Tensor) -> Tensor:
        """Images as vectors of the text model, [images, patches, width]."""
        return self.multi_modal_projector(self.vision_tower.vision_model(pixels))

    def embed(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Embedded tokens [batch, length]; the image tokens are replaced by the encoded images, in order."""
        states = self.language_model.model.embed_tokens(tokens)
        place = (tokens == self.config.image_token).unsqueeze(-1)
        return states.masked_scatter(place, images.to(states.dtype))

    def forward(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Logits [batch, length, vocabulary] of whole sequences without padding."""
        length = tokens.shape[1]
        visible = torch.ones(length, length, dtype=torch.bool).tril()
        states = self.language_model(self.embed(tokens, images), torch.arange(length), visible)
        return self.language_model.lm_head(states)
