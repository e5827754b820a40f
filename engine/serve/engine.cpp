#include "engine/serve/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/base/memory_limits.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/serve/logits.h"
#include "engine/serve/reasoning/reasoning.h"

namespace mmbatch {
namespace {

using Clock = SequenceGroup::Clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

KvPrecision kv_precision(const Decoder& decoder, const EngineOptions& options) {
  return choose_kv_precision(options.kv_precision, decoder.precision());
}

std::string gigabytes(std::size_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

/// Slots for the states of recurrent layers: what the sequences at work may need, and snapshots of prompts'
/// beginnings. No more than half of the cache's memory.
std::size_t state_slots(const DecoderConfig& config, std::size_t max_sequences, std::size_t cache_bytes) {
  constexpr std::size_t kSnapshots = 64, kFewest = 4;
  const std::size_t each = state_bytes(config);
  if (each == 0) return 0;
  return std::max(kFewest, std::min(2 * max_sequences + kSnapshots, cache_bytes / 2 / each));
}

/// @throws SettingError
KvPool make_pool(const Decoder& decoder, const EngineOptions& options) {
  const std::size_t block_tokens = options.scheduler.block_tokens;
  const KvPrecision format = kv_precision(decoder, options);
  const std::size_t per_block =
      std::max<std::size_t>(1, CacheLayout(decoder.config(), block_tokens, format).block_bytes());
  const std::size_t machine = machine_memory();
  const std::size_t chosen =
      options.kv_bytes > 0
          ? options.kv_bytes
          : std::min(memory_to_plan_with() / 4, std::size_t{8} << 30) / decoder.processes_here();
  const std::size_t slots = state_slots(decoder.config(), options.scheduler.max_sequences, chosen);
  const std::size_t states = slots * state_bytes(decoder.config());
  const std::size_t blocks =
      options.kv_blocks > 0 ? options.kv_blocks : (chosen - std::min(chosen, states)) / per_block;
  const char* field = options.kv_blocks > 0 ? "kv_blocks" : "kv_bytes";
  if (blocks == 0) {
    throw SettingError(field, fmt::format("{} bytes hold no block of {} tokens, which takes {} bytes", chosen,
                                          block_tokens, per_block));
  }
  // Blocks are compared, not bytes: their product might not be a number.
  if (blocks > machine / per_block) {
    throw SettingError(field,
                       fmt::format("a cache of {} blocks of {} bytes is larger than the memory of this "
                                   "machine, {}",
                                   blocks, per_block, gigabytes(machine)));
  }
  try {
    return KvPool(decoder.config(), blocks, block_tokens, format, slots);
  } catch (const std::bad_alloc&) {
    throw SettingError(field, fmt::format("there is no room for a cache of {}; the memory of this machine is "
                                          "{}, of which this process may take {}",
                                          gigabytes(blocks * per_block), gigabytes(machine),
                                          gigabytes(memory_to_plan_with())));
  }
}

/// Whether all scores for the next token are numbers; answers chosen by others would mean nothing.
bool has_finite_logits(const Sequence& sequence) {
  for (const LogitRows& rows : sequence.logits) {
    for (std::size_t r = rows.first; r < rows.first + rows.count; ++r) {
      if (!all_finite({rows.logits->row(r), rows.logits->cols()})) return false;
    }
  }
  return true;
}

/// Leaves in the answer what is behind the thoughts.
void take_thoughts(const ReasoningTracker& tracker, Answer& answer) {
  const ReasoningSplit split = tracker.split(answer.tokens);
  const auto begin = answer.tokens.begin(), end = begin + static_cast<std::ptrdiff_t>(split.answer);
  answer.thoughts = {.tokens = {begin, end}, .begin = split.begin, .end = split.end};
  answer.tokens.erase(begin, end);
  const auto cut = [&](auto& values) {
    const std::size_t count = std::min(values.size(), split.answer);
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
  };
  cut(answer.logprobs);
  cut(answer.top);
}

}  // namespace

void EngineOptions::validate() const {
  const auto at_least_one = [](std::size_t value, const char* field) {
    if (value == 0) throw SettingError(field, "must be at least 1");
  };
  at_least_one(scheduler.block_tokens, "block_tokens");
  at_least_one(scheduler.max_batch_tokens, "max_batch_tokens");
  at_least_one(scheduler.prefill_chunk, "prefill_chunk");
  at_least_one(scheduler.max_sequences, "max_sequences");
  at_least_one(scheduler.admission_window, "admission_window");
}

Engine::Engine(std::shared_ptr<const Decoder> decoder, Vocabulary vocabulary, EngineOptions options)
    : decoder_(std::move(decoder)),
      vocabulary_(std::move(vocabulary)),
      options_((options.validate(), options)),
      pool_(make_pool(*decoder_, options_)),
      allocator_(pool_.blocks()),
      state_slots_(pool_.states().slots()),
      scheduler_(options_.scheduler, allocator_, pool_.layout().windows(), decoder_->config().length_border(),
                 recurrent_states()) {
  vocabulary_.limit = std::min(vocabulary_.limit, decoder_->config().vocab);
  const auto outside = [&](std::int32_t id) {
    return id < 0 || static_cast<std::size_t>(id) >= decoder_->config().vocab;
  };
  std::erase_if(vocabulary_.suppressed, outside);
  std::erase_if(vocabulary_.eos, outside);
}

Engine::~Engine() = default;

RecurrentStates Engine::recurrent_states() {
  if (state_slots_.blocks() == 0) return {};
  options_.lookup_tokens = 0;  // a recurrent state cannot be taken back where a guess was wrong
  return {.slots = &state_slots_, .grid = RecurrentSpan::kGrid};
}

RequestId Engine::submit(Request request) {
  const RequestId id = next_id_++;
  const auto on_done = request.on_done;
  const auto added = guarded([&] {
    std::unique_ptr<SequenceGroup> group = prepare(std::move(request));
    group->id = id;
    scheduler_.add(std::move(group));
    return true;
  });
  if (!added) on_done(added.error());
  return id;
}

void Engine::cancel(RequestId id, const Error& error) {
  if (phase_ == Phase::in_step)
    cancelled_.emplace_back(id, error);
  else
    cancel_now(id, error);
}

void Engine::cancel_now(RequestId id, const Error& error) {
  const std::unique_ptr<SequenceGroup> group = scheduler_.take(id);
  if (group) group->request.on_done(error);
}

/// Marks the time in which the scheduler's groups are at work.
struct Engine::InStep {
  explicit InStep(Phase& phase_) : phase(phase_) { phase = Phase::in_step; }
  ~InStep() { phase = Phase::between_steps; }
  InStep(const InStep&) = delete;
  InStep& operator=(const InStep&) = delete;
  Phase& phase;
};

bool Engine::step() {
  const auto begin = Clock::now();
  const StepPlan plan = scheduler_.plan();
  while (const auto group = scheduler_.take_stuck()) {
    const ItemError error = cache_too_small(*group);
    group->request.on_done(Error{error.code(), error.what()});
  }
  if (plan.chunks.empty()) return !idle();
  {
    const InStep in_step(phase_);
    run(plan);
    advance_groups();
    while (const auto group = scheduler_.take_finished())
      group->request.on_done(guarded([&] { return completion_of(*group); }));
  }
  for (const auto& [id, error] : std::exchange(cancelled_, {})) cancel_now(id, error);
  ++stats_.steps;
  stats_.computed_rows += plan.rows;
  stats_.step_sequences = plan.chunks.size();
  stats_.busy_seconds += milliseconds(begin, Clock::now()) / 1000;
  return true;
}

void Engine::run(const StepPlan& plan) {
  StepBatch batch;
  batch.copies = plan.copies;
  const std::size_t border = decoder_->config().length_border();
  for (const ScheduledChunk& chunk : plan.chunks) {
    const Sequence& sequence = *chunk.sequence;
    const SequenceGroup& group = *sequence.group;
    const Prompt& prompt = *group.request.prompt;
    const std::size_t end = sequence.computed + chunk.count;
    const std::size_t wanted = std::max(group.strategy->first_logit_position(sequence), sequence.computed);
    batch.add(
        {.prompt = prompt,
         .answer = sequence.answer.tokens,
         .draft = sequence.draft,
         .first = sequence.computed,
         .count = chunk.count,
         .logit_rows = end > wanted ? end - wanted : 0,
         .rope_tokens = border > 0 ? sequence.tokens() : group.max_tokens,
         .state_before = sequence.state.block(),
         .state_after = (sequence.next_state.block() >= 0 ? sequence.next_state : sequence.state).block()});
    for (const BlockTable& table : sequence.tables) batch.add_table(table.numbers);
  }
  const auto now = Clock::now();
  for (const ScheduledChunk& chunk : plan.chunks) {
    SequenceGroup& group = *chunk.sequence->group;
    if (group.first_step == Clock::time_point{}) group.first_step = now;
  }
  if (logits_ && logits_.use_count() == 1)
    scratch_.logits = std::move(*logits_);  // no one needs them any more
  logits_ = std::make_shared<Matrix<float>>(decoder_->forward(batch, pool_, scratch_, options_.attention));
  std::size_t row = 0;
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    const std::size_t rows = batch.sequences[i].logit_rows;
    Sequence& sequence = *plan.chunks[i].sequence;
    const std::size_t end = sequence.computed + plan.chunks[i].count;
    if (rows > 0) sequence.logits.push_back({logits_, row, rows, end - rows});
    row += rows;
    scheduler_.computed(plan.chunks[i]);
  }
}

void Engine::advance_groups() {
  const StrategyContext context{vocabulary_,
                                [this](const Sequence& sequence) { return scheduler_.fork(sequence); },
                                options_.lookup_tokens, options_.jump_forward, &earlier_answers_};
  for (const auto& group : scheduler_.running()) {
    if (!group->strategy->is_ready(*group)) continue;
    const auto finite = [](const auto& sequence) { return has_finite_logits(*sequence); };
    if (!std::all_of(group->sequences.begin(), group->sequences.end(), finite)) {
      cancelled_.emplace_back(group->id, Error{ErrorCode::internal,
                                               "the model's scores are not finite: its weights are "
                                               "damaged, or too large for this precision"});
      continue;
    }
    if (group->first_token == Clock::time_point{}) group->first_token = Clock::now();
    const auto advanced = guarded([&] { return group->strategy->advance(*group, context), true; });
    if (!advanced) {  // its constraint's steps, or memory, ran out
      cancelled_.emplace_back(group->id, advanced.error());
      continue;
    }
    for (const auto& sequence : group->sequences) {
      if (sequence->finished) sequence->drop_cache();
    }
  }
}

Completion Engine::completion_of(SequenceGroup& group) {
  Completion completion;
  completion.prompt_tokens = group.prompt_tokens();
  completion.reused_tokens = group.reused_tokens;
  completion.answers = group.strategy->answers(group);
  completion.times = {milliseconds(group.submitted, group.first_step),
                      milliseconds(group.first_step, group.first_token),
                      milliseconds(group.first_token, Clock::now())};
  stats_.prompt_tokens += completion.prompt_tokens;
  stats_.prompt_tokens_reused += completion.reused_tokens;
  stats_.draft_tokens += group.draft_tokens;
  stats_.draft_tokens_accepted += group.draft_tokens_accepted;
  for (Answer& answer : completion.answers) {
    if (options_.lookup_tokens > 0) earlier_answers_.add(group.request.prompt->ids, answer.tokens);
    stats_.answer_tokens += answer.tokens.size();
    if (group.request.reasoning) take_thoughts(*group.request.reasoning, answer);
  }
  return completion;
}

void Engine::fail_running(const Error& error) {
  for (const auto& [id, reason] : std::exchange(cancelled_, {})) cancel_now(id, reason);
  while (const auto group = scheduler_.take_running()) group->request.on_done(error);
}

bool Engine::idle() const {
  return scheduler_.idle();
}
std::size_t Engine::waiting() const {
  return scheduler_.waiting();
}

EngineStats Engine::stats() const {
  EngineStats stats = stats_;
  stats.preemptions = scheduler_.preemptions();
  stats.evictions = allocator_.evictions();
  stats.kv_bytes_pool = pool_.bytes();
  stats.running = scheduler_.running().size();
  stats.waiting = scheduler_.waiting();
  stats.kv_blocks_used = allocator_.used();
  stats.communication_seconds = decoder_->communication_seconds();
  stats.kv_bytes_used = stats.kv_blocks_used * pool_.block_bytes();
  stats.kv_bytes_peak = allocator_.peak_used() * pool_.block_bytes();
  stats.kv_bytes_shared = allocator_.shared() * pool_.block_bytes();
  stats.kv_bytes_shared_peak = allocator_.peak_shared() * pool_.block_bytes();
  return stats;
}

}  // namespace mmbatch
