#pragma once

#include <string>
#include <vector>

#include "engine/base/image/truncated_images.h"
#include "jobs/item/item.h"

namespace mmbatch {

/// All that an answer depends on; two items with equal parts get equal answers. Turns, system text and
/// generation settings are nothing to the tasks without a decoder.
struct ContentParts {
  const Item* item = nullptr;  // task, form, prompt or messages
  std::string turn_format;     // the turns really used, and the system text
  std::string system;
  std::string template_variables = {};  // JSON of the merged ones; empty or "{}": none
  std::string reasoning_marks = {};     // as the job names them; empty: the model's own
  std::string tools = {};               // JSON; empty: none
  /// Whether the template takes the parts of a message one by one, or gets its images and its text.
  enum class Parts { joined, one_by_one };
  Parts parts = Parts::joined;
  std::string now = {};  // what the template is told when it asks for the time; empty: it does not
  std::vector<std::string> image_sha256;  // in the order of Item::images
  TruncatedImages truncated_images = TruncatedImages::fail;
  ImageBudget image_budget = {};
  std::string video = {};  // how the model takes the images as frames of a video; empty: as images
  std::string model_fingerprint;
  std::string precision;   // of weights and of the KV cache
  std::string generation;  // to_json(GenerationConfig) of the merged settings
};

/// SHA-256 (hex) of the parts; the key by which a run resumes.
std::string content_key(const ContentParts& parts);

}  // namespace mmbatch
