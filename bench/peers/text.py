#!/usr/bin/env python3
"""Text generation by mmbatch, llama.cpp and OpenVINO GenAI, one after the other, on the same GGUF file.

    python3 -m venv peers && peers/bin/pip install gguf numpy llama-cpp-python openvino-genai
    peers/bin/python bench/peers/text.py MODEL.gguf --mmbatch build/mmbatch
    peers/bin/python bench/peers/text.py MODEL.gguf --make q8_0 --tokenizer OTHER.gguf

The last form writes MODEL.gguf first, if it is not there: TinyLlama's shape of 1.1 billion parameters with random weights, in
q4_0, q8_0 or q4_k_m, with the tokenizer of another file.  Neither build nor tests need this file.

What is measured, each program in a process of its own, the median of --repeat:
    load      from the start of the program until it could answer, with the file in the system's cache, seconds
    prefill   one prompt of about --prompt tokens and one token of answer, prompt tokens per second
    x N       N different prompts of a few tokens asked at once, --answer tokens each, answer tokens per second
    memory    the largest resident size, MiB
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WORDS = "river stone lamp green seven quiet paper morning copper window garden silver cloud bridge winter apple".split()


def prompts(count, words):
    """Different from their first word on, so that none shares its beginning with another."""
    return [" ".join([f"{n + 101}"] + [WORDS[(n * 7 + i * 5 + i // 16) % 16] for i in range(words - 1)])
            for n in range(count)]


def median(repeat, once):
    once()
    return statistics.median(once() for _ in range(repeat))


def measure_mmbatch(options):
    def run(texts, tokens):
        with tempfile.TemporaryDirectory() as folder:
            items = [{"id": str(i), "prompt": text} for i, text in enumerate(texts)]
            manifest = {"model": str(pathlib.Path(options.model).resolve()), "database": "results.db",
                        "generation": {"max_new_tokens": tokens, "min_new_tokens": tokens, "temperature": 0},
                        "jobs": [{"name": "peers", "task": "generate", "raw_prompt": True, "items": items}]}
            path = pathlib.Path(folder, "manifest.yaml")
            path.write_text(json.dumps(manifest))
            subprocess.run([options.mmbatch, "run", "--quiet", path, "--threads", str(options.threads),
                            "--max-sequences", str(max(len(texts), 1)), "--precision", options.precision,
                            "--summary-json", path.with_suffix(".json")], check=True)
            return json.loads(path.with_suffix(".json").read_text())

    def prefill():
        summary = run(prompts(1, options.prompt), 1)
        return summary["prompt_tokens"] / summary["decode_seconds"]

    def together(count):
        summary = run(prompts(count, 8), options.answer)
        return summary["answer_tokens"] / summary["decode_seconds"]

    summary = run(prompts(max(options.together), 8), 1)
    result = {"load": summary["load_seconds"], "prefill": median(options.repeat, prefill)}
    result |= {f"x{n}": median(options.repeat, lambda: together(n)) for n in options.together}
    return result | {"memory": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


def quiet_llama_cpp():
    import ctypes
    import llama_cpp as llama

    llama.without_words = llama.llama_log_callback(lambda *_: None)  # kept, for it is called until the end
    llama.llama_log_set(llama.without_words, ctypes.c_void_p(0))
    return llama


def measure_llama_cpp(options):
    begin = time.perf_counter()
    llama = quiet_llama_cpp()
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(options.model.encode(), llama.llama_model_default_params())
    vocabulary = llama.llama_model_get_vocab(model)
    most = max(options.together)
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = most * (options.answer + 64) + 2 * options.prompt, 2048, 512
    params.n_seq_max, params.kv_unified = most, True
    params.n_threads = params.n_threads_batch = options.threads
    context = llama.llama_init_from_model(model, params)
    result = {"load": time.perf_counter() - begin}

    def tokens_of(text):
        found = (llama.llama_token * 8192)()
        data = text.encode()
        return found[:llama.llama_tokenize(vocabulary, data, len(data), found, 8192, True, False)]

    batch = llama.llama_batch_init(2048, 0, 1)

    def step(rows):
        """@param rows (token, position, sequence, whether its logits are wanted)"""
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        if llama.llama_decode(context, batch) != 0:
            raise SystemExit("llama_decode failed")

    import numpy
    size = llama.llama_vocab_n_tokens(vocabulary)

    def best(i):
        return int(numpy.ctypeslib.as_array(llama.llama_get_logits_ith(context, i), shape=(size,)).argmax())

    def answer(texts, tokens):
        """@return seconds, tokens of the prompts"""
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        rows = [tokens_of(text) for text in texts]
        begin = time.perf_counter()
        batch_rows, ends = [], []
        for sequence, row in enumerate(rows):
            batch_rows += [(token, i, sequence, i + 1 == len(row)) for i, token in enumerate(row)]
            ends.append(len(batch_rows) - 1)
        step(batch_rows)
        last = [best(i) for i in ends]
        for n in range(tokens - 1):
            step([(token, len(rows[s]) + n, s, True) for s, token in enumerate(last)])
            last = [best(i) for i in range(len(last))]
        return time.perf_counter() - begin, sum(map(len, rows))

    def prefill():
        seconds, tokens = answer(prompts(1, options.prompt), 1)
        return tokens / seconds

    result["prefill"] = median(options.repeat, prefill)
    for n in options.together:
        result[f"x{n}"] = median(options.repeat, lambda: n * options.answer / answer(prompts(n, 8), options.answer)[0])
    return result | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure_openvino(options):
    import openvino_genai as genai

    begin = time.perf_counter()
    pipe = genai.LLMPipeline(options.model, "CPU", INFERENCE_NUM_THREADS=options.threads,
                             scheduler_config=genai.SchedulerConfig())
    result = {"load": time.perf_counter() - begin}
    tokenizer = pipe.get_tokenizer()

    def answer(texts, tokens):
        config = genai.GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, ignore_eos=True,
                                        apply_chat_template=False)
        begin = time.perf_counter()
        pipe.generate(texts, config)
        return time.perf_counter() - begin

    long = prompts(1, options.prompt)
    length = tokenizer.encode(long).input_ids.shape[1]
    result["prefill"] = median(options.repeat, lambda: length / answer(long, 1))
    for n in options.together:
        result[f"x{n}"] = median(options.repeat, lambda: n * options.answer / answer(prompts(n, 8), options.answer))
    return result | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


PROGRAMS = {"mmbatch": measure_mmbatch, "llama.cpp": measure_llama_cpp, "openvino": measure_openvino}


def make_model(path, kind, tokenizer):
    """TinyLlama's shape with random weights.
    @param kind q4_0, q8_0 or q4_k_m   @param tokenizer a file whose tokenizer.* keys are taken"""
    import gguf
    import numpy

    llama = quiet_llama_cpp()
    source = gguf.GGUFReader(tokenizer)
    layers, width, heads, kv_heads, inner = 22, 2048, 32, 4, 5632
    rows = len(source.fields["tokenizer.ggml.tokens"].data)
    floats = f"{path}.f16"
    writer = gguf.GGUFWriter(floats, "llama")
    for key, value in [("context_length", 4096), ("embedding_length", width), ("block_count", layers),
                       ("feed_forward_length", inner), ("head_count", heads), ("head_count_kv", kv_heads),
                       ("layer_norm_rms_eps", 1e-5), ("rope_dimension_count", width // heads), ("vocab_size", rows)]:
        getattr(writer, f"add_{key}")(value)
    for name, field in source.fields.items():
        if name.startswith("tokenizer.ggml."):
            kinds = field.types
            writer.add_key_value(name, field.contents(), kinds[0], kinds[1] if len(kinds) > 1 else None)
    random = numpy.random.default_rng(0)

    def add(name, *shape):
        values = random.standard_normal(shape, dtype=numpy.float32) * 0.02
        writer.add_tensor(name, values.astype(numpy.float16))

    def add_norm(name):
        writer.add_tensor(name, numpy.ones(width, numpy.float32))

    add("token_embd.weight", rows, width)
    add("output.weight", rows, width)
    add_norm("output_norm.weight")
    for layer in (f"blk.{i}." for i in range(layers)):
        add_norm(layer + "attn_norm.weight")
        add_norm(layer + "ffn_norm.weight")
        for name, out, inputs in [("attn_q", width, width), ("attn_k", width // heads * kv_heads, width),
                                  ("attn_v", width // heads * kv_heads, width), ("attn_output", width, width),
                                  ("ffn_gate", inner, width), ("ffn_up", inner, width), ("ffn_down", width, inner)]:
            add(f"{layer}{name}.weight", out, inputs)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    params = llama.llama_model_quantize_default_params()
    params.ftype = {"q4_0": 2, "q8_0": 7, "q4_k_m": 15}[kind]
    if llama.llama_model_quantize(floats.encode(), path.encode(), params) != 0:
        raise SystemExit(f"{path} could not be written")
    pathlib.Path(floats).unlink()


def compare(script, programs, figures):
    """Runs a script of this folder once more for each program, and prints a table.
    @param programs their names, between commas"""
    print(f"{'':12}" + "".join(f"{name:>10}" for name in figures))
    for program in filter(None, programs.split(",")):
        run = subprocess.run([sys.executable, script, *sys.argv[1:], "--one", program], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            print(f"{program:12}failed")
            continue
        result = json.loads(run.stdout.splitlines()[-1])
        print(f"{program:12}" + "".join(f"{result[name]:10.2f}" if result[name] < 100 else f"{result[name]:10.0f}" for name in figures))


def numbers(words):
    return [int(n) for n in words.split(",")]


def parser_of(description, programs, model="a GGUF file"):
    """What all scripts of this folder take.  @param programs name and what measures it   @param model what is measured"""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help=model)
    parser.add_argument("--mmbatch", default="build/mmbatch", help="the program (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="of mmbatch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each program (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="samples of each figure (default: %(default)s)")
    parser.add_argument("--programs", default=",".join(programs), help="which, in order (default: %(default)s)")
    parser.add_argument("--one", choices=list(programs), help=argparse.SUPPRESS)
    return parser


def add_options(parser):
    parser.add_argument("--prompt", type=int, default=400, help="words of the long prompt (default: %(default)s)")
    parser.add_argument("--together", type=numbers, default=[1, 16, 32],
                        help="how many prompts at once (default: 1,16,32)")


def add_making(parser):
    parser.add_argument("--make", choices=["q4_0", "q8_0", "q4_k_m"], help="write what is not there of the files first")
    parser.add_argument("--tokenizer", help="with --make: the file whose tokenizer is taken")


def main():
    parser = parser_of(__doc__.splitlines()[0], PROGRAMS)
    add_making(parser)
    parser.add_argument("--answer", type=int, default=64, help="tokens of an answer (default: %(default)s)")
    add_options(parser)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(PROGRAMS[options.one](options)))
        return
    if options.make and not pathlib.Path(options.model).exists():
        make_model(options.model, options.make, options.tokenizer)
    compare(__file__, options.programs, ["load", "prefill", *(f"x{n}" for n in options.together), "memory"])


if __name__ == "__main__":
    main()
