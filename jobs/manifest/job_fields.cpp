#include "jobs/manifest/job_fields.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "jobs/item/fields.h"
#include "jobs/metrics/fields/field_paths.h"
#include "jobs/metrics/fields/field_rules.h"

namespace mmbatch {
namespace {

[[noreturn]] void fail(const Node::Entry& at, const std::string& problem) {
  throw PlacedError(ErrorCode::invalid_value, at.place, problem);
}

}  // namespace

std::map<std::string, std::string> read_field_rules(const Node::Entry& entry, const std::string& schema) {
  std::map<std::string, std::string> rules;
  if (entry.value->kind != Node::Kind::map)
    fail(entry, "'fields' must be a map of fields and how they are compared, such as {total: number:0.01}");
  check_unique(*entry.value);
  for (const Node::Entry& rule : entry.value->map) {
    const std::string owner = "'fields': " + rule.key;
    if (!rule.value->is_scalar()) fail(rule, owner + " must be a text");
    try {
      parse_field_rule(rule.value->text, owner);
    } catch (const UsageError& e) {
      fail(rule, e.what());
    }
    const std::string fault = field_path_fault(schema, rule.key, rule.value->text);
    if (!fault.empty()) fail(rule, fmt::format("'fields': {}", fault));
    rules[rule.key] = rule.value->text;
  }
  return rules;
}

}  // namespace mmbatch
