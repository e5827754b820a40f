#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// Where something is in a file, from 1; 0: not known.
struct Place {
  std::uint64_t line = 0;
  std::uint64_t column = 0;  // in bytes
};

/// A value of a manifest or a listing, in whatever format it was written: every parser makes these, and
/// whatever reads them does not know the format. Scalars keep their spelling, so that `3.10` is not another
/// text than what was written. A value may have several owners (aliases of YAML).
struct Node {
  enum class Kind { null, boolean, number, text, list, map };
  struct Entry {
    std::string key;
    Place place;
    std::shared_ptr<const Node> value;
  };

  Kind kind = Kind::null;
  std::string text;  // of a scalar
  Place place;
  std::size_t height = 1;  // levels below and with this one, through aliases too
  std::vector<std::shared_ptr<const Node>> list;
  std::vector<Entry> map;
  std::size_t repeated = kNone;  // the first entry of a map whose key an earlier entry has

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  bool is_scalar() const { return kind == Kind::boolean || kind == Kind::number || kind == Kind::text; }
  bool is_true() const { return kind == Kind::boolean && !text.empty() && (text[0] | 0x20) == 't'; }
  /// The entry of a map with that key, or null.
  const Entry* find(std::string_view key) const;
  /// The same, or null where the value is null: a key with null is as if it were absent.
  const Entry* get(std::string_view key) const;
};
using NodePointer = std::shared_ptr<const Node>;

NodePointer text_node(std::string text, Place place = {});

/// A number's spelling as an integer; nothing when it is none, or too large for 64 bits.
bool integer_of(std::string_view spelling, std::int64_t& value);
double real_of(std::string_view spelling);

/// As it was written, or so that equal values have equal texts: keys sorted, numbers in their shortest form.
enum class JsonForm { written, canonical };

/// The value as JSON without white space.
/// @throws std::length_error when it would be larger than max_bytes: aliases can multiply.
std::string to_json(const Node& node, JsonForm form, std::size_t max_bytes);

}  // namespace mmbatch
