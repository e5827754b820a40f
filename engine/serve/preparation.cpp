// What a request becomes before it waits for its turn, or why it can never be answered.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/decoder/prompt_length.h"
#include "engine/serve/engine.h"
#include "engine/serve/reasoning/reasoning.h"

namespace mmbatch {
namespace {

ItemError too_long(const std::string& message) {
  return {ErrorCode::prompt_too_long, message};
}

void check_token(std::int32_t id, std::size_t vocab) {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab)
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("token {} is outside the vocabulary of {}", id, vocab));
}

/// @throws ItemError invalid_value for image rows that this decoder cannot take
void check_feature_width(const Prompt& prompt, const DecoderConfig& config) {
  if ((prompt.encoded > 0) != (config.encoded_width > 0))
    throw ItemError(ErrorCode::invalid_value,
                    config.encoded_width > 0 ? "a prompt without an encoder's rows, which this decoder reads"
                                             : "a prompt with an encoder's rows; this decoder reads none");
  for (const FeatureSpan& span : prompt.features) {
    const std::size_t width = span.begin < prompt.encoded ? config.encoded_width : config.feature_width();
    if (span.rows->cols() == width) continue;
    throw ItemError(
        ErrorCode::invalid_value,
        fmt::format("feature rows of {} numbers; this decoder takes rows of {}", span.rows->cols(), width));
  }
}

/// @throws ItemError for tokens that this decoder does not have
void check_tokens(const Request& request, std::size_t vocab) {
  const Prompt& prompt = *request.prompt;
  for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
    const std::int32_t id = prompt.ids[i];
    if (id != Prompt::kNoToken || feature_row(prompt, i) == nullptr) check_token(id, vocab);
  }
  for (const auto& choice : request.choices) {
    if (choice.empty()) throw ItemError(ErrorCode::invalid_value, "a choice has no tokens");
    for (const std::int32_t id : choice) check_token(id, vocab);
  }
  for (const auto& id : {request.generation.forced_bos_token_id, request.generation.forced_eos_token_id}) {
    if (id && static_cast<std::size_t>(*id) >= vocab) {
      throw ItemError(ErrorCode::invalid_value,
                      fmt::format("forced token {} is outside the vocabulary of {}", *id, vocab));
    }
  }
}

std::size_t longest_choice(const Request& request) {
  std::size_t longest = 0;
  for (const auto& choice : request.choices) longest = std::max(longest, choice.size());
  return longest;
}

/// Tokens of prompt and answer, at most.
std::size_t most_tokens(const GenerationConfig& generation, std::size_t positions) {
  return generation.max_length ? std::min(positions, static_cast<std::size_t>(*generation.max_length))
                               : positions;
}

/// Tokens of a prompt that truncate_prompt: left keeps: those that leave room for the answer, but no less
/// than half of what prompt and answer may have; of choices each token needs its place.
std::size_t tokens_to_keep(const Request& request, std::size_t positions) {
  if (!request.choices.empty()) return positions - std::min(positions, longest_choice(request) - 1);
  const std::size_t most = most_tokens(request.generation, positions);
  const auto answer = static_cast<std::size_t>(request.generation.max_new_tokens);
  return std::min(longest_prompt(positions), std::max(most - std::min(most, answer), most / 2));
}

/// Cuts the prompt where truncate_prompt says so.  @throws ItemError prompt_too_long
void fit_prompt(Request& request, std::size_t positions) {
  const Prompt& prompt = *request.prompt;
  const std::size_t tokens = prompt.decoder_ids().size();
  std::size_t image_tokens = 0;
  for (const FeatureSpan& span : prompt.features)
    image_tokens += span.begin >= prompt.encoded ? span.tokens() : 0;
  const TruncatePrompt truncate = request.generation.truncate_prompt;
  if (const auto fault =
          length_fault({tokens, prompt.features.size(), image_tokens}, truncate, longest_prompt(positions))) {
    throw ItemError(fault->code, fault->message);
  }
  if (truncate != TruncatePrompt::left || !prompt.features.empty()) return;
  const std::size_t keep = tokens_to_keep(request, positions);
  if (keep > 0 && keep < tokens) request.prompt = std::make_shared<const Prompt>(cut_left(prompt, keep));
}

