#include "text/reasoning/reasoning_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

using Ids = std::vector<std::int32_t>;

struct KnownMarks {
  const char* open;
  const char* close;
  const char* label;
};
constexpr KnownMarks kKnown[] = {{"<think>", "</think>", ""},
                                 {"[THINK]", "[/THINK]", ""},
                                 {"<|START_THINKING|>", "<|END_THINKING|>", ""},
                                 {"<|channel>", "<channel|>", "thought"}};

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Thoughts and answer are messages, told apart by the names of their channels.
std::optional<ReasoningFormat> find_channels(const Tokenizer& tokenizer) {
  const auto start = tokenizer.token_id("<|start|>"), end = tokenizer.token_id("<|end|>");
  const auto channel = tokenizer.token_id("<|channel|>"), message = tokenizer.token_id("<|message|>");
  if (!start || !end || !channel || !message) return std::nullopt;
  ReasoningFormat format;
  format.open = {*channel};
  format.close = joined({{*channel}, tokenizer.encode_continuation("final"), {*message}});
  format.written = joined({{*end, *start}, tokenizer.encode_continuation("assistant"), format.close});
  format.head_begin = {*channel, *start, *end};
  format.head_end = *message;
  return format;
}

Ids tokens_of(const Tokenizer& tokenizer, std::string_view mark) {
  if (const auto id = tokenizer.token_id(mark)) return {*id};
  Ids ids = tokenizer.encode_continuation(mark);
  if (ids.empty())
    throw ItemError(ErrorCode::invalid_value, fmt::format("reasoning_marks: '{}' has no tokens", mark));
  return ids;
}

bool is_space(const Tokenizer& tokenizer, std::int32_t token) {
  return !tokenizer.is_special(token) && strip_left(tokenizer.decode({&token, 1})).empty();
}

}  // namespace

std::optional<ReasoningFormat> find_reasoning(const Tokenizer& tokenizer) {
  if (auto channels = find_channels(tokenizer)) return channels;
  for (const KnownMarks& known : kKnown) {
    const auto open = tokenizer.token_id(known.open), close = tokenizer.token_id(known.close);
    if (!open || !close) continue;
    ReasoningFormat format;
    format.open = {*open};
    format.close = format.written = {*close};
    format.label = known.label;
    return format;
  }
  return std::nullopt;
}

ReasoningFormat reasoning_between(const Tokenizer& tokenizer, std::string_view open, std::string_view close) {
  ReasoningFormat format;
  format.open = tokens_of(tokenizer, open);
  format.close = format.written = tokens_of(tokenizer, close);
  return format;
}

bool ends_inside(const Tokenizer& tokenizer, const ReasoningFormat& format,
                 std::span<const std::int32_t> prompt) {
  // Where thoughts are messages, the prompt ends before the head of the first.
  if (format.head_end) return false;
  constexpr std::size_t kMostSpaces = 4;
  for (std::size_t spaces = 0; spaces <= kMostSpaces && !prompt.empty(); ++spaces) {
    if (std::ranges::equal(prompt.last(std::min(prompt.size(), format.open.size())), format.open))
      return true;
    const std::int32_t last = prompt.back();
    const bool label = !format.label.empty() && tokenizer.decode({&last, 1}) == format.label;
    if (!label && !is_space(tokenizer, last)) return false;
    prompt = prompt.first(prompt.size() - 1);
  }
  return false;
}

ReasoningText::ReasoningText(const Tokenizer& tokenizer, const ReasoningFormat& format)
    : format_(format), stream_(tokenizer.stream()), place_(format.head_end ? Place::head : Place::text) {}

void ReasoningText::push(std::int32_t token, std::string& out) {
  const auto& begin = format_.head_begin;
  if (std::find(begin.begin(), begin.end(), token) != begin.end()) {
    place_ = Place::head;
  } else if (format_.head_end == token) {
    if (any_) out += "\n";
    place_ = Place::text;
  } else if (place_ == Place::text) {
    any_ = true;
    stream_->push(token, out);
  }
}

std::string reasoning_text(const Tokenizer& tokenizer, const ReasoningFormat& format,
                           std::span<const std::int32_t> thoughts) {
  ReasoningText making(tokenizer, format);
  std::string text;
  for (const std::int32_t token : thoughts) making.push(token, text);
  making.finish(text);
  std::string_view view = strip_left(text);
  if (!format.label.empty() && view.starts_with(format.label))
    view = strip_left(view.substr(format.label.size()));
  return std::string(strip_right(view));
}

}  // namespace mmbatch
