#pragma once

#include <cstddef>
#include <string>

#include "bench/checkpoint/shapes.h"

namespace mmbatch::bench {

/// The bytes of a tokenizer.model: a sentencepiece BPE model of `pieces` pieces with the special tokens of
/// the layout, byte pieces, printable characters and made-up words that can be reached by merges.
/// @param pieces at least 360
std::string random_vocabulary(Layout layout, std::size_t pieces);

}  // namespace mmbatch::bench
