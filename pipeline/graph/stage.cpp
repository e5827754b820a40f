#include "pipeline/graph/stage.h"

namespace mmbatch {

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::read:
      return "read";
    case Stage::image:
      return "image";
    case Stage::text:
      return "text";
    case Stage::fuse:
      return "fuse";
    case Stage::decode:
      return "decode";
    case Stage::store:
      return "store";
  }
  return "unknown";
}

}  // namespace mmbatch
