#include "pipeline/stages/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/text/utf8.h"
#include "jobs/text/json_text.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {
namespace {

/// JSON has no infinities.
std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

std::string token_json(std::string_view text, std::int32_t token, double logprob) {
  return fmt::format(R"({{"token":{},"id":{},"logprob":{}}})", json_string(text), token,
                     json_number(logprob));
}

/// What each token adds to the text; put together, and cut where the answer ends, they are the answer. A
/// character of several tokens counts for the last of them; what is not text, such as the end of the
/// sequence, is empty.
std::vector<std::string> token_texts(const Tokenizer& tokenizer, std::span<const std::int32_t> tokens,
                                     std::size_t bytes) {
  std::vector<std::string> texts(tokens.size());
  const auto stream = tokenizer.stream();
  for (std::size_t i = 0; i < tokens.size(); ++i) stream->push(tokens[i], texts[i]);
  if (!texts.empty()) stream->finish(texts.back());
  for (std::string& text : texts) {
    text.resize(std::min(text.size(), bytes));
    bytes -= text.size();
  }
  return texts;
}

/// What a token would have added in the place behind another; a special one as the vocabulary writes it.
std::string text_behind(const Tokenizer& tokenizer, std::optional<std::int32_t> before, std::int32_t token) {
  if (tokenizer.is_special(token)) return std::string(tokenizer.piece(token));
  if (!before) return tokenizer.decode(std::array{token});
  const std::string without = tokenizer.decode(std::array{*before});
  const std::string with = tokenizer.decode(std::array{*before, token});
  return with.compare(0, without.size(), without) == 0 ? with.substr(without.size()) : with;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text = "[";
  for (const std::string& part : parts) text += (text.size() > 1 ? "," : "") + part;
  return text + "]";
}

/// White space between thoughts and answer, in bytes.
std::size_t dropped_spaces(const Tokenizer& tokenizer, const Answer& answer) {
  if (answer.thoughts.tokens.empty()) return 0;
  const std::string text = tokenizer.decode(answer.tokens);
  return text.size() - strip_left(text).size();
}

/// Log-probabilities of an answer's tokens, with alternatives where they were asked for.
std::string logprobs_json(const Tokenizer& tokenizer, const Answer& answer, std::size_t text_bytes) {
  std::vector<std::string> tokens, top;
  const std::vector<std::string> texts = token_texts(tokenizer, answer.tokens, text_bytes);
  const std::size_t count = std::min(answer.tokens.size(), answer.logprobs.size());
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(token_json(texts[i], answer.tokens[i], answer.logprobs[i]));
    if (i >= answer.top.size()) continue;
    std::vector<std::string> alternatives;
    std::optional<std::int32_t> before;
    if (i > 0) before = answer.tokens[i - 1];
    for (const TokenLogprob& one : answer.top[i]) {
      const std::string text = one.token == answer.tokens[i] && !tokenizer.is_special(one.token)
                                   ? texts[i]
                                   : text_behind(tokenizer, before, one.token);
      alternatives.push_back(token_json(text, one.token, one.logprob));
    }
    top.push_back(joined(alternatives));
  }
  const std::string with_top = top.empty() ? "" : fmt::format(R"(,"top_logprobs":{})", joined(top));
  // "tokens" tells them from those of earlier versions, which were as the vocabulary writes them.
  return fmt::format(R"({{"tokens":"text","logprobs":{}{}}})", joined(tokens), with_top);
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

/// Labels or choices with their probabilities, in this order.
std::string probabilities_json(std::span<const std::pair<std::string_view, double>> texts) {
  std::string json = "{";
  for (const auto& [text, probability] : texts)
    json += fmt::format("{}{}: {}", json.size() > 1 ? ", " : "", json_string(text), json_number(probability));
  return json + "}";
}

ItemResult::Answer stored(const Tokenizer& tokenizer, const Answer& answer,
                          const GenerationConfig& generation, const ReasoningFormat* reasoning) {
  ItemResult::Answer row;
  row.text = answer_text(tokenizer, answer, generation);
  if (reasoning != nullptr && !answer.thoughts.tokens.empty()) {
    const Thoughts& thoughts = answer.thoughts;
    row.reasoning =
        reasoning_text(tokenizer, *reasoning,
                       std::span(thoughts.tokens).subspan(thoughts.begin, thoughts.end - thoughts.begin));
    row.reasoning_tokens = static_cast<int>(thoughts.end - thoughts.begin);
  }
  row.finish_reason = to_string(answer.finish_reason);
  if (generation.constrained() && generation.on_length == "close")
    row.closed = answer.finish_reason == FinishReason::length;
  row.logprob = answer.logprob;
  row.answer_tokens = static_cast<int>(answer.tokens.size());
  if (generation.logprobs && !answer.logprobs.empty())
    row.details = logprobs_json(tokenizer, answer, row.text.size() + dropped_spaces(tokenizer, answer));
  return row;
}

}  // namespace

std::string answer_text(const Tokenizer& tokenizer, const Answer& answer,
                        const GenerationConfig& generation) {
  if (answer.finish_reason == FinishReason::choice) return generation.choices[answer.choice];
  std::string text = tokenizer.decode(answer.tokens);
  text.erase(0, dropped_spaces(tokenizer, answer));
  std::size_t end = text.size();
  for (const std::string& stop : generation.stop_strings) end = std::min(end, text.find(stop));
  return text.substr(0, end);
}

