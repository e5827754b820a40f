// JSON Schemas, regular expressions and grammars: what is compiled can be walked, and never gets stuck.

#include <cstdlib>
#include <vector>

#include "tests/fuzz/input.h"
#include "text/constraint/constraint.h"
#include "text/constraint/grammar/machine.h"

namespace {

using mmbatch::ConstraintSpec;
using mmbatch::Machine;

void walk(const ConstraintSpec& spec) {
  constexpr int kBytes = 60;
  try {
    Machine machine(mmbatch::compile_constraint(spec).grammar);
    Machine::State state = machine.start(), behind;
    std::uint32_t random = 1;
    for (int step = 0; step < kBytes; ++step) {
      std::vector<std::uint8_t> bytes;
      for (int byte = 0; byte < 256; ++byte) {
        machine.step(state, static_cast<std::uint8_t>(byte), behind);
        if (!behind.empty()) bytes.push_back(static_cast<std::uint8_t>(byte));
      }
      if (bytes.empty()) {
        if (!machine.may_end(state)) std::abort();
        return;
      }
      random = random * 1664525 + 1013904223;
      machine.step(state, bytes[random / 65536 % bytes.size()], behind);
      state.swap(behind);
    }
  } catch (const mmbatch::ConstraintError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ConstraintSpec spec;
  spec.text = mmbatch::fuzz::text(data, size);
  spec.spacing = size % 2 == 0 ? mmbatch::JsonSpacing::spaced : mmbatch::JsonSpacing::flexible;
  const char first = spec.text.empty() ? 'r' : spec.text[0];
  spec.kind = first == '{'                                 ? ConstraintSpec::Kind::json_schema
              : spec.text.find("::=") != std::string::npos ? ConstraintSpec::Kind::grammar
                                                           : ConstraintSpec::Kind::regex;
  walk(spec);
  return 0;
}
