#include <fmt/format.h>

#include <vector>

#include "bench/checkpoint/shapes.h"
#include "bench/inputs/pictures.h"
#include "bench/inputs/scratch_folder.h"
#include "bench/machine/costs.h"
#include "bench/runs.h"
#include "bench/workload.h"
#include "engine/serve/engine.h"
#include "fusion/prompting.h"
#include "jobs/media/media.h"
#include "pipeline/stages/decode.h"
#include "vision/image/image_decode.h"

namespace mmbatch::bench {
namespace {

/// The same work as a run's, each stage for itself: nothing is read ahead, nothing overlaps, nothing is
/// stored.
class Stages {
 public:
  Stages(Session& session, const std::filesystem::path& checkpoint, const QuestionSet& set,
         const std::filesystem::path& folder)
      : session_(session), set_(set), folder_(folder) {
    session.arena().run([&] { model_ = Model::load(checkpoint, session.options().precision); });
  }

  Timing preprocess() {
    return session_.time(3, [&] {
      pixels_.resize(set_.images);
      parallel_tiles(set_.images, [&](std::size_t i) {
        Item::Image image;
        image.path = folder_ / fmt::format("{}.jpg", i);
        const auto bytes = read_image(image, {});
        pixels_[i] = model_->files().images->prepare(decode_image(std::as_bytes(std::span(bytes))));
      });
    });
  }

  Timing encode() {
    constexpr std::size_t kBatch = 8;
    return session_.time(3, [&] {
      features_.clear();
      for (std::size_t begin = 0; begin < pixels_.size(); begin += kBatch) {
        std::vector<const PixelValues*> batch;
        for (std::size_t i = begin; i < std::min(pixels_.size(), begin + kBatch); ++i)
          batch.push_back(&pixels_[i]);
        for (Features& features : model_->images()->encode(batch, scratch_).projected)
          features_.push_back(std::move(features));
      }
    });
  }

  /// Tokens, prompts and answers.
  Timing answer() {
    return session_.time(3, [&] {
      EngineOptions options;
      options.kv_precision = session_.options().kv_precision;
      Engine engine(model_->decoder(), vocabulary_of(*model_), options);
      for (std::size_t i = 0; i < set_.images; ++i) {
        for (std::size_t q = 0; q < set_.questions_an_image; ++q) engine.submit(request(i, q));
      }
      while (engine.step()) {
      }
    });
  }

  const Model& model() const { return *model_; }

 private:
  Request request(std::size_t image, std::size_t question) {
    const Message message{Role::user, question_text(question), 1};
    const std::vector<EncodedImage> images{{features_[image], image + 1}};
    GenerationConfig generation;
    generation.max_new_tokens = kAnswerTokens;
    generation.ignore_eos = true;
    Request made = make_request(*model_, Prompting(model_->files())({&message, 1}, images), generation);
    made.on_done = [](const Result<Completion>& done) {
      if (!done) throw UsageError(done.error().message);
    };
    return made;
  }

  Session& session_;
  const QuestionSet& set_;
  const std::filesystem::path& folder_;
  std::shared_ptr<const Model> model_;
  std::vector<PixelValues> pixels_;
  std::vector<Features> features_;
  Scratch scratch_;
};

/// What a run cannot do without: its images, its prompt tokens that are not shared, and the weights once for
/// every answer token of the longest answer.
Work run_work(const ModelSpec& spec, const QuestionSet& set, const RunFigures& figures,
              const Session& session) {
  Work work = vision_work(*spec.vision, set.images, session);
  const double items = static_cast<double>(set.images * set.questions_an_image);
  const double image_tokens = static_cast<double>(spec.vision->encoder.feature_tokens());
  DecoderStep prefill{figures.computed_prompt_tokens, figures.computed_prompt_tokens * image_tokens / 2, 0,
                      items};
  DecoderStep decode{figures.answer_tokens - items, (figures.answer_tokens - items) * image_tokens, 0,
                     figures.answer_tokens - items};
  const Work first = decoder_work(spec.decoder, prefill, session);
  const Work then = decoder_work(spec.decoder, decode, session);
  work.operations += first.operations + then.operations;
  work.attention += first.attention + then.attention;
  work.bytes += first.bytes + then.bytes * (kAnswerTokens - 1);
  return work;
}

void measure_case(Session& session, const std::string& label, const QuestionSet& set) {
  const auto checkpoint =
      session.checkpoint(std::string(find_multimodal_shape(session.model("llava-1b")).name));
  const ScratchFolder folder(session.options().scratch);
  const auto manifest = write_questions(set, checkpoint, folder.path());
  const std::size_t repeats = session.options().repeat > 0 ? session.options().repeat
                              : session.quick()            ? 1
                                                           : 3;
  const std::vector<RunFigures> runs = run_questions(manifest, run_options(session), repeats);
  std::vector<double> seconds;
  for (const RunFigures& run : runs) seconds.push_back(run.seconds);

  Stages stages(session, checkpoint, set, folder.path());
  const Timing parts[] = {stages.preprocess(), stages.encode(), stages.answer()};
  Timing sum;
  for (const Timing& part : parts) sum = {sum.median + part.median, sum.min + part.min, sum.max + part.max};
  const auto images = static_cast<double>(set.images);
  const Work work = run_work(stages.model().spec(), set, runs.front(), session);
  session.add({label + ": run", timing_of(seconds), images, "images/s", work});
  session.add({label + ": its stages alone", sum, images, "images/s", work});
  const char* const names[] = {"preprocessing", "encoder", "engine"};
  for (std::size_t i = 0; i < std::size(parts); ++i)
    session.add({label + ": " + names[i] + " alone", parts[i], images, "images/s", {}});
  session.say(fmt::format("{}: a run takes {:.2f} times what its stages take for themselves", label,
                          timing_of(seconds).median / sum.median));
}

}  // namespace

void run_pipeline(Session& session) {
  QuestionSet set;
  set.images = session.quick() ? 2 : 8;
  set.width = session.quick() ? 64 : 1280;
  set.height = session.quick() ? 48 : 960;
  measure_case(session, session.case_of_model("1 question an image"), set);
  set.images = session.quick() ? 1 : 2;
  set.questions_an_image = session.quick() ? 2 : 8;
  measure_case(session, session.case_of_model("8 questions an image"), set);
}

}  // namespace mmbatch::bench
