#include <fmt/format.h>

#include "engine/base/error.h"
#include "jobs/item/fields.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"
#include "jobs/text/encoding.h"
#include "jobs/text/json_node.h"

namespace mmbatch {
namespace {

/// Cuts the elements out of a JSON array by following quotes and brackets only; whether each is JSON is for
/// the parser to say. A line end inside a string, which JSON does not allow, ends the string: one missing
/// quote does not swallow the rest of the file.
class JsonListReader : public RecordReader {
 public:
  /// @param key of the object that the file is, whose value is the list; empty: the file is the list
  JsonListReader(const std::filesystem::path& file, const std::string& key)
      : bytes_(file), in_object_(!key.empty()) {
    skip_space();
    const bool entered = !in_object_ || enter_object(key);
    if (!bytes_.fault().empty()) throw UsageError(fmt::format("{}: {}", file.string(), bytes_.fault()));
    if (!entered) {
      throw UsageError(fmt::format("{}:{}:{}: expected a JSON object with a list '{}'", file.string(),
                                   bytes_.line(), column_, key));
    }
    if (bytes_.peek() == 0xFF || bytes_.peek() == 0xFE) {
      const char mark[] = {static_cast<char>(bytes_.get()), static_cast<char>(bytes_.get())};
      if (const auto bad = encoding_fault({mark, sizeof(mark)}))
        throw UsageError(fmt::format("{}:1: {}", file.string(), bad->problem));
    }
    if (bytes_.peek() != '[') {
      throw UsageError(fmt::format(
          "{}:{}:{}: expected a JSON list of items, '[' first; one object per line makes a .jsonl file",
          file.string(), bytes_.line(), column_));
    }
    get();
    skip_space();
    if (bytes_.peek() == ']') {
      get();
      ended_ = true;
    }
  }

  bool next(Record& record) override {
    json_.clear();
    record.fault.reset();
    skip_space();
    begin_ = {bytes_.line(), column_};
    record.line = begin_.line;
    if (done_) return false;
    if (ended_) return check_rest(record);
    record.default_id = std::to_string(++position_);
    read_element(record);
    return true;
  }

  NodePointer node() override {
    ParsedJson parsed = parse_json(json_, begin_);
    if (parsed.fault) throw PlacedError(ErrorCode::invalid_item, parsed.fault->place, parsed.fault->problem);
    return std::move(parsed.node);
  }

 private:
  int get() {
    const int c = bytes_.get();
    column_ = c == '\n' || c == '\r' ? 1 : column_ + 1;
    return c;
  }

  void skip_space() {
    for (int c = bytes_.peek(); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = bytes_.peek()) get();
  }

  /// Goes to the value of a key of the outermost object. The values before it are skipped.
  bool enter_object(const std::string& key) {
    if (bytes_.peek() != '{') return false;
    get();
    Record skipped;  // takes faults, which mean nothing here
    for (;;) {
      skip_space();
      if (bytes_.peek() != '"') return false;
      get();
      json_.clear();
      if (!read_string(skipped)) return false;
      const bool found = json_ == key + "\"";
      skip_space();
      if (get() != ':') return false;
      skip_space();
      if (found) return true;
      json_.clear();
      if (!skip_value(skipped)) return false;
    }
  }

  /// Up to the comma behind a value. False when there is none.
  bool skip_value(Record& skipped) {
    int depth = 0;
    for (;;) {
      const int c = get();
      json_.clear();
      if (c == ByteReader::kEnd || (depth == 0 && (c == '}' || c == ']'))) return false;
      if (depth == 0 && c == ',') return true;
      if (c == '"' && !read_string(skipped)) return false;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
    }
  }

  bool check_rest(Record& record) {
    done_ = true;
    if (in_object_) return false;
    if (bytes_.peek() == ByteReader::kEnd && bytes_.fault().empty()) return false;
    record.default_id = std::to_string(++position_);
    fail(record, bytes_.fault().empty() ? "text after the end of the list" : bytes_.fault());
    return true;
  }

  static void fail(Record& record, std::string problem) {
    if (!record.fault) record.fault = Record::Fault{ErrorCode::invalid_item, std::move(problem)};
  }

  void read_element(Record& record) {
    int depth = 0;
    for (;;) {
      const int c = get();
      if (c == ByteReader::kEnd) {
        ended_ = done_ = true;
        fail(record, bytes_.fault().empty() ? "the file ends inside the list" : bytes_.fault());
        return;
      }
      if (depth <= 0 && (c == ',' || c == ']')) {
        ended_ = c == ']';
        break;
      }
      append(record, static_cast<char>(c));
      if (c == '"' && !read_string(record)) break;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
    }
    if (json_.empty()) fail(record, "expected an item");
  }

  /// False when the item ends with the string, which is broken.
  bool read_string(Record& record) {
    for (;;) {
      if (bytes_.peek() == ByteReader::kEnd) return true;
      if (bytes_.peek() == '\n') {
        fail(record, "a text does not end on its line");
        skip_space();
        return bytes_.peek() != '{';
      }
      const int c = get();
      append(record, static_cast<char>(c));
      if (c == '"') return true;
      if (c == '\\' && bytes_.peek() != ByteReader::kEnd) append(record, static_cast<char>(get()));
    }
  }

  void append(Record& record, char c) {
    if (json_.size() < kMaxRecordBytes)
      json_ += c;
    else if (!record.fault)  // made once, not for every further character
      fail(record, fmt::format("item longer than {} MiB", kMaxRecordBytes >> 20));
  }

  ByteReader bytes_;
  bool in_object_;
  std::string json_;  // the element that was cut out
  Place begin_;
  std::uint64_t column_ = 1;
  std::uint64_t position_ = 0;
  bool ended_ = false;  // the list's ']' was read
  bool done_ = false;   // nothing more to say
};

}  // namespace

std::unique_ptr<RecordReader> open_json(const std::filesystem::path& file) {
  return std::make_unique<JsonListReader>(file, "");
}

std::unique_ptr<RecordReader> open_json_member(const std::filesystem::path& file, const std::string& key) {
  return std::make_unique<JsonListReader>(file, key);
}

}  // namespace mmbatch
