#pragma once

#include "engine/base/config.h"
#include "engine/weights/checkpoint_files.h"
#include "text/tokenizer/json/special_tokens.h"

namespace mmbatch {

/// What the class of transformers that tokenizer_config.json names does differently from tokenizer.json, set
/// in `files`.  @param config tokenizer_config.json
void read_python_class(const Config& config, const CheckpointFiles& checkpoint, SpecialTokenFiles& files);

}  // namespace mmbatch
