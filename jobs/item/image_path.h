#pragma once

#include <filesystem>
#include <string_view>

#include "jobs/item/item.h"

namespace mmbatch {

/// Where an item's images lie.
struct ImageFolders {
  std::filesystem::path listing;  // relative paths start here, unless there is a root
  std::filesystem::path root;     // may be empty; else paths start there and may not leave it
};

/// An image as a listing names it: a path, a file:// or data: URL, or the base64 text of an image file. No
/// file is touched.
/// @throws ItemError invalid_value, unsupported (http)
Item::Image resolve_image(std::string_view written, const ImageFolders& folders);

/// What a file shows by the ending of its name: the pages of a PDF, moments of a video, else a picture.
Item::Shows shown_by(std::string_view name);

}  // namespace mmbatch
