#include <CLI/CLI.hpp>
#include <iostream>

#include "engine/base/error.h"
#include "pipeline/commands/commands.h"
#include "pipeline/quality/calibrate.h"
#include "pipeline/quality/quality.h"
#include "pipeline/quality/quantize.h"

namespace mmbatch {

void add_quantize_command(CLI::App& program, Action& action) {
  struct State {
    QuantizeOptions options;
    std::string weights = "int8", kv_precision = "auto";
    bool report = false;
    QualityOptions quality;
    CalibrationOptions smooth;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("quantize", "write a packed copy of a checkpoint that loads at once");
  command->footer(
      "Examples:\n  mmbatch quantize demo/model demo-int8 --weights int8\n"
      "  mmbatch quantize demo/model demo-smooth --weights int8 --smooth demo/manifest.yaml\n"
      "  mmbatch quantize demo/model --weights int8 --report --manifest demo/manifest.yaml");
  command->add_option("model", state->options.model, "checkpoint folder")->required();
  command->add_option("out", state->options.out, "folder to write, new or empty");
  command->add_option("--weights", state->weights, "bf16, int8, w8a16, int4 or w4a16")->capture_default_str();
  command->add_option("-j,--threads", state->options.threads, "threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  CLI::Option* smooth =
      command->add_option("--smooth", state->smooth.manifest,
                          "int8, int4: even out channels of activations, as the first items of this manifest "
                          "show them, before rounding (SmoothQuant)");
  command
      ->add_option("--smooth-alpha", state->smooth.alpha,
                   "0 … 1: how much of the difficulty of rounding goes from activations to weights")
      ->needs(smooth)
      ->capture_default_str();
  CLI::Option* report = command->add_flag("--report", state->report,
                                          "compare with f32: errors by layer, logits, next tokens, answers");
  command
      ->add_option("--manifest", state->quality.manifest,
                   "compare on the first items of this manifest, instead of on made-up ones")
      ->needs(report);
  CLI::Option* items =
      command
          ->add_option("--items", state->quality.items, "so many items, of --manifest and of --smooth alike")
          ->check(CLI::Range(1, 10000))
          ->capture_default_str();
  command->add_option("--kv-precision", state->kv_precision, "compare with keys and values cached so")
      ->needs(report)
      ->capture_default_str();
  command->callback([state, items, &action] {
    action = [state, items] {
      QuantizeOptions& options = state->options;
      options.weights = precision_from(state->weights);
      if (options.out.empty() && !state->report)
        throw UsageError(
            "quantize: give a folder to write, or --report to see what it would do to the model");
      QualityOptions& quality = state->quality;
      CalibrationOptions& smooth = state->smooth;
      if (items->count() > 0 && !state->report && !smooth.manifest)
        throw UsageError("--items: says how many items --report and --smooth take; give one of them");
      Smoothing smoothing;
      if (smooth.manifest) {
        smooth.validate(options.weights);
        if (!options.out.empty()) check_target(options.out);  // before much is computed
        smooth.model = options.model;
        smooth.items = quality.items;
        smooth.threads = options.threads;
        smoothing = calibrate(smooth);
        options.smoothing = quality.smoothing = &smoothing;
      }
      if (!options.out.empty()) quantize(options, std::cout);
      if (!state->report) return ExitCode::ok;
      quality.model = options.model;
      quality.precision = options.weights;
      if (state->kv_precision != "auto") quality.kv_precision = kv_precision_from(state->kv_precision);
      quality.threads = options.threads;
      print(measure_quality(quality), std::cout);
      return ExitCode::ok;
    };
  });
}

}  // namespace mmbatch
