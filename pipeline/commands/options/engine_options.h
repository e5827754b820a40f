#pragma once

#include <optional>
#include <string>

#include "engine/kernels/product/precision_choice.h"
#include "engine/serve/engine.h"
#include "engine/weights/precision.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mmbatch {

/// Options of the engine and its cache.
void add_engine_options(CLI::App& command, EngineOptions& options);
/// What was wrong with a setting of the engine, under the name of its option.
std::string option_error_text(const SettingError& error);

/// --precision: auto, auto-int8, or a name.
void add_precision_option(CLI::App& command, PrecisionWish& precision);

/// --kv-precision: auto, which leaves `precision` empty, or a name.
CLI::Option* add_kv_precision_option(CLI::App& command, std::optional<KvPrecision>& precision);

/// -j, --threads: 0, the default, is one per core.
void add_threads_option(CLI::App& command, int& threads);

}  // namespace mmbatch
