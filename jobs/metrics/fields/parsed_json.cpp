#include "jobs/metrics/fields/parsed_json.h"

#include <nlohmann/json.hpp>

#include "jobs/text/json_text.h"

namespace mmbatch {

nlohmann::json parsed_json(std::string_view text) {
  const std::string_view json = shallow_json(text);
  return nlohmann::json::parse(json.begin(), json.end(), nullptr, false);
}

}  // namespace mmbatch
