#include "pipeline/stages/images/image_names.h"

#include <algorithm>

#include "jobs/text/text_width.h"

namespace mmbatch {

std::string name_in_messages(const Item& item, std::size_t image) {
  const bool alone = item.images.size() == 1 && item.images[image].part.empty();
  return alone ? "" : item.images[image].written;
}

std::string name_in_messages(const Item& item, const PictureGroup& group) {
  const std::size_t first = group.images.front();
  const bool several = std::any_of(group.images.begin(), group.images.end(),
                                   [first](std::size_t image) { return image != first; });
  return several ? item.document : name_in_messages(item, first);
}

Error with_name(Error error, const std::string& name) {
  constexpr std::size_t kMostBytes = 200;
  // Time is the whole item's, and what could not be opened is named already.
  const bool complete = error.code == ErrorCode::timeout || error.code == ErrorCode::image_missing ||
                        error.code == ErrorCode::path_refused;
  if (!complete && !name.empty()) error.message = shortened(name, kMostBytes) + ": " + error.message;
  return error;
}

}  // namespace mmbatch
