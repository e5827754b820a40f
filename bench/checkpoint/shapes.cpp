#include "bench/checkpoint/shapes.h"

#include <fmt/format.h>

#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"

namespace mmbatch::bench {
namespace {

constexpr std::size_t kShard = std::size_t{2} << 30;

constexpr VisionShape kClipLarge336{1024, 4096, 24, 16, 336, 14};
constexpr VisionShape kSo400m224{1152, 4304, 27, 16, 224, 14};

constexpr ModelShape kShapes[] = {
    {"llava-1b",
     "CLIP-L/14-336 and TinyLlama's 1.1B",
     Layout::llava,
     kClipLarge336,
     {2048, 5632, 22, 32, 4, 64, 32000, 32064},
     kShard},
    {"llava-7b",
     "LLaVA-1.5 7B: CLIP-L/14-336 and Llama 2 7B",
     Layout::llava,
     kClipLarge336,
     {4096, 11008, 32, 32, 32, 128, 32000, 32064},
     kShard},
    {"paligemma-3b",
     "PaliGemma 3B: SigLIP-So400m/14-224 and Gemma 2B",
     Layout::paligemma,
     kSo400m224,
     {2048, 16384, 18, 8, 1, 256, 256000, 257216},
     kShard},
    {"qwen3-0.6b",
     "Qwen 3 0.6B: text only, norms of queries and keys, a large vocabulary",
     Layout::qwen3,
     {},
     {1024, 3072, 28, 16, 8, 128, 151643, 151936},
     kShard},
    {"so400m",
     "SigLIP-So400m/14-224 before a decoder of one small layer",
     Layout::paligemma,
     kSo400m224,
     {256, 512, 1, 4, 1, 64, 4000, 5280},
     kShard},
    {"llava-small",
     "a small model that still takes some time",
     Layout::llava,
     {384, 1536, 6, 6, 168, 14},
     {512, 1408, 8, 8, 4, 64, 8000, 8064},
     kShard},
    {"moe-1b",
     "text only: Qwen3-30B-A3B at half its width and a sixth of its depth, 1.2 billion parameters",
     Layout::qwen_moe,
     {},
     {1024, 3072, 8, 16, 4, 64, 32000, 32064, {128, 8, 384}},
     kShard},
    {"llava-tiny",
     "for tests",
     Layout::llava,
     {32, 64, 3, 2, 28, 14},
     {64, 96, 2, 4, 2, 16, 480, 512},
     64 << 10},
    {"qwen3-tiny", "for tests", Layout::qwen3, {}, {64, 96, 2, 4, 2, 24, 480, 512}, 64 << 10},
    {"paligemma-tiny",
     "for tests",
     Layout::paligemma,
     {32, 64, 2, 2, 28, 14},
     {64, 96, 2, 4, 1, 16, 480, 1664},
     256 << 10},
    {"moe-tiny", "for tests", Layout::qwen_moe, {}, {64, 96, 2, 4, 2, 16, 480, 512, {8, 2, 32}}, 64 << 10},
};

}  // namespace

std::span<const ModelShape> model_shapes() {
  return kShapes;
}

const ModelShape& find_shape(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name) return shape;
    names.emplace_back(shape.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(fmt::format("no checkpoint shape '{}'{}; --list shows them all", name,
                               nearest.empty() ? "" : fmt::format(": did you mean '{}'?", nearest)));
}

const ModelShape& find_multimodal_shape(const std::string& name) {
  const ModelShape& shape = find_shape(name);
  if (!shape.sees())
    throw UsageError(
        fmt::format("'{}' is text only: take prefill or decode, or a shape with a vision tower", name));
  return shape;
}

}  // namespace mmbatch::bench
