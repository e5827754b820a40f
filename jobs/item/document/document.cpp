#include "jobs/item/document/document.h"

#include <fmt/format.h>

#include <cmath>

#include "jobs/item/fields.h"
#include "jobs/text/json_node.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr const char* kPagesForms = "all, a page's number, or numbers and ranges such as \"1-3, 5, 7-\"";

/// A number however it is written: the columns of a listing are texts.
std::optional<double> number_in(const Node& value) {
  if (value.kind != Node::Kind::number && value.kind != Node::Kind::text) return std::nullopt;
  const std::string text(stripped(value.text));
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::int64_t whole(const Node::Entry& entry, std::int64_t least, std::int64_t most, const char* what) {
  const auto number = entry.value->is_scalar() ? number_in(*entry.value) : std::nullopt;
  if (!number || *number != std::floor(*number) || *number < static_cast<double>(least) ||
      *number > static_cast<double>(most))
    ill_typed(entry, what);
  return static_cast<std::int64_t>(*number);
}

std::optional<std::uint32_t> page_number(std::string_view text) {
  std::int64_t number = 0;
  if (!integer_of(stripped(text), number) || number < 1 || number > kMostPages) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

std::optional<PageRange> range_in(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = page_number(text.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return PageRange{*first, *first};
  const std::string_view rest = stripped(text.substr(dash + 1));
  if (rest.empty()) return PageRange{*first, std::nullopt};
  const auto last = page_number(rest);
  if (!last || *last < *first) return std::nullopt;
  return PageRange{*first, *last};
}

std::vector<PageRange> read_pages(const Node::Entry& entry) {
  const Node& value = *entry.value;
  std::vector<PageRange> ranges;
  const auto add = [&](std::string_view text) {
    const auto range = range_in(stripped(text));
    if (!range) ill_typed(entry, kPagesForms);
    ranges.push_back(*range);
  };
  if (value.kind == Node::Kind::list) {
    for (const NodePointer& one : value.list) add(one->is_scalar() ? std::string_view(one->text) : "");
  } else if (!value.is_scalar()) {
    ill_typed(entry, kPagesForms);
  } else if (stripped(value.text) == "all") {
    ranges.push_back({});
  } else {
    std::string_view rest = value.text;
    for (std::size_t comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
      add(rest.substr(0, comma));
      rest.remove_prefix(comma + 1);
    }
    add(rest);
  }
  std::uint64_t pages = 0;
  for (const PageRange& range : ranges) pages += range.last ? *range.last - range.first + 1 : 1;
  if (ranges.empty() || pages > kMostPages) ill_typed(entry, kPagesForms);
  return ranges;
}

std::vector<double> read_times(const Node::Entry& entry) {
  constexpr const char* kExpected = "a list of 1 to 1024 times in seconds, each from 0 to 1000000";
  NodePointer list = entry.value;
  if (list->kind == Node::Kind::text) {  // a column's text
    const ParsedJson parsed = parse_json(list->text);
    if (parsed.fault) ill_typed(entry, kExpected);
    list = parsed.node;
  }
  std::vector<double> times;
  if (list->kind != Node::Kind::list) ill_typed(entry, kExpected);
  for (const NodePointer& one : list->list) {
    const auto time = number_in(*one);
    if (!time || *time < 0 || *time > 1e6) ill_typed(entry, kExpected);
    times.push_back(*time);
  }
  if (times.empty() || times.size() > kMostParts) ill_typed(entry, kExpected);
  return times;
}

}  // namespace

const std::vector<std::string>& document_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> both = page_keys();
    both.insert(both.end(), video_keys().begin(), video_keys().end());
    return both;
  }();
  return keys;
}

const std::vector<std::string>& page_keys() {
  static const std::vector<std::string> keys = {"pages", "pages_as", "dpi", "page_pixels"};
  return keys;
}

const std::vector<std::string>& video_keys() {
  static const std::vector<std::string> keys = {"frames", "fps", "times", "video_input"};
  return keys;
}

DocumentSettings read_document_settings(const Node& map) {
  DocumentSettings settings;
  if (const Node::Entry* entry = map.get("pages")) settings.pages = read_pages(*entry);
  if (const Node::Entry* entry = map.get("pages_as")) {
    const std::string& way = scalar_of(*entry, *entry->value);
    if (way != "items" && way != "images")
      ill_typed(*entry, "items (each page is an item) or images (all are images of one item)");
    settings.pages_as = way == "items" ? PagesAs::items : PagesAs::images;
  }
  if (const Node::Entry* entry = map.get("dpi"))
    settings.dpi = static_cast<int>(whole(*entry, 36, 600, "a whole number from 36 to 600"));
  if (const Node::Entry* entry = map.get("page_pixels"))
    settings.page_pixels = whole(*entry, 1024, 100'000'000, "a whole number from 1024 to 100000000");
  if (const Node::Entry* entry = map.get("frames"))
    settings.frames =
        static_cast<std::uint32_t>(whole(*entry, 1, kMostParts, "a whole number from 1 to 1024"));
  if (const Node::Entry* entry = map.get("fps")) {
    const auto fps = number_in(*entry->value);
    if (!fps || *fps < 0.001 || *fps > 240) ill_typed(*entry, "a number from 0.001 to 240");
    settings.fps = fps;
  }
  if (const Node::Entry* entry = map.get("times")) settings.times = read_times(*entry);
  if (const Node::Entry* entry = map.get("video_input")) {
    const std::string& way = scalar_of(*entry, *entry->value);
    if (way != "auto" && way != "frames")
      ill_typed(*entry, "auto (as the model takes videos, else as images) or frames (as images)");
    settings.video_as = way == "auto" ? VideoAs::models_own : VideoAs::images;
  }
  if (settings.frames.has_value() + settings.fps.has_value() + settings.times.has_value() > 1) {
    const Node::Entry* const second = map.get("times") != nullptr ? map.get("times") : map.get("fps");
    throw PlacedError(ErrorCode::invalid_item, second->place,
                      "of 'frames', 'fps' and 'times', one is allowed");
  }
  return settings;
}

DocumentSettings merged(DocumentSettings weaker, const DocumentSettings& stronger) {
  const auto take = [](auto& to, const auto& from) {
    if (from) to = from;
  };
  take(weaker.pages, stronger.pages);
  take(weaker.pages_as, stronger.pages_as);
  take(weaker.dpi, stronger.dpi);
  take(weaker.page_pixels, stronger.page_pixels);
  take(weaker.video_as, stronger.video_as);
  if (stronger.frames || stronger.fps || stronger.times) {
    weaker.frames = stronger.frames;
    weaker.fps = stronger.fps;
    weaker.times = stronger.times;
  }
  return weaker;
}

}  // namespace mmbatch
