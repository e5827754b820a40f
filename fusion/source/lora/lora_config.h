#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/config.h"
#include "text/tokenizer/unicode/regex.h"

namespace mmbatch {

/// peft's adapter_config.json of a LoRA adapter.
class LoraConfig {
 public:
  /// @throws ModelError naming what is not supported
  explicit LoraConfig(const Config& file);

  /// Of a module, by its name in the model: its rank and what its product is multiplied by.
  std::size_t rank(const std::string& module) const;
  float scale(const std::string& module) const;
  /// Whether the adapted weights are stored [in, out], which GPT-2 does.
  bool transposed() const { return transposed_; }
  bool has_magnitudes() const { return dora_; }
  /// Messages about keys that nobody knows.
  const std::vector<std::string>& unknown_keys() const { return unknown_; }

 private:
  struct Pattern {
    Regex expression;
    double value;
    std::string where;  // what errors name
  };
  static std::vector<Pattern> read_patterns(const Config& file, const std::string& key);
  static double find(const std::vector<Pattern>& patterns, const std::string& module, double otherwise);

  double rank_ = 0, alpha_ = 0;
  std::vector<Pattern> ranks_, alphas_;
  bool by_root_ = false, dora_ = false, transposed_ = false;
  std::vector<std::string> unknown_;
};

}  // namespace mmbatch
