#!/usr/bin/env python3
"""Questions about images by mmbatch and llama.cpp, one after the other, on the same two GGUF files.

    python3 -m venv peers && peers/bin/pip install gguf numpy pillow llama-cpp-python
    peers/bin/python bench/peers/images.py MODEL.gguf MMPROJ.gguf --mmbatch build/mmbatch
    peers/bin/python bench/peers/images.py MODEL.gguf MMPROJ.gguf --make q8_0 --tokenizer OTHER.gguf

The last form writes the files first, if they are not there: text.py's decoder of 1.1 billion parameters, and the tower of
CLIP-L/14-336 with two linear layers in f16, as such files are published, all with random weights.  Neither build nor tests need this file.

What is measured, each program in a process of its own, the median of --repeat:
    load      from the start of the program until it could answer, with the files in the system's cache, seconds
    1, 8      --images different pictures with one question each and with eight, --answer tokens each, seconds for an image
    memory    the largest resident size, MiB

llama.cpp gets the best that its library offers: each image is encoded and read once, the sequences of its questions share
what was read, and all answers are computed together.
"""

import ctypes
import json
import pathlib
import resource
import subprocess
import tempfile
import time

import text

SIDE, PATCH, WIDTH, INNER, LAYERS, HEADS = 336, 14, 1024, 4096, 23, 16  # CLIP-L/14-336 without its last layer, which LLaVA leaves out


def questions(image, count):
    return [f"{n + 3}{image} what is the {text.WORDS[(image + 5 * n) % 16]} in the picture?" for n in range(count)]


def write_pictures(folder, count, first=0):
    """@param first different numbers give different pictures"""
    import numpy
    from PIL import Image

    paths = []
    for n in range(count):
        pixels = numpy.random.default_rng(first + n).integers(0, 256, (24, 32, 3), numpy.uint8)
        paths.append(pathlib.Path(folder, f"{n}.png"))
        Image.fromarray(pixels).resize((640, 480), Image.BICUBIC).save(paths[-1])
    return paths


def measure_mmbatch(options):
    def run(asked):
        with tempfile.TemporaryDirectory() as folder:
            items = [{"id": f"{i}-{n}", "image": str(picture), "question": question}
                     for i, picture in enumerate(write_pictures(folder, options.images))
                     for n, question in enumerate(questions(i, asked))]
            manifest = {"model": str(pathlib.Path(options.model).resolve()), "database": "results.db",
                        "generation": {"max_new_tokens": options.answer, "min_new_tokens": options.answer, "temperature": 0},
                        "jobs": [{"name": "peers", "task": "vqa", "items": items}]}
            if options.mmproj:
                manifest["mmproj"] = str(pathlib.Path(options.mmproj).resolve())
            path = pathlib.Path(folder, "manifest.yaml")
            path.write_text(json.dumps(manifest))
            begin = time.perf_counter()
            subprocess.run([options.mmbatch, "run", "--quiet", path, "--threads", str(options.threads),
                            "--precision", options.precision, "--summary-json", path.with_suffix(".json")], check=True)
            seconds, summary = time.perf_counter() - begin, json.loads(path.with_suffix(".json").read_text())
            return seconds, summary["load_seconds"]

    def for_an_image(asked):
        seconds, load = run(asked)
        return (seconds - load) / options.images

    result = {"load": run(1)[1]}
    result |= {str(asked): text.median(options.repeat, lambda: for_an_image(asked)) for asked in options.questions}
    return result | {"memory": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


class LlamaCpp:
    """The text model, the tower, and a cache for as many sequences as are asked at once."""

    def __init__(self, options):
        self.llama = text.quiet_llama_cpp()
        from llama_cpp import mtmd_cpp

        llama, self.mtmd = self.llama, mtmd_cpp
        mtmd_cpp.mtmd_log_set(llama.without_words, ctypes.c_void_p(0))
        mtmd_cpp.mtmd_helper_log_set(llama.without_words, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(options.model.encode(), llama.llama_model_default_params())
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        most = options.images * max(options.questions)
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = options.images * 640 + most * (options.answer + 64), 2048, 1024
        params.n_seq_max, params.kv_unified = most, True
        params.n_threads = params.n_threads_batch = options.threads
        self.context = llama.llama_init_from_model(self.model, params)
        vision = mtmd_cpp.mtmd_context_params_default()
        vision.use_gpu, vision.n_threads, vision.print_timings = False, options.threads, False
        self.vision = mtmd_cpp.mtmd_init_from_file(options.mmproj.encode(), self.model, vision)
        self.batch = llama.llama_batch_init(2048, 0, 1)
        self.size = llama.llama_vocab_n_tokens(self.vocabulary)

    def tokens_of(self, words):
        found = (self.llama.llama_token * 512)()
        return found[:self.llama.llama_tokenize(self.vocabulary, words, len(words), found, 512, False, False)]

    def read_image(self, path, sequence):
        """@return the position behind it"""
        mtmd = self.mtmd
        bitmap = mtmd.mtmd_helper_bitmap_init_from_file(self.vision, str(path).encode(), False)
        prompt = b"USER: " + mtmd.mtmd_default_marker() + b"\n"
        words = mtmd.mtmd_input_text(prompt, len(prompt), True, True)
        chunks = mtmd.mtmd_input_chunks_init()
        if mtmd.mtmd_tokenize(self.vision, chunks, ctypes.byref(words), (ctypes.c_void_p * 1)(bitmap), 1) != 0:
            raise SystemExit("mtmd_tokenize failed")
        behind = self.llama.llama_pos(0)
        if mtmd.mtmd_helper_eval_chunks(self.vision, self.context, chunks, 0, sequence, 2048, False, ctypes.byref(behind)) != 0:
            raise SystemExit("mtmd_helper_eval_chunks failed")
        mtmd.mtmd_input_chunks_free(chunks)
        mtmd.mtmd_bitmap_free(bitmap)
        return behind.value

    def step(self, rows):
        """@param rows (token, position, sequence, whether its logits are wanted)   @return the next token of each that wants"""
        import numpy

        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        if self.llama.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        return [int(numpy.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, i), shape=(self.size,)).argmax())
                for i, row in enumerate(rows) if row[3]]

    def answer(self, pictures, asked, tokens):
        memory = self.llama.llama_get_memory(self.context)
        self.llama.llama_memory_clear(memory, True)
        rows, positions = [], []
        for image, path in enumerate(pictures):
            first = image * asked
            behind = self.read_image(path, first)
            for n, question in enumerate(questions(image, asked)):
                if n > 0:
                    self.llama.llama_memory_seq_cp(memory, first, first + n, -1, -1)
                ids = self.tokens_of(f"{question} ASSISTANT:".encode())
                rows += [(token, behind + i, first + n, i + 1 == len(ids)) for i, token in enumerate(ids)]
                positions.append(behind + len(ids))
        last = self.step(rows)
        for n in range(tokens - 1):
            last = self.step([(token, positions[s] + n, s, True) for s, token in enumerate(last)])


