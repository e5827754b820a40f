#include "jobs/query/row_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "engine/base/text/visible.h"
#include "jobs/query/table_writer.h"
#include "jobs/text/json_node.h"
#include "jobs/text/json_text.h"
#include "jobs/text/number_text.h"

namespace mmbatch {
namespace {

std::vector<std::string> names_of(const Statement& statement) {
  std::vector<std::string> names;
  for (int i = 0; i < statement.columns(); ++i) names.push_back(statement.column_name(i));
  return names;
}

class JsonWriter : public RowWriter {
 public:
  enum class Shape { lines, list };
  JsonWriter(Shape shape, const Statement& statement, std::ostream& out)
      : shape_(shape), names_(names_of(statement)), out_(out) {
    for (const std::string& name : names_) keys_.push_back(json_string(name) + ": ");
  }

  void row(const Statement& row) override {
    if (shape_ == Shape::list) out_ << (rows_ == 0 ? "[\n" : ",\n");
    out_ << '{';
    for (std::size_t i = 0; i < names_.size(); ++i) {
      out_ << (i > 0 ? ", " : "") << keys_[i] << json_value(row, static_cast<int>(i), names_[i]);
    }
    out_ << (shape_ == Shape::list ? "}" : "}\n");
    ++rows_;
  }

  void end() override {
    if (shape_ == Shape::list) out_ << (rows_ == 0 ? "[]\n" : "\n]\n");
  }

 private:
  Shape shape_;
  std::vector<std::string> names_, keys_;
  std::ostream& out_;
  std::uint64_t rows_ = 0;
};

/// RFC 4180 but for line ends, which are LF.
class CsvWriter : public RowWriter {
 public:
  CsvWriter(const Statement& statement, CsvCells cells, std::ostream& out)
      : columns_(statement.columns()), cells_(cells), out_(out) {
    for (int i = 0; i < columns_; ++i) out_ << (i > 0 ? "," : "") << text_cell(statement.column_name(i));
    out_ << '\n';
  }

  void row(const Statement& row) override {
    for (int i = 0; i < columns_; ++i) {
      out_ << (i > 0 ? "," : "");
      if (row.type(i) == Statement::Type::blob)
        out_ << plain_value(row, i, "");
      else if (row.type(i) == Statement::Type::text)
        out_ << text_cell(row.text(i));
      else if (row.type(i) == Statement::Type::real && std::isfinite(row.real(i)))
        out_ << exact_number(row.real(i));
      else
        out_ << row.text(i);  // a number is not a formula, whatever its sign
    }
    out_ << '\n';
  }
  void end() override {}

 private:
  std::string text_cell(std::string_view text) const {
    constexpr std::string_view kFormulaBegins = "=+-@\t\r";
    const bool is_formula = !text.empty() && kFormulaBegins.find(text.front()) != std::string_view::npos;
    if (cells_ == CsvCells::as_they_are || !is_formula) return quoted(text);
    return quoted("'" + std::string(text));
  }

  static std::string quoted(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    return out + "\"";
  }

  int columns_;
  CsvCells cells_;
  std::ostream& out_;
};

class MarkdownWriter : public RowWriter {
 public:
  MarkdownWriter(const Statement& statement, std::ostream& out) : names_(names_of(statement)), out_(out) {
    for (const std::string& name : names_) out_ << "| " << escaped(visible_line(name)) << ' ';
    out_ << "|\n";
    for (std::size_t i = 0; i < names_.size(); ++i) out_ << "|---";
    out_ << "|\n";
  }

  void row(const Statement& row) override {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      out_ << "| " << escaped(plain_value(row, static_cast<int>(i), names_[i])) << ' ';
    }
    out_ << "|\n";
  }
  void end() override {}

 private:
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '<')
        out += "&lt;";
      else if (std::string_view("|\\`*_[]").find(c) != std::string_view::npos)
        (out += '\\') += c;
      else
        out += c;
    }
    return out;
  }

  std::vector<std::string> names_;
  std::ostream& out_;
};

}  // namespace

std::string json_value(const Statement& row, int column, const std::string& name) {
  switch (row.type(column)) {
    case Statement::Type::null:
      return "null";
    case Statement::Type::integer:
      if (name == "correct") return row.integer(column) != 0 ? "true" : "false";
      return std::string(row.text(column));
    case Statement::Type::real:
      return std::isfinite(row.real(column)) ? exact_number(row.real(column)) : "null";
    case Statement::Type::blob:
      return json_string(plain_value(row, column, name));
    case Statement::Type::text:
      break;
  }
  const std::string_view text = row.text(column);
  const bool holds_json = name == "images" || name == "references" || name == "metadata" ||
                          name == "image_sha256" || name == "probabilities";
  // A query of the user's own may give any column these names.
  return holds_json && is_json(text) ? std::string(text) : json_string(text);
}

std::uint64_t write_rows(Statement& statement, const RowStyle& style, std::ostream& out) {
  const auto writer = make_row_writer(style, statement, out);
  std::uint64_t rows = 0;
  for (; statement.step(); ++rows) writer->row(statement);
  writer->end();
  return rows;
}

std::unique_ptr<RowWriter> make_row_writer(const RowStyle& style, const Statement& statement,
                                           std::ostream& out) {
  switch (style.format) {
    case OutputFormat::csv:
      return std::make_unique<CsvWriter>(statement, style.cells, out);
    case OutputFormat::json:
      return std::make_unique<JsonWriter>(JsonWriter::Shape::list, statement, out);
    case OutputFormat::jsonl:
      return std::make_unique<JsonWriter>(JsonWriter::Shape::lines, statement, out);
    case OutputFormat::markdown:
      return std::make_unique<MarkdownWriter>(statement, out);
    case OutputFormat::table:
    case OutputFormat::openai:  // has lines of its own (batch_lines.h)
      break;
  }
  return make_table_writer(names_of(statement), style.width, out);
}

}  // namespace mmbatch
