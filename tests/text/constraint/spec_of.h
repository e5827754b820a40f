#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/constraint/constraint.h"

namespace mmbatch::testing {

/// What a line of tests/data/structured/cases.json constrains.
inline ConstraintSpec spec_of(const nlohmann::ordered_json& line) {
  const auto kind = line.at("kind").get<std::string>();
  const auto whitespace = line.value("whitespace", "spaced");
  ConstraintSpec spec;
  spec.spacing = whitespace == "compact"    ? JsonSpacing::compact
                 : whitespace == "flexible" ? JsonSpacing::flexible
                                            : JsonSpacing::spaced;
  spec.kind = kind == "json_schema"   ? ConstraintSpec::Kind::json_schema
              : kind == "json_object" ? ConstraintSpec::Kind::json_object
              : kind == "regex"       ? ConstraintSpec::Kind::regex
                                      : ConstraintSpec::Kind::choices;
  if (kind == "json_schema") spec.text = line.at("schema").dump();
  if (kind == "regex") spec.text = line.at("regex");
  if (kind == "choices") spec.choices = line.at("choices").get<std::vector<std::string>>();
  return spec;
}

}  // namespace mmbatch::testing
