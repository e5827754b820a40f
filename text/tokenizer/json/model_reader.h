#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

/// Reads the `model` section of a tokenizer.json: BPE, Unigram, WordPiece or WordLevel; where it names no
/// type, what its keys fit.
/// @param json the section's text.  @param source what errors name, such as the file's path.
/// @throws ModelError that names what is wrong or not supported.
std::unique_ptr<const TokenModel> read_token_model(std::string_view json, const std::string& source);

}  // namespace mmbatch
