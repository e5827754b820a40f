#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/document/document.h"
#include "jobs/item/item_builder.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"
#include "jobs/text/encoding.h"
#include "jobs/text/json_node.h"
#include "jobs/text/python_list.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

/// RFC 4180, with LF or CR as a line's end, too:
///
///   file   = header (record)*             header and record = field ("," field)* (CR LF | LF | CR | end)
///   field  = space* '"' (any but '"' | '""')* '"' space*  |  (any but "," CR LF)*
///
/// A quote inside an unquoted field is a quote. An empty field is as if the key were absent. Spaces
/// around a field belong to it only where a prompt may mean them: see strip_fields(). A column without a
/// name, as pandas writes its index, goes into the metadata as "Unnamed: 0", which is what pandas reads.
/// `images`, `answers`, `labels` and `choices` hold one value or a list as JSON or Python writes it, `pages`
/// a text or such a list, `answer` and `answers` a JSON object too; `messages`, `generation`, `tools`,
/// `chat_template_kwargs`, `response_format`, `image_tokens` and `metadata` hold JSON. Columns that are not
/// keys of items go into the metadata.
class CsvReader : public RecordReader {
 public:
  CsvReader(const std::filesystem::path& file, char separator)
      : bytes_(file), file_(file.string()), separator_(separator) {
    read_header();
  }

  bool next(Record& record) override {
    record.fault.reset();
    record.own_id.clear();
    skip_blank_lines();
    record.line = bytes_.line();
    record.default_id = std::to_string(record.line);
    if (bytes_.peek() == ByteReader::kEnd) return report_fault(record);
    std::size_t whole = columns_.size();
    if (const std::string problem = read_fields(); !problem.empty()) {
      record.fault = Record::Fault{ErrorCode::invalid_item, problem};
      whole = fields_.size() - 1;  // the last is the one at fault
    } else if (fields_.size() != columns_.size()) {
      record.fault = Record::Fault{
          ErrorCode::invalid_item,
          fmt::format("{}, but the header line has {}", counted(fields_.size(), "field"), columns_.size())};
      whole = 1;  // a comma that nobody quoted moves all that is behind it
    }
    record.own_id = own_id(whole);
    return true;
  }

