#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/tokenizer/tokenizer.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// Tokens between the rows of a grid, so that an image's width can be read off: a mark after each row but the
/// last, and another after that.
struct RowMarks {
  std::string after_row, after_last;
};

/// Tokens around the tiles of a picture. In `tile`, {row} and {column} count from 1.
struct TileMarks {
  std::string tile;         // before each tile of the grid
  std::string after_row;    // of tiles
  std::string whole;        // before the whole picture, after all tiles
  std::string whole_alone;  // before a picture that is not cut
  std::string end;          // after everything
};

/// What a prompt holds in an image's place. One part of it is written into the text before that is tokenized,
/// as its characters may join with those around them; the other depends on the image's size and comes between
/// its rows.
struct ImagePlace {
  std::string written = {};  // what templates and people write for an image; empty: the image token
  std::string before = {}, after = {};                           // written around the image token
  std::variant<std::monostate, RowMarks, TileMarks> marks = {};  // begin and end with special tokens
};

/// What an image token is, as text and as an id.
struct ImageToken {
  std::string text;
  std::int32_t id = -1;
};

/// The text, with image tokens and what goes around them where images are written.
std::string write_image_places(const ImagePlace& place, const std::string& image_token,
                               std::string_view text);

/// The tokens of one image: its image token once for each of its rows, and the marks between them.
/// @param map of the rows as the prompt is to hold them
std::vector<std::int32_t> image_ids(const ImagePlace& place, const ImageToken& token, const FeatureMap& map,
                                    const Tokenizer& tokenizer);

}  // namespace mmbatch
