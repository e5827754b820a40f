#pragma once

#include <cstddef>
#include <cstdlib>

namespace mmbatch::testing {

/// How many changed files a test makes: as many as MMBATCH_MUTANTS says, by hand and in the long run.
inline std::size_t mutants(std::size_t usual) {
  const char* const asked = std::getenv("MMBATCH_MUTANTS");
  return asked != nullptr ? std::strtoul(asked, nullptr, 10) : usual;
}

}  // namespace mmbatch::testing
