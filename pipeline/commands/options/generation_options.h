#pragma once

#include <memory>

#include "engine/base/generation_config.h"
#include "pipeline/constraint/setting_files.h"

namespace CLI {
class App;
}

namespace mmbatch {

/// Options for every setting of GenerationConfig: max_new_tokens is --max-new-tokens, and so on. Filled while
/// the command line is parsed; values are checked like those of a manifest.
/// @param files gets the files that options name; may be null
void add_generation_options(CLI::App& command, const std::shared_ptr<GenerationOverrides>& overrides,
                            const std::shared_ptr<SettingFiles>& files = nullptr);

}  // namespace mmbatch
