"""The checkpoint folder in the layout of `llava-hf/llava-1.5-7b-hf`."""

import json
from pathlib import Path

import torch
from torch import Tensor

from . import data, safetensors
from .model import Llava, LlavaConfig, TextConfig, VisionConfig
from .tokenizer import BEGIN, END, IMAGE, PAD, UNKNOWN, VOCABULARY

SPECIAL = {UNKNOWN: "<unk>", BEGIN: "<s>", END: "</s>", IMAGE: "<image>", PAD: "<pad>"}
CONFIG = LlavaConfig(VisionConfig(), TextConfig(vocab_size=VOCABULARY), image_token=IMAGE)


def rounded(model: Llava) -> dict[str, Tensor]:
    """The weights in the type in which they are stored."""
    return {name: tensor.detach().half() for name, tensor in model.state_dict().items()}


def save_weights(model: Llava, folder: Path) -> None:
    """Write the weights to a file of their own, then put it in the place of the one before."""
    path = folder / "model.safetensors"
    part = path.with_suffix(".part")
    safetensors.save(rounded(model), part)
    part.replace(path)


def load(folder: Path) -> Llava:
    """The model with the stored weights, computing in float32."""
    model = Llava(CONFIG)
    weights = safetensors.load(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model.eval()


def save_settings(folder: Path) -> None:
    """Write the JSON files beside the weights and the tokenizer."""
    for name, content in {
        "config.json": _config(),
        "generation_config.json": {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD},
        "preprocessor_config.json": _preprocessor(),
        "processor_config.json": {
            "image_token": SPECIAL[IMAGE],
            "patch_size": CONFIG.vision.patch_size,
            "processor_class": "LlavaProcessor",
            "vision_feature_select_strategy": "default",
        },
        "added_tokens.json": {SPECIAL[token]: token for token in (IMAGE, PAD)},
        "special_tokens_map.json": _special_tokens(),
        "tokenizer_config.json": _tokenizer(),
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def _config() -> dict[str, object]:
    vision, text = CONFIG.vision, CONFIG.text
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_seq_length": vision.patches,
        "image_token_index": CONFIG.image_token,
        "model_type": "llava",
        "pad_token_id": PAD,
        "projector_hidden_act": "gelu",
        "text_config": {
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "max_position_embeddings": 512,
            "model_type": "llama",
            "num_attention_heads": text.num_attention_heads,
            "num_hidden_layers": text.num_hidden_layers,
            "num_key_value_heads": text.num_key_value_heads,
            "rms_norm_eps": text.rms_norm_eps,
            "rope_theta": text.rope_theta,
            "vocab_size": text.vocab_size,
        },
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vision_config": {
            "hidden_act": vision.hidden_act,
            "hidden_size": vision.hidden_size,
            "image_size": vision.image_size,
            "intermediate_size": vision.intermediate_size,
            "layer_norm_eps": vision.layer_norm_eps,
            "model_type": "clip_vision_model",
            "num_attention_heads": vision.num_attention_heads,
            "num_hidden_layers": vision.num_hidden_layers,
            "patch_size": vision.patch_size,
            "projection_dim": vision.hidden_size,
        },
        "vision_feature_layer": CONFIG.vision_feature_layer,
        "vision_feature_select_strategy": "default",
    }


def _preprocessor() -> dict[str, object]:
    return {
        "crop_size": {"height": data.SIZE, "width": data.SIZE},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(data.MEAN),
        "image_processor_type": "CLIPImageProcessor",
        "image_std": list(data.STD),
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": data.SIZE},
    }


def _token(token: int) -> dict[str, object]:
    return {"content": SPECIAL[token], "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


def _special_tokens() -> dict[str, object]:
    return {
        "additional_special_tokens": [_token(IMAGE), _token(PAD)],
        "bos_token": _token(BEGIN),
        "eos_token": _token(END),
        "pad_token": SPECIAL[PAD],
        "unk_token": _token(UNKNOWN),
    }


def _tokenizer() -> dict[str, object]:
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": True,
        "added_tokens_decoder": {str(token): _token(token) | {"special": True} for token in SPECIAL},
        "additional_special_tokens": [SPECIAL[IMAGE], SPECIAL[PAD]],
        "bos_token": SPECIAL[BEGIN],
        "clean_up_tokenization_spaces": False,
        "eos_token": SPECIAL[END],
        "legacy": False,
        "model_max_length": 512,
        "pad_token": SPECIAL[PAD],
        "sp_model_kwargs": {},
        "spaces_between_special_tokens": False,
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": SPECIAL[UNKNOWN],
        "use_default_system_prompt": False,
    }
