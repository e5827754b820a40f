#pragma once

#include <map>
#include <string>

#include "jobs/text/node.h"

namespace mmbatch {

/// A job's key `fields`: how each field of its answers is compared, {path: rule}.
/// @param schema of the answers, or empty: it tells which paths there can be
/// @throws PlacedError
std::map<std::string, std::string> read_field_rules(const Node::Entry& entry, const std::string& schema);

}  // namespace mmbatch
