#pragma once

#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/base/image/image_budget.h"
#include "engine/base/image/truncated_images.h"
#include "engine/base/model_place.h"
#include "jobs/item/dialogue/template_variables.h"
#include "jobs/item/document/document.h"
#include "jobs/item/item.h"
#include "jobs/item/labels.h"

namespace mmbatch {

/// Where the items of a job come from.
struct ItemSource {
  enum class Kind { in_manifest, jsonl, json, csv, tsv, glob, vqa, batch, archive };
  Kind kind = Kind::in_manifest;
  std::filesystem::path path;         // listing file, or the pattern of a glob or of archives; absolute
  std::filesystem::path annotations;  // of vqa (vqa_files.h), whose `path` are the questions; may be empty
  std::string image_pattern;          // of vqa
  std::shared_ptr<const std::vector<ReadItem>> in_manifest;  // inline items, already read
};

struct Job {
  std::string name;
  Task task = Task::vqa;
  std::string prompt_template;  // with {question} and {schema}; empty: the question as it stands
  std::string schema;           // JSON Schema of answers to items without own constraints; empty: none
  std::string question;         // for items that have none of their own, such as those of a glob
  std::filesystem::path image_root;
  TruncatedImages truncated_images = TruncatedImages::fail;
  DocumentSettings documents;  // of items that say nothing else
  ImageBudget image_budget;    // the manifest's, where the job has none of its own
  std::string turn_format;     // empty: the model's own
  std::optional<std::string> system;
  TemplateVariables template_variables;                     // the manifest's and the job's
  std::optional<std::vector<std::string>> reasoning_marks;  // opening and closing; empty: answers have no
                                                            // thoughts; none: the model's own
  std::string tools;  // JSON list of tool definitions, of items without own; empty: none
  PromptForm form = PromptForm::turns;
  Regions regions = Regions::by_task;
  bool raw_prompt = false;  // as the manifest says; of generate, form is raw where it says nothing, too
  std::shared_ptr<const LabelSet> labels;  // classify: of items without labels; null when all bring their own
  std::string label_template = "{}";       // classify: of items without a template
  GenerationOverrides generation;
  std::map<std::string, std::string>
      fields;  // how fields are compared, by path (metrics/fields/field_rules.h)
  ItemSource source;
};

/// Whether its items get their question from the job itself.
bool asks(const Job& job);

/// How much a file of several pictures holds.
struct FileParts {
  std::uint32_t pages = 1;
  double seconds = 0;  // of a video
};
/// What is asked about such a file.
struct PartsQuestion {
  Item::Shows shows = {};
  TruncatedImages truncated_images = TruncatedImages::fail;  // accept: a damaged one holds what can be found
};
/// Opens such a file.  @throws ItemError
using PartsCounter = std::function<FileParts(const Item::Image& file, const PartsQuestion& question)>;

/// A manifest, or an OpenAI batch file, which is a manifest of one job. Paths are absolute.
struct Manifest {
  std::filesystem::path file;
  std::optional<std::filesystem::path> model;
  ModelParts parts;                               // of this model
  std::optional<std::filesystem::path> database;  // of a batch file: its name with `.db`
  GenerationOverrides generation;
  TemplateVariables command_line_variables;  // stronger than those of jobs and items
  std::optional<std::tm> template_time;  // what templates are told that ask for the time; none: by the run
  PartsCounter count_parts;              // may be empty
  std::vector<std::filesystem::path> named_files;  // schemas and templates
  std::vector<Job> jobs;
};

}  // namespace mmbatch
