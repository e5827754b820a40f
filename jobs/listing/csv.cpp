#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/item_parser.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

/// RFC 4180, with LF as a line's end too:
///
///   file   = header (record)*             header and record = field ("," field)* (CR LF | LF | end)
///   field  = '"' (any but '"' | '""')* '"'  |  (any but "," CR LF)*
///
/// A quote inside an unquoted field stands for itself. An empty field is as if the key were not there.
/// `images` and `answers` hold one value or a JSON list; `messages`, `generation` and `metadata` hold JSON.
class CsvReader : public RecordReader {
 public:
  explicit CsvReader(const std::filesystem::path& file) : bytes_(file), file_(file.string()) {
    read_header();
  }

  bool next(Record& record) override {
    record.json.clear();
    record.fault.reset();
    record.column = 0;
    skip_blank_lines();
    record.line = bytes_.line();
    record.default_id = std::to_string(record.line);
    if (bytes_.peek() == ByteReader::kEnd) return report_fault(record);
    if (const std::string problem = read_fields(); !problem.empty()) {
      record.fault = Record::Fault{ErrorCode::invalid_item, problem};
    } else if (fields_.size() != columns_.size()) {
      record.fault = Record::Fault{
          ErrorCode::invalid_item,
          fmt::format("{} fields, but the header line has {}", fields_.size(), columns_.size())};
    } else {
      write_json(record);
    }
    return true;
  }

 private:
  static constexpr std::size_t kMaxReread = 64u << 20;

  void read_header() {
    skip_blank_lines();
    const std::uint64_t line = bytes_.line();
    const auto fail = [&](const std::string& problem) {
      throw UsageError(fmt::format("{}:{}: {}", file_, line, problem));
    };
    if (bytes_.peek() == ByteReader::kEnd)
      fail("empty: expected a header line with the names of the columns");
    if (const std::string problem = read_fields(); !problem.empty()) fail(problem);
    std::set<std::string> seen;
    for (const std::string& field : fields_) {
      columns_.emplace_back(stripped(field));
      if (columns_.back().empty())
        fail(fmt::format("column {} of the header line has no name", columns_.size()));
      if (invalid_utf8_at(field)) fail("invalid UTF-8 in the header line");
      if (!seen.insert(columns_.back()).second)
        fail(fmt::format("column '{}' stands twice", columns_.back()));
    }
    const auto& keys = item_keys();
    const auto known = [&](const std::string& name) {
      return std::find(keys.begin(), keys.end(), name) != keys.end();
    };
    if (std::none_of(columns_.begin(), columns_.end(), known)) {
      fail(
          fmt::format("no column of the header line is a key of items; these are {}", fmt::join(keys, ", ")));
    }
  }

  void skip_blank_lines() {
    while (bytes_.peek() == '\n' || bytes_.peek() == '\r') bytes_.get();
  }

  bool report_fault(Record& record) {
    if (bytes_.fault().empty() || reported_) return false;
    reported_ = true;
    record.fault = Record::Fault{ErrorCode::invalid_item, bytes_.fault()};
    return true;
  }

  /// Reads one record into fields_ and returns what is wrong with it. After a fault, reading goes on with the
  /// line behind the one in which the record began: its quote is the likely culprit.
  std::string read_fields() {
    fields_.assign(1, "");
    raw_.clear();
    for (;;) {
      const bool quoted = bytes_.peek() == '"';
      const std::string problem = quoted ? read_quoted() : read_plain();
      if (!problem.empty()) return recover(problem);
      const int c = take();
      if (c == ',') {
        fields_.emplace_back();
        continue;
      }
      if (c == '\r' && bytes_.peek() == '\n') bytes_.get();
      return {};
    }
  }

  int take() {
    const int c = bytes_.get();
    if (c != ByteReader::kEnd) raw_ += static_cast<char>(c);
    return c;
  }

  bool at_field_end() {
    const int c = bytes_.peek();
    return c == ',' || c == '\n' || c == '\r' || c == ByteReader::kEnd;
  }

  std::string read_plain() {
    while (!at_field_end()) {
      if (raw_.size() > kMaxRecordBytes) return too_long();
      fields_.back() += static_cast<char>(take());
    }
    return {};
  }

  std::string read_quoted() {
    take();
    for (;;) {
      if (raw_.size() > kMaxRecordBytes) return too_long();
      const int c = take();
      if (c == ByteReader::kEnd) return "a quoted field does not end";
      if (c == '"' && bytes_.peek() != '"') break;
      if (c == '"') take();
      fields_.back() += static_cast<char>(c);
    }
    return at_field_end() ? "" : fmt::format("text after the closing quote of field {}", fields_.size());
  }

  static std::string too_long() { return fmt::format("record longer than {} MiB", kMaxRecordBytes >> 20); }

  std::string recover(const std::string& problem) {
    const std::size_t line_end = raw_.find('\n');
    if (line_end == std::string::npos || reread_ > kMaxReread) {
      std::string rest;
      bytes_.read_line(rest, 0);
    } else {
      reread_ += raw_.size();
      bytes_.unread(std::string_view(raw_).substr(line_end + 1));
    }
    return problem;
  }

  void write_json(Record& record) const {
    std::string metadata;  // members of an object
    std::string own_metadata;
    std::string& out = record.json;
    out = "{";
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& name = columns_[i];
      const std::string& value = fields_[i];
      if (value.empty()) continue;
      if (invalid_utf8_at(value)) {
        record.fault =
            Record::Fault{ErrorCode::invalid_item, fmt::format("invalid UTF-8 in column '{}'", name)};
        return;
      }
      if (name == "metadata") {
        own_metadata = check_json(value) ? json_string(value) : value;
      } else if (std::find(item_keys().begin(), item_keys().end(), name) == item_keys().end()) {
        metadata += (metadata.empty() ? "" : ",") + json_string(name) + ":" + json_string(value);
      } else if (!append_field(name, value, out)) {
        record.fault = Record::Fault{ErrorCode::invalid_value, fmt::format("column '{}' must be JSON", name)};
        return;
      }
    }
    if (!metadata.empty() && !own_metadata.empty()) metadata += ",\"metadata\":" + own_metadata;
    if (!metadata.empty()) own_metadata = "{" + metadata + "}";
    if (!own_metadata.empty()) out += (out.size() > 1 ? "," : "") + ("\"metadata\":" + own_metadata);
    out += "}";
  }

  static bool append_field(const std::string& name, const std::string& value, std::string& out) {
    if (out.size() > 1) out += ',';
    out += json_string(name) + ":";
    const bool list = (name == "images" || name == "answers" || name == "labels");
    if (name == "messages" || name == "generation" || (list && value[0] == '[' && !check_json(value))) {
      if (check_json(value)) return false;
      out += value;
    } else {
      out += list ? "[" + json_string(value) + "]" : json_string(value);
    }
    return true;
  }

  ByteReader bytes_;
  std::string file_;
  std::vector<std::string> columns_;
  std::vector<std::string> fields_;
  std::string raw_;  // of the record that is being read
  std::size_t reread_ = 0;
  bool reported_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_csv(const std::filesystem::path& file) {
  return std::make_unique<CsvReader>(file);
}

}  // namespace mmbatch
