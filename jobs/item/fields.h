#pragma once

#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "jobs/text/node.h"

namespace mmbatch {

/// What all readers of nodes say in the same words, and where.

/// A fault of an item, and where it is in its file.
struct PlacedError : ItemError {
  PlacedError(ErrorCode code, Place place_, const std::string& message)
      : ItemError(code, message), place(place_) {}
  Place place;
};

[[noreturn]] void ill_typed(const Node::Entry& entry, const char* expected);

/// Refuses a key that is given twice, and one that is not known: the nearest is named.
/// @param owner such as "an item"
void check_keys(const Node& map, const std::vector<std::string>& known, const std::string& owner);
void check_unique(const Node& map);
/// What a manifest does not say, since it is an option where a run is started: `kv_memory` is --kv-memory.
const std::vector<std::string>& settings_of_runs();
/// What an unknown key may have been meant to be: another one, or, where `generation` is among them, a
/// setting that stands in there, or one of settings_of_runs(); may be empty.
std::string guess_of(const std::string& key, const std::vector<std::string>& known);

/// A text without NUL characters. The value is the entry's, or an element of its list.
const std::string& text_of(const Node::Entry& entry, const Node& value);
/// A text, number or truth value as it was written: so people write answers.
const std::string& scalar_of(const Node::Entry& entry, const Node& value);
/// true or false.
bool flag_of(const Node::Entry& entry);
/// The elements of a list.
const std::vector<NodePointer>& list_of(const Node::Entry& entry, const char* expected);

/// A setting's value.  @throws PlacedError
GenerationValue setting_of(const Node::Entry& entry);
/// Settings of a map, each checked by set().  @throws PlacedError unknown_key or invalid_value
GenerationOverrides read_generation(const Node::Entry& owner);

}  // namespace mmbatch
