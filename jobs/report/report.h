#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "engine/base/image/image_part.h"
#include "engine/base/image/truncated_images.h"

namespace mmbatch {

/// A picture of an item: a file, or a part of one.
struct PictureFile {
  std::filesystem::path file;
  ImagePart part = {};
};
/// JPEG bytes of small pictures, in their order; empty for one that cannot be shown.
using Thumbnails = std::function<std::vector<std::string>(const std::vector<PictureFile>&)>;

struct ReportOptions {
  std::string run;  // as in QueryOptions, but not "all"
  std::string job;
  std::uint64_t max_items = 10'000;                          // in the table; the plots are about all
  std::size_t max_thumbnails = 4000;                         // distinct images
  Thumbnails thumbnails;                                     // may be empty: none
  TruncatedImages truncated_images = TruncatedImages::fail;  // those that fail have no thumbnail
};

/// Writes one HTML page that needs nothing else: summary, accuracy, latency and throughput plots, failures,
/// and a table of items that can be filtered and sorted. Nothing in it is run but its own script, which a
/// content security policy names by its hash.  @throws DatabaseError, UsageError
void write_report(const std::filesystem::path& database, const ReportOptions& options, std::ostream& out);

}  // namespace mmbatch
