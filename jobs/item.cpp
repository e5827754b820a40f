#include "jobs/item.h"

namespace mmbatch {

std::string_view to_string(Task task) {
  return task == Task::vqa ? "vqa" : "generate";
}

}  // namespace mmbatch
