#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "pipeline/graph/ticket.h"

namespace mmbatch {

/// The tokens of choices, each as an answer that goes on from the prompt, with the end token.
using ChoiceIds = std::vector<std::vector<std::int32_t>>;
ChoiceIds choice_ids(const Model& model, const Prompt& prompt, const GenerationConfig& generation);

/// The same for items of a run: choices that a job's items share are tokenized once. Thread-safe.
class ChoiceTokens {
 public:
  explicit ChoiceTokens(const Model& model) : model_(model) {}
  ChoiceIds of(const Prompt& prompt, const std::shared_ptr<const ItemSettings>& settings);

 private:
  struct Entry {
    std::shared_ptr<const ItemSettings> settings;
    std::string separator;
    ChoiceIds ids;
  };
  const Model& model_;
  std::mutex mutex_;
  std::deque<Entry> latest_;  // guarded by mutex_; the newest first
};

}  // namespace mmbatch
