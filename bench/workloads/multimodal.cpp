#include <fmt/format.h>

#include <memory>

#include "bench/inputs/decoder_steps.h"
#include "bench/inputs/pictures.h"
#include "bench/machine/costs.h"
#include "bench/machine/memory.h"
#include "bench/multimodal/models.h"
#include "bench/workload.h"
#include "engine/serve/engine.h"
#include "fusion/compose.h"
#include "fusion/family.h"
#include "fusion/image_stage.h"
#include "pipeline/inspect/model_memory.h"

namespace mmbatch::bench {
namespace {

constexpr std::size_t kQuestionTokens = 32;
constexpr std::size_t kAnswer = 8;

Work sum(const Work& a, const Work& b) {
  return {a.operations + b.operations, a.bytes + b.bytes};
}

/// A model of random numbers, its picture, and what is measured of them.
class Measuring {
 public:
  Measuring(Session& session, const MultimodalModel& model, const ImageBudget& budget)
      : session_(session),
        name_(model.name),
        tower_(fmt::format("{} of {} layers", model.tower_layers, model.of_tower_layers)),
        layers_(fmt::format("{} of {} layers", model.layers, model.of_layers)) {
    session.say(fmt::format("{}: random weights", name_));
    source_ = std::make_shared<const RandomSource>(model.files(model), model.tensors(model));
    spec_ = find_family(source_->config()).parse(source_->config(), *source_);
    const auto before = static_cast<double>(resident_bytes());
    session.arena().run([&] {
      const Weights weights(*source_, session.options().precision);
      stage_.emplace(weights, *spec_.vision);
      decoder_ = std::make_shared<const Decoder>(weights, spec_.decoder, spec_.decoder_names);
    });
    const auto computed = static_cast<double>(weight_bytes(*source_, spec_, session.options().precision));
    // The table of embeddings is read where it lies, in the source.
    const auto table =
        static_cast<double>(source_->tensor(spec_.decoder_names.embedding + ".weight").bytes());
    const double held = static_cast<double>(resident_bytes()) - before + table;
    session.say(fmt::format("{}: {}", name_, memory_text(held, computed)));
    const ImagePreparation images(*source_, *spec_.vision);
    pixels_ = images.prepare(picture(640, 480), budget);
    rows_ = images.tokens(640, 480, budget);
  }

  void encode() {
    const Timing timing = session_.time(3, [&] { encoded(); });
    session_.add({fmt::format("{}, image of {} tokens, {}", name_, rows_, tower_), timing, 1, "images/s",
                  image_work(*spec_.vision, pixels_, rows_, session_)});
  }

  void prefill(std::size_t tokens) {
    DecoderSteps steps(session_, decoder_, tokens, 1);
    const Timing timing = steps.time(session_, 3, 1, 0, tokens);
    const auto n = static_cast<double>(tokens);
    session_.add({fmt::format("{}, prefill of {}, {}", name_, tokens, layers_), timing, n, "tokens/s",
                  decoder_work(steps.config(), prefill_step(1, n), session_)});
  }

  void decode(std::size_t most, std::size_t context) {
    DecoderSteps steps(session_, decoder_, most * (context + 32), most);
    for (const std::size_t sequences : {std::size_t{1}, most}) {
      const Timing timing = steps.time(session_, 5, sequences, context, 1);
      const auto n = static_cast<double>(sequences);
      session_.add({fmt::format("{}, decode x{} at {}, {}", name_, sequences, context, layers_), timing, n,
                    "tokens/s",
                    decoder_work(steps.config(), decode_step(n, static_cast<double>(context)), session_)});
    }
  }

  /// From a picture that is prepared to all answers, through the engine.
  void ask(std::size_t questions) {
    EngineOptions options;
    options.kv_bytes = std::size_t{1} << 29;
    options.kv_precision = session_.kv_precision();
    Engine engine(decoder_, {.limit = spec_.decoder.vocab, .suppressed = {}, .eos = spec_.eos}, options);
    const Timing timing = session_.time(2, [&] {
      const EncodedImage image{encoded(), ++image_};
      for (std::size_t i = 0; i < questions; ++i) engine.submit(question(image, i));
      while (engine.step()) {
      }
    });
    const auto n = static_cast<double>(questions), text = static_cast<double>(kQuestionTokens),
               rows = static_cast<double>(rows_), all = rows + text;
    // The image and the first question, then the other questions behind the image.
    const DecoderStep prompt{.rows = rows + n * text,
                             .attended = all * (all + 1) / 2 + (n - 1) * text * (rows + (text + 1) / 2),
                             .cached = rows + n * text,
                             .logit_rows = n};
    Work work = sum(image_work(*spec_.vision, pixels_, rows_, session_),
                    decoder_work(spec_.decoder, prompt, session_));
    for (std::size_t i = 1; i < kAnswer; ++i)
      work = sum(work, decoder_work(spec_.decoder, decode_step(n, all + static_cast<double>(i)), session_));
    session_.add({fmt::format("{}, {} question{} an image, {} and {}", name_, questions,
                              questions == 1 ? "" : "s", tower_, layers_),
                  timing, n, "answers/s", work});
  }

 private:
  Features encoded() {
    const PixelValues* const one[] = {&pixels_};
    return stage_->encode(one, scratch_).projected.front();
  }

  Request question(const EncodedImage& image, std::size_t number) const {
    std::vector<std::int32_t> ids{spec_.image_token_id};
    for (std::size_t i = 0; i < kQuestionTokens; ++i)
      ids.push_back(static_cast<std::int32_t>(300 + (number * kQuestionTokens + i) * 37 % 30000));
    Request request;
    request.prompt = compose(spec_, ids, std::span(&image, 1));
    request.generation.max_new_tokens = static_cast<int>(kAnswer);
    request.generation.ignore_eos = true;
    request.on_done = [](const Result<Completion>& done) {
      if (!done) throw std::runtime_error(done.error().message);
    };
    return request;
  }

  Session& session_;
  std::string name_, tower_, layers_;
  std::shared_ptr<const RandomSource> source_;
  ModelSpec spec_;
  std::optional<ImageStage> stage_;
  std::shared_ptr<const Decoder> decoder_;
  PixelValues pixels_;
  std::size_t rows_ = 0;
  std::uint64_t image_ = 0;
  Scratch scratch_;
};

}  // namespace

void run_multimodal(Session& session) {
  if (session.quick()) {
    MultimodalModel model = find_multimodal_model("smolvlm-256m");
    model.layers = model.tower_layers = 1;
    Measuring measuring(session, model, {.max_tokens = 64});
    measuring.encode();
    measuring.prefill(48);
    measuring.decode(2, 64);
    return measuring.ask(2);
  }
  const std::string& wanted = session.options().model;
  if (!wanted.empty()) find_multimodal_model(wanted);
  for (const MultimodalModel& model : multimodal_models()) {
    if (!wanted.empty() && model.name != wanted) continue;
    Measuring measuring(session, model, {});
    measuring.encode();
    measuring.prefill(512);
    measuring.decode(16, 1024);
    measuring.ask(1);
    measuring.ask(8);
  }
}

}  // namespace mmbatch::bench
