"""Answers by greedy generation, and how many of them are right."""

from collections import Counter, defaultdict

import numpy as np
import torch
from torch import Tensor

from .data import Example, question_type, to_pixels
from .model import Llava
from .tokenizer import END, IMAGE, Tokenizer

BATCH = 128


@torch.no_grad()
def encode(model: Llava, images: dict[int, np.ndarray]) -> dict[int, Tensor]:
    """All images as vectors of the text model, by number."""
    numbers = sorted(images)
    encoded = {}
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        encoded.update(zip(batch, model.encode(to_pixels([images[number] for number in batch]))))
    return encoded


@torch.no_grad()
def generate(model: Llava, prompts: Tensor, images: Tensor, limit: int = 8) -> list[list[int]]:
    """The likeliest token again and again, until the end token, for prompts of one length.

    `<image>`, `<pad>` and the padding rows of the vocabulary are never chosen.
    """
    tokens = prompts
    for _ in range(limit):
        best = model(tokens, images)[:, -1, :IMAGE].argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, best], dim=1)
        if (tokens[:, prompts.shape[1] :] == END).any(1).all():
            break
    return tokens[:, prompts.shape[1] :].tolist()


def answers(model: Llava, tokenizer: Tokenizer, examples: list[Example], images: dict[int, np.ndarray]) -> list[str]:
    """The model's answers; prompts of the same length go through it together."""
    encoded = encode(model, {example.image: images[example.image] for example in examples})
    prompts = [tokenizer.prompt(example.question) for example in examples]
    by_length = defaultdict(list)
    for index, prompt in enumerate(prompts):
        by_length[len(prompt)].append(index)
    found = [""] * len(examples)
    for indices in by_length.values():
        for start in range(0, len(indices), BATCH):
            batch = indices[start : start + BATCH]
            pictures = torch.stack([encoded[examples[index].image] for index in batch])
            generated = generate(model, torch.tensor([prompts[index] for index in batch]), pictures)
            for index, tokens in zip(batch, generated):
                found[index] = tokenizer.decode(tokens)
    return found


def accuracy(examples: list[Example], found: list[str]) -> dict[str, float]:
    """Share of exact matches: of all examples, and by question type."""
    right, asked = Counter(), Counter()
    for example, answer in zip(examples, found):
        for kind in ("all", question_type(example)):
            asked[kind] += 1
            right[kind] += answer == example.answer
    return {kind: right[kind] / asked[kind] for kind in sorted(asked)}
