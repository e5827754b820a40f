#!/usr/bin/env python3
"""Text and questions about images by mmbatch, OpenVINO GenAI and vLLM, one after the other, on the same LLaVA checkpoint.

    python3 -m venv peers && peers/bin/pip install openvino-genai optimum-intel nncf sentencepiece protobuf numpy pillow
    peers/bin/python bench/peers/folders.py llava llava-openvino --mmbatch build/mmbatch --bench build/bench/mmbatch_bench

Folders that are not there are made: the first by mmbatch_bench, CLIP-L/14-336 and TinyLlama's shape of 1.1 billion parameters as
Hugging Face's files are published, with random weights; the second from it by optimum-cli, with weights in int8.
mmbatch gets the first and rounds it itself, in int8 if --precision says nothing else; vLLM gets it as it is, or with the decoder's
weights in int8 (--w8a8 FOLDER).  It needs an environment of its own (--programs vllm).  Neither build nor tests need this file.

The figures are those of text.py (load, prefill, x N) and of images.py (1, 8: seconds for an image with as many questions).
All programs compute one prompt of --prompt words, N texts of --text-answer tokens, and --images pictures with their questions.

Both peers get the best that their libraries offer: requests that are batched continuously, and with images a cache of prompts
that begin alike.  As only a prompt that has been read can be found there, the first questions of all images are asked together,
then the others.  Every sample has pictures of its own, so that none is in the cache already.
"""

import copy
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import images
import text

PROCESSOR = {"processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": images.PATCH,
             "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"}


def for_texts(options):
    changed = copy.copy(options)
    changed.answer = options.text_answer
    return changed


def measure_mmbatch(options):
    options.mmproj = None
    return text.measure_mmbatch(for_texts(options)) | images.measure_mmbatch(options)


def open_pipeline(options, **scheduler):
    import openvino_genai as genai

    config = genai.SchedulerConfig()
    for name, value in scheduler.items():
        setattr(config, name, value)
    properties = {"INFERENCE_NUM_THREADS": options.threads}
    if options.hint:
        properties["INFERENCE_PRECISION_HINT"] = options.hint
    return genai.ContinuousBatchingPipeline(options.exported, config, "CPU", properties)


def greedy(tokens, count):
    import openvino_genai as genai

    return [genai.GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, ignore_eos=True, apply_chat_template=False)
            for _ in range(count)]


def measure_texts(options):
    begin = time.perf_counter()
    pipeline = open_pipeline(options)
    result = {"load": time.perf_counter() - begin}

    def answer(texts, tokens):
        begin = time.perf_counter()
        pipeline.generate(texts, greedy(tokens, len(texts)))
        return time.perf_counter() - begin

    long = text.prompts(1, options.prompt)
    length = pipeline.get_tokenizer().encode(long).input_ids.shape[1]
    result["prefill"] = text.median(options.repeat, lambda: length / answer(long, 1))
    for n in options.together:
        result[f"x{n}"] = text.median(options.repeat, lambda: n * options.answer / answer(text.prompts(n, 8), options.answer))
    return result


def of_images(options, ask):
    """@param ask what answers questions, of which each has a picture's path.  Reading pictures counts, as in mmbatch's time."""
    taken = 0

    def for_an_image(count):
        nonlocal taken
        with tempfile.TemporaryDirectory() as folder:
            paths = images.write_pictures(folder, options.images, taken)
            taken += options.images
            rows = [[(question, path) for question in images.questions(i, count)] for i, path in enumerate(paths)]
            begin = time.perf_counter()
            ask([row[0] for row in rows], options.answer)
            if count > 1:
                ask([asked for row in rows for asked in row[1:]], options.answer)
            return (time.perf_counter() - begin) / options.images

    return {str(count): text.median(options.repeat, lambda: for_an_image(count)) for count in options.questions}


def measure_images(options):
    import numpy
    import openvino
    from PIL import Image

    pipeline = open_pipeline(options, enable_prefix_caching=True)

    def ask(asked, tokens):
        prompts = [f"USER: <ov_genai_image_0>\n{question} ASSISTANT:" for question, _ in asked]
        pictures = {path: openvino.Tensor(numpy.asarray(Image.open(path).convert("RGB"))[None]) for _, path in asked}
        pipeline.generate(prompts, [[pictures[path]] for _, path in asked], greedy(tokens, len(asked)))

    return of_images(options, ask)


def measure_openvino(options):
    result = measure_texts(for_texts(options)) | measure_images(options)
    return result | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


