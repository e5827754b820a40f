#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "jobs/listing/records.h"

namespace mmbatch {

/// Items in archives, in WebDataset's form (github.com/webdataset/webdataset): members that stand one after
/// the other and have the same name up to the first dot of its last part are one item, whose id that is.
///
///   key.png | .jpg | …   an image, several in their order;  key.json   the item's keys, others are metadata;
///   key.txt              its question, or metadata where the question is given otherwise;  key.cls   its
///   answer
///
/// @param pattern an archive, or a pattern of glob(7) for several, read one after the other in the order of
/// their names.  @param question whether the items' job gives them their question
/// @throws UsageError when there is none, or the first cannot be opened
enum class Question { of_job, of_item };
std::unique_ptr<RecordReader> open_samples(const std::filesystem::path& pattern, Question question);

/// Whether the name is an archive's: .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .tar.zst, .zip, in any case.
bool is_archive_name(const std::filesystem::path& file);

/// The archives that a pattern names, in the order of their names.
std::vector<std::filesystem::path> archives_of(const std::filesystem::path& pattern);

}  // namespace mmbatch
