"""The safetensors file format: eight bytes of header length, a JSON header, the tensors' bytes."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

NAMES = {torch.float16: "F16", torch.float32: "F32"}
TYPES = {name: dtype for dtype, name in NAMES.items()}


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write the tensors in the order of their names; the data begins at a multiple of eight bytes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset, blobs = 0, []
    for name, tensor in sorted(tensors.items()):
        blob = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def load(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name == "__metadata__":
            continue
        first, last = (start + offset for offset in entry["data_offsets"])
        kind = {"F16": np.float16, "F32": np.float32}[entry["dtype"]]
        tensors[name] = torch.from_numpy(np.frombuffer(raw[first:last], kind).copy()).view(entry["shape"])
    return tensors
