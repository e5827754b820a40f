#pragma once

#include <string>
#include <string_view>

#include "fusion/video/video_input.h"

namespace mmbatch {

/// The text with the groups of a video's frames in the video's place, each as one row token.
/// @throws ItemError invalid_value unless the text has one place for a video
std::string write_video(const VideoInput& video, const ShownFrames& frames, std::string_view text);

/// A number up to 9999 in English: "one hundred and four".
std::string number_in_words(std::size_t number);

}  // namespace mmbatch
