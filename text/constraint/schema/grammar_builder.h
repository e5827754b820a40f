#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "text/constraint/grammar/grammar.h"
#include "text/constraint/schema/schema_parts.h"

namespace mmbatch {

/// Puts a grammar's nodes together; equal strings, numbers and constants become one node.
class GrammarBuilder {
 public:
  GrammarBuilder(JsonSpacing spacing, Work& work);

  Grammar& grammar() { return *grammar_; }
  std::shared_ptr<const Grammar> finish() { return std::move(grammar_); }

  NodeId literal(const std::string& text) { return texts({text}); }
  NodeId boolean() { return texts({"true", "false"}); }
  NodeId constants(const std::vector<const JsonValue*>& values);
  /// What the number keywords of the parts say together.
  NodeId number(const SchemaParts& parts, json_type::Set types);
  NodeId string(const SchemaDocument& document, const SchemaParts& parts);
  NodeId free_key(std::shared_ptr<const Dfa> keys);
  NodeId array(ArrayNode array);
  NodeId object(ObjectNode object);

 private:
  NodeId texts(std::vector<std::string> texts);
  NodeId constant(const JsonValue& value);
  NodeId string_node(std::shared_ptr<const Dfa> value, std::uint32_t min, std::uint32_t max);
  std::string written(const JsonValue& value) const;

  std::unique_ptr<Grammar> grammar_;
  Work& work_;
  std::shared_ptr<const Dfa> any_text_;
  std::map<std::vector<std::string>, NodeId> texts_;
  std::map<std::string, NodeId> numbers_;
  std::map<std::vector<std::string>, std::shared_ptr<const Dfa>> values_;  // by patterns and formats
  std::map<std::tuple<const Dfa*, std::uint32_t, std::uint32_t>, NodeId> strings_;
};

}  // namespace mmbatch
