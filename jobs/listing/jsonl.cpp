#include <fmt/format.h>

#include "jobs/item/fields.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"
#include "jobs/text/json_node.h"

namespace mmbatch {
namespace {

class JsonlReader : public RecordReader {
 public:
  explicit JsonlReader(const std::filesystem::path& file) : bytes_(file) {}

  bool next(Record& record) override {
    for (;;) {
      record.fault.reset();
      record.line = number_ = bytes_.line();
      record.default_id = std::to_string(record.line);
      const auto outcome = bytes_.read_line(line_, kMaxRecordBytes);
      if (outcome == ByteReader::Line::end) return report_fault(record);
      if (outcome == ByteReader::Line::too_long) {
        record.fault = Record::Fault{ErrorCode::invalid_item,
                                     fmt::format("line longer than {} MiB", kMaxRecordBytes >> 20)};
        return true;
      }
      if (line_.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
  }

  NodePointer node() override {
    ParsedJson parsed = parse_json(line_, {number_, 1});
    if (parsed.fault) throw PlacedError(ErrorCode::invalid_item, parsed.fault->place, parsed.fault->problem);
    return std::move(parsed.node);
  }

 private:
  bool report_fault(Record& record) {
    if (bytes_.fault().empty() || reported_) return false;
    reported_ = true;
    record.fault = Record::Fault{ErrorCode::invalid_item, bytes_.fault()};
    return true;
  }

  ByteReader bytes_;
  std::string line_;
  std::uint64_t number_ = 0;
  bool reported_ = false;
};

/// Whether the file is one JSON list, whatever its name: its first line is not an item but begins or is the
/// list, and nothing follows a list that ends on that line.
bool is_json_list(const std::filesystem::path& file) {
  ByteReader bytes(file);
  const auto skip_space = [&] {
    while (bytes.peek() == ' ' || bytes.peek() == '\t' || bytes.peek() == '\r' || bytes.peek() == '\n')
      bytes.get();
  };
  skip_space();
  if (bytes.peek() != '[') return false;
  std::string line;
  if (bytes.read_line(line, kMaxRecordBytes) == ByteReader::Line::too_long) return true;
  const std::size_t second = line.find_first_not_of(" \t\r", 1);
  if (second == std::string::npos) return true;
  if (parse_json(line).fault) return line[second] == '{';
  skip_space();
  return bytes.peek() == ByteReader::kEnd;
}

}  // namespace

std::unique_ptr<RecordReader> open_jsonl(const std::filesystem::path& file) {
  if (is_json_list(file)) return open_json(file);
  return std::make_unique<JsonlReader>(file);
}

}  // namespace mmbatch
