#include "jobs/text/node.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// Without a plus sign and zeros in front, which JSON does not allow.
std::string integer_json(std::string_view spelling) {
  std::int64_t value = 0;
  if (integer_of(spelling, value)) return std::to_string(value);
  const bool has_plus = !spelling.empty() && spelling[0] == '+';
  std::uint64_t large = 0;
  const char* const end = spelling.data() + spelling.size();
  const auto [stop, error] = std::from_chars(spelling.data() + (has_plus ? 1 : 0), end, large);
  return error == std::errc{} && stop == end ? std::to_string(large) : "";
}

std::string number_json(const std::string& spelling) {
  std::string whole = integer_json(spelling);
  return whole.empty() ? nlohmann::json(real_of(spelling)).dump() : whole;
}

/// number = ["-"] ("0" | digit1-9 digit*) ["." digit+] [("e" | "E") ["+" | "-"] digit+]
bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  const auto digits = [&] {
    const std::size_t begin = at;
    while (peek() >= '0' && peek() <= '9') ++at;
    return at - begin;
  };
  if (peek() == '-') ++at;
  const bool zero = peek() == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (peek() == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at;
    if (peek() == '+' || peek() == '-') ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

struct Writing {
  JsonForm form;
  std::size_t max_bytes;
};

void append(const Node& node, const Writing& writing, std::string& out) {
  switch (node.kind) {
    case Node::Kind::null:
      out += "null";
      break;
    case Node::Kind::boolean:
      out += node.is_true() ? "true" : "false";
      break;
    case Node::Kind::number:
      out +=
          writing.form == JsonForm::written && is_json_number(node.text) ? node.text : number_json(node.text);
      break;
    case Node::Kind::text:
      out += json_string(node.text);
      break;
    case Node::Kind::list:
      out += '[';
      for (const NodePointer& element : node.list) {
        if (&element != &node.list.front()) out += ',';
        append(*element, writing, out);
      }
      out += ']';
      break;
    case Node::Kind::map: {
      std::vector<const Node::Entry*> sorted;
      for (const Node::Entry& entry : node.map) sorted.push_back(&entry);
      if (writing.form == JsonForm::canonical) {
        std::sort(sorted.begin(), sorted.end(),
                  [](const Node::Entry* a, const Node::Entry* b) { return a->key < b->key; });
      }
      out += '{';
      for (const Node::Entry* entry : sorted) {
        if (entry != sorted.front()) out += ',';
        out += json_string(entry->key);
        out += ':';
        append(*entry->value, writing, out);
      }
      out += '}';
      break;
    }
  }
  if (out.size() > writing.max_bytes) throw std::length_error("the value is too large");
}

}  // namespace

const Node::Entry* Node::find(std::string_view key) const {
  for (const Entry& entry : map) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Node::Entry* Node::get(std::string_view key) const {
  const Entry* const entry = find(key);
  return entry == nullptr || entry->value->kind == Kind::null ? nullptr : entry;
}

NodePointer text_node(std::string text, Place place) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::text;
  node->text = std::move(text);
  node->place = place;
  return node;
}

bool integer_of(std::string_view spelling, std::int64_t& value) {
  if (!spelling.empty() && spelling[0] == '+') spelling.remove_prefix(1);
  const auto [stop, error] = std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
  return error == std::errc{} && stop == spelling.data() + spelling.size();
}

double real_of(std::string_view spelling) {
  if (!spelling.empty() && spelling[0] == '+') spelling.remove_prefix(1);
  double value = 0;
  std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
  return value;
}

std::string to_json(const Node& node, JsonForm form, std::size_t max_bytes) {
  std::string out;
  append(node, {form, max_bytes}, out);
  return out;
}

}  // namespace mmbatch
