#include "jobs/item/fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kShownBytes = 80;
constexpr std::size_t kMaxListBytes = std::size_t{1} << 20;

GenerationValue number_of(const Node& node) {
  std::int64_t whole = 0;
  if (integer_of(node.text, whole)) return whole;
  return real_of(node.text);
}

bool is_setting(const std::string& name) {
  static const std::vector<std::string> names = generation_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Refuses a value that is of no setting's type, in the words of this one.
[[noreturn]] void ill_typed_setting(const Node::Entry& entry) {
  GenerationConfig checked;
  try {
    for (const GenerationValue& wrong : {GenerationValue(false), GenerationValue(std::string())})
      if (is_setting(entry.key)) set(checked, entry.key, wrong);
  } catch (const GenerationError& e) {
    throw PlacedError(ErrorCode::invalid_value, entry.place, e.what());
  }
  ill_typed(entry, "a number, a text, true, false or a list of texts or of integers");
}

GenerationValue list_value(const Node::Entry& entry) {
  std::vector<std::string> texts;
  std::vector<std::int64_t> integers;
  std::size_t bytes = 0;
  for (const NodePointer& element : entry.value->list) {
    std::int64_t whole = 0;
    bytes += element->text.size();
    if (bytes > kMaxListBytes) ill_typed(entry, "a list of at most 1 MiB");  // aliases can multiply
    if (element->kind == Node::Kind::text)
      texts.push_back(element->text);
    else if (element->kind == Node::Kind::number && integer_of(element->text, whole))
      integers.push_back(whole);
    else
      ill_typed_setting(entry);
  }
  if (!texts.empty() && !integers.empty()) ill_typed_setting(entry);
  if (!integers.empty()) return integers;
  return texts;
}

}  // namespace

void ill_typed(const Node::Entry& entry, const char* expected) {
  throw PlacedError(ErrorCode::invalid_value, entry.place,
                    fmt::format("key '{}' must be {}", shortened(entry.key, kShownBytes), expected));
}

void check_unique(const Node& map) {
  if (map.repeated == Node::kNone) return;
  const Node::Entry& entry = map.map[map.repeated];
  throw PlacedError(ErrorCode::invalid_item, entry.place,
                    fmt::format("key '{}' is given twice", shortened(entry.key, kShownBytes)));
}

const std::vector<std::string>& settings_of_runs() {
  static const std::vector<std::string> names = {
      "admission_window", "block_tokens",     "image_batch",     "image_cache",
      "item_timeout",     "kv_blocks",        "kv_memory",       "kv_precision",
      "lookup_tokens",    "max_batch_tokens", "max_in_flight",   "max_sequences",
      "precision",        "prefill_chunk",    "tensor_parallel", "threads"};
  return names;
}

std::string guess_of(const std::string& key, const std::vector<std::string>& known) {
  std::vector<std::string> names = known;
  if (std::find(known.begin(), known.end(), "generation") != known.end()) {
    const auto settings = generation_names();
    names.insert(names.end(), settings.begin(), settings.end());
  }
  if (std::find(names.begin(), names.end(), key) != names.end())
    return fmt::format("write it as 'generation: {{{}: …}}'", key);
  const std::vector<std::string>& of_runs = settings_of_runs();
  if (std::find(of_runs.begin(), of_runs.end(), key) != of_runs.end()) {
    std::string option = key;
    std::replace(option.begin(), option.end(), '_', '-');
    return fmt::format("it is the option --{} of a run", option);
  }
  const std::string nearest = nearest_name(key, names);
  if (nearest.empty()) return {};
  const bool is_key = std::find(known.begin(), known.end(), nearest) != known.end();
  return is_key ? fmt::format("did you mean '{}'?", nearest)
                : fmt::format("did you mean 'generation: {{{}: …}}'?", nearest);
}

void check_keys(const Node& map, const std::vector<std::string>& known, const std::string& owner) {
  check_unique(map);
  for (const Node::Entry& entry : map.map) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    std::string hint = guess_of(entry.key, known);
    if (hint.empty()) hint = fmt::format("known keys are {}", fmt::join(known, ", "));
    throw PlacedError(
        ErrorCode::unknown_key, entry.place,
        fmt::format("unknown key '{}' in {}, {}", shortened(entry.key, kShownBytes), owner, hint));
  }
}

const std::string& text_of(const Node::Entry& entry, const Node& value) {
  if (value.kind != Node::Kind::text) ill_typed(entry, "a text");
  if (value.text.find('\0') != std::string::npos) ill_typed(entry, "a text without NUL characters");
  return value.text;
}

const std::string& scalar_of(const Node::Entry& entry, const Node& value) {
  if (!value.is_scalar()) ill_typed(entry, "a text or a number");
  return value.kind == Node::Kind::text ? text_of(entry, value) : value.text;
}

bool flag_of(const Node::Entry& entry) {
  const std::string& text = scalar_of(entry, *entry.value);
  if (text != "true" && text != "false") ill_typed(entry, "true or false");
  return text == "true";
}

const std::vector<NodePointer>& list_of(const Node::Entry& entry, const char* expected) {
  if (entry.value->kind != Node::Kind::list) ill_typed(entry, expected);
  return entry.value->list;
}

GenerationValue setting_of(const Node::Entry& entry) {
  switch (entry.value->kind) {
    case Node::Kind::boolean:
      return entry.value->is_true();
    case Node::Kind::number:
      return number_of(*entry.value);
    case Node::Kind::text:
      return entry.value->text;
    case Node::Kind::list:
      return list_value(entry);
    case Node::Kind::null:
    case Node::Kind::map:
      break;
  }
  ill_typed_setting(entry);
}

GenerationOverrides read_generation(const Node::Entry& owner) {
  if (owner.value->kind != Node::Kind::map) ill_typed(owner, "a map of settings");
  check_unique(*owner.value);
  GenerationOverrides overrides;
  GenerationConfig checked;
  for (const Node::Entry& entry : owner.value->map) {
    try {
      // What an unknown one holds does not matter.
      GenerationValue value = is_setting(entry.key) ? setting_of(entry) : GenerationValue(true);
      set(checked, entry.key, value);
      overrides.emplace_back(entry.key, std::move(value));
    } catch (const GenerationError& e) {
      const bool unknown = e.fault() == GenerationError::Fault::unknown;
      throw PlacedError(unknown ? ErrorCode::unknown_key : ErrorCode::invalid_value, entry.place, e.what());
    }
  }
  return overrides;
}

}  // namespace mmbatch
