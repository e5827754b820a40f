#pragma once

#include "engine/base/error.h"
#include "jobs/listing/item_reader.h"
#include "tests/fuzz/input.h"

namespace mmbatch::fuzz {

/// Reads all items of a listing of this kind, twice: counting them, then one by one.
inline void read_listing(ItemSource::Kind kind, const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(data, size);
  Manifest manifest;
  manifest.file = "/nowhere/manifest.yaml";
  Job job;
  job.name = "fuzz";
  job.prompt_template = "Question: {question} Answer:";
  job.image_root = "/nowhere";
  job.source.kind = kind;
  job.source.path = file.path();
  if (kind == ItemSource::Kind::vqa) {
    job.source.annotations = file.path();
    job.source.image_pattern = "{image_id:012}.jpg";
  }
  manifest.jobs.push_back(job);
  try {
    count_items(manifest);
    const auto items = open_items(manifest);
    while (items->next()) {
    }
  } catch (const UsageError&) {
  }
}

}  // namespace mmbatch::fuzz
