#pragma once

#include <ctime>

#include "text/template/jinja/run/interpreter.h"

namespace mmbatch::jinja {

/// range, dict, namespace, cycler, joiner, lipsum, raise_exception, and strftime_now, which sees `now`.
void set_globals(Interpreter& interpreter, const std::tm& now);

}  // namespace mmbatch::jinja
