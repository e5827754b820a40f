// YAML manifests, and the items in them.

#include "engine/base/error.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/yaml_manifest.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = mmbatch::fuzz::text(data, size);
  // Patterns of files would look through the machine's own.
  if (text.find_first_of("*?/") != std::string::npos && text.find("items: /") != std::string::npos) return 0;
  try {
    const mmbatch::Manifest manifest = mmbatch::read_yaml_manifest(text, "/nowhere/manifest.yaml");
    const auto items = mmbatch::open_items(manifest);
    while (items->next()) {
    }
  } catch (const mmbatch::UsageError&) {
  }
  return 0;
}
