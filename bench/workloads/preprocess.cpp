#include <fmt/format.h>

#include "bench/inputs/pictures.h"
#include "bench/workload.h"
#include "engine/base/threads.h"
#include "vision/image/image_decode.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch::bench {

void run_preprocess(Session& session) {
  const int width = session.quick() ? 160 : 4000, height = session.quick() ? 120 : 3000;
  std::optional<Preprocessor> preprocessor;
  // The published steps to 336 pixels, whatever the checkpoint at hand takes.
  preprocessor.emplace(Config::parse(R"({"size": {"shortest_edge": 336}, "crop_size": 336, "resample": 3,
      "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]})",
                                     "preprocessor_config.json"));
  const Image image = picture(width, height);
  const std::vector<std::byte> file = jpeg(image);
  const double megapixels = width * height / 1e6;
  const auto add = [&](const char* name, double images, const Timing& timing) {
    session.add({fmt::format("{}, {:.1f} megapixels", name, megapixels), timing, images, "images/s", {}});
  };
  add("decode a JPEG", 1, session.time(5, [&] { decode_image(file); }));
  add("resize, crop, normalise", 1, session.time(5, [&] { preprocessor->pixel_values(image); }));
  const auto threads = static_cast<std::size_t>(session.arena().threads());
  add("both, one image per thread", static_cast<double>(threads), session.time(5, [&] {
    parallel_tiles(threads, [&](std::size_t) { preprocessor->pixel_values(decode_image(file)); });
  }));
}

}  // namespace mmbatch::bench
