#pragma once

#include "engine/base/model_place.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mmbatch {

/// --mmproj and --lora: what is put to the model. `parts` must live as long as the command.
void add_model_parts(CLI::App& command, ModelParts& parts);

/// -m, --model, and its parts; `place` likewise.
CLI::Option* add_model_option(CLI::App& command, ModelPlace& place);

}  // namespace mmbatch
