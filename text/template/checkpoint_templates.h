#pragma once

#include <string>
#include <vector>

#include "engine/weights/checkpoint_files.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// A chat template of a checkpoint.
struct CheckpointTemplate {
  std::string name;  // "default" where the files give none
  std::string source;
  std::string file;  // for errors
};

/// The chat templates of a checkpoint, those of its processor before those of its tokenizer: the first of
///   `chat_template` of processor_config.json
///   chat_template.json
///   chat_template.jinja ("default") and additional_chat_templates/NAME.jinja
///   `chat_template` of tokenizer_config.json
/// that is there. In JSON files it is one template, or a list of {name, template}.
/// @throws ModelError when a file is broken or too large; templates are not parsed here
std::vector<CheckpointTemplate> read_checkpoint_templates(const CheckpointFiles& files);

/// Special tokens by the names under which templates see them, a JSON object: bos_token, eos_token, …, every
/// other `*_token` of tokenizer_config.json that is a text, and the entries of its `extra_special_tokens`.
/// What the files do not name is there as the tokenizer has it.  @throws ModelError when a file is broken
std::string read_template_tokens(const CheckpointFiles& files, const Tokenizer& tokenizer);

}  // namespace mmbatch
