#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

#include "text/constraint/constraint.h"

namespace mmbatch::bench {

/// tokenizer.json of a byte-level BPE: words, numbers, and the punctuation of JSON alone and grown together
/// with words, about as often as published vocabularies have it.
nlohmann::json tokenizer_json(std::size_t count);

/// A schema of thirty fields of the kinds that forms have.
ConstraintSpec form();

}  // namespace mmbatch::bench
