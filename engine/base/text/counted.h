#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mmbatch {

/// "1 item", "2 items": a number and what it counts.  @param one a word whose plural ends in s
std::string counted(std::uint64_t number, std::string_view one);

}  // namespace mmbatch
