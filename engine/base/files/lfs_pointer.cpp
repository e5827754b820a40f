#include "engine/base/files/lfs_pointer.h"

namespace mmbatch {

bool is_lfs_pointer(std::string_view beginning) {
  return beginning.starts_with("version https://git-lfs.github.com/spec/v");
}

}  // namespace mmbatch
