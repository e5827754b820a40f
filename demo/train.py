#!/usr/bin/python3
"""Train the bundled model: a small LLaVA that answers questions about coloured shapes (easy-VQA)."""

# Packages, of Debian 12: python3-torch (1.13, CPU), python3-numpy, python3-pil, python3-sentencepiece.
# Data: easy-VQA's training half (https://github.com/vzhou842/easy-VQA, MIT licence); its images 9, 19, 29, ... are
# never trained on.
#
#   ./train.py --data easy-vqa/train --out model
#
# takes, on two cores with AVX-512 and its bfloat16 instructions, one minute for the vision tower alone and then half a
# second for each of 3,000 steps (in float32 it was two seconds per step). The model in demo/model was made in two parts,
# on a machine that was busy with other work too; it has not seen all that the line above would show it:
#
#   ./train.py --data easy-vqa/train --out first     (the weights as they were at step 1,800)
#   ./train.py --data easy-vqa/train --out model --start first --steps 600 --rate 3e-4 --seed 2 --threads 1
#
# Right answers to the 3,892 questions about the 400 held-out images, by greedy generation with the stored weights:
# 99.7 % after step 1,600 of the first part, all of them (shape 510, color 492, yes-no 2,890) at the end.

import argparse
import math
import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from training import checkpoint, data, evaluate, questions
from training import tokenizer as tokenizers
from training.model import Llava, VisionModel
from training.tokenizer import PAD, Tokenizer

