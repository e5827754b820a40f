#include "pipeline/stages/decode.h"

#include <fmt/format.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "text/tokenizer/stream_decoder.h"

namespace mmbatch {

Vocabulary vocabulary_of(const Model& model) {
  Vocabulary vocabulary;
  vocabulary.limit = model.writable_rows();
  vocabulary.suppressed = model.spec().suppressed;
  vocabulary.eos = model.spec().eos;
  return vocabulary;
}

void check_token_settings(const ModelSpec& spec, const GenerationConfig& generation) {
  const auto tokens = static_cast<std::int32_t>(spec.decoder.vocab);
  const auto check = [&](std::string_view name, std::int32_t id) {
    if (id < tokens) return;
    throw ItemError(
        ErrorCode::invalid_value,
        fmt::format("generation setting '{}' has {}, which the model cannot write: its tokens are 0 to {}",
                    name, id, tokens - 1));
  };
  for (const std::int32_t id : generation.stop_token_ids) check("stop_token_ids", id);
  for (const std::int32_t id : generation.no_repeat_ngram_whitelist) check("no_repeat_ngram_whitelist", id);
  if (generation.forced_bos_token_id) check("forced_bos_token_id", *generation.forced_bos_token_id);
  if (generation.forced_eos_token_id) check("forced_eos_token_id", *generation.forced_eos_token_id);
}

namespace {

Error too_late(const Deadline& deadline) {
  return {ErrorCode::timeout, deadline.message()};
}

}  // namespace

Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation, ChoiceIds choices) {
  check_token_settings(model.spec(), generation);
  Request request;
  request.choices = std::move(choices);
  request.prompt = std::move(prompt);
  request.generation = generation;
  if (!generation.stop_strings.empty()) {
    request.text = [tokenizer = model.files().tokenizer] {
      return [stream = std::make_shared<StreamDecoder>(tokenizer)](std::int32_t token) {
        return stream->push(token);
      };
    };
  }
  return request;
}

Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation) {
  ChoiceIds choices = choice_ids(model, *prompt, generation);
  return make_request(model, std::move(prompt), generation, std::move(choices));
}

void add_reasoning(Request& request, const Model& model,
                   const std::shared_ptr<const ReasoningFormat>& format) {
  if (format == nullptr) return;
  const std::shared_ptr<const Tokenizer> tokenizer = model.files().tokenizer;
  request.reasoning = make_tracker(*format, *tokenizer, request.prompt->ids, request.generation);
  if (!request.text) return;
  request.text = [tokenizer, format, tracker = request.reasoning] {
    const auto stream = std::make_shared<AnswerStream>(tokenizer, format, tracker);
    return [stream](std::int32_t token) { return stream->push(token).answer; };
  };
}

Request thinking_request(const Request& request) {
  Request thinking;
  thinking.prompt = request.prompt;
  thinking.generation = request.generation;
  thinking.generation.choices.clear();
  thinking.generation.stop_strings.clear();
  thinking.constraint = make_one_token_constraint();
  thinking.reasoning = request.reasoning;
  thinking.on_token = request.on_token;
  return thinking;
}

namespace {

bool is_answer_behind(const ReasoningTracker& tracker, std::span<const std::int32_t> thoughts) {
  ReasoningTracker::State state = tracker.start();
  for (const std::int32_t token : thoughts) state = tracker.next(state, token);
  return state.phase == ReasoningTracker::Phase::answer;
}

}  // namespace

Request behind_thoughts(const Model& model, Request request, const Completion& thinking) {
  const Thoughts& thoughts = thinking.answers.front().thoughts;
  std::vector<std::int32_t> added = thoughts.tokens;
  // Ended in the middle, by max_new_tokens or the model: the choices come behind the closing mark all the
  // same.
  if (!added.empty() && !is_answer_behind(*request.reasoning, added)) {
    added.resize(thoughts.end);
    const auto& mark = request.reasoning->marks().written;
    added.insert(added.end(), mark.begin(), mark.end());
  }
  auto prompt = std::make_shared<const Prompt>(continued(*request.prompt, added));
  request.choices = choice_ids(model, *prompt, request.generation);
  request.prompt = std::move(prompt);
  request.reasoning = nullptr;
  return request;
}

void count_thoughts(Completion& completion, const Completion& thinking) {
  completion.prompt_tokens = thinking.prompt_tokens;
  completion.reused_tokens = thinking.reused_tokens;
  completion.answers.front().thoughts = thinking.answers.front().thoughts;
  completion.times.queue_ms += thinking.times.queue_ms;
  completion.times.prefill_ms += thinking.times.prefill_ms;
  completion.times.decode_ms += thinking.times.decode_ms;
}

Decode::Decode(const Model& model, const EngineOptions& options, Arena& arena, Timeline& timeline)
    : model_(model),
      arena_(arena),
      timeline_(timeline),
      choices_(model),
      constraints_(model.files().tokenizer),
      engine_(model.decoder(), vocabulary_of(model), options),
      thread_([this] { run(); }) {}

