#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

#include "engine/base/output/output_stream.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/inspect/inspect.h"
#include "pipeline/run/outputs.h"

namespace mmbatch {
namespace {

/// "640x480"; nothing for what is no such size.
std::optional<PictureSize> picture_size_of(const std::string& text) {
  PictureSize size;
  const char *first = text.data(), *last = first + text.size();
  const auto width = std::from_chars(first, last, size.width);
  if (width.ec != std::errc() || width.ptr == last || *width.ptr != 'x') return {};
  const auto height = std::from_chars(width.ptr + 1, last, size.height);
  if (height.ec != std::errc() || height.ptr != last || size.width < 1 || size.height < 1) return {};
  return size;
}

CLI::Validator picture_size() {
  return CLI::Validator(
      [](const std::string& text) {
        return picture_size_of(text) ? std::string()
                                     : fmt::format("'{}' is not a size: expected such as 640x480", text);
      },
      "");
}

std::vector<PictureSize> sizes_of(const std::vector<std::string>& texts) {
  std::vector<PictureSize> sizes;
  for (const std::string& text : texts) sizes.push_back(picture_size_of(text).value());
  return sizes;
}

}  // namespace

void add_inspect_command(CLI::App& program, Action& action) {
  struct State {
    ModelPlace model;
    bool json = false;
    std::vector<std::string> sizes;
    std::size_t slices = 0;
  };
  const auto state = std::make_shared<State>();
  CLI::App* command =
      program.add_subcommand("inspect", "what a checkpoint folder is, and the memory it needs");
  command->footer(
      "Example:\n  mmbatch inspect demo/model\n\n"
      "Exit codes: 0 it can be run, 3 it cannot; the output says why and what to do");
  command->add_option("model", state->model.model, "checkpoint folder, GGUF file, or name")
      ->required()
      ->type_name("DIR");
  add_model_parts(*command, state->model.parts);
  command->add_flag("--json", state->json, "one JSON object");
  command
      ->add_option("--image-size", state->sizes,
                   "what images of this size cost, in pixels, where not all cost the same; may be repeated")
      ->check(picture_size())
      ->type_name("WIDTHxHEIGHT");
  command
      ->add_option("--tensor-parallel", state->slices,
                   "what processes would hold that compute the model together, cut into so many slices")
      ->check(whole_number(1, 64))
      ->type_name("N");
  command->callback([state, &action] {
    action = [state] {
      FileRoles files;
      reads_model(files, state->model);
      files.check();
      Questions questions{.slices = state->slices};
      if (!state->sizes.empty()) questions.pictures = sizes_of(state->sizes);
      const Inspection found = inspect(state->model, questions);
      OutputStream out(state->json ? Audience::programs : Audience::people);
      out << (state->json ? to_json(found) + "\n" : to_text(found));
      out.finish();
      return found.missing.empty() ? ExitCode::ok : ExitCode::model_or_database;
    };
  });
}

}  // namespace mmbatch
