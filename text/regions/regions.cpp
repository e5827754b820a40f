#include "text/regions/regions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace mmbatch {
namespace {

using Json = nlohmann::json;

std::string stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin));
}

/// Gathers regions, in pixels of a picture.
class Regions {
 public:
  /// @param width  @param height of the picture in the numbers that the model writes
  Regions(const PictureFrame& picture, double width, double height)
      : picture_(picture), across_(picture.width / width), down_(picture.height / height) {}

  void add(RegionKind kind, std::string label, const std::vector<Region::Point>& points) {
    if (found_.size() == kMostRegions) return;
    Region region{kind, std::move(label), {}};
    for (const Region::Point& point : points) {
      const Region::Point scaled{point.x * across_, point.y * down_};
      if (!std::isfinite(scaled.x) || !std::isfinite(scaled.y)) return;
      region.points.push_back({std::clamp(scaled.x, 0.0, static_cast<double>(picture_.width)),
                               std::clamp(scaled.y, 0.0, static_cast<double>(picture_.height))});
    }
    found_.push_back(std::move(region));
  }
  /// Two numbers are a point, four a box, more of them the corners of a polygon; others are nothing.
  void add_numbers(const std::string& label, const std::vector<double>& numbers) {
    if (numbers.size() < 2 || numbers.size() % 2 != 0) return;
    std::vector<Region::Point> points;
    for (std::size_t i = 0; i < numbers.size(); i += 2) points.push_back({numbers[i], numbers[i + 1]});
    add(points.size() == 1   ? RegionKind::point
        : points.size() == 2 ? RegionKind::box
                             : RegionKind::polygon,
        label, points);
  }
  std::vector<Region> take() { return std::move(found_); }

 private:
  const PictureFrame& picture_;
  double across_, down_;
  std::vector<Region> found_;
};

// JSON, whole or cut: each object is read by itself.

/// Where the objects and lists of a text end. All places are looked at together, from the last one back:
/// one after the other, a text of many open brackets would be read to its end from each.
class JsonEnds {
 public:
  explicit JsonEnds(std::string_view text)
      : quotes_(text.size() + 2, kNone), closers_(text.size() + 1, kNone) {
    for (std::size_t i = text.size(); i-- > 0;) {
      const char c = text[i];
      quotes_[i] = c == '"' ? i : quotes_[i + (c == '\\' ? 2 : 1)];
      closers_[i] = c == '"'               ? behind(quotes_[i + 1])
                    : c == '{' || c == '[' ? behind(closers_[i + 1])
                    : c == '}' || c == ']' ? i
                                           : closers_[i + 1];
    }
  }
  /// The end of the object or list that begins at `begin`; npos when it is not closed.
  std::size_t of(std::size_t begin) const {
    const std::size_t closer = closers_[begin + 1];
    return closer == kNone ? kNone : closer + 1;
  }

 private:
  static constexpr std::size_t kNone = std::string_view::npos;

  std::size_t behind(std::size_t last) const { return last == kNone ? kNone : closers_[last + 1]; }

  std::vector<std::size_t> quotes_;   // of each place within a string, the quote that closes it
  std::vector<std::size_t> closers_;  // of each place outside, the bracket that closes what it lies in
};

/// A list of numbers, or of lists of them; nothing where there is anything else in it.
std::vector<double> numbers_of(const Json& list) {
  std::vector<double> numbers;
  if (!list.is_array()) return numbers;
  for (const Json& one : list) {
    const Json& inner = one.is_array() ? one : Json::array({one});
    for (const Json& number : inner) {
      if (!number.is_number()) return {};
      numbers.push_back(number.get<double>());
    }
  }
  return numbers;
}

std::string label_of(const Json& object) {
  for (const char* key : {"label", "name", "text_content", "text", "description"}) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
  }
  return {};
}

void add_object(const Json& object, Regions& regions) {
  for (const char* key : {"bbox_2d", "bbox", "box", "point_2d", "point", "points", "polygon"}) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) continue;
    const bool several =
        !found->empty() && found->front().is_array() && numbers_of(found->front()).size() > 2;
    if (!several) {
      regions.add_numbers(label_of(object), numbers_of(*found));
      continue;
    }
    for (const Json& one : *found) regions.add_numbers(label_of(object), numbers_of(one));
  }
}

