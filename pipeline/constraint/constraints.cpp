#include "pipeline/constraint/constraints.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text/counted.h"
#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/job_place.h"
#include "jobs/item/prompt_template.h"
#include "jobs/item/settings.h"
#include "pipeline/constraint/grammar_constraint.h"
#include "text/constraint/schema/document.h"
#include "text/constraint/schema/validator.h"

namespace mmbatch {
namespace {

/// Whether the automaton reads all of a text and may end there.  @throws TooAmbiguous
bool is_whole(const std::shared_ptr<const Grammar>& grammar, const std::string& text) {
  Machine machine(grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    if (behind.empty()) return false;
    state.swap(behind);
  }
  return machine.may_end(state);
}

/// Looked at by other means than it was made: parsed, and compared with the schema keyword by keyword.
bool is_valid(CompiledConstraints::Entry& entry, const std::string& text) {
  using Kind = ConstraintSpec::Kind;
  if (entry.spec.kind != Kind::json_schema && entry.spec.kind != Kind::json_object) return true;
  try {
    const JsonValue value = parse_json_value(text, {.max_bytes = 64u << 20, .max_depth = 200});
    if (entry.spec.kind == Kind::json_object) return value.kind == JsonValue::Kind::object;
    if (!entry.document) {
      Work work;
      entry.schema = std::make_shared<const JsonValue>(
          parse_json_value(entry.spec.text, {.max_bytes = 1u << 20, .max_depth = 256}));
      entry.document = std::make_shared<const SchemaDocument>(*entry.schema, work);
    }
    Work work;
    return SchemaValidator(*entry.document, work).valid(value, *entry.schema);
  } catch (const ConstraintError&) {
    return false;
  } catch (const ConstraintTooLarge&) {
    return true;  // the grammar has read all of it; this second look only takes so many steps
  }
}

/// Why an answer is no whole one, and what helps.
std::string why_incomplete(const ConstraintSpec& spec, const std::string& text, const Answer& answer,
                           const GenerationConfig& generation) {
  using Kind = ConstraintSpec::Kind;
  if (answer.thoughts.unfinished() && answer.finish_reason == FinishReason::stop) {
    return fmt::format(
        "the model ended within its thoughts, after {}, before it began an answer: let it answer without "
        "them (chat_template_kwargs: {{enable_thinking: false}}, where its template reads that), limit "
        "them (max_reasoning_tokens), or ask otherwise",
        counted(answer.thoughts.tokens.size(), "token"));
  }
  const bool json = spec.kind == Kind::json_schema || spec.kind == Kind::json_object;
  const std::string stopped = fmt::format("stopped{} after {}", json ? " at " + json_place(text) : "",
                                          counted(answer.tokens.size(), "token"));
  if (answer.finish_reason == FinishReason::stop)
    return stopped + ": the model's tokens spell nothing that goes on from there";
  const std::size_t written = answer.thoughts.tokens.size() + answer.tokens.size();
  if (written < static_cast<std::size_t>(generation.max_new_tokens)) {
    return fmt::format("{}, before max_new_tokens: {} is full; a shorter prompt leaves it more room", stopped,
                       generation.max_length ? "max_length" : "the model's context");
  }
  return stopped +
         ": a larger limit (max_new_tokens; in requests max_tokens or max_output_tokens) lets it come to "
         "its end";
}

/// The file that the command line names for a constraint, whose word counts; empty: it stands elsewhere.
std::string file_of(const ConstraintSpec& spec, const SettingFiles& files) {
  std::string found;
  for (const SettingFile& file : files) {
    const auto kind =
        file.setting == "grammar" ? ConstraintSpec::Kind::grammar : ConstraintSpec::Kind::json_schema;
    if (spec.kind == kind) found = file.path.string();
  }
  return found;
}

/// A problem with the name of the file that it is in, or of the setting.
std::string placed(const ConstraintProblem& problem, const ConstraintSpec& spec, const SettingFiles& files) {
  const bool schema = spec.kind == ConstraintSpec::Kind::json_schema;
  const std::string file = file_of(spec, files);
  if (file.empty()) return (schema ? "response_format: " : "") + problem.text();
  return fmt::format("{}: {}", file, schema ? problem.text() : problem.reason);
}

}  // namespace

std::string too_short_for(std::size_t tokens, const GenerationConfig& generation) {
  return fmt::format("the shortest answer that fits has {}, and max_new_tokens is {}: raise it",
                     counted(tokens, "token"), generation.max_new_tokens);
}

void check_writable(const GrammarConstraint& constraint, const TokenBytes& tokens,
                    const GenerationConfig& generation) {
  if (constraint.can_be_written()) return;
  const std::string_view key = !generation.response_format.empty() ? "response_format"
                               : generation.regex.empty()          ? "grammar"
                                                                   : "regex";
  std::string why = "it has none for what such a text begins with";
  if (tokens.spaces_words()) {
    why = fmt::format(
        "its tokenizer is of word pieces, which puts a space before each word and mark that does not go on "
        "with a word: allow spaces there{}, or take choices",
        key == "response_format" ? " (whitespace: flexible)" : "");
  } else if (tokens.drops_first_space() && constraint.can_be_written_inside()) {
    why = "its tokenizer drops the space that an answer begins with: let answers begin without one";
  }
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("{}: no text that fits can be written in this model's tokens: {}", key, why));
}

