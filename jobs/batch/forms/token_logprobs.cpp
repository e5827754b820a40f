#include "jobs/batch/forms/token_logprobs.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/base/text/utf8.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

enum class InAnswer { first, later };

/// What earlier databases have: tokens as sentencepiece's vocabulary writes them.
std::string text_of_piece(std::string_view piece) {
  if (piece.size() == 6 && piece.substr(0, 3) == "<0x" && piece.back() == '>') {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
    if (error == std::errc{} && end == piece.data() + 5) return {static_cast<char>(byte)};
  }
  return replace_all(piece, "\xE2\x96\x81", " ");
}

LoggedToken token_of(const Json& json, bool are_texts, InAnswer place) {
  LoggedToken token;
  if (json.is_object() && json.contains("token") && json["token"].is_string()) token.text = json["token"];
  if (!are_texts) token.text = text_of_piece(token.text);
  if (!are_texts && place == InAnswer::first && token.text.size() > 1 && token.text[0] == ' ')
    token.text.erase(0, 1);
  if (json.is_object() && json.contains("logprob")) token.logprob = json["logprob"].dump();
  return token;
}

std::string head_json(const LoggedToken& token) {
  std::string bytes;
  for (const char c : token.text)
    bytes += fmt::format("{}{}", bytes.empty() ? "" : ",", static_cast<unsigned char>(c));
  return fmt::format(R"("bytes":[{}],"logprob":{},"token":{})", bytes, token.logprob,
                     json_string(token.text));
}

}  // namespace

LoggedTokens::LoggedTokens(std::string_view details, std::string_view answer) {
  const Json json = Json::parse(shallow_json(details), nullptr, false);
  if (!json.is_object() || !json.contains("logprobs") || !json["logprobs"].is_array()) return;
  kept = true;
  const bool are_texts = json.contains("tokens") && json["tokens"] == "text";
  const Json top = json.value("top_logprobs", Json::array());
  for (std::size_t i = 0; i < json["logprobs"].size(); ++i) {
    // The space that a vocabulary puts before a text's first word is not part of the answer.
    const InAnswer place = i == 0 && answer.substr(0, 1) != " " ? InAnswer::first : InAnswer::later;
    tokens.push_back(token_of(json["logprobs"][i], are_texts, place));
    if (i >= top.size() || !top[i].is_array()) continue;
    for (const Json& one : top[i]) tokens.back().top.push_back(token_of(one, are_texts, place));
  }
}

std::string logprobs_json(const std::vector<LoggedToken>& tokens) {
  std::string out;
  for (const LoggedToken& token : tokens) {
    std::string top;
    for (const LoggedToken& one : token.top)
      top += fmt::format("{}{{{}}}", top.empty() ? "" : ",", head_json(one));
    out += fmt::format("{}{{{},\"top_logprobs\":[{}]}}", out.empty() ? "" : ",", head_json(token), top);
  }
  return "[" + out + "]";
}

}  // namespace mmbatch
