#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/base/model_place.h"
#include "engine/base/threads.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/serve/engine.h"
#include "fusion/model.h"
#include "jobs/item/item.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/reasoning.h"

namespace mmbatch {

/// A model, images, and how to talk about them: without a manifest or a database.
struct DialogueOptions {
  ModelPlace model;
  Task task = Task::vqa;
  std::vector<std::filesystem::path> images;
  TruncatedImages truncated_images = TruncatedImages::fail;
  PromptForm form = PromptForm::turns;
  std::string turn_format;  // empty: the model's own
  std::string system;
  ImageBudget image_budget;
  TemplateVariables template_variables;  // chat_template_kwargs
  std::optional<std::tm> template_time;  // none: now
  GenerationOverrides generation;
  SettingFiles generation_files;  // that options of `generation` name
  PrecisionWish precision = Automatic::floats;
  EngineOptions engine;
  int threads = 0;  // 0: one per core
};

/// Questions and answers about some images, in one engine. The history is kept as token ids, exactly those
/// that were read and generated, as long as the turn format writes earlier turns as they were: a turn then
/// finds the blocks of all turns before it in the engine's cache and computes only what is new (but at most a
/// block more). Not thread-safe.
class Dialogue {
 public:
  /// Loads the model and encodes the images.  @throws FatalError, ItemError
  explicit Dialogue(const DialogueOptions& options);

  /// Asks the next question and writes the answer's text to `out` as it comes, with a newline at the end;
  /// several answers are written one after the other, and the first is what the dialogue continues with. What
  /// the model thinks before it goes to `notes`.
  /// @throws ItemError; the dialogue then is as it was before the question
  Completion ask(const std::string& question, std::ostream& out, std::ostream& notes);
  /// What is wrong with the answers, if something is: one was cut before it fits what it is held to.
  std::optional<AnswerCheck::Fault> fault(const Completion& completion) const;
  /// Forgets all questions and answers, but not the images.
  void reset();

 private:
  struct Next {
    std::string text;
    std::vector<std::int32_t> ids;
  };
  Next next(const Item& item) const;
  std::optional<std::string> behind_answer(const std::string& text) const;
  Completion run(Request request);
  Completion answer(Request request, std::ostream& out, std::ostream& notes);
  void write_answers(const Completion& completion, std::ostream& out, std::ostream& notes) const;
  std::string thoughts_of(const Answer& answer) const;

  Manifest manifest_;  // of one job, so that a question takes the same way as a million of them
  Item item_;          // the dialogue so far; before the first question its images alone
  Arena arena_;
  std::shared_ptr<const Model> model_;
  GenerationConfig generation_;
  std::unique_ptr<Constraints> constraints_;
  std::unique_ptr<const EncodeText> encode_text_;
  std::shared_ptr<const ReasoningFormat> reasoning_;  // null: the model does not think
  std::vector<EncodedImage> images_;
  std::unique_ptr<Engine> engine_;
  // Up to the last answer's end: the prompt's text, the answer, and the ids of both, with one placeholder for
  // each image.
  std::string text_, answer_;
  std::vector<std::int32_t> history_;
};

}  // namespace mmbatch
