"""Images: those of easy-VQA, and further ones drawn in the same manner."""

import json
import math
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .questions import COLORS, SHAPES, Scene

SIZE = 64
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
RGB = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "brown": (165, 42, 42),
    "gray": (128, 128, 128),
    "green": (0, 255, 0),
    "red": (255, 0, 0),
    "teal": (0, 128, 128),
    "yellow": (255, 255, 0),
}


class Example(NamedTuple):
    """One question of the data set; `image` is the image's number."""

    image: int
    question: str
    answer: str


def read_examples(folder: Path) -> list[Example]:
    """All questions of a half of easy-VQA (a folder with questions.json and images/)."""
    questions = json.loads((folder / "questions.json").read_text())
    return [Example(image, question, answer) for question, answer, image in questions]


def is_held_out(example: Example) -> bool:
    """Every tenth image is held out, with all of its questions."""
    return example.image % 10 == 9


def question_type(example: Example) -> str:
    if example.answer in ("yes", "no"):
        return "yes-no"
    return "shape" if example.answer in SHAPES else "color"


def image_path(folder: Path, image: int) -> Path:
    return folder / "images" / f"{image}.png"


def read_images(folder: Path, images: list[int]) -> dict[int, np.ndarray]:
    """Images as bytes [height, width, 3], by number."""
    return {image: np.asarray(Image.open(image_path(folder, image)).convert("RGB")) for image in images}


def draw(rng: random.Random) -> tuple[np.ndarray, Scene]:
    """A shape on a light ground, drawn at twice the size and made smaller to smooth its edges."""
    scene = Scene(rng.choice(SHAPES), rng.choice(COLORS))
    side = 2 * SIZE
    ground = (rng.randint(230, 255), rng.randint(230, 255), rng.randint(230, 255))
    image = Image.new("RGB", (side, side), ground)
    canvas = ImageDraw.Draw(image)
    width = rng.randint(side // 8, side // 2)
    height = rng.randint(side // 8, side // 2) if scene.shape == "rectangle" else width
    x, y = rng.randint(0, side - width), rng.randint(0, side - height)
    if scene.shape == "circle":
        canvas.ellipse((x, y, x + width, y + height), fill=RGB[scene.color])
    elif scene.shape == "rectangle":
        canvas.rectangle((x, y, x + width, y + height), fill=RGB[scene.color])
    else:
        tip = y + height - width * math.sqrt(3) / 2
        canvas.polygon([(x, y + height), (x + width, y + height), (x + width / 2, tip)], fill=RGB[scene.color])
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)), scene


def to_pixels(images: list[np.ndarray]) -> Tensor:
    """What the CLIP image processor makes of images that have the right size already: [images, 3, height, width]."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
