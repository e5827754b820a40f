#include <CLI/CLI.hpp>

#include <optional>

#include "engine/base/error.h"
#include "engine/base/output/output_stream.h"
#include "engine/kernels/product/precision_choice.h"
#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/engine_options.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/documents/parts_counter.h"
#include "pipeline/quality/calibrate.h"
#include "pipeline/quality/quality.h"
#include "pipeline/quality/quantize.h"
#include "pipeline/run/outputs.h"

namespace mmbatch {
namespace {

struct QuantizeCommand {
  ModelPlace model;
  std::optional<std::filesystem::path> manifest, smooth_manifest;
  QuantizeOptions options;
  std::optional<Precision> weights = Precision::int8;  // none: auto
  bool report = false;
  bool items_given = false;
  QualityOptions quality;
  CalibrationOptions smooth;

  void check() const;
  void check_streams() const;
  ExitCode run();
};

std::shared_ptr<const Manifest> read(const std::filesystem::path& manifest) {
  return std::make_shared<const Manifest>(
      read_manifest(manifest, {.media_root = {}, .count_parts = parts_counter()}));
}

void QuantizeCommand::check() const {
  if (options.out.empty() && !report) {
    throw CLI::ValidationError(
        "out", "is missing: name a folder to write, or give --report to see what quantizing would do");
  }
  if (items_given && !report && !smooth_manifest) {
    throw CLI::ValidationError("--items", "says how many items --report and --smooth take; give one of them");
  }
}

/// That nothing is written into a file that is read.
void QuantizeCommand::check_streams() const {
  FileRoles roles;
  reads_model(roles, model);
  for (const auto& file : {manifest, smooth_manifest})
    if (file) roles.reads("the manifest", *file);
  for (const auto& read : {quality.manifest, smooth.manifest})
    if (read) roles.reads(*read);
  roles.check();
}

ExitCode QuantizeCommand::run() {
  check_streams();
  const auto files = std::make_shared<const ModelFiles>(model);
  options.files = quality.files = smooth.files = files;
  options.weights = weights ? *weights : is_quantized(*files->weights) ? Precision::stored : Precision::int8;
  // Before much is computed: a manifest with a mistake leaves no folder behind.
  if (report && manifest) quality.manifest = read(*manifest);
  check_streams();
  Smoothing smoothing;
  if (smooth_manifest) {
    smooth.validate(options.weights);
    if (!options.out.empty()) check_target(options.out);  // before much is computed
    smooth.manifest =
        quality.manifest && smooth_manifest == manifest ? quality.manifest : read(*smooth_manifest);
    check_streams();
    smooth.items = quality.items;
    smooth.threads = options.threads;
    smoothing = calibrate(smooth);
    options.smoothing = quality.smoothing = &smoothing;
  }
  OutputStream out(Audience::people);
  if (!options.out.empty()) quantize(options, out);
  out.flush();
  if (!report) return out.finish(), ExitCode::ok;
  quality.precision = options.weights;
  quality.threads = options.threads;
  print(measure_quality(quality), out);
  out.finish();
  return ExitCode::ok;
}

}  // namespace

void add_quantize_command(CLI::App& program, Action& action) {
  const auto state = std::make_shared<QuantizeCommand>();
  CLI::App* command =
      program.add_subcommand("quantize", "write a packed copy of a checkpoint that loads at once");
  command->footer(
      "Examples:\n  mmbatch quantize demo/model demo-int8 --weights int8\n"
      "  mmbatch quantize demo/model demo-smooth --weights int8 --smooth demo/manifest.yaml\n"
      "  mmbatch quantize demo/model --weights int8 --report --manifest demo/manifest.yaml");
  command->add_option("model", state->model.model, "checkpoint folder, GGUF file, or name")
      ->required()
      ->type_name("DIR");
  add_model_parts(*command, state->model.parts);
  command->add_option("out", state->options.out, "folder to write, new or empty")->type_name("DIR");
  std::vector<std::pair<std::string, std::optional<Precision>>> precisions = {{"auto", std::nullopt}};
  for (const std::string& name : precision_names()) precisions.emplace_back(name, precision_from(name));
  add_choice(*command,
             {"--weights",
              "what the weights are packed for; auto is stored for a quantized file, else int8; f32 is for "
              "--report alone"},
             state->weights, precisions);
  add_threads_option(*command, state->options.threads);
  CLI::Option* smooth =
      command
          ->add_option("--smooth", state->smooth_manifest,
                       "int8, int4: even out channels of activations, as the first items of this manifest "
                       "show them, before rounding (SmoothQuant)")
          ->type_name("MANIFEST");
  command
      ->add_option("--smooth-alpha", state->smooth.alpha,
                   "0 to 1: how much of the difficulty of rounding goes from activations to weights")
      ->check(number(0, 1))
      ->type_name("NUMBER")
      ->needs(smooth)
      ->capture_default_str();
  CLI::Option* report = command->add_flag("--report", state->report,
                                          "compare with f32: errors by layer, logits, next tokens, answers");
  command
      ->add_option("--manifest", state->manifest,
                   "compare on the first items of this manifest, instead of on made-up ones")
      ->type_name("FILE")
      ->needs(report);
  CLI::Option* items = command
                           ->add_option("--items", state->quality.items,
                                        "how many items of --manifest and of --smooth are used")
                           ->check(whole_number(1, 10000))
                           ->type_name("N")
                           ->capture_default_str();
  add_kv_precision_option(*command, state->quality.kv_precision)->needs(report);
  command->callback([state, items, &action] {
    state->items_given = items->count() > 0;
    state->check();
    action = [state] { return state->run(); };
  });
}

}  // namespace mmbatch
