#include <fmt/format.h>

#include <vector>

#include "bench/checkpoint/shapes.h"
#include "bench/inputs/pictures.h"
#include "bench/machine/costs.h"
#include "bench/workload.h"
#include "fusion/model.h"

namespace mmbatch::bench {
namespace {

void encode(Session& session, const std::string& label, const std::string& checkpoint,
            std::initializer_list<std::size_t> batches) {
  const ModelFiles files(session.checkpoint(checkpoint));
  const VisionSpec& vision = *files.spec.vision;
  std::optional<ImageStage> stage;
  session.arena().run([&] { stage.emplace(Weights(*files.weights, session.options().precision), vision); });
  const PixelValues pixels = files.images->prepare(picture(640, 480));
  Scratch scratch;
  for (const std::size_t batch : batches) {
    const std::vector<const PixelValues*> images(batch, &pixels);
    const Timing timing = session.time(5, [&] { stage->encode(images, scratch); });
    session.add({fmt::format("{} x{}", label, batch), timing, static_cast<double>(batch), "images/s",
                 vision_work(vision, batch, session)});
  }
}

}  // namespace

void run_vision(Session& session) {
  if (session.quick()) return encode(session, "tiny", "llava-tiny", {1, 2});
  if (const std::string& model = session.options().model; !model.empty())
    return encode(session, model, std::string(find_multimodal_shape(model).name), {1, 8});
  encode(session, "CLIP-L/14-336", "llava-1b", {1, 8});
  encode(session, "SigLIP-So400m/14-224", "so400m", {1, 8});
}

}  // namespace mmbatch::bench
