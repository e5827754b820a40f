#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/generation_config.h"
#include "jobs/item/job.h"

namespace mmbatch {

/// ItemSettings that stand outside the manifest, for the documented order of precedence.
struct GenerationSurroundings {
  GenerationOverrides checkpoint;    // weaker than the manifest
  GenerationOverrides command_line;  // stronger than the item
  ImageBudget image_budget = {};     // of the command line
};

/// Settings merged from the weakest source to the strongest, the checkpoint's being the weakest. As in
/// transformers, max_new_tokens of any stronger source takes precedence over max_length of the checkpoint. A
/// checkpoint's do_sample gives way to a stronger source's choices and num_beams, which exclude it, and its
/// num_beams to choices, do_sample and repetition_ngram_size.
class LayeredSettings {
 public:
  explicit LayeredSettings(const GenerationOverrides& checkpoint);
  /// @throws GenerationError
  void add(const GenerationOverrides& stronger);
  const GenerationConfig& config() const { return config_; }

 private:
  GenerationConfig config_;
  bool checkpoint_length_ = false;   // max_length is the checkpoint's
  bool checkpoint_samples_ = false;  // do_sample is
  bool checkpoint_beams_ = false;    // num_beams is
};

/// The settings of an item, and their text in its content key.
struct ItemSettings {
  GenerationConfig generation;
  std::string json;  // to_json(generation)
  ImageBudget image_budget = {};
};

/// The merged settings of a manifest's items: checkpoint, manifest, job, item, command line; the later wins.
/// Items without settings of their own share those of their job. Immutable, so thread-safe.
class SettingsOfJobs {
 public:
  SettingsOfJobs(const Manifest& manifest, GenerationSurroundings around);

  /// @throws ItemError(invalid_value) when they contradict each other.
  std::shared_ptr<const ItemSettings> of(const Item& item) const;
  /// Of a job's items that have none of their own.
  /// @throws UsageError that names the job when they contradict each other.
  std::shared_ptr<const ItemSettings> of_job(std::size_t job) const;

 private:
  struct OfJob {
    std::string name;
    LayeredSettings weaker;                           // all sources weaker than the item
    ImageBudget image_budget;                         // of the manifest and the job
    std::shared_ptr<const ItemSettings> merged = {};  // null when they contradict each other
    std::string contradiction = {};
  };
  std::string file_;
  GenerationOverrides command_line_;
  ImageBudget image_budget_;  // of the command line
  std::vector<OfJob> jobs_;
};

/// The same for one item, and for one job.
GenerationConfig generation_of(const Manifest& manifest, const Item& item,
                               const GenerationSurroundings& around);
GenerationConfig generation_of(const Manifest& manifest, const Job& job,
                               const GenerationSurroundings& around);

}  // namespace mmbatch
