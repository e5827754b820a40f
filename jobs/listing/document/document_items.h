#pragma once

#include <memory>

#include "jobs/item/job.h"
#include "jobs/listing/item_reader.h"

namespace mmbatch {

/// Puts the items that a document's or a video's item stands for in its place: one for each page, or one with
/// all of them as images. They are made as they are asked for, however many pages there are.
/// @param count opens a file to say how much it holds; null: only pages and times that are named can be shown
/// @param truncated_images what is asked about files that are damaged
std::unique_ptr<ItemReader> show_documents(std::unique_ptr<ItemReader> items, PartsCounter count,
                                           TruncatedImages truncated_images);

}  // namespace mmbatch
