#include "engine/base/text/counted.h"

#include <fmt/format.h>

namespace mmbatch {

std::string counted(std::uint64_t number, std::string_view one) {
  return fmt::format("{} {}{}", number, one, number == 1 ? "" : "s");
}

}  // namespace mmbatch
