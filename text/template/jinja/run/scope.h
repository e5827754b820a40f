#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// The variables of a stretch of a template. What is inside sees what is around it; what is set inside stays
/// there.
struct Scope {
  std::unordered_map<std::string, Value> variables;
  std::shared_ptr<Scope> around;

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->around.get()) {
      const auto found = scope->variables.find(name);
      if (found != scope->variables.end()) return &found->second;
    }
    return nullptr;
  }
};

using ScopePtr = std::shared_ptr<Scope>;

}  // namespace mmbatch::jinja
