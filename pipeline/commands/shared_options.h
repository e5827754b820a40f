#pragma once

#include <memory>
#include <optional>

#include "engine/base/generation_config.h"
#include "engine/serve/engine.h"
#include "engine/weights/precision.h"

namespace CLI {
class App;
}

namespace mmbatch {

/// Options for every setting of GenerationConfig: max_new_tokens is --max-new-tokens, and so on. Filled while
/// the command line is parsed; values are checked like those of a manifest.
void add_generation_options(CLI::App& command, const std::shared_ptr<GenerationOverrides>& overrides);

/// Options of the engine and its cache.
void add_engine_options(CLI::App& command, EngineOptions& options);

/// --precision: auto, which leaves `precision` empty, or a name.
void add_precision_option(CLI::App& command, std::optional<Precision>& precision);

}  // namespace mmbatch
