#include <fmt/format.h>

#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"

namespace mmbatch {
namespace {

class JsonlReader : public RecordReader {
 public:
  explicit JsonlReader(const std::filesystem::path& file) : bytes_(file) {}

  bool next(Record& record) override {
    for (;;) {
      record.fault.reset();
      record.line = bytes_.line();
      record.default_id = std::to_string(record.line);
      const auto outcome = bytes_.read_line(record.json, kMaxRecordBytes);
      if (outcome == ByteReader::Line::end) return report_fault(record);
      if (outcome == ByteReader::Line::too_long) {
        record.json.clear();
        record.fault = Record::Fault{ErrorCode::invalid_item,
                                     fmt::format("line longer than {} MiB", kMaxRecordBytes >> 20)};
        return true;
      }
      if (record.json.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
  }

 private:
  bool report_fault(Record& record) {
    if (bytes_.fault().empty() || reported_) return false;
    reported_ = true;
    record.fault = Record::Fault{ErrorCode::invalid_item, bytes_.fault()};
    return true;
  }

  ByteReader bytes_;
  bool reported_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_jsonl(const std::filesystem::path& file) {
  return std::make_unique<JsonlReader>(file);
}

}  // namespace mmbatch
