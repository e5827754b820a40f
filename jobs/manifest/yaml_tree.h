#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jobs/text/node.h"

namespace mmbatch {

struct YamlLimits {
  std::size_t max_bytes = 64u << 20;
  std::size_t max_depth = 64;
  std::size_t max_nodes = 4'000'000;  // with those that merge keys copy
};

/// A YAML document with the place of every node. Plain scalars are typed by the core schema of YAML 1.2
/// (null, true, false, numbers, texts) and keep their spelling. Aliases share their node; merge keys (`<<`)
/// are resolved.
/// @param source names the document in errors.
/// @throws UsageError with source:line:column on bad syntax or a limit that is passed.
NodePointer parse_yaml(std::string_view text, const std::string& source, const YamlLimits& limits = {});

}  // namespace mmbatch
