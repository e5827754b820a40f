#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// A YAML document as a tree with the place of every node. Aliases share their node; merge keys (`<<`) are
/// resolved.
struct YamlNode {
  enum class Kind { null, scalar, list, map };
  enum class Style { plain, quoted };  // a quoted scalar is always a text
  struct Entry {
    std::string key;
    std::size_t line = 0, column = 0;
    std::shared_ptr<const YamlNode> value;
  };

  Kind kind = Kind::null;
  Style style = Style::plain;
  std::string text;                  // of a scalar
  std::size_t line = 0, column = 0;  // from 1
  std::size_t height = 1;            // levels below and with this one, through aliases too
  std::vector<std::shared_ptr<const YamlNode>> list;
  std::vector<Entry> map;

  const Entry* find(std::string_view key) const;
};

struct YamlLimits {
  std::size_t max_bytes = 64u << 20;
  std::size_t max_depth = 64;
  std::size_t max_nodes = 4'000'000;  // with those that merge keys copy
};

/// @param source names the document in errors.
/// @throws UsageError with source:line:column on bad syntax, a key that stands twice, or a limit that is
/// passed.
std::shared_ptr<const YamlNode> parse_yaml(std::string_view text, const std::string& source,
                                           const YamlLimits& limits = {});

/// How plain scalars become JSON: by the YAML 1.2 core schema (null, true, false, numbers, texts), or all as
/// texts, so that an answer `yes`, `007` or `1.0` stays what was written.
enum class YamlScalars { typed, texts };

/// Appends the node as JSON. @throws std::length_error when `out` would pass max_bytes (aliases can
/// multiply).
void append_json(const YamlNode& node, YamlScalars scalars, std::size_t max_bytes, std::string& out);

}  // namespace mmbatch
