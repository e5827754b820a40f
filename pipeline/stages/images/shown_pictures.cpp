#include "pipeline/stages/images/shown_pictures.h"

#include <algorithm>

namespace mmbatch {

std::optional<ShownFrames> shown_video(const Item& item, const ModelSpec& spec) {
  if (!item.video_length || !spec.video || item.images.empty()) return std::nullopt;
  if (item.form == PromptForm::raw && item.prompt.find(spec.video->token) == std::string::npos)
    return std::nullopt;
  ShownFrames frames{.times = {}, .length = *item.video_length};
  for (const Item::Image& image : item.images) frames.times.push_back(image.part.seconds);
  return frames;
}

std::vector<PictureGroup> picture_groups(const Item& item, const ModelSpec& spec) {
  const std::size_t images = item.images.size();
  const bool video = shown_video(item, spec).has_value();
  const std::size_t together = video ? spec.video->frames : 1;
  std::vector<PictureGroup> groups;
  for (std::size_t begin = 0; begin < images; begin += together) {
    PictureGroup& group = groups.emplace_back();
    for (std::size_t i = 0; i < together; ++i) group.images.push_back(std::min(begin + i, images - 1));
    if (video) group.frames = images;
  }
  return groups;
}

std::vector<PictureSize> picture_sizes(const Item& item, const ModelSpec& spec,
                                       const std::vector<PictureSize>& images) {
  std::vector<PictureSize> sizes;
  for (const PictureGroup& group : picture_groups(item, spec)) {
    sizes.push_back(images[group.images.front()]);
    sizes.back().frames = group.frames;
  }
  return sizes;
}

FramePlace frame_place(const Item& item, const ModelSpec& spec, std::size_t group) {
  const auto shown = shown_video(item, spec);
  if (!shown) return {};
  const std::vector<double>& times = shown->times;
  // Frames lie evenly, as far as their model knows: each as far from the next as all of them on average.
  const double each =
      times.size() > 1 ? (times.back() - times.front()) / static_cast<double>(times.size() - 1) : 0;
  return {.group = group,
          .groups = spec.video->groups(times.size()),
          .seconds = std::max(0.0, each) * static_cast<double>(spec.video->frames)};
}

}  // namespace mmbatch
