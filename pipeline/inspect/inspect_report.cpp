#include <fmt/format.h>

#include <algorithm>

#include "jobs/text/json_text.h"
#include "pipeline/inspect/inspect.h"
#include "pipeline/watch/progress.h"

namespace mmbatch {
namespace {

/// Lines of a name and a value; a line without a name continues the one before.
struct Lines {
  std::string text;
  void add(const char* name, const std::string& value) { text += fmt::format("{:<14}{}\n", name, value); }
};

/// Whether images have no size, and no number of tokens, that is the same for all.
bool keeps_sizes(const VisionSpec& vision) {
  return std::holds_alternative<OwnShape>(vision.form) || std::holds_alternative<SoftTokens>(vision.form) ||
         std::holds_alternative<OwnShapeOrTiles>(vision.form) ||
         std::holds_alternative<TilesAndPaddedWhole>(vision.form);
}

std::string heads_text(const AttentionShape& shape) {
  const char* kind = shape.kv_heads == shape.heads ? "multi-head"
                     : shape.kv_heads == 1         ? "multi-query"
                                                   : "grouped-query";
  return fmt::format("{} heads of {}, {} for keys and values ({})", shape.heads, shape.head_dim,
                     shape.kv_heads, kind);
}

/// Layers whose keys and values are another's.
std::string shared_text(const DecoderConfig& decoder) {
  std::size_t shared = 0;
  for (const LayerConfig& layer : decoder.layers) shared += layer.attention.has_keys() ? 0 : 1;
  return shared == 0 ? "" : fmt::format(", keys and values of earlier layers in {}", shared);
}

/// The heads of layers, where they are not alike.
std::vector<std::string> heads_texts(const DecoderConfig& decoder) {
  std::vector<std::string> texts;
  for (const LayerConfig& layer : decoder.layers) {
    const std::string text = heads_text(layer.attention.shape);
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
  }
  return texts;
}

std::string window_text(const DecoderConfig& decoder) {
  std::size_t windowed = 0, window = 0;
  for (const LayerConfig& layer : decoder.layers) {
    windowed += layer.attention.shape.window > 0 ? 1 : 0;
    window = std::max(window, layer.attention.shape.window);
  }
  return windowed == 0 ? "" : fmt::format(", a window of {} in {} layers", window, windowed);
}

/// The layers that have experts, which are alike in that.
struct ExpertLayers {
  std::size_t layers = 0;
  const MixtureOfExpertsConfig* experts = nullptr;  // null: there are none
};

ExpertLayers expert_layers(const DecoderConfig& decoder) {
  ExpertLayers found;
  for (const LayerConfig& layer : decoder.layers) {
    if (!layer.experts) continue;
    ++found.layers;
    found.experts = &*layer.experts;
  }
  return found;
}

std::string experts_text(const DecoderConfig& decoder) {
  const auto [layers, experts] = expert_layers(decoder);
  if (experts == nullptr) return "";
  return fmt::format("{} experts of {} in {} layers, {} for each token{}", experts->experts.experts,
                     experts->experts.ffn, layers, experts->router.top_k,
                     experts->shared ? fmt::format(", and one of {} for all", experts->shared->ffn) : "");
}

void add_decoder(const DecoderConfig& decoder, Lines& lines) {
  lines.add("decoder",
            fmt::format("{} layers, hidden {}, feed-forward {}, vocabulary {}, {} positions{}",
                        decoder.layers.size(), decoder.hidden, decoder.layers.front().feed_forward.ffn,
                        decoder.vocab, decoder.max_positions, window_text(decoder) + shared_text(decoder)));
  for (const std::string& heads : heads_texts(decoder)) lines.add("", heads);
  if (decoder.per_layer)
    lines.add("", fmt::format("embeddings of {} for each token and layer", decoder.per_layer->width));
  if (const std::string experts = experts_text(decoder); !experts.empty()) lines.add("", experts);
}

void add_text_encoder(const TextEncoderConfig& text, Lines& lines) {
  lines.add("text encoder", fmt::format("{} layers, hidden {}, feed-forward {}, vocabulary {}, {} positions, "
                                        "embeddings of {}",
                                        text.layers, text.hidden(), text.layer.feed_forward.ffn, text.vocab,
                                        text.positions, text.width));
  lines.add("", heads_text(text.layer.attention.shape));
}

void add_encoder(const PromptEncoderConfig& encoder, Lines& lines) {
  const LayerConfig& layer = encoder.stack.layer;
  lines.add("encoder", fmt::format("{} layers, hidden {}, feed-forward {}, vocabulary {}, {} positions",
                                   encoder.stack.layers, encoder.hidden(), layer.feed_forward.ffn,
                                   encoder.vocab, encoder.positions));
  lines.add("", heads_text(layer.attention.shape));
}

/// How images of such a model come to its tower.
std::string form_text(const VisionSpec& spec) {
  const auto any_size = [&](int merge) {
    return fmt::format("images of any size in patches of {0}, one token for {1} x {1}",
                       spec.encoder.patch_size, merge);
  };
  if (const auto* own = std::get_if<OwnShape>(&spec.form)) return any_size(own->blocks.merge);
  if (const auto* own = std::get_if<OwnShapeOrTiles>(&spec.form))
    return any_size(own->patches.merge) + ", large ones in tiles too";
  if (const auto* soft = std::get_if<SoftTokens>(&spec.form))
    return fmt::format("{}, budgets of {} tokens", any_size(soft->geometry.pool), soft_token_budgets_text());
  return fmt::format("images as a whole, large ones in tiles too, in patches of {}", spec.encoder.patch_size);
}

void add_vision(const VisionSpec& spec, Lines& lines) {
  const VisionConfig& vision = spec.encoder;
  const std::string images =
      vision.staged ? fmt::format("images of {} pixels in {} stages, {} tokens per image", vision.image_size,
                                  vision.staged->stages.size(), spec.tile_tokens())
      : keeps_sizes(spec)
          ? form_text(spec)
          : fmt::format("images of {} pixels in patches of {}, {} {} per image{}", vision.image_size,
                        vision.patch_size, spec.tile_tokens(), spec.pools() ? "embedding" : "tokens",
                        std::holds_alternative<OneSize>(spec.form) ? "" : " or tile");
  if (vision.layers == 0)
    return lines.add("vision", fmt::format("no layers, hidden {}, {}", vision.hidden(), images));
  lines.add("vision", fmt::format("{} of {} layers, hidden {}, {}", vision.run_layers, vision.layers,
                                  vision.hidden(), images));
  lines.add("", heads_text(vision.layer.attention.shape));
}

/// A JSON object, built member by member.
class JsonObject {
 public:
  void add(const char* name, std::size_t value) { member(name, std::to_string(value)); }
  void add(const char* name, const std::string& value) { member(name, json_string(value)); }
  void member(const char* name, const std::string& json) {
    text_ += fmt::format("{}\"{}\": {}", text_.empty() ? "" : ", ", name, json);
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/// The types of weights: how much of them is of each, and what a weight takes on average.
std::string types_text(const Inspection& found) {
  std::string text;
  if (found.shares.size() < 2) {
    for (const std::string& type : found.dtypes) text += (text.empty() ? "" : ", ") + type;
    return text;
  }
  const auto all = static_cast<double>(std::max<std::size_t>(found.parameters, 1));
  for (const Inspection::Share& share : found.shares) {
    text += fmt::format("{}{} {:.3g} %", text.empty() ? "" : ", ", share.type,
                        100.0 * static_cast<double>(share.parameters) / all);
  }
  return text + fmt::format(", {:.3g} bits per weight", 8.0 * static_cast<double>(found.stored_bytes) / all);
}

std::string shares_json(const Inspection& found) {
  std::string text;
  for (const Inspection::Share& share : found.shares) {
    JsonObject one;
    one.add("type", share.type);
    one.add("parameters", share.parameters);
    one.add("bytes", share.bytes);
    text += (text.empty() ? "" : ", ") + one.str();
  }
  return "[" + text + "]";
}

std::string costs_text(const std::vector<Inspection::ImageCost>& costs) {
  std::string text;
  for (const auto& [size, tokens, fault] : costs) {
    text += fmt::format("{}{} x {} pixels {}", text.empty() ? "" : ", ", size.width, size.height,
                        fault.empty() ? fmt::format("{} tokens", tokens) : "not possible: " + fault);
  }
  return text;
}

std::string costs_json(const std::vector<Inspection::ImageCost>& costs) {
  std::string text;
  for (const auto& [size, tokens, fault] : costs) {
    JsonObject one;
    one.add("width", static_cast<std::size_t>(size.width));
    one.add("height", static_cast<std::size_t>(size.height));
    if (fault.empty())
      one.add("tokens", tokens);
    else
      one.add("error", fault);
    text += (text.empty() ? "" : ", ") + one.str();
  }
  return "[" + text + "]";
}

std::string tasks_text(const Inspection& found) {
  std::string names;
  for (const Task task : found.tasks)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(task));
  return names;
}

std::string memories_text(const std::vector<MemoryAt>& memories) {
  std::string text;
  for (const auto& one : memories) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", one.precision, bytes_text(one.bytes));
  }
  return text;
}

/// Of processes that compute a model together.
void add_division(const Inspection& found, Lines& lines) {
  const char* name = "divided";
  for (const ProcessMemory& memory : found.processes) {
    if (memory.processes == 1) continue;
    lines.add(name, fmt::format("in {} slices by {} processes: rank 0's weights about {}", found.slices,
                                memory.processes, memories_text(memory.leading)));
    lines.add("", "the others' each about " + memories_text(memory.following));
    if (!memory.cache_per_token.empty())
      lines.add("", "cache per token of each: " + memories_text(memory.cache_per_token));
    name = "";
  }
  for (const std::string& whole : found.kept_whole) lines.add("", whole);
}

void add_experts(const DecoderConfig& decoder, JsonObject& json) {
  const auto [layers, experts] = expert_layers(decoder);
  if (experts == nullptr) return;
  JsonObject of;
  of.add("layers", layers);
  of.add("experts", experts->experts.experts);
  of.add("experts_per_token", experts->router.top_k);
  of.add("feed_forward", experts->experts.ffn);
  if (experts->shared) of.add("shared_feed_forward", experts->shared->ffn);
  json.member("mixture_of_experts", of.str());
}

std::string layers_json(const LayerConfig& layer, std::size_t layers) {
  const AttentionShape& shape = layer.attention.shape;
  JsonObject json;
  json.add("layers", layers);
  json.add("hidden", layer.attention.hidden);
  json.add("feed_forward", layer.feed_forward.ffn);
  json.add("heads", shape.heads);
  json.add("kv_heads", shape.kv_heads);
  json.add("head_dim", shape.head_dim);
  return json.str();
}

std::string memories_json(const std::vector<MemoryAt>& memories) {
  JsonObject json;
  for (const auto& one : memories) json.add(one.precision.c_str(), one.bytes);
  return json.str();
}

std::string division_json(const Inspection& found) {
  std::string processes;
  for (const ProcessMemory& memory : found.processes) {
    JsonObject one;
    one.add("processes", memory.processes);
    one.member("rank_0_weight_bytes", memories_json(memory.leading));
    one.member("other_weight_bytes", memories_json(memory.following));
    one.member("cache_bytes_per_token", memories_json(memory.cache_per_token));
    processes += (processes.empty() ? "" : ", ") + one.str();
  }
  JsonObject json;
  json.add("slices", found.slices);
  json.member("processes", "[" + processes + "]");
  json.member("whole", json_array(found.kept_whole));
  return json.str();
}

void add_spec(const ModelSpec& spec, JsonObject& json) {
  json.add("family", spec.family);
  json.add("vocab", spec.vocab());
  if (spec.dual) {
    json.member("text_encoder", layers_json(spec.dual->text.layer, spec.dual->text.layers));
    json.add("embedding_width", spec.dual->text.width);
  } else {
    json.member("decoder", layers_json(spec.decoder.layers.front(), spec.decoder.layers.size()));
    add_experts(spec.decoder, json);
    json.add("max_positions", spec.decoder.max_positions);
    if (spec.encoder)
      json.member("encoder", layers_json(spec.encoder->stack.layer, spec.encoder->stack.layers));
  }
  if (!spec.vision) return;
  const VisionConfig& vision = spec.vision->encoder;
  json.member("vision", layers_json(vision.layer, vision.layers));
  const bool any_size = keeps_sizes(*spec.vision);
  if (!any_size) json.add("image_size", vision.image_size);
  if (!vision.staged) json.add("patch_size", vision.patch_size);
  if (!any_size) json.add("image_tokens", spec.vision->tile_tokens());
}

}  // namespace

std::string to_text(const Inspection& found) {
  Lines lines;
  if (found.spec) {
    lines.add("family", found.spec->family);
    lines.add("tasks", tasks_text(found));
  } else {
    lines.add("architecture", found.architecture.empty() ? "not named" : found.architecture);
  }
  std::string types = types_text(found);
  if (!found.smoothed.empty()) types += fmt::format(", smoothed ({})", found.smoothed);
  lines.add("weights", fmt::format("{} parameters in {}, {} stored", found.parameters, types,
                                   bytes_text(found.stored_bytes)));
  if (!found.computed_in.empty()) lines.add("computed in", found.computed_in);
  const char* name = "files";
  for (const auto& file : found.files) {
    const std::string tensors = file.tensors > 0 ? fmt::format(", {} tensors", file.tensors) : "";
    lines.add(name, fmt::format("{} ({}{})", file.name, bytes_text(file.bytes), tensors));
    name = "";
  }
  if (found.spec) {
    if (found.spec->dual)
      add_text_encoder(found.spec->dual->text, lines);
    else
      add_decoder(found.spec->decoder, lines);
    if (found.spec->encoder) add_encoder(*found.spec->encoder, lines);
    if (found.spec->vision) add_vision(*found.spec->vision, lines);
    if (!found.image_costs.empty()) lines.add("images", costs_text(found.image_costs));
  }
  if (found.tokenizer_tokens > 0) lines.add("tokenizer", fmt::format("{} tokens", found.tokenizer_tokens));
  if (!found.turn_format.empty()) {
    lines.add("turn format", found.turn_format_note.empty() ? found.turn_format : found.turn_format_note);
  }
  if (found.spec) {
    lines.add("memory", "weights about " + memories_text(found.weights));
    if (!found.cache_per_token.empty())
      lines.add("", "cache per token: " + memories_text(found.cache_per_token));
    if (!found.cache_per_token_beyond_windows.empty())
      lines.add("",
                "cache per token beyond the windows: " + memories_text(found.cache_per_token_beyond_windows));
    lines.add("", fmt::format("activations about {} for a step of {} tokens",
                              bytes_text(found.activation_bytes), Inspection::kActivationRows));
    add_division(found, lines);
  }
  for (const std::string& note : found.notes) lines.add("note", note);
  for (const std::string& why : found.missing) lines.add("unsupported", why);
  return lines.text;
}

std::string to_json(const Inspection& found) {
  JsonObject json;
  json.add("folder", found.folder);
  json.add("architecture", found.architecture);
  json.member("supported", found.missing.empty() ? "true" : "false");
  json.member("unsupported", json_array(found.missing));
  json.member("notes", json_array(found.notes));
  if (found.spec) add_spec(*found.spec, json);
  std::vector<std::string> tasks;
  for (const Task task : found.tasks) tasks.emplace_back(to_string(task));
  json.member("tasks", json_array(tasks));
  json.add("parameters", found.parameters);
  json.member("dtypes", json_array(found.dtypes));
  json.member("types", shares_json(found));
  if (!found.computed_in.empty()) json.add("computed_in", found.computed_in);
  if (!found.smoothed.empty()) json.add("smoothed", found.smoothed);
  json.add("stored_bytes", found.stored_bytes);
  std::string files;
  for (const auto& file : found.files) {
    JsonObject one;
    one.add("name", file.name);
    one.add("bytes", file.bytes);
    if (file.tensors > 0) one.add("tensors", file.tensors);
    files += (files.empty() ? "" : ", ") + one.str();
  }
  json.member("files", "[" + files + "]");
  json.add("tokenizer_tokens", found.tokenizer_tokens);
  json.add("turn_format", found.turn_format);
  json.member("weight_bytes", memories_json(found.weights));
  json.member("cache_bytes_per_token", memories_json(found.cache_per_token));
  if (!found.cache_per_token_beyond_windows.empty())
    json.member("cache_bytes_per_token_beyond_windows", memories_json(found.cache_per_token_beyond_windows));
  json.add("activation_bytes", found.activation_bytes);
  if (found.slices > 0) json.member("divided", division_json(found));
  if (!found.image_costs.empty()) json.member("image_costs", costs_json(found.image_costs));
  return json.str();
}

}  // namespace mmbatch
