#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/constraint/automaton/dfa.h"
#include "text/constraint/constraint_error.h"
#include "text/constraint/schema/json_value.h"

namespace mmbatch {

/// The types of JSON as bits; a number is an integer or a fraction.
namespace json_type {
using Set = std::uint8_t;
inline constexpr Set kNull = 1, kBoolean = 2, kInteger = 4, kFraction = 8, kString = 16, kArray = 32,
                     kObject = 64;
inline constexpr Set kNumber = kInteger | kFraction, kAll = 127;
}  // namespace json_type

/// A JSON Schema, all of whose keywords have been looked at: what is unknown or cannot be enforced was
/// refused.
class SchemaDocument {
 public:
  static constexpr std::size_t kMaxDepth = 64;  // of subschemas written within each other
  static constexpr std::size_t kMaxSubschemas = 10'000;

  /// @param schema must outlive the document.  @throws ConstraintError that lists everything that is refused
  SchemaDocument(const JsonValue& schema, Work& work);

  const JsonValue& root() const { return root_; }
  /// Where a subschema stands.
  std::string pointer(const JsonValue& subschema) const;
  /// What a subschema's $ref names; not null.
  const JsonValue* target(const JsonValue& subschema) const { return targets_.at(&subschema); }
  /// Whether keywords beside $ref count.
  bool keywords_beside_ref() const { return !old_draft_; }
  /// The texts that hold a match of a pattern; of a format, the texts that it describes.
  std::shared_ptr<const Dfa> pattern(const std::string& pattern) const { return patterns_.at(pattern); }
  std::shared_ptr<const Dfa> format(const std::string& format) const { return formats_.at(format); }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void visit(const JsonValue& schema, const std::string& pointer, std::size_t depth);
  void visit_keyword(const JsonValue& schema, const std::string& keyword, const JsonValue& value,
                     const std::string& pointer, std::size_t depth);
  void visit_map(const JsonValue& map, const std::string& pointer, std::size_t depth);
  void visit_list(const JsonValue& list, const std::string& pointer, std::size_t depth);
  void check_unknown(const std::string& keyword, const std::string& pointer);
  void check_type(const JsonValue& value, const std::string& pointer);
  void check_format(const JsonValue& value, const std::string& pointer);
  void check_pattern(const std::string& pattern, const std::string& pointer, const std::string& keyword);
  void check_multiple(const JsonValue& schema, const JsonValue& value, const std::string& pointer);
  void check_emptiness(const JsonValue& schema, const std::string& pointer);
  void resolve(const JsonValue& schema, const JsonValue& value, const std::string& pointer);
  void refuse(const std::string& pointer, const std::string& keyword, const std::string& reason);

  const JsonValue& root_;
  Work& work_;
  bool old_draft_ = false;
  std::vector<ConstraintProblem> problems_;
  std::vector<std::string> warnings_;
  std::unordered_map<const JsonValue*, std::string> pointers_;
  std::unordered_map<const JsonValue*, const JsonValue*> targets_;
  std::deque<std::pair<const JsonValue*, std::string>> referred_;  // what a $ref names, and where it stands
  std::map<std::string, std::shared_ptr<const Dfa>> patterns_, formats_;
};

/// The types that a subschema's own `type` and `nullable` name; kAll without `type`.
json_type::Set named_types(const JsonValue& schema);
/// The type of a value.
json_type::Set type_of(const JsonValue& value);
/// A size keyword's value, or what to take instead; sizes beyond 32 bits are as good as none.
std::uint32_t size_of(const JsonValue& schema, const char* keyword, std::uint32_t otherwise);

}  // namespace mmbatch
