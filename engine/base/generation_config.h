#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mmbatch {

/// A prompt longer than the model's positions or the cache: a failed item, or cut at its left end.
enum class TruncatePrompt { error, left };

/// How beam search ends: when no better beam can come by the usual estimate, as soon as enough are done,
/// never before it is certain. Names and meanings of Hugging Face's `early_stopping` false, true, "never".
enum class EarlyStopping { no, yes, never };

/// How an answer is generated. Names, meanings and defaults of Hugging Face's GenerationConfig.
struct GenerationConfig {
  int max_new_tokens = 128;                 // the most answer tokens
  std::optional<int> max_length;            // prompt and answer together; the tighter of the two limits holds
  std::optional<int> max_reasoning_tokens;  // of them, thoughts before the answer; then these are ended
  int min_new_tokens = 0;                   // no end of sequence before this many answer tokens
  int min_length = 0;                       // the same, counted with the prompt
  bool do_sample = false;                   // draw from the distribution instead of taking the likeliest
  double temperature = 1.0;                 // divides the logits when sampling, and then > 0
  int top_k = 50;                           // draw among the k likeliest; 0 = all
  double top_p = 1.0;      // [0, 1], above 0 when sampling: the smallest set with at least this probability
  double min_p = 0.0;      // [0, 1], at least this share of the likeliest token's probability
  double typical_p = 1.0;  // [0, 1], above 0 when sampling: locally typical sampling (arXiv 2202.00666)
  double repetition_penalty = 1.0;  // > 0; tokens of prompt and answer (arXiv 1909.05858)
  double presence_penalty = 0.0;    // [-2, 2], subtracted once from the logit of an answer's token
  double frequency_penalty = 0.0;   // [-2, 2], subtracted for every occurrence in the answer
  int no_repeat_ngram_size = 0;     // no n-gram of this size twice; 0 = off
  int no_repeat_ngram_window = 0;   // … that begins among so many last tokens; 0 = all
  std::vector<std::int32_t> no_repeat_ngram_whitelist;  // tokens that may complete one all the same
  /// The answer ends before a token that completes an n-gram of this size which began among the last
  /// repetition_window answer tokens; 0 = off.
  int repetition_ngram_size = 0;
  int repetition_window = 90;
  int num_beams = 1;            // > 1: beam search
  double length_penalty = 1.0;  // beam score = sum of log-probabilities / length ^ length_penalty
  EarlyStopping early_stopping = EarlyStopping::no;
  int num_return_sequences = 1;  // answers an item
  std::vector<std::string> stop_strings;
  std::vector<std::int32_t> stop_token_ids;
  bool ignore_eos = false;  // go on to max_new_tokens
  std::uint64_t seed = 0;   // of the item's own random draws
  bool logprobs = false;    // keep the log-probability of each answer token (of raw logits)
  int top_logprobs = 0;     // … and of this many of the likeliest alternatives
  TruncatePrompt truncate_prompt = TruncatePrompt::error;
  std::vector<std::string> choices;        // the answer is the likeliest of these
  std::optional<int> forced_bos_token_id;  // the first answer token
  std::optional<int> forced_eos_token_id;  // the last one, where the answer is cut for its length
  // What the answer's text is held to, one of them at most; a stronger source's takes the place of a weaker
  // one's.
  std::string response_format;  // json_object, or a JSON Schema as JSON text
  std::string regex;            // matches the whole answer
  std::string grammar;          // GBNF, its rule `root`
  // Of JSON: spaced, compact or flexible.
  std::string whitespace = "spaced";
  /// What becomes of an answer under a constraint at max_new_tokens: it fails its item, or is brought to its
  /// shortest end before.
  std::string on_length = "fail";

  /// Whether the text is held to something while it is written.
  bool constrained() const { return !response_format.empty() || !regex.empty() || !grammar.empty(); }

  /// @throws GenerationError when settings contradict each other. Single ranges are checked by set().
  void validate() const;
};

/// A setting as it is written in a manifest, a checkpoint or on the command line.
using GenerationValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>,
                                     std::vector<std::int64_t>>;

/// Settings of one source in their order; sources are applied from the weakest to the strongest.
using GenerationOverrides = std::vector<std::pair<std::string, GenerationValue>>;

/// What a source of settings calls them, where it has other names, such as `n` for `num_return_sequences`.
using SettingNames = std::map<std::string, std::string, std::less<>>;

/// A setting that does not exist (the nearest known one is named), has a value of a wrong type or range (what
/// is allowed is said), or contradicts another.
class GenerationError : public std::invalid_argument {
 public:
  enum class Fault { unknown, value, contradiction };
  /// @param message names settings in braces: "{top_logprobs} needs {logprobs}: true"
  GenerationError(Fault fault, std::string name, std::string message);

  Fault fault() const { return fault_; }
  /// The setting it is about.
  const std::string& name() const { return name_; }
  /// What is wrong, in the words of the source; what() says it in the names of Hugging Face.
  std::string message(const SettingNames& names) const;

 private:
  Fault fault_;
  std::string name_;
  std::string message_;
};

/// Sets the field called `name`.  @throws GenerationError
void set(GenerationConfig& config, std::string_view name, const GenerationValue& value);
void apply(GenerationConfig& config, const GenerationOverrides& overrides);

/// All names that set() knows.
std::vector<std::string> generation_names();
/// What a setting does, in a few words with its default; empty for a name that set() does not know.
std::string generation_help(std::string_view name);

/// The settings that differ from the defaults, as JSON with sorted keys: equal text, equal settings.
std::string to_json(const GenerationConfig& config);

/// The candidate nearest to `word` by edit distance, or empty when none is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace mmbatch
