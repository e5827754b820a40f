#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jobs/text/node.h"

namespace mmbatch {

/// A text that was parsed as JSON, or why it is not taken as such.
struct ParsedJson {
  struct Fault {
    Place place;
    std::string problem;
  };
  NodePointer node;  // null with a fault
  std::optional<Fault> fault;
};

/// Parses JSON in one pass: syntax, UTF-8, nesting (at most kMaxJsonDepth), and that no key is given twice in
/// an object. Maps, lists and keys know their places.
/// @param begin where the text begins in its file
ParsedJson parse_json(std::string_view text, Place begin = {1, 1});

bool is_json(std::string_view text);

}  // namespace mmbatch
