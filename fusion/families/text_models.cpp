#include <fmt/format.h>

#include <map>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {

DecoderConfig parse_text_model(const Config& text_config, const std::string& otherwise) {
  static const std::map<std::string, DecoderConfig (*)(const Config&)> known = {
      {"llama", parse_llama_decoder},
  };
  const std::string type = text_config.text("model_type", otherwise);
  const auto found = known.find(type);
  if (found != known.end()) return found->second(text_config);
  std::string names;
  for (const auto& entry : known) names += (names.empty() ? "" : ", ") + entry.first;
  text_config.fail("model_type",
                   fmt::format("text model '{}' is not supported; supported are {}", type, names));
}

DecoderNames find_decoder(const Checkpoint& weights, std::initializer_list<const char*> prefixes,
                          const Config& text_config, const Config& outer_config, bool tied_by_default) {
  DecoderNames names{weights.prefix_of("embed_tokens.weight", prefixes), ""};
  if (text_config.flag("tie_word_embeddings", tied_by_default)) return names;
  // "language_model.model." has its head at "language_model.lm_head", newer writers at "lm_head".
  const std::string inner = "language_model.lm_head";
  for (const std::string& head : {inner, "model." + inner, std::string("lm_head")}) {
    if (weights.has(head + ".weight")) {
      names.head = head;
      return names;
    }
  }
  if (!outer_config.flag("tie_word_embeddings", false))
    weights.tensor("lm_head.weight");  // says what is missing
  return names;
}

}  // namespace mmbatch
