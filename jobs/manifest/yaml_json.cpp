#include <charconv>
#include <cmath>
#include <stdexcept>

#include "jobs/manifest/yaml_tree.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// A plain scalar that the YAML 1.2 core schema takes for a number, as JSON; empty when it is none.
std::string number_json(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  std::string_view magnitude = text;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) magnitude.remove_prefix(1);
  if (all_digits(magnitude)) {
    const std::size_t first = magnitude.find_first_not_of('0');
    const std::string_view digits = first == std::string_view::npos ? "0" : magnitude.substr(first);
    return (negative ? "-" : "") + std::string(digits);
  }
  if (magnitude.empty() || magnitude.find_first_not_of("0123456789.eE+-") != std::string_view::npos)
    return {};
  if (magnitude[0] != '.' && (magnitude[0] < '0' || magnitude[0] > '9')) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(magnitude.data(), magnitude.data() + magnitude.size(), value);
  if (error != std::errc{} || end != magnitude.data() + magnitude.size() || !std::isfinite(value)) return {};
  char buffer[64];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, negative ? -value : value);
  std::string out(buffer, written.ptr);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

std::string scalar_json(const YamlNode& node, YamlScalars scalars) {
  if (node.style == YamlNode::Style::plain && scalars == YamlScalars::typed) {
    const std::string& text = node.text;
    if (text == "true" || text == "True" || text == "TRUE") return "true";
    if (text == "false" || text == "False" || text == "FALSE") return "false";
    if (const std::string number = number_json(text); !number.empty()) return number;
  }
  return json_string(node.text);
}

}  // namespace

void append_json(const YamlNode& node, YamlScalars scalars, std::size_t max_bytes, std::string& out) {
  const auto next = [&](char open) {
    if (out.back() != open) out += ',';
  };
  switch (node.kind) {
    case YamlNode::Kind::null:
      out += "null";
      break;
    case YamlNode::Kind::scalar:
      out += scalar_json(node, scalars);
      break;
    case YamlNode::Kind::list:
      out += '[';
      for (const auto& element : node.list) {
        next('[');
        append_json(*element, scalars, max_bytes, out);
      }
      out += ']';
      break;
    case YamlNode::Kind::map:
      out += '{';
      for (const YamlNode::Entry& entry : node.map) {
        next('{');
        out += json_string(entry.key) + ":";
        append_json(*entry.value, scalars, max_bytes, out);
      }
      out += '}';
      break;
  }
  if (out.size() > max_bytes) throw std::length_error("the value is too large");
}

}  // namespace mmbatch