/// The length at which its sequences end, without what an encoder read, which takes none of the positions.
/// @throws ItemError prompt_too_long when that leaves no room for an answer
std::size_t length_of(const Request& request, std::size_t positions) {
  const std::size_t prompt = request.prompt->decoder_ids().size();
  if (const std::size_t choice = longest_choice(request); choice > 0) {
    if (prompt + choice - 1 <= positions) return prompt + choice;
    throw too_long(
        fmt::format("the prompt has {} tokens and the longest choice {}; the model takes {} together", prompt,
                    choice - 1, positions));
  }
  const std::size_t most = most_tokens(request.generation, positions);
  if (prompt >= most) {
    throw too_long(fmt::format("the prompt has {} tokens, which leaves none of max_length {}", prompt,
                               *request.generation.max_length));
  }
  return std::min(prompt + static_cast<std::size_t>(request.generation.max_new_tokens), most);
}

/// The prompt's content as far as keys and values depend on it: with dynamic_ntk scaling also on the length
/// that the sequence may reach, once that is longer than what the model was trained on.
std::vector<PrefixKey> cache_keys(const DecoderConfig& config, const Prompt& prompt, std::size_t max_tokens) {
  std::vector<PrefixKey> keys = content_keys(prompt);
  const bool stretched =
      std::any_of(config.layers.begin(), config.layers.end(), [&](const LayerConfig& layer) {
        const auto& rope = layer.attention.rope;
        return rope && rope->scaling == RopeScaling::dynamic_ntk && max_tokens > rope->original_positions;
      });
  if (stretched) keys.front().high ^= static_cast<std::uint64_t>(max_tokens) << 32;
  return keys;
}

}  // namespace

/// @throws ItemError for a request that can never be answered
std::unique_ptr<SequenceGroup> Engine::prepare(Request request) const {
  const DecoderConfig& config = decoder_->config();
  if (request.prompt->tokens() == 0) throw ItemError(ErrorCode::prompt_empty, "the prompt has no tokens");
  check(*request.prompt);
  check_feature_width(*request.prompt, config);
  check_tokens(request, config.vocab);
  fit_prompt(request, config.max_positions);
  auto group = std::make_unique<SequenceGroup>();
  group->max_tokens = request.prompt->encoded + length_of(request, config.max_positions);
  group->strategy = make_strategy(request, config.length_border());
  group->request = std::move(request);
  if (group->request.reasoning) {
    group->request.constraint =
        make_reasoning_constraint(group->request.reasoning, group->request.constraint);
  }
  group->keys = cache_keys(config, *group->request.prompt, group->max_tokens);
  group->submitted = SequenceGroup::Clock::now();
  group->sequences.push_back(std::make_unique<Sequence>());
  group->sequences.front()->group = group.get();
  if (group->request.constraint)
    group->sequences.front()->constraint_state = group->request.constraint->start();
  if (!scheduler_.has_slots_for(*group)) throw too_few_states(*group);
  if (!scheduler_.may_fit(*group)) throw cache_too_small(*group);
  return group;
}

ItemError Engine::cache_too_small(const SequenceGroup& group) const {
  return too_long(
      fmt::format("prompt and answer of {} tokens may take {} blocks of {} tokens, and the cache has {}: it "
                  "needs a larger cache, or a request for fewer tokens, beams or choices",
                  group.max_tokens, scheduler_.worst_case_blocks(group), options_.scheduler.block_tokens,
                  allocator_.blocks()));
}

ItemError Engine::too_few_states(const SequenceGroup& group) const {
  return {ErrorCode::invalid_value,
          fmt::format(
              "{} beams, answers or choices at a time need {} states of this model's recurrent layers, and "
              "there are {}: it needs a larger max_sequences (or cache), or a request for fewer",
              group.strategy->width(), 2 * group.strategy->width(), state_slots_.blocks())};
}

}  // namespace mmbatch
