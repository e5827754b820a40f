// Items of a CSV listing.

#include "engine/base/error.h"
#include "jobs/item_reader.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mmbatch::fuzz::MemoryFile file(data, size);
  mmbatch::Manifest manifest;
  manifest.file = "/nowhere/manifest.yaml";
  mmbatch::Job job;
  job.name = "fuzz";
  job.prompt_template = "Question: {question} Answer:";
  job.image_root = "/nowhere";
  job.source.kind = mmbatch::ItemSource::Kind::csv;
  job.source.path = file.path();
  manifest.jobs.push_back(job);
  try {
    mmbatch::count_items(manifest);
    const auto items = mmbatch::open_items(manifest);
    while (items->next()) {
    }
  } catch (const mmbatch::UsageError&) {
  }
  return 0;
}