void find_json(std::string_view answer, Regions& regions) {
  constexpr std::size_t kMostInVain = 4u << 20;  // bytes read of what turns out not to be JSON
  std::size_t at = answer.find('{'), in_vain = 0;
  if (at == std::string_view::npos) return;
  const JsonEnds ends(answer);
  while (at != std::string_view::npos && in_vain <= kMostInVain) {
    const std::size_t end = ends.of(at);
    if (end == std::string_view::npos) {  // cut, or no JSON: look inside
      at = answer.find('{', at + 1);
      continue;
    }
    const Json object = Json::parse(answer.substr(at, end - at), nullptr, /*allow_exceptions=*/false);
    if (object.is_object()) {
      add_object(object, regions);
      at = answer.find('{', end);
    } else {
      in_vain += end - at;
      at = answer.find('{', at + 1);
    }
  }
}

void find_marked(std::string_view answer, Regions& regions) {
  constexpr std::string_view kBegin = "<|begin_of_box|>", kEnd = "<|end_of_box|>";
  std::size_t from = 0;
  for (std::size_t at = answer.find(kBegin); at != std::string_view::npos; at = answer.find(kBegin, from)) {
    const std::string label = stripped(answer.substr(from, at - from));
    const std::size_t begin = at + kBegin.size();
    const std::size_t end = std::min(answer.find(kEnd, begin), answer.size());
    const std::string_view inside = answer.substr(begin, end - begin);
    from = std::min(answer.size(), end + kEnd.size());
    if (inside.find('{') != std::string_view::npos) {
      find_json(inside, regions);
      continue;
    }
    const Json list = Json::parse(inside, nullptr, /*allow_exceptions=*/false);
    if (!list.is_array() || list.empty()) continue;
    if (list.front().is_number()) regions.add_numbers(label, numbers_of(list));
    for (const Json& one : list)
      if (one.is_array()) regions.add_numbers(label, numbers_of(one));
  }
}

/// Reads on through a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  std::size_t at() const { return at_; }
  void skip() { ++at_; }
  void go_to(std::size_t at) { at_ = at; }
  bool take(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }
  std::optional<double> number() {
    double value = 0;
    const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(begin, end, value, std::chars_format::fixed);
    if (error != std::errc()) return {};
    at_ += static_cast<std::size_t>(stop - begin);
    return value;
  }
  /// A token such as <loc_17>; nothing is taken where there is none.
  std::optional<double> location(std::string_view begin) {
    const std::size_t before = at_;
    if (take(begin)) {
      if (const auto value = number(); value && take(">")) return value;
    }
    at_ = before;
    return {};
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

/// (x1,y1),(x2,y2), or one pair.
void find_pairs(std::string_view answer, Regions& regions) {
  Reader reader(answer);
  const auto pair = [&]() -> std::optional<Region::Point> {
    const std::size_t before = reader.at();
    if (reader.take("(")) {
      const auto x = reader.number();
      reader.take(",");
      reader.take(" ");
      const auto y = reader.number();
      if (x && y && reader.take(")")) return Region::Point{*x, *y};
    }
    reader.go_to(before);
    return {};
  };
  std::size_t label_begin = 0;
  while (!reader.done()) {
    const std::size_t label_end = reader.at();
    const auto first = pair();
    if (!first) {
      reader.skip();
      continue;
    }
    const std::size_t behind = reader.at();
    std::optional<Region::Point> second;
    if (reader.take(",")) second = pair();
    if (!second) reader.go_to(behind);
    const std::string label = stripped(answer.substr(label_begin, label_end - label_begin));
    if (second)
      regions.add(RegionKind::box, label, {*first, *second});
    else
      regions.add(RegionKind::point, label, {*first});
    label_begin = reader.at();
  }
}

/// Without the words in angle brackets that a model writes around labels.
std::string without_marks(std::string_view text) {
  std::string out;
  const std::size_t last = text.rfind('>');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool closed = text[i] == '<' && last != std::string_view::npos && i < last;
    const std::size_t end = closed ? text.find('>', i) : std::string_view::npos;
    if (end != std::string_view::npos)
      i = end;
    else
      out += text[i];
  }
  return stripped(out);
}

