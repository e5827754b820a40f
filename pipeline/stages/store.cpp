#include "pipeline/stages/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jobs/json_text.h"

namespace mmbatch {
namespace {

/// JSON has no infinities.
std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

std::string token_json(const Tokenizer& tokenizer, std::int32_t token, double logprob) {
  return fmt::format(R"({{"token":{},"id":{},"logprob":{}}})", json_string(tokenizer.piece(token)), token,
                     json_number(logprob));
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text = "[";
  for (const std::string& part : parts) text += (text.size() > 1 ? "," : "") + part;
  return text + "]";
}

/// Log-probabilities of an answer's tokens, with alternatives where they were asked for.
std::string logprobs_json(const Tokenizer& tokenizer, const Answer& answer) {
  std::vector<std::string> tokens, top;
  const std::size_t count = std::min(answer.tokens.size(), answer.logprobs.size());
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(token_json(tokenizer, answer.tokens[i], answer.logprobs[i]));
    if (i >= answer.top.size()) continue;
    std::vector<std::string> alternatives;
    for (const TokenLogprob& one : answer.top[i])
      alternatives.push_back(token_json(tokenizer, one.token, one.logprob));
    top.push_back(joined(alternatives));
  }
  const std::string with_top = top.empty() ? "" : fmt::format(R"(,"top_logprobs":{})", joined(top));
  return fmt::format(R"({{"logprobs":{}{}}})", joined(tokens), with_top);
}

std::string choices_json(const GenerationConfig& generation, const std::vector<Answer>& answers) {
  std::vector<std::string> choices;
  for (const Answer& answer : answers) {
    choices.push_back(fmt::format(R"({{"choice":{},"logprob":{},"probability":{}}})",
                                  json_string(generation.choices[answer.choice]), json_number(answer.logprob),
                                  json_number(answer.score)));
  }
  return fmt::format(R"({{"choices":{}}})", joined(choices));
}

ItemResult::Answer stored(const Tokenizer& tokenizer, const Answer& answer,
                          const GenerationConfig& generation) {
  ItemResult::Answer row;
  row.text = answer_text(tokenizer, answer, generation);
  row.finish_reason = to_string(answer.finish_reason);
  row.logprob = answer.logprob;
  row.answer_tokens = static_cast<int>(answer.tokens.size());
  if (generation.logprobs && !answer.logprobs.empty()) row.details = logprobs_json(tokenizer, answer);
  return row;
}

}  // namespace

std::string answer_text(const Tokenizer& tokenizer, const Answer& answer,
                        const GenerationConfig& generation) {
  if (answer.finish_reason == FinishReason::choice) return generation.choices[answer.choice];
  std::string text = tokenizer.decode(answer.tokens);
  std::size_t end = text.size();
  for (const std::string& stop : generation.stop_strings) end = std::min(end, text.find(stop));
  return text.substr(0, end);
}

void Store::operator()(const Decoded& decoded) {
  const Admitted& admitted = *decoded.ticket;
  ++counters_.done;
  if (admitted.known != Known::no) {
    // Its rows are there already.
    ++(admitted.known == Known::answered ? counters_.resumed : counters_.failed);
    return;
  }
  ItemResult result;
  result.item = admitted.item;
  result.content_key = admitted.content_key;
  result.image_sha256 = admitted.image_sha256;
  result.ms = decoded.times;
  const double total_ms = milliseconds_since(admitted.admitted);
  result.ms.total = total_ms;
  if (!decoded.completion) {
    ++counters_.failed;
    result.error = decoded.completion.error();
    return results_.put(result);
  }
  const Completion& completion = decoded.completion.value();
  const GenerationConfig& generation = admitted.generation;
  const bool scored = !generation.choices.empty();
  for (const Answer& answer : completion.answers) {
    result.answers.push_back(stored(model_.tokenizer(), answer, generation));
    counters_.answer_tokens += answer.tokens.size();
    if (scored) break;  // the likeliest choice is the answer
  }
  if (scored) result.answers.front().details = choices_json(generation, completion.answers);
  result.prompt_tokens = static_cast<int>(completion.prompt_tokens);
  results_.put(result);
  ++counters_.answered;
  counters_.prompt_tokens += completion.prompt_tokens;
  counters_.prompt_tokens_reused += completion.reused_tokens;
  counters_.item_us += static_cast<std::uint64_t>(total_ms * 1000);
}

}  // namespace mmbatch
