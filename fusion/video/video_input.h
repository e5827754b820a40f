#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/grid/grid_rule.h"

namespace mmbatch {

/// The frames of a video that a prompt shows.
struct ShownFrames {
  std::vector<double> times;  // in seconds
  double length = 0;          // of the whole video, in seconds; 0: not known
};

/// What is written in a video's place. In `before`, {frames} is how many are shown, in words, and {length}
/// that of the video (1:02:03). In the texts around each group of frames, {seconds} is its time with one
/// digit behind the point, and {clock} the same as minutes and seconds (01:02).
struct VideoText {
  std::string before = {};
  std::string before_each = {};
  std::string after_each = {};
  std::string after = {};
};

/// Where the rows of a group of frames stand in time.
enum class VideoPositions {
  as_images,  // each group as an image of its own
  counted,    // one behind the other
  by_time,    // as far apart as they are in seconds
};

/// Frames that keep their own shape and are taken in blocks of patches, a few at a time.
struct FramesInBlocks {
  BlockGeometry blocks;
  /// What the budget of pixels is for: each frame, or all of them together.
  enum class Budget { of_each, of_all };
  Budget budget = Budget::of_each;
  std::int64_t most_tokens = 0;  // of a video or a frame, where its file asks for a cap and names no other
};

/// Each frame is squashed to one tile.
struct FramesAsTiles {
  LongestEdgeGrid grid;
};

/// How a model takes a video, other than as several images.
struct VideoInput {
  std::string token;               // what a text has in a video's place
  std::string written;             // what is written there for templates that know of no videos
  std::string row_token;           // what stands in the prompt for each row of a group of frames
  std::int32_t row_token_id = -1;  // found in the tokenizer
  std::size_t frames = 1;          // of a group, which becomes one grid of rows; the last one is repeated
  VideoText text;
  VideoPositions positions = VideoPositions::as_images;
  double positions_per_second = 1;  // by_time
  std::variant<FramesInBlocks, FramesAsTiles> form;

  std::size_t groups(std::size_t shown) const { return (shown + frames - 1) / frames; }
};

}  // namespace mmbatch
