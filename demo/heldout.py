#!/usr/bin/python3
"""Write the held-out questions of easy-VQA as items (heldout.jsonl) and a manifest that runs them (heldout.yaml).

    ./heldout.py --data easy-vqa/train --model demo/model --out heldout
    mmbatch run heldout/heldout.yaml
    mmbatch eval heldout/heldout.db

With `--all` every question of the folder is written: for the test half, of which the model has seen nothing.
"""

import argparse
import json
from pathlib import Path

from training import data

MANIFEST = """\
model: {model}
database: {name}.db
generation: {{max_new_tokens: 8}}
jobs:
  - name: {name}
    task: vqa
    image_root: {images}
    items: {name}.jsonl
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of a half of easy-VQA")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "model", help="checkpoint folder")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the two files")
    parser.add_argument("--name", default="heldout", help="name of the files and of the job")
    parser.add_argument("--all", action="store_true", help="all questions, not just the held-out ones")
    arguments = parser.parse_args()

    items = [
        {
            "id": f"{example.image:04}-{index}",
            "image": data.image_path(Path(), example.image).name,
            "question": example.question,
            "answer": example.answer,
            "question_type": data.question_type(example),
        }
        for index, example in enumerate(data.read_examples(arguments.data))
        if arguments.all or data.is_held_out(example)
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(item) + "\n" for item in items)
    (arguments.out / f"{arguments.name}.jsonl").write_text(lines)
    images = data.image_path(arguments.data, 0).parent
    manifest = MANIFEST.format(name=arguments.name, model=arguments.model.resolve(), images=images.resolve())
    (arguments.out / f"{arguments.name}.yaml").write_text(manifest)
    print(f"{len(items)} questions in {arguments.out / arguments.name}.jsonl")


if __name__ == "__main__":
    main()
