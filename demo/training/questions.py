"""Questions about one coloured shape, in the forms of easy-VQA and in other words."""

import random
from typing import NamedTuple

SHAPES = ("circle", "rectangle", "triangle")
COLORS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")

# What no image shows, for questions whose answer does not depend on the image.
OTHER_SHAPES = ("star", "heart", "hexagon", "pentagon", "diamond", "line", "dog", "cat", "man", "house", "car", "tree")
OTHER_COLORS = ("pink", "purple", "white", "cyan", "violet", "beige")


class Scene(NamedTuple):
    """What is to be seen in an image."""

    shape: str
    color: str


class Forms(NamedTuple):
    """Ways to ask: for the shape, for the colour, whether a thing is there, whether it is not."""

    shape: tuple[str, ...]
    color: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]


EASY_VQA = Forms(
    shape=(
        "what shape is in the image?",
        "what shape is present?",
        "what shape does the image contain?",
        "what is the {color} shape?",
    ),
    color=(
        "what color is the shape?",
        "what is the color of the shape?",
        "what color is the {shape}?",
        "what is the color of the {shape}?",
    ),
    positive=(
        "is there a {thing}?",
        "is there a {thing} in the image?",
        "does the image contain a {thing}?",
        "is a {thing} present?",
    ),
    negative=(
        "is there not a {thing}?",
        "is there not a {thing} in the image?",
        "does the image not contain a {thing}?",
        "is no {thing} present?",
    ),
)

PARAPHRASED = Forms(
    shape=(
        "which shape is it?",
        "which shape is this?",
        "what shape is this?",
        "what shape do you see?",
        "which shape can you see in the image?",
        "what kind of shape is in the image?",
        "what kind of shape is shown?",
        "which shape is shown?",
        "what is the shape in the image?",
        "what is the shape called?",
        "which shape is {color}?",
        "what shape is the {color} object?",
        "what is the {color} thing?",
        "name the shape.",
        "tell me the shape.",
        "please name the shape in the image.",
        "is the shape a circle, a rectangle or a triangle?",
    ),
    color=(
        "which color is it?",
        "what color is it?",
        "what color is this {shape}?",
        "which color is the {shape}?",
        "which color does the {shape} have?",
        "what color does the shape have?",
        "which color does the shape have?",
        "what color do you see?",
        "which color is shown?",
        "what is the color of this {shape}?",
        "what is its color?",
        "what is the {shape}'s color?",
        "in which color is the {shape} drawn?",
        "tell me the color.",
        "tell me the color of the {shape}.",
        "tell me which color the shape has.",
        "name the color of the shape.",
        "please name the color.",
    ),
    positive=(
        "do you see a {thing}?",
        "can you see a {thing}?",
        "can you see a {thing} in the image?",
        "can you find a {thing}?",
        "can a {thing} be seen?",
        "is a {thing} visible?",
        "is there any {thing}?",
        "is there a {thing} here?",
        "is a {thing} shown?",
        "is a {thing} in the image?",
        "does the image show a {thing}?",
        "does the image have a {thing}?",
        "does it contain a {thing}?",
        "is it a {thing}?",
        "is this a {thing}?",
        "is the shape {property}?",
        "is it {property}?",
        "is the {shape} {property}?",
    ),
    negative=(
        "is there no {thing}?",
        "is there no {thing} in the image?",
        "is it not a {thing}?",
        "is a {thing} not shown?",
        "does the image show no {thing}?",
        "does the image not show a {thing}?",
        "is the image without a {thing}?",
        "is a {thing} absent?",
        "is a {thing} missing?",
        "is the shape not {property}?",
        "is it not {property}?",
        "is the {shape} not {property}?",
    ),
)

DESCRIPTIONS = ("describe the image.", "describe what you see.", "what do you see?", "what is in the image?")


def ask(scene: Scene, rng: random.Random, paraphrase: float) -> tuple[str, str]:
    """A question about the scene and its answer; with probability `paraphrase` not in the data set's own words."""
    if rng.random() >= paraphrase:
        return _ask(scene, rng, EASY_VQA)
    if rng.random() < 0.06:
        return _reword(rng.choice(DESCRIPTIONS), rng), f"a {scene.color} {scene.shape}"
    question, answer = _ask(scene, rng, PARAPHRASED if rng.random() < 0.75 else EASY_VQA)
    return _reword(question, rng), answer


def _ask(scene: Scene, rng: random.Random, forms: Forms) -> tuple[str, str]:
    """A question in one of the forms: a quarter for the shape or the colour, the rest answered with yes or no."""
    kind = rng.random()
    if kind < 0.125:
        return rng.choice(forms.shape).format(color=scene.color), scene.shape
    if kind < 0.25:
        return rng.choice(forms.color).format(shape=scene.shape), scene.color
    thing = _thing(scene, rng, forms is PARAPHRASED)
    positive = rng.random() < 0.5
    form = rng.choice(forms.positive if positive else forms.negative)
    question = form.format(thing=thing.noun, property=thing.quality, shape=scene.shape)
    return question, "yes" if positive == thing.there else "no"


class Thing(NamedTuple):
    """What a question is about, as a noun and as a property, and whether the image shows it."""

    noun: str
    quality: str
    there: bool


def _thing(scene: Scene, rng: random.Random, any_thing: bool) -> Thing:
    """A shape, a colour, or with `any_thing` also both together or something that no image shows.

    In four of ten cases, and otherwise by chance, the image shows it.
    """
    told = rng.random() < 0.4
    shape = scene.shape if told else rng.choice(SHAPES)
    color = scene.color if told else rng.choice(COLORS)
    kind = rng.random()
    if any_thing and kind < 0.06:
        return _foreign(rng)
    if any_thing and kind < 0.36:
        if rng.random() < 0.7:  # at least one of the two is right
            shape, color = (scene.shape, color) if rng.random() < 0.5 else (shape, scene.color)
        return Thing(f"{color} {shape}", f"a {color} {shape}", (shape, color) == scene)
    if kind < 0.55:
        return Thing(shape, f"a {shape}", shape == scene.shape)
    return Thing(f"{color} shape", color, color == scene.color)


def _foreign(rng: random.Random) -> Thing:
    """Something that no image shows."""
    if rng.random() < 0.5:
        shape = rng.choice(OTHER_SHAPES)
        return Thing(shape, f"a {shape}", False)
    color, noun = rng.choice(OTHER_COLORS), rng.choice(("shape", *SHAPES))
    return Thing(f"{color} {noun}", color, False)


def _reword(question: str, rng: random.Random) -> str:
    """Another spelling of the same question."""
    if rng.random() < 0.4:
        question = question.replace("color", "colour").replace("gray", "grey")
    if rng.random() < 0.3:
        question = question.replace("image", rng.choice(("picture", "photo", "drawing")))
    if rng.random() < 0.15:
        question = question[:-1]
    if rng.random() < 0.5:
        question = question[0].upper() + question[1:]
    return question
