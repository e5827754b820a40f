#pragma once

#include <string_view>

#include "jobs/text/node.h"

namespace mmbatch {

/// A list of texts and numbers as Python writes it, such as ['blue', "it's", 3]: pandas puts lists into CSV
/// cells so. Null when the text is none.
NodePointer parse_python_list(std::string_view text, Place place = {});

}  // namespace mmbatch
