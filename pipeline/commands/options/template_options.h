#pragma once

#include <ctime>
#include <optional>

#include "jobs/item/dialogue/template_variables.h"

namespace CLI {
class App;
}

namespace mmbatch {

/// --chat-template-kwargs: variables of the chat template, as a JSON object.
void add_template_variables_option(CLI::App& command, TemplateVariables& variables);
/// --template-time: what templates are told that ask for the time.
void add_template_time_option(CLI::App& command, std::optional<std::tm>& time);

}  // namespace mmbatch