  NodePointer node() override {
    strip_fields();
    auto item = std::make_shared<Node>();
    item->kind = Node::Kind::map;
    item->place = {begin_line_, 0};
    auto others = std::make_shared<Node>();  // metadata of the columns that are not keys
    others->kind = Node::Kind::map;
    NodePointer own;  // of the column `metadata`
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& name = columns_[i];
      std::string& value = fields_[i].text;
      if (value.empty()) continue;
      if (invalid_utf8_at(value))
        fail(ErrorCode::invalid_item, fmt::format("invalid UTF-8 in column '{}'", name));
      if (name == "metadata") {
        own = parse_json(value, {begin_line_, 0}).node;
        if (!own) own = text_node(value);
      } else if (!is_key(name)) {
        others->map.push_back({name, item->place, text_node(std::move(value))});
      } else {
        item->map.push_back({name, item->place, value_of(name, std::move(value))});
      }
    }
    if (own && !others->map.empty()) others->map.push_back({"metadata", item->place, std::move(own)});
    if (!others->map.empty()) own = std::move(others);
    if (own) item->map.push_back({"metadata", item->place, std::move(own)});
    return item;
  }

 private:
  struct Field {
    std::string text;
    bool is_quoted = false;
    bool has_space = false;  // before it
  };

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
    for (const Field& field : fields_) {
      std::string name(stripped(field.text));
      spaced_ = spaced_ || (!columns_.empty() && !field.is_quoted && field.has_space);
      if (name.empty()) name = fmt::format("Unnamed: {}", columns_.size());
      if (const auto bad = encoding_fault(name)) fail(fmt::format("the header line: {}", bad->problem));
      if (!seen.insert(name).second) fail(fmt::format("column '{}' is given twice", shortened(name, 80)));
      columns_.push_back(std::move(name));
    }
    const auto has = [&](const char* name) { return seen.count(name) > 0; };
    shows_documents_ = (has("document") || has("video")) && !has("image") && !has("images");
    if (std::none_of(columns_.begin(), columns_.end(),
                     [&](const std::string& name) { return is_key(name); })) {
      fail(fmt::format(
          "no column of the header line is a key of items; these are {}{}", fmt::join(item_keys(), ", "),
          columns_.size() == 1 ? "; columns are separated by commas, in a .tsv file by tabs" : ""));
    }
  }

  /// `document`, `video` and what belongs to them are other people's columns where there is an image.
  bool is_key(const std::string& name) const {
    const auto in = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    const bool of_documents = name == "document" || name == "video" || in(document_keys());
    return of_documents ? shows_documents_ : in(item_keys());
  }

  [[noreturn]] void fail(ErrorCode code, const std::string& problem) const {
    throw PlacedError(code, {begin_line_, 0}, problem);
  }

  void skip_blank_lines() {
    while (bytes_.peek() == '\n' || bytes_.peek() == '\r') bytes_.get();
  }

  /// The id of the record in fields_, of which the first `whole` columns are sure to be where they belong;
  /// empty where it has none that can be read.
  std::string own_id(std::size_t whole) const {
    const auto found = std::find(columns_.begin(), columns_.end(), "id");
    const std::size_t column = static_cast<std::size_t>(found - columns_.begin());
    if (column >= std::min(whole, columns_.size())) return {};
    const Field& field = fields_[column];
    const std::string_view id = stripped(field.text);
    if (id.empty() || invalid_utf8_at(field.text) || id.find('\0') != std::string_view::npos) return {};
    return field.is_quoted ? field.text : std::string(id);
  }

  bool report_fault(Record& record) {
    if (bytes_.fault().empty() || reported_) return false;
    reported_ = true;
    record.fault = Record::Fault{ErrorCode::invalid_item, bytes_.fault()};
    return true;
  }

  /// Reads one record into fields_ and returns what is wrong with it. After a fault, reading continues with
  /// the line after the one in which the record began: its quote is the likely culprit.
  std::string read_fields() {
    fields_.assign(1, {});
    raw_.clear();
    begin_line_ = bytes_.line();
    for (;;) {
      const std::string problem = read_field();
      if (!problem.empty()) return recover(problem);
      const int c = take();
      if (c == separator_) {
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
    return c == separator_ || c == '\n' || c == '\r' || c == ByteReader::kEnd;
  }

  std::string read_field() {
    Field& field = fields_.back();
    while (bytes_.peek() == ' ') field.text += static_cast<char>(take());
    field.has_space = !field.text.empty();
    if (bytes_.peek() == '"') return read_quoted(field);
    while (!at_field_end()) {
      if (raw_.size() > kMaxRecordBytes) return too_long();
      field.text += static_cast<char>(take());
    }
    return {};
  }

  std::string read_quoted(Field& field) {
    field.is_quoted = true;
    field.text.clear();
    take();
    for (;;) {
      if (raw_.size() > kMaxRecordBytes) return too_long();
      const int c = take();
      if (c == ByteReader::kEnd) return "a quoted field does not end";
      if (c == '"' && bytes_.peek() != '"') break;
      if (c == '"') take();
      field.text += static_cast<char>(c);
    }
    while (bytes_.peek() == ' ') take();
    return at_field_end() ? "" : fmt::format("text after the closing quote of field {}", fields_.size());
  }

  static std::string too_long() { return fmt::format("record longer than {} MiB", kMaxRecordBytes >> 20); }

  std::string recover(const std::string& problem) {
    const std::size_t line_end = raw_.find_first_of("\r\n");
    if (line_end == std::string::npos || reread_ > kMaxReread) {
      while (bytes_.peek() != '\n' && bytes_.peek() != '\r' && bytes_.peek() != ByteReader::kEnd)
        bytes_.get();
    } else {
      reread_ += raw_.size();
      const bool is_pair = raw_.compare(line_end, 2, "\r\n") == 0;
      bytes_.unread(std::string_view(raw_).substr(line_end + (is_pair ? 2 : 1)), begin_line_ + 1);
    }
    return problem;
  }

  /// Spaces after the separators are a way of writing. They are part of a question or prompt only when the
  /// header and the other fields of its record have none.
  void strip_fields() {
    bool spaced = fields_.size() > 1;
    for (std::size_t i = 1; i < fields_.size(); ++i)
      spaced = spaced && (fields_[i].has_space || fields_[i].text.empty());
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (fields_[i].is_quoted) continue;
      const bool is_prompt =
          columns_[i] == "question" || columns_[i] == "prompt" || columns_[i] == "template";
      std::string& text = fields_[i].text;
      if (!is_prompt)
        text = std::string(stripped(text));
      else if (spaced || spaced_)
        text.erase(0, text.find_first_not_of(' '));
    }
  }

  /// A cell as what its column holds.
  NodePointer value_of(const std::string& name, std::string value) const {
    const Place place{begin_line_, 0};
    if (holds_json(name)) {
      ParsedJson parsed = parse_json(value, place);
      if (parsed.node) return std::move(parsed.node);
      fail(ErrorCode::invalid_value,
           fmt::format("column '{}' must be JSON: {}", name, parsed.fault->problem));
    }
    if (name == "pages") {
      NodePointer pages = list_in(value);
      return pages ? std::move(pages) : text_node(std::move(value), place);
    }
    const bool takes_list = name == "images" || name == "answers" || name == "labels" || name == "choices";
    const bool takes_one = name == "image" || name == "answer";
    if (name == "answer" || name == "answers") {
      NodePointer object = object_in(value);
      if (object) return takes_one ? std::move(object) : list_of_one(std::move(object));
    }
    NodePointer list = takes_list || takes_one ? list_in(value) : nullptr;
    if (list && takes_one) {
      fail(ErrorCode::invalid_value,
           fmt::format("column '{0}' holds a list: name the column '{0}s', or put the text into one: "
                       "[\"…\"]",
                       name));
    }
    if (list) return list;
    if (takes_list && value[0] == '[') {
      fail(ErrorCode::invalid_value,
           fmt::format("column '{}' begins as a list does, but is neither JSON, as [\"a\", \"b\"], nor "
                       "Python, as ['a', 'b']",
                       name));
    }
    if ((takes_list || takes_one) && is_other_sequence(value)) {
      fail(ErrorCode::invalid_value,
           fmt::format("column '{}' holds a tuple, set or array of Python: write a list, as [\"a\", \"b\"]",
                       name));
    }
    NodePointer text = text_node(std::move(value), place);
    return takes_list ? list_of_one(std::move(text)) : text;
  }

  static bool holds_json(const std::string& name) {
    return name == "messages" || name == "generation" || name == "tools" || name == "chat_template_kwargs" ||
           name == "response_format" || name == "image_tokens";
  }

  static NodePointer list_of_one(NodePointer element) {
    auto one = std::make_shared<Node>();
    one->kind = Node::Kind::list;
    one->place = element->place;
    one->height = element->height + 1;
    one->list.push_back(std::move(element));
    return one;
  }

  /// A JSON object with fields; null for anything else.
  NodePointer object_in(const std::string& value) const {
    if (value[0] != '{') return nullptr;
    ParsedJson parsed = parse_json(value, {begin_line_, 0});
    const bool has_fields = parsed.node && parsed.node->kind == Node::Kind::map && !parsed.node->map.empty();
    return has_fields ? std::move(parsed.node) : nullptr;
  }

  /// As Python and NumPy write a tuple, a set or an array of texts.
  static bool is_other_sequence(std::string_view value) {
    for (const std::string_view begin : {"('", "(\"", "{'", "{\"", "array(["}) {
      const char end = begin[0] == '{' ? '}' : ')';
      if (value.substr(0, begin.size()) == begin && value.back() == end) return true;
    }
    return false;
  }

  NodePointer list_in(const std::string& value) const {
    if (value[0] != '[') return nullptr;
    ParsedJson parsed = parse_json(value, {begin_line_, 0});
    return parsed.node ? std::move(parsed.node) : parse_python_list(value, {begin_line_, 0});
  }

  ByteReader bytes_;
  std::string file_;
  char separator_;
  std::vector<std::string> columns_;
  std::vector<Field> fields_;
  std::string raw_;  // of the record that is being read
  std::uint64_t begin_line_ = 1;
  bool spaced_ = false;  // the header has spaces after its separators
  bool shows_documents_ = false;
  std::size_t reread_ = 0;
  bool reported_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_csv(const std::filesystem::path& file, char separator) {
  return std::make_unique<CsvReader>(file, separator);
}

}  // namespace mmbatch
