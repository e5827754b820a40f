#include "pipeline/dialogue/dialogue.h"

#include <fmt/format.h>

#include <ostream>
#include <span>
#include <utility>

#include "engine/base/output/message.h"
#include "engine/base/result.h"
#include "engine/base/sha256.h"
#include "engine/base/text/utf8.h"
#include "jobs/manifest/setting_notes.h"
#include "jobs/media/media.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_text.h"
#include "pipeline/constraint/answer_lengths.h"
#include "pipeline/run/outputs.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/images/image_names.h"
#include "pipeline/stages/store.h"
#include "vision/image/image_decode.h"

namespace mmbatch {
namespace {

Manifest manifest_of(const DialogueOptions& options) {
  Job job;
  job.task = options.task;
  job.form = options.form;
  job.turn_format = options.turn_format;
  job.system = options.system;
  Manifest manifest;
  manifest.jobs.push_back(std::move(job));
  manifest.command_line_variables = options.template_variables;
  manifest.template_time = options.template_time;
  return manifest;
}

Item item_of(const DialogueOptions& options) {
  Item item;
  item.task = options.task;
  item.form = options.form;
  for (const auto& path : options.images) {
    Item::Image image;
    image.written = path.string();
    image.path = path;
    item.images.push_back(std::move(image));
  }
  return item;
}

std::vector<EncodedImage> encode_images(const Model& model, const Item& item,
                                        const DialogueOptions& options) {
  ImageLimits limits;
  limits.truncated = options.truncated_images;
  std::vector<PixelValues> pixels;
  std::vector<PrefixKey> keys;
  for (std::size_t i = 0; i < item.images.size(); ++i) {
    const std::vector<unsigned char> bytes = read_image(item.images[i]);
    keys.push_back(key_of_digest(sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()})));
    pixels.push_back(naming(name_in_messages(item, i), [&] {
      const Image image = decode_image(std::as_bytes(std::span(bytes)), limits);
      return model.files().images->prepare(image, options.image_budget);
    }));
  }
  std::vector<const PixelValues*> all;
  for (const PixelValues& one : pixels) all.push_back(&one);
  std::vector<EncodedImage> encoded;
  if (all.empty()) return encoded;
  Scratch scratch;
  const ImageStage::Encoded features = model.images()->encode(all, scratch);
  for (std::size_t i = 0; i < all.size(); ++i) encoded.push_back({features.projected[i], keys[i]});
  return encoded;
}

/// Settings that a dialogue has no place for.
void check_settings(const DialogueOptions& options) {
  if (options.form == PromptForm::raw && (!options.system.empty() || !options.turn_format.empty())) {
    throw UsageError(fmt::format("{} would be dropped: the text is sent as it is, without turns",
                                 options.system.empty() ? "--turn-format" : "--system"));
  }
  GenerationConfig asked;
  mmbatch::apply(asked, options.generation);
  if (asked.logprobs || asked.top_logprobs > 0) {
    throw UsageError(
        "--logprobs, --top-logprobs: are kept in a database, which only `mmbatch run` writes: leave them "
        "out");
  }
}

/// Streaming shows certain text only; with stop strings, choices or several answers that is known at the end.
bool streams(const GenerationConfig& generation) {
  return generation.stop_strings.empty() && generation.choices.empty() && generation.num_beams == 1 &&
         generation.num_return_sequences == 1;
}

/// That nothing is written into a file that is read, and that images can be decoded if there are any.
void check_files(const DialogueOptions& options) {
  FileRoles files;
  reads_model(files, options.model);
  for (const auto& image : options.images) files.reads("--image", image);
  for (const SettingFile& file : options.generation_files) files.reads("the file of an option,", file.path);
  files.reads_turn_format(options.turn_format);
  files.reads_standard_input();
  files.check();
  if (!options.images.empty()) load_image_decoder();
}

/// That the model's images can keep to a budget, as run and validate say of a job.
void check_budget(const ModelFiles& files, const ImageBudget& budget) {
  if (!files.images) return;
  const auto possible = guarded([&] { return files.images->check(budget), true; });
  if (!possible) throw UsageError(fmt::format("{} ({})", possible.error().message, files.folder.string()));
}

