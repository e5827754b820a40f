#include "pipeline/stages/choice_tokens.h"

#include <utility>

namespace mmbatch {
namespace {

/// Of jobs and separators.
constexpr std::size_t kMostEntries = 8;

/// What is between a prompt and the answer that continues it: a space, unless the prompt ends with one
/// or with a line.
std::string separator(const Tokenizer& tokenizer, const Prompt& prompt) {
  const std::string end = prompt.ids.empty() ? "" : tokenizer.decode({&prompt.ids.back(), 1});
  return end.empty() || end.back() == ' ' || end.back() == '\n' ? "" : " ";
}

ChoiceIds tokenized(const Model& model, const std::string& separator, const GenerationConfig& generation) {
  ChoiceIds ids;
  for (const std::string& choice : generation.choices) {
    std::vector<std::int32_t> tokens = model.tokenizer().encode_continuation(separator + choice);
    if (generation.forced_bos_token_id) tokens.insert(tokens.begin(), *generation.forced_bos_token_id);
    if (!model.spec().eos.empty()) tokens.push_back(model.spec().eos.front());
    ids.push_back(std::move(tokens));
  }
  return ids;
}

}  // namespace

ChoiceIds choice_ids(const Model& model, const Prompt& prompt, const GenerationConfig& generation) {
  if (generation.choices.empty()) return {};
  return tokenized(model, separator(model.tokenizer(), prompt), generation);
}

ChoiceIds ChoiceTokens::of(const Prompt& prompt, const std::shared_ptr<const ItemSettings>& settings) {
  std::string between = separator(model_.tokenizer(), prompt);
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : latest_) {
    if (entry.settings == settings && entry.separator == between) return entry.ids;
  }
  ChoiceIds ids = tokenized(model_, between, settings->generation);
  latest_.push_front({settings, std::move(between), ids});
  if (latest_.size() > kMostEntries) latest_.pop_back();
  return ids;
}

}  // namespace mmbatch
