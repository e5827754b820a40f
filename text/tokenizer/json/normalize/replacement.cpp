#include "text/tokenizer/json/normalize/replacement.h"

namespace mmbatch {

TextPattern::TextPattern(const Config& component, const std::string& key) {
  const Config pattern = component.object(key);
  if (pattern.has("Regex")) {
    regex_.emplace(pattern.text("Regex", ""), pattern.where("Regex"));
  } else if (pattern.has("String")) {
    literal_ = pattern.text("String", "");
  } else {
    component.fail(key, R"(expected {"String": …} or {"Regex": …})");
  }
}

void TextPattern::find_all(std::string_view text, std::vector<Span>& matches) const {
  if (regex_) {
    regex_->find_all(text, matches);
    return;
  }
  if (literal_.empty()) return;
  for (std::size_t at = text.find(literal_); at != std::string_view::npos; at = text.find(literal_, at)) {
    matches.push_back({at, at + literal_.size()});
    at += literal_.size();
  }
}

std::string replace_matches(std::string_view text, const TextPattern& pattern, std::string_view content) {
  std::vector<Span> matches;
  pattern.find_all(text, matches);
  std::string out;
  std::size_t at = 0;
  for (const Span& match : matches) {
    out += text.substr(at, match.begin - at);
    out += content;
    at = match.end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace mmbatch