void check_shortest(std::size_t tokens, const GenerationConfig& generation) {
  if (tokens == Closings::kNever) {
    throw ItemError(ErrorCode::invalid_value,
                    "on_length: close: the shortest answer is too long to be found, or not one that the "
                    "model's tokens spell: take on_length: fail");
  }
  if (std::cmp_greater(tokens, generation.max_new_tokens))
    throw ItemError(ErrorCode::invalid_value, too_short_for(tokens, generation));
}

std::optional<ConstraintSpec> constraint_of(const GenerationConfig& generation) {
  if (!generation.constrained()) return std::nullopt;
  using Kind = ConstraintSpec::Kind;
  ConstraintSpec spec;
  if (!generation.response_format.empty()) {
    const bool any = generation.response_format == "json_object";
    spec.kind = any ? Kind::json_object : Kind::json_schema;
    if (!any) spec.text = generation.response_format;
  } else {
    spec.kind = generation.regex.empty() ? Kind::grammar : Kind::regex;
    spec.text = generation.regex.empty() ? generation.grammar : generation.regex;
  }
  spec.spacing = generation.whitespace == "compact"    ? JsonSpacing::compact
                 : generation.whitespace == "flexible" ? JsonSpacing::flexible
                                                       : JsonSpacing::spaced;
  return spec;
}

std::shared_ptr<CompiledConstraints::Entry> CompiledConstraints::of(const ConstraintSpec& spec) {
  const std::lock_guard lock(mutex_);
  const auto known =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->spec == spec; });
  if (known != entries_.end()) return *known;
  try {
    entries_.push_front(std::make_shared<Entry>(Entry{spec, compile_constraint(spec)}));
  } catch (const ConstraintError& e) {
    throw ItemError(ErrorCode::invalid_value, e.what());
  }
  if (entries_.size() > kKept) entries_.pop_back();
  return entries_.front();
}

std::shared_ptr<const TokenConstraint> Constraints::of(const GenerationConfig& generation,
                                                       std::vector<std::int32_t> ends) {
  const auto spec = constraint_of(generation);
  if (!spec) return nullptr;
  const auto entry = compiled_.of(*spec);
  const bool closes = generation.on_length == "close";
  {
    const std::lock_guard lock(mutex_);
    if (!tokens_) tokens_ = std::make_shared<const TokenBytes>(tokenizer_);
    if (!entry->masks) entry->masks = std::make_shared<TokenMasks>(entry->compiled.grammar, tokens_);
    if (closes && !entry->least) entry->least = std::make_shared<const LeastBytes>(entry->compiled.grammar);
  }
  ends.insert(ends.end(), generation.stop_token_ids.begin(), generation.stop_token_ids.end());
  auto constraint = std::make_shared<const GrammarConstraint>(entry->masks, std::move(ends),
                                                              closes ? entry->least : nullptr);
  check_writable(*constraint, *tokens_, generation);
  if (closes) check_shortest(constraint->shortest(), generation);
  return constraint;
}

