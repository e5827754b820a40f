#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/generation_config.h"
#include "jobs/item/fields.h"

namespace mmbatch {

/// The keys by which a manifest, a job or an item says what answers are held to:
///
///   "response_format": { "type": "text" | "json_object" }
///                    | { "type": "json_schema", "json_schema": { "name"?, "description"?, "strict"?,
///                    "schema" } }
///   "regex": text | "grammar": text | "choices": [text…]          one of the four at most
///   "whitespace": "spaced" | "compact" | "flexible",  "on_length": "fail" | "close"
const std::vector<std::string>& constraint_keys();

/// These keys of a map, as settings.
/// @param folder where a schema that is given as a file is looked for; none: it must be given in place
/// @throws PlacedError
GenerationOverrides read_constraint(const Node& owner, const std::optional<std::filesystem::path>& folder);

/// Adds them to the settings of the same place, such as those of its key 'generation'.
/// @throws PlacedError, also where these hold answers to something else already
void add_constraint(const Node& owner, const std::optional<std::filesystem::path>& folder,
                    GenerationOverrides& settings);

/// Two of response_format, regex, grammar and choices that settings of one place give, if they do.
std::optional<std::pair<std::string, std::string>> two_forms(const GenerationOverrides& settings);

/// What OpenAI calls response_format, and `text.format` of its responses, as settings.  @throws PlacedError
GenerationOverrides read_response_format(const Node::Entry& entry,
                                         const std::optional<std::filesystem::path>& folder);

/// What a file holds that an option names as response_format: a JSON Schema, or the map that manifests and
/// requests have around one, told by its `type` or by its key `json_schema`.  @throws PlacedError
GenerationValue response_format_in_file(const std::string& text);

/// vLLM's structured_outputs of a request: { "json" | "regex" | "choice" | "grammar" | "json_object" }, one
/// of them.
/// @throws PlacedError, unsupported for whitespace_pattern and structural_tag
GenerationOverrides read_structured_outputs(const Node::Entry& entry);

/// The file that read_constraint() reads the schema of these keys from, if it does.
std::optional<std::filesystem::path> schema_file(const Node& owner, const std::filesystem::path& folder);

/// The text of the JSON Schema that settings ask for, or of those that are weaker; empty: none.
std::string schema_of(const GenerationOverrides& settings, const std::string& otherwise);

}  // namespace mmbatch
