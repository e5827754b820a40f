// Keys of preprocessor_config.json, and of processor_config.json, which has them in `image_processor`.

#include <algorithm>
#include <utility>

#include "fusion/keys/known_keys.h"

namespace mmbatch {
namespace {

/// Keys of all classes of image processors.
const KnownKeys& all_keys() {
  static const KnownKeys known = {
      .honoured = {"do_resize",
                   "size",
                   "resample",
                   "do_center_crop",
                   "crop_size",
                   "do_rescale",
                   "rescale_factor",
                   "do_normalize",
                   "image_mean",
                   "image_std",
                   "do_pad",
                   "image_processor_type",
                   "image_grid_pinpoints",
                   "max_image_size",
                   "min_patches",
                   "max_patches",
                   "do_image_splitting",
                   "min_pixels",
                   "max_pixels",
                   "merge_size",
                   "max_soft_tokens",
                   "pooling_kernel_size",
                   "downsample_factor",
                   "encoder_patch_size",
                   "min_image_tokens",
                   "max_image_tokens",
                   "max_pixels_tolerance",
                   "min_tiles",
                   "max_tiles",
                   "tile_size",
                   "use_thumbnail",
                   "background_color",
                   "temporal_patch_size"},
      .without_effect =
          {{"pictures are RGB before they come here", {"do_convert_rgb"}},
           {"who wrote the file, and for whom",
            {"processor_class", "feature_extractor_type", "auto_map", "transformers_version", "_commit_hash",
             "_valid_processor_keys", "_processor_class", "image_processor_class", "tokenizer_class"}},
           {"how transformers computes, not what",
            {"device", "disable_grouping", "return_tensors", "data_format", "input_data_format", "backend",
             "num_channels", "return_row_col_info", "max_num_patches"}},
           {"rows of an image are counted from config.json", {"image_seq_length", "patch_size"}},
           {"other kinds of input", {"video_sampling"}},
           {"whether it tiles is what the processor's class says, but where there is a tile_size",
            {"crop_to_patches"}},
           {"without do_pan_and_scan, which the processor's class turns off",
            {"do_pan_and_scan", "pan_and_scan_max_num_crops", "pan_and_scan_min_crop_size",
             "pan_and_scan_min_ratio_to_activate"}},
           {"a side's default where `size` is one number, which is read as the published classes read it",
            {"default_to_square", "do_sample_frames"}}},
      .only_at = {{"pad_size", {}},
                  {"do_thumbnail", {"false"}},
                  {"do_align_long_axis", {"false"}},
                  {"do_crop_margin", {"false"}},
                  {"do_flip_channel_order", {"false"}},
                  {"do_reduce_labels", {"false"}},
                  {"do_grayscale", {"false"}},
                  {"do_equalize", {"false"}},
                  {"crop_pct", {}},
                  {"rescale_offset", {"false"}},
                  {"offset", {"false"}}}};
  return known;
}

/// Keys that some classes alone read.
struct Own {
  std::vector<std::string_view> keys;
  bool (*counts)(const ImageForm& form);
};

template <class... Forms>
bool is_any(const ImageForm& form) {
  return (std::holds_alternative<Forms>(form) || ...);
}

const std::vector<Own>& own_keys() {
  static const std::vector<Own> own = {
      {{"image_grid_pinpoints"}, is_any<WholeAndTiles>},
      {{"max_image_size"}, is_any<TilesAndWhole>},
      {{"do_image_splitting"}, is_any<TilesAndWhole, OwnShapeOrTiles>},
      {{"min_patches", "max_patches"}, is_any<TilesAndWhole, TilesAndPaddedWhole>},
      {{"tile_size"}, is_any<OwnShapeOrTiles, TilesAndPaddedWhole>},
      {{"background_color"}, is_any<TilesAndPaddedWhole>},
      {{"min_pixels", "max_pixels", "merge_size", "temporal_patch_size"}, is_any<OwnShape>},
      {{"max_soft_tokens", "pooling_kernel_size"}, is_any<SoftTokens>},
      {{"downsample_factor", "encoder_patch_size", "min_image_tokens", "max_image_tokens",
        "max_pixels_tolerance", "min_tiles", "max_tiles", "use_thumbnail"},
       is_any<OwnShapeOrTiles>}};
  return own;
}

}  // namespace

KnownKeys image_processor_keys(const ImageForm& form) {
  KnownKeys known = all_keys();
  const auto drop = [&](std::string_view key) { std::erase(known.honoured, key); };
  for (const Own& own : own_keys()) {
    if (!own.counts(form)) std::for_each(own.keys.begin(), own.keys.end(), drop);
  }
  const auto ignore = [&](std::string_view reason, std::vector<std::string_view> keys) {
    std::for_each(keys.begin(), keys.end(), drop);
    known.without_effect.push_back({reason, std::move(keys)});
  };
  if (is_any<OwnShape, SoftTokens, OwnShapeOrTiles, TilesAndPaddedWhole>(form))
    ignore("these classes of image processors do not crop, whatever their files say (transformers 5.23)",
           {"do_center_crop", "crop_size"});
  if (is_any<OwnShape, SoftTokens>(form))
    ignore("these classes do not pad what keeps its own shape", {"do_pad"});
  if (is_any<SoftTokens>(form)) ignore("max_soft_tokens says how large pictures become", {"size"});
  if (is_any<OwnShapeOrTiles>(form))
    ignore("tile_size and max_image_tokens say how large pictures become", {"size"});
  return known;
}

const KnownKeys& video_processor_keys() {
  static const KnownKeys known = [] {
    KnownKeys keys = all_keys();
    keys.honoured.insert(keys.honoured.end(), {"video_sampling", "cap_pixels_per_frame", "max_video_tokens",
                                               "video_processor_type"});
    keys.without_effect.push_back({"which frames are shown is what an item says",
                                   {"fps", "num_frames", "min_frames", "max_frames", "max_duration",
                                    "return_metadata", "video_metadata"}});
    keys.without_effect.push_back({"frames of one video have one size", {"do_center_crop", "crop_size"}});
    return keys;
  }();
  return known;
}

const KnownKeys& processor_keys() {
  static const KnownKeys known = {
      .honoured = {"image_processor", "use_image_special_tokens", "video_processor"},
      .without_effect = {{"who wrote the file, and for whom",
                          {"processor_class", "auto_map", "transformers_version"}},
                         {"rows and placeholders of an image are counted from config.json",
                          {"patch_size", "downsample_ratio", "image_token", "image_token_id",
                           "image_seq_length", "image_seq_len", "image_break_token", "image_end_token",
                           "spatial_merge_size", "vision_feature_select_strategy",
                           "num_additional_image_tokens"}},
                         {"regions are read as `regions` says", {"post_processor_config"}},
                         {"other kinds of input",
                          {"video_token", "feature_extractor", "audio_seq_length", "audio_ms_per_token"}}},
      .only_at = {}};
  return known;
}

}  // namespace mmbatch