std::optional<AnswerCheck::Fault> AnswerCheck::fault(const GenerationConfig& generation,
                                                     const std::string& text, const Answer& answer) {
  const auto spec = constraint_of(generation);
  if (!spec) return std::nullopt;
  const auto entry = compiled_.of(*spec);
  bool whole = false;
  try {
    whole = is_whole(entry->compiled.grammar, text);
  } catch (const TooAmbiguous&) {
    return std::nullopt;  // as far as it can be read, the engine has read it
  }
  if (!whole) return Fault{Fault::Kind::incomplete, why_incomplete(*spec, text, answer, generation)};
  if (is_valid(*entry, text)) return std::nullopt;
  return Fault{Fault::Kind::misfit, "the answer does not fit its response_format, a fault of this program"};
}

std::vector<std::string> check_constraints(const Manifest& manifest, const GenerationOverrides& command_line,
                                           const SettingFiles& files) {
  std::vector<std::string> warnings;
  std::string problems;
  ConstraintSpec last;
  for (const Job& job : manifest.jobs) {
    // Its items were read before, with the manifest's schema in their prompts.
    if (shows_schema(job.prompt_template) && schema_of(command_line, "manifest's") != "manifest's") {
      throw UsageError(
          fmt::format("{}its 'prompt' shows {{schema}} of the manifest, but the command line sets another "
                      "constraint: put the schema into the manifest, or take {{schema}} out of the prompt",
                      place_of(manifest, job)));
    }
    const auto spec = constraint_of(generation_of(manifest, job, {{}, command_line}));
    if (!spec || *spec == last) continue;
    last = *spec;
    try {
      for (const std::string& warning : compile_constraint(*spec).warnings)
        warnings.push_back(fmt::format("{}response_format: {}", place_of(job), warning));
    } catch (const ConstraintError& e) {
      for (const ConstraintProblem& problem : e.problems()) {
        problems += fmt::format("{}{}{}", problems.empty() ? "" : "\n", place_of(manifest, job),
                                placed(problem, *spec, files));
      }
    }
  }
  if (!problems.empty()) throw UsageError(problems);
  return warnings;
}

void check_own_constraint(const Item& item, const GenerationConfig& generation) {
  const bool own = std::any_of(item.generation.begin(), item.generation.end(), [](const auto& setting) {
    return setting.first == "response_format" || setting.first == "regex" || setting.first == "grammar" ||
           setting.first == "whitespace";
  });
  const auto spec = own ? constraint_of(generation) : std::nullopt;
  if (!spec) return;
  try {
    compile_constraint(*spec);
  } catch (const ConstraintError& e) {
    throw ItemError(ErrorCode::invalid_value, std::string("response_format: ") + e.what());
  }
}

std::string json_place(std::string_view cut) {
  struct Level {
    bool list;
    std::size_t item = 0;
    std::string key = {};
  };
  std::vector<Level> path;
  std::string text;  // of the last string
  bool in_string = false, escaped = false;
  for (const char c : cut) {
    if (in_string) {
      if (!escaped && c == '"') {
        in_string = false;
      } else {
        escaped = !escaped && c == '\\';
        text += c;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        text.clear();
        break;
      case '{':
      case '[':
        path.push_back({.list = c == '['});
        break;
      case '}':
      case ']':
        if (!path.empty()) path.pop_back();
        break;
      case ':':
        if (!path.empty()) path.back().key = text;
        break;
      case ',':
        if (!path.empty()) ++path.back().item;
        break;
      default:
        break;
    }
  }
  std::string out;
  for (const Level& level : path) out += "/" + (level.list ? std::to_string(level.item) : level.key);
  return out.empty() ? "/" : out;
}

}  // namespace mmbatch
