#include "bench/workload.h"

#include <fmt/format.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"

namespace mmbatch::bench {
namespace {

constexpr Workload kTable[] = {
    {"load", "a checkpoint to packed weights, and the memory they take beside what inspect computes",
     run_load},
    {"gemm", "matrix products of real models' shapes, weights streamed from memory", run_gemm},
    {"attention", "attention alone: vision encoder, prefill, decoding at several lengths", run_attention},
    {"vision", "image encoders: CLIP-L/14-336, SigLIP-So400m/14-224", run_vision},
    {"multimodal",
     "today's vision-language models, a part of their layers: image, prompt, steps, one and eight questions",
     run_multimodal},
    {"prefill", "a prompt of 512 tokens, 1.1B shape", run_prefill},
    {"long-prefill", "512 tokens of a long prompt behind 8,192 and 32,256 others, Qwen 3 0.6B's shape",
     run_long_prefill},
    {"decode", "a step of 1 to 32 sequences at 128 and 1,024 positions, 1.1B shape", run_decode},
    {"experts", "a mixture of experts: a prompt of 512 tokens, steps of 1 to 16 sequences", run_experts},
    {"processes", "a prompt and steps by 1, 2 and 4 processes of mpirun, beside a decoder that is whole",
     run_processes},
    {"preprocess", "a 12-megapixel JPEG to pixel values", run_preprocess},
    {"tokenizer", "questions and a long text to tokens and back", run_tokenizer},
    {"constraint",
     "answers to a schema of 30 fields, 150,000 tokens: their masks, and 16 of them beside answers without",
     run_constraint},
    {"store", "rows into the results database", run_store},
    {"pipeline", "images and questions to answers in the database, beside its stages alone", run_pipeline},
    {"ablation", "the pipeline with each optimisation switched off in turn", run_ablation},
};

}  // namespace

std::span<const Workload> workloads() {
  return kTable;
}

const Workload& find_workload(const std::string& name) {
  std::vector<std::string> names;
  for (const Workload& workload : kTable) {
    if (workload.name == name) return workload;
    names.emplace_back(workload.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(fmt::format("no workload '{}'{}; --list shows them all", name,
                               nearest.empty() ? "" : fmt::format(": did you mean '{}'?", nearest)));
}

}  // namespace mmbatch::bench
