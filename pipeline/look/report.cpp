#include "pipeline/look/report.h"

#include <fmt/format.h>

#include <fstream>
#include <span>
#include <string>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/threads.h"
#include "jobs/media/media.h"
#include "jobs/output/file_roles.h"
#include "vision/document/document.h"
#include "vision/image/image_decode.h"
#include "vision/image/thumbnail.h"

namespace mmbatch {
namespace {

constexpr int kSide = 192;  // twice what is shown, for screens of high density

std::string thumbnail_of(const PictureFile& picture, const ImageLimits& limits) {
  if (picture.file.empty()) return {};
  try {
    Item::Image image;
    image.path = picture.file;
    const std::vector<unsigned char> bytes = read_image(image);
    const auto encoded = std::as_bytes(std::span(bytes));
    const ImageHeader header = read_part_header(encoded, picture.part, limits);
    return thumbnail(decode_part(encoded, picture.part, header, limits), kSide);
  } catch (const ItemError&) {
    return {};  // moved or changed since: the row is shown without it
  }
}

std::vector<std::string> thumbnails_of(const std::vector<PictureFile>& files, const ImageLimits& limits) {
  std::vector<std::string> pictures(files.size());
  if (files.empty()) return pictures;
  load_image_decoder();
  Arena arena(0);
  arena.run([&] {
    parallel_tiles(files.size(), [&](std::size_t i) { pictures[i] = thumbnail_of(files[i], limits); });
  });
  return pictures;
}

/// A page takes the place of an earlier page or of nothing, not of the user's listings and notes.
void check_replaced(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return;
  std::ifstream in(file, std::ios::binary);
  std::string begin(64, '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<std::size_t>(in.gcount()));
  const std::size_t tag = begin.find_first_not_of(" \t\r\n");
  if (tag == std::string::npos) return;
  const std::string word = to_lower(begin.substr(tag));
  if (word.rfind("<!doctype html", 0) == 0 || word.rfind("<html", 0) == 0) return;
  throw UsageError(fmt::format("--output {}: would overwrite a file that is not a page: choose another name",
                               file.string()));
}

}  // namespace

void report(const std::filesystem::path& database, ReportOptions options, const std::filesystem::path& file) {
  FileRoles files;
  files.reads_database(database);
  files.writes("--output", file);
  files.check();
  if (!is_standard_output(file)) check_replaced(file);
  ImageLimits limits;
  limits.truncated = options.truncated_images;
  if (options.max_thumbnails > 0)
    options.thumbnails = [&](const auto& images) { return thumbnails_of(images, limits); };
  OutputFile page(file, "--output");
  write_report(database, options, page.stream());
  page.commit();
}

}  // namespace mmbatch
