#include "pipeline/look/report.h"

#include <span>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "engine/base/threads.h"
#include "jobs/media/media.h"
#include "jobs/output/file_roles.h"
#include "vision/image/image_decode.h"
#include "vision/image/thumbnail.h"

namespace mmbatch {
namespace {

constexpr int kSide = 192;  // twice what is shown, for screens of high density

std::string thumbnail_of(const std::filesystem::path& file) {
  if (file.empty()) return {};
  try {
    Item::Image image;
    image.path = file;
    const std::vector<unsigned char> bytes = read_image(image);
    return thumbnail(decode_image(std::as_bytes(std::span(bytes))), kSide);
  } catch (const ItemError&) {
    return {};  // moved or changed since: the row is shown without it
  }
}

std::vector<std::string> thumbnails_of(const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> pictures(files.size());
  if (files.empty()) return pictures;
  load_image_decoder();
  Arena arena(0);
  arena.run(
      [&] { parallel_tiles(files.size(), [&](std::size_t i) { pictures[i] = thumbnail_of(files[i]); }); });
  return pictures;
}

}  // namespace

void report(const std::filesystem::path& database, ReportOptions options, const std::filesystem::path& file) {
  FileRoles files;
  files.writes_database(database);
  files.writes("--output", file);
  files.check();
  if (options.max_thumbnails > 0) options.thumbnails = thumbnails_of;
  OutputFile page(file, "--output");
  write_report(database, options, page.stream());
  page.commit();
}

}  // namespace mmbatch
