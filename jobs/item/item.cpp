#include "jobs/item/item.h"

#include <algorithm>

namespace mmbatch {

const std::vector<std::string>& task_names() {
  static const std::vector<std::string> names = {"vqa", "generate", "classify", "embed",
                                                 "detect"};  // as in Task
  return names;
}

std::string_view to_string(Task task) {
  return task_names().at(static_cast<std::size_t>(task));
}

std::optional<Task> find_task(std::string_view name) {
  const auto& names = task_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return {};
  return static_cast<Task>(found - names.begin());
}

bool needs_decoder(Task task) {
  return asks_about_images(task) || task == Task::generate;
}

bool asks_about_images(Task task) {
  return task == Task::vqa || task == Task::detect;
}

bool wants_regions(const Item& item) {
  return item.task == Task::detect || item.regions == Regions::wanted;
}

}  // namespace mmbatch