/// label<loc_x1><loc_y1><loc_x2><loc_y2>: numbers in a row are boxes of the label before them, or, where
/// marks of polygons or `many` say so, corners. A number means the middle of its part of a side.
void find_locations(std::string_view answer, ManyNumbers many, Regions& regions) {
  Reader reader(answer);
  std::size_t label_begin = 0;
  std::string label;
  while (!reader.done()) {
    const std::size_t run_begin = reader.at();
    std::vector<double> numbers;
    while (const auto value = reader.location("<loc_")) numbers.push_back(*value + 0.5);
    if (numbers.empty()) {
      reader.skip();
      continue;
    }
    const std::string_view before = answer.substr(label_begin, run_begin - label_begin);
    if (std::string own = without_marks(before); !own.empty()) label = std::move(own);
    const bool polygon = before.find("<poly>") != std::string_view::npos ||
                         (many == ManyNumbers::corners && numbers.size() >= 6);
    label_begin = reader.at();
    if (polygon) {
      if (numbers.size() % 2 == 1) numbers.pop_back();
      regions.add_numbers(label, numbers);
      continue;
    }
    for (std::size_t i = 0; i + 4 <= numbers.size(); i += 4)
      regions.add_numbers(label, {numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  }
}

/// <locYYYY><locXXXX><locYYYY><locXXXX> label ; …
void find_locations_first(std::string_view answer, Regions& regions) {
  Reader reader(answer);
  while (!reader.done()) {
    const std::size_t begin = reader.at();
    std::vector<double> numbers;
    while (const auto value = reader.location("<loc")) numbers.push_back(*value);
    if (numbers.size() < 4) {
      reader.go_to(std::max(begin + 1, reader.at()));
      continue;
    }
    const std::size_t label_begin = reader.at();
    const std::size_t next = std::min(answer.find("<loc", label_begin), answer.size());
    const std::string_view before_next = answer.substr(label_begin, next - label_begin);
    const std::size_t end = label_begin + std::min(before_next.find(';'), before_next.size());
    const std::string label = without_marks(answer.substr(label_begin, end - label_begin));
    for (std::size_t i = 0; i + 4 <= numbers.size(); i += 4)
      regions.add(RegionKind::box, label, {{numbers[i + 1], numbers[i]}, {numbers[i + 3], numbers[i + 2]}});
    reader.go_to(end);
  }
}

}  // namespace

std::string_view to_string(RegionKind kind) {
  switch (kind) {
    case RegionKind::box:
      return "box";
    case RegionKind::point:
      return "point";
    case RegionKind::polygon:
      return "polygon";
  }
  return "unknown";
}

std::vector<Region> find_regions(RegionFormat format, std::string_view answer, const PictureFrame& picture,
                                 ManyNumbers many) {
  if (picture.width <= 0 || picture.height <= 0 || picture.seen_width <= 0 || picture.seen_height <= 0)
    return {};
  const double parts = format == RegionFormat::location_tokens_of_1024 ? 1024 : 1000;
  const bool seen = format == RegionFormat::json_of_seen_pixels;
  Regions regions(picture, seen ? picture.seen_width : parts, seen ? picture.seen_height : parts);
  switch (format) {
    case RegionFormat::none:
      break;
    case RegionFormat::json_of_seen_pixels:
    case RegionFormat::json_of_thousandths:
      find_json(answer, regions);
      break;
    case RegionFormat::pairs_of_thousandths:
      find_pairs(answer, regions);
      break;
    case RegionFormat::marked_thousandths:
      find_marked(answer, regions);
      break;
    case RegionFormat::location_tokens_of_1000:
      find_locations(answer, many, regions);
      break;
    case RegionFormat::location_tokens_of_1024:
      find_locations_first(answer, regions);
      break;
  }
  return regions.take();
}

std::string regions_json(const std::vector<Region>& regions, const PictureFrame& picture) {
  if (regions.empty()) return {};
  Json all = Json::array();
  for (const Region& region : regions) {
    Region::Point low = region.points.front(), high = low;
    for (const Region::Point& point : region.points) {
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
    const auto rounded = [](double x) { return std::round(x * 100) / 100; };
    Json one = {{"kind", to_string(region.kind)}, {"label", region.label},   {"x1", rounded(low.x)},
                {"y1", rounded(low.y)},           {"x2", rounded(high.x)},   {"y2", rounded(high.y)},
                {"width", picture.width},         {"height", picture.height}};
    if (region.kind == RegionKind::polygon) {
      for (const Region::Point& point : region.points)
        one["points"].push_back({rounded(point.x), rounded(point.y)});
    }
    all.push_back(std::move(one));
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mmbatch
