"""The sentencepiece tokenizer, used as Hugging Face's LlamaTokenizer with `legacy: false` uses it."""

import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

UNKNOWN, BEGIN, END = 0, 1, 2
PIECES = 600
IMAGE, PAD = PIECES, PIECES + 1
VOCABULARY = -(-(PIECES + 2) // 64) * 64

# A few plain words beside the questions, so that other English falls into fewer bytes.
PLAIN_ENGLISH = """\
A picture is worth a thousand words, and a good question is worth a little more.
How many dogs are there? Who is the man on the left, and what is he holding in his hand?
The quick brown fox jumps over the lazy dog while the children are playing in front of the house.
Where was this photo taken? It looks like a street in the middle of a large city at night.
Please describe what you can see here, which objects are near, and which of them are far away.
Why would anyone put a square, a star or a line of text into such a small drawing?
When there is nothing to be seen, say so; if there are two things, name both of them.
Orange, purple, pink and white are colors too, but no shape of this kind has them.
"""


class Tokenizer:
    """Text to token ids and back; token ids of answers end with `</s>`."""

    def __init__(self, model: Path, image_tokens: int) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.newline = self.pieces.piece_to_id("<0x0A>")
        self.head = [BEGIN, *self.pieces.encode("USER: "), *[IMAGE] * image_tokens]

    def branch(self, question: str) -> list[int]:
        """What follows the image: a newline, the question, the assistant's turn.

        Only the first piece of text of a prompt gets the dummy space in front, so here it is dropped. It always is a
        token by itself: the newline behind it is spelled as a byte, and no piece contains one.
        """
        space, *tokens = self.pieces.encode(f"\n{question} ASSISTANT:")
        assert tokens[0] == self.newline, (space, tokens)
        return tokens

    def prompt(self, question: str) -> list[int]:
        """A whole prompt, `USER: <image>\\n{question} ASSISTANT:`."""
        return self.head + self.branch(question)

    def answer(self, text: str) -> list[int]:
        """The answer with a space in front, and the end token."""
        return [*self.pieces.encode(text), END]

    def decode(self, tokens: list[int]) -> str:
        """Text of generated tokens up to the end token."""
        if END in tokens:
            tokens = tokens[: tokens.index(END)]
        return self.pieces.decode(tokens).strip()


def train(sentences: Iterable[str], path: Path) -> None:
    """Train a byte-pair model of Llama's kind on the sentences and write it to `path`.

    Each sentence comes a second time as a turn, in a bracket, which makes pieces of the turn's own words, and of the
    sentence's first word without a space in front: that is how a question begins behind an image.
    """
    lines = [line for text in sentences for line in (text, f"USER: ({text} ASSISTANT:")]
    lines += PLAIN_ENGLISH.splitlines()
    lines += ["a b c d e f g h i j k l m n o p q r s t u v w x y z", "0 1 2 3 4 5 6 7 8 9"]
    lines += ["A B C D E F G H I J K L M N O P Q R S T U V W X Y Z", ". , : ; ! ? ' \" ( ) - / & % + = * #"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 4),
        model_writer=model,
        model_type="bpe",
        vocab_size=PIECES,
        byte_fallback=True,
        add_dummy_prefix=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        character_coverage=1.0,
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
