#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/config.h"

namespace mmbatch {

/// Whether a text goes on from another one: then nothing is put before it.
enum class Beginning { of_text, of_continuation };

/// A text on its way through normalizers.
struct NormalizedText {
  std::string text;
  bool takes_prefix = true;  // what is to be put before it is
  bool first_kept = true;    // its first character has not been removed
};

/// A step of a tokenizer.json's `normalizer`. Const after loading and thread-safe.
class Normalizer {
 public:
  Normalizer() = default;
  virtual ~Normalizer() = default;
  Normalizer(const Normalizer&) = delete;
  Normalizer& operator=(const Normalizer&) = delete;

  virtual void apply(NormalizedText& text) const = 0;
};

/// The steps of a `normalizer` section, in their order; none where it is absent or null.
/// @throws ModelError that names the key, and a type that is not supported.
std::vector<std::unique_ptr<const Normalizer>> read_normalizers(const Config& tokenizer);

}  // namespace mmbatch
