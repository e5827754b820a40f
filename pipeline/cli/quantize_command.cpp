#include <CLI/CLI.hpp>
#include <iostream>

#include "pipeline/cli/commands.h"
#include "pipeline/quantize.h"

namespace mmbatch {

void add_quantize_command(CLI::App& program, Action& action) {
  struct State {
    QuantizeOptions options;
    std::string weights = "int8";
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("quantize", "write a packed copy of a checkpoint that loads at once");
  command->footer("Example:\n  mmbatch quantize demo/model demo-int8 --weights int8");
  command->add_option("model", state->options.model, "checkpoint folder")->required();
  command->add_option("out", state->options.out, "folder to write, new or empty")->required();
  command->add_option("--weights", state->weights, "bf16, int8, w8a16, int4 or w4a16")->capture_default_str();
  command->add_option("-j,--threads", state->options.threads, "threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command->callback([state, &action] {
    action = [state] {
      state->options.weights = precision_from(state->weights);
      quantize(state->options, std::cout);
      return ExitCode::ok;
    };
  });
}

}  // namespace mmbatch
