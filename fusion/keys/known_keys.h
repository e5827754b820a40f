#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// What is known of the keys of one kind of config file. Nothing in such a file is passed over in silence: a
/// key is honoured, known to be without effect, supported at one value only, or reported.
struct KnownKeys {
  struct WithoutEffect {
    std::string_view reason;
    std::vector<std::string_view> keys;
  };
  /// A key that changes results, and is supported only where it does not.
  struct OnlyAt {
    std::string_view key;
    std::vector<std::string_view> values;  // as JSON; null is always one
  };

  std::vector<std::string_view> honoured = {};
  std::vector<WithoutEffect> without_effect = {};
  std::vector<OnlyAt> only_at = {};
};

/// Messages about keys that nobody knows, each naming file and key.
/// @throws ModelError for a value that is not supported, and for an unknown key whose name is of a kind that
/// changes results, such as "…_scaling" or "…_norm", unless it is null, false or empty
std::vector<std::string> check_keys(const Config& config, const KnownKeys& known);

/// The tables, one in each file of this folder.
const KnownKeys& generation_keys();
/// @param form which keys count depends on it: those of other image processors' classes are reported
KnownKeys image_processor_keys(const ImageForm& form);
const KnownKeys& processor_keys();
const KnownKeys& video_processor_keys();
const KnownKeys& tokenizer_keys();

}  // namespace mmbatch
