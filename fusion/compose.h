#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/decoder/prompt.h"
#include "fusion/model_spec.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// Which frames of a video an image is.
struct FramePlace {
  std::size_t group = 0;   // from 0
  std::size_t groups = 0;  // of the video; 0: it is a picture
  double seconds = 0;      // from one group to the next
};

/// One image's rows and the key of its content.
struct EncodedImage {
  Features features;  // [image tokens, hidden]
  PrefixKey key = {};
  FramePlace frames = {};
};

/// The tokens of one image: the image token for each of its rows, and what is between them.
using ImageIds = std::vector<std::int32_t>;

/// @throws ItemError invalid_value when a text has another number of placeholders than there are images,
/// prompt_empty when there is no text at all
void check_placeholders(const ModelSpec& spec, std::span<const std::int32_t> text_ids, std::size_t images);

/// Puts text and images together: each placeholder becomes the tokens of its image.
/// @param text_ids with one placeholder for each image  @throws ItemError as check_placeholders()
/// @param tokens of each image; empty: the image token, once for each of its rows
std::shared_ptr<const Prompt> compose(const ModelSpec& spec, std::span<const std::int32_t> text_ids,
                                      std::span<const EncodedImage> images,
                                      std::span<const ImageIds> tokens = {});

}  // namespace mmbatch
