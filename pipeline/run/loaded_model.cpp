#include "pipeline/run/loaded_model.h"

#include <fmt/format.h>

#include <new>

#include "pipeline/run/tasks.h"
#include "pipeline/run/together.h"
#include "vision/image/image_decode.h"

namespace mmbatch {

const Model& LoadedModel::in(const ModelPlace& place, const Manifest& manifest, const RunOptions& options,
                             Arena& arena) {
  if (model_ && place_ == place) {
    check_tasks(manifest, model_->files());
    return *model_;
  }
  const auto begin = Clock::now();
  model_.reset();
  const auto files = std::make_shared<const ModelFiles>(place);
  check_tasks(manifest, *files);
  if (files->images) load_image_decoder();  // what is lacking is told before the weights are read
  choice_ = choose_precision(*files->weights, options.precision);
  const Precision precision = choice_.precision;
  try {
    arena.run([&] { model_ = load_together(files, precision, options.slices); });
  } catch (const std::bad_alloc&) {
    throw ModelError(
        fmt::format("{}: out of memory while the weights are loaded as {}; fewer bytes are "
                    "needed with --precision int8 or w4a16",
                    place.model.string(), to_string(precision)));
  }
  place_ = place;
  seconds_ = milliseconds_since(begin) / 1000;
  return *model_;
}

}  // namespace mmbatch
