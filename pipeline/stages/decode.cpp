#include "pipeline/stages/decode.h"

#include <memory>
#include <utility>

#include "text/tokenizer/stream_decoder.h"

namespace mmbatch {

Vocabulary vocabulary_of(const Model& model) {
  Vocabulary vocabulary;
  vocabulary.limit = static_cast<std::size_t>(model.tokenizer().vocab_size());
  vocabulary.suppressed = model.spec().suppressed;
  vocabulary.eos = model.spec().eos;
  return vocabulary;
}

namespace {

Error too_late(const Deadline& deadline) {
  return {ErrorCode::timeout, deadline.message()};
}

}  // namespace

Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation, ChoiceIds choices) {
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
  ChoiceIds choices = choice_ids(model, *prompt, generation.choices);
  return make_request(model, std::move(prompt), generation, std::move(choices));
}

Decode::Decode(const Model& model, const EngineOptions& options, Arena& arena, Timeline& timeline)
    : model_(model),
      arena_(arena),
      timeline_(timeline),
      choices_(model),
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
  {
    const std::lock_guard lock(mutex_);
    incoming_.push_back({std::move(request.value()), deadline});
  }
  changed_.notify_one();
}

Request Decode::request_of(const Fused& fused, Done<Outcome> done) {
  const auto& settings = fused.ticket->settings;
  const bool chooses = !settings->generation.choices.empty();
  Request request = make_request(model_, fused.prompt, settings->generation,
                                 chooses ? choices_.of(*fused.prompt, settings) : ChoiceIds{});
  request.on_done = [this, ticket = fused.ticket, times = fused.times,
                     done = std::move(done)](Result<Completion> completion) {
    if (!completion) {
      timeline_.failed(Stage::decode);
      return done({ticket, Failed{Stage::decode, completion.error()}, times});
    }
    ItemResult::Timings all = times;
    all.queue = completion.value().times.queue_ms;
    all.prefill = completion.value().times.prefill_ms;
    all.decode = completion.value().times.decode_ms;
    done({ticket, answered(std::move(completion.value())), all});
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
      if (engine_.idle()) changed_.wait(lock, [this] { return closing_ || !incoming_.empty(); });
      if (engine_.idle() && incoming_.empty()) return;
      arrived.swap(incoming_);
    }
    for (Arrival& one : arrived) {
      const RequestId id = engine_.submit(std::move(one.request));
      if (one.deadline.time() != Clock::time_point::max()) due_.push({one.deadline, id});
    }
    end_late_ones();
    // A fault in here is nobody's in particular: whoever is at work fails, and the next ones go on.
    const auto stepped =
        at_stage(timeline_, Stage::decode, {}, [this](CallNumbers& numbers) { step(numbers); });
    if (!stepped) engine_.fail_all(stepped.error());
  }
}

void Decode::end_late_ones() {
  for (; !due_.empty() && due_.top().deadline.passed(); due_.pop())
    engine_.cancel(due_.top().id, too_late(due_.top().deadline));  // one that is done is left alone
}

void Decode::step(CallNumbers& numbers) {
  const std::size_t rows_before = engine_.stats().computed_rows;
  arena_.run([this] { engine_.step(); });
  const EngineStats stats = engine_.stats();
  numbers.add("rows", stats.computed_rows - rows_before);
  numbers.add("sequences", stats.step_sequences);
  const auto number = [](std::size_t value) { return static_cast<double>(value); };
  timeline_.count("requests", {{"running", number(stats.running)}, {"waiting", number(stats.waiting)}});
  timeline_.count("cache blocks", {{"used", number(stats.kv_blocks_used)}});
}

EngineStats Decode::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace mmbatch
