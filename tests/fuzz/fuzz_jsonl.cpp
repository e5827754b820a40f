// Items of a listing in JSON: a record a line (also OpenAI batches), a list, or VQAv2's questions and
// annotations.

#include "tests/fuzz/listing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using mmbatch::ItemSource;
  for (const auto kind : {ItemSource::Kind::jsonl, ItemSource::Kind::json, ItemSource::Kind::vqa})
    mmbatch::fuzz::read_listing(kind, data, size);
  return 0;
}
