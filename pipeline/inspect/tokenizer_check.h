#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "fusion/prompting.h"

namespace mmbatch {

/// Compares prompts as a folder's tokenizer.json cuts them, which counts, with its tokenizer.model, where it
/// has both.
class TokenizerCheck {
 public:
  /// @param files must outlive it
  explicit TokenizerCheck(const ModelFiles& files);

  void compare(const RenderedPrompt& prompt, const std::string& where);
  /// What is to be said; none: they agree, or there is one tokenizer only.
  std::optional<std::string> note() const;

 private:
  const ModelFiles& files_;
  std::shared_ptr<const Tokenizer> other_;
  std::string fault_, first_;
  std::size_t compared_ = 0, different_ = 0;
};

}  // namespace mmbatch
