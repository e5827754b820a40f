#include "text/tokenizer/json/post_processor.h"

#include <fmt/format.h>

#include "text/tokenizer/models/vocabulary.h"

namespace mmbatch {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxParts = 64;
constexpr std::size_t kMaxSteps = 16;

/// The id of a pair such as ["[CLS]", 101].
std::int32_t id_of_pair(const Config& step, const std::string& key) {
  const std::vector<Config> pair = step.list(key);
  const bool valid = pair.size() == 2 && pair[1].is_integer() && pair[1].as_integer() >= 0 &&
                     pair[1].as_integer() <= TokenVocabulary::kMaxId;
  if (!valid) step.fail(key, "expected a token and its id");
  return static_cast<std::int32_t>(pair[1].as_integer());
}

}  // namespace

PostProcessor::PostProcessor(const Config& tokenizer) {
  if (tokenizer.has("post_processor")) read(tokenizer.object("post_processor"), 0);
}

void PostProcessor::read(const Config& step, int depth) {
  const std::string type = step.text("type", "");
  if (depth > kMaxDepth || steps_.size() > kMaxSteps)
    step.fail("processors", "too many, or nested too deeply");
  if (type == "Sequence") {
    for (const Config& part : step.list("processors")) read(part, depth + 1);
  } else if (type == "TemplateProcessing") {
    read_template(step);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    const Ids cls = {id_of_pair(step, "cls")}, sep = {id_of_pair(step, "sep")};
    steps_.push_back({{.ids = cls}, {.is_text = true, .ids = {}}, {.ids = sep}});
  } else if (type != "ByteLevel") {  // which moves offsets, and adds nothing
    step.fail("type", fmt::format("a post-processor '{}' is not supported", type));
  }
}

void PostProcessor::read_template(const Config& step) {
  Step parts;
  const Config special = step.object("special_tokens");
  for (const Config& piece : step.list("single")) {
    if (parts.size() >= kMaxParts) step.fail("single", fmt::format("more than {} parts", kMaxParts));
    if (piece.has("Sequence")) {
      if (piece.object("Sequence").text("id", "A") != "A")
        step.fail("single", "a second sequence for one text");
      parts.push_back({.is_text = true, .ids = {}});
    } else if (piece.has("SpecialToken")) {
      const std::string name = piece.object("SpecialToken").text("id", "");
      if (!special.has(name)) step.fail("single", fmt::format("'{}' is not among the special_tokens", name));
      Part part;
      for (const std::int64_t id : special.object(name).integers("ids")) {
        if (id < 0 || id > TokenVocabulary::kMaxId) special.fail(name, "an id out of range");
        part.ids.push_back(static_cast<std::int32_t>(id));
      }
      if (part.ids.size() > kMaxParts) special.fail(name, fmt::format("more than {} ids", kMaxParts));
      parts.push_back(std::move(part));
    } else {
      step.fail("single", "expected a SpecialToken or a Sequence");
    }
  }
  steps_.push_back(std::move(parts));
}

Ids PostProcessor::apply(Ids ids) const {
  for (const Step& step : steps_) {
    Ids made;
    for (const Part& part : step) {
      const Ids& source = part.is_text ? ids : part.ids;
      made.insert(made.end(), source.begin(), source.end());
    }
    ids = std::move(made);
  }
  return ids;
}

}  // namespace mmbatch
