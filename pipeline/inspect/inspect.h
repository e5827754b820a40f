#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/model_place.h"
#include "fusion/model_spec.h"
#include "fusion/prompting.h"
#include "jobs/item/item.h"
#include "pipeline/inspect/model_memory.h"
#include "pipeline/inspect/process_memory.h"

namespace mmbatch {

/// What a checkpoint folder is, as far as it can be known without packing or computing anything.
struct Inspection {
  struct File {
    std::string name;
    std::size_t bytes = 0;
    std::size_t tensors = 0;  // of weight files
  };

  std::string folder;
  std::string architecture;          // as config.json names it
  std::vector<std::string> missing;  // why it cannot be run, each with the way out; empty: it can
  std::vector<std::string> notes;    // keys of its files that are not known
  std::vector<File> files;           // those that are read
  std::vector<std::string> dtypes;   // as the weights are stored
  /// What is stored as one type.
  struct Share {
    std::string type;
    std::size_t parameters = 0, bytes = 0;
  };
  std::vector<Share> shares;  // the largest first
  std::string smoothed;       // how a packed folder was smoothed; empty: it was not
  std::size_t parameters = 0, stored_bytes = 0;

  std::optional<ModelSpec> spec;  // absent: see `missing`
  std::vector<Task> tasks;
  std::size_t tokenizer_tokens = 0;
  std::string turn_format;                // empty: a dual encoder has none
  std::string turn_format_note;           // not empty: jobs must name one
  std::string computed_in;                // what --precision auto means here, and why
  std::vector<MemoryAt> weights;          // packed, at each precision
  std::vector<MemoryAt> cache_per_token;  // at each precision of the cache; empty without a decoder
  /// Of the layers that see everything: what each token takes once it is outside the windows of the others.
  /// Empty where no layer has a window.
  std::vector<MemoryAt> cache_per_token_beyond_windows;
  /// Of processes that compute the model together, where slices were asked for, and what those do not divide.
  std::vector<ProcessMemory> processes;
  std::size_t slices = 0;
  std::vector<std::string> kept_whole;
  std::size_t activation_bytes = 0;  // of a step of kActivationRows rows
  static constexpr std::size_t kActivationRows = 1024;

  /// What pictures of some sizes, in pixels, cost where not all cost the same.
  struct ImageCost {
    PictureSize size;
    std::size_t tokens = 0;
    std::string fault;  // not empty: such a picture cannot be taken
  };
  std::vector<ImageCost> image_costs;
};

/// The sizes that inspect() tells the costs of when nobody names any.
std::vector<PictureSize> common_picture_sizes();

/// What somebody asks of a checkpoint.
struct Questions {
  std::vector<PictureSize> pictures = common_picture_sizes();
  std::size_t slices = 0;  // that the model would be cut into for several processes; 0: nobody asks
};

/// @throws ModelError when the folder holds no checkpoint at all, UsageError when slices cannot divide it
Inspection inspect(const ModelPlace& place, const Questions& questions = {});

/// Lines for people, or one JSON object.
std::string to_text(const Inspection& inspection);
std::string to_json(const Inspection& inspection);

}  // namespace mmbatch
