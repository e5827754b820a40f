#include "pipeline/ask.h"

#include <memory>
#include <ostream>
#include <span>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "jobs/hash.h"
#include "jobs/manifest.h"
#include "jobs/media.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/store.h"
#include "text/stream_decoder.h"
#include "vision/image_decode.h"

namespace mmbatch {
namespace {

/// A manifest of one job and its only item, so that a question takes the same way as a million of them.
Manifest manifest_of(const AskOptions& options) {
  Job job;
  job.name = "ask";
  job.task = options.task;
  job.form = options.form;
  job.turn_format = options.turn_format;
  job.system = options.system;
  Manifest manifest;
  manifest.jobs.push_back(std::move(job));
  return manifest;
}

Item item_of(const AskOptions& options) {
  Item item;
  item.task = options.task;
  item.form = options.form;
  item.prompt = options.prompt;
  for (const auto& path : options.images) {
    Item::Image image;
    image.written = path.string();
    image.path = path;
    item.images.push_back(std::move(image));
  }
  return item;
}

std::vector<EncodedImage> encode_images(const Model& model, const Item& item) {
  std::vector<PixelValues> pixels;
  std::vector<std::uint64_t> keys;
  for (const Item::Image& image : item.images) {
    const std::vector<unsigned char> bytes = read_image(image);
    const std::string sha = sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    keys.push_back(std::stoull(sha.substr(0, 16), nullptr, 16));
    pixels.push_back(model.images()->preprocess(decode_image(std::as_bytes(std::span(bytes)))));
  }
  std::vector<const PixelValues*> all;
  for (const PixelValues& one : pixels) all.push_back(&one);
  Scratch scratch;
  std::vector<EncodedImage> encoded;
  if (all.empty()) return encoded;
  const ImageStage::Encoded features = model.images()->encode(all, scratch);
  for (std::size_t i = 0; i < all.size(); ++i) encoded.push_back({features.projected[i], keys[i]});
  return encoded;
}

/// Streaming shows certain text only; with stop strings, choices or several answers that is known at the end.
bool streams(const GenerationConfig& generation) {
  return generation.stop_strings.empty() && generation.choices.empty() && generation.num_beams == 1 &&
         generation.num_return_sequences == 1;
}

}  // namespace

void ask(const AskOptions& options, std::ostream& out) {
  options.engine.validate();
  const Manifest manifest = manifest_of(options);
  const Item item = item_of(options);
  Arena arena(options.threads);
  std::shared_ptr<const Model> model;
  arena.run([&] { model = Model::load(options.model); });
  if (!item.images.empty() && model->images() == nullptr) {
    throw UsageError("--image: the model is text-only");
  }
  const GenerationSurroundings around{model->files().generation, options.generation};
  const GenerationConfig generation = generation_of(manifest, item, around);

  std::shared_ptr<const Prompt> prompt;
  arena.run([&] {
    const std::string text = EncodeText(model->files(), manifest).prompt_text(item);
    prompt = compose(model->spec(), model->files().encode_prompt(text), encode_images(*model, item));
  });

  Engine engine(model->decoder(), vocabulary_of(*model), options.engine);
  StreamDecoder stream(model->tokenizer());
  const bool streamed = streams(generation);
  Request request = make_request(*model, prompt, generation);
  if (streamed) {
    request.on_token = [&](std::size_t, std::int32_t token) { out << stream.push(token) << std::flush; };
  }
  Result<Completion> done;
  request.on_done = [&](Result<Completion> completion) { done = std::move(completion); };
  engine.submit(std::move(request));
  arena.run([&] {
    while (engine.step()) {
    }
  });
  if (!done) throw ItemError(done.error().code, done.error().message);
  if (streamed) {
    out << stream.finish() << "\n";
    return;
  }
  for (const Answer& answer : done.value().answers) {
    out << answer_text(model->tokenizer(), answer, generation) << "\n";
    if (!generation.choices.empty()) break;
  }
}

}  // namespace mmbatch
