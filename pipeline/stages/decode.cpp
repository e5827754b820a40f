#include "pipeline/stages/decode.h"

#include <utility>

namespace mmbatch {

Vocabulary vocabulary_of(const Model& model) {
  Vocabulary vocabulary;
  vocabulary.limit = static_cast<std::size_t>(model.tokenizer().vocab_size());
  vocabulary.suppressed = model.spec().suppressed;
  vocabulary.eos = model.spec().eos;
  return vocabulary;
}

namespace {

/// What stands between a prompt and an answer that goes on from it: a space, unless the prompt ends with one
/// or with a line.
std::string separator(const Tokenizer& tokenizer, const Prompt& prompt) {
  const std::string end = prompt.ids.empty() ? "" : tokenizer.decode({&prompt.ids.back(), 1});
  return end.empty() || end.back() == ' ' || end.back() == '\n' ? "" : " ";
}

Error too_late(const Deadline& deadline) {
  return {ErrorCode::timeout, deadline.message()};
}

}  // namespace

Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation) {
  Request request;
  for (const std::string& choice : generation.choices) {
    const Tokenizer& tokenizer = model.tokenizer();
    std::vector<std::int32_t> tokens = tokenizer.encode_continuation(separator(tokenizer, *prompt) + choice);
    if (!model.spec().eos.empty()) tokens.push_back(model.spec().eos.front());
    request.choices.push_back(std::move(tokens));
  }
  request.prompt = std::move(prompt);
  request.generation = generation;
  request.decode = [tokenizer = model.files().tokenizer](std::span<const std::int32_t> tokens) {
    return tokenizer->decode(tokens);
  };
  return request;
}

Decode::Decode(const Model& model, const EngineOptions& options, Arena& arena, Timeline& timeline)
    : model_(model),
      arena_(arena),
      timeline_(timeline),
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

void Decode::operator()(Fused fused, Done done) {
  const Deadline deadline = fused.ticket->deadline;
  if (deadline.passed()) return done({fused.ticket, Fault{Stage::decode, too_late(deadline)}, fused.times});
  Request request = request_of(std::move(fused), std::move(done));
  {
    const std::lock_guard lock(mutex_);
    incoming_.push_back({std::move(request), deadline});
  }
  changed_.notify_one();
}

Request Decode::request_of(Fused fused, Done done) const {
  Request request = make_request(model_, fused.prompt, fused.ticket->generation);
  request.on_done = [ticket = fused.ticket, times = fused.times,
                     done = std::move(done)](Result<Completion> completion) {
    ItemResult::Timings all = times;
    if (completion) {
      all.queue = completion.value().times.queue_ms;
      all.prefill = completion.value().times.prefill_ms;
      all.decode = completion.value().times.decode_ms;
    }
    if (completion)
      done({ticket, AnyAnswer(std::move(completion.value())), all});
    else
      done({ticket, Fault{Stage::decode, completion.error()}, all});
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
    const auto stepped = guarded([this] {
      step();
      return true;
    });
    if (!stepped) engine_.fail_all(stepped.error());
  }
}

void Decode::end_late_ones() {
  for (; !due_.empty() && due_.top().deadline.passed(); due_.pop())
    engine_.cancel(due_.top().id, too_late(due_.top().deadline));  // one that is done is left alone
}

void Decode::step() {
  const auto begin = Timeline::Clock::now();
  const std::size_t rows_before = engine_.stats().computed_rows;
  arena_.run([this] { engine_.step(); });
  const EngineStats stats = engine_.stats();
  const auto number = [](std::size_t value) { return static_cast<double>(value); };
  timeline_.add(
      Activity::decode, begin,
      {{"rows", number(stats.computed_rows - rows_before)}, {"sequences", number(stats.step_sequences)}});
  timeline_.count("requests", {{"running", number(stats.running)}, {"waiting", number(stats.waiting)}});
  timeline_.count("cache blocks", {{"used", number(stats.kv_blocks_used)}});
}

EngineStats Decode::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace mmbatch