def measure_llama_cpp(options):
    begin = time.perf_counter()
    program = LlamaCpp(options)
    result = {"load": time.perf_counter() - begin}
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(folder, options.images)

        def for_an_image(asked):
            begin = time.perf_counter()
            program.answer(pictures, asked, options.answer)
            return (time.perf_counter() - begin) / options.images

        result |= {str(asked): text.median(options.repeat, lambda: for_an_image(asked)) for asked in options.questions}
    return result | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


PROGRAMS = {"mmbatch": measure_mmbatch, "llama.cpp": measure_llama_cpp}


def make_tower(path, width):
    """@param width of the decoder's rows"""
    import gguf
    import numpy

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    for key, value in [("image_size", SIDE), ("patch_size", PATCH), ("embedding_length", WIDTH), ("feed_forward_length", INNER),
                       ("block_count", LAYERS), ("attention.head_count", HEADS), ("projection_dim", width)]:
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    writer.add_array("clip.vision.image_std", [0.26862954, 0.26130258, 0.27577711])
    random = numpy.random.default_rng(1)

    def add(name, *shape, kind=numpy.float16):
        writer.add_tensor(name, (random.standard_normal(shape, dtype=numpy.float32) * 0.02).astype(kind))

    def add_norm(name):
        writer.add_tensor(f"{name}.weight", numpy.ones(WIDTH, numpy.float32))
        writer.add_tensor(f"{name}.bias", numpy.zeros(WIDTH, numpy.float32))

    def add_linear(name, out, inputs):
        add(f"{name}.weight", out, inputs)
        add(f"{name}.bias", out, kind=numpy.float32)

    add("v.class_embd", WIDTH, kind=numpy.float32)
    add("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    add("v.position_embd.weight", (SIDE // PATCH) ** 2 + 1, WIDTH)
    add_norm("v.pre_ln")
    for layer in (f"v.blk.{i}." for i in range(LAYERS)):
        add_norm(layer + "ln1")
        add_norm(layer + "ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add_linear(layer + name, WIDTH, WIDTH)
        add_linear(layer + "ffn_up", INNER, WIDTH)
        add_linear(layer + "ffn_down", WIDTH, INNER)
    add_linear("mm.0", width, WIDTH)
    add_linear("mm.2", width, width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_options(parser):
    parser.add_argument("--images", type=int, default=4, help="pictures (default: %(default)s)")
    parser.add_argument("--answer", type=int, default=16, help="tokens of an answer (default: %(default)s)")
    parser.add_argument("--questions", type=text.numbers, default=[1, 8],
                        help="how many about each picture (default: 1,8)")


def main():
    parser = text.parser_of(__doc__.splitlines()[0], PROGRAMS)
    parser.add_argument("mmproj", help="the GGUF file of its vision tower")
    text.add_making(parser)
    add_options(parser)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(PROGRAMS[options.one](options)))
        return
    if options.make and not pathlib.Path(options.model).exists():
        text.make_model(options.model, options.make, options.tokenizer)
    if options.make and not pathlib.Path(options.mmproj).exists():
        make_tower(options.mmproj, 2048)
    text.compare(__file__, options.programs, ["load", *map(str, options.questions), "memory"])


if __name__ == "__main__":
    main()
