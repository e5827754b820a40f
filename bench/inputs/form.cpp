#include "bench/inputs/form.h"

#include <fmt/format.h>

#include <random>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace mmbatch::bench {
namespace {

/// The letters that stand for bytes in tokenizer.json.
std::vector<std::string> byte_letters() {
  std::vector<std::string> out;
  int more = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int letter = printable ? byte : more++;
    std::string text;
    if (letter < 0x80) {
      text = static_cast<char>(letter);
    } else {
      text += static_cast<char>(0xC0 | letter >> 6);
      text += static_cast<char>(0x80 | (letter & 0x3F));
    }
    out.push_back(text);
  }
  return out;
}

}  // namespace

nlohmann::json tokenizer_json(std::size_t count) {
  const std::vector<std::string> letters = byte_letters();
  auto vocab = nlohmann::json::object();
  auto merges = nlohmann::json::array();
  std::vector<std::string> tokens;
  std::unordered_set<std::string> known;
  const auto add = [&](const std::string& token) {
    if (!known.insert(token).second) return false;
    vocab[token] = tokens.size();
    tokens.push_back(token);
    return true;
  };
  for (const std::string& letter : letters) add(letter);
  constexpr std::string_view kLetters = "eeeettttaaaooonniissrrhhlldduummccppggbbffwwyykvxjqz";
  constexpr std::string_view kMarks = " \"\":,{}[]\\.0123456789-/";
  std::mt19937 random(23);
  while (tokens.size() < count) {
    const std::string& before = tokens[random() % tokens.size()];
    const bool mark = random() % 12 == 0;
    const auto byte = static_cast<std::uint8_t>(mark ? kMarks[random() % kMarks.size()]
                                                     : kLetters[random() % kLetters.size()]);
    const std::string pair[] = {before, letters[byte]};
    if (before.size() < 14 && add(pair[0] + pair[1])) merges.push_back(pair);
  }
  return {
      {"version", "1.0"},
      {"added_tokens", nlohmann::json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

ConstraintSpec form() {
  auto properties = nlohmann::ordered_json::object();
  auto required = nlohmann::ordered_json::array();
  const nlohmann::ordered_json kinds[] = {
      {{"type", "string"}, {"maxLength", 40}},
      {{"type", "number"}, {"minimum", 0}, {"maximum", 100000}, {"multipleOf", 0.01}},
      {{"enum", {"cash", "card", "transfer", "other"}}},
      {{"type", "string"}, {"format", "date"}},
      {{"type", "integer"}, {"minimum", 1}, {"maximum", 99}},
      {{"type", "array"}, {"items", {{"type", "string"}, {"maxLength", 20}}}, {"maxItems", 3}}};
  for (int i = 0; i < 30; ++i) {
    const std::string name = fmt::format("field_{}", i);
    properties[name] = kinds[i % 6];
    required.push_back(name);
  }
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::json_schema;
  spec.text =
      nlohmann::ordered_json{{"type", "object"}, {"properties", properties}, {"required", required}}.dump();
  return spec;
}

}  // namespace mmbatch::bench
