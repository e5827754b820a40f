#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace mmbatch {

/// A text as JSON; a discarded value where it is none, or nested too deeply to be looked at (shallow_json()).
nlohmann::json parsed_json(std::string_view text);

}  // namespace mmbatch
