#include "bench/inputs/scratch_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include "engine/base/error.h"

namespace mmbatch::bench {

ScratchFolder::ScratchFolder(const std::filesystem::path& scratch) {
  std::filesystem::create_directories(scratch);
  std::string name = (scratch / "run-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw UsageError(fmt::format("--scratch {}: cannot be written", scratch.string()));
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mmbatch::bench