namespace {

/// The best label; of equal ones the first.
ItemResult::Answer best_label(const LabelSet& labels, const Matched& matched) {
  std::vector<std::size_t> order(matched.logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return matched.logits[a] > matched.logits[b]; });
  ItemResult::Answer row;
  row.text = labels.labels[order.front()];
  row.finish_reason = to_string(FinishReason::choice);
  row.logprob = matched.scores[order.front()].logprob;
  std::vector<std::pair<std::string_view, double>> likeliest;
  for (const std::size_t i : order) likeliest.emplace_back(labels.labels[i], matched.scores[i].probability);
  row.probabilities = probabilities_json(likeliest);
  return row;
}

ItemResult::Answer embedded(const Matrix<float>& embedding) {
  ItemResult::Answer row;
  row.embedding.assign(embedding.data(), embedding.data() + embedding.cols());
  return row;
}

/// What is stored of an item, however it ended.
ItemResult result_of(const Outcome& outcome) {
  const Ticket& ticket = *outcome.ticket;
  ItemResult result;
  result.item = ticket.item;
  result.content_key = ticket.content_key;
  result.image_sha256 = ticket.image_sha256;
  result.ms = outcome.times;
  result.ms.total = milliseconds_since(ticket.admitted);
  return result;
}

}  // namespace

void Store::operator()(const Outcome& outcome) {
  const Ticket& ticket = *outcome.ticket;
  or_end_run(at_stage(timeline_, Stage::store, ticket.item->id, [&] {
    ++counters_.done;
    std::visit([&](const auto& end) { store(outcome, end); }, outcome.end);
  }));
  timeline_.item_ends(ticket.number, ticket.item->id);
}

void Store::store(const Outcome&, const KnownBefore& known) {
  // Its rows are there already.
  ++(known.known == Known::answered ? counters_.resumed : counters_.failed);
}

void Store::store(const Outcome& outcome, const Failed& failed) {
  ++counters_.failed;
  ItemResult result = result_of(outcome);
  result.failure = Failure{std::string(error_stage(failed.stage)), failed.error.code, failed.error.message};
  results_.put(result);
}

void Store::store(const Outcome& outcome, const Answered& answered) {
  const Ticket& ticket = *outcome.ticket;
  ItemResult result = result_of(outcome);
  std::optional<AnswerCheck::Fault> fault;
  if (const auto* completion = std::get_if<Completion>(answered.answer.get())) {
    fault = add_completion(ticket, *completion, result);
    if (wants_regions(*ticket.item)) add_regions(answered.picture, result);
  } else {
    const auto& matched = std::get<Matched>(*answered.answer);
    for (const Features& embedding : matched.embeddings) result.answers.push_back(embedded(*embedding));
    if (matched.embeddings.empty()) result.answers.push_back(best_label(*ticket.item->labels, matched));
  }
  if (fault) {
    timeline_.failed(Stage::decode);
    result.failure = {.stage = std::string(error_stage(Stage::decode)),
                      .code = ErrorCode::internal,
                      .message = fault->message,
                      .answer_incomplete = fault->kind == AnswerCheck::Fault::Kind::incomplete};
    ++counters_.failed;
    results_.put(result);
    return;
  }
  results_.put(result);
  ++counters_.answered;
  counters_.item_us += static_cast<std::uint64_t>(*result.ms.total * 1000);
}

void Store::add_regions(const PictureFrame& picture, ItemResult& result) const {
  const ModelSpec& spec = model_.spec();
  const ManyNumbers many = many_numbers(spec.tasks, result.item->prompt);
  for (ItemResult::Answer& answer : result.answers)
    answer.regions = regions_json(find_regions(spec.regions, answer.text, picture, many), picture);
}

std::optional<AnswerCheck::Fault> Store::add_completion(const Ticket& ticket, const Completion& completion,
                                                        ItemResult& result) {
  const GenerationConfig& generation = ticket.settings->generation;
  std::optional<AnswerCheck::Fault> fault;
  const bool scored = !generation.choices.empty();
  for (const Answer& answer : completion.answers) {
    result.answers.push_back(stored(model_.tokenizer(), answer, generation, ticket.reasoning.get()));
    counters_.answer_tokens += answer.tokens.size() + answer.thoughts.tokens.size();
    if (!fault) fault = check_.fault(generation, result.answers.back().text, answer);
    if (scored) break;  // the likeliest choice is the answer
  }
  if (scored) {
    ItemResult::Answer& row = result.answers.front();
    const std::string of_tokens = std::exchange(row.details, choices_json(generation, completion.answers));
    if (!of_tokens.empty()) row.details.replace(row.details.size() - 1, 1, "," + of_tokens.substr(1));
    std::vector<std::pair<std::string_view, double>> likeliest;
    for (const Answer& answer : completion.answers)
      likeliest.emplace_back(generation.choices[answer.choice], answer.score);
    row.probabilities = probabilities_json(likeliest);
  }
  result.prompt_tokens = static_cast<int>(completion.prompt_tokens);
  counters_.prompt_tokens += completion.prompt_tokens;
  counters_.prompt_tokens_reused += completion.reused_tokens;
  return fault;
}

}  // namespace mmbatch