PARAPHRASED = 0.5  # of the questions about drawn images


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of easy-VQA's training half")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--warm-up-steps", type=int, default=600, help="steps of the vision tower alone")
    parser.add_argument("--steps", type=int, default=3000, help="steps of the whole model")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate at its highest")
    parser.add_argument("--start", type=Path, help="go on from this checkpoint, without a warm-up")
    parser.add_argument("--images", type=int, default=64, help="images in a step")
    parser.add_argument("--questions", type=int, default=6, help="questions per image in a step")
    parser.add_argument("--evaluate-every", type=int, default=200, help="steps between two looks at held-out images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def initialise(model: Llava) -> None:
    """Random weights whose size keeps the states' size, whatever the width."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
    blocks = [*model.vision_tower.vision_model.encoder.layers, *model.language_model.model.layers]
    for name, parameter in (pair for block in blocks for pair in block.named_parameters()):
        if name.endswith(("out_proj.weight", "o_proj.weight", "fc2.weight", "down_proj.weight")):
            parameter.data *= 0.35
    nn.init.normal_(model.language_model.lm_head.weight, std=0.02)


class Schedule:
    """AdamW whose rate rises for the first steps and then falls along a cosine to a hundredth."""

    def __init__(self, parameters: list[nn.Parameter], rate: float, steps: int, rising: int = 100) -> None:
        decayed = [parameter for parameter in parameters if parameter.dim() > 1]
        others = [parameter for parameter in parameters if parameter.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        self.parameters, self.steps, self.rising = parameters, steps, rising
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._factor)

    def _factor(self, step: int) -> float:
        fallen = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / self.steps))
        return min(1.0, (step + 1) / self.rising) * (0.01 + 0.99 * fallen)

    def step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.scheduler.step()


def warm_up(vision: VisionModel, steps: int, rate: float, images: int, rng: random.Random) -> None:
    """Teach the vision tower alone to tell shapes and colours; the heads that name them are thrown away."""
    width = vision.pre_layrnorm.weight.numel()
    heads = nn.Linear(width, len(questions.SHAPES) + len(questions.COLORS))
    schedule = Schedule([*vision.parameters(), *heads.parameters()], rate, steps)
    start, right, seen = time.monotonic(), 0, 0
    for step in range(1, steps + 1):
        drawn, scenes = zip(*(data.draw(rng) for _ in range(images)))
        shapes = torch.tensor([questions.SHAPES.index(scene.shape) for scene in scenes])
        colors = torch.tensor([questions.COLORS.index(scene.color) for scene in scenes])
        with torch.autocast("cpu", torch.bfloat16):
            named = heads(vision(data.to_pixels(list(drawn))).mean(1)).float()
        shape, color = named.split([len(questions.SHAPES), len(questions.COLORS)], dim=1)
        schedule.step(F.cross_entropy(shape, shapes) + F.cross_entropy(color, colors))
        right += int(((shape.argmax(1) == shapes) & (color.argmax(1) == colors)).sum())
        seen += images
        if step % 100 == 0:
            print(f"vision {step}: {right / seen:.4f} right, {time.monotonic() - start:.0f} s", flush=True)
            right = seen = 0


class Batches:
    """Steps of images with several questions each: one half of the data set, one half drawn."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, images: int, asked: int, rng: random.Random) -> None:
        self.tokenizer, self.images, self.asked, self.rng = tokenizer, images, asked, rng
        self.pairs: dict[int, list[tuple[str, str]]] = {}
        for example in data.read_examples(folder):
            if not data.is_held_out(example):
                self.pairs.setdefault(example.image, []).append((example.question, example.answer))
        self.numbers = sorted(self.pairs)
        self.real = data.read_images(folder, self.numbers)

    def next(self) -> tuple[Tensor, list[list[tuple[str, str]]]]:
        """Pixels, and for each image its questions with their answers."""
        pictures, asked = [], []
        for number in self.rng.sample(self.numbers, self.images // 2):
            pictures.append(self.real[number])
            asked.append(self.rng.choices(self.pairs[number], k=self.asked))
        while len(pictures) < self.images:
            picture, scene = data.draw(self.rng)
            pictures.append(picture)
            asked.append([questions.ask(scene, self.rng, PARAPHRASED) for _ in range(self.asked)])
        return data.to_pixels(pictures), asked


def loss_of(model: Llava, tokenizer: Tokenizer, pixels: Tensor, asked: list[list[tuple[str, str]]]) -> Tensor:
    """Cross entropy of the answers' tokens.

    An image's questions share what comes before them: one sequence holds the head of the prompt with the image once,
    and behind it the questions as branches, each of which sees the head and itself and counts its places from there.
    """
    head = tokenizer.head
    branches = [[(tokenizer.branch(question), tokenizer.answer(answer)) for question, answer in row] for row in asked]
    length = max(len(question) + len(answer) for row in branches for question, answer in row)
    rows, targets = [], []
    for row in branches:
        tokens, expected = list(head), [-100] * len(head)
        for question, answer in row:
            rest = length - len(question) - len(answer)
            tokens += question + answer + [PAD] * rest
            expected += [-100] * (len(question) - 1) + answer + [-100] * (rest + 1)
        rows.append(tokens)
        targets.append(expected)
    positions = torch.cat([torch.arange(len(head)), (len(head) + torch.arange(length)).repeat(len(asked[0]))])
    branch = torch.cat([torch.full((len(head),), -1), torch.arange(len(asked[0])).repeat_interleave(length)])
    places = torch.arange(len(branch))
    visible = (places[:, None] >= places) & ((branch == -1) | (branch[:, None] == branch))
    with torch.autocast("cpu", torch.bfloat16):
        embedded = model.embed(torch.tensor(rows), model.encode(pixels))
        states = model.language_model(embedded, positions, visible)
        wanted = torch.tensor(targets)
        logits = model.language_model.lm_head(states[wanted != -100])
    return F.cross_entropy(logits.float(), wanted[wanted != -100])


def train_tokenizer(folder: Path, rng: random.Random, path: Path) -> None:
    """Learn pieces from the data set's questions and answers and from as many in other words."""
    examples = [example for example in data.read_examples(folder) if not data.is_held_out(example)]
    texts = [text for example in rng.sample(examples, 4000) for text in (example.question, example.answer)]
    scenes = [questions.Scene(shape, color) for shape in questions.SHAPES for color in questions.COLORS]
    texts += [text for _ in range(4000) for text in questions.ask(rng.choice(scenes), rng, paraphrase=1.0)]
    tokenizers.train(texts, path)


def begin(arguments: argparse.Namespace, rng: random.Random) -> tuple[Tokenizer, Llava]:
    """The tokenizer and the model, from another checkpoint or from nothing; writes all of `--out` but the weights."""
    pieces = arguments.out / "tokenizer.model"
    if arguments.start:
        model = checkpoint.load(arguments.start)
        pieces.write_bytes((arguments.start / pieces.name).read_bytes())
    else:
        model = Llava(checkpoint.CONFIG)
        initialise(model)
        train_tokenizer(arguments.data, rng, pieces)
        vision = model.vision_tower.vision_model
        warm_up(vision, arguments.warm_up_steps, arguments.rate, arguments.images, rng)
    checkpoint.save_settings(arguments.out)
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters", flush=True)
    return Tokenizer(pieces, checkpoint.CONFIG.vision.patches), model


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    rng = random.Random(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokenizer, model = begin(arguments, rng)
    held_out = [example for example in data.read_examples(arguments.data) if data.is_held_out(example)]
    pictures = data.read_images(arguments.data, sorted({example.image for example in held_out}))
    some = rng.sample(held_out, 500)
    batches = Batches(arguments.data, tokenizer, arguments.images, arguments.questions, rng)
    schedule = Schedule(list(model.parameters()), arguments.rate, arguments.steps)
    start, losses = time.monotonic(), []
    for step in range(1, arguments.steps + 1):
        loss = loss_of(model, tokenizer, *batches.next())
        schedule.step(loss)
        losses.append(loss.item())
        if step % 50 == 0:
            mean = sum(losses) / len(losses)
            print(f"step {step}: loss {mean:.4f}, {time.monotonic() - start:.0f} s", flush=True)
            losses.clear()
        if step % arguments.evaluate_every == 0 or step == arguments.steps:
            checkpoint.save_weights(model, arguments.out)
            stored = checkpoint.load(arguments.out)
            asked = held_out if step == arguments.steps else some
            shares = evaluate.accuracy(asked, evaluate.answers(stored, tokenizer, asked, pictures))
            print(f"step {step}: " + ", ".join(f"{kind} {share:.4f}" for kind, share in shares.items()), flush=True)


if __name__ == "__main__":
    main()
