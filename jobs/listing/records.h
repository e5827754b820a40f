#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "jobs/item/item.h"
#include "jobs/text/node.h"

namespace mmbatch {

constexpr std::size_t kMaxRecordBytes = 32u << 20;

/// One item of a listing file, not yet parsed; or why there is none.
struct Record {
  struct Fault {
    ErrorCode code = ErrorCode::invalid_item;
    std::string problem;
  };
  std::uint64_t line = 0;  // where it begins; 0 where lines mean nothing
  std::string default_id;  // when the item has no id
  Item::IdFrom default_id_from = Item::IdFrom::position;
  std::optional<Fault> fault;
  std::string own_id;  // the item's own, where the format tells it before the record is parsed
};

/// Gives the records of one file in their order, in constant memory. A fault in the middle is a record.
class RecordReader {
 public:
  virtual ~RecordReader() = default;
  /// Goes to the next record, which is not parsed; false at the end. `record` is overwritten.
  virtual bool next(Record& record) = 0;
  /// Parses the record that next() went to, which has no fault. Once for each record.  @throws PlacedError
  virtual NodePointer node() = 0;
  /// The images that came with that record, such as those of an archive.
  virtual std::vector<Item::Image> images() { return {}; }
};

/// One JSON object on each line; blank lines are skipped. Also OpenAI batch files.
std::unique_ptr<RecordReader> open_jsonl(const std::filesystem::path& file);
/// A JSON array of objects.
std::unique_ptr<RecordReader> open_json(const std::filesystem::path& file);
/// The JSON array of objects that is the value of a key of the file's outermost object.
std::unique_ptr<RecordReader> open_json_member(const std::filesystem::path& file, const std::string& key);
/// RFC 4180 with a header line, fields separated by commas or tabs.
std::unique_ptr<RecordReader> open_csv(const std::filesystem::path& file, char separator = ',');
/// Files that match a pattern of glob(7), below `folder` unless absolute, in the order of their names' bytes.
/// In a pattern with `**`, which stands for any number of folders, folder by folder (walk/folder_walk.h).
/// @param of whether each file is a document, or what its name says: a PDF, a video, or an image
enum class GlobOf { names, documents };
std::unique_ptr<RecordReader> open_glob(const std::string& pattern, const std::filesystem::path& folder,
                                        GlobOf of = GlobOf::names);

}  // namespace mmbatch
