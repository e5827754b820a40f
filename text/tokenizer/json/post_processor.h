#pragma once

#include <vector>

#include "engine/base/config.h"
#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

/// A tokenizer.json's `post_processor`: the special tokens around the ids of a text. Const after loading.
class PostProcessor {
 public:
  PostProcessor() = default;
  /// Reads the section where it is present and not null.
  /// @throws ModelError that names the key, and a type that is not supported.
  explicit PostProcessor(const Config& tokenizer);

  Ids apply(Ids ids) const;

 private:
  /// A part of what a step makes: some ids, or the text's.
  struct Part {
    bool is_text = false;
    Ids ids;
  };
  using Step = std::vector<Part>;

  void read(const Config& step, int depth);
  void read_template(const Config& step);

  std::vector<Step> steps_;
};

}  // namespace mmbatch
