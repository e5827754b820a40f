#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "engine/base/error.h"
#include "jobs/item/item.h"
#include "pipeline/stages/images/shown_pictures.h"

namespace mmbatch {

// What decodes an image does not know how it is called. Messages about an item that shows several, or parts
// of a file, begin with the image's path as it was written, or nobody could tell which of them is meant.

/// The path of an item's image; empty where the item has one image alone, which needs no name.
std::string name_in_messages(const Item& item, std::size_t image);
/// Of frames that become one grid of rows, the name of their video.
std::string name_in_messages(const Item& item, const PictureGroup& group);

/// A fault of the image of that name, unless it is not about its content. An empty name adds nothing.
Error with_name(Error error, const std::string& name);

/// Runs work with an image; an ItemError that it throws goes on with the image's name.
template <class Work>
auto naming(const std::string& name, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const ItemError& e) {
    const Error named = with_name({e.code(), e.what()}, name);
    throw ItemError(named.code, named.message);
  }
}

}  // namespace mmbatch
