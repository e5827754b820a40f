#include "pipeline/inspect.h"

#include <fmt/format.h>

#include <map>
#include <ostream>
#include <set>
#include <string>

#include "fusion/model.h"
#include "pipeline/progress.h"
#include "pipeline/tasks.h"

namespace mmbatch {
namespace {

struct Stored {
  std::size_t parameters = 0;
  std::size_t bytes = 0;
  std::set<std::string> types;
};

Stored stored_weights(const Checkpoint& weights) {
  Stored stored;
  for (const auto& [name, tensor] : weights.tensors()) {
    stored.parameters += tensor.elements();
    stored.bytes += tensor.bytes();
    stored.types.insert(std::string(to_string(tensor.dtype)));
  }
  return stored;
}

/// Rows of one step: the stream, its norms, queries with keys and values, the widened feed-forward.
std::size_t activation_bytes(const BlockConfig& block, std::size_t rows) {
  const AttentionShape& shape = block.attention.shape;
  const std::size_t qkv = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  const std::size_t per_row =
      3 * block.attention.hidden + qkv + shape.heads * shape.head_dim + 3 * block.feed_forward.ffn;
  return rows * per_row * sizeof(float);
}

std::string heads_text(const AttentionShape& shape) {
  const char* kind = shape.kv_heads == shape.heads ? "multi-head"
                     : shape.kv_heads == 1         ? "multi-query"
                                                   : "grouped-query";
  return fmt::format("{} heads of {}, {} for keys and values ({})", shape.heads, shape.head_dim,
                     shape.kv_heads, kind);
}

}  // namespace

void inspect(const std::filesystem::path& folder, std::ostream& out) {
  const ModelFiles files(folder);
  const ModelSpec& spec = files.spec;
  const DecoderConfig& decoder = spec.decoder;
  const Stored stored = stored_weights(files.weights);
  const auto line = [&](const char* name, const std::string& value) {
    out << fmt::format("{:<14}{}\n", name, value);
  };

  line("family", spec.family);
  std::string tasks;
  for (const Task task : tasks_of(spec))
    tasks += fmt::format("{}{}", tasks.empty() ? "" : ", ", to_string(task));
  line("tasks", tasks);
  std::string types;
  for (const std::string& type : stored.types) types += (types.empty() ? "" : ", ") + type;
  line("weights",
       fmt::format("{} parameters in {}, {} stored", stored.parameters, types, bytes_text(stored.bytes)));
  for (const SafetensorsFile& file : files.weights.files()) {
    line("", fmt::format("{}: {} tensors", file.path().filename().string(), file.tensors().size()));
  }
  line("decoder",
       fmt::format("{} layers, hidden {}, feed-forward {}, vocabulary {}, {} positions", decoder.layers,
                   decoder.hidden, decoder.block.feed_forward.ffn, decoder.vocab, decoder.max_positions));
  line("", heads_text(decoder.attention()));
  if (spec.vision) {
    const VisionConfig& vision = spec.vision->encoder;
    line("vision",
         fmt::format("{} of {} layers, hidden {}, images of {} pixels in patches of {}, {} tokens an image{}",
                     vision.run_layers, vision.layers, vision.hidden(), vision.image_size, vision.patch_size,
                     vision.feature_tokens(), spec.vision->pinpoints.empty() ? "" : " or tile"));
    line("", heads_text(vision.block.attention.shape));
  }
  line("tokenizer", fmt::format("{} tokens", files.tokenizer.vocab_size()));
  line("turn format",
       files.turn_format_warning.empty() ? files.turn_format.name() : files.turn_format_warning);
  line("memory, f32",
       fmt::format("weights about {}, cache {} a token, activations about {} for a step of 1,024 tokens",
                   bytes_text(stored.parameters * sizeof(float)), bytes_text(decoder.kv_bytes_per_token()),
                   bytes_text(activation_bytes(decoder.block, 1024))));
}

}  // namespace mmbatch
