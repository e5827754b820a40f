#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/weights/safetensors.h"
#include "fusion/prompting.h"

namespace mmbatch::parity {

/// A generated sequence as transformers returns it, cut behind its end of sequence.
struct ExpectedSequence {
  std::vector<std::int32_t> tokens;
  double score = 0.0;  // beams only
};

/// One continuation of a case's prompt: a key of expected.json such as "greedy" or
/// "beams_4_length_penalty_2.0", the settings that it stands for, and what transformers generated.
struct ExpectedGeneration {
  std::string key;
  GenerationConfig settings;
  std::vector<ExpectedSequence> sequences;  // one, or all beams, the best first
  bool has_scores = true;                   // else beams are compared by their tokens alone
  std::vector<double> logprobs;             // "greedy" only, where there: one per token
  std::vector<double> margins;              // between the two best logits

  bool beams() const { return settings.num_beams > 1 && has_scores; }
};

/// One prompt and all that is known of it.
struct ReferenceCase {
  std::string name;  // what its tensors' names begin with: "case3", "two_images"
  std::vector<std::string> images;
  std::optional<ShownFrames> video;  // whose frames the images are
  std::string prompt;
  std::vector<Message> messages;  // what the prompt was made of, where it is a dialogue
  std::string template_kwargs = "{}";
  std::optional<std::vector<std::int32_t>> input_ids;
  std::vector<std::int32_t> decoder_ids;  // that the logits of an encoder-decoder are behind
  std::optional<std::string> greedy_text;
  std::vector<ExpectedGeneration> generations;
  std::vector<double> probabilities;  // of the labels, where the model is a dual encoder
  std::optional<std::int64_t> best;   // label
};

/// A label of a dual encoder and its padded ids.
struct LabelCase {
  std::string text;
  std::vector<std::int32_t> ids;
};

struct TokenizerCase {
  std::string text;
  std::vector<std::int32_t> ids;
  std::optional<std::string> decoded;
};

/// A folder with model/, images/, expected.json and expected.safetensors. Keys that it does not know are
/// ignored.
struct Reference {
  /// @param eos ends of sequence: what follows one is padding
  /// @throws std::exception that names file and key
  /// @param image_token takes the place of the folder's own "marker", where it has one
  /// @param published settings of the model's generation_config.json, for "published_defaults"
  Reference(const std::filesystem::path& folder, const std::vector<std::int32_t>& eos,
            const std::string& image_token = {}, const GenerationOverrides& published = {});

  const TensorView* tensor(const std::string& name) const;

  std::filesystem::path folder;
  std::vector<ReferenceCase> cases;
  std::vector<TokenizerCase> tokenizer;
  std::vector<LabelCase> labels;
  SafetensorsFile tensors;
};

}  // namespace mmbatch::parity
