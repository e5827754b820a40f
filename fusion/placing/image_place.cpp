#include "fusion/placing/image_place.h"

#include <algorithm>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

using Ids = std::vector<std::int32_t>;

/// Writes the tokens of an image, each kind of marks in its own way.
struct Writer {
  const ImageToken& token;
  const FeatureMap& map;
  const Tokenizer& tokenizer;

  Ids ids_of(const std::string& text) const {
    return text.empty() ? Ids{} : tokenizer.encode(text, SpecialTokens::without);
  }
  void add(const Ids& more, Ids& ids) const { ids.insert(ids.end(), more.begin(), more.end()); }
  void add_rows(std::size_t count, Ids& ids) const { ids.insert(ids.end(), count, token.id); }

  Ids operator()(std::monostate) const { return Ids(map.rows, token.id); }

  Ids operator()(const RowMarks& marks) const {
    const Ids after_row = ids_of(marks.after_row), after_last = ids_of(marks.after_last);
    Ids ids;
    for (std::size_t row = 1; row <= map.grid.rows; ++row) {
      add_rows(map.grid.columns, ids);
      add(row < map.grid.rows ? after_row : after_last, ids);
    }
    return ids;
  }

  /// The text between two image tokens is tokenized as one, as it would be in the whole.
  Ids operator()(const TileMarks& marks) const {
    const std::size_t of_a_tile = map.grid.count();
    Ids ids;
    std::string before;
    const auto add_tile = [&](std::size_t rows) {
      add(ids_of(before), ids);
      add_rows(rows, ids);
      before.clear();
    };
    for (int row = 1; row <= map.tiles.rows; ++row) {
      for (int column = 1; column <= map.tiles.columns; ++column) {
        before += replace_all(replace_all(marks.tile, "{row}", std::to_string(row)), "{column}",
                              std::to_string(column));
        add_tile(of_a_tile);
      }
      before += marks.after_row;
    }
    if (map.tiles.has_whole()) {
      before += map.tiles.rows > 0 ? marks.whole : marks.whole_alone;
      add_tile(map.whole_grid().count());
    }
    add(ids_of(before + marks.end), ids);
    return ids;
  }
};

}  // namespace

std::string write_image_places(const ImagePlace& place, const std::string& image_token,
                               std::string_view text) {
  const std::string& written = place.written.empty() ? image_token : place.written;
  if (written.empty() || (place.before.empty() && place.after.empty() && written == image_token))
    return std::string(text);
  // Whoever writes image tokens writes what goes around them too.
  if (written != image_token && text.find(image_token) != std::string_view::npos) return std::string(text);
  return replace_all(text, written, place.before + image_token + place.after);
}

Ids image_ids(const ImagePlace& place, const ImageToken& token, const FeatureMap& map,
              const Tokenizer& tokenizer) {
  return std::visit(Writer{token, map, tokenizer}, place.marks);
}

}  // namespace mmbatch
