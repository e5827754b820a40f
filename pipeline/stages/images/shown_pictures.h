#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "fusion/prompting.h"
#include "jobs/item/item.h"

namespace mmbatch {

/// The images of an item that become one grid of rows, by their places in Item::images: a picture is one, and
/// so are a few frames of a video where the model takes videos.
struct PictureGroup {
  std::vector<std::size_t> images;
  std::size_t frames = 0;  // that the whole video shows; 0: it is a picture
};

/// The video that an item shows, where the model takes videos and the item leaves it at that; of a prompt
/// that is sent as it is, where that has a place for a video.
std::optional<ShownFrames> shown_video(const Item& item, const ModelSpec& spec);

/// The last frame of a video is repeated until its group is complete.
std::vector<PictureGroup> picture_groups(const Item& item, const ModelSpec& spec);

/// The sizes of the groups, for counting tokens.  @param images their sizes
std::vector<PictureSize> picture_sizes(const Item& item, const ModelSpec& spec,
                                       const std::vector<PictureSize>& images);

/// Which frames of the item's video a group is; of a picture, none.
FramePlace frame_place(const Item& item, const ModelSpec& spec, std::size_t group);

}  // namespace mmbatch