Decode::~Decode() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Decode::operator()(const Fused& fused, Done<Outcome> done) {
  const Deadline deadline = fused.ticket->deadline;
  if (deadline.passed()) {
    timeline_.failed(Stage::decode);
    return done({fused.ticket, Failed{Stage::decode, too_late(deadline)}, fused.times});
  }
  auto request = guarded([&] { return request_of(fused, done); });
  if (!request) return done({fused.ticket, Failed{Stage::decode, request.error()}, fused.times});
  if (request.value().reasoning && !request.value().choices.empty())
    think_first(std::move(request.value()), deadline);
  else
    submit(std::move(request.value()), deadline);
}

void Decode::submit(Request request, const Deadline& deadline) {
  {
    const std::lock_guard lock(mutex_);
    incoming_.push_back({std::move(request), deadline});
  }
  changed_.notify_one();
}

/// Choices count for the answer: they are scored behind the thoughts.
void Decode::think_first(Request request, const Deadline& deadline) {
  Request thinking = thinking_request(request);
  thinking.on_done = [this, request = std::move(request), deadline](Result<Completion> thought) {
    if (!thought) return request.on_done(std::move(thought));
    auto choosing = guarded([&] { return behind_thoughts(model_, request, thought.value()); });
    if (!choosing) return request.on_done(choosing.error());
    choosing.value().on_done = [done = request.on_done,
                                thought = std::move(thought.value())](Result<Completion> chosen) {
      if (chosen) count_thoughts(chosen.value(), thought);
      done(std::move(chosen));
    };
    submit(std::move(choosing.value()), deadline);
  };
  submit(std::move(thinking), deadline);
}

Request Decode::request_of(const Fused& fused, Done<Outcome> done) {
  const auto& settings = fused.ticket->settings;
  const bool chooses = !settings->generation.choices.empty();
  Request request = make_request(model_, fused.prompt, settings->generation,
                                 chooses ? choices_.of(*fused.prompt, settings) : ChoiceIds{});
  request.constraint = constraints_.of(settings->generation, model_.spec().eos);
  add_reasoning(request, model_, fused.ticket->reasoning);
  request.on_done = [this, ticket = fused.ticket, times = fused.times, picture = fused.picture,
                     done = std::move(done)](Result<Completion> completion) {
    if (!completion) {
      timeline_.failed(Stage::decode);
      return done({ticket, Failed{Stage::decode, completion.error()}, times});
    }
    ItemResult::Timings all = times;
    all.queue = completion.value().times.queue_ms;
    all.prefill = completion.value().times.prefill_ms;
    all.decode = completion.value().times.decode_ms;
    Answered answer = answered(std::move(completion.value()));
    answer.picture = picture;
    done({ticket, std::move(answer), all});
  };
  return request;
}

void Decode::run() {
  timeline_.name_thread("engine");
  for (;;) {
    std::vector<Arrival> arrived;
    {
      std::unique_lock lock(mutex_);
      stats_ = engine_.stats();
      settled_ = engine_.idle() && incoming_.empty();
      if (settled_) settling_.notify_all();
      if (engine_.idle()) changed_.wait(lock, [this] { return closing_ || !incoming_.empty(); });
      if (engine_.idle() && incoming_.empty()) return;
      arrived.swap(incoming_);
      settled_ = false;
    }
    for (Arrival& one : arrived) take(std::move(one));
    // A fault in here is nobody's in particular: whoever is at work fails, and the next ones go on.
    const auto stepped = at_stage(timeline_, Stage::decode, {}, [this](CallNumbers& numbers) {
      end_late_ones();
      step(numbers);
    });
    if (!stepped) engine_.fail_running(stepped.error());
  }
}

void Decode::take(Arrival one) {
  const RequestId id = engine_.submit(std::move(one.request));
  if (one.deadline.time() == Clock::time_point::max()) return;
  const auto watched = guarded([&] { return due_.push({one.deadline, id}), true; });
  if (!watched) engine_.cancel(id, watched.error());
}

void Decode::end_late_ones() {
  for (; !due_.empty() && due_.top().deadline.passed(); due_.pop())
    engine_.cancel(due_.top().id, too_late(due_.top().deadline));  // one that is done is left alone
}

void Decode::step(CallNumbers& numbers) {
  const std::size_t rows_before = engine_.stats().computed_rows;
  try {
    arena_.run([this] { engine_.step(); });
  } catch (const FatalError& e) {  // nobody is above this thread whom it could end
    throw ItemError(ErrorCode::internal, e.what());
  }
  const EngineStats stats = engine_.stats();
  numbers.add("rows", stats.computed_rows - rows_before);
  numbers.add("sequences", stats.step_sequences);
  const auto number = [](std::size_t value) { return static_cast<double>(value); };
  timeline_.count("requests", {{"running", number(stats.running)}, {"waiting", number(stats.waiting)}});
  timeline_.count("cache blocks", {{"used", number(stats.kv_blocks_used)}});
}

void Decode::settle() {
  std::unique_lock lock(mutex_);
  settling_.wait(lock, [this] { return settled_; });
}

EngineStats Decode::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace mmbatch
