#pragma once

#include <filesystem>
#include <optional>

#include "fusion/source/open_model.h"

namespace mmbatch {

/// A model that another program has fetched, found by its name, without a network:
///
///   ollama:NAME[:TAG]       in OLLAMA_MODELS, or ~/.ollama/models; the tag is "latest" where none is given
///   hf:OWNER/NAME[@REVISION][/FILE]  in HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub; FILE is one of
///                                    several GGUF files
///
/// A manifest's folder may stand before it. None for a path that is not such a name.
/// @throws ModelError that says where it was looked for
std::optional<ModelPlace> find_by_name(const std::filesystem::path& model);

}  // namespace mmbatch