/// That an answer can come to its end at all, before weights are read and a part of it is written.
void check_room(const ModelFiles& files, const GenerationConfig& generation) {
  try {
    AnswerLengths(files.tokenizer).check(generation);
  } catch (const ItemError& e) {
    throw UsageError(e.what());
  }
}

}  // namespace

Dialogue::Dialogue(const DialogueOptions& options)
    : manifest_(manifest_of(options)), item_(item_of(options)), arena_(options.threads) {
  options.engine.validate();
  check_settings(options);
  check_files(options);
  for (const std::string& warning :
       check_constraints(manifest_, options.generation, options.generation_files))
    say(warning);
  const auto files = std::make_shared<const ModelFiles>(options.model);
  if (files->spec.dual) {
    throw UsageError(
        fmt::format("{}: {} is a dual encoder, which compares images and texts and writes "
                    "nothing; it serves `mmbatch run` with the tasks classify and embed",
                    options.model.model.string(), files->spec.family));
  }
  generation_ = generation_of(manifest_, item_, {files->generation, options.generation});
  for (const std::string& note : idle_options(options.generation, generation_)) say(note);
  check_room(*files, generation_);
  check_budget(*files, options.image_budget);
  arena_.run([&] {
    model_ =
        std::make_shared<const Model>(files, choose_precision(*files->weights, options.precision).precision);
  });
  if (!item_.images.empty() && model_->images() == nullptr) {
    throw UsageError("--image: the model is text-only");
  }
  if (item_.form == PromptForm::turns) reasoning_ = reasoning_of(manifest_.jobs.front(), model_->files());
  encode_text_ = std::make_unique<const EncodeText>(
      model_->files(), manifest_, manifest_.template_time.value_or(read_time(utc_now()).value()));
  constraints_ = std::make_unique<Constraints>(model_->files().tokenizer);
  arena_.run([&] { images_ = encode_images(*model_, item_, options); });
  engine_ = std::make_unique<Engine>(model_->decoder(), vocabulary_of(*model_), options.engine);
}

void Dialogue::reset() {
  history_.clear();
  item_.messages.clear();
}

/// What a dialogue's text has behind the last answer; none when it is not as it was read and generated.
std::optional<std::string> Dialogue::behind_answer(const std::string& text) const {
  if (!text.starts_with(text_)) return std::nullopt;
  // Templates put white space around an answer, or trim its own.
  std::string_view rest = std::string_view(text).substr(text_.size());
  const std::string_view answer = strip_left(strip_right(answer_));
  if (!answer.empty()) rest = strip_left(rest);
  if (!rest.starts_with(answer)) return std::nullopt;
  return std::string(rest.substr(answer.size()));
}

Dialogue::Next Dialogue::next(const Item& item) const {
  const RenderedPrompt prompt = encode_text_->prompt(item);
  std::optional<std::string> rest;
  if (!history_.empty()) rest = item.form == PromptForm::raw ? prompt.text : behind_answer(prompt.text);
  if (!rest) return {prompt.text, encode_text_->ids(prompt, item)};
  Next next{prompt.text, history_};
  const std::vector<std::int32_t> ids = encode_text_->following_ids(*rest);
  next.ids.insert(next.ids.end(), ids.begin(), ids.end());
  return next;
}

