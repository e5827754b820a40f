#include "pipeline/commands/options/template_options.h"

#include <CLI/CLI.hpp>
#include <string>

#include "jobs/text/clock.h"

namespace mmbatch {

void add_template_variables_option(CLI::App& command, TemplateVariables& variables) {
  command
      .add_option_function<std::string>(
          "--chat-template-kwargs",
          [&variables](const std::string& json) {
            variables = parse_template_variables(json, "--chat-template-kwargs");
          },
          "variables of the chat template, such as '{\"enable_thinking\": false}'")
      ->type_name("JSON");
}

void add_template_time_option(CLI::App& command, std::optional<std::tm>& time) {
  command
      .add_option_function<std::string>(
          "--template-time",
          [&time](const std::string& text) {
            time = read_time(text);
            if (!time)
              throw CLI::ValidationError(
                  "--template-time",
                  "'" + text + "': not a date that there is, such as 2026-01-31 or 2026-01-31T12:34:56");
          },
          "what chat templates are told that ask for the time")
      ->type_name("TIME");
}

}  // namespace mmbatch