class Vllm:
    """vLLM's build for processors."""

    def __init__(self, options):
        os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "2",
                       "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        import vllm

        self.settings = vllm.SamplingParams
        self.model = vllm.LLM(model=options.w8a8 or options.model, dtype="bfloat16", max_model_len=2048, enable_prefix_caching=True,
                              limit_mm_per_prompt={"image": 1}, disable_log_stats=True,
                              max_num_seqs=max(*options.together, options.images * max(options.questions)))
        self.asked = 0

    def generate(self, prompts, tokens):
        return self.model.generate(prompts, self.settings(max_tokens=tokens, min_tokens=tokens, ignore_eos=True, temperature=0),
                                   use_tqdm=False)

    def answer_texts(self, texts, tokens):
        """@return seconds, tokens of the prompts.  A number of the call's own comes first, so that none is in the cache."""
        self.asked += 1
        begin = time.perf_counter()
        found = self.generate([f"{self.asked} {words}" for words in texts], tokens)
        return time.perf_counter() - begin, sum(len(one.prompt_token_ids) for one in found)

    def ask(self, asked, tokens):
        from PIL import Image

        pictures = {path: Image.open(path).convert("RGB") for _, path in asked}
        self.generate([{"prompt": f"USER: <image>\n{question} ASSISTANT:", "multi_modal_data": {"image": pictures[path]}}
                       for question, path in asked], tokens)


def measure_vllm(options):
    begin = time.perf_counter()
    program = Vllm(options)
    result = {"load": time.perf_counter() - begin}

    def prefill():
        seconds, tokens = program.answer_texts(text.prompts(1, options.prompt), 1)
        return tokens / seconds

    def together(count):
        tokens = options.text_answer
        return count * tokens / program.answer_texts(text.prompts(count, 8), tokens)[0]

    result["prefill"] = text.median(options.repeat, prefill)
    result |= {f"x{n}": text.median(options.repeat, lambda: together(n)) for n in options.together}
    return result | of_images(options, program.ask) | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


PROGRAMS = {"mmbatch": measure_mmbatch, "openvino": measure_openvino, "vllm": measure_vllm}


def export(folder, exported):
    cli = pathlib.Path(sys.executable).with_name("optimum-cli")
    subprocess.run([cli, "export", "openvino", "--model", folder, "--task", "image-text-to-text", "--weight-format", "int8",
                    exported], check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})


def write_w8a8(folder, out):
    """The checkpoint with the decoder's linear layers but its head in int8, a scale for each output, as compressed-tensors writes it.
    vLLM's int8 products refuse the batches of a vision tower, which is left as it is, as in published checkpoints."""
    import safetensors.torch
    import torch

    pathlib.Path(out).mkdir()
    index = {}
    for path in pathlib.Path(folder).iterdir():
        if path.suffix != ".safetensors":
            if path.name not in ("config.json", "model.safetensors.index.json"):
                shutil.copy(path, out)
            continue
        tensors = safetensors.torch.load_file(path)
        for name in [name for name in tensors if name.startswith("language_model") and name.endswith("proj.weight")]:
            weight = tensors[name].float()
            scale = weight.abs().amax(1, keepdim=True) / 127
            tensors[name] = (weight / scale).round().to(torch.int8)
            tensors[f"{name}_scale"] = scale.bfloat16()
        safetensors.torch.save_file(tensors, pathlib.Path(out, path.name), {"format": "pt"})
        index |= {name: path.name for name in tensors}
    pathlib.Path(out, "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    config = json.loads(pathlib.Path(folder, "config.json").read_text())
    number = {"num_bits": 8, "type": "int", "symmetric": True}
    config["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed",
        "ignore": ["re:.*lm_head", "re:.*vision_tower.*", "re:.*multi_modal_projector.*"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": number | {"strategy": "channel", "dynamic": False},
                                      "input_activations": number | {"strategy": "token", "dynamic": True}}}}
    pathlib.Path(out, "config.json").write_text(json.dumps(config))


def main():
    parser = text.parser_of(__doc__.splitlines()[0], PROGRAMS, "a folder of a LLaVA checkpoint")
    parser.add_argument("exported", help="the folder that is exported from it for OpenVINO")
    parser.add_argument("--bench", default="build/bench/mmbatch_bench", help="what writes the checkpoint (default: %(default)s)")
    parser.add_argument("--hint", help="OpenVINO's INFERENCE_PRECISION_HINT (default: its own, bf16 where there is AMX)")
    parser.add_argument("--w8a8", help="the folder that vLLM gets, made from the first by its environment (default: the first)")
    parser.add_argument("--text-answer", type=int, default=32, help="tokens of a text's answer (default: %(default)s)")
    text.add_options(parser)
    images.add_options(parser)
    parser.set_defaults(precision="int8", programs="mmbatch,openvino")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(PROGRAMS[options.one](options)))
        return
    if not pathlib.Path(options.model).exists():
        subprocess.run([options.bench, "--write-checkpoint", options.model, "--model", "llava-1b"], check=True)
    processor = pathlib.Path(options.model, "processor_config.json")
    if not processor.exists():
        processor.write_text(json.dumps(PROCESSOR))
    if "openvino" in options.programs and not pathlib.Path(options.exported).exists():
        export(options.model, options.exported)
    if options.w8a8 and not pathlib.Path(options.w8a8).exists():
        write_w8a8(options.model, options.w8a8)
    text.compare(__file__, options.programs, ["load", "prefill", *(f"x{n}" for n in options.together),
                                              *map(str, options.questions), "memory"])


if __name__ == "__main__":
    main()