Completion Dialogue::ask(const std::string& question, std::ostream& out, std::ostream& notes) {
  if (model_->encoder() != nullptr && !history_.empty()) {
    throw ItemError(
        ErrorCode::unsupported,
        fmt::format("{} reads one question with its image and remembers no other; /reset before the "
                    "next one, or ask with `mmbatch ask`",
                    model_->spec().family));
  }
  Item item = item_;
  item.prompt = question;
  if (item.form == PromptForm::turns) {
    const std::size_t images = item.messages.empty() ? item.images.size() : 0;
    item.messages.push_back({.role = "user", .content = question, .images = images});
  }
  Next now;
  Request request;
  arena_.run([&] {
    now = next(item);
    request = make_request(*model_, model_->compose(now.ids, images_), generation_);
    request.constraint = constraints_->of(generation_, model_->spec().eos);
    add_reasoning(request, *model_, reasoning_);
  });
  Completion completion = answer(std::move(request), out, notes);
  const Answer& first = completion.answers.front();
  history_ = std::move(now.ids);
  for (const auto* tokens : {&first.thoughts.tokens, &first.tokens})
    history_.insert(history_.end(), tokens->begin(), tokens->end());
  text_ = std::move(now.text);
  answer_ = answer_text(model_->tokenizer(), first, generation_);
  if (item_.form == PromptForm::raw) return completion;
  item_.messages = std::move(item.messages);
  item_.messages.push_back({.role = "assistant", .content = answer_});
  if (const std::string thoughts = thoughts_of(first); !thoughts.empty())
    item_.messages.back().other = fmt::format(R"({{"reasoning_content":{}}})", json_string(thoughts));
  return completion;
}

std::optional<AnswerCheck::Fault> Dialogue::fault(const Completion& completion) const {
  AnswerCheck check;
  for (const Answer& answer : completion.answers) {
    const std::string text = answer_text(model_->tokenizer(), answer, generation_);
    if (auto fault = check.fault(generation_, text, answer)) return fault;
    if (!generation_.choices.empty()) break;  // the likeliest is the answer
  }
  return std::nullopt;
}

/// The answer, written as it comes where that can be.
Completion Dialogue::answer(Request request, std::ostream& out, std::ostream& notes) {
  if (!request.choices.empty() && request.reasoning) {
    Completion thinking = run(thinking_request(request));
    arena_.run([&] { request = behind_thoughts(*model_, std::move(request), thinking); });
    Completion completion = run(std::move(request));
    count_thoughts(completion, thinking);
    write_answers(completion, out, notes);
    return completion;
  }
  if (!streams(generation_)) {
    Completion completion = run(std::move(request));
    write_answers(completion, out, notes);
    return completion;
  }
  AnswerStream stream(model_->files().tokenizer, reasoning_, request.reasoning);
  bool thinking = false;
  const auto write = [&](const AnswerStream::Piece& piece) {
    if (!piece.thoughts.empty()) {
      notes << (thinking ? "" : "[thinking] ") << piece.thoughts << std::flush;
      thinking = true;
    }
    if (piece.answer.empty()) return;
    if (std::exchange(thinking, false)) notes << std::endl;
    out << piece.answer << std::flush;
  };
  request.on_token = [&](std::size_t, std::int32_t token) { write(stream.push(token)); };
  Completion completion = run(std::move(request));
  write(stream.finish());
  if (thinking) notes << std::endl;
  out << std::endl;
  return completion;
}

Completion Dialogue::run(Request request) {
  Result<Completion> done;
  request.on_done = [&done](Result<Completion> completion) { done = std::move(completion); };
  engine_->submit(std::move(request));
  arena_.run([&] {
    while (engine_->step()) {
    }
  });
  if (!done) throw ItemError(done.error().code, done.error().message);
  return std::move(done.value());
}

std::string Dialogue::thoughts_of(const Answer& answer) const {
  if (reasoning_ == nullptr) return {};
  const Thoughts& thoughts = answer.thoughts;
  return reasoning_text(model_->tokenizer(), *reasoning_,
                        std::span(thoughts.tokens).subspan(thoughts.begin, thoughts.end - thoughts.begin));
}

void Dialogue::write_answers(const Completion& completion, std::ostream& out, std::ostream& notes) const {
  for (const Answer& answer : completion.answers) {
    if (const std::string thoughts = thoughts_of(answer); !thoughts.empty())
      notes << "[thinking] " << thoughts << std::endl;
    out << answer_text(model_->tokenizer(), answer, generation_) << std::endl;
    if (!generation_.choices.empty()) break;
  }
}

}  // namespace mmbatch
